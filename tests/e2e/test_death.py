"""Home Assistant killed in mid-discharge: the battery's own timer is what is left."""

from pathlib import Path
import time

import pytest

from tests.e2e.world import LOAD_W, POWER_W, World, open_world, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]

LEASE_S = 300.0  # one step of the battery's timer, as the headroom lasts no longer
SPEED = 10.0


async def test_the_plant_stops_by_its_own_timer_within_the_lease(tmp_path: Path) -> None:
    # Ten plant seconds to a real one: what the timer does, it does without Home Assistant.
    async with open_world(tmp_path, "--speed", f"{SPEED:.0f}", allowance_kwh=0.4) as world:
        session = await world.discharge()
        await _kill(world)
        killed = await world.simulator.truth()
        assert 0 < killed["dispatch_remaining_s"] <= LEASE_S
        armed = [w for w in await world.simulator.writes() if w["values"][0] == 1]
        ended = await world.until(
            lambda truth: not truth["dispatch_active"], killed["dispatch_remaining_s"] / SPEED + 3
        )
        lasted = ended["elapsed_s"] - armed[-1]["at_s"]
        world.timeline.say(f"the battery stopped {lasted:.0f} s after it was armed")
        assert lasted <= LEASE_S + 0.5 * SPEED  # and the time it takes to see it here
        assert ended["battery_w"] < LOAD_W + 100
        await _comes_back_and_accounts_for(world, session)


async def test_the_kwh_of_a_killed_session_are_accounted_for(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        before = (await world.simulator.truth())["exported_kwh"]
        session = await world.discharge()
        # Longer than the sums may wait on their way to the disk.
        await world.until(lambda truth: truth["exported_kwh"] > before + 0.025, 40)
        await _kill(world)
        killed = await world.simulator.truth()
        assert killed["battery_w"] > 0.9 * POWER_W
        said = await _comes_back_and_accounts_for(world, session)
        truth = (await world.simulator.truth())["exported_kwh"] - before
        world.timeline.say(f"accounted {said:.3f} kWh, in truth {truth:.4f} kWh")
        # What flowed while nobody looked is counted by the worst case: rather more than less.
        assert truth - 0.01 <= said <= truth + 0.03


async def _kill(world: World) -> None:
    """Kill Home Assistant, but not in the very moment in which the start is being recorded."""

    async def recorded() -> bool:
        return world.record()["phase"] == "active"

    await until(recorded, bool, 5)
    await world.hass.kill()


async def _comes_back_and_accounts_for(world: World, session: str) -> float:
    """Start Home Assistant again; return the kWh that it ascribes to the session."""
    began = time.monotonic()
    await world.hass.start()
    status = await world.client.wait_for(
        "sensor.export_monitor_discharge_status",
        lambda s: s.state not in ("Active", "unavailable"),
        60,
    )
    world.timeline.say(f"accounted for {time.monotonic() - began:.1f} s after the start")
    assert status.attributes["session_id"] == session
    assert status.attributes["ended"] is not None
    assert status.attributes["reason"] == "external"  # the battery's timer, or the package's reset
    assert status.attributes["proof"] == "dispatch"
    assert status.attributes["exported"] > 0
    assert not (await world.simulator.truth())["dispatch_active"]
    assert await world.notifications() == {}
    exported: float = status.attributes["exported"]
    return exported
