"""The inverter out of reach, and an inverter that lies: what is followed until it is proven."""

import asyncio
from datetime import UTC, datetime
import time

import pytest

from simulator.ha_client import HomeAssistantError
from tests.e2e.world import (
    DOMAIN,
    ERROR,
    FULL_RESET,
    HEALTH,
    LOAD_W,
    POWER_W,
    STATUS,
    SWITCH,
    World,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

ALARM = "discharge_stop_failed"
NOTIFICATION = f"{DOMAIN}_{ALARM}"


async def test_a_stop_that_lies_is_followed_by_the_full_reset_without_an_alarm(
    world: World,
) -> None:
    history = await _past_errors(world)
    await world.simulator.set_plant(load_w=3000)
    await world.discharge()
    await world.simulator.fault("ignore_stop")
    began = time.monotonic()
    answer = await world.act("stop_discharge")
    world.timeline.say(f"proven after {time.monotonic() - began:.1f} s")
    assert answer["proof"] == "dispatch"
    stops = [write for write in await world.simulator.writes() if write["values"][0] == 0]
    ignored = [write for write in stops if not write["obeyed"]]
    assert ignored, "the stop did not lie"
    assert len(stops[-1]["values"]) > 1
    assert any(len(write["values"]) == 1 and write["obeyed"] for write in stops[-2:])
    truth = await world.simulator.truth()
    assert not truth["dispatch_active"]
    assert truth["battery_w"] == pytest.approx(3000, abs=150)  # it goes on feeding the house
    assert truth["grid_w"] > -150
    # And that draws no alarm afterwards either: two minutes of errors would show within seconds.
    assert await _past_errors(world) == history
    assert (await world.client.wait_for(ERROR, lambda _: True)).state == "none"
    assert await world.notifications() == {}


async def test_ten_seconds_without_a_link_do_not_leave_the_inverter_exporting(
    world: World,
) -> None:
    await world.discharge()
    await world.simulator.fault("drop", for_s=10)
    await world.client.wait_for(SWITCH, "off", 8)  # the package's own reset, into the dead link
    truth = await world.until(lambda truth: not truth["faults"], 12)
    assert truth["dispatch_active"]
    assert truth["battery_w"] > 0.9 * POWER_W
    back = time.monotonic()
    await world.until(lambda truth: not truth["dispatch_active"], 60)
    world.timeline.say(f"stopped {time.monotonic() - back:.1f} s after the link was back")
    status = await world.client.wait_for(STATUS, "Complete", 20)
    assert status.attributes["reason"] == "external"
    assert status.attributes["proof"] in ("dispatch", "battery_power")
    assert await world.notifications() == {}
    assert not (await world.simulator.truth())["dispatch_active"]


async def test_a_house_that_draws_as_much_as_the_dispatch_proves_no_stop(world: World) -> None:
    await world.simulator.set_plant(load_w=POWER_W)
    await world.discharge()
    await world.simulator.fault("drop", for_s=20)
    await world.simulator.fault("ignore_stop", times=2)  # the first full reset after that is lost
    await world.client.wait_for(SWITCH, "off", 8)
    # The next attempt after the alarm comes 30 s after the lost one.
    status = await world.client.wait_for(STATUS, "Complete", 110)
    truth = await world.simulator.truth()
    assert not truth["dispatch_active"], f"said to be proven by {status.attributes['proof']}"


async def test_an_inverter_unplugged_when_the_stop_is_due(world: World) -> None:
    session = await world.discharge()
    await world.simulator.fault("drop")
    due = datetime.now(UTC)
    stop = asyncio.create_task(world.act("stop_discharge", reason="unplugged"))
    error = await world.client.wait_for(ERROR, ALARM, 20)
    late = (datetime.fromisoformat(error.attributes["since"]) - due).total_seconds()
    world.timeline.say(f"alarm {late:.2f} s after the stop was due")
    with pytest.raises(HomeAssistantError, match="not proven yet"):
        await stop
    health = await world.client.wait_for(HEALTH, "Error", 1)
    assert health.attributes["discharge_active"] is True  # nobody claims that it has ended
    assert (await world.status()).state == "Error"
    assert (await world.status()).attributes["ended"] is None

    told = (await world.notifications())[NOTIFICATION]
    assert told["title"] == "Discharge Stop Failed"
    world.timeline.say(told["message"])
    for words in ("may still be discharging", SWITCH, "\n1. ", "\n4. ", "when the stop is proven"):
        assert words in told["message"]
    assert "{" not in told["message"]
    assert (await world.repairs())[ALARM]["severity"] == "critical"

    assert (await world.simulator.truth())["battery_w"] > 0.9 * POWER_W  # it was no false alarm
    pressed = await world.client.wait_for(FULL_RESET, lambda _: True)
    await world.client.wait_for(FULL_RESET, lambda s: s.state > pressed.state, 35)

    await world.simulator.clear_faults()
    back = time.monotonic()
    await world.client.wait_for(ERROR, "none", 60)
    world.timeline.say(f"stop proven {time.monotonic() - back:.1f} s after the link was back")
    assert not (await world.simulator.truth())["dispatch_active"]
    await world.until(lambda truth: truth["battery_w"] < LOAD_W + 100, 5)
    status = await world.status()
    assert status.state == "Complete"
    assert status.attributes["session_id"] == session
    assert status.attributes["proof"] in ("dispatch", "battery_power")
    assert NOTIFICATION not in await world.notifications()
    assert await world.repairs() == {}
    await world.client.wait_for(HEALTH, "Healthy", 120)
    assert late <= 15.1  # by Home Assistant's clock, from before it was asked


async def test_a_signal_to_end_home_assistant_stops_the_battery_first(world: World) -> None:
    session = await world.discharge()
    assert await world.hass.stop() == 0  # SIGTERM
    truth = await world.simulator.truth()
    assert not truth["dispatch_active"]
    assert truth["battery_w"] < LOAD_W + 100
    stored = world.record()
    assert stored["session"] is None
    assert stored["last"]["id"] == session
    assert stored["last"]["reason"] == "unload"
    assert stored["last"]["ended"] is not None


async def _past_errors(world: World) -> list[object]:
    error = await world.client.wait_for(ERROR, lambda _: True)
    errors: list[object] = error.attributes["last_errors"]
    return errors
