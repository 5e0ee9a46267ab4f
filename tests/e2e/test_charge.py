"""A charge in a real Home Assistant, judged by the simulated plant's truth."""

import asyncio

import pytest

from simulator.ha_client import HomeAssistantError
from tests.e2e.world import DOMAIN, FULL_RESET, STATUS, World, complaints, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

CHARGE_SWITCH = "input_boolean.alphaess_helper_force_charging"
SOC = "sensor.alphaess_soc_battery"
LOW_SOC = 60  # well below the 80 % that the world rests at
CHARGE_W = 3600.0  # 3.68 kW in the helper's steps


async def _charge(world: World, **limits: float) -> str:
    """Start a charge and return its session's id once the battery really takes its power."""
    await world.simulator.set_plant(soc=50)
    await world.client.wait_for(SOC, lambda s: s.number < LOW_SOC, 20)
    answer = await world.client.call(DOMAIN, "start_charge", answer=True, **limits)
    await world.until(lambda truth: truth["battery_w"] < -0.9 * CHARGE_W, 10)
    session_id: str = answer["session_id"]
    assert answer["kind"] == "charge"
    return session_id


async def _switch(world: World) -> str:
    return (await world.client.wait_for(CHARGE_SWITCH, lambda _: True)).state


async def test_it_charges_and_stops_with_proof(world: World) -> None:
    session = await _charge(world)
    before = await world.simulator.truth()
    after = await world.until(lambda truth: truth["soc"] > before["soc"] + 0.1, 60)
    assert after["exported_kwh"] == before["exported_kwh"]
    assert await _switch(world) == "on"
    with pytest.raises(HomeAssistantError) as refused:
        await world.act("start_discharge")
    assert "running already" in refused.value.text
    world.timeline.say(f"charging: {after['battery_w']:.0f} W, {after['soc']:.2f} %")
    answer = await world.client.call(DOMAIN, "stop_charge", answer=True, reason="seen enough")
    assert answer["session_id"] == session
    assert answer["reason"] == "user"
    assert answer["proof"] == "dispatch"
    assert answer["charged_kwh"] > 0
    truth = await world.simulator.truth()
    assert not truth["dispatch_active"]
    assert truth["battery_w"] >= 0
    assert await _switch(world) == "off"
    status = await world.client.wait_for(STATUS, lambda s: s.attributes["ended"] is not None, 10)
    assert (status.attributes["session_id"], status.attributes["kind"]) == (session, "charge")


async def test_it_ends_by_itself_when_it_has_taken_what_was_asked_for(world: World) -> None:
    await world.package_rests()
    before = await world.simulator.truth()
    await _charge(world, energy_kwh=0.05)
    ended = await world.client.wait_for(STATUS, lambda s: s.attributes["ended"] is not None, 120)
    truth = await world.simulator.truth()
    assert ended.attributes["reason"] == "target_reached"
    assert 0.04 <= truth["charged_kwh"] - before["charged_kwh"] <= 0.055
    assert not truth["dispatch_active"]


async def test_a_reload_in_mid_charge_resumes_it(world: World) -> None:
    await world.package_rests()
    session = await _charge(world)
    before = await world.simulator.writes()
    await world.client.reload_entry(world.entry_id)
    status = await world.client.wait_for(STATUS, lambda s: s.state != "unavailable", 20)
    assert status.attributes["session_id"] == session
    assert status.attributes["ended"] is None
    assert (await world.simulator.truth())["battery_w"] < -0.9 * CHARGE_W
    assert len(await world.simulator.writes()) == len(before)
    # Whoever presses the wrong one of two stops is served as well.
    answer = await world.client.call(DOMAIN, "stop_discharge", answer=True)
    assert answer["session_id"] == session
    await world.until(lambda truth: not truth["dispatch_active"], 5)


async def test_disabling_the_entry_in_mid_charge_stops_it(world: World) -> None:
    await world.package_rests()
    session = await _charge(world)
    await world.client.disable_entry(world.entry_id)
    await world.until(lambda truth: not truth["dispatch_active"], 25)
    await world.client.disable_entry(world.entry_id, disabled=False)
    status = await world.client.wait_for(
        STATUS, lambda s: s.state != "unavailable" and s.attributes["ended"] is not None, 30
    )
    assert status.attributes["session_id"] == session
    assert status.attributes["reason"] == "unload"


async def test_a_stop_that_lies_is_brought_by_the_full_reset(world: World) -> None:
    await world.package_rests()
    await _charge(world)
    await world.simulator.fault("ignore_stop")
    pressed = (await world.client.wait_for(FULL_RESET, lambda _: True)).state
    answer = await world.client.call(DOMAIN, "stop_charge", answer=True)
    assert answer["proof"] == "dispatch"
    assert not (await world.simulator.truth())["dispatch_active"]
    assert (await world.client.wait_for(FULL_RESET, lambda _: True)).state != pressed


async def test_a_charge_of_the_users_own_is_left_alone(world: World) -> None:
    await world.package_rests()
    for name, value in (("power", 1), ("duration", 60), ("cutoff_soc", 100)):
        await world.client.call(
            "input_number",
            "set_value",
            entity_id=f"input_number.alphaess_helper_force_charging_{name}",
            value=value,
        )

    async def stays() -> bool:
        await world.client.call("input_boolean", "turn_on", entity_id=CHARGE_SWITCH)
        await asyncio.sleep(3)
        return await _switch(world) == "on"

    await until(stays, bool, 40)
    await world.until(lambda truth: truth["battery_w"] < -900, 10)
    with pytest.raises(HomeAssistantError) as refused:
        await world.act("start_discharge")
    assert "another battery mode is on" in refused.value.text
    with pytest.raises(HomeAssistantError) as refused:
        await world.act("start_charge")
    assert "running already" in refused.value.text
    assert await _switch(world) == "on"
    answer = await world.act("stop_charge")  # not silently: its owner asks for it
    assert answer["session_id"] is None
    assert not (await world.simulator.truth())["dispatch_active"]


async def test_none_of_this_is_worth_a_warning(world: World) -> None:
    assert complaints(world.hass.folder) == []
