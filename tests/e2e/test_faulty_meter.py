"""An export counter that stands still, or jumps, while the battery exports; judged by the plant."""

import asyncio
from collections.abc import AsyncIterator
import time

import pytest
import pytest_asyncio

from simulator.demo import LIFETIME_EXPORT
from tests.e2e.faulty import ended, observed, well_again
from tests.e2e.world import ERROR, HEALTH, World, open_world, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(420),
]

MORNING = 10.0
EXPORTED = "sensor.export_monitor_exported_today"
PROBLEM = "binary_sensor.export_monitor_data_problem"
METER_STEP_KWH = 0.01
FROZEN_S = 120.0
# Exporting 4.5 kW it lasts longer than a counter may rest before it counts as frozen.
BLIND_KWH = 0.26
GARBAGE_KWH = 15.0


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Return a world with the inverter's own counters, which count from its beginning on.

    Where PV that nobody saw makes up for export that nobody saw, the day need not be a whole one;
    so the allowance rests on the sun to come, in a house that uses all of it up.
    """
    async with open_world(
        tmp_path_factory.mktemp("meter"),
        hour=MORNING,
        forecast_factor=0.3,
        grid_feed_today=LIFETIME_EXPORT,
        pv_energy_today=["sensor.alphaess_total_energy_from_pv"],
        basis="forecast",
        house_load_per_day=1000,
    ) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> World:
    await _allow(running, 1.0)
    await running.settle()
    return running


async def test_a_counter_that_stands_still_makes_the_guard_count_by_the_worst_case(
    world: World,
) -> None:
    await _allow(world, BLIND_KWH)
    before = (await world.simulator.truth())["exported_kwh"]
    async with (
        observed(world, ERROR) as errors,
        observed(world, "binary_sensor.export_monitor_over_export") as over,
    ):
        await world.simulator.fault("freeze_counters")
        session = await world.discharge()
        began = time.monotonic()
        # Three readings that should have moved, as soon as the export is beyond doubt.
        await world.until(lambda truth: truth["exported_kwh"] > before + 0.03, 40)
        for _ in range(3):
            await _read_meter(world)
            await asyncio.sleep(1)
        await world.client.wait_for(PROBLEM, "on", FROZEN_S + 20)
        world.timeline.say(f"blind {time.monotonic() - began:.1f} s after the start")
        assert (await world.status()).state == "Active"  # an abrupt stop would be no safer
        record = await ended(world, session, 60)
        truth = (await world.simulator.truth())["exported_kwh"] - before
        world.timeline.say(f"counted {record['exported']:.3f} kWh, in truth {truth:.4f} kWh")
        assert record["reason"] == "headroom_used_up"
        assert truth <= BLIND_KWH + METER_STEP_KWH
        await world.simulator.clear_faults()
        cleared = time.monotonic()
        # Home Assistant sees the end of the fault with the counter's next step: its tick, and the
        # next poll, a minute each.
        frozen = (await world.client.wait_for(LIFETIME_EXPORT, lambda _: True)).state
        await world.client.wait_for(LIFETIME_EXPORT, lambda s: s.state != frozen, 125)
        seen = time.monotonic()
        world.timeline.say(f"the counter has moved {seen - cleared:.1f} s after the fault was over")
        await well_again(world, seen)
    shown = await world.client.wait_for(EXPORTED, lambda s: s.number >= 0)
    assert shown.number == pytest.approx((await world.simulator.truth())["exported_kwh"], abs=0.02)
    assert errors == ["none"]
    assert over == ["off"]


async def test_a_counter_that_jumps_adds_nothing_and_ends_nothing(world: World) -> None:
    await _allow(world, 1.0)
    session = await world.discharge()
    async with (
        observed(world, EXPORTED) as shown,
        observed(world, ERROR) as errors,
        observed(world, HEALTH) as health,
    ):
        true = (await world.client.wait_for(LIFETIME_EXPORT, lambda _: True)).number
        await world.simulator.fault("garbage_feed_in", value=GARBAGE_KWH)
        # By its own next poll: a reading that is asked for reports several times at once.
        await world.client.wait_for(LIFETIME_EXPORT, lambda s: s.number > true + 14, 65)
        await world.client.wait_for(PROBLEM, "on", 15)
        await world.simulator.clear_faults()
        cleared = time.monotonic()
        await world.client.wait_for(LIFETIME_EXPORT, lambda s: s.number < true + 1, 65)
        seen = time.monotonic()
        world.timeline.say(f"the counter is right {seen - cleared:.1f} s after the fault was over")
        await well_again(world, seen)
        status = await world.status()
        assert status.state == "Active"
        assert status.attributes["session_id"] == session
        await world.act("stop_discharge")
        world.timeline.say(f"meanwhile {health}, exported today {shown}")
    truth = (await world.simulator.truth())["exported_kwh"]
    numbers = [float(each) for each in shown if each != "unavailable"]
    assert numbers == sorted(numbers)
    assert numbers[-1] <= truth + 0.02
    assert errors == ["none"]


async def _read_meter(world: World) -> None:
    """Read the inverter's counter now, not at its next minute."""
    await world.client.call("homeassistant", "update_entity", entity_id=[LIFETIME_EXPORT])


async def _allow(world: World, headroom_kwh: float) -> None:
    """Change the margin until so much may be exported."""
    margin = float(
        (await world.client.wait_for("number.export_monitor_safety_margin", lambda _: True)).state
    )

    async def change() -> float:
        nonlocal margin
        plan = await world.act("calculate_discharge")
        too_much: float = plan["headroom_kwh"] - headroom_kwh
        if abs(too_much) > METER_STEP_KWH:
            margin += too_much
            await world.change("limits", safety_margin=margin)
        return too_much

    await until(change, lambda off: abs(off) <= METER_STEP_KWH, 20)
