"""A stop never gives up, and is proven by the battery."""

from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from types import SimpleNamespace
from typing import cast

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
from custom_components.export_monitor.engine.stop import (
    ALARM_AFTER_S,
    _alarm,
    _answer_unproven,
    _attempt,
    begin_stop,
    finish,
    pursue_stop,
    quiet,
)
from custom_components.export_monitor.engine.turn import Turn
from custom_components.export_monitor.models import EndReason, ErrorState, SwitchReading
from tests.unit.engine.world import SETTINGS, World, instant, observation, reading, readings

POWER_ONLY = {"dispatch"}
SWITCH_ONLY = {"dispatch", "battery", "load", "grid", "pv"}


def test_a_stop_is_proven_by_the_dispatch_register() -> None:
    world = World().discharging().run(60)
    world.stop()
    world.run(10)
    assert world.ended[-1].proof == "dispatch"
    assert world.ended[-1].reason is EndReason.USER
    assert world.replies[-1].answer is Answer.STOPPED
    assert world.raised(ErrorState.STOP_FAILED) == []


def test_a_stop_is_proven_by_the_batterys_power_not_by_the_services_answer() -> None:
    world = World(absent=POWER_ONLY, reset_lost=True, lost={WriteKind.FALLBACK_STOP})
    world.discharging().run(60)
    world.stop()
    world.run(9)  # every write was answered with success
    assert world.phase is Phase.STOPPING
    world.lost.clear()
    world.run(10)
    assert world.ended[-1].proof == "battery_power"


def test_the_battery_may_go_on_feeding_the_house() -> None:
    world = World(absent=POWER_ONLY, load_w=1500.0).discharging().run(60)
    world.stop()
    world.run(6)
    assert world.battery_w == 1500.0
    assert world.ended[-1].proof == "battery_power"


def test_without_sensors_the_switch_read_back_proves() -> None:
    world = World(absent=SWITCH_ONLY).discharging().run(60)
    world.stop()
    assert world.phase is Phase.STOPPING
    world.run(2)
    assert world.ended[-1].proof == "switch"


def test_a_battery_sensor_alone_does_not_call_a_house_at_night_a_discharge() -> None:
    world = World(absent={"dispatch", "load", "grid"}, load_w=600.0).discharging().run(60)
    world.stop()
    world.run(400)
    assert world.raised(ErrorState.STOP_FAILED) == []
    assert len(world.ended) == 1
    assert world.ended[-1].proof == "switch"
    assert world.phase is Phase.IDLE


def test_the_grid_stands_in_for_the_house_load() -> None:
    world = World(absent={"dispatch", "load"}, load_w=900.0).discharging().run(60)
    world.stop()
    world.run(6)
    assert world.ended[-1].proof == "battery_power"


def test_one_quiet_report_is_not_two() -> None:
    world = World(absent=POWER_ONLY).discharging().run(60)
    world.stop()
    proven = next(n for n in range(20) if world.run(1).phase is Phase.IDLE)
    assert proven >= 2


def test_reports_older_than_the_command_prove_nothing() -> None:
    state, _ = step(State(), StopRequested(observation(100)))
    old = instant(99).utc
    look = readings(old, battery_power=reading(0.0, old), house_load=reading(300.0, old))
    for second in (101, 102, 103, 104):
        state, _ = step(state, Observed(observation(second, look)))
    assert state.phase is Phase.STOPPING


def test_the_same_report_seen_twice_counts_once() -> None:
    state, _ = step(State(), StopRequested(observation(100)))
    once = instant(101).utc
    look = readings(once, battery_power=reading(0.0, once), house_load=reading(300.0, once))
    for second in (101, 102, 103):
        state, _ = step(state, Observed(observation(second, look)))
    assert state.phase is Phase.STOPPING


def test_an_armed_dispatch_outweighs_a_quiet_battery() -> None:
    world = World(load_w=3000.0, reset_lost=True, lost={WriteKind.FALLBACK_STOP}).discharging()
    world.run(60)
    world.stop()
    world.run(14)
    assert world.phase is Phase.STOPPING
    assert world.state.stopping is not None
    assert world.state.stopping.evidence.dispatch_reports == -1


def test_a_lying_stop_with_a_house_drawing_as_much_is_ended_by_the_fallback_without_alarm() -> None:
    world = World(load_w=3000.0, reset_lost=True).discharging().run(60)
    world.stop()
    world.run(2)
    assert not world.switch
    assert world.armed  # the switch lied
    world.run(12)
    assert world.writes(WriteKind.FALLBACK_STOP)
    assert not world.armed
    assert world.ended[-1].proof == "dispatch"
    world.run(600)
    assert world.battery_w == 3000.0  # for the house
    assert world.raised(ErrorState.STOP_FAILED) == []
    assert len(world.ended) == 1


def test_a_dispatch_sensor_that_says_nothing_leaves_the_proof_to_the_power() -> None:
    world = World().discharging().run(60)
    world.silent.add("dispatch")
    world.stop()
    world.run(9)
    assert world.phase is Phase.STOPPING
    world.run(4)
    assert world.ended[-1].proof == "battery_power"


def test_an_unusable_dispatch_report_is_no_report() -> None:
    state, _ = step(State(), StopRequested(observation(100)))
    for second in (101, 106, 111):
        at = instant(second).utc
        look = readings(at, dispatch_start=reading(0.0, at, "stale"))
        state, _ = step(state, Observed(observation(second, look)))
    assert state.phase is Phase.STOPPING


def test_a_switch_that_still_reads_on_could_arm_again_and_proves_nothing() -> None:
    world = World(lost={WriteKind.SWITCH_OFF, WriteKind.FALLBACK_STOP}).discharging().run(30)
    world.forged["dispatch"] = 0.0
    world.forged["battery"] = 0.0
    world.stop()
    world.run(60)
    assert world.phase is Phase.STOPPING


def test_an_unreadable_switch_does_not_hold_up_a_proof_by_the_battery() -> None:
    world = World().discharging().run(60)
    world.broken.add("switch")
    world.stop()
    world.run(12)
    assert world.ended[-1].proof == "dispatch"


# --- Attempts ---


def _hopeless(**changes: object) -> World:
    world = World(reset_lost=True, lost={WriteKind.FALLBACK_STOP}, **changes)  # type: ignore[arg-type]
    world.discharging().run(60)
    world.stop()
    return world


def test_attempts_keep_three_seconds_apart_and_go_on_every_thirty_for_ever() -> None:
    world = _hopeless()
    began = world.second
    world.run(1500)
    spacing = [after - before for before, after in pairwise(world.stop_attempts)]
    assert min(spacing) >= 3
    assert world.stop_attempts[0] == began
    early = [s for s in world.stop_attempts if s - began <= 15]
    assert len(early) >= 4
    assert set(spacing[5:]) == {30}
    assert world.second - world.stop_attempts[-1] <= 30


def test_every_attempt_after_the_first_uses_the_fallback_once_the_switch_reads_off() -> None:
    world = _hopeless()
    world.run(13)
    assert len(world.writes(WriteKind.SWITCH_OFF)) == 1
    assert len(world.writes(WriteKind.FALLBACK_STOP)) >= 3
    assert world.writes(WriteKind.SWITCH_ON)[-1][0] < world.stop_attempts[0]
    assert world.writes(WriteKind.SMOTHER) == []


def test_once_alarmed_every_attempt_does_what_needs_no_fallback_too() -> None:
    world = _hopeless()
    world.run(300)
    assert len(world.writes(WriteKind.FALLBACK_STOP)) >= 8
    assert len(world.writes(WriteKind.SMOTHER)) >= 5
    assert world.writes(WriteKind.SWITCH_ON)[-1][0] < world.stop_attempts[0]


def test_a_switch_that_stays_on_is_switched_off_again_and_again() -> None:
    world = World(lost={WriteKind.FALLBACK_STOP, WriteKind.SWITCH_OFF}).discharging()
    world.stop()
    world.run(120)
    assert len(world.writes(WriteKind.SWITCH_OFF)) >= 3
    assert len(world.writes(WriteKind.FALLBACK_STOP)) >= 3


def test_without_a_fallback_the_attempts_smother_the_discharge() -> None:
    world = World(replace(SETTINGS, fallback_stop=False), reset_lost=True).discharging().run(30)
    world.stop()
    world.run(10)
    assert world.writes(WriteKind.FALLBACK_STOP) == []
    assert world.writes(WriteKind.SMOTHER)
    assert world.power_w == 100.0
    assert all(w.stops for _, w in world.writes() if _ >= world.stop_attempts[0])


def test_the_alarm_stands_after_fifteen_seconds_and_falls_with_the_proof() -> None:
    world = _hopeless()
    began = world.second
    world.run(60)
    assert world.raised(ErrorState.STOP_FAILED) == [began + int(ALARM_AFTER_S)]
    assert world.replies[-1].answer is Answer.UNPROVEN
    world.lost.clear()
    world.run(60)
    assert world.phase is Phase.IDLE
    assert len(world.cleared(ErrorState.STOP_FAILED)) == 1


def test_who_asks_for_a_stop_after_the_alarm_is_told_at_once_that_it_is_unproven() -> None:
    world = _hopeless()
    world.run(40)
    before = len(world.replies)
    world.stop()
    assert [reply.answer for reply in world.replies[before:]] == [Answer.UNPROVEN]


def test_a_second_stop_joins_the_first_and_both_are_answered() -> None:
    world = World().discharging().run(30)
    world.stop()
    epoch = world.state.epoch
    world.run(1)
    world.stop(EndReason.UNLOAD)
    assert world.state.epoch == epoch
    world.run(12)
    answered = {r.request_id for r in world.replies if r.answer is Answer.STOPPED}
    assert len(answered) == 2
    assert world.ended[-1].reason is EndReason.USER


def test_an_unplugged_inverter_alarms_in_time_and_is_stopped_as_soon_as_it_reports() -> None:
    world = World().discharging().run(60)
    world.unplugged = True
    world.stop()
    began = world.second
    world.run(200)
    assert world.raised(ErrorState.STOP_FAILED) == [began + int(ALARM_AFTER_S)]
    while world.second - world.stop_attempts[-1] != 5:  # in the midst of the wait
        world.run(1)
    world.unplugged = False
    back = world.second
    world.run(2)
    assert world.stop_attempts[-1] - back <= 2
    world.run(20)
    assert world.phase is Phase.IDLE
    assert world.cleared(ErrorState.STOP_FAILED)
    assert not world.armed


def test_a_clock_set_back_in_mid_stop_does_not_hide_the_proof() -> None:
    world = World().discharging().run(60)
    world.stop()
    world.clock_offset = timedelta(hours=-2)
    world.run(12)
    assert world.ended[-1].proof == "dispatch"


def test_a_clock_set_forward_in_mid_stop_changes_nothing() -> None:
    world = World().discharging().run(60)
    world.stop()
    world.clock_offset = timedelta(hours=2)
    world.run(12)
    assert world.ended[-1].proof == "dispatch"


# --- Afterwards ---


def test_a_discharge_that_shows_up_soon_after_its_stop_is_stopped_again() -> None:
    world = World().discharging().run(60)
    world.stop()
    world.run(20)
    assert world.phase is Phase.IDLE
    world.armed, world.timer_s = True, 900.0  # the write that hung arrives now
    world.run(30)
    assert not world.armed
    assert len(world.ended) == 1  # no session of its own


def test_the_late_discharge_shows_in_the_batterys_power_alone_too() -> None:
    world = World(absent=POWER_ONLY).discharging().run(60)
    world.stop()
    world.run(20)
    world.armed, world.timer_s = True, 900.0
    world.run(30)
    assert not world.armed


def test_a_late_discharge_without_a_session_before_it_is_stopped_as_the_users_wish() -> None:
    world = World().settle()
    world.stop()
    world.run(20)
    world.armed, world.power_w, world.timer_s = True, 3000.0, 900.0
    world.run_until(lambda w: w.phase is Phase.STOPPING, 30)
    assert world.reason is EndReason.USER


def test_a_switch_that_comes_on_right_after_a_stop_is_the_cancelled_start() -> None:
    world = World().discharging().run(10)
    world.stop()
    world.run_until(lambda w: w.phase is Phase.IDLE, 20)
    world.switch = world.armed = True
    world.timer_s = 900.0
    world.run(1)
    assert world.reason is EndReason.START_CANCELLED
    world.run(20)
    assert not world.armed
    assert world.phase is Phase.IDLE


def test_a_house_feeding_battery_after_a_stop_is_left_alone() -> None:
    world = World(absent=POWER_ONLY, load_w=2500.0).discharging().run(60)
    world.stop()
    world.run(400)
    assert len(world.stop_attempts) <= 2
    assert world.phase is Phase.IDLE


def test_a_report_that_has_no_time_yet_counts_for_nothing() -> None:
    world = World(absent=POWER_ONLY).discharging().run(60)
    world.stop()
    world.run(20)
    look = replace(world.look().readings, battery_power=reading(9000.0, problem="stale"))
    world.take(Observed(replace(world.look(), readings=look)))
    assert world.state.unbidden == 0


def test_the_same_report_of_a_late_discharge_counts_once() -> None:
    world = World().discharging().run(60)
    world.stop()
    world.run(20)
    world.armed, world.timer_s = True, 900.0
    world.run_until(lambda w: w.state.unbidden == 1, 20)
    world.take(Observed(world.look()))
    assert world.state.unbidden == 1


def test_a_users_note_stays_with_the_session_it_ended() -> None:
    world = World().discharging().run(10)
    world.take(StopRequested(world.look(), EndReason.USER, "s", note="kettle"))
    world.run(20)
    assert world.ended[-1].note == "kettle"


def test_a_note_without_a_session_is_dropped() -> None:
    world = World().settle()
    world.take(StopRequested(world.look(), EndReason.USER, "s", note="nothing runs"))
    world.run(20)
    assert world.replies[-1].session is None


# --- Broken records ---


def test_a_stop_without_its_own_record_does_nothing_and_raises_nothing() -> None:
    turn = Turn(State(phase=Phase.STOPPING), instant(0))
    pursue_stop(turn, observation())
    finish(turn, "switch")
    _alarm(turn)
    _answer_unproven(turn)
    assert turn.commands == []
    _attempt(turn, WriteKind.SWITCH_OFF)
    assert turn.state.stopping is None


def test_a_phase_or_an_event_of_no_known_kind_does_nothing() -> None:
    nowhere = State(phase=cast("Phase", "nowhere"))
    assert step(nowhere, Observed(observation()))[1] == ()
    stranger = cast("Observed", SimpleNamespace(observation=observation()))
    assert step(State(), stranger)[1] == ()


def test_begin_stop_without_a_request_answers_nobody() -> None:
    turn = Turn(State(), instant(0))
    begin_stop(turn, EndReason.USER)
    assert turn.state.stopping is not None
    assert turn.state.stopping.requests == ()
    assert turn.state.stopping.evidence == Evidence()
    assert turn.state.epoch == 1


def test_unknown_switch_and_no_sensor_prove_nothing() -> None:
    state, _ = step(State(), StopRequested(observation()))
    look = readings(switch=SwitchReading(None))
    state, _ = step(state, Observed(observation(5, look)))
    assert state.phase is Phase.STOPPING


def test_a_stop_unproven_for_hours_counts_no_more_than_the_dead_man_let_flow() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=2.0)).discharging().run(60)
    world.broken |= {"grid", "battery", "pv", "load", "dispatch"}
    world.stop()
    world.run(3 * 3600)
    assert world.phase is Phase.STOPPING
    world.broken.clear()
    world.run(20)
    assert world.ended[-1].exported_kwh <= 3.0 * 0.5
    assert world.state.meter.counted <= world.exported + 0.5


def test_a_users_own_mode_is_spared_the_fallback_though_the_battery_is_heard() -> None:
    world = World().settle().discharging()
    world.reset_lost = True
    world.conflicts = ("input_boolean.force_charging",)
    world.stop()
    began = world.second
    world.run_until(lambda w: bool(w.writes(WriteKind.FALLBACK_STOP)), 60)
    assert world.second - began >= 8


def test_where_only_the_switch_tells_export_beyond_the_sun_disproves_it() -> None:
    world = World(absent={"battery", "dispatch"}).settle().discharging()
    world.reset_lost = True
    world.stop()
    world.run_until(lambda w: not w.switch, 10)
    world.run(2)
    assert world.phase is Phase.STOPPING
    world.run_until(lambda w: w.phase is Phase.IDLE, 30)
    assert world.phase is Phase.IDLE
    assert not world.armed
    assert world.ended[-1].proof == "switch"


# --- What the house needs ---


@pytest.mark.parametrize(
    ("broken", "absent", "forged"),
    [({"pv"}, set(), {}), (set(), {"pv"}, {}), (set(), set(), {"load": 6000.0})],
    ids=["no word of the sun", "no sensor of the sun", "load stuck"],
)
def test_no_other_sensor_proves_a_stop_that_the_grid_disproves(
    broken: set[str], absent: set[str], forged: dict[str, float]
) -> None:
    world = World(absent={"dispatch", *absent}, load_w=3000.0, pv_w=3000.0).discharging().run(60)
    world.broken, world.forged, world.reset_lost = broken, forged, True
    world.lost = {WriteKind.FALLBACK_STOP, WriteKind.SMOTHER}
    world.stop()
    world.run(60)
    assert world.phase is Phase.STOPPING
    assert ErrorState.STOP_FAILED in world.state.faults


def test_without_a_grid_sensor_sun_that_cannot_be_read_is_not_none_by_day() -> None:
    look = readings(
        battery_power=reading(3000.0),
        house_load=reading(3000.0),
        pv_power=reading(None, problem="unavailable"),
        sun_up=True,
    )
    assert not quiet(look)
    assert quiet(replace(look, sun_up=False))
    assert quiet(replace(look, pv_power=None))  # nothing ever tells: the house's load must do
