"""What the card gets: its module from the web server, and the outlook over the WebSocket."""

from datetime import timedelta
from typing import Any

from homeassistant.components.frontend import DATA_EXTRA_MODULE_URL
from homeassistant.core import HomeAssistant
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.typing import (
    ClientSessionGenerator,
    MockHAClientWebSocket,
    WebSocketGenerator,
)

from custom_components.export_monitor import const
from tests.integration.house import House

CARBON = "sensor.carbon_intensity"


def _rates(house: House, *values: int, past: int = 0) -> None:
    """Let a carbon source say what holds in half hours, some of which are over."""
    half = timedelta(minutes=30)
    begin = house.EVENING - past * half
    rows = [
        {"from": begin + i * half, "to": begin + (i + 1) * half, "intensity": value}
        for i, value in enumerate(values)
    ]
    house.hass.states.async_set(CARBON, str(values[0]), {"forecast": rows})


async def _watch(client: MockHAClientWebSocket, entry_id: str) -> dict[str, Any]:
    """Subscribe; return the answer and, where it is one, the first outlook."""
    await client.send_json_auto_id({"type": "export_monitor/outlook", "config_entry_id": entry_id})
    answer: dict[str, Any] = await client.receive_json()
    return answer


async def _next(client: MockHAClientWebSocket) -> dict[str, Any]:
    message = await client.receive_json()
    assert message["type"] == "event"
    event: dict[str, Any] = message["event"]
    return event


# The module


async def test_the_module_is_served_under_an_address_that_changes_with_it(
    hass: HomeAssistant, hass_client: ClientSessionGenerator
) -> None:
    assert await async_setup_component(hass, "frontend", {})
    assert await async_setup_component(hass, const.DOMAIN, {})
    (url,) = [u for u in hass.data[DATA_EXTRA_MODULE_URL].urls if const.DOMAIN in u]
    client = await hass_client()
    for path in (url, url.replace("export-monitor.js", "texts/de.js")):
        answer = await client.get(path)
        assert answer.status == 200
        assert "javascript" in answer.headers["Content-Type"]
        assert "max-age" in answer.headers["Cache-Control"]
    stale = url.replace(url.split("/")[2], "0" * 12)
    assert (await client.get(stale)).status == 404


async def test_without_a_frontend_it_is_set_up_all_the_same(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, const.DOMAIN, {})
    assert DATA_EXTRA_MODULE_URL not in hass.data


# The outlook


@pytest.fixture
async def socket(hass: HomeAssistant, hass_ws_client: WebSocketGenerator) -> MockHAClientWebSocket:
    # The test's web server takes no more addresses once it runs.
    assert await async_setup_component(hass, const.DOMAIN, {})
    return await hass_ws_client(hass)


async def test_it_begins_with_what_holds_now(house: House, socket: MockHAClientWebSocket) -> None:
    _rates(house, 200, 150, 100)
    await house.set_up(wiring={const.CONF_CARBON: CARBON})
    await house.advance(70)
    assert (await _watch(socket, house.entry.entry_id))["success"]
    outlook = await _next(socket)
    assert outlook["loaded"] is True
    assert outlook["session"] is None
    assert outlook["absent"] == "off"
    assert outlook["windows"] == []
    (curve,) = outlook["rates"]
    assert (curve["kind"], curve["unit"]) == ("carbon", "g CO₂/kWh")
    assert [slot[2] for slot in curve["slots"]] == [200, 150, 100]
    assert curve["slots"][0][0] == house.EVENING.isoformat()


async def test_rates_of_the_past_and_of_the_day_after_tomorrow_are_left_out(
    house: House, socket: MockHAClientWebSocket
) -> None:
    _rates(house, *range(100, 220), past=3)  # 60 hours
    await house.set_up(wiring={const.CONF_CARBON: CARBON})
    await house.advance(70)
    assert (await _watch(socket, house.entry.entry_id))["success"]
    (curve,) = (await _next(socket))["rates"]
    assert curve["slots"][0][2] == 103
    assert len(curve["slots"]) == 75  # 37 hours, and the half hour that runs


async def test_a_session_is_told_when_it_begins_and_when_it_is_over(
    ready: House, socket: MockHAClientWebSocket
) -> None:
    await _watch(socket, ready.entry.entry_id)
    assert (await _next(socket))["session"] is None
    await ready.discharge()
    begun = await _next(socket)
    assert begun["session"]["kind"] == "discharge"
    assert begun["session"]["phase"] == "starting"
    await ready.call("stop_discharge")
    phases = []
    while (told := await _next(socket))["session"] is not None:
        phases.append(told["session"]["phase"])
    assert phases == ["active", "stopping"]


async def test_what_has_not_changed_is_not_said_again(
    ready: House, socket: MockHAClientWebSocket
) -> None:
    await _watch(socket, ready.entry.entry_id)
    await _next(socket)
    await ready.advance(60)
    await socket.send_json_auto_id({"type": "ping"})
    assert (await socket.receive_json())["type"] == "pong"


async def test_it_lives_through_a_reload_and_ends_when_asked(
    ready: House, socket: MockHAClientWebSocket
) -> None:
    await _watch(socket, ready.entry.entry_id)
    subscription = 1
    assert (await _next(socket))["loaded"] is True
    assert await ready.hass.config_entries.async_reload(ready.entry.entry_id)
    assert (await _next(socket))["loaded"] is False
    assert (await _next(socket))["loaded"] is True
    await socket.send_json_auto_id({"type": "unsubscribe_events", "subscription": subscription})
    assert (await socket.receive_json())["success"]
    await ready.discharge()
    await socket.send_json_auto_id({"type": "ping"})
    assert (await socket.receive_json())["type"] == "pong"


async def test_an_entry_of_somebody_else_has_no_outlook(
    ready: House, socket: MockHAClientWebSocket
) -> None:
    answer = await _watch(socket, "nobody")
    assert answer["error"]["code"] == "not_found"
