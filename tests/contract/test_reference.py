"""The reference names everything that automations and people can meet."""

from enum import StrEnum
from pathlib import Path
import re

import pytest
import yaml

from custom_components.export_monitor import const
from custom_components.export_monitor.alerts import NOTICES
from custom_components.export_monitor.binary_sensor import BINARY_SENSORS
from custom_components.export_monitor.button import BUTTONS
from custom_components.export_monitor.compliance_sensors import COMPLIANCE_SENSORS, Verdict
from custom_components.export_monitor.coordinator import DischargeStatus, SystemHealth
from custom_components.export_monitor.ledger import Cause, Why
from custom_components.export_monitor.models import Basis, Blocker, EndReason, ErrorState
from custom_components.export_monitor.number import NUMBERS
from custom_components.export_monitor.outlook import NoPlan
from custom_components.export_monitor.plan_sensors import PLAN_SENSORS
from custom_components.export_monitor.planning.fates import Fate
from custom_components.export_monitor.sensor import (
    HEALTH_SENSORS,
    SENSORS,
    STALENESS,
    STATISTICS,
)

REFERENCE = (Path(__file__).parents[2] / "docs" / "reference.md").read_text()
WORDS = set(re.findall(r"\w+", REFERENCE)) | set(re.findall(r"`([^`]+)`", REFERENCE))
ENTITIES = (
    *HEALTH_SENSORS,
    STALENESS,
    STATISTICS,
    *SENSORS,
    *PLAN_SENSORS,
    *COMPLIANCE_SENSORS,
    *BINARY_SENSORS,
    *NUMBERS,
    *BUTTONS,
)
SERVICES = yaml.safe_load((Path(const.__file__).parent / "services.yaml").read_text("utf-8"))
OPTIONS = sorted(set(const.DEFAULTS) - {const.CONF_OBSERVE_RESERVE, const.CONF_BATTERY_POWER_SIGN})


@pytest.mark.parametrize(
    "states",
    [
        ErrorState,
        Blocker,
        EndReason,
        Basis,
        SystemHealth,
        DischargeStatus,
        Fate,
        NoPlan,
        Verdict,
        Cause,
        Why,
    ],
)
def test_every_state_is_in_the_reference(states: type[StrEnum]) -> None:
    assert [state for state in states if state.value not in WORDS] == []


@pytest.mark.parametrize("entity", ENTITIES, ids=lambda entity: entity.key)
def test_every_entity_is_in_the_reference(entity: object) -> None:
    assert f"_{entity.translation_key}" in REFERENCE  # type: ignore[attr-defined]


@pytest.mark.parametrize("option", OPTIONS)
def test_every_option_is_in_the_reference(option: str) -> None:
    assert option in WORDS


@pytest.mark.parametrize("notice", NOTICES.values(), ids=lambda notice: notice.name)
def test_every_notification_is_in_the_reference(notice: object) -> None:
    assert f"`{notice.name}`" in REFERENCE  # type: ignore[attr-defined]


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_with_its_fields_is_in_the_reference(service: str) -> None:
    (row,) = [
        line for line in REFERENCE.splitlines() if line.startswith(f"| `{const.DOMAIN}.{service}`")
    ]
    fields = set((SERVICES[service] or {}).get("fields", {})) - {"config_entry_id"}
    if "likewise" not in row:
        assert {field for field in fields if f"`{field}`" not in row} == set()
    assert fields <= WORDS
