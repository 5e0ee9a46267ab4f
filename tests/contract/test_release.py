"""A release goes out only where tag, manifest and changelog agree."""

from collections.abc import Callable
import json
from pathlib import Path
import subprocess
import sys

import pytest

ROOT = Path(__file__).resolve().parents[2]

type Check = Callable[..., subprocess.CompletedProcess[str]]
type MakeCheckout = Callable[[str, str], Path]


@pytest.fixture
def check() -> Check:
    """Run the command as the release workflow does."""

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, ROOT / "scripts/release_check.py", *arguments],
            capture_output=True,
            text=True,
            check=False,
        )

    return run


@pytest.fixture
def checkout(tmp_path: Path) -> MakeCheckout:
    """Make a checkout with a manifest version and a changelog."""

    def make(version: str, changelog: str) -> Path:
        package = tmp_path / "custom_components/export_monitor"
        package.mkdir(parents=True)
        (package / "manifest.json").write_text(json.dumps({"version": version}))
        (tmp_path / "CHANGELOG.md").write_text(changelog)
        return tmp_path

    return make


DATED = "# Changelog\n\nText.\n\n## 2.1.0 - 2026-12-01\n\n### Added\n\n## 2.0.0 - 2026-11-22\n"


@pytest.mark.parametrize("tag", ["v2.1.0", "2.1.0"])
def test_a_release_passes_where_all_three_agree(
    check: Check, checkout: MakeCheckout, tag: str
) -> None:
    result = check(tag, "--root", checkout("2.1.0", DATED))
    assert result.returncode == 0, result.stderr


@pytest.mark.parametrize(
    ("tag", "version", "changelog", "complaint"),
    [
        ("v2.0.0", "2.1.0", DATED, "The tag is v2.0.0"),
        ("v2.1.0-beta.1", "2.1.0", DATED, "The tag is v2.1.0-beta.1"),
        ("v2.0.0", "2.0.0", DATED, "has 2.1.0 as its newest heading"),
        ("v2.1.0", "2.1.0", DATED.replace("2026-12-01", "unreleased"), "no date"),
        ("v2.1.0", "2.1.0", "## 2.1.0\n", "no date"),
        ("v2.1.0", "2.1.0", "# Changelog\n", "has no heading"),
        ("v2.1", "2.1", "## 2.1 - 2026-12-01\n", "no semantic version"),
    ],
)
def test_a_release_is_refused_with_the_reason(
    check: Check, checkout: MakeCheckout, tag: str, version: str, changelog: str, complaint: str
) -> None:
    result = check(tag, "--root", checkout(version, changelog))
    assert result.returncode == 1
    assert complaint in result.stderr


def test_without_a_tag_an_unreleased_version_passes(check: Check, checkout: MakeCheckout) -> None:
    result = check("--root", checkout("2.1.0", "## 2.1.0 - unreleased\n"))
    assert result.returncode == 0, result.stderr


def test_this_repository_agrees_with_itself(check: Check) -> None:
    result = check()
    assert result.returncode == 0, result.stderr
