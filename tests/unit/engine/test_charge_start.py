"""A charge starts on the same path: refused for the first reason, parameters first, then on."""

from dataclasses import replace
from typing import Any

import pytest

from custom_components.export_monitor.engine.modes import charge_blocker
from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.start import blocker_of
from custom_components.export_monitor.engine.state import (
    Answer,
    Answered,
    Phase,
    Reply,
    StartRequested,
    State,
    Write,
    WriteKind,
)
from custom_components.export_monitor.models import (
    Blocker,
    EndReason,
    ErrorState,
    Kind,
    Observation,
    SwitchReading,
)
from tests.unit.engine.world import SETTINGS, World, instant, observation, reading, readings

OFF, ON, UNREADABLE = SwitchReading(on=False), SwitchReading(on=True), SwitchReading(None)
FAULTS: tuple[tuple[Blocker, dict[str, Any]], ...] = (
    (Blocker.NO_CHARGE_CONTROL, {"readings": {"charge_switch": None}}),
    (Blocker.CIRCUIT_OPEN, {"battery_circuit_open": True}),
    (Blocker.STALE_DATA, {"data_stale": True}),
    (Blocker.SOC_MISSING, {"readings": {"soc": reading(None, problem="missing")}}),
    (Blocker.SOC_FULL, {"readings": {"soc": reading(100.0)}}),
    (Blocker.MODE_CONFLICT, {"readings": {"conflicts": ("force_export",)}}),
    (Blocker.NO_DATA, {"readings": {"modes_known": False}}),
)


def _look(*faults: dict[str, Any]) -> Observation:
    seen = {"charge_switch": OFF}
    rest: dict[str, Any] = {}
    for fault in faults:
        seen |= fault.get("readings", {})
        rest |= {key: value for key, value in fault.items() if key != "readings"}
    now = instant(0).utc
    return observation(look=readings(now, **seen), **{"settings": SETTINGS} | rest)


def _refusal(look: Observation, state: State | None = None, **limits: Any) -> Blocker | None:
    event = StartRequested(look, "r", kind=Kind.CHARGE, **limits)
    reply = step(state or State(), event)[1][-1]
    assert isinstance(reply, Reply)
    assert reply.answer is Answer.REFUSED
    return reply.blocker


@pytest.mark.parametrize("index", range(len(FAULTS)))
def test_the_first_reason_in_order_is_given(index: int) -> None:
    # Laid from the last to the first, so that the first one's reading is not covered.
    assert _refusal(_look(*[fault for _, fault in reversed(FAULTS[index:])])) is FAULTS[index][0]


@pytest.mark.parametrize(
    ("fault", "blocker"),
    [
        ({"update_circuit_open": True}, Blocker.CIRCUIT_OPEN),
        ({"settings": replace(SETTINGS, charge_power_w=0.0)}, Blocker.NO_CHARGE_CONTROL),
        ({"readings": {"soc": reading(50.0, problem="stale")}}, Blocker.STALE_DATA),
        ({"readings": {"soc": reading(50.0, problem="frozen")}}, Blocker.STALE_DATA),
        ({"readings": {"charge_switch": UNREADABLE}}, Blocker.NO_DATA),
        ({"readings": {"switch": UNREADABLE}}, Blocker.NO_DATA),
        ({"readings": {"switch": ON}}, Blocker.MODE_CONFLICT),
        ({"readings": {"charge_switch": ON}}, Blocker.ALREADY_RUNNING),
    ],
)
def test_other_reasons_against_it(fault: dict[str, Any], blocker: Blocker) -> None:
    assert _refusal(_look(fault)) is blocker


@pytest.mark.parametrize(("soc", "blocker"), [(69.9, None), (70.0, Blocker.SOC_FULL)])
def test_a_target_below_full_counts(soc: float, blocker: Blocker | None) -> None:
    look = _look({"readings": {"soc": reading(soc)}})
    assert charge_blocker(look, 70.0) is blocker
    if blocker is not None:
        assert _refusal(look, soc=70.0) is blocker


def test_it_needs_neither_a_target_nor_headroom_nor_the_counters() -> None:
    gone = reading(None, problem="unavailable")
    look = _look(
        {
            "settings": replace(SETTINGS, target_export_w=0.0, fixed_limit_kwh=0.0),
            "readings": {"export_counter": gone, "pv_counters": (gone,), "soc": reading(5.0)},
        }
    )
    state, _ = step(State(), StartRequested(look, "r", kind=Kind.CHARGE))
    assert state.phase is Phase.STARTING
    assert state.decision is not None
    assert state.decision.blocker is Blocker.TARGET_ZERO
    assert state.decision.charge_blocker is None


def test_the_errors_of_a_refusal_are_those_of_a_discharge() -> None:
    look = _look({"readings": {"soc": reading(None, problem="missing")}})
    state, _ = step(State(), StartRequested(look, "r", kind=Kind.CHARGE))
    assert state.faults == {ErrorState.SOC_READ_FAILED}


@pytest.mark.parametrize(("asked", "given"), [(None, 3680.0), (2000.0, 2000.0), (9000.0, 3680.0)])
def test_the_power_asked_for_only_lowers_the_limit(asked: float | None, given: float) -> None:
    world = World().charging(power_w=asked)
    assert world.writes(WriteKind.POWER)[0][1].value == given
    assert world.state.session is not None
    assert world.state.session.power_w == given


def test_parameters_come_first_and_the_switch_last_all_on_the_charge_controls() -> None:
    world = World().charging(soc=90.0)
    kinds = [write.kind for _, write in world.writes()]
    order = [WriteKind.POWER, WriteKind.CUTOFF, WriteKind.DURATION, WriteKind.SWITCH_ON]
    assert kinds == order
    assert {write.mode for _, write in world.writes()} == {Kind.CHARGE}
    assert [write.value for _, write in world.writes()] == [3680.0, 90.0, 30.0, 0.0]
    assert world.run(30).battery_w == -3680.0
    assert world.replies[-1].answer is Answer.STARTED


@pytest.mark.parametrize(("asked", "cutoff"), [(None, 100.0), (85.0, 85.0), (120.0, 100.0)])
def test_it_charges_to_full_unless_told_otherwise(asked: float | None, cutoff: float) -> None:
    world = World().charging(soc=asked)
    assert world.writes(WriteKind.CUTOFF)[0][1].value == cutoff


@pytest.mark.parametrize("kind", list(WriteKind)[:4])
def test_a_write_that_fails_switches_off_and_says_so(kind: WriteKind) -> None:
    world = World(chargeable=True, failing={kind}).settle()
    world.request(kind=Kind.CHARGE)
    world.run(20)
    failed = world.replies[0]
    assert (failed.answer, failed.error) == (Answer.FAILED, ErrorState.CHARGE_START_FAILED)
    assert world.state.faults == {ErrorState.CHARGE_START_FAILED}
    off = world.writes(WriteKind.SWITCH_OFF)
    assert [write.mode for _, write in off] == [Kind.CHARGE]
    assert world.ended[0].reason is EndReason.START_FAILED
    assert world.ended[0].kind is Kind.CHARGE
    assert not world.armed


def test_a_good_charge_clears_the_error_of_the_last_but_not_those_of_a_discharge() -> None:
    world = World(chargeable=True, failing={WriteKind.POWER}).settle()
    world.request(kind=Kind.CHARGE)
    world.request()
    world.run(20)
    world.request()
    world.run(20)
    assert world.state.faults == {ErrorState.CHARGE_START_FAILED, ErrorState.POWER_SET_FAILED}
    world.failing.clear()
    world.charging()
    assert world.state.faults == {ErrorState.POWER_SET_FAILED}


def test_a_good_discharge_clears_no_error_of_a_charge() -> None:
    world = World(chargeable=True, failing={WriteKind.CUTOFF}).settle()
    world.request(kind=Kind.CHARGE)
    world.run(20)
    world.failing.clear()
    world.discharging()
    assert world.state.faults == {ErrorState.CHARGE_START_FAILED}


def test_a_stop_cancels_a_start() -> None:
    world = World(chargeable=True, write_s=3).settle()
    world.request(kind=Kind.CHARGE)
    world.run(1)
    world.stop()
    world.run(20)
    assert [reply.answer for reply in world.replies] == [Answer.CANCELLED, Answer.STOPPED]
    assert not world.charge_switch
    assert not world.armed


def test_no_answer_for_two_minutes_is_a_failure() -> None:
    world = World(chargeable=True, unanswered={WriteKind.POWER}).settle()
    world.request(kind=Kind.CHARGE)
    world.run(130)
    assert world.replies[0].error is ErrorState.CHARGE_START_FAILED
    assert world.replies[0].detail == "no answer"


@pytest.mark.parametrize(
    ("change", "answer", "blocker"),
    [
        ({"conflicts": ("force_export",)}, Answer.FAILED, None),
        ({"forged": {"soc": 100.0}}, Answer.REFUSED, Blocker.SOC_FULL),
    ],
)
def test_what_changes_before_it_is_switched_on_still_counts(
    change: dict[str, Any], answer: Answer, blocker: Blocker | None
) -> None:
    world = World(chargeable=True, write_s=4).settle()
    world.request(kind=Kind.CHARGE)
    for key, value in change.items():
        setattr(world, key, value)
    world.run(20)
    assert (world.replies[0].answer, world.replies[0].blocker) == (answer, blocker)
    assert world.writes(WriteKind.SWITCH_ON) == []
    assert world.phase is Phase.IDLE


def test_a_start_is_given_up_when_another_mode_comes_on_before_the_answer() -> None:
    world = World(chargeable=True, unanswered={WriteKind.SWITCH_ON}).settle()
    world.request(kind=Kind.CHARGE)
    world.run_until(lambda w: w.charge_switch)
    world.conflicts = ("force_export",)
    world.run(1)
    assert world.reason is EndReason.START_FAILED
    assert world.replies[0].error is ErrorState.CHARGE_START_FAILED


def test_it_is_guarded_before_the_answer_to_its_switch_comes() -> None:
    world = World(chargeable=True, unanswered={WriteKind.SWITCH_ON}).settle()
    world.request(kind=Kind.CHARGE, energy_kwh=0.02)
    world.run(40)
    assert world.reason is EndReason.TARGET_REACHED


def test_before_it_is_switched_on_nothing_is_taken() -> None:
    world = World(chargeable=True, write_s=10, pv_w=3000.0, absorbs=True, soc=50.0).settle()
    world.request(kind=Kind.CHARGE)
    world.run(25)
    assert world.state.session is not None
    assert world.state.session.charged_kwh == 0.0
    assert world.state.intake is None


# --- Never both at once ---


def test_no_discharge_starts_while_a_charge_of_ours_runs() -> None:
    world = World().charging()
    world.request()
    assert world.replies[-1].blocker is Blocker.ALREADY_RUNNING
    assert ErrorState.MODE_CONFLICT not in world.state.faults
    world.stop()
    world.request()
    assert world.replies[-1].blocker is Blocker.STOP_IN_PROGRESS


def test_no_charge_starts_while_a_discharge_of_ours_runs() -> None:
    world = World(chargeable=True).discharging()
    world.request(kind=Kind.CHARGE)
    assert world.replies[-1].blocker is Blocker.ALREADY_RUNNING
    world.stop()
    world.request(kind=Kind.CHARGE)
    assert world.replies[-1].blocker is Blocker.STOP_IN_PROGRESS


def test_another_mode_beside_our_charge_is_still_a_conflict() -> None:
    world = World().charging()
    world.conflicts = ("excess_export",)
    world.request()
    assert world.replies[-1].blocker is Blocker.MODE_CONFLICT


def test_the_users_own_charge_stands_in_the_way_of_a_discharge() -> None:
    world = World(chargeable=True).settle()
    world.charge_switch = True
    world.run(1)
    world.request()
    assert world.replies[-1].blocker is Blocker.MODE_CONFLICT
    assert world.state.faults == {ErrorState.MODE_CONFLICT}
    assert world.phase is Phase.IDLE  # nor is it adopted
    world.charge_switch = False
    world.run(1)
    assert world.state.faults == frozenset()


def test_a_charge_switch_that_cannot_be_read_may_be_on() -> None:
    world = World(chargeable=True, broken={"charge_switch"}).settle()
    world.request()
    assert world.replies[-1].blocker is Blocker.NO_DATA


def test_both_are_free_again_after_a_charge() -> None:
    world = World().charging()
    world.stop()
    world.run(20)
    decision = world.state.decision
    assert decision is not None
    assert blocker_of(world.state, world.look().readings, decision) is None
    assert decision.charge_blocker is None


def test_a_write_of_a_discharge_says_so() -> None:
    world = World(chargeable=True).discharging()
    assert {write.mode for _, write in world.writes()} == {Kind.DISCHARGE}


def test_an_answer_to_a_write_that_nobody_waits_for_changes_nothing() -> None:
    world = World().charging()
    before = world.state
    world.take(Answered(world.now, Write(9999, before.epoch, WriteKind.POWER), ok=False))
    assert world.state == before
