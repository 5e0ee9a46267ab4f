"""What the machine does while no session runs, and what it accounts for, at the very limits."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import (
    Answered,
    Observed,
    Phase,
    Raise,
    State,
    StopRequested,
    WriteKind,
)
from custom_components.export_monitor.models import EndReason, ErrorState, Origin, SwitchReading
from tests.unit.engine.world import SETTINGS, World, instant, observation, reading, readings

POWER_ONLY = {"dispatch"}


def _stopped(**changes: object) -> World:
    """Return a house in the second in which its session's end was proven."""
    world = World(**changes).discharging().run(60)  # type: ignore[arg-type]
    world.stop()
    return world.run_until(lambda w: w.phase is Phase.IDLE, 30)


def _appear(world: World, power_w: float = 3000.0) -> int:
    """Let a discharge show up that nobody asked for; return the second."""
    world.armed, world.power_w, world.timer_s = True, power_w, 7200.0
    return world.second


# --- After a stop ---


@pytest.mark.parametrize(("after_s", "cancelled"), [(14, True), (15, False)])
def test_a_switch_on_within_15_seconds_of_a_stop_is_the_start_that_was_cancelled(
    after_s: int, cancelled: bool
) -> None:
    world = _stopped()
    world.run(after_s - 1)
    world.switch = True
    _appear(world)
    world.run(1)
    if cancelled:
        assert world.reason is EndReason.START_CANCELLED
        assert world.phase is Phase.STOPPING
    else:
        assert world.phase is Phase.ACTIVE
        assert world.state.session is not None
        assert world.state.session.origin is Origin.ADOPTED
        assert world.state.watch.switched


def test_a_switch_on_without_any_stop_before_is_adopted() -> None:
    world = World().settle()
    world.switch = True
    _appear(world)
    world.run(1)
    assert world.phase is Phase.ACTIVE


@pytest.mark.parametrize(("end_s", "stopped"), [(299, True), (300, False)])
def test_for_five_minutes_a_dispatch_that_shows_up_is_stopped_and_then_adopted(
    end_s: int, stopped: bool
) -> None:
    world = _stopped()
    ended = world.now.mono
    _appear(world)
    at = instant(world.second)
    state = replace(world.state, unbidden=1)
    look = world.look()
    told = {"dispatch_start": reading(1.0, at.utc), "battery_power": reading(3000.0, at.utc)}
    seen = replace(look.readings, **told)
    moment = replace(at, mono=ended + end_s)
    state, _ = step(state, Observed(replace(look, readings=seen, now=moment)))
    if stopped:
        assert state.stopping is not None
        assert state.stopping.reason is EndReason.USER
    else:
        assert state.phase is Phase.ACTIVE


def test_what_shows_in_the_power_alone_is_stopped_at_its_fifth_report() -> None:
    world = _stopped(absent=POWER_ONLY)
    world.run(10)
    began = _appear(world)
    world.run_until(lambda w: w.phase is Phase.STOPPING, 30)
    assert world.second - began == 5  # reports come every second


def test_a_dispatch_is_adopted_at_its_second_report() -> None:
    world = World().settle()
    began = _appear(world)
    world.run_until(lambda w: w.phase is Phase.ACTIVE, 30)
    assert 5 < world.second - began <= 10  # reports come every five seconds


def test_reports_of_a_discharge_count_in_a_row_only() -> None:
    world = _stopped(absent=POWER_ONLY)
    world.run(10)
    for _ in range(4):
        _appear(world)
        world.run(3)
        world.armed = False
        world.run(2)
    assert world.phase is Phase.IDLE
    assert world.state.unbidden == 0
    assert world.state.unbidden_at is None


def test_a_dispatch_that_charges_after_a_stop_is_not_ours() -> None:
    world = _stopped()
    world.run(5)
    _appear(world, power_w=-3000.0)
    world.run(30)
    assert world.phase is Phase.IDLE


def test_a_dispatch_hidden_by_the_house_after_a_stop_may_be_ours_and_is_stopped() -> None:
    world = _stopped(load_w=3000.0)
    world.run(5)
    _appear(world)
    world.run(30)
    assert len(world.stop_attempts) >= 2
    assert not world.armed


def test_a_late_discharge_ends_for_the_reason_of_the_session_it_belongs_to() -> None:
    world = World().discharging().run(60)
    world.stop(EndReason.UNLOAD)
    world.run(20)
    _appear(world)
    world.run_until(lambda w: w.phase is Phase.STOPPING, 30)
    assert world.reason is EndReason.UNLOAD


def test_a_discharge_amid_another_mode_is_its_owners_and_guarded() -> None:
    world = _stopped()
    world.conflicts = ("force export",)
    _appear(world)
    world.run(60)
    assert world.phase is Phase.ACTIVE
    assert world.state.session is not None
    assert world.state.session.origin is Origin.ADOPTED


# --- What stands too long ---


def test_data_stale_for_five_minutes_raises_to_the_second() -> None:
    world = World().settle()
    began = world.second + 1
    for second in range(began, began + 301):
        world.second = second
        world.take(Observed(replace(world.look(), data_stale=True)))
    assert world.raised(ErrorState.STALE_DATA) == [began + 300]
    assert len([c for _, c in world.log if isinstance(c, Raise)]) == 1


def test_a_stale_source_counts_like_stale_data() -> None:
    world = World().settle()
    stale = replace(world.look().readings, soc=reading(80.0, problem="stale"))
    for second in (100, 399, 400):
        world.take(Observed(replace(world.look(), readings=stale, now=instant(second))))
        raised = [c for _, c in world.log if isinstance(c, Raise)]
        assert bool(raised) is (second == 400)


def test_data_that_never_was_complete_raises_after_two_minutes_to_the_second() -> None:
    world = World(broken={"soc"}).run(130)
    assert world.raised(ErrorState.NO_DATA) == [121]  # first looked at in second 1


def test_data_that_was_complete_once_raises_no_data_no_more() -> None:
    world = World().settle()
    world.broken.add("soc")
    world.run(200)
    assert world.raised(ErrorState.NO_DATA) == []


def test_a_start_refused_for_stale_data_says_no_more_once_it_is_fresh() -> None:
    world = World().settle()
    world.conflicts = ("force charging",)
    world.request()
    world.run(3)
    assert world.cleared(ErrorState.MODE_CONFLICT) == []
    world.conflicts = ()
    world.run(1)
    assert len(world.cleared(ErrorState.MODE_CONFLICT)) == 1


def test_over_export_says_how_much_and_is_raised_once() -> None:
    world = World().discharging().run(600)
    world.settings = replace(SETTINGS, fixed_limit_kwh=0.2)
    world.run(120)
    raised = [c for _, c in world.log if isinstance(c, Raise)]
    over = [c for c in raised if c.error is ErrorState.OVER_EXPORT]
    assert len(over) == 1
    exported, _, contract, unit = over[0].detail.split()
    assert 0.3 < float(exported) < 0.6
    assert (contract, unit) == ("0.20", "kWh")


# --- What a session is accounted ---


def test_a_sessions_energy_counts_from_its_own_start() -> None:
    world = World().discharging().run(300)
    first = world.exported
    world.stop()
    world.run(60)
    world.discharging().run(300)
    world.stop()
    world.run(20)
    assert world.ended[0].exported_kwh == pytest.approx(first, abs=0.02)
    assert world.ended[1].exported_kwh == pytest.approx(world.exported - first, abs=0.03)


def test_without_a_grid_sensor_export_is_counted_from_the_switching_on() -> None:
    world = World(absent={"grid", "battery", "load"}).settle()
    world.request()
    world.run_until(lambda w: bool(w.writes(WriteKind.SWITCH_ON)), 20)
    assert world.state.meter.ahead == pytest.approx(0.01 + 3000 / 3.6e6)  # a step and a second
    world.run(1)
    assert world.state.meter.ahead == pytest.approx(0.01 + 2 * 3000 / 3.6e6)
    world.run_until(lambda w: w.phase is Phase.ACTIVE, 20)
    active = world.state.meter.counted
    world.run(10)
    assert world.state.meter.counted - active == pytest.approx(10 * 3000 / 3.6e6, rel=0.15)


def test_what_a_dead_mans_timer_has_ended_counts_no_further() -> None:
    world = World(absent={"grid", "battery", "load"}).discharging()
    assert world.state.lease is not None
    lease = world.state.lease
    world.broken |= {"export"}
    world.stop()
    world.state = replace(world.state, lease=replace(lease, minutes=1.0))
    world.unplugged = True
    world.run_until(lambda w: w.now.mono >= lease.armed.mono + 61, 120)
    counted = world.state.meter.counted
    world.run(60)
    assert world.state.meter.counted == pytest.approx(counted, abs=1e-6)


def test_an_adopted_discharge_counts_at_the_most_it_has_given() -> None:
    world = World(replace(SETTINGS, inverter_limit_w=0.0)).settle()
    world.switch = True
    _appear(world, power_w=7000.0)
    world.run(20)
    world.power_w = 2000.0
    world.run(20)
    assert world.state.session is not None
    assert world.state.session.power_w == 7000.0


def test_the_last_soc_and_reserve_that_could_be_read_are_kept() -> None:
    world = World(reserve=40.0).settle()
    world.broken.add("soc")
    world.run(30)
    assert world.state.last_soc == pytest.approx(80.0, abs=1.0)
    assert world.state.last_reserve == 40.0
    lost = replace(world.look().readings, reserve_soc=reading(None, problem="unavailable"))
    world.take(Observed(replace(world.look(), readings=lost)))
    assert world.state.last_reserve == 40.0
    assert world.state.decision is not None
    assert world.state.decision.floor_soc == 40.0


# --- Answers ---


def test_an_answer_to_a_write_before_the_stop_changes_nothing() -> None:
    world = World().discharging().run(901)
    renewal = world.writes(WriteKind.DURATION)[-1][1]
    world.stop()
    lease = world.state.lease
    world.take(Answered(world.now, renewal, ok=True))
    assert world.state.lease == lease


def test_a_note_does_not_erase_what_is_known_of_the_session() -> None:
    world = World().discharging().run(10)
    before = world.state.session
    world.take(StopRequested(world.look(), EndReason.USER, "s"))
    assert world.state.session is not None
    assert before is not None
    assert world.state.session.note is None
    assert world.state.session.id == before.id


def test_a_stop_is_pursued_and_a_start_guarded_by_looking_alone() -> None:
    world = World(unanswered=set(WriteKind)).settle()
    world.request()
    world.run(120)
    assert world.phase is Phase.STARTING
    world.run(1)
    assert world.reason is EndReason.START_FAILED
    failed = next(c for _, c in world.log if isinstance(c, Raise))
    assert failed.error is ErrorState.START_FAILED
    assert failed.detail == "no answer"


def test_a_first_look_at_a_strange_battery_begins_no_session() -> None:
    off = readings(switch=SwitchReading(on=None), battery_power=reading(5000.0))
    state, commands = step(State(), Observed(observation(0, off)))
    assert state.phase is Phase.IDLE
    assert commands == ()
    later = observation(5, replace(off, battery_power=reading(5000.0, instant(5).utc)))
    state, commands = step(state, Observed(replace(later, now=later.now)))
    assert state.phase is Phase.IDLE


def test_a_clock_set_back_does_not_age_what_is_stale() -> None:
    world = World().settle()
    world.clock_offset = timedelta(hours=-1)
    world.run(250)
    assert world.raised(ErrorState.STALE_DATA) == []


def test_data_that_goes_missing_is_noticed_although_all_was_well() -> None:
    world = World().settle()
    world.run(90)
    assert world.state.watch.incomplete is None
    world.broken.add("soc")
    world.run(2)
    assert world.state.watch.incomplete is not None
