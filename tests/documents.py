"""Reads the documentation as a machine can: what it names, what it shows, and what it asks for.

Everything here says what is wrong in a list of sentences, so that a test of the checker itself can
plant an error and see it found.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
import re
from textwrap import dedent
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
OWN = "export_monitor"
# Of the integration itself and of the battery package that the simulated house has.
ENTITY = re.compile(
    r"\b((?:sensor|binary_sensor|number|switch|button|calendar|event|select|timer|input_\w+?)"
    rf"\.(?:{OWN}|alphaess)_\w*)(…?)"
)
SERVICE = re.compile(rf"(?<![\w./]){OWN}\.([a-z_]+)\b(?!\.(?:md|yaml|py))")
SETTING = re.compile(r"\*Configure → ([^*]+)\*")
TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
PICTURE = re.compile(r"!\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#{1,6} (.+)$", re.MULTILINE)
WORD = re.compile(r"(?<!`)`([a-z][a-z0-9]*(?:_[a-z0-9]+)+)`(?!`)")
FENCE = re.compile(
    r"^(?P<indent>[ ]*)```(?P<kind>\w+)\n(?P<body>.*?)^(?P=indent)```", re.MULTILINE | re.DOTALL
)
STEP = re.compile(r"^(\d+)\. ", re.MULTILINE)
DRILL = re.compile(r"^### (Drill \d+: .+)$", re.MULTILINE)
EXAMPLE_ID = "garage"  # the second battery that the documents speak of


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block: its kind, its text without indentation, and where it stands."""

    kind: str
    text: str
    line: int

    @property
    def data(self) -> Any:  # noqa: ANN401 - any YAML
        """Return what a YAML block says."""
        return yaml.load(self.text, _Loader)  # noqa: S506 - a SafeLoader


@dataclass(frozen=True, slots=True)
class Step:
    """One numbered step of a drill: its first paragraph in one line, and its action."""

    number: int
    text: str
    action: Mapping[str, Any] | None


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill of the guide."""

    title: str
    steps: tuple[Step, ...]


class _Loader(yaml.SafeLoader):
    """Reads Home Assistant's own tags as text."""


_Loader.add_constructor("!secret", lambda loader, node: str(loader.construct_scalar(node)))  # type: ignore[arg-type]
# `on:` and `off:` are words in Home Assistant's own loader as well.


@dataclass(slots=True)
class Known:
    """What there is: ids of entities, services with their fields, and links' targets."""

    entities: Collection[str]
    services: Mapping[str, Collection[str]] = field(default_factory=dict)


def documents() -> tuple[Path, ...]:
    """Return every document for people who run the integration; the ingestor has its own."""
    return (
        ROOT / "README.md",
        ROOT / "PRODUCTION_GUIDE.md",
        ROOT / "CONTRIBUTING.md",
        *sorted((ROOT / "docs").glob("*.md")),
    )


def texts(*kinds: str) -> dict[str, str]:
    """Return by name what documents say; with kinds of blocks, of those that have one."""
    found = {str(path.relative_to(ROOT)): path.read_text("utf-8") for path in documents()}
    return {name: text for name, text in found.items() if not kinds or blocks(text, *kinds)}


def blocks(text: str, *kinds: str) -> list[Block]:
    """Return the fenced blocks of some kinds."""
    return [
        Block(each["kind"], dedent(each["body"]), text.count("\n", 0, each.start()) + 1)
        for each in FENCE.finditer(text)
        if each["kind"] in kinds
    ]


def unknown_entities(text: str, known: Known) -> list[str]:
    """Return the ids that no entity has; one that is cut off (`…`) must begin one."""
    wrong = []
    for entity_id, cut in ENTITY.findall(text):
        if EXAMPLE_ID in entity_id:
            continue
        # A cut one, or a family of them, begins one that there is.
        if cut or entity_id.endswith("_"):
            there = any(each.startswith(entity_id) for each in known.entities)
        else:
            there = entity_id in known.entities
        if not there:
            wrong.append(f"no entity {entity_id}")
    return wrong


def unknown_services(text: str, known: Known) -> list[str]:
    """Return the integration's services that are named but not there."""
    return [f"no service {OWN}.{n}" for n in SERVICE.findall(text) if n not in known.services]


def unknown_fields(text: str, known: Known) -> list[str]:
    """Return the fields that actions of the integration are given but do not have."""
    wrong = []
    for action in actions(block.data for block in blocks(text, "yaml")):
        domain, _, service = str(action["action"]).partition(".")
        if domain == OWN and service in known.services:
            wrong += [
                f"{action['action']} has no field {name}"
                for name in action.get("data") or {}
                if name not in known.services[service]
            ]
    return wrong


def actions(things: Iterable[object]) -> Iterator[Mapping[str, Any]]:
    """Yield every action in some YAML, wherever it stands."""
    for thing in things:
        if isinstance(thing, Mapping):
            if "action" in thing and "." in str(thing["action"]):
                yield thing
            yield from actions(thing.values())
        elif isinstance(thing, list):
            yield from actions(thing)


def templates(thing: object) -> Iterator[str]:
    """Yield every template in some YAML."""
    if isinstance(thing, str):
        if "{{" in thing or "{%" in thing:
            yield thing
    elif isinstance(thing, Mapping):
        for each in thing.values():
            yield from templates(each)
    elif isinstance(thing, list):
        for each in thing:
            yield from templates(each)


def settings(text: str) -> list[tuple[str, ...]]:
    """Return the paths below *Configure* that are named, part by part."""
    flat = re.sub(r"\s+", " ", text)
    return [tuple(part.strip() for part in path.split("→")) for path in SETTING.findall(flat)]


def anchors(text: str) -> set[str]:
    """Return the anchors that GitHub makes of the headings."""
    without = FENCE.sub("", text)
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).strip().replace(" ", "-")
        for title in HEADING.findall(without)
    }


def broken_links(path: Path) -> list[str]:
    """Return links to files, headings and pictures that are not there; the net is left out."""
    text = path.read_text("utf-8")
    wrong = []
    for target in (*LINK.findall(text), *PICTURE.findall(text)):
        name, _, anchor = target.partition("#")
        if "://" in target:
            continue
        other = (path.parent / name).resolve() if name else path
        if not other.exists():
            wrong.append(f"{path.name}: no file {target}")
        elif anchor and anchor not in anchors(other.read_text("utf-8")):
            wrong.append(f"{path.name}: no heading {target}")
    return wrong


def missing_tests(text: str) -> list[str]:
    """Return the tests that a document calls as witnesses but that are not there."""
    wrong = []
    for name, test in TEST.findall(text):
        path = ROOT / name
        if not path.exists() or f"def {test}(" not in path.read_text("utf-8"):
            wrong.append(f"no test {name}::{test}")
    return wrong


def section(text: str, title: str) -> str:
    """Return what stands below a heading, up to the next of its rank or a higher one."""
    found = re.search(rf"^(#+) {re.escape(title)}\n", text, re.MULTILINE)
    assert found, f"no section {title}"
    rest = text[found.end() :]
    end = re.search(rf"^#{{1,{len(found[1])}}} ", FENCE.sub(_blank, rest), re.MULTILINE)
    return rest[: end.start()] if end else rest


def _blank(block: re.Match[str]) -> str:
    return re.sub(r"[^\n]", " ", block[0])


def drills(text: str) -> list[Drill]:
    """Return the drills, step by step."""
    return [Drill(title, _steps(section(text, title))) for title in DRILL.findall(text)]


def _steps(text: str) -> tuple[Step, ...]:
    starts = [*STEP.finditer(text)]
    ends = [*(each.start() for each in starts[1:]), len(text)]
    return tuple(
        _step(int(start[1]), text[start.end() : end])
        for start, end in zip(starts, ends, strict=True)
    )


def _step(number: int, text: str) -> Step:
    said = re.sub(r"\s+", " ", FENCE.sub("", text)).strip()
    found = blocks(text, "yaml")
    return Step(number, said, found[0].data if found else None)
