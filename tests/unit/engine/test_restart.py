"""After a restart the battery is read first; a session goes on, a stop is finished."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.state import Answered, Phase, WriteKind
from custom_components.export_monitor.models import EndReason, ErrorState
from tests.unit.engine.world import SETTINGS, World, instant


def _restart(world: World, down_s: int, *, clock: float = 0.0) -> World:
    """Let the house go on alone, then bring a new machine up on another monotonic clock."""
    saved = world.now
    world._due.clear()
    for _ in range(down_s):
        world._pass_second()
    world._report()
    world.clock_offset += timedelta(seconds=clock)
    world.state = resume(world.state, saved, world.now)
    return world


def test_an_idle_machine_resumes_idle_and_keeps_its_sums() -> None:
    world = World(pv_w=4000.0).settle().run(600)
    total = world.state.meter.counter.total
    _restart(world, 300)
    assert world.phase is Phase.IDLE
    assert world.state.meter.counter.total == total
    world.run(61)
    assert world.state.meter.counter.total == pytest.approx(world.exported, abs=0.07)


def test_a_running_session_goes_on_under_the_same_id() -> None:
    world = World().discharging().run(120)
    assert world.state.session is not None
    before = world.state.session.id
    _restart(world, 60).run(30)
    assert world.phase is Phase.ACTIVE
    assert world.state.session is not None
    assert world.state.session.id == before


@pytest.mark.parametrize("absent", [set(), {"grid"}])
def test_what_flowed_while_nobody_looked_is_counted_before_the_meter_has_told(
    absent: set[str],
) -> None:
    world = World(absent=absent).discharging().run(115)
    _restart(world, 300)
    assert world.state.meter.counted >= world.exported


def test_pv_that_flowed_out_while_nobody_looked_is_counted_too() -> None:
    world = World(pv_w=4000.0).discharging().run(115)
    _restart(world, 300)
    assert world.state.meter.counted >= world.exported


def test_a_session_whose_allowance_ran_out_in_the_dark_is_stopped_at_the_first_look() -> None:
    settings = replace(SETTINGS, fixed_limit_kwh=0.6, safety_margin_kwh=0.3)
    world = World(settings, absent={"grid"}).discharging().run(30)
    world.pv_w = 4000.0
    world.run(5)
    _restart(world, 150).run(1)
    assert world.reason is EndReason.HEADROOM_USED_UP


def test_a_discharge_that_ended_by_its_own_timer_counts_no_longer_than_the_lease() -> None:
    world = World().discharging().run(60)
    _restart(world, 6 * 3600)
    assert not world.armed
    assert world.state.meter.counted <= 3.4 * 0.5 + 0.1
    world.run(30)
    assert world.ended[-1].reason is EndReason.EXTERNAL


def test_a_lease_that_ran_out_in_the_dark_is_over_though_the_switch_is_unreadable() -> None:
    world = World(broken={"switch"})
    world.broken.clear()
    world.discharging().run(60)
    world.broken.add("switch")
    _restart(world, 3600).run(1)
    assert world.reason is EndReason.RENEWAL_FAILED


def test_the_lease_is_renewed_in_time_after_a_restart() -> None:
    world = World().discharging().run(700)
    _restart(world, 60).run(300)
    assert len(world.writes(WriteKind.DURATION)) == 2
    assert world.armed


def test_a_start_in_its_midst_becomes_a_proven_stop() -> None:
    world = World().settle()
    world.request()
    world.run(2)
    assert world.phase is Phase.STARTING
    waiting = world.writes()[-1][1]
    _restart(world, 20)
    assert world.phase is Phase.STOPPING
    assert world.take(Answered(world.now, waiting, ok=True)) == ()
    world.run(30)
    assert world.ended[-1].reason is EndReason.START_FAILED
    assert not world.armed


def test_a_stop_under_way_goes_on_with_its_own_reason_and_its_alarm() -> None:
    world = World(reset_lost=True, lost={WriteKind.FALLBACK_STOP}).discharging().run(60)
    world.stop()
    world.run(30)
    _restart(world, 20)
    attempts = len(world.stop_attempts)
    assert ErrorState.STOP_FAILED in world.state.faults
    world.run(2)
    assert len(world.stop_attempts) > attempts
    world.run(20)
    assert ErrorState.STOP_FAILED in world.state.faults
    world.lost.clear()
    world.run(40)
    assert world.ended[-1].reason is EndReason.USER
    assert not world.armed
    assert not world.state.faults


def test_an_adopted_session_without_a_lease_is_counted_on_for_the_whole_time() -> None:
    world = World().settle()
    world.switch = world.armed = True
    world.power_w, world.timer_s = 3000.0, 7200.0
    world.run(60)
    _restart(world, 600)
    assert world.state.meter.counted >= world.exported


@pytest.mark.parametrize("clock", [-3600.0, 3600.0])
def test_a_clock_that_jumped_over_the_restart_leaves_a_guarded_session(clock: float) -> None:
    world = World().discharging().run(120)
    _restart(world, 60, clock=clock).run(61)
    world.run(3000)
    assert world.phase in (Phase.ACTIVE, Phase.IDLE)
    assert world.armed == (world.phase is Phase.ACTIVE)
    assert world.exported <= 5.0


def test_an_error_that_only_a_good_start_clears_stands_through_a_restart() -> None:
    world = World(failing={WriteKind.POWER}).settle()
    world.request()
    world.run(20)
    state = resume(world.state, world.now, instant(0))
    assert state.faults == {ErrorState.POWER_SET_FAILED}
    assert state.epoch > world.state.epoch


def test_a_record_that_contradicts_itself_leads_back_to_idle_by_a_stop() -> None:
    world = World().settle()
    world.state = replace(world.state, phase=Phase.ACTIVE)  # with no session
    _restart(world, 5).run(30)
    assert world.phase is Phase.IDLE
    world.state = replace(world.state, phase=Phase.STOPPING)  # with no stop
    _restart(world, 5).run(30)
    assert world.phase is Phase.IDLE


def test_a_start_cut_off_before_the_switch_counts_nothing_for_the_time_nobody_looked() -> None:
    world = World().settle()
    world.request()
    assert world.phase is Phase.STARTING
    before = world.state.meter.counted
    after = resume(world.state, world.now, instant(world.second + 7200.0))
    assert after.meter.counted == before


def test_a_start_cut_off_at_the_switch_counts_no_longer_than_its_lease() -> None:
    world = World(unanswered={WriteKind.SWITCH_ON}).settle()
    world.request()
    world.run_until(lambda w: bool(w.writes(WriteKind.SWITCH_ON)), 30)
    assert world.state.lease is not None
    most = world.state.lease.minutes / 60 * 3.0
    before = world.state.meter.counted
    after = resume(world.state, world.now, instant(world.second + 7200.0))
    assert 0 < after.meter.counted - before <= most + 0.01


def test_a_clock_set_back_while_nobody_looked_counts_the_whole_lease() -> None:
    world = World().settle().discharging().run(60)
    assert world.state.lease is not None
    left = world.state.lease.minutes * 60 - 60
    before = world.state.meter.counted
    after = resume(world.state, world.now, instant(world.second - 3600.0))
    assert after.meter.counted - before >= left / 3600 * 3.0 * 0.95


def test_a_reload_does_not_adopt_what_a_stopped_start_still_switches_on() -> None:
    world = World(lost={WriteKind.SWITCH_ON}, unanswered={WriteKind.SWITCH_ON}).settle()
    world.request()
    world.run_until(lambda w: bool(w.writes(WriteKind.SWITCH_ON)), 30)
    world.run(1)
    world.stop()
    world.run_until(lambda w: w.phase is Phase.IDLE, 30)
    world.state = resume(world.state, world.now, world.now)
    world.run(3)
    world.switch = world.armed = True  # our own command, only now
    world.timer_s = 900.0
    world.run(30)
    assert not world.armed
    assert world.phase is Phase.IDLE
