"""Phones: told at once and in parallel, again until it got through, and of the all-clear."""

import asyncio
from typing import Any

from homeassistant.core import ServiceCall, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest
import voluptuous as vol

from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import ErrorState
from simulator.faults import Fault
from tests.integration.house import House

PHONE = "notify.mobile_app_anna"
OLD = "notify.pushover"
ENTITY = "notify.kitchen"


class Phones:
    """The notify targets of a house, and what they were sent; `how` says what a target does."""

    def __init__(self, house: House) -> None:
        self.sent: list[tuple[str, dict[str, Any]]] = []
        self.how: dict[str, str] = {}
        self.tries: list[str] = []
        house.hass.services.async_register("notify", "mobile_app_anna", self._take)
        house.hass.services.async_register("notify", "pushover", self._take)
        house.hass.services.async_register("notify", "send_message", self._take)
        house.hass.states.async_set(ENTITY, "unknown")

    async def _take(self, call: ServiceCall) -> None:
        target = str(call.data.get("entity_id", f"notify.{call.service}"))
        self.tries.append(target)
        if self.how.get(target) == "raise":
            raise HomeAssistantError("gone")
        if self.how.get(target) == "hang":
            await asyncio.Event().wait()
        self.sent.append((target, dict(call.data)))

    def to(self, target: str) -> list[dict[str, Any]]:
        return [data for each, data in self.sent if each == target]


@pytest.fixture
def phones(house: House) -> Phones:
    return Phones(house)


@pytest.fixture
async def told(house: House, phones: Phones) -> House:
    """Return a house that tells three targets."""
    await house.set_up(notify_targets=[PHONE, OLD, ENTITY])
    await house.advance(70)
    return house


async def test_a_critical_error_reaches_every_kind_of_target_at_once(
    told: House, phones: Phones
) -> None:
    told.runtime.coordinator.set_error_state(ErrorState.STOP_FAILED, "the detail")
    await told.settle()
    assert {target for target, _ in phones.sent} == {PHONE, OLD, ENTITY}
    shown = told.notification("discharge_stop_failed") or ""
    for target in (PHONE, OLD, ENTITY):
        (data,) = phones.to(target)
        assert data["message"] == shown.replace("**", "")
        assert "input_boolean.alphaess_helper_force_discharging" in data["message"]
        assert "the detail" in data["message"]
        assert "1. " in data["message"]
        assert data["title"] == "Discharge Stop Failed"


async def test_only_the_companion_app_gets_what_breaks_through(told: House, phones: Phones) -> None:
    told.runtime.coordinator.set_error_state(ErrorState.OVER_EXPORT)
    await told.settle()
    assert phones.to(PHONE)[0]["data"] == {
        "tag": "export_monitor_over_export",
        "push": {
            "interruption-level": "critical",
            "sound": {"name": "default", "critical": 1, "volume": 1.0},
        },
        "ttl": 0,
        "priority": "high",
        "channel": "alarm_stream",
    }
    assert "data" not in phones.to(OLD)[0]
    assert "data" not in phones.to(ENTITY)[0]


@pytest.mark.parametrize(
    "error", [ErrorState.NO_DATA, ErrorState.START_FAILED, ErrorState.BATTERY_NOT_RESPONDING]
)
async def test_what_can_wait_until_morning_wakes_nobody(
    told: House, phones: Phones, error: ErrorState
) -> None:
    told.runtime.coordinator.set_error_state(error)
    await told.advance(5)
    told.runtime.coordinator.clear_error_state(error)
    await told.settle()
    assert phones.sent == []


async def test_who_was_alarmed_gets_one_all_clear(told: House, phones: Phones) -> None:
    phones.how[OLD] = "raise"
    told.runtime.coordinator.set_error_state(ErrorState.STOP_FAILED)
    await told.advance(5)
    phones.how.clear()
    phones.sent.clear()
    told.runtime.control.withdraw(ErrorState.STOP_FAILED)
    await told.advance(120)
    assert phones.to(OLD) == []  # it never heard of the alarm
    (clear,) = phones.to(PHONE)
    assert "proven" in clear["message"]
    assert clear["data"]["tag"] == "export_monitor_discharge_stop_failed"  # replaces the alarm
    assert len(phones.to(ENTITY)) == 1


async def test_what_is_only_acknowledged_gets_no_all_clear(told: House, phones: Phones) -> None:
    told.runtime.coordinator.set_error_state(ErrorState.OVER_EXPORT)
    await told.settle()
    phones.sent.clear()
    told.runtime.coordinator.clear_error_state(ErrorState.OVER_EXPORT)
    await told.advance(10)
    assert phones.sent == []
    assert told.notification("over_export") is None


async def test_a_reload_shows_again_what_stands_and_wakes_nobody_for_it(
    told: House, phones: Phones
) -> None:
    control = told.runtime.control
    control.report(ErrorState.OVER_EXPORT, "0.64 > 0.60 kWh")
    (before,) = control.errors.standing
    await told.advance(60)
    phones.sent.clear()
    assert await told.hass.config_entries.async_reload(told.entry.entry_id)
    await told.advance(10)
    assert phones.sent == []
    assert "0.64 > 0.60 kWh" in (told.notification("over_export") or "")
    assert told.runtime.control.errors.standing == (before,)  # since when, and how often


async def test_a_reload_alarms_again_for_a_stop_that_is_unproven(
    told: House, phones: Phones
) -> None:
    await told.discharge(30)
    told.plant.faults.on(Fault.DROP)
    with pytest.raises(HomeAssistantError):
        await told.call("stop_discharge")
    phones.sent.clear()
    assert await told.hass.config_entries.async_reload(told.entry.entry_id)
    await told.advance(10)
    (again,) = phones.to(PHONE)
    assert again["title"] == "Discharge Stop Failed"


async def test_an_alarm_that_is_repeated_is_sent_once(told: House, phones: Phones) -> None:
    for _ in range(4):
        told.runtime.coordinator.set_error_state(ErrorState.STOP_FAILED)
        await told.advance(30)
    assert len(phones.to(PHONE)) == 1


async def test_a_phone_that_was_away_is_told_when_it_is_back(told: House, phones: Phones) -> None:
    phones.how[PHONE] = "raise"
    told.runtime.coordinator.set_error_state(ErrorState.STOP_FAILED)
    await told.advance(200)
    assert phones.to(PHONE) == []
    tries = phones.tries.count(PHONE)
    assert 3 <= tries <= 8
    phones.how.clear()
    await told.advance(400)
    assert len(phones.to(PHONE)) == 1


async def test_a_dead_channel_delays_neither_the_stop_nor_the_others(
    told: House, phones: Phones
) -> None:
    phones.how = {PHONE: "hang", OLD: "raise"}
    told.options(fixed_limit=10)
    await told.settle()
    await told.discharge(20)
    told.lie("input_boolean", "turn_off")
    told.lie("input_button", "press")
    task = told.ask("stop_discharge")
    await told.advance(20)
    with pytest.raises(HomeAssistantError):
        task.result()
    assert len(phones.to(ENTITY)) == 1
    assert told.entity("error_state") == "discharge_stop_failed"
    told.services.clear()
    await told.advance(60, until=lambda: told.state.phase is Phase.IDLE)
    assert not told.discharging
    await told.advance(5)
    assert told.entity("system_health") == "Healthy"
    assert len(phones.to(ENTITY)) == 2


async def test_a_dead_channel_opens_its_own_circuit_and_nothing_else(
    told: House, phones: Phones, caplog: pytest.LogCaptureFixture
) -> None:
    phones.how[PHONE] = "raise"
    for _ in range(3):
        await told.call("emergency_alert", message="test")
    circuits = told.attributes("statistics")["resilience"]["circuits"]
    assert circuits[PHONE]["state"] == "open"
    assert circuits[PHONE]["failures"] == 3
    assert circuits[OLD]["state"] == circuits["battery_commands"]["state"] == "closed"
    assert told.entity("system_health") == "Healthy"
    assert told.entity("circuit_breaker_status") == "Closed"
    assert caplog.text.count(f"{PHONE} took no message") == 1
    phones.how.clear()
    await told.advance(31)
    for _ in range(2):
        answer = await told.call("emergency_alert", message="test")
    assert answer["delivery"][PHONE] == "ok"
    assert caplog.text.count(f"{PHONE} takes messages again") == 1
    circuits = told.attributes("statistics")["resilience"]["circuits"]
    assert circuits[PHONE]["state"] == "closed"


async def test_a_reload_says_no_all_clear(told: House, phones: Phones) -> None:
    told.runtime.coordinator.set_error_state(ErrorState.OVER_EXPORT)
    await told.settle()
    phones.sent.clear()
    assert await told.hass.config_entries.async_reload(told.entry.entry_id)
    await told.advance(10)
    assert not [data for _, data in phones.sent if "clear" in data["title"].lower()]


async def test_a_run_that_is_over_no_longer_tries_to_reach_anybody(
    told: House, phones: Phones
) -> None:
    phones.how[PHONE] = "raise"
    told.runtime.coordinator.set_error_state(ErrorState.OVER_EXPORT)
    await told.advance(5)
    assert await told.hass.config_entries.async_reload(told.entry.entry_id)
    await told.settle()
    told.runtime.coordinator.clear_error_state()
    phones.tries.clear()
    await told.advance(300)
    assert phones.tries.count(PHONE) == 0


async def test_an_all_clear_follows_an_alarm_that_is_still_on_its_way(
    told: House, phones: Phones
) -> None:
    phones.how[OLD] = "hang"
    told.runtime.coordinator.set_error_state(ErrorState.STOP_FAILED)
    await told.advance(2)
    phones.how.clear()
    told.runtime.control.withdraw(ErrorState.STOP_FAILED)
    await told.advance(2)
    (clear,) = phones.to(OLD)
    assert "proven" in clear["message"]


async def test_a_registered_entity_is_told_as_an_entity(house: House, phones: Phones) -> None:
    er.async_get(house.hass).async_get_or_create(
        "notify", "pushover", "x", suggested_object_id="pushover"
    )
    house.hass.states.async_set(OLD, "unknown")
    await house.set_up(notify_targets=[OLD])
    await house.call("emergency_alert", message="hello")
    assert phones.to(OLD)[0]["entity_id"] == OLD


async def test_a_target_that_is_not_there_is_named(house: House, phones: Phones) -> None:
    await house.set_up(notify_targets=["notify.gone"])
    answer = await house.call("emergency_alert", message="hello")
    assert answer["delivery"] == {"persistent_notification": "ok", "notify.gone": "unavailable"}
    assert house.entity("system_health") == "Healthy"


# The emergency alert


async def test_an_emergency_alert_tells_everybody_and_says_who_took_it(
    told: House, phones: Phones
) -> None:
    phones.how[OLD] = "raise"
    answer = await told.call("emergency_alert", message="Water in the {cellar}")
    assert answer == {
        "delivery": {
            "persistent_notification": "ok",
            PHONE: "ok",
            OLD: "failed",
            ENTITY: "ok",
        }
    }
    assert told.notification("emergency_alert") == "Water in the {cellar}"
    assert phones.to(PHONE)[0]["message"] == "Water in the {cellar}"
    assert phones.to(PHONE)[0]["data"]["channel"] == "alarm_stream"
    assert told.entity("statistics") == "3"


@pytest.mark.parametrize("severity", ["info", "warning"])
async def test_only_a_critical_alert_breaks_through(
    told: House, phones: Phones, severity: str
) -> None:
    await told.call("emergency_alert", message="Tea is ready", severity=severity)
    assert phones.to(PHONE)[0]["data"] == {"tag": "export_monitor_emergency_alert"}
    assert severity in phones.to(PHONE)[0]["title"]


async def test_an_alert_of_unknown_severity_is_refused(told: House, phones: Phones) -> None:
    with pytest.raises((vol.Invalid, ServiceValidationError)):
        await told.call("emergency_alert", message="Tea is ready", severity="boundless")
    assert phones.sent == []


async def test_an_alert_can_be_sent_without_asking_for_the_answer(told: House) -> None:
    answers = told.hass.services.supports_response("export_monitor", "emergency_alert")
    assert answers is SupportsResponse.OPTIONAL
