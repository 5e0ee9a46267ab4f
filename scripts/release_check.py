"""Prove that a tag, the manifest and the changelog speak of the same release."""

import argparse
import json
from pathlib import Path
import re
import sys

ROOT = Path(__file__).resolve().parent.parent
MANIFEST = Path("custom_components/export_monitor/manifest.json")
CHANGELOG = Path("CHANGELOG.md")

# What Home Assistant's manifest and HACS both take: semantic versions, pre-releases included.
VERSION = re.compile(r"\d+\.\d+\.\d+(?:-(?:alpha|beta|rc)\.\d+)?")
HEADING = re.compile(r"^## +\[?(?P<version>[^\s\]]+)\]?(?: +- +(?P<when>\S+))? *$", re.MULTILINE)
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def problems(root: Path, tag: str | None = None) -> list[str]:
    """Return what disagrees below `root`, each as a sentence; empty if all agree.

    Without a tag only manifest and changelog are compared, and the release may be unreleased.
    """
    version = str(json.loads((root / MANIFEST).read_text(encoding="utf-8")).get("version"))
    if not VERSION.fullmatch(version):
        return [f"{MANIFEST} has the version {version!r}, which is no semantic version."]
    newest = HEADING.search((root / CHANGELOG).read_text(encoding="utf-8"))
    if newest is None:
        return [f"{CHANGELOG} has no heading like '## {version} - 2026-01-31'."]
    found = []
    if newest["version"] != version:
        found.append(
            f"{CHANGELOG} has {newest['version']} as its newest heading, {MANIFEST} has {version}."
        )
    if tag is None:
        return found
    if tag.removeprefix("v") != version:
        found.append(f"The tag is {tag}, but {MANIFEST} has {version}.")
    if not DATE.fullmatch(newest["when"] or ""):
        found.append(f"{CHANGELOG} gives {newest['version']} no date, so it is not released yet.")
    return found


def main(arguments: list[str]) -> int:
    """Print each problem; return 1 if there is any."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("tag", nargs="?", help="the tag to be released, like v2.0.0")
    parser.add_argument("--root", type=Path, default=ROOT, help="another checkout to look at")
    options = parser.parse_args(arguments)
    found = problems(options.root, options.tag)
    for problem in found:
        print(f"release: {problem}", file=sys.stderr)
    if not found:
        print("release: " + ("tag, " if options.tag else "") + "manifest and changelog agree")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
