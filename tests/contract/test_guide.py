"""The guide and the documentation are complete, and name only what there is."""

from functools import cache
import json
from pathlib import Path
import re
import shlex
from typing import Any

import pytest
import yaml

from custom_components.export_monitor import const
from custom_components.export_monitor.alerts import DAILY, EMERGENCY, NOTICES
from custom_components.export_monitor.coordinator import DischargeStatus, SystemHealth
from custom_components.export_monitor.health import HEALTH_SENSORS, STALENESS, STATISTICS
from custom_components.export_monitor.inspection import FaultKind
from custom_components.export_monitor.models import ErrorState
from tests import documents
from tests.documents import ROOT

GUIDE = (ROOT / "PRODUCTION_GUIDE.md").read_text("utf-8")
PACKAGE = ROOT / "custom_components" / "export_monitor"
# Where a path below *Configure* leads, by the words on the screen.
MENU = {"Limits": "limits", "Planning": "planning", "Timing": "timing", "Alerts": "alerts"}
# Programs that a reader may be asked to run. Home Assistant's own command line cannot run here, so
# its commands are listed as its documentation has them.
HOME_ASSISTANT = {
    ("backups", "list"),
    ("backups", "new"),
    ("core", "check"),
    ("core", "logs"),
    ("core", "restart"),
    ("core", "update"),
}
ELSEWHERE = {"cd", "curl", "docker", "git", "pip", "pre-commit", "bash", "activity-ingestor"}


@cache
def texts() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PACKAGE / "translations/en.json").read_text("utf-8"))
    return loaded


def words(tree: object) -> set[str]:
    """Return every key in some nested texts."""
    if not isinstance(tree, dict):
        return set()
    return {*tree, *(word for each in tree.values() for word in words(each))}


def sources() -> str:
    """Return the integration's code, where each word that it uses is written once at least."""
    return "\n".join(path.read_text("utf-8") for path in sorted(PACKAGE.rglob("*.py")))


DOCUMENTS = documents.documents()
FILES = pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)


# What the guide has to say


def test_the_guide_is_a_manual_and_no_leaflet() -> None:
    lines = [line for line in GUIDE.splitlines() if line.strip()]
    assert len(lines) >= 600


@pytest.mark.parametrize(
    "title",
    [
        "Emergency stop",
        "Requirements",
        "Pre-deployment checklist",
        "Careful first settings",
        "Roll-out in four stages",
        "Daily, half a minute",
        "Weekly, five minutes",
        "Monthly, a quarter of an hour",
        "Quarterly, an hour",
        "UPS",
        "Network",
        "Backups",
        "Restore test",
        "Going back to the previous version",
        "What the health sensors mean",
        "Error states and notifications",
        "A sensor is lost in mid-discharge",
        "A command times out",
        "Values are invalid",
        "A circuit breaker is open",
        "More was exported than allowed",
        "Home Assistant restarts in mid-discharge",
        "The inverter is unplugged",
        "Summer time begins or ends, or the clock is set",
        "The forecast is wrong",
        "Gradual restart",
        "Logging and diagnostics",
        "Before you ask for support",
        "Tuning for slow systems",
        "Security and access",
        "Compliance, duties and liability",
        "Reporting a problem",
        "From a fault to your phone",
        "What happens to a command",
        "The session",
        "Quick reference card",
    ],
)
def test_the_guide_has_every_chapter(title: str) -> None:
    assert len(documents.section(GUIDE, title).strip()) > 100


@pytest.mark.parametrize("state", ErrorState)
def test_every_error_state_says_cause_impact_and_steps(state: ErrorState) -> None:
    said = documents.section(GUIDE, f"`{state}`")
    if state is ErrorState.NONE:
        return
    assert [word for word in ("**Cause**", "**Impact**", "**Steps**") if word not in said] == []
    notice = NOTICES.get(state)
    if notice is None:
        assert "No notification" in said
        return
    title = texts()["issues"][notice.name]["title"]
    assert f"`{notice.name}`" in said
    assert f"*{title}*" in said
    assert ("**phone**" in said) is (notice.all_clear is not None)


def test_every_other_message_is_explained() -> None:
    said = documents.section(GUIDE, "The other messages")
    all_clear = {notice.all_clear for notice in NOTICES.values() if notice.all_clear}
    for name in {EMERGENCY, DAILY, *all_clear}:
        assert f"`{name}`" in said


def test_every_repair_issue_is_explained() -> None:
    said = documents.section(GUIDE, "Repair issues")
    told_elsewhere = {notice.name for notice in NOTICES.values()}
    all_clear = {notice.all_clear for notice in NOTICES.values()}
    issues = set(texts()["issues"]) - told_elsewhere - all_clear - {EMERGENCY}
    assert sorted(name for name in issues if f"`{name}`" not in said) == []
    assert sorted(kind for kind in FaultKind if f"`{kind}`" not in said) == []


@pytest.mark.parametrize(
    "key",
    [
        *(sensor.translation_key for sensor in (*HEALTH_SENSORS, STALENESS, STATISTICS)),
        "data_problem",
        "over_export",
    ],
)
def test_every_health_sensor_has_its_ranges(key: str) -> None:
    domain = "binary_sensor" if key in ("data_problem", "over_export") else "sensor"
    said = documents.section(GUIDE, f"`{domain}.export_monitor_{key}`")
    assert "normal" in said
    assert "critical" in said


@pytest.mark.parametrize("states", [SystemHealth, DischargeStatus])
def test_every_state_of_health_is_named(states: type[SystemHealth] | type[DischargeStatus]) -> None:
    assert [state for state in states if f"`{state.value}`" not in GUIDE] == []


def test_a_scenario_says_what_happens_and_what_shows_it() -> None:
    said = documents.section(GUIDE, "Failure scenarios")
    scenarios = re.findall(r"^### (.+)$", said, re.MULTILINE)
    assert len(scenarios) >= 9
    for title in scenarios:
        text = documents.section(GUIDE, title)
        for part in ("**Symptoms**", "**By itself**", "**You**", "**Shown by**"):
            assert part in text, f"{title}: {part}"


# What it names is there


@FILES
def test_links_lead_somewhere(path: Path) -> None:
    assert documents.broken_links(path) == []


@FILES
def test_witnesses_are_there(path: Path) -> None:
    assert documents.missing_tests(path.read_text("utf-8")) == []


@FILES
def test_settings_are_called_as_on_the_screen(path: Path) -> None:
    assert unknown_settings(path.read_text("utf-8")) == []


def labels(step: str) -> dict[str, str]:
    """Return what a form of the options calls its fields, those in its sections too."""
    form = texts()["options"]["step"].get(step, {})
    sections = form.get("sections", {}).values()
    return {key: label for part in (form, *sections) for key, label in part.get("data", {}).items()}


def unknown_settings(text: str) -> list[str]:
    """Return the paths below *Configure* that no menu and no form has."""
    wrong = []
    for menu, *field in documents.settings(text):
        known = labels(MENU.get(menu, "")).values()
        if menu not in MENU or (field and field[0] not in known):
            wrong.append(" → ".join((menu, *field)))
    return wrong


def test_tuning_names_each_option_as_its_form_does() -> None:
    rows = re.findall(
        r"^\| `(\w+)` \| \*Configure → (\w+) → ([^*]+)\* \| ([\d.]+)", GUIDE, re.MULTILINE
    )
    assert len(rows) >= 10
    for key, menu, label, default in rows:
        assert labels(MENU[menu])[key] == label
        assert float(default) == const.DEFAULTS[key]


@pytest.mark.parametrize(
    "path",
    # What other makers call their things is theirs.
    [path for path in DOCUMENTS if path.name != "supported-devices.md"],
    ids=lambda path: path.name,
)
def test_words_in_code_type_are_words_of_the_code(path: Path) -> None:
    """A state, option, reason or attribute that is misspelt is one that nobody will find."""
    assert unknown_words(path.read_text("utf-8")) == []


@cache
def vocabulary() -> frozenset[str]:
    found = {*re.findall(r"\w+", sources()), *words(texts())}
    for name in ("services.yaml", "icons.json", "quality_scale.yaml"):
        found |= set(re.findall(r"\w+", (PACKAGE / name).read_text("utf-8")))
    for path in (*ROOT.glob("blueprints/**/*.yaml"), *ROOT.glob("simulation/*.py")):
        found |= set(re.findall(r"\w+", path.read_text("utf-8")))
    for path in PACKAGE.glob("frontend/**/*.js"):
        found |= set(re.findall(r"\w+", path.read_text("utf-8")))
    return frozenset(found)


# Of Home Assistant and others.
FOREIGN = frozenset({"input_select"})


def unknown_words(text: str) -> list[str]:
    """Return the words in code type with an underscore that stand nowhere in the code."""
    text = documents.FENCE.sub("", text)
    known = vocabulary() | FOREIGN
    return sorted({word for word in documents.WORD.findall(text) if word not in known})


@FILES
def test_commands_can_be_run(path: Path) -> None:
    assert unknown_commands(path.read_text("utf-8")) == []


def unknown_commands(text: str) -> list[str]:
    """Return the commands that begin with nothing that there is."""
    wrong = []
    for block in documents.blocks(text, "console"):
        for line in block.text.replace("\\\n", " ").splitlines():
            parts = shlex.split(line, comments=True)
            while parts and "=" in parts[0]:  # settings for one command
                parts = parts[1:]
            if parts and not _is_there(parts):
                wrong.append(line)
    return wrong


def _is_there(parts: list[str]) -> bool:
    program = parts[0]
    if program == "ha":
        return tuple(parts[1:3]) in HOME_ASSISTANT
    if "/" in program and not program.startswith("."):
        return any((root / program).is_file() for root in (ROOT, ROOT / "ingestor"))
    if program.startswith("./"):
        return (ROOT / program).is_file()
    return program in ELSEWHERE or program.startswith(".venv/")


@FILES
def test_yaml_can_be_read(path: Path) -> None:
    for block in documents.blocks(path.read_text("utf-8"), "yaml"):
        assert isinstance(block.data, dict | list), f"{path.name}:{block.line}"


# The ledger


def test_documentation_rules_of_the_quality_scale_are_met() -> None:
    rules = yaml.safe_load((PACKAGE / "quality_scale.yaml").read_text("utf-8"))["rules"]
    status = {
        name: rule if isinstance(rule, str) else rule["status"]
        for name, rule in rules.items()
        if name.startswith("docs-")
    }
    assert {name for name, is_ in status.items() if is_ not in ("done", "exempt")} == set()


# The checker itself


@pytest.mark.parametrize(
    ("planted", "found"),
    [
        ("sensor.export_monitor_eror_state", ["no entity sensor.export_monitor_eror_state"]),
        ("`button.export_monitor_stop`", ["no entity button.export_monitor_stop"]),
        ("sensor.export_monitor_error_st…", []),
        ("sensor.export_monitor_mistake_…", ["no entity sensor.export_monitor_mistake_"]),
        ("sensor.export_monitor_error_state", []),
    ],
)
def test_a_wrong_entity_id_is_found(planted: str, found: list[str]) -> None:
    known = documents.Known(
        {"sensor.export_monitor_error_state", "button.export_monitor_stop_discharge"}
    )
    assert documents.unknown_entities(f"Look at {planted} first.", known) == found


def test_a_wrong_service_and_a_wrong_field_are_found() -> None:
    known = documents.Known((), {"start_discharge": {"power_w"}})
    text = """Use `export_monitor.begin_discharge`, or

```yaml
action: export_monitor.start_discharge
data:
  watts: 500
```

and see `custom_components.export_monitor.control`.
"""
    assert documents.unknown_services(text, known) == ["no service export_monitor.begin_discharge"]
    assert documents.unknown_fields(text, known) == [
        "export_monitor.start_discharge has no field watts"
    ]


def test_a_wrong_setting_is_found() -> None:
    assert unknown_settings("under *Configure → Limits → Target of export*") == [
        "Limits → Target of export"
    ]
    assert unknown_settings("under *Configure → Timings*") == ["Timings"]
    assert unknown_settings("under *Configure → Limits → Target\n  export*") == []


def test_a_wrong_word_a_wrong_command_and_a_wrong_witness_are_found() -> None:
    assert unknown_words("it ends with `headroom_used_upp`, not `headroom_used_up`") == [
        "headroom_used_upp"
    ]
    assert unknown_commands("```console\nscripts/explode --now\n./scripts/demo\n```\n") == [
        "scripts/explode --now"
    ]
    assert documents.missing_tests("`tests/contract/test_guide.py::test_that_is_not`") == [
        "no test tests/contract/test_guide.py::test_that_is_not"
    ]
