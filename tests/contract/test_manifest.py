"""Manifest, HACS file and quality ledger, as hassfest and HACS would judge them."""

import json
from pathlib import Path
import re
from typing import Any

import pytest
import yaml

from custom_components.export_monitor import const

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "custom_components" / const.DOMAIN
REPOSITORY = "https://github.com/export-monitor/energy-export-monitor"

# The 54 rules of Home Assistant's integration quality scale.
RULES = {
    "bronze": """action-setup appropriate-polling brands common-modules config-flow
        config-flow-test-coverage dependency-transparency docs-actions docs-triggers
        docs-conditions docs-high-level-description docs-installation-instructions
        docs-removal-instructions entity-event-setup entity-unique-id has-entity-name
        runtime-data test-before-configure test-before-setup unique-config-entry""",
    "silver": """action-exceptions config-entry-unloading docs-configuration-parameters
        docs-installation-parameters entity-unavailable integration-owner log-when-unavailable
        parallel-updates reauthentication-flow test-coverage""",
    "gold": """devices diagnostics discovery discovery-update-info docs-data-update docs-examples
        docs-known-limitations docs-supported-devices docs-supported-functions
        docs-troubleshooting docs-use-cases dynamic-devices stale-devices entity-category
        entity-device-class entity-disabled-by-default entity-translations
        exception-translations icon-translations reconfiguration-flow repair-issues""",
    "platinum": "async-dependency inject-websession strict-typing",
}


@pytest.fixture(scope="module")
def manifest() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((PACKAGE / "manifest.json").read_text())
    return loaded


def test_the_keys_are_domain_name_and_then_alphabetical(manifest: dict[str, Any]) -> None:
    first, second, *others = manifest
    assert (first, second) == ("domain", "name")
    assert others == sorted(others)


def test_only_keys_that_hassfest_knows(manifest: dict[str, Any]) -> None:
    known = """domain name after_dependencies bluetooth codeowners config_flow dependencies dhcp
        disabled documentation homekit import_executor integration_type iot_class issue_tracker
        loggers mqtt requirements single_config_entry ssdp usb version zeroconf"""
    assert set(manifest) <= set(known.split())


def test_it_says_who_and_where(manifest: dict[str, Any]) -> None:
    assert manifest["domain"] == const.DOMAIN == PACKAGE.name
    assert manifest["codeowners"] == ["@export-monitor"]
    assert manifest["documentation"] == REPOSITORY
    assert manifest["issue_tracker"] == f"{REPOSITORY}/issues"
    assert re.fullmatch(r"\d+\.\d+\.\d+(-[\w.]+)?", manifest["version"])


def test_it_needs_no_package_index_at_boot(manifest: dict[str, Any]) -> None:
    assert manifest["requirements"] == []


def test_it_is_set_up_in_the_ui_as_a_service_that_calculates(manifest: dict[str, Any]) -> None:
    assert manifest["config_flow"] is True
    assert manifest["integration_type"] == "service"
    assert manifest["iot_class"] == "calculated"


def test_types_are_shipped() -> None:
    assert (PACKAGE / "py.typed").exists()


def test_the_hacs_file_has_only_keys_that_hacs_knows() -> None:
    hacs = json.loads((ROOT / "hacs.json").read_text())
    known = """name content_in_root country filename hacs hide_default_branch homeassistant
        persistent_directory render_readme zip_release"""
    assert set(hacs) <= set(known.split())
    assert hacs["homeassistant"] == "2025.4.0"


@pytest.mark.parametrize("file", ["LICENSE", "CHANGELOG.md"])
def test_hacs_finds_what_it_looks_for(file: str) -> None:
    assert (ROOT / file).stat().st_size > 0


def test_the_quality_ledger_names_every_rule_once_and_gives_reasons() -> None:
    rules = yaml.safe_load((PACKAGE / "quality_scale.yaml").read_text())["rules"]
    expected = [rule for tier in RULES.values() for rule in tier.split()]
    assert len(expected) == 54
    assert list(rules) == expected
    for rule, verdict in rules.items():
        status = verdict if isinstance(verdict, str) else verdict["status"]
        assert status in ("done", "exempt"), f"{rule}: not done"
        if status == "exempt":
            assert verdict["comment"].strip(), f"{rule}: exempt without a reason"
