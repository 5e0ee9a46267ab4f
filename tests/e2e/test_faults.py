"""An inverter that hangs, is cut off, does not obey or lies, and a Home Assistant that stood still.

Each in mid-discharge, judged by the plant; and each heals by itself.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
import time

import pytest
import pytest_asyncio

from simulator.ha_client import HomeAssistantError
from tests.e2e.faulty import ended, notice, observed, refusal, well_again
from tests.e2e.world import (
    ERROR,
    FULL_RESET,
    HEALTH,
    LOAD_W,
    POWER_W,
    STATUS,
    SWITCH,
    Facts,
    World,
    open_world,
    until,
)

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(300),
]

SOC = "sensor.alphaess_soc_battery"
PROBLEM = "binary_sensor.export_monitor_data_problem"
STOP_FAILED = "discharge_stop_failed"
# What to do about a battery that goes on, from the first thing to try to the last.
LAST_RESORTS = ("may still be discharging", SWITCH, FULL_RESET, "own app", "breaker", "is proven")
ALARM_S = 15.0  # specification page 1
ALARM_SLACK_S = 0.5
STALE_S = 65.0  # the limit of the SOC's age is 60 s
# A timer with steps of a minute: its shortest time is over before a test is tired of waiting.
LEASE_S = 60.0
ONE_LEASE_KWH = 0.13  # at 5 kW more than one minute, and less than two
METER_STEP_KWH = 0.01


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("faults"), duration_step_min=1) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> World:
    """Return the world at rest, with plenty to export."""
    await running.allow(3.0)
    await running.settle()
    return running


async def test_a_hanging_inverter_alarms_in_time_and_its_own_timer_ends_the_discharge(
    world: World,
) -> None:
    await world.allow(ONE_LEASE_KWH)
    before = await world.simulator.truth()
    session = await world.discharge()
    armed = await _armed_at(world)
    async with observed(world, ERROR) as errors:
        hung = time.monotonic()
        await world.simulator.fault("hang")
        await _unproven_stop(world)
        health = await world.client.wait_for(HEALTH, "Error", 5)
        assert health.attributes["discharge_active"] is True  # nobody claims that it has ended
        assert (await world.simulator.truth())["battery_w"] > 0.9 * POWER_W  # it was no false alarm
        over = await world.until(lambda truth: not truth["dispatch_active"], LEASE_S)
        world.timeline.say(f"the battery's own timer: {over['elapsed_s'] - armed:.1f} s")
        assert over["elapsed_s"] - armed <= LEASE_S + 1
        # Nothing has been heard of that: the alarm stands, and the values are old by now.
        await asyncio.sleep(max(0.0, STALE_S - (time.monotonic() - hung)))
        assert (await world.client.wait_for(ERROR, lambda _: True)).state == STOP_FAILED
        assert (await world.client.wait_for(PROBLEM, "on", 10)).state == "on"
        await world.simulator.clear_faults()
        cleared = time.monotonic()
        record = await ended(world, session, 60)
        await well_again(world, cleared)
    assert errors == ["none", STOP_FAILED, "none"]
    await _accounted(world, record, before)


async def test_a_home_assistant_that_stood_still_stops_at_once_what_is_used_up(
    world: World,
) -> None:
    allowed = 0.06
    await world.allow(allowed)
    before = await world.simulator.truth()
    session = await world.discharge()
    async with _standing_still(world):
        used_up = before["exported_kwh"] + allowed
        await world.until(lambda truth: truth["exported_kwh"] > used_up, LEASE_S)
    back = time.monotonic()
    truth = await world.simulator.truth()
    assert truth["dispatch_remaining_s"] > 5, "its own timer was as fast"
    await world.until(lambda truth: not truth["dispatch_active"], 5)
    world.timeline.say(f"stopped {time.monotonic() - back:.1f} s after it went on")
    record = await ended(world, session)
    assert record["reason"] == "headroom_used_up"
    await well_again(world, back)
    await _accounted(world, record, before)


async def test_a_home_assistant_that_stood_still_longer_counts_what_the_battery_gave(
    world: World,
) -> None:
    await world.allow(ONE_LEASE_KWH)
    before = await world.simulator.truth()
    session = await world.discharge()
    async with _standing_still(world):
        over = await world.until(lambda truth: not truth["dispatch_active"], LEASE_S + 5)
        assert over["exported_kwh"] - before["exported_kwh"] <= ONE_LEASE_KWH
        await asyncio.sleep(5)
    back = time.monotonic()
    record = await ended(world, session)
    await well_again(world, back)
    await _accounted(world, record, before)


async def test_a_start_that_moves_nothing_is_given_up_and_the_next_good_one_forgets_it(
    world: World,
) -> None:
    async with observed(world, ERROR) as errors:
        await world.simulator.fault("ignore_writes")
        answer = await world.act("start_discharge")  # the switch went on, as far as anybody can see
        asked = time.monotonic()
        await world.client.wait_for(ERROR, "battery_not_responding", 30)
        world.timeline.say(f"given up {time.monotonic() - asked:.1f} s after it was switched on")
        await notice(
            world,
            "battery_not_responding",
            "Battery Not Responding",
            SWITCH,
            "does not do what it was told",
            "500 W of 5",  # 5000, or 5500 when what the house takes has been added
            "is being stopped",
        )
        await world.client.wait_for(SWITCH, "off", 10)
        status = await world.client.wait_for(
            STATUS, lambda s: s.attributes["reason"] is not None, 20
        )
        assert status.attributes["session_id"] == answer["session_id"]
        assert status.attributes["reason"] == "battery_not_following"
        assert (await world.simulator.truth())["battery_w"] < LOAD_W + 100
        await world.simulator.clear_faults()
        cleared = time.monotonic()
        await world.package_rests()
        await world.discharge()
        await well_again(world, cleared)
        await world.act("stop_discharge")
    assert errors == ["none", "battery_not_responding", "none"]


async def test_a_stop_without_effect_alarms_in_time_and_goes_on_until_it_has_one(
    world: World,
) -> None:
    session = await world.discharge()
    async with observed(world, ERROR) as errors:
        await world.simulator.fault("ignore_writes")
        await _unproven_stop(world)
        assert (await world.simulator.truth())["battery_w"] > 0.9 * POWER_W
        ignored = await _ignored(world)
        pressed = await world.client.wait_for(FULL_RESET, lambda _: True)
        await world.client.wait_for(FULL_RESET, lambda s: s.state > pressed.state, 35)
        await until(lambda: _ignored(world), lambda now: now > ignored, 10)
        await world.simulator.clear_faults()
        cleared = time.monotonic()
        record = await ended(world, session, 40)
        await well_again(world, cleared)
    assert record["reason"] == "user"
    assert errors == ["none", STOP_FAILED, "none"]


async def test_an_impossible_soc_is_reported_and_the_discharge_goes_on_without_it(
    world: World,
) -> None:
    session = await world.discharge()
    async with observed(world, ERROR) as errors:
        await world.simulator.fault("garbage_soc")
        await world.client.wait_for(SOC, lambda s: s.number == 150, 15)
        lied = time.monotonic()
        await world.client.wait_for(ERROR, "soc_read_failed", 25)
        world.timeline.say(f"reported {time.monotonic() - lied:.1f} s after it read 150 %")
        await notice(
            world,
            "soc_read_failed",
            "SOC Sensor Failed",
            SOC,
            "out_of_range",
            "No discharge starts without it",
        )
        assert "state of charge cannot be read" in await refusal(world)
        assert (await world.status()).state == "Active"
        assert (await world.simulator.truth())["battery_w"] > 0.9 * POWER_W
        await world.simulator.clear_faults()
        cleared = time.monotonic()
        await well_again(world, cleared)
        assert (await world.status()).attributes["session_id"] == session
        assert (await world.status()).state == "Active"
        answer = await world.act("stop_discharge")
    assert answer["reason"] == "user"
    assert errors == ["none", "soc_read_failed", "none"]


async def test_a_link_lost_for_more_than_a_minute_is_followed_until_the_battery_rests(
    world: World,
) -> None:
    before = await world.simulator.truth()
    session = await world.discharge()
    async with observed(world, ERROR) as errors:
        await world.simulator.fault("drop", for_s=STALE_S)
        back = time.monotonic() + STALE_S
        # The package resets itself into the dead link: from then on a stop is due.
        switch = await world.client.wait_for(SWITCH, "off", 10)
        await _alarmed(world, switch.last_changed)
        await world.client.wait_for(PROBLEM, "on", STALE_S)
        truth = await world.simulator.truth()
        assert truth["battery_w"] > 0.9 * POWER_W
        await world.until(lambda truth: not truth["faults"], STALE_S)
        await world.until(lambda truth: not truth["dispatch_active"], 60)
        world.timeline.say(f"stopped {time.monotonic() - back:.1f} s after the link was back")
        record = await ended(world, session)
        await well_again(world, back)
    assert record["reason"] == "external"
    assert errors == ["none", STOP_FAILED, "none"]
    await _accounted(world, record, before)


@asynccontextmanager
async def _standing_still(world: World) -> AsyncIterator[None]:
    """Let Home Assistant stand still meanwhile; SIGSTOP, then SIGCONT."""
    world.hass.pause()
    began = time.monotonic()
    try:
        yield
    finally:
        world.hass.resume()
        world.timeline.say(f"it stood still for {time.monotonic() - began:.1f} s")


async def _armed_at(world: World) -> float:
    """Return when the battery was armed last, in the plant's seconds."""
    armed = [row for row in await world.simulator.writes() if row["values"][0] == 1]
    at_s: float = armed[-1]["at_s"]
    return at_s


async def _ignored(world: World) -> int:
    """Return how many writes had no effect."""
    return sum(not row["obeyed"] for row in await world.simulator.writes())


async def _unproven_stop(world: World) -> None:
    """Ask for a stop, and get the alarm instead of a proof."""
    due = datetime.now(UTC)
    stop = asyncio.create_task(world.act("stop_discharge"))
    await _alarmed(world, due)
    with pytest.raises(HomeAssistantError, match="not proven yet"):
        await stop


async def _alarmed(world: World, due: datetime) -> None:
    """Wait for the critical alarm of a stop; it must be in time, and in words that help."""
    error = await world.client.wait_for(ERROR, STOP_FAILED, ALARM_S + 5)
    late = (datetime.fromisoformat(error.attributes["since"]) - due).total_seconds()
    world.timeline.say(f"alarm {late:.2f} s after the stop was due")
    assert late <= ALARM_S + ALARM_SLACK_S
    assert error.attributes["entity_id"] == SWITCH
    await notice(world, STOP_FAILED, "Discharge Stop Failed", *LAST_RESORTS)
    assert (await world.repairs())[STOP_FAILED]["severity"] == "critical"
    assert (await world.status()).attributes["ended"] is None


async def _accounted(world: World, record: Facts, before: Facts) -> None:
    """Compare what a session counted with what has flowed: rather more than less."""
    truth = (await world.simulator.truth())["exported_kwh"] - before["exported_kwh"]
    world.timeline.say(f"counted {record['exported']:.3f} kWh, in truth {truth:.4f} kWh")
    assert truth - METER_STEP_KWH <= record["exported"] <= truth + 0.03
