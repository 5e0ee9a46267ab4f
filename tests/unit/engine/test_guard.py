"""A running session is guarded: every reason to end it by its name, and its lease."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise

import pytest

from custom_components.export_monitor.engine.guard import guard
from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import (
    Answer,
    Answered,
    Observed,
    Phase,
    State,
    WriteKind,
)
from custom_components.export_monitor.engine.turn import Turn
from custom_components.export_monitor.models import (
    Basis,
    Blocker,
    EndReason,
    ErrorState,
    Forecast,
    Quantiles,
    Slot,
)
from tests.unit.engine.world import NOON, SETTINGS, World, instant, observation

NO_GRID = {"grid"}


def _with(**changes: object) -> World:
    return World(replace(SETTINGS, **changes))  # type: ignore[arg-type]


def _end(world: World, limit: int = 7200) -> EndReason | None:
    world.run_until(lambda w: w.phase is not Phase.ACTIVE, limit)
    reason = world.reason
    world.run(30)
    assert world.ended[-1].reason is reason
    assert not world.armed
    return reason


# --- Ends ---


def test_headroom_used_up_ends_it() -> None:
    assert _end(_with(fixed_limit_kwh=0.3).discharging()) is EndReason.HEADROOM_USED_UP


def test_a_requested_energy_ends_it_at_its_target() -> None:
    world = World().discharging(energy_kwh=0.3)
    assert _end(world) is EndReason.TARGET_REACHED
    assert 0.28 <= world.exported <= 0.31
    assert world.ended[-1].exported_kwh == pytest.approx(world.exported, abs=0.011)


def test_a_clock_set_back_does_not_extend_a_requested_duration() -> None:
    world = World().discharging(duration_min=5.0).run(60)
    began = world.second
    world.clock_offset = timedelta(hours=-1)
    assert _end(world) is EndReason.PLANNED_END
    assert world.second - began <= 300


def test_a_requested_duration_ends_it_as_planned() -> None:
    world = World().discharging(duration_min=10.0)
    assert _end(world) is EndReason.PLANNED_END
    assert 600 <= world.ended[-1].ended.timestamp() - world.ended[-1].started.timestamp() <= 612  # type: ignore[union-attr]


def test_the_minimum_soc_ends_it() -> None:
    world = World(soc=21.0).discharging()
    assert _end(world) is EndReason.SOC_FLOOR
    assert world.soc == pytest.approx(20.0, abs=0.2)


def test_an_observed_reserve_ends_it_by_its_own_name() -> None:
    assert _end(World(soc=51.0, reserve=50.0).discharging()) is EndReason.RESERVE_SOC


def test_the_users_stop_ends_it_by_name() -> None:
    world = World().discharging()
    world.stop()
    world.run(20)
    assert world.ended[-1].reason is EndReason.USER


def test_unloading_ends_it_by_name() -> None:
    world = World().discharging()
    world.stop(EndReason.UNLOAD)
    world.run(20)
    assert world.ended[-1].reason is EndReason.UNLOAD


def test_somebody_else_switching_it_off_is_followed_until_the_battery_really_rests() -> None:
    world = World().discharging().run(30)
    world.switch = False  # its own reset was lost in a dead link
    world.run(1)
    assert world.reason is EndReason.EXTERNAL
    assert world.armed
    world.run(20)
    assert not world.armed
    assert world.ended[-1].reason is EndReason.EXTERNAL


def test_a_switch_that_went_off_at_the_cutoff_was_the_floor() -> None:
    world = World(soc=20.9).discharging()
    world.switch = world.armed = False
    world.run(1)
    assert world.reason is EndReason.SOC_FLOOR


def test_an_unreadable_switch_is_no_external_end() -> None:
    world = World().discharging()
    world.broken.add("switch")
    world.run(30)
    assert world.phase is Phase.ACTIVE


def test_a_battery_that_does_not_follow_ends_it_after_a_minute() -> None:
    world = World(absent={"dispatch"}).discharging().run(30)
    world.power_w = 1000.0
    world.run(55)
    assert world.phase is Phase.ACTIVE
    assert _end(world, 20) is EndReason.BATTERY_NOT_FOLLOWING
    assert world.raised(ErrorState.BATTERY_NOT_RESPONDING)


def test_a_dispatch_that_reads_disarmed_ends_it_within_seconds() -> None:
    world = World().discharging().run(30)
    world.armed = False  # the switch stays on
    assert _end(world, 25) is EndReason.BATTERY_NOT_FOLLOWING


def test_a_battery_that_holds_at_its_own_cutoff_just_above_the_floor_is_done() -> None:
    world = World(absent={"dispatch"}, soc=20.9).discharging()
    world.lost.add(WriteKind.POWER)
    world.power_w = 100.0
    assert _end(world, 90) is EndReason.SOC_FLOOR
    assert world.raised(ErrorState.BATTERY_NOT_RESPONDING) == []


def test_a_battery_that_gives_nothing_because_it_is_at_its_cutoff_is_done_too() -> None:
    world = World(soc=20.9).discharging()
    world.armed = False  # the switch stays on
    assert _end(world, 90) is EndReason.SOC_FLOOR


def test_a_clipping_inverter_follows_as_it_should() -> None:
    world = _with(inverter_limit_w=5000.0).discharging()
    world.pv_w = 4500.0
    world.power_w = 400.0
    world.run(120)
    assert world.phase is Phase.ACTIVE


def test_a_battery_nobody_measures_cannot_be_said_not_to_follow() -> None:
    world = World(absent={"dispatch", "battery"}).discharging()
    world.power_w = 0.0
    world.run(120)
    assert world.phase is Phase.ACTIVE


def test_export_above_the_contract_ends_it_and_raises_over_export_until_the_next_day() -> None:
    world = World().discharging().run(600)
    world.settings = replace(SETTINGS, fixed_limit_kwh=0.2)  # half of it is out already
    assert _end(world, 5) is EndReason.OVER_EXPORT
    assert world.raised(ErrorState.OVER_EXPORT)
    world.run(60)
    assert world.cleared(ErrorState.OVER_EXPORT) == []
    world.clock_offset = timedelta(hours=12)
    world.reset_at["export"] = world.now.utc
    world.run(1)
    assert world.cleared(ErrorState.OVER_EXPORT)


def test_a_fall_in_the_forecast_ends_it_at_once() -> None:
    start, end = NOON, NOON + timedelta(hours=6)
    world = World(replace(SETTINGS, basis=Basis.FORECAST))
    world.forecast = Forecast((Slot(start, end, 500.0, 500.0, 500.0),))
    world.discharging().run(60)
    assert world.phase is Phase.ACTIVE
    world.forecast = Forecast((Slot(start, end, 0.0, 0.0, 0.0),))
    world.run(1)
    assert world.reason is EndReason.HEADROOM_USED_UP


def test_a_lost_forecast_leaves_what_was_generated() -> None:
    world = World(replace(SETTINGS, basis=Basis.FORECAST))
    world.forecast = Forecast(total_today=Quantiles(2.0, 3.0, 4.0), valid_from=NOON.replace(hour=0))
    world.discharging().run(30)
    world.forecast = None
    world.run(1)
    assert world.reason is EndReason.HEADROOM_USED_UP


# --- Blind ---


def test_blind_it_goes_on_but_no_longer_than_the_blind_limit() -> None:
    world = World().discharging().run(90)
    world.broken.add("export")
    began = world.second
    assert _end(world) is EndReason.BLIND_LIMIT
    assert world.stop_attempts[0] - began == pytest.approx(900, abs=3)


def test_blind_it_stops_when_the_worst_case_reaches_the_allowance() -> None:
    settings = replace(SETTINGS, fixed_limit_kwh=0.55, hardware_lease_min=10.0)
    world = World(settings, absent=NO_GRID).discharging().run(240)
    world.pv_w = 2000.0
    world.broken.add("export")
    assert _end(world) is EndReason.HEADROOM_USED_UP
    assert world.exported <= 0.55


def test_a_lease_let_run_out_in_the_blind_is_named_after_the_blindness() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=0.4)).discharging().run(60)
    world.broken.add("export")
    assert _end(world) is EndReason.BLIND_LIMIT


def test_a_lost_soc_is_blind_too_and_says_so() -> None:
    world = World().discharging().run(90)
    world.broken.add("soc")
    world.run(20)
    assert world.raised(ErrorState.SOC_READ_FAILED)
    assert _end(world) is EndReason.BLIND_LIMIT


def test_a_lost_soc_does_not_conjure_up_headroom() -> None:
    """The sun to come still overflows from the battery, whether or not its SOC is told."""
    settings = replace(SETTINGS, fixed_limit_kwh=2.0, battery_capacity_kwh=10.0)
    world = World(settings, soc=99.0, load_w=0.0)
    slot = Slot(NOON, NOON + timedelta(hours=1), 3000.0, 3000.0, 3000.0)
    world.forecast = Forecast((slot,))
    world.settle().run(120)
    decision = world.state.decision
    assert decision is not None
    assert decision.export_left == 0.0
    world.broken.add("soc")
    world.run(1)
    decision = world.state.decision
    assert decision is not None
    assert decision.export_left == 0.0


def test_sight_regained_ends_the_blindness() -> None:
    world = World().discharging().run(90)
    world.broken.add("export")
    world.run(800)
    world.broken.clear()
    world.run(200)
    assert world.phase is Phase.ACTIVE
    assert world.state.watch.blind is None


def test_a_counter_that_tells_only_garbage_is_as_good_as_none() -> None:
    world = World().discharging().run(90)

    def garble(world: World) -> None:
        world.forged["export"] = 100.0 + world.second

    world.on_second = garble
    assert _end(world, 1100) is EndReason.BLIND_LIMIT


def test_a_frozen_counter_is_noticed_by_the_grid_sensor() -> None:
    world = World().discharging().run(90)
    world.frozen.add("export")
    assert _end(world, 1300) is EndReason.BLIND_LIMIT


# --- Lease ---


def _leases(world: World) -> list[tuple[int, float]]:
    return [(second, w.value) for second, w in world.writes(WriteKind.DURATION)]


def test_the_lease_is_renewed_at_half_its_time_by_a_changed_value() -> None:
    world = _with(fixed_limit_kwh=50.0, battery_capacity_kwh=100.0).discharging()
    armed = world.writes(WriteKind.SWITCH_ON)[0][0]
    world.run(5400)
    leases = _leases(world)
    assert leases[1][0] - armed == 900
    assert all(before[1] != after[1] for before, after in pairwise(leases))
    assert all(minutes <= 30.0 for _, minutes in leases)
    assert world.phase is Phase.ACTIVE
    assert world.armed


def test_a_one_step_lease_is_renewed_by_two_steps() -> None:
    world = _with(hardware_lease_min=5.0).discharging().run(200)
    assert [minutes for _, minutes in _leases(world)] == [5.0, 10.0]
    assert world.armed


def test_a_failed_renewal_stops() -> None:
    world = World().discharging()
    world.failing.add(WriteKind.DURATION)
    assert _end(world, 1000) is EndReason.RENEWAL_FAILED
    assert world.raised(ErrorState.DURATION_SET_FAILED)


def test_a_renewal_that_succeeds_clears_its_error() -> None:
    world = World().discharging()
    world.state = replace(world.state, faults=world.state.faults | {ErrorState.DURATION_SET_FAILED})
    world.run(1000)
    assert world.cleared(ErrorState.DURATION_SET_FAILED)


def test_an_unanswered_renewal_stops_when_the_lease_runs_out() -> None:
    world = World().discharging()
    world.unanswered.add(WriteKind.DURATION)
    world.run(905)
    world.minutes = 30.0
    assert _end(world, 1000) is EndReason.RENEWAL_FAILED


def test_no_renewal_while_blind() -> None:
    world = _with(blind_limit_min=60.0).discharging().run(800)
    world.broken.add("export")
    world.run(300)
    assert len(_leases(world)) == 1
    world.broken.clear()
    world.run(120)
    assert len(_leases(world)) == 2


def test_a_lease_never_outlasts_a_dead_home_assistant() -> None:
    world = World().discharging()
    world.state = State()  # nobody is left
    armed_s = 0
    while world.armed:
        world._pass_second()
        armed_s += 1
    assert armed_s <= 30 * 60


def test_a_renewal_that_fails_after_the_stop_has_begun_is_nobodys_fault() -> None:
    world = World().discharging()
    world.unanswered.add(WriteKind.DURATION)
    world.run(905)
    renewal = world.writes(WriteKind.DURATION)[-1][1]
    world.stop()
    world.take(Answered(world.now, renewal, ok=False))
    assert world.raised(ErrorState.DURATION_SET_FAILED) == []


# --- Conditions ---


def test_data_stale_for_five_minutes_raises_until_it_is_fresh() -> None:
    world = World().settle()
    for second in range(100, 420, 10):
        look = replace(world.look(), data_stale=True, now=instant(second))
        world.take(Observed(look))
    assert world.raised(ErrorState.STALE_DATA)
    world.run(1)
    assert world.cleared(ErrorState.STALE_DATA)


def test_data_that_never_was_complete_raises_after_two_minutes() -> None:
    world = World(broken={"soc"}).run(119)
    assert world.raised(ErrorState.NO_DATA) == []
    world.run(5)
    assert world.raised(ErrorState.NO_DATA)
    world.broken.clear()
    world.run(1)
    assert world.cleared(ErrorState.NO_DATA)


def test_a_session_without_a_record_is_not_guarded_and_raises_nothing() -> None:
    turn = Turn(State(phase=Phase.ACTIVE), instant(0))
    look = observation()
    state, _ = step(State(), Observed(look))
    assert state.decision is not None
    guard(turn, look, state.decision)
    assert turn.commands == []


def test_the_answer_to_the_request_says_which_session_began() -> None:
    world = World().discharging()
    reply = world.replies[-1]
    assert reply.answer is Answer.STARTED
    assert world.state.session is not None
    assert reply.session is not None
    assert reply.session.id == world.state.session.id


def test_an_acknowledged_over_export_is_not_raised_again_before_it_happens_again() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=0.3), pv_w=3000.0).settle()
    world.run_until(lambda w: ErrorState.OVER_EXPORT in w.state.faults, 900)
    faults = world.state.faults - {ErrorState.OVER_EXPORT}
    world.state = replace(world.state, faults=faults)  # as `Control.withdraw` does
    world.run(300)
    assert len(world.raised(ErrorState.OVER_EXPORT)) == 1
    world.clock_offset = timedelta(hours=12)
    world.reset_at["export"] = world.now.utc
    world.run(900)
    assert len(world.raised(ErrorState.OVER_EXPORT)) == 2


@pytest.mark.parametrize("absent", [set(), {"grid"}], ids=["grid", "balance"])
def test_a_counter_that_falls_silent_while_the_sun_exports_is_stale_and_blinds_the_guard(
    absent: set[str],
) -> None:
    world = World(absent=absent, pv_w=2000.0).settle()
    world.silent = {"export"}
    world.run(150)
    assert world.state.decision is not None
    assert world.state.decision.blocker is None
    world.run(120)
    assert world.state.decision.blocker is Blocker.STALE_DATA
    world.silent = set()
    world.run(130)
    assert world.state.decision.blocker is None


@pytest.mark.parametrize("absent", [set(), {"grid"}], ids=["grid", "balance"])
def test_a_counter_that_falls_silent_in_a_session_ends_it_at_the_blind_limit(
    absent: set[str],
) -> None:
    settings = replace(SETTINGS, blind_limit_min=5.0, fixed_limit_kwh=50.0)
    world = World(settings, absent=absent).discharging().run(60)
    world.silent = {"export"}
    began = world.second
    assert _end(world, 900) is EndReason.BLIND_LIMIT
    assert 180 + 300 <= world.second - began <= 180 + 300 + 120


def test_a_counter_that_is_silent_while_nothing_flows_out_rests() -> None:
    world = World(absent={"grid"}, pv_w=800.0).settle()  # 400 W out: within the sensors' errors
    world.silent = {"export"}
    world.run(1800)
    assert world.state.decision is not None
    assert world.state.decision.blocker is None


def test_what_a_dead_counter_never_showed_stays_counted_when_the_sun_is_gone() -> None:
    world = World(absent={"grid"}, pv_w=3000.0).settle()
    world.silent = {"export"}
    world.run(1800)
    world.pv_w = 0.0
    world.run(1800)  # nothing flows: the counter may rest, but not its sum
    assert world.state.decision is not None
    assert world.state.decision.blocker is None
    assert world.state.decision.counted >= world.exported
    world.clock_offset = timedelta(hours=12)  # the next day has sums of its own
    world.run(400)
    assert world.state.decision.counted <= 0.05


def test_a_counter_accused_by_a_grid_sensor_that_lied_is_acquitted_without_a_report() -> None:
    world = World().settle()
    world.silent, world.forged = {"export"}, {"grid": -2000.0}
    world.run(400)
    assert world.state.decision is not None
    assert world.state.decision.blocker is Blocker.STALE_DATA
    world.forged = {}
    world.run(95)
    assert world.state.decision.blocker is None
