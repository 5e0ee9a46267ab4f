"""The blueprints can be imported from where they say they are, and the documentation links them."""

from pathlib import Path
import re
from typing import Any
from urllib.parse import quote

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "blueprints" / "automation" / "export_monitor"
REPOSITORY = "https://github.com/export-monitor/energy-export-monitor"
IMPORT = "https://my.home-assistant.io/redirect/blueprint_import/?blueprint_url="
DOCS = (ROOT / "docs" / "automations.md").read_text("utf-8")
BLUEPRINTS = sorted(FOLDER.glob("*.yaml"))


class _Loader(yaml.SafeLoader):
    """Reads `!input` as the name of what is asked for."""


_Loader.add_constructor("!input", lambda loader, node: f"!{loader.construct_scalar(node)}")


def load(path: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.load(path.read_text("utf-8"), _Loader)  # noqa: S506 - safe
    return loaded


def test_the_five_of_the_specification_are_there() -> None:
    assert [path.stem for path in BLUEPRINTS] == [
        "alert_on_error",
        "alert_on_stop_failure",
        "daily_report",
        "stop_at_sunset",
        "wider_margin_in_peak_hours",
    ]


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_a_blueprint_is_imported_from_where_it_is(path: Path) -> None:
    about = load(path)["blueprint"]
    assert about["source_url"] == f"{REPOSITORY}/blob/main/{path.relative_to(ROOT)}"
    assert IMPORT + quote(about["source_url"], safe="") in DOCS
    assert about["domain"] == "automation"
    assert about["homeassistant"]["min_version"] == "2025.4.0"


@pytest.mark.parametrize("path", BLUEPRINTS, ids=lambda path: path.stem)
def test_all_that_is_asked_for_is_used_and_explained(path: Path) -> None:
    blueprint = load(path)
    asked = blueprint["blueprint"]["input"]
    used = set(re.findall(r"!input (\w+)", path.read_text("utf-8")))
    assert used == set(asked)
    for field in asked.values():
        assert field["name"]
        assert field["selector"]


def test_the_documentation_links_no_other_blueprint() -> None:
    assert DOCS.count(IMPORT) == len(BLUEPRINTS)
