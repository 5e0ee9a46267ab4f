"""What the logbook says of an event, in Home Assistant's language and in plain words."""

from collections.abc import Callable
from typing import Any

from homeassistant.core import Event, callback
from homeassistant.helpers.translation import async_load_integrations
import pytest

from custom_components.export_monitor import const, logbook
from tests.integration.house import House

ACTIVITY = "export_monitor_event"


async def lines(house: House, *events: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the logbook's lines for events of the bus."""
    described = {}

    def describe(domain: str, event_type: str, line: Callable[[Event], dict[str, Any]]) -> None:
        described[domain, event_type] = line

    logbook.async_describe_events(house.hass, describe)
    line = described[const.DOMAIN, ACTIVITY]
    return [line(Event(ACTIVITY, each)) for each in events]


@pytest.fixture
async def told(ready: House) -> list[dict[str, Any]]:
    """Return the events of the bus from now on."""
    heard: list[dict[str, Any]] = []

    @callback  # anything else would run in threads, in no order
    def hear(event: Event[Any]) -> None:
        heard.append(dict(event.data))

    ready.hass.bus.async_listen(ACTIVITY, hear)
    return heard


async def test_a_discharge_is_a_story_with_a_reason_and_an_end(
    ready: House, told: list[dict[str, Any]]
) -> None:
    await ready.discharge(30)
    await ready.call("stop_discharge")
    await ready.settle()
    written = await lines(ready, *told)
    assert {line["name"] for line in written} == {"Export Monitor"}
    assert {line["entity_id"] for line in written} == {"sensor.export_monitor_discharge_status"}
    texts = [line["message"] for line in written]
    assert "Discharge started" in texts
    assert "Command to the battery: power 3000" in texts
    assert "Discharge is being stopped: somebody asked for it" in texts
    assert "The battery has proven that the discharge stopped" in texts
    assert texts[-1].startswith("Discharge ended: somebody asked for it, 0.0")
    assert texts[-1].endswith(" kWh")


async def test_an_error_has_the_title_of_its_notification(ready: House) -> None:
    raised = {"type": "error_raised", "error": "discharge_stop_failed"}
    silent = {"type": "error_cleared", "error": "mode_conflict"}
    unknown = {"type": "error_raised", "error": "of_tomorrow"}
    assert [line["message"] for line in await lines(ready, raised, silent, unknown)] == [
        "Error: Discharge Stop Failed",
        "No longer an error: mode_conflict",
        "Error: of_tomorrow",
    ]


async def test_a_refusal_says_what_its_caller_was_told(ready: House) -> None:
    refused = {"type": "start_refused", "reason": "target_zero"}
    odd = {"type": "start_refused", "reason": ""}
    (line, other) = await lines(ready, refused, odd)
    assert line["message"].startswith("Not started: the target export is 0 W")
    assert "{" not in line["message"]
    assert other["message"] == "Start refused"


async def test_a_charge_is_told_as_one(ready: House) -> None:
    charge = {"session_kind": "charge", "session_charged_kwh": 2.5}
    started = {"type": "session_started", **charge}
    ended = {"type": "session_ended", "reason": "full", **charge}
    assert [line["message"] for line in await lines(ready, started, ended)] == [
        "Charge started",
        "Charge ended: battery full, 2.50 kWh",
    ]


async def test_an_event_of_an_entry_that_is_gone_or_of_a_later_release_is_told_still(
    ready: House,
) -> None:
    (line,) = await lines(ready, {"type": "of_tomorrow", "entry_id": "gone"})
    assert line["name"] == "Export Monitor"
    assert line["message"] == "of_tomorrow"
    assert "entity_id" not in line


async def test_it_speaks_german(ready: House) -> None:
    ready.hass.config.language = "de"
    await async_load_integrations(ready.hass, {const.DOMAIN})
    ended = {"type": "session_ended", "reason": "soc_floor", "session_exported_kwh": 1.5}
    text = logbook.message(ready.hass, ended)
    assert text == "Entladung beendet: Mindestladestand erreicht, 1.50 kWh"
