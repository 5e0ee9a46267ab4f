"""The card's own words: all that its modules ask for, in every language, and none left over."""

from functools import cache
import json
from pathlib import Path
import re

import pytest

from custom_components.export_monitor.frontend_module import FOLDER
from custom_components.export_monitor.models import Blocker, EndReason, ErrorState, Origin
from custom_components.export_monitor.outlook import NoPlan
from custom_components.export_monitor.planning.fates import Fate
from custom_components.export_monitor.planning.models import Reason

LANGUAGES = ("de", "en", "es", "fr", "it", "nl", "pl", "pt")
MODULES = sorted(FOLDER.glob("*.js"))
PLACEHOLDER = re.compile(r"\{(\w+)\}")
# What the modules put together at run time, and from which words.
FAMILIES = {
    "blocker_": {*Blocker, "unknown"},
    "end_": set(EndReason),
    "origin_": set(Origin),
    "why_": set(Reason),
    "fate_": set(Fate),
    "plan_": {*NoPlan, "failed", "none", "more"},
    "reason_": {"switched_off", "manual_session", "not_running", "no_plan", "sun_enough"},
}
# Errors that the card has one text for: `SAME` of faults.js.
SAME = {
    ErrorState.POWER_SET_FAILED: "set_failed",
    ErrorState.CUTOFF_SET_FAILED: "set_failed",
    ErrorState.DURATION_SET_FAILED: "set_failed",
    ErrorState.START_FAILED: "start_failed",
    ErrorState.CHARGE_START_FAILED: "start_failed",
}


@cache
def texts(language: str) -> dict[str, str]:
    """Return a language: its module is one JSON object that is exported."""
    source = (FOLDER / f"texts/{language}.js").read_text("utf-8")
    head, tail = "export default ", ";\n"
    assert source.startswith(head)
    assert source.endswith(tail)
    loaded: dict[str, str] = json.loads(source.removeprefix(head).removesuffix(tail))
    return loaded


def sources() -> str:
    return "\n".join(path.read_text("utf-8") for path in MODULES)


def test_every_language_has_its_file_and_the_module_knows_it() -> None:
    assert tuple(sorted(path.stem for path in (FOLDER / "texts").glob("*.js"))) == LANGUAGES
    listed = re.search(r"LANGUAGES = \[(.*?)\]", (FOLDER / "texts.js").read_text("utf-8"))
    assert listed is not None
    assert tuple(sorted(json.loads(f"[{listed[1]}]"))) == LANGUAGES


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_language_has_exactly_the_english_keys_and_placeholders(language: str) -> None:
    english, other = texts("en"), texts(language)
    assert list(other) == list(english)
    for key, text in other.items():
        assert text == text.strip() != "", key
        assert sorted(PLACEHOLDER.findall(text)) == sorted(PLACEHOLDER.findall(english[key])), key
        assert text.count("\n") == english[key].count("\n"), f"{key}: another number of steps"


@pytest.mark.parametrize("language", [each for each in LANGUAGES if each != "en"])
def test_a_language_is_really_translated(language: str) -> None:
    english = texts("en")
    same = {key for key, text in texts(language).items() if text == english[key]}
    assert {key for key in same if len(english[key]) > len("Export Monitor")} == set()


@pytest.mark.parametrize("family", FAMILIES)
def test_every_word_of_the_integration_has_a_text(family: str) -> None:
    have = {key.removeprefix(family) for key in texts("en") if key.startswith(family)}
    assert have == {str(word) for word in FAMILIES[family]}


def test_every_error_has_a_title_and_says_what_to_do() -> None:
    table = re.search(
        r"const SAME = \{(.*?)\}", (FOLDER / "faults.js").read_text("utf-8"), re.DOTALL
    )
    assert table is not None
    assert dict(re.findall(r"(\w+): \"(\w+)\"", table[1])) == {str(e): t for e, t in SAME.items()}
    for error in set(ErrorState) - {ErrorState.NONE}:
        key = f"fault_{SAME.get(error, error)}"
        meaning, *steps = texts("en")[f"{key}_text"].split("\n")
        assert texts("en")[key]
        assert meaning
        assert steps, f"{key}: what is to be done?"


def test_every_text_is_asked_for_and_every_text_asked_for_is_there() -> None:
    source = sources()
    # Of nested template texts the outer one is found by its own beginning.
    asked = set(
        re.findall(r"\b(?:t|text|said|name\(t)\((?:language\(\), |language, )?\"(\w+)\"", source)
    )
    begun = set(re.findall(r"`(\w+_)\$\{", source))
    have = set(texts("en"))
    assert asked <= have
    literal = set(re.findall(r"\"(\w+)\"", source))
    left_over = {
        key for key in have - literal if not any(key.startswith(prefix) for prefix in begun)
    }
    assert left_over == set()


def test_no_name_of_an_entity_can_become_markup() -> None:
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", sources()
    )


def test_nothing_is_fetched_from_elsewhere() -> None:
    addresses = set(re.findall(r"https?://[^\"'`\s]+", sources()))
    assert addresses == {
        "http://www.w3.org/2000/svg",
        "https://github.com/export-monitor/energy-export-monitor/blob/main/docs/dashboard.md",
    }
    assert (Path(__file__).parents[2] / "docs/dashboard.md").exists()
