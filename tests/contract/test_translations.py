"""Every text that the code asks for exists, in every language, and none is left over."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
import json
from pathlib import Path
import re
from typing import Any

from homeassistant.helpers.selector import validate_selector
import pytest
import yaml

from custom_components.export_monitor import const, services
from custom_components.export_monitor.actions import ReportFormat
from custom_components.export_monitor.alerts import EMERGENCY, NOTICES
from custom_components.export_monitor.engine.start import WRITE_ERRORS
from custom_components.export_monitor.flow import schema as flow_schema
from custom_components.export_monitor.flow.forms import CONF_VERDICT, Verdict
from custom_components.export_monitor.flow.live import Note
from custom_components.export_monitor.flow.schema import Refusal
from custom_components.export_monitor.inspection import FIXABLE, FaultKind
from custom_components.export_monitor.ledger import Cause, Why, page
from custom_components.export_monitor.models import (
    Basis,
    Blocker,
    EndReason,
    ErrorState,
    Kind,
    PeriodKind,
)
from custom_components.export_monitor.phrases import COMMA_LANGUAGES
from custom_components.export_monitor.planning import Objective, Reason
from custom_components.export_monitor.planning.fates import (
    DRY_RUN,
    MANUAL_SESSION,
    NO_PLAN,
    NOT_LOOKED,
    SUN_ENOUGH,
    SWITCHED_OFF,
    Fate,
)
from custom_components.export_monitor.presets import PRESETS

PACKAGE = Path(const.__file__).parent
LANGUAGES = sorted(path.stem for path in (PACKAGE / "translations").glob("*.json"))
PLATFORMS = ("binary_sensor", "button", "calendar", "event", "number", "sensor", "switch")
# Rooms that describe entities of a platform.
PLATFORM_OF = {"compliance_sensors": "sensor", "health": "sensor", "plan_sensors": "sensor"}
PLACEHOLDER = re.compile(r"\{(\w+)\}")

type Texts = Mapping[str, Any]

# Keys that the code puts together at run time, and from what.
COMPOSED = {
    "refused_": {f"refused_{blocker}" for blocker in Blocker},
    "failed_": {
        f"failed_{error}" for error in (*WRITE_ERRORS.values(), ErrorState.CHARGE_START_FAILED)
    },
}
# Keys that the code takes from a table, and which: the tables have tests of their own below.
FROM_TABLES = {
    ("alerts", "notice.name"),
    ("alerts", "_words_of(name)"),
    ("inspection", "fault.kind.value"),
}
OUTAGES = {"circuit_open", "channel_open", "source_open"}
UPGRADED = const.CONF_UPGRADED  # the notice of an entry that 1.x had made
PLANNING_ISSUES = {"planner_failed", "solver_missing"}
# Why some errors are told in no notification (specification page 2).
UNANNOUNCED = {
    ErrorState.NONE: "there is nothing to tell",
    ErrorState.MODE_CONFLICT: "the caller is told",
}


@cache
def texts(language: str) -> Texts:
    loaded: Texts = json.loads((PACKAGE / f"translations/{language}.json").read_text("utf-8"))
    return loaded


def flat(tree: Texts, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text with its dotted path."""
    for key, value in tree.items():
        here = f"{path}.{key}" if path else key
        if isinstance(value, str):
            yield here, value
        else:
            yield from flat(value, here)


# What the code asks for


@dataclass(frozen=True)
class Asked:
    """A translation key in the code: `where` is its branch of the translations."""

    where: str
    key: str


def _branch(callee: str, module: str) -> str:
    """Return the branch of the translations that a call reads."""
    if callee.endswith("Error"):
        return "exceptions"
    if "issue" in callee:
        return "issues"
    return "selector" if "Selector" in callee else f"entity.{PLATFORM_OF.get(module, module)}"


def _callee(call: ast.Call) -> str:
    return ast.unparse(call.func).rpartition(".")[2]


def _key_of(call: ast.Call) -> ast.expr | None:
    return next((k.value for k in call.keywords if k.arg == "translation_key"), None)


def _literal(node: ast.expr) -> str | None:
    """Return a key that stands in the code: a text, or a name from `const`."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "const":
        return str(getattr(const, node.attr))
    return None


def _wrappers(tree: ast.Module) -> dict[str, tuple[str, int]]:
    """Return the functions that pass an argument on as a key: their callee, and which argument."""
    found = {}
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        names = [argument.arg for argument in function.args.args]
        for call in ast.walk(function):
            key = _key_of(call) if isinstance(call, ast.Call) else None
            if isinstance(call, ast.Call) and isinstance(key, ast.Name) and key.id in names:
                found[function.name] = (_callee(call), names.index(key.id))
    return found


def _asked_in(module: str, tree: ast.Module) -> Iterator[Asked]:
    wrappers = _wrappers(tree)
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        callee, key = _callee(call), _key_of(call)
        if callee in wrappers:
            callee, position = wrappers[callee]
            key = call.args[position]
            assert _literal(key) is not None, f"{module}: {ast.unparse(call)}"
        if key is None or (isinstance(key, ast.Name) and _is_argument(tree, key.id)):
            continue
        yield from _resolved(module, _branch(callee, module), key)


def _is_argument(tree: ast.Module, name: str) -> bool:
    functions = [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]
    return any(argument.arg == name for f in functions for argument in f.args.args)


def _resolved(module: str, where: str, key: ast.expr) -> Iterator[Asked]:
    literal = _literal(key)
    if literal is not None:
        yield Asked(where, literal)
    elif isinstance(key, ast.JoinedStr):
        prefix = ast.literal_eval(key.values[0])
        assert prefix in COMPOSED, f"{module}: what may {ast.unparse(key)} become?"
        for each in COMPOSED[prefix]:
            yield Asked(where, each)
    else:
        assert (module, ast.unparse(key)) in FROM_TABLES, f"{module}: {ast.unparse(key)}"


@cache
def asked() -> frozenset[Asked]:
    return frozenset(
        each
        for path in PACKAGE.rglob("*.py")
        for each in _asked_in(path.stem, ast.parse(path.read_text("utf-8")))
    )


def keys_under(where: str) -> set[str]:
    return {each.key for each in asked() if each.where == where}


def test_the_scan_is_not_empty() -> None:
    assert len(keys_under("exceptions")) > 15
    assert len(keys_under("entity.sensor")) > 10
    assert keys_under("selector") == {
        "preset",
        "basis",
        "battery_power_sign",
        "period",
        "planning_objective",
        CONF_VERDICT,
    }


# Every language


def test_the_texts_are_in_english_and_german_at_least() -> None:
    assert {"en", "de"} <= set(LANGUAGES)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_exactly_the_english_keys_and_placeholders(language: str) -> None:
    english, other = dict(flat(texts("en"))), dict(flat(texts(language)))
    assert list(other) == list(english)
    for path, text in other.items():
        expected = set(PLACEHOLDER.findall(english[path]))
        assert set(PLACEHOLDER.findall(text)) == expected, path


@pytest.mark.parametrize("language", LANGUAGES)
def test_texts_are_what_home_assistant_accepts(language: str) -> None:
    for path, text in flat(texts(language)):
        assert text == text.strip() != "", path
        assert not re.search(r"[<>]|\[%|https?://", text), f"{path}: markup or an address"
        assert not re.search(r"'\{|\}'", text), f"{path}: a quoted placeholder is not replaced"
        for key in path.split("."):
            assert re.fullmatch(r"[a-z0-9_-]+", key), path


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_a_language_is_really_translated(language: str) -> None:
    english = dict(flat(texts("en")))
    same = {path for path, text in flat(texts(language)) if text == english[path]}
    assert {path for path in same if len(english[path]) > len("Energy Export Monitor")} == set()


# Entities, services, exceptions


@pytest.mark.parametrize("platform", PLATFORMS)
def test_every_entity_has_a_name_and_an_icon_and_none_is_left_over(platform: str) -> None:
    used = keys_under(f"entity.{platform}")
    names = texts("en")["entity"][platform]
    icons = json.loads((PACKAGE / "icons.json").read_text())["entity"][platform]
    assert set(names) == set(icons) == used
    assert len({each["name"] for each in names.values()}) == len(names)


def test_states_are_the_literal_english_of_the_contract() -> None:
    assert not [path for path, _ in flat(texts("en")["entity"]) if ".state." in path]


@pytest.fixture(scope="module")
def described() -> Texts:
    loaded: Texts = yaml.safe_load((PACKAGE / "services.yaml").read_text())
    return loaded


SCHEMAS = {
    "start_discharge": services.START_SCHEMA,
    "stop_discharge": services.STOP_SCHEMA,
    "start_charge": services.START_SCHEMA,
    "stop_charge": services.STOP_SCHEMA,
    "calculate_discharge": services.CALCULATE_SCHEMA,
    "get_report": services.REPORT_SCHEMA,
    "get_statistics": services.STATISTICS_SCHEMA,
    "reset_circuit_breaker": services.RESET_SCHEMA,
    "emergency_alert": services.ALERT_SCHEMA,
}


def test_every_service_is_described_named_and_has_an_icon(described: Texts) -> None:
    icons = json.loads((PACKAGE / "icons.json").read_text())["services"]
    assert set(described) == set(texts("en")["services"]) == set(icons) == set(SCHEMAS)


@pytest.mark.parametrize("service", SCHEMAS)
def test_a_service_describes_the_fields_that_it_takes(described: Texts, service: str) -> None:
    taken = {str(marker.schema) for marker in SCHEMAS[service].schema}
    fields = described[service]["fields"]
    words = texts("en")["services"][service]["fields"]
    assert set(fields) == set(words) == taken
    for name, field in fields.items():
        validate_selector(field["selector"])
        assert set(words[name]) == {"name", "description"}


def test_every_exception_has_words_and_none_is_left_over() -> None:
    assert set(texts("en")["exceptions"]) == keys_under("exceptions")


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_exception_is_a_message(language: str) -> None:
    for key, text in texts(language)["exceptions"].items():
        assert set(text) == {"message"}, key


def test_exceptions_use_only_the_placeholders_that_they_are_given() -> None:
    for key, text in flat(texts("en")["exceptions"]):
        given = {
            "refused": {"detail"},
            "failed": {"detail"},
            "entry": {"entry"} if key.startswith("entry_not_loaded") else set(),
            "invalid": {"start", "end"} if key.startswith("invalid_span") else {"field", "value"},
            "circuit": {"circuit", "known"},
        }
        assert set(PLACEHOLDER.findall(text)) <= given.get(key.split("_")[0], set()), key


# Notifications


def test_every_error_state_is_announced_or_left_out_with_a_reason() -> None:
    assert set(NOTICES) | set(UNANNOUNCED) == set(ErrorState)
    assert not set(NOTICES) & set(UNANNOUNCED)


def test_every_notification_has_words_and_none_is_left_over() -> None:
    names = {notice.name for notice in NOTICES.values()}
    all_clears = {notice.all_clear for notice in NOTICES.values()} - {None}
    used = {*names, *all_clears, EMERGENCY, *OUTAGES, *PLANNING_ISSUES, *FaultKind, UPGRADED}
    assert used == set(texts("en")["issues"])


def _steps(text: str) -> list[int]:
    return [int(step) for step in re.findall(r"^(\d)\. ", text, re.MULTILINE)]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("kind", FaultKind)
def test_a_fault_of_the_configuration_names_the_entity_and_the_steps(
    language: str, kind: FaultKind
) -> None:
    words = texts(language)["issues"][kind]
    described = words
    if kind in FIXABLE:
        (described,) = words["fix_flow"]["step"].values()
        assert "description" not in words  # Home Assistant takes one of the two
        assert set(words["fix_flow"]) <= {"step", "error", "abort"}
    known = {"entry", "role", "entity", "new", "unit"}
    for text in (words["title"], described["description"]):
        assert set(PLACEHOLDER.findall(text)) <= known
    steps = _steps(described["description"])
    assert steps == list(range(1, len(steps) + 1))
    assert len(steps) >= 2


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_notice_of_an_upgrade_says_margin_version_and_steps(language: str) -> None:
    words = texts(language)["issues"][UPGRADED]
    (step,) = words["fix_flow"]["step"].values()
    assert set(PLACEHOLDER.findall(step["description"])) == {"entry", "margin", "found"}
    assert "2025.4" in step["description"]
    assert _steps(step["description"]) == [1, 2, 3]


def test_the_logbook_has_words_for_every_activity() -> None:
    tree = ast.parse((PACKAGE / "pulse.py").read_text("utf-8"))
    told = {
        literal
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _callee(call) == "_activity" and call.args
        if (literal := _literal(call.args[0])) is not None
    }
    assert len(told) > 6
    of_charge = {f"charge_{each}" for each in told if each.startswith(("session_", "stop_"))}
    assert set(texts("en")["selector"]["activity"]["options"]) == told | of_charge


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("outage", sorted(OUTAGES))
def test_an_outage_names_its_circuit_and_the_steps(language: str, outage: str) -> None:
    words = texts(language)["issues"][outage]
    assert set(PLACEHOLDER.findall(words["title"])) == {"circuit"}
    assert _steps(words["description"]) == [1, 2, 3]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("notice", [notice.name for notice in NOTICES.values()])
def test_a_notification_names_the_entity_the_facts_and_the_steps(
    language: str, notice: str
) -> None:
    words = texts(language)["issues"][notice]
    assert set(words) == {"title", "description"}
    facts = {"entity", "detail"} | ({"fallback"} if notice.endswith("_stop_failed") else set())
    assert set(PLACEHOLDER.findall(words["description"])) == facts
    steps = re.findall(r"^(\d)\. ", words["description"], re.MULTILINE)
    assert len(steps) >= 3
    assert steps == [str(i + 1) for i in range(len(steps))]


def test_the_titles_of_the_public_contract() -> None:
    titles = {key: each["title"] for key, each in texts("en")["issues"].items()}
    assert titles["soc_read_failed"] == "SOC Sensor Failed"
    assert titles["stale_data"] == "Stale Data Detected"
    assert titles["discharge_power_failed"] == "Discharge Power Set Failed"
    assert titles["discharge_start_failed"] == "Discharge Start Failed"
    assert titles["discharge_stop_failed"] == "Discharge Stop Failed"


# The flows

NUMBERED = {
    "limits": {
        const.CONF_BASIS,
        const.CONF_PERIOD,
        *(each.key for each in flow_schema.LIMITS),
    },
    "planning": {
        const.CONF_OBJECTIVE,
        *flow_schema.PLANNING_SWITCHES,
        *flow_schema.PLANNING_TIMES,
        *(each.key for each in flow_schema.PLANNING),
    },
    "timing": {each.key for each in flow_schema.TIMING},
}
STEPS = {
    "config": {
        "user": {const.CONF_PRESET, "name"},
        "battery": {role.key for role in flow_schema.BATTERY},
        "sensors": {
            const.CONF_BATTERY_POWER_SIGN,
            const.CONF_OBSERVE_RESERVE,
            *(role.key for role in flow_schema.SENSORS),
        },
        "forecast": {const.CONF_NORD_POOL, *(role.key for role in flow_schema.FORECAST)},
        "check": {CONF_VERDICT},
        "limits": NUMBERED["limits"],
        "first_day": {flow_schema.EXPORT_COUNTER.key},
    },
    "options": NUMBERED
    | {
        "alerts": {
            const.CONF_NOTIFY_TARGETS,
            const.CONF_DAILY_REPORT,
            const.CONF_DAILY_REPORT_TIME,
        }
    },
}
# Steps that only tell something: no field, and not offered in the menu.
TOLD = {"config": {"unverified"}, "options": {"first_day"}}
ONLY_OPTIONS = {
    Refusal.LEASE_BEYOND_DURATION,
    Refusal.NOT_A_NOTIFY_TARGET,
    Refusal.CHARGE_CONTROL_REQUIRED,
    Refusal.CARBON_REQUIRED,
    Refusal.CARBON_WITHOUT_SLOTS,
    Refusal.PRICE_REQUIRED,
    Refusal.PRICE_WITHOUT_SLOTS,
}
# What the options flow can say no with; the config flow says the others.
OPTIONS_REFUSALS = {
    Refusal.REQUIRED,
    Refusal.OUT_OF_RANGE,
    Refusal.FIXED_LIMIT_REQUIRED,
    Refusal.ROLLING_BASIS,
    Refusal.FORECAST_REQUIRED,
    Refusal.TARGET_BELOW_POWER,
    Refusal.MIN_SOC_BEYOND_CUTOFF,
    *ONLY_OPTIONS,
}


@pytest.mark.parametrize(
    ("flow", "step"), [(flow, step) for flow, steps in STEPS.items() for step in steps]
)
def test_every_field_of_a_form_has_a_label_and_a_description(flow: str, step: str) -> None:
    words = texts("en")[flow]["step"][step]
    parts = {part.key: set(part.fields) for part in flow_schema.SECTIONS.get(step, ())}
    sections = words.get("sections", {})
    assert set(words) - {"sections"} == {"title", "description", "data", "data_description"}
    assert set(sections) == set(parts)
    for key, part in sections.items():
        assert set(part) == {"name", "description", "data", "data_description"}
        assert set(part["data"]) == set(part["data_description"]) == parts[key]
    above = STEPS[flow][step] - {key for fields in parts.values() for key in fields}
    assert set(words["data"]) == set(words["data_description"]) == above


def test_no_step_is_left_out_or_left_over() -> None:
    assert set(texts("en")["config"]["step"]) == {*STEPS["config"], *TOLD["config"]}
    options = texts("en")["options"]["step"]
    assert set(options) == {"init", *STEPS["options"], *TOLD["options"]}
    assert set(options["init"]["menu_options"]) == set(STEPS["options"])
    for flow, steps in TOLD.items():
        shown = texts("en")[flow]["step"]
        assert all(set(shown[step]) == {"title", "description"} for step in steps)


def test_the_end_of_the_flow_names_the_stages_that_follow() -> None:
    assert set(texts("en")["config"]["create_entry"]) == {"careful_start"}
    for language in LANGUAGES:
        assert _steps(texts(language)["config"]["create_entry"]["careful_start"]) == [1, 2, 3, 4]


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_forms_use_only_the_placeholders_that_they_are_given(language: str) -> None:
    given = {"unverified": {"devices"}, "check": {"values", "doubtful"}}
    for step, words in texts(language)["config"]["step"].items():
        assert set(PLACEHOLDER.findall(words["description"])) == given.get(step, set()), step


def test_what_is_not_verified_says_so_where_it_is_chosen() -> None:
    options = texts("en")["selector"]["preset"]["options"]
    assert {key for key, name in options.items() if "not verified" in name} == {
        key for key, preset in PRESETS.items() if not preset.verified
    }


def test_the_range_of_a_setting_stands_in_its_description() -> None:
    for flow, step, numbers in (
        ("config", "limits", flow_schema.LIMITS),
        ("options", "limits", flow_schema.LIMITS),
        ("options", "planning", flow_schema.PLANNING),
        ("options", "timing", flow_schema.TIMING),
    ):
        for language in LANGUAGES:
            form = texts(language)[flow]["step"][step]
            parts = [form, *form.get("sections", {}).values()]
            words = {key: text for part in parts for key, text in part["data_description"].items()}
            for each in numbers:
                assert re.search(rf"\b{each.low} \w+ {each.high}\b", words[each.key]), each.key


def test_all_refusals_are_listed_for_the_flow_that_makes_them() -> None:
    assert set(texts("en")["options"]["error"]) == OPTIONS_REFUSALS
    assert set(texts("en")["config"]["error"]) == set(Refusal) - ONLY_OPTIONS


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("flow", ["config", "options"])
def test_every_refusal_has_a_message_of_its_own(language: str, flow: str) -> None:
    messages: dict[str, str] = texts(language)[flow]["error"]
    assert len(set(messages.values())) == len(messages)
    assert min(len(message) for message in messages.values()) > 20


def test_every_way_to_abort_has_words() -> None:
    tree = ast.parse((PACKAGE / "config_flow.py").read_text())
    reasons = {
        reason
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and _callee(call) in ("AbortFlow", "async_abort")
        for node in (*call.args, *(k.value for k in call.keywords if k.arg == "reason"))
        if (reason := _literal(node)) is not None
    }
    # Home Assistant itself aborts a second flow for the same battery.
    assert set(texts("en")["config"]["abort"]) == reasons | {"already_in_progress"}


# No choices, but the only branch for what the backend itself says: of the logbook, and of plans.
SENTENCES = {
    "activity",
    "breach_advice",
    "breach_cause",
    "end_reason",
    "live_note",
    "report",
    "window_fate",
    "window_kind",
    "window_reason",
    "window_why",
}


def test_all_languages_but_english_write_decimals_with_a_comma() -> None:
    assert {*LANGUAGES} - {*COMMA_LANGUAGES} == {"en"}


def test_every_cause_of_a_breach_has_words_and_an_advice() -> None:
    for branch in ("breach_cause", "breach_advice"):
        assert set(texts("en")["selector"][branch]["options"]) == set(Cause)


def test_the_record_has_words_for_all_that_it_shows_and_none_is_left_over() -> None:
    shown = {*page.ROWS, *page.TOTALS, *page.MARKS, *Kind, "refused", "corrected", "unwatched"}
    shown |= {f"legend_{name}" for name, *_ in page.LEGEND} | {f"why_{why}" for why in Why}
    source = "".join(
        (PACKAGE / name).read_text("utf-8") for name in ("ledger/page.py", "health_report.py")
    )
    known = set(texts("en")["selector"]["report"]["options"])
    daily = {"daily_inside", "daily_over", "daily_no_contract"}  # put together from a status
    assert shown | daily <= known
    assert {
        each
        for each in known - shown - daily
        if f'"{each}"' not in source and f"'{each}'" not in source
    } == set()


def test_every_fate_and_reason_of_a_window_has_words() -> None:
    words = {key: set(texts("en")["selector"][key]["options"]) for key in SENTENCES}
    assert words["window_kind"] == set(Kind)
    assert words["window_fate"] == set(Fate)
    assert words["window_reason"] == {
        SWITCHED_OFF,
        DRY_RUN,
        MANUAL_SESSION,
        NOT_LOOKED,
        NO_PLAN,
        SUN_ENOUGH,
    }
    assert words["end_reason"] == set(EndReason)
    assert words["live_note"] == set(Note)
    weighed = set(Reason) - {Reason.MAKES_ROOM}
    assert words["window_why"] == {
        "any_time",
        Reason.MAKES_ROOM,
        *(f"{objective}_{reason}" for objective in Objective for reason in weighed),
    }


def test_every_choice_has_words_for_its_options() -> None:
    signs = {const.SIGN_CHARGE_POSITIVE, const.SIGN_DISCHARGE_POSITIVE}
    expected = {"preset": set(PRESETS), "basis": set(Basis), "battery_power_sign": signs}
    choices = {key: each for key, each in texts("en")["selector"].items() if key not in SENTENCES}
    assert set(choices) == {*keys_under("selector"), "severity", "report_format"}  # services.yaml's
    expected["period"] = set(PeriodKind)
    expected["planning_objective"] = set(Objective)
    expected[CONF_VERDICT] = set(Verdict)
    expected["severity"] = set(services.SEVERITIES)
    expected["report_format"] = set(ReportFormat)
    assert {key: set(each["options"]) for key, each in choices.items()} == expected
