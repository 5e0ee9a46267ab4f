"""What a start writes and records, how long its lease is, and what it says when it fails."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.start import lease_minutes
from custom_components.export_monitor.engine.state import (
    Answer,
    Clear,
    Lease,
    Phase,
    Raise,
    Reply,
    StartRequested,
    State,
    WriteKind,
)
from custom_components.export_monitor.models import Blocker, EndReason, ErrorState, Origin
from tests.unit.engine.world import SETTINGS, World, observation, readings

DARK = replace(SETTINGS, pv_peak_w=0.0)


def _powers(world: World) -> list[float]:
    return [write.value for _, write in world.writes(WriteKind.POWER)]


@pytest.mark.parametrize(
    ("headroom_kwh", "minutes"),
    [(9.0, 30.0), (1.5, 30.0), (1.49, 25.0), (1.25, 25.0), (1.24, 20.0), (0.5, 10.0), (0.1, 5.0)],
)
def test_the_lease_lasts_no_longer_than_the_headroom_in_whole_steps(
    headroom_kwh: float, minutes: float
) -> None:
    world = World(DARK).settle()
    assert world.state.decision is not None
    decision = replace(world.state.decision, headroom=headroom_kwh)
    look = replace(world.look(), readings=readings(world.now.utc))
    assert lease_minutes(look, decision, 3000.0) == minutes


def test_a_lease_of_the_settings_is_kept_in_the_batterys_steps() -> None:
    world = World(replace(DARK, hardware_lease_min=22.0)).discharging()
    assert [write.value for _, write in world.writes(WriteKind.DURATION)] == [20.0]
    assert world.state.lease is not None
    assert world.state.lease.minutes == 20.0
    assert world.state.lease.armed.mono == 1000.0 + world.writes(WriteKind.SWITCH_ON)[0][0]


@pytest.mark.parametrize(("asked", "given"), [(2000.0, 2000.0), (4000.0, 3000.0), (None, 3000.0)])
def test_a_request_only_lowers_the_power(asked: float | None, given: float) -> None:
    world = World().discharging(power_w=asked)
    assert _powers(world) == [given]
    assert world.state.session is not None
    assert world.state.session.power_w == given


def test_no_power_is_no_start() -> None:
    world = World().settle()
    world.request(power_w=0.0)
    assert world.replies[-1].blocker is Blocker.TARGET_ZERO
    assert world.writes() == []


def test_a_session_records_what_was_asked_for() -> None:
    world = World().discharging(duration_min=12.0, energy_kwh=0.4)
    session = world.state.session
    assert session is not None
    assert session.origin is Origin.MANUAL
    assert session.energy_limit_kwh == 0.4
    assert session.planned_end == session.started + timedelta(minutes=12)
    assert session.cutoff_soc == 20.0
    assert world.state.ends_at == 1000.0 + world.writes(WriteKind.POWER)[0][0] + 720.0


def test_a_session_without_limits_has_none() -> None:
    world = World().discharging()
    session = world.state.session
    assert session is not None
    assert (session.energy_limit_kwh, session.planned_end, world.state.ends_at) == (None,) * 3


def test_an_automatic_start_says_so() -> None:
    world = World().discharging(origin=Origin.AUTOMATIC)
    assert world.state.session is not None
    assert world.state.session.origin is Origin.AUTOMATIC


def test_sessions_have_ids_of_their_own_even_by_the_same_request() -> None:
    def begun(seconds: float, request_id: str) -> str:
        state, _ = step(State(), StartRequested(observation(seconds), request_id))
        assert state.session is not None
        return state.session.id

    assert len({begun(0, "a"), begun(0, "b"), begun(1, "a")}) == 3
    assert begun(0, "a") == begun(0, "a")


def test_a_refusal_says_why_and_begins_nothing() -> None:
    look = observation(look=readings(conflicts=("force charging",)))
    state, commands = step(State(), StartRequested(look, "r"))
    assert state.phase is Phase.IDLE
    assert state.session is None
    assert commands == (
        Raise(ErrorState.MODE_CONFLICT, Blocker.MODE_CONFLICT),
        Reply("r", Answer.REFUSED, blocker=Blocker.MODE_CONFLICT, error=ErrorState.MODE_CONFLICT),
    )


def test_every_refusal_for_the_same_reason_is_raised_again() -> None:
    look = observation(look=readings(conflicts=("force charging",)))
    state, _ = step(State(), StartRequested(look, "r"))
    _, commands = step(state, StartRequested(look, "again"))
    assert Raise(ErrorState.MODE_CONFLICT, Blocker.MODE_CONFLICT) in commands


def test_a_failed_write_tells_the_batterys_own_words() -> None:
    world = World(failing={WriteKind.CUTOFF}).settle()
    world.request()
    world.run(5)
    raised = [command for _, command in world.log if isinstance(command, Raise)]
    assert raised == [Raise(ErrorState.CUTOFF_SET_FAILED, "refused")]
    reply = world.replies[0]
    assert (reply.answer, reply.error, reply.detail) == (
        Answer.FAILED,
        ErrorState.CUTOFF_SET_FAILED,
        "refused",
    )


def test_a_world_that_changed_before_activation_is_named() -> None:
    world = World().settle()
    world.request()
    world.conflicts = ("force charging",)
    world.run(5)
    assert world.replies[0].error is ErrorState.START_FAILED
    assert world.replies[0].detail == Blocker.MODE_CONFLICT


def test_every_fault_of_the_battery_clears_with_a_start_that_works() -> None:
    faults = frozenset(
        {
            ErrorState.POWER_SET_FAILED,
            ErrorState.CUTOFF_SET_FAILED,
            ErrorState.DURATION_SET_FAILED,
            ErrorState.START_FAILED,
            ErrorState.BATTERY_NOT_RESPONDING,
        }
    )
    world = World().settle()
    world.state = replace(world.state, faults=faults)
    world.discharging()
    assert world.state.faults == frozenset()
    cleared = {command.error for _, command in world.log if isinstance(command, Clear)}
    assert cleared == faults


def test_a_start_may_take_two_minutes_and_no_longer() -> None:
    world = World(unanswered=set(WriteKind)).settle()
    world.request()
    began = world.second
    world.run_until(lambda w: w.phase is not Phase.STARTING, 200)
    assert world.second - began == 121
    assert world.replies[0].answer is Answer.FAILED


@pytest.mark.parametrize(
    ("limit_w", "given_w", "taken_w"),
    [(0.0, 2000.0, 5000.0), (0.0, 7000.0, 7000.0), (3600.0, 2000.0, 3600.0)],
)
def test_an_adopted_discharge_is_taken_at_what_an_inverter_can(
    limit_w: float, given_w: float, taken_w: float
) -> None:
    world = World(replace(SETTINGS, inverter_limit_w=limit_w)).settle()
    world.switch = world.armed = True
    world.power_w, world.timer_s = given_w, 3600.0
    world.run(2)
    session = world.state.session
    assert session is not None
    assert session.power_w == taken_w
    assert session.cutoff_soc == 20.0
    assert world.state.lease is None
    assert session.exported_kwh < 0.01


def test_a_world_that_changes_while_switching_on_is_not_answered_ends_the_start() -> None:
    world = World(unanswered={WriteKind.SWITCH_ON}).settle()
    world.request()
    world.run_until(lambda w: w.armed, 20)
    world.conflicts = ("force charging",)
    world.run(1)
    assert world.phase is Phase.STOPPING
    assert world.replies[0].answer is Answer.FAILED
    assert world.replies[0].error is ErrorState.START_FAILED
    assert world.replies[0].detail == Blocker.MODE_CONFLICT


@pytest.mark.parametrize(
    ("change", "blocker"),
    [
        ({"settings": replace(SETTINGS, fixed_limit_kwh=0.02)}, Blocker.NO_HEADROOM),
        ({"settings": replace(SETTINGS, target_export_w=0.0)}, Blocker.TARGET_ZERO),
        ({"soc": 20.0}, Blocker.SOC_AT_FLOOR),
        ({"reserve": 90.0}, Blocker.SOC_AT_RESERVE),
    ],
)
def test_what_comes_about_by_itself_before_activation_refuses_and_accuses_nobody(
    change: dict[str, object], blocker: Blocker
) -> None:
    world = World(reserve=20.0).settle().run(7)  # SOC reports again in two seconds
    world.request()
    for name, value in change.items():
        setattr(world, name, value)
    world.run(30)
    (reply,) = world.replies
    assert (reply.answer, reply.blocker, reply.error) == (Answer.REFUSED, blocker, None)
    assert world.writes(WriteKind.SWITCH_ON) == []
    assert world.phase is Phase.IDLE
    assert world.ended[-1].reason is EndReason.START_CANCELLED
    assert [c for _, c in world.log if isinstance(c, Raise)] == []


def test_a_start_that_was_answered_is_not_answered_again_by_its_stop() -> None:
    world = World().discharging().run(10)
    world.stop()
    world.run(20)
    assert [reply.answer for reply in world.replies] == [Answer.STARTED, Answer.STOPPED]


def test_an_adopted_discharge_carries_no_lease_of_another() -> None:
    world = World().settle()
    world.state = replace(world.state, lease=Lease(30.0, world.now), unbidden=4)
    world.switch = world.armed = True
    world.power_w, world.timer_s = 3000.0, 3600.0
    world.run(1)
    assert world.phase is Phase.ACTIVE
    assert world.state.lease is None
    assert world.state.unbidden == 0


def test_writes_carry_the_epoch_and_switches_carry_no_value() -> None:
    world = World().discharging().run(10)
    epoch = world.state.epoch
    assert {write.epoch for _, write in world.writes()} == {epoch}
    world.stop()
    write = world.writes()[-1][1]
    assert (write.kind, write.value, write.epoch) == (WriteKind.SWITCH_OFF, 0.0, epoch + 1)
    assert write.id not in {other.id for _, other in world.writes()[:-1]}


def test_every_failed_start_is_raised_anew_though_its_error_stands() -> None:
    world = World(failing={WriteKind.POWER}).settle()
    for _ in range(2):
        world.request()
        world.run(20)
    assert len(world.raised(ErrorState.POWER_SET_FAILED)) == 2
