"""When a stop tries again, when it gives alarm, and what is just enough to prove it."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import (
    Answer,
    Evidence,
    Observed,
    Phase,
    State,
    StopRequested,
    WriteKind,
)
from custom_components.export_monitor.engine.stop import gather, proven, quiet, tells
from custom_components.export_monitor.models import EndReason, ErrorState, Reading, SwitchReading
from tests.unit.engine.world import NOON, SETTINGS, World, instant, observation, reading, readings


def _hopeless(**changes: object) -> World:
    world = World(reset_lost=True, lost={WriteKind.FALLBACK_STOP}, **changes)  # type: ignore[arg-type]
    world.discharging().run(60)
    world.stop()
    return world


def _attempts(world: World) -> list[int]:
    began = world.stop_attempts[0]
    return [second - began for second in world.stop_attempts]


# --- Attempts ---


def test_attempts_come_after_three_seconds_then_every_four_then_every_thirty() -> None:
    world = _hopeless().run(80)
    assert _attempts(world) == [0, 3, 7, 11, 41, 71]
    assert world.raised(ErrorState.STOP_FAILED) == [world.stop_attempts[0] + 14]


def test_unheard_another_mode_is_spared_the_full_reset_for_eight_seconds() -> None:
    world = World().discharging().run(60)
    world.silent |= {"battery", "dispatch"}
    world.conflicts = ("force charging",)
    world.stop()
    world.run(13)
    assert _attempts(world) == [0, 8, 12]


def test_a_switch_that_still_reads_on_is_switched_off_on_every_other_attempt() -> None:
    world = World(lost={WriteKind.FALLBACK_STOP, WriteKind.SWITCH_OFF}).discharging().run(30)
    world.stop()
    world.run(13)
    began = world.stop_attempts[0]
    kinds = [w.kind for s, w in world.writes() if s >= began]
    assert kinds == [
        WriteKind.SWITCH_OFF,
        WriteKind.FALLBACK_STOP,
        WriteKind.SWITCH_OFF,
        WriteKind.FALLBACK_STOP,
    ]


def test_without_a_fallback_every_attempt_smothers_and_switches_off() -> None:
    world = World(replace(SETTINGS, fallback_stop=False), reset_lost=True).discharging().run(30)
    world.unplugged = True
    world.stop()
    world.run(8)
    began = world.stop_attempts[0]
    kinds = [w.kind for s, w in world.writes() if s >= began]
    assert kinds == [
        WriteKind.SWITCH_OFF,
        WriteKind.SMOTHER,
        WriteKind.SWITCH_OFF,
        WriteKind.SMOTHER,
        WriteKind.SWITCH_OFF,
    ]


def test_a_link_that_comes_back_is_used_at_once_and_only_once() -> None:
    world = World().discharging().run(60)
    world.unplugged = True
    world.stop()
    world.run(50)  # the last attempt was at 41 s, and nothing was heard of it
    world.lost |= {WriteKind.FALLBACK_STOP, WriteKind.SWITCH_OFF}
    world.unplugged = False
    world.run(10)
    late = [second for second in _attempts(world) if second > 41]
    assert len(late) == 1
    assert late[0] <= 52


def test_while_the_battery_is_heard_the_alarmed_attempts_keep_their_thirty_seconds() -> None:
    world = _hopeless().run(60)
    assert _attempts(world)[-2:] == [11, 41]
    assert world.state.stopping is not None
    assert not world.state.stopping.deaf


def test_a_battery_last_heard_more_than_five_seconds_before_an_attempt_was_deaf_to_it() -> None:
    world = _hopeless().run(5)
    world.unplugged = True
    world.run(3)
    assert world.state.stopping is not None
    assert not world.state.stopping.deaf  # heard 2 s before the attempt at 7 s
    world.run(4)
    assert world.state.stopping is not None
    assert world.state.stopping.deaf  # heard 6 s before the attempt at 11 s


# --- Who is told what ---


def test_a_cancelled_start_and_the_stop_that_cancelled_it_are_both_answered() -> None:
    world = World().settle()
    world.request()
    world.run(1)
    world.stop()
    cancelled = world.replies[-1]
    assert cancelled.answer is Answer.CANCELLED
    assert cancelled.error is None
    assert cancelled.detail == ""
    world.run(15)
    stopped = world.replies[-1]
    assert stopped.answer is Answer.STOPPED
    assert stopped.proof == "dispatch"
    assert stopped.session is not None
    assert stopped.session.reason is EndReason.USER


def test_a_cancelled_start_is_told_so_once_however_often_it_is_stopped() -> None:
    world = World().settle()
    world.request()
    world.run(1)
    for _ in range(3):
        world.stop()
        world.run(20)
    assert [reply.answer for reply in world.replies] == [Answer.CANCELLED, *[Answer.STOPPED] * 3]
    assert world.state.starting is None


def test_every_request_of_an_unproven_stop_is_answered_once_with_its_error() -> None:
    world = _hopeless()
    world.run(2)
    world.stop()
    world.run(60)
    unproven = [reply for reply in world.replies if reply.answer is Answer.UNPROVEN]
    assert len({reply.request_id for reply in unproven}) == len(unproven) == 2
    assert {reply.error for reply in unproven} == {ErrorState.STOP_FAILED}


def test_the_alarm_says_what_the_stop_was_for() -> None:
    world = _hopeless().run(20)
    alarm = next(c for _, c in world.log if getattr(c, "error", None) is ErrorState.STOP_FAILED)
    assert getattr(alarm, "detail", None) == EndReason.USER


def test_the_record_of_a_proven_stop_is_complete() -> None:
    world = World().discharging(duration_min=20.0).run(60)
    world.stop()
    world.run(10)
    assert world.phase is Phase.IDLE
    session = world.ended[-1]
    assert session.ended is not None
    assert session.ended > session.started
    assert world.state.last == session
    assert world.state.session is None
    assert world.state.stopping is None
    assert world.state.lease is None
    assert world.state.ends_at is None
    assert world.state.unbidden == 0
    watch = world.state.watch
    assert (watch.blind, watch.lagging, watch.disarmed, watch.switched) == (None, None, None, False)


def test_a_stop_of_nothing_leaves_the_last_session_on_record() -> None:
    world = World().discharging().run(30)
    world.stop()
    world.run(20)
    before = world.state.last
    world.stop()
    world.run(20)
    assert world.phase is Phase.IDLE
    assert before is not None
    assert world.state.last == before


# --- Proof ---


@pytest.mark.parametrize(
    ("battery", "load", "pv", "is_quiet"),
    [
        (1150.0, 1000.0, 0.0, True),
        (1151.0, 1000.0, 0.0, False),
        (650.0, 1000.0, 500.0, True),
        (651.0, 1000.0, 500.0, False),
        (150.0, 100.0, 5000.0, True),
        (151.0, 100.0, 5000.0, False),
    ],
)
def test_quiet_is_no_more_than_the_house_takes_and_150_watts(
    battery: float, load: float, pv: float, is_quiet: bool
) -> None:
    look = readings(battery_power=reading(battery), house_load=reading(load), pv_power=reading(pv))
    assert quiet(look) is is_quiet


@pytest.mark.parametrize(("grid", "is_quiet"), [(-150.0, True), (-151.0, False), (300.0, True)])
def test_without_a_load_sensor_what_the_grid_does_not_take_is_the_houses(
    grid: float, is_quiet: bool
) -> None:
    look = readings(battery_power=reading(2000.0), grid_power=reading(grid))
    assert quiet(look) is is_quiet


def test_a_battery_power_that_must_not_be_used_is_taken_for_rest() -> None:
    assert quiet(readings(battery_power=reading(9000.0, problem="stale"), house_load=reading(0.0)))


def test_without_load_and_grid_a_discharge_is_not_quiet() -> None:
    assert quiet(readings(battery_power=reading(150.0)))
    assert not quiet(readings(battery_power=reading(151.0)))


def test_a_battery_tells_only_beside_the_house_or_the_grid() -> None:
    assert not tells(readings(battery_power=reading(0.0)))
    assert not tells(readings(house_load=reading(0.0), grid_power=reading(0.0)))
    assert tells(readings(battery_power=reading(0.0), house_load=reading(0.0)))
    assert tells(readings(battery_power=reading(0.0), grid_power=reading(0.0)))


DISPATCH = readings(
    dispatch_start=reading(0.0), battery_power=reading(0.0), house_load=reading(0.0)
)


@pytest.mark.parametrize(
    ("evidence", "proof"),
    [
        (Evidence(dispatch_reports=2), "dispatch"),
        (Evidence(dispatch_reports=1), None),
        (Evidence(dispatch_reports=1, quiet_reports=2), "dispatch"),
        (Evidence(dispatch_reports=1, quiet_reports=1), None),
        (Evidence(dispatch_reports=0, quiet_reports=2), None),
        (Evidence(dispatch_reports=-1, quiet_reports=9), None),
        (Evidence(quiet_reports=2, listening=90.0), "battery_power"),
        (Evidence(quiet_reports=2, listening=90.1), None),
        (Evidence(quiet_reports=1, listening=0.0), None),
        (Evidence(quiet_reports=2, listening=0.0, dispatch_at=NOON, dispatch_reports=-1), None),
    ],
)
def test_what_proves_a_stop_where_the_dispatch_can_be_read(
    evidence: Evidence, proof: str | None
) -> None:
    assert proven(evidence, DISPATCH, 100.0) == proof


def test_another_modes_dispatch_is_no_proof_and_no_objection() -> None:
    busy = replace(DISPATCH, conflicts=("force charging",))
    assert proven(Evidence(dispatch_reports=2), busy, 100.0) is None
    assert proven(Evidence(dispatch_reports=-1, quiet_reports=2), busy, 100.0) == "battery_power"


def test_the_switch_proves_only_where_nothing_else_can() -> None:
    off, on = SwitchReading(on=False), SwitchReading(on=True)
    bare = readings(switch=off)
    assert proven(Evidence(), bare, 0.0) == "switch"
    assert proven(Evidence(), replace(bare, switch=on), 0.0) is None
    assert proven(Evidence(quiet_reports=1), replace(DISPATCH, dispatch_start=None), 0.0) is None


def _reported(
    seconds: float, dispatch: float | None = None, battery: float | None = None
) -> object:
    at = instant(seconds).utc

    def told(value: float | None) -> Reading | None:
        return None if value is None else reading(value, at)

    return observation(
        seconds,
        readings(
            at,
            dispatch_start=told(dispatch),
            battery_power=told(battery),
            house_load=reading(0.0, at),
        ),
    )


def _gathered(*looks: tuple[float, float | None, float | None]) -> Evidence:
    evidence = Evidence()
    for seconds, dispatch, battery in looks:
        look = _reported(seconds, dispatch, battery)
        evidence = gather(evidence, look, NOON, 1000.0 + seconds)  # type: ignore[arg-type]
    return evidence


def test_reports_count_in_a_row_only() -> None:
    assert _gathered((1, 0.0, None), (2, 0.0, None)).dispatch_reports == 2
    assert _gathered((1, 0.0, None), (2, 1.0, None)).dispatch_reports == -1
    assert _gathered((1, 1.0, None), (2, 0.0, None)).dispatch_reports == 1
    assert _gathered((1, None, 0.0), (2, None, 0.0), (3, None, 0.0)).quiet_reports == 3
    assert _gathered((1, None, 0.0), (2, None, 900.0)).quiet_reports == 0


def test_a_pause_of_more_than_five_seconds_begins_the_listening_anew() -> None:
    assert _gathered((1, None, 0.0), (6, None, 0.0)).listening == 1001.0
    assert _gathered((1, None, 0.0), (6.5, None, 0.0)).listening == 1006.5


def test_a_report_of_the_very_moment_of_the_command_is_not_newer() -> None:
    assert _gathered((0, 0.0, 0.0)) == Evidence()


def test_a_clock_set_back_counts_reports_of_its_new_time_only() -> None:
    state, _ = step(State(), StopRequested(observation(100)))
    back = instant(100)
    for second in range(101, 104):
        now = replace(instant(second), utc=back.utc - timedelta(hours=1, seconds=200 - second))
        look = readings(
            now.utc, battery_power=reading(0.0, now.utc), house_load=reading(0.0, now.utc)
        )
        state, _ = step(state, Observed(replace(observation(second, look), now=now)))
    assert state.phase is Phase.IDLE
