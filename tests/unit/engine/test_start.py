"""A start fails closed: refused for the first reason, parameters first, activation last."""

from dataclasses import replace

import pytest

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.start import blocker_of
from custom_components.export_monitor.engine.state import (
    Answer,
    Answered,
    Phase,
    Reply,
    StartRequested,
    State,
    StopRequested,
    Write,
    WriteKind,
)
from custom_components.export_monitor.models import (
    Blocker,
    EndReason,
    ErrorState,
    Observation,
    SwitchReading,
)
from tests.unit.engine.world import SETTINGS, World, instant, observation, reading, readings


def _request(look: Observation, **limits: float) -> tuple[State, tuple[object, ...]]:
    return step(State(), StartRequested(look, "r", **limits))  # type: ignore[arg-type]


def _refusal(look: Observation) -> Blocker | None:
    reply = _request(look)[1][-1]
    assert isinstance(reply, Reply)
    assert reply.answer is Answer.REFUSED
    return reply.blocker


FAULTS = (
    (Blocker.TARGET_ZERO, {"settings": {"target_export_w": 0.0}}),
    (Blocker.CIRCUIT_OPEN, {"battery_circuit_open": True}),
    (Blocker.STALE_DATA, {"data_stale": True}),
    (Blocker.SOC_MISSING, {"readings": {"soc": reading(None, problem="missing")}}),
    (Blocker.SOC_AT_FLOOR, {"readings": {"soc": reading(20.0)}}),
    (Blocker.NO_HEADROOM, {"settings": {"fixed_limit_kwh": 0.0}}),
    (Blocker.MODE_CONFLICT, {"readings": {"conflicts": ("force charging",)}}),
)


def _with(*faults: dict[str, object]) -> Observation:
    look = observation()
    for fault in faults:
        for key, value in fault.items():
            inner = getattr(look, key)
            new = replace(inner, **value) if isinstance(value, dict) else value
            look = replace(look, **{key: new})
    return look


@pytest.mark.parametrize("index", range(len(FAULTS)))
def test_the_first_reason_in_the_specified_order_refuses(index: int) -> None:
    remaining = FAULTS[index:]
    # Two faults that are settings or readings of different fields add up.
    assert _refusal(_with(*(fault for _, fault in reversed(remaining)))) is FAULTS[index][0]


def test_a_start_is_refused_while_a_stop_is_under_way() -> None:
    world = World().discharging()
    world.stop()
    world.request()
    assert world.replies[-1].blocker is Blocker.STOP_IN_PROGRESS


def test_a_start_is_refused_while_one_runs_or_the_switch_is_on() -> None:
    world = World().discharging()
    world.request()
    assert world.replies[-1].blocker is Blocker.ALREADY_RUNNING
    on = observation(look=readings(switch=SwitchReading(on=True)))
    assert _refusal(on) is Blocker.ALREADY_RUNNING


def test_no_reason_stands_against_a_calm_house() -> None:
    world = World().settle()
    decision = world.state.decision
    assert decision is not None
    assert blocker_of(world.state, world.look().readings, decision) is None


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"soc": reading(None, problem="missing")}, ErrorState.SOC_READ_FAILED),
        ({"soc": reading(80.0, problem="stale")}, ErrorState.STALE_DATA),
        ({"export_counter": reading(None, problem="missing")}, ErrorState.NO_DATA),
        ({"conflicts": ("force export",)}, ErrorState.MODE_CONFLICT),
    ],
)
def test_a_refusal_for_the_worlds_sake_raises_its_error_until_the_world_is_well(
    change: dict[str, object], error: ErrorState
) -> None:
    world = World().settle()
    sick = replace(world.look(), readings=replace(world.look().readings, **change))
    world.take(StartRequested(sick, "r"))
    assert world.replies[-1].error is error
    assert world.raised(error)
    world.run(1)
    assert world.cleared(error)


def test_an_update_circuit_that_is_open_refuses() -> None:
    assert _refusal(observation(update_circuit_open=True)) is Blocker.CIRCUIT_OPEN


def test_an_unreadable_switch_refuses() -> None:
    assert _refusal(observation(look=readings(switch=SwitchReading(None)))) is Blocker.NO_DATA


def test_an_observed_reserve_is_a_floor_and_is_required() -> None:
    at = observation(look=readings(soc=reading(40.0), reserve_soc=reading(50.0)))
    assert _refusal(at) is Blocker.SOC_AT_RESERVE
    gone = observation(look=readings(reserve_soc=reading(None, problem="missing")))
    assert _refusal(gone) is Blocker.NO_DATA


def test_parameters_are_written_in_order_and_activation_last() -> None:
    world = World().discharging()
    assert [(w.kind, w.value) for _, w in world.writes()] == [
        (WriteKind.POWER, 3000.0),
        (WriteKind.CUTOFF, 20.0),
        (WriteKind.DURATION, 30.0),
        (WriteKind.SWITCH_ON, 0.0),
    ]
    assert world.replies[-1].answer is Answer.STARTED
    assert world.armed


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (WriteKind.POWER, ErrorState.POWER_SET_FAILED),
        (WriteKind.CUTOFF, ErrorState.CUTOFF_SET_FAILED),
        (WriteKind.DURATION, ErrorState.DURATION_SET_FAILED),
        (WriteKind.SWITCH_ON, ErrorState.START_FAILED),
    ],
)
def test_a_failed_write_switches_off_proven_and_says_what_failed(
    kind: WriteKind, error: ErrorState
) -> None:
    world = World(failing={kind}).settle()
    world.request()
    world.run(20)
    assert world.replies[-1].answer is Answer.FAILED
    assert world.replies[-1].error is error
    assert world.raised(error)
    assert world.stop_attempts
    assert world.phase is Phase.IDLE
    assert world.ended[-1].reason is EndReason.START_FAILED
    assert world.ended[-1].proof is not None


def test_battery_faults_clear_with_the_next_start_that_works() -> None:
    world = World(failing={WriteKind.POWER}).settle()
    world.request()
    world.run(20)
    world.failing.clear()
    world.request()
    world.run(10)
    assert world.phase is Phase.ACTIVE
    assert world.cleared(ErrorState.POWER_SET_FAILED)


@pytest.mark.parametrize("after_s", range(6))
def test_a_stop_cancels_a_start_and_nothing_is_switched_on_after_it(after_s: int) -> None:
    world = World().settle()
    world.request()
    world.run(after_s)
    if world.phase is not Phase.STARTING:
        return
    world.stop()
    at = world.second
    assert Answer.CANCELLED in [reply.answer for reply in world.replies]
    world.run(30)
    assert [second for second, w in world.writes(WriteKind.SWITCH_ON) if second > at] == []
    assert not world.armed
    assert world.phase is Phase.IDLE


def test_an_answer_of_an_older_epoch_or_to_another_write_moves_nothing() -> None:
    world = World().settle()
    world.request()
    first = world.writes(WriteKind.POWER)[0][1]
    stray = replace(first, id=first.id + 7)
    assert world.take(Answered(world.now, stray, ok=False)) == ()
    world.run(2)
    assert world.take(Answered(world.now, first, ok=True)) == ()  # answered before
    world.stop()
    assert world.take(Answered(world.now, first, ok=True)) == ()
    assert world.phase is Phase.STOPPING


def test_activation_is_refused_when_the_world_has_changed_since_the_request() -> None:
    world = World().settle()
    world.request()
    world.conflicts = ("force charging",)
    world.run(30)
    assert world.writes(WriteKind.SWITCH_ON) == []
    assert world.replies[-1].answer is Answer.FAILED


def test_activation_without_a_decision_is_refused() -> None:
    world = World().settle()
    world.request()
    world.run(2)
    world.state = replace(world.state, decision=None)
    waiting = world.state.starting
    assert waiting is not None
    write = Write(waiting.awaiting, world.state.epoch, WriteKind.DURATION, 30.0)
    world.take(Answered(world.now, write, ok=True))
    assert world.phase is Phase.STOPPING
    assert world.writes(WriteKind.SWITCH_ON) == []


def test_a_start_whose_answers_do_not_come_is_given_up() -> None:
    world = World(unanswered={WriteKind.CUTOFF}).settle()
    world.request()
    world.run(140)
    assert world.replies[-1].answer is Answer.FAILED
    assert world.phase is Phase.IDLE


def test_an_unanswered_activation_is_guarded_at_the_allowance_all_the_same() -> None:
    settings = replace(SETTINGS, fixed_limit_kwh=0.07, target_export_w=5000.0)
    world = World(settings, unanswered={WriteKind.SWITCH_ON}).settle()
    world.request()
    world.run(119)
    assert world.exported <= 0.07 + 0.01
    assert not world.armed


def test_power_that_is_not_yet_asked_for_does_not_count_as_exported() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=0.065), absent={"grid", "battery"}, write_s=8)
    world.settle()
    world.request()
    world.run(40)
    assert Answer.STARTED in [reply.answer for reply in world.replies]


def test_limits_of_a_request_only_lower_what_is_allowed() -> None:
    world = World(replace(SETTINGS, site_export_limit_w=2500.0)).settle()
    world.request(power_w=9000.0)
    assert world.writes(WriteKind.POWER)[-1][1].value == 2500.0
    lower = World().settle()
    lower.request(power_w=1200.0)
    assert lower.writes(WriteKind.POWER)[-1][1].value == 1200.0


@pytest.mark.parametrize("power_w", [0.0, -500.0])
def test_a_request_for_no_power_is_refused(power_w: float) -> None:
    world = World().settle()
    world.request(power_w=power_w)
    assert world.replies[-1].blocker is Blocker.TARGET_ZERO
    assert world.writes() == []


@pytest.mark.parametrize(
    ("headroom_kwh", "minutes"),
    [
        (5.0, 30.0),  # 100 min at 3 kW: the lease is the smaller
        (1.01, 20.0),  # exactly 20 min
        (1.2, 20.0),  # 23.8 min: down to the step
        (0.1, 5.0),  # 1.8 min: at least one step
    ],
)
def test_the_lease_is_the_smaller_of_itself_and_the_worst_case_in_whole_steps(
    headroom_kwh: float, minutes: float
) -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=headroom_kwh)).settle()
    world.request()
    starting = world.state.starting
    assert starting is not None
    assert starting.lease_min == minutes


def test_a_request_for_a_duration_plans_the_end() -> None:
    world = World().settle()
    world.request(duration_min=10.0)
    session = world.state.session
    assert session is not None
    assert session.planned_end is not None
    assert (session.planned_end - session.started).total_seconds() == 600


def test_stop_and_start_in_the_same_second_leave_nothing_running() -> None:
    world = World().settle()
    world.stop()
    world.request()
    assert world.replies[-1].blocker is Blocker.STOP_IN_PROGRESS
    world.run(30)
    assert world.phase is Phase.IDLE
    assert not world.armed


def test_a_stop_of_nothing_is_answered_when_the_battery_is_seen_to_rest() -> None:
    state, commands = step(State(), StopRequested(observation(), request_id="s"))
    assert [c.kind for c in commands if isinstance(c, Write)] == [WriteKind.SWITCH_OFF]
    assert state.phase is Phase.STOPPING
    world = World().settle()
    world.stop()
    world.run(10)
    assert world.replies[-1].answer is Answer.STOPPED
    assert world.ended == []
    assert instant(0).mono < world.state.cooldown_until
