"""The battery's power follows house and sun, so that the grid sees the target."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
import random

import pytest

from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.start import lease_minutes
from custom_components.export_monitor.engine.state import Lease, Modulation, Phase, WriteKind
from custom_components.export_monitor.models import EndReason, ErrorState, Origin, Settings
from tests.unit.engine.world import SETTINGS, World

PLENTY = replace(SETTINGS, fixed_limit_kwh=50.0, battery_capacity_kwh=100.0)
SITE = replace(PLENTY, target_export_w=3680.0, site_export_limit_w=3680.0)
REACTION_S = 7  # 5 s from the last write, a second to write it, and a look


def _house(settings: Settings = PLENTY, **changes: object) -> World:
    return World(settings, **changes)  # type: ignore[arg-type]


def _powers(world: World) -> list[float]:
    """Return every power that was written since the start."""
    return [write.value for _, write in world.writes(WriteKind.POWER)][1:]


def _written_at(world: World) -> list[int]:
    return [second for second, _ in world.writes(WriteKind.POWER)][1:]


# --- Following ---


@pytest.mark.parametrize("load_w", [0.0, 400.0, 2500.0])
def test_the_grid_sees_the_target_whatever_the_house_takes(load_w: float) -> None:
    world = _house(load_w=load_w).discharging().run(60)
    assert world.export_w == pytest.approx(3000.0, abs=100.0)
    assert world.export_w <= 3000.0


def test_without_a_grid_sensor_the_power_is_the_target() -> None:
    world = _house(absent={"grid"}, load_w=2500.0).discharging().run(120)
    assert _powers(world) == []
    assert world.power_w == 3000.0


def test_the_sun_takes_the_place_of_the_battery() -> None:
    world = _house().discharging().run(30)
    world.pv_w = 2000.0
    world.run(30)
    assert world.power_w == 1400.0
    assert world.export_w == 3000.0


def test_it_begins_with_what_the_sun_leaves_of_the_target() -> None:
    world = _house(pv_w=2400.0).discharging()
    assert [write.value for _, write in world.writes(WriteKind.POWER)] == [1000.0]
    assert world.export_w == 3000.0


def test_a_sun_that_gives_more_than_the_target_leaves_the_battery_its_smallest_step() -> None:
    world = _house(pv_w=4000.0).discharging()
    assert world.power_w == 100.0


def test_it_never_asks_for_more_than_the_inverter_or_the_number_takes() -> None:
    for limits in ({"inverter_limit_w": 4000.0}, {"most_power_w": 4000.0}):
        world = _house(replace(PLENTY, **limits), load_w=2500.0).discharging().run(120)  # type: ignore[arg-type]
        assert max(_powers(world)) == 4000.0


def test_of_an_unknown_inverter_no_more_than_the_target_is_asked() -> None:
    world = _house(replace(PLENTY, inverter_limit_w=0.0), load_w=2500.0).discharging().run(120)
    assert _powers(world) == []


def test_what_changes_little_changes_nothing() -> None:
    world = _house().discharging().run(60)
    before = _powers(world)
    for load_w in (330.0, 470.0, 400.0):
        world.load_w = load_w
        world.run(60)
    assert _powers(world) == before


def test_a_power_without_steps_is_met_exactly() -> None:
    world = _house(replace(PLENTY, power_step_w=0.0), load_w=455.5).discharging().run(60)
    assert world.export_w == pytest.approx(3000.0)


def test_a_restless_house_is_followed_every_twenty_seconds_at_most() -> None:
    rng = random.Random(1)
    world = _house().discharging()

    def live(world: World) -> None:
        world.load_w = rng.uniform(0.0, 4000.0)

    world.on_second = live
    world.run(600)
    written = _written_at(world)
    assert len(written) > 15
    assert min(later - earlier for earlier, later in pairwise(written)) >= 20


def test_much_more_comes_in_two_steps() -> None:
    world = _house().discharging().run(30)
    world.load_w = 5000.0
    world.run(60)
    assert _powers(world)[1:] == [5400.0, 7400.0, 8000.0]


def test_a_target_lowered_in_mid_run_is_followed_and_one_of_0_ends_it() -> None:
    world = _house().discharging().run(30)
    world.settings = replace(PLENTY, target_export_w=1000.0)
    world.run(30)
    assert world.export_w == 1000.0
    world.settings = replace(PLENTY, target_export_w=0.0)
    world.run(1)
    assert world.reason is EndReason.USER


def test_a_battery_at_its_own_limit_is_not_told_more_and_more() -> None:
    world = _house(load_w=3000.0)
    world.on_second = lambda w: setattr(w, "power_w", min(w.power_w, 4000.0))
    world.discharging().run(200)
    assert _powers(world) == [5000.0, 7000.0, 6000.0]
    assert world.phase is Phase.ACTIVE


def test_a_battery_that_nobody_hears_is_not_told_more() -> None:
    world = _house(absent={"battery", "dispatch"}, load_w=2500.0).discharging()
    world.armed = False  # the switch stays on
    world.run(50)
    assert _powers(world) == []


def test_an_adopted_discharge_is_left_as_it_is() -> None:
    world = _house().settle()
    world.switch = world.armed = True
    world.power_w, world.timer_s = 3000.0, 7200.0
    world.run(120)
    assert world.state.session is not None
    assert world.state.session.origin is Origin.ADOPTED
    assert world.writes(WriteKind.POWER) == []


def test_a_guard_that_is_blind_asks_for_less_but_not_for_more() -> None:
    world = _house().discharging().run(30)
    world.broken.add("export")
    world.load_w = 2000.0
    world.run(60)
    assert len(_powers(world)) == 1
    world.load_w = 100.0
    world.run(30)
    assert _powers(world)[-1] == 3100.0


def test_a_grid_sensor_that_falls_silent_leaves_the_target() -> None:
    world = _house(load_w=2000.0).discharging().run(30)
    assert world.power_w == 5000.0
    world.silent.add("grid")
    world.run(40)
    assert world.power_w == 3000.0


def test_a_grid_sensor_that_falls_silent_raises_nothing() -> None:
    settings = replace(PLENTY, site_export_limit_w=3200.0)
    world = _house(settings, pv_w=1500.0, load_w=400.0).discharging().run(30)
    assert world.export_w == pytest.approx(3000.0, abs=100)
    world.silent |= {"grid", "pv"}
    world.run(60)
    assert world.export_w <= 3200.0


# --- The site's limit ---


def test_more_than_the_site_may_export_is_brought_down_at_once() -> None:
    world = _house(SITE, load_w=2000.0).discharging().run(60)
    assert 3480.0 <= world.export_w <= 3580.0
    over = []
    for load_w, seconds in ((1000.0, 8), (0.0, 60), (2000.0, 60), (1500.0, 3), (300.0, 60)):
        world.load_w = load_w
        seen = [world.run(1).export_w for _ in range(seconds)]
        over.append(sum(watts > 3680.0 for watts in seen))
    assert over[2] == 0
    assert min(over[0], over[1], over[3], over[4]) > 0
    assert max(over) <= REACTION_S
    assert world.phase is Phase.ACTIVE


def test_a_battery_that_gives_less_than_it_was_told_is_brought_down_from_what_it_gives() -> None:
    world = _house(SITE, load_w=1700.0, pv_w=1500.0)
    world.on_second = lambda w: setattr(w, "power_w", min(w.power_w, 3500.0))
    world.discharging().run(120)
    told = _powers(world)
    assert told[-1] >= 3800.0  # told more and more, while it gives 3500 W
    world.load_w = 500.0
    world.run(60)
    assert _powers(world) == [*told, 2500.0]


def test_a_sun_beyond_the_sites_limit_ends_it() -> None:
    world = _house(SITE).discharging().run(60)
    world.pv_w = 4500.0
    world.run(60)
    assert world.ended[-1].reason is EndReason.PV_COVERS_TARGET
    assert not world.state.faults


def test_a_sun_that_gives_the_target_by_itself_ends_it_after_minutes() -> None:
    world = _house().discharging().run(60)
    world.pv_w = 3800.0
    world.run(250)
    assert world.phase is Phase.ACTIVE
    world.run(120)
    assert world.ended[-1].reason is EndReason.PV_COVERS_TARGET


def test_a_cloud_before_that_lets_it_go_on() -> None:
    world = _house().discharging().run(60)
    for _ in range(3):
        world.pv_w = 3800.0
        world.run(200)
        world.pv_w = 1000.0
        world.run(30)
    assert world.phase is Phase.ACTIVE


def test_a_battery_that_is_told_less_and_goes_on_is_stopped() -> None:
    world = _house(SITE, load_w=2000.0).discharging().run(60)
    world.lost.add(WriteKind.POWER)
    world.load_w = 0.0
    world.run(35)
    assert world.reason is EndReason.BATTERY_NOT_FOLLOWING
    assert ErrorState.BATTERY_NOT_RESPONDING in world.state.faults


# --- Writes that fail ---


def test_a_raise_that_fails_is_said_and_not_tried_again_for_minutes() -> None:
    world = _house().discharging()
    world.failing.add(WriteKind.POWER)
    world.run(200)
    assert len(_powers(world)) == 1
    assert ErrorState.POWER_SET_FAILED in world.state.faults
    assert world.phase is Phase.ACTIVE
    assert world.state.session is not None
    assert world.state.session.power_w == 3400.0  # it may have arrived
    world.failing.clear()
    world.run(150)
    assert world.export_w == 3000.0
    assert not world.state.faults


def test_a_power_that_has_to_fall_and_does_not_ends_it() -> None:
    world = _house(load_w=2000.0).discharging().run(30)
    world.failing.add(WriteKind.POWER)
    world.load_w = 0.0
    world.run(5)
    assert world.reason is EndReason.BATTERY_NOT_FOLLOWING
    assert ErrorState.POWER_SET_FAILED in world.state.faults
    assert world.state.modulation.write_id is None


def test_a_write_without_an_answer_counts_as_failed() -> None:
    world = _house(unanswered=set()).discharging()
    world.unanswered.add(WriteKind.POWER)
    world.run(48)
    assert world.raised(ErrorState.POWER_SET_FAILED) == []
    world.run(5)
    assert len(world.raised(ErrorState.POWER_SET_FAILED)) == 1


def test_an_answer_after_the_stop_changes_nothing() -> None:
    world = _house(write_s=3).discharging()
    world.run_until(lambda w: w.state.modulation.write_id is not None)
    world.stop()
    world.run(30)
    assert world.phase is Phase.IDLE
    assert world.ended[-1].power_w == 3400.0  # what it may have given


# --- On time ---


def _planned(world: World, energy_kwh: float, minutes: float) -> World:
    world.settle()
    until = world.now.utc + timedelta(minutes=minutes)
    world.request(origin=Origin.AUTOMATIC, energy_kwh=energy_kwh, until=until)
    return world.run_until(lambda w: w.phase is Phase.ACTIVE, 60)


@pytest.mark.parametrize("absent", [set(), {"grid"}])
@pytest.mark.parametrize("energy_kwh", [0.3, 0.8])
def test_a_window_is_filled_to_its_end(absent: set[str], energy_kwh: float) -> None:
    world = _planned(_house(absent=absent, load_w=0.0), energy_kwh, 30.0)
    began = world.second
    world.run_until(lambda w: w.phase is not Phase.ACTIVE)
    assert world.reason in (EndReason.TARGET_REACHED, EndReason.WINDOW_END)
    assert 1600 <= world.second - began <= 1810
    assert world.exported == pytest.approx(energy_kwh, rel=0.1)


def test_a_little_energy_is_not_spread_over_hours() -> None:
    world = _planned(_house(load_w=0.0), 0.1, 120.0).run(60)
    assert world.power_w == 300.0
    world.run_until(lambda w: w.phase is not Phase.ACTIVE, 1500)
    assert world.reason is EndReason.TARGET_REACHED


def test_what_was_lost_is_made_up_for_up_to_the_target() -> None:
    world = _planned(_house(load_w=0.0), 0.7, 30.0).run(60)
    slow = world.power_w
    assert world.state.session is not None
    ends = world.now.utc + timedelta(minutes=18)
    world.state = replace(world.state, session=replace(world.state.session, window_end=ends))
    world.run(60)
    assert slow + 300 <= world.power_w <= 3000.0
    late = replace(world.state.session, window_end=world.now.utc + timedelta(seconds=20))
    world.state = replace(world.state, session=late)
    world.run(3)
    assert world.state.session is not None
    assert world.state.session.power_w <= 3000.0


def test_a_slower_pace_that_cannot_be_written_goes_on() -> None:
    world = _planned(_house(load_w=0.0), 1.0, 30.0).run(30)
    world.failing.add(WriteKind.POWER)
    assert world.state.session is not None
    ends = world.now.utc + timedelta(hours=3)
    world.state = replace(world.state, session=replace(world.state.session, window_end=ends))
    world.run(60)
    assert world.phase is Phase.ACTIVE
    assert ErrorState.POWER_SET_FAILED in world.state.faults


# --- The lease ---


def test_a_written_power_may_have_armed_the_whole_time_anew() -> None:
    world = _house().discharging()
    world.run_until(lambda w: bool(_powers(w)))
    lease = world.state.lease
    assert lease is not None
    assert lease.latest_end > lease.expires_at
    modulation = world.state.modulation
    assert modulation.busy(world.now.mono)
    assert modulation.write_id is not None
    assert modulation.raises(modulation.write_id)
    assert not modulation.raises(modulation.write_id - 1)


def test_a_dead_guard_is_no_more_than_the_headroom_after_any_write() -> None:
    """The inverter goes on for the whole of its time from the last write on."""
    settings = replace(SETTINGS, fixed_limit_kwh=1.6, battery_capacity_kwh=100.0)
    rng = random.Random(3)
    world = _house(settings).discharging()

    def live(world: World) -> None:
        if rng.random() < 0.05:
            world.load_w = rng.uniform(0.0, 1500.0)

    world.on_second = live
    too_long = 0
    while world.phase is Phase.ACTIVE:
        world.run(1)
        lease, session, decision = world.state.lease, world.state.session, world.state.decision
        if world.phase is not Phase.ACTIVE or lease is None or lease.renewal is not None:
            too_long = 0
            continue
        assert session is not None
        assert decision is not None
        needed = lease_minutes(world.look(), decision, session.power_w)
        too_long = too_long + 1 if lease.rearmed is not None and needed < lease.minutes else 0
        assert too_long <= 8  # a write, the pause after it, and then the shorter time is asked for


def test_a_larger_power_waits_until_the_battery_has_a_shorter_time() -> None:
    settings = replace(SETTINGS, fixed_limit_kwh=1.26, inverter_limit_w=20_000.0)
    world = _house(settings).discharging()
    lease = world.state.lease
    assert lease is not None
    assert lease.minutes == 25.0
    world.load_w = 1900.0
    world.run(40)
    kinds = [write.kind for _, write in world.writes(WriteKind.POWER, WriteKind.DURATION)]
    assert kinds[2:4] == [WriteKind.DURATION, WriteKind.POWER]


def test_a_restart_counts_to_the_latest_end() -> None:
    world = _house(load_w=0.0).discharging().run(60)
    assert world.state.lease is not None
    before = world.state.meter.counted
    rearmed = world.now
    state = replace(world.state, lease=replace(world.state.lease, rearmed=rearmed))
    later = replace(
        world.now,
        utc=world.now.utc + timedelta(minutes=state.lease.minutes, seconds=30),  # type: ignore[union-attr]
    )
    after = resume(state, world.now, later)
    assert after.modulation == Modulation()
    minutes = world.state.lease.minutes
    assert after.meter.counted - before == pytest.approx(3.0 * (minutes * 60 + 2) / 3600)
    assert isinstance(after.lease, Lease)
    assert after.lease.rearmed is not None
    assert after.lease.rearmed.mono == later.mono - minutes * 60 - 30


def test_two_writes_keep_their_distance() -> None:
    rng = random.Random(5)
    world = _house(SITE).discharging()

    def live(world: World) -> None:
        if rng.random() < 0.1:
            world.load_w = rng.uniform(0.0, 3000.0)

    world.on_second = live
    world.run(1800)
    written = [second for second, _ in world.writes(WriteKind.POWER, WriteKind.DURATION)][2:]
    assert len(written) > 40
    assert min(later - earlier for earlier, later in pairwise(written)) >= 3


def test_without_a_battery_sensor_what_the_sun_exports_already_is_left_out_of_the_start() -> None:
    settings = replace(SITE, inverter_limit_w=10_000.0)
    world = World(settings, absent={"battery"}, pv_w=3500.0, load_w=300.0)
    seen: list[float] = []
    world.on_second = lambda w: seen.append(w.export_w)
    world.settle()
    world.request()
    world.run(120)
    assert world.phase is Phase.ACTIVE
    assert max(seen) <= 3680.0
