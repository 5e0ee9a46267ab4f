"""Every reason to end a charge, and the renewal of its dead-man time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from custom_components.export_monitor.engine.charge import guard_charge, guard_charge_activation
from custom_components.export_monitor.engine.state import Phase, State, WriteKind
from custom_components.export_monitor.engine.turn import Turn
from custom_components.export_monitor.models import EndReason, ErrorState, Kind, Session
from tests.unit.engine.world import SETTINGS, World

LOW = {"soc": 40.0}


def _session(world: World) -> Session:
    assert world.state.session is not None
    return world.state.session


@pytest.mark.parametrize("asked", [0.2, 1.0])
def test_it_ends_when_the_battery_has_taken_what_was_asked_for(asked: float) -> None:
    world = World(**LOW).charging(energy_kwh=asked)
    before = world.soc
    world.run_until(lambda w: w.phase is Phase.IDLE)
    assert world.ended[0].reason is EndReason.TARGET_REACHED
    taken = (world.soc - before) / 100 * SETTINGS.battery_capacity_kwh
    assert asked - 0.01 <= taken <= asked
    assert world.ended[0].charged_kwh == pytest.approx(taken, abs=0.01)


def test_it_is_no_deliberate_export() -> None:
    world = World(**LOW).charging(energy_kwh=0.5)
    world.run(200)
    assert not world.state.meter.deliberate
    assert _session(world).exported_kwh == 0.0
    assert world.state.decision is not None
    assert world.state.decision.counted <= SETTINGS.meter_step_kwh


def test_the_sun_in_the_battery_is_not_bought() -> None:
    world = World(**LOW, pv_w=2400.0, load_w=400.0).charging()
    world.run(600)
    assert world.battery_w == -3680.0
    # 2000 W are left over by the house.
    assert _session(world).charged_kwh == pytest.approx(1.68 / 6, abs=0.01)


@pytest.mark.parametrize(
    ("absent", "drawn_w"),
    [
        ({"load"}, 1680.0),  # the grid tells what is bought
        ({"pv"}, 1680.0),
        ({"load", "grid"}, 3680.0),  # nothing tells: all of it may be
        ({"battery"}, 1680.0),  # full power is assumed
        ({"battery", "grid", "load"}, 3680.0),
    ],
)
def test_what_is_taken_is_never_counted_too_low(absent: set[str], drawn_w: float) -> None:
    world = World(**LOW, pv_w=2400.0, load_w=400.0, absent=absent).charging()
    world.run(600)
    assert _session(world).charged_kwh == pytest.approx(drawn_w / 6000, abs=0.012)


@pytest.mark.parametrize("role", ["grid", "pv", "load"])
def test_a_power_that_is_silent_counts_for_no_longer_than_ten_seconds(role: str) -> None:
    """What it said last may be of before the charge (campaign 102008814)."""
    absent = {"battery", "load"} if role == "grid" else {"grid"}
    world = World(**LOW, absent=absent, pv_w=0.0 if role == "grid" else 5000.0, load_w=500.0)
    world.run(5)
    world.silent = {role}
    world.pv_w, world.load_w = (5000.0, 5000.0) if role == "load" else (0.0, 500.0)
    world.charging()
    world.run(600)
    assert _session(world).charged_kwh == pytest.approx(3.68 / 6, abs=0.02)


def test_a_house_that_takes_more_than_the_sun_gives_leaves_nothing_over() -> None:
    world = World(**LOW, pv_w=400.0, load_w=1400.0).charging()
    world.run(600)
    assert _session(world).charged_kwh == pytest.approx(3.68 / 6, abs=0.01)


def test_a_time_in_which_nobody_looked_counts_in_full() -> None:
    world = World(**LOW).charging()
    world.charge_limit_w = 2000.0
    world.run(60)
    before = _session(world).charged_kwh
    world.second += 100  # Home Assistant stood still
    world.run(1)
    assert _session(world).charged_kwh - before == pytest.approx(3.68 * 101 / 3600, abs=1e-6)


def test_but_no_longer_than_the_battery_can_have_gone_on() -> None:
    world = World(**LOW).charging()
    world.run(10)
    assert world.state.lease is not None
    before, left = _session(world).charged_kwh, world.state.lease.expires_at - world.now.mono
    world.second += 7200
    world.run(1)
    assert world.state.session is not None
    gained = _session(world).charged_kwh - before
    assert gained == pytest.approx(3.68 * left / 3600, abs=1e-6)
    assert world.reason is EndReason.RENEWAL_FAILED


def test_without_a_lease_it_is_counted_to_the_present() -> None:
    world = World(**LOW).charging()
    world.run(10)
    world.state = replace(world.state, lease=None)
    before = _session(world).charged_kwh
    world.second += 100
    world.run(1)
    assert _session(world).charged_kwh - before == pytest.approx(3.68 * 101 / 3600, abs=1e-6)


# --- Full ---


@pytest.mark.parametrize("target", [None, 60.0])
def test_it_ends_when_the_battery_is_as_full_as_it_is_to_be(target: float | None) -> None:
    world = World(soc=58.0 if target else 98.0).charging(soc=target)
    world.run_until(lambda w: w.phase is Phase.IDLE)
    assert world.ended[0].reason is EndReason.FULL
    assert world.soc == pytest.approx(target or 100.0, abs=0.3)


def test_a_battery_that_would_go_beyond_its_target_is_stopped_there() -> None:
    world = World(soc=58.0).charging(soc=60.0)
    world.charge_numbers[WriteKind.CUTOFF] = 100.0  # it has ignored its cutoff
    world.run_until(lambda w: w.phase is Phase.STOPPING)
    assert world.reason is EndReason.FULL
    assert world.soc == pytest.approx(60.0, abs=0.1)


def test_a_battery_that_rests_just_below_its_target_is_full() -> None:
    world = World(soc=79.0).charging(soc=80.0)
    world.charge_numbers[WriteKind.CUTOFF] = 79.4  # truncated by the inverter
    world.run_until(lambda w: w.phase is Phase.IDLE)
    assert world.ended[0].reason is EndReason.FULL
    assert ErrorState.BATTERY_NOT_RESPONDING not in world.state.faults


def test_a_battery_that_slows_down_near_full_goes_on() -> None:
    world = World(soc=96.0).charging()
    world.charge_limit_w = 400.0
    world.run(600)
    assert world.phase is Phase.ACTIVE


def test_one_that_takes_no_more_near_full_is_full() -> None:
    world = World(soc=96.0).charging()
    world.charge_limit_w = 100.0
    world.run_until(lambda w: w.phase is Phase.IDLE, 120)
    assert world.ended[0].reason is EndReason.FULL


@pytest.mark.parametrize(("soc", "reason"), [(70.0, EndReason.EXTERNAL), (79.2, EndReason.FULL)])
def test_its_switch_going_off_is_somebody_elses_doing_unless_it_is_full(
    soc: float, reason: EndReason
) -> None:
    world = World(soc=soc).charging(soc=80.0)
    world.run(15)
    world.charge_switch = False
    world.run(1)
    assert world.reason is reason


# --- The battery does not follow ---


@pytest.mark.parametrize(("limit_w", "follows"), [(1900.0, True), (1800.0, False)])
def test_half_of_what_was_asked_is_following(limit_w: float, *, follows: bool) -> None:
    world = World(**LOW).charging()
    world.charge_limit_w = limit_w
    world.run(70)
    assert (world.phase is Phase.ACTIVE) is follows
    if not follows:
        assert world.reason is EndReason.BATTERY_NOT_FOLLOWING
        assert world.raised(ErrorState.BATTERY_NOT_RESPONDING)


def test_it_is_told_what_the_battery_took() -> None:
    world = World(**LOW).charging()
    world.charge_limit_w = 500.0
    commands = [c for _, c in world.run(70).log if getattr(c, "detail", "")]
    assert "500 W of 3680 W" in {c.detail for c in commands}  # type: ignore[union-attr]


def test_a_disarmed_dispatch_is_not_following() -> None:
    world = World(**LOW, absent={"battery"}).charging()
    world.run(10)
    world.armed = False
    world.run(25)
    assert world.reason is EndReason.BATTERY_NOT_FOLLOWING
    details = {getattr(command, "detail", "") for _, command in world.log}
    assert "? W of 3680 W" in details


def test_a_disarmed_dispatch_is_no_full_battery_even_near_full() -> None:
    world = World(soc=97.0, absent={"battery"}).charging()
    world.run(10)
    world.armed = False
    world.run(25)
    assert world.reason is EndReason.BATTERY_NOT_FOLLOWING


# --- Time ---


def test_it_ends_after_the_time_asked_for() -> None:
    world = World(**LOW).charging(duration_min=10.0)
    began = world.second
    world.run_until(lambda w: w.phase is Phase.STOPPING)
    assert world.reason is EndReason.PLANNED_END
    assert world.second - began == pytest.approx(600, abs=5)


@pytest.mark.parametrize("kind", list(Kind))
def test_the_end_of_its_window_ends_a_session_of_either_kind(kind: Kind) -> None:
    world = World(chargeable=True, soc=60.0).settle()
    end = world.now.utc + timedelta(minutes=5)
    world.request(kind=kind, until=end, duration_min=30.0)
    world.run_until(lambda w: w.phase is Phase.STOPPING)
    assert world.reason is EndReason.WINDOW_END
    assert world.now.utc == end


@pytest.mark.parametrize("kind", list(Kind))
def test_what_ends_first_counts(kind: Kind) -> None:
    world = World(chargeable=True, soc=60.0).settle()
    world.request(kind=kind, until=world.now.utc + timedelta(minutes=30), duration_min=5.0)
    world.run_until(lambda w: w.phase is Phase.STOPPING)
    assert world.reason is EndReason.PLANNED_END


def test_a_clock_set_back_does_not_lengthen_a_window() -> None:
    world = World(**LOW, chargeable=True).settle()
    world.request(kind=Kind.CHARGE, until=world.now.utc + timedelta(minutes=5))
    world.run(60)
    world.clock_offset = timedelta(hours=-1)
    world.run(245)
    assert world.reason is EndReason.WINDOW_END


# --- Dead-man ---


def test_its_lease_is_renewed_by_changed_values() -> None:
    world = World(soc=21.0, settings=replace(SETTINGS, battery_capacity_kwh=100.0)).charging()
    world.run(3600)
    values = [write.value for _, write in world.writes(WriteKind.DURATION)]
    assert values[:4] == [30.0, 25.0, 30.0, 25.0]
    assert world.phase is Phase.ACTIVE
    assert world.armed


def test_its_timer_may_move_in_steps_of_its_own() -> None:
    settings = replace(SETTINGS, charge_duration_step_min=15.0, battery_capacity_kwh=100.0)
    world = World(soc=21.0, settings=settings).charging()
    world.run(2400)
    values = [write.value for _, write in world.writes(WriteKind.DURATION)]
    assert values[:3] == [30.0, 15.0, 30.0]  # a number rounded to the one before arms nothing


def test_headroom_does_not_shorten_its_lease() -> None:
    world = World(**LOW, settings=replace(SETTINGS, fixed_limit_kwh=0.0)).charging()
    assert world.writes(WriteKind.DURATION)[0][1].value == 30.0


def test_a_failed_renewal_stops_it() -> None:
    world = World(soc=21.0).charging()
    world.failing.add(WriteKind.DURATION)
    world.run(920)
    assert world.reason is EndReason.RENEWAL_FAILED
    assert ErrorState.CHARGE_START_FAILED in world.state.faults
    assert not world.armed


def test_a_good_renewal_clears_the_error() -> None:
    world = World(soc=21.0).charging()
    faults = world.state.faults | {ErrorState.CHARGE_START_FAILED, ErrorState.DURATION_SET_FAILED}
    world.state = replace(world.state, faults=faults)
    world.run(920)
    assert world.state.faults == {ErrorState.DURATION_SET_FAILED}


# --- Blind ---


def test_it_may_go_on_without_a_soc_for_fifteen_minutes() -> None:
    world = World(soc=21.0).charging()
    world.broken.add("soc")
    world.run(880)
    assert world.phase is Phase.ACTIVE
    assert ErrorState.SOC_READ_FAILED in world.state.faults
    world.run(60)
    assert world.reason is EndReason.BLIND_LIMIT


def test_the_counters_do_not_blind_it() -> None:
    world = World(soc=21.0).charging()
    world.broken |= {"export", "generation"}
    world.run(1200)
    assert world.phase is Phase.ACTIVE


# --- Others ---


def test_over_export_by_the_sun_ends_no_charge() -> None:
    world = World(**LOW, settings=replace(SETTINGS, fixed_limit_kwh=0.1)).charging()
    world.forged["export"] = 0.5
    world.run(120)
    assert ErrorState.OVER_EXPORT in world.state.faults
    assert world.phase is Phase.ACTIVE


def test_a_discharge_that_somebody_switches_on_ends_it() -> None:
    world = World(**LOW).charging()
    world.run(5)
    world.switch = True
    world.run(1)
    assert world.reason is EndReason.EXTERNAL


def test_a_charge_that_somebody_switches_on_ends_a_discharge() -> None:
    world = World(chargeable=True).discharging()
    world.run(5)
    world.charge_switch = True
    world.run(1)
    assert world.reason is EndReason.EXTERNAL


def test_a_charge_whose_controls_are_taken_away_is_ended() -> None:
    world = World(**LOW).charging()
    world.run(5)
    world.chargeable = False
    world.run(1)
    assert world.reason is EndReason.EXTERNAL


def test_a_switch_that_cannot_be_read_ends_nothing() -> None:
    world = World(**LOW).charging()
    world.broken.add("charge_switch")
    world.run(60)
    assert world.phase is Phase.ACTIVE


@pytest.mark.parametrize("reason", [EndReason.USER, EndReason.UNLOAD])
def test_it_is_stopped_on_request(reason: EndReason) -> None:
    world = World(**LOW).charging()
    world.run(20)
    world.stop(reason)
    world.run(20)
    assert world.ended[0].reason is reason
    assert world.ended[0].charged_kwh > 0
    assert not world.armed


def test_without_a_session_there_is_nothing_to_guard() -> None:
    world = World(chargeable=True).settle()
    look: Any = world.look()
    turn = Turn(State(), world.now)
    assert world.state.decision is not None
    guard_charge(turn, look, world.state.decision)
    guard_charge_activation(turn, look)
    assert turn.commands == []
