"""The heartbeat and the events that the ingestor guards and records by."""

import itertools
from typing import Any

from homeassistant.const import MATCH_ALL
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers.dispatcher import async_dispatcher_connect
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import MockHAClientWebSocket, WebSocketGenerator

from custom_components.export_monitor import const
from custom_components.export_monitor.pulse import HEARTBEAT
from tests.integration.house import House

BEAT, ACTIVITY = "export_monitor_heartbeat", "export_monitor_event"


class Heard:
    """What was said, with the house's time."""

    def __init__(self, house: House) -> None:
        self.house = house
        self.beats: list[tuple[float, dict[str, Any]]] = []
        self.activities: list[dict[str, Any]] = []
        async_dispatcher_connect(house.hass, HEARTBEAT, self._beat)
        house.hass.bus.async_listen(ACTIVITY, self._activity)

    @callback
    def _beat(self, beat: dict[str, Any]) -> None:
        self.beats.append((self.house.plant.elapsed_s, beat))

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


# The subscription


@pytest.fixture
async def socket(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> MockHAClientWebSocket:
    # The test's web server takes no more addresses once it runs.
    assert await async_setup_component(hass, const.DOMAIN, {})
    return await hass_ws_client(hass)


async def _subscribe(socket: MockHAClientWebSocket) -> dict[str, Any]:
    await socket.send_json_auto_id({"type": "export_monitor/heartbeat"})
    answer: dict[str, Any] = await socket.receive_json()
    return answer


async def _beat(socket: MockHAClientWebSocket) -> dict[str, Any]:
    message = await socket.receive_json()
    assert message["type"] == "event", message
    event: dict[str, Any] = message["event"]
    assert event["event_type"] == BEAT
    assert event["time_fired"] == event["data"]["sent_at"]
    data: dict[str, Any] = event["data"]
    return data


async def test_a_subscriber_hears_at_once_how_things_are_and_then_each_beat(
    house: House, socket: MockHAClientWebSocket
) -> None:
    await house.set_up()
    await house.advance(10)
    answer = await _subscribe(socket)
    assert answer["success"]
    first = await _beat(socket)
    assert (first["sequence"], first["interval_seconds"], first["session_id"]) == (1, 60, None)
    await house.advance(52)  # a minute and more after the first beat: it was put off
    await socket.send_json_auto_id({"type": "ping"})
    assert (await socket.receive_json())["type"] == "pong"
    await house.discharge(12)
    heard = [await _beat(socket) for _ in range(3)]
    assert {beat["session_id"] for beat in heard} == {house.state.session.id}
    assert [beat["sequence"] for beat in heard] == [2, 3, 4]
    assert heard[-1]["interval_seconds"] == 3
    assert heard[-1]["entry_id"] == house.entry.entry_id


async def test_a_subscription_outlives_a_reload_and_ends_when_told(
    house: House, socket: MockHAClientWebSocket
) -> None:
    await house.set_up()
    answer = await _subscribe(socket)
    assert (await _beat(socket))["sequence"] == 1
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.settle()
    assert (await _beat(socket))["sequence"] == 0
    message = {"type": "unsubscribe_events", "subscription": answer["id"]}
    await socket.send_json_auto_id(message)
    assert (await socket.receive_json())["success"]
    await house.discharge(12)  # beats every 3 s, which nobody is told
    await socket.send_json_auto_id({"type": "ping"})
    assert (await socket.receive_json())["type"] == "pong"


async def test_only_an_administrator_may_listen(
    hass: HomeAssistant,
    hass_ws_client: WebSocketGenerator,
    hass_read_only_access_token: str,
) -> None:
    assert await async_setup_component(hass, const.DOMAIN, {})
    socket = await hass_ws_client(hass, hass_read_only_access_token)
    answer = await _subscribe(socket)
    assert (answer["success"], answer["error"]["code"]) == (False, "unauthorized")


async def test_no_heartbeat_reaches_the_bus_and_so_none_the_recorder(
    house: House, heard: Heard
) -> None:
    fired: list[str] = []

    @callback
    def listen(event: Event[Any]) -> None:
        fired.append(str(event.event_type))

    house.hass.bus.async_listen(MATCH_ALL, listen)
    await house.set_up()
    await house.discharge(12)
    assert len(heard.beats) > 3
    assert ACTIVITY in fired
    assert BEAT not in fired
