"""The heartbeat and the events that the ingestor guards and records by."""

import itertools
from typing import Any

from homeassistant.core import Event, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from tests.integration.house import House

BEAT, ACTIVITY = "export_monitor_heartbeat", "export_monitor_event"


class Heard:
    """What was said on the bus, with the house's time."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.beats: list[tuple[float, dict[str, Any]]] = []
        self.activities: list[dict[str, Any]] = []
        house.hass.bus.async_listen(BEAT, self._beat)
        house.hass.bus.async_listen(ACTIVITY, self._activity)

    @callback
    def _beat(self, event: Event[Any]) -> None:
        self.beats.append((self.house.plant.elapsed_s, dict(event.data)))

    @callback
    def _activity(self, event: Event[Any]) -> None:
        self.activities.append(dict(event.data))

    def types(self, *without: str) -> list[str]:
        return [each["type"] for each in self.activities if each["type"] not in without]


@pytest.fixture
def heard(house: House) -> Heard:
    return Heard(house)


async def test_it_beats_every_minute_at_rest_and_every_three_seconds_in_a_session(
    house: House, heard: Heard
) -> None:
    await house.set_up()
    await house.advance(130)
    assert [round(at) for at, _ in heard.beats] == [0, 60, 120]
    assert [beat["sequence"] for _, beat in heard.beats] == [0, 1, 2]
    resting = heard.beats[-1][1]
    assert resting["interval_seconds"] == 60
    assert resting["discharge_active"] is False
    assert resting["session_id"] is None
    heard.beats.clear()
    await house.discharge(12)
    times = [at for at, _ in heard.beats]
    assert all(later - earlier <= 3 for earlier, later in itertools.pairwise(times))
    running = heard.beats[-1][1]
    assert running["interval_seconds"] == 3
    assert running["discharge_active"] is True
    assert running["session_id"] == house.state.session.id
    assert running["session_exported_kwh"] == pytest.approx(house.state.session.exported_kwh)
    assert running["system_health"] == "Healthy"
    assert running["error_state"] == "none"


async def test_a_session_is_told_from_its_start_to_its_proven_end(
    house: House, heard: Heard
) -> None:
    await house.set_up()
    await house.discharge()
    session = house.state.session.id
    await house.call("stop_discharge")
    assert heard.types("command") == [
        "session_started",
        "stop_requested",
        "stop_proven",
        "session_ended",
    ]
    assert {each["session_id"] for each in heard.activities} == {session}
    commands = [each["command"] for each in heard.activities if each["type"] == "command"]
    assert commands[:4] == ["power", "cutoff", "duration", "switch_on"]
    assert "switch_off" in commands
    end = heard.activities[-1]
    assert end["reason"] == "user"
    assert end["session_exported_kwh"] == pytest.approx(0.01, abs=0.02)
    await house.advance(5)
    assert heard.beats[-1][1]["discharge_active"] is False  # at once, not after a minute


async def test_a_refusal_and_an_alarm_are_told(house: House, heard: Heard) -> None:
    await house.set_up(target_export=0)
    with pytest.raises(ServiceValidationError, match="target"):
        await house.call("start_discharge")
    assert heard.types() == ["start_refused"]
    assert heard.activities[0]["reason"] == "target_zero"
    house.options(target_export=3000)
    await house.discharge()
    house.lie("input_boolean", "turn_off")
    house.lie("input_button", "press")
    stop = house.ask("stop_discharge")
    await house.advance(20)
    with pytest.raises(HomeAssistantError, match="not proven"):
        await stop
    raised = [each for each in heard.activities if each["type"] == "error_raised"]
    assert [each["error"] for each in raised] == ["discharge_stop_failed"]
    assert raised[0]["error_state"] == "discharge_stop_failed"


async def test_nothing_is_said_any_more_after_an_unload(house: House, heard: Heard) -> None:
    await house.set_up()
    assert await house.hass.config_entries.async_unload(house.entry.entry_id)
    heard.beats.clear()
    await house.advance(130)
    assert heard.beats == []


async def test_the_end_of_a_session_is_told_though_its_entry_was_unloaded(
    house: House, heard: Heard
) -> None:
    await house.set_up()
    await house.discharge()
    assert await house.hass.config_entries.async_unload(house.entry.entry_id)
    await house.advance(40)
    assert heard.types("command")[-1] == "session_ended"
    assert heard.activities[-1]["reason"] == "unload"
    heard.beats.clear()
    await house.advance(130)
    assert heard.beats == []
