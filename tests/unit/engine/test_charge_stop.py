"""A charge's stop is followed until the battery has proven it, and beyond."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.state import (
    Answer,
    Evidence,
    Phase,
    StopRequested,
    WriteKind,
)
from custom_components.export_monitor.engine.stop import drawn, proven, quiet, tells
from custom_components.export_monitor.models import (
    EndReason,
    Errors,
    ErrorState,
    Instant,
    Kind,
    Origin,
    Reading,
    Readings,
    SwitchReading,
)
from custom_components.export_monitor.storage import Record, decode, encode, record_of
from tests.unit.engine.world import SETTINGS, World, instant, reading, readings

CHARGE = Kind.CHARGE
OFF = SwitchReading(on=False)


@pytest.fixture
def charging() -> World:
    """Return a world in mid-charge."""
    return World(soc=40.0).charging().run(30)


def _modes(world: World) -> set[Kind]:
    stops = (WriteKind.SWITCH_OFF, WriteKind.FALLBACK_STOP, WriteKind.SMOTHER)
    return {write.mode for _, write in world.writes(*stops)}


# --- Proof ---


def test_it_is_proven_by_the_dispatch(charging: World) -> None:
    charging.stop()
    charging.run(20)
    assert charging.ended[0].proof == "dispatch"
    assert charging.replies[-1].answer is Answer.STOPPED
    assert charging.replies[-1].session is not None
    assert charging.replies[-1].session.kind is CHARGE
    assert _modes(charging) == {CHARGE}


def test_without_a_dispatch_by_the_batterys_power() -> None:
    world = World(soc=40.0, absent={"dispatch"}).charging().run(30)
    world.stop()
    world.run(20)
    assert world.ended[0].proof == "battery_power"
    assert not world.armed


def test_the_sun_may_go_on_charging_it() -> None:
    world = World(soc=40.0, pv_w=3000.0, absorbs=True, absent={"dispatch"}).charging().run(30)
    world.stop()
    world.run(20)
    assert world.ended[0].proof == "battery_power"
    assert world.battery_w == -2600.0


def test_without_either_by_the_switch() -> None:
    world = World(soc=40.0, absent={"dispatch", "battery", "grid"}).charging().run(30)
    world.stop()
    world.run(20)
    assert world.ended[0].proof == "switch"


def test_a_switch_proves_nothing_while_the_grid_gives_more_than_the_house_takes() -> None:
    world = World(soc=40.0, absent={"dispatch", "battery"}, lost={WriteKind.FALLBACK_STOP})
    world.charging().run(30)
    world.reset_lost = True
    world.stop()
    world.run(20)
    assert not world.charge_switch
    assert world.phase is Phase.STOPPING
    assert world.raised(ErrorState.CHARGE_STOP_FAILED)


@pytest.mark.parametrize(
    ("battery", "load", "pv", "grid", "is_quiet"),
    [
        (-150.0, 400.0, 0.0, 550.0, True),
        (-151.0, 400.0, 0.0, 551.0, False),
        (-2150.0, 400.0, 2400.0, 150.0, True),
        (-2151.0, 400.0, 2400.0, 151.0, False),
        (-151.0, 1000.0, 400.0, 751.0, False),  # the house takes all of the sun
        (500.0, 400.0, 0.0, -100.0, True),  # it discharges
        (-3000.0, None, None, 100.0, True),  # the sun gives it
        (-3000.0, None, None, 3400.0, False),
        (-3000.0, 400.0, None, 3400.0, False),
        (-100.0, None, None, 5000.0, True),
        (-151.0, None, None, None, False),
        (-150.0, None, None, None, True),
    ],
)
def test_quiet_is_what_the_sun_leaves_over(
    battery: float, load: float | None, pv: float | None, grid: float | None, *, is_quiet: bool
) -> None:
    def of(value: float | None) -> Reading | None:
        return None if value is None else reading(value)

    look = readings(
        battery_power=of(battery), house_load=of(load), pv_power=of(pv), grid_power=of(grid)
    )
    assert quiet(look, CHARGE) is is_quiet


def test_what_is_drawn_is_never_negative() -> None:
    look = readings(grid_power=reading(-500.0))
    assert drawn(look, 300.0) == 0.0
    assert drawn(look, -300.0) == 0.0
    assert drawn(readings(house_load=reading(400.0), pv_power=reading(900.0)), 300.0) == 0.0


@pytest.mark.parametrize(
    ("sensors", "can_tell"),
    [
        ({"grid_power"}, True),
        ({"house_load", "pv_power"}, True),
        ({"house_load"}, False),
        ({"pv_power"}, False),
        (set(), False),
    ],
)
def test_what_it_takes_to_tell_a_charge(sensors: set[str], *, can_tell: bool) -> None:
    look = readings(**dict.fromkeys(sensors, reading(0.0)))
    assert not tells(look, CHARGE)
    assert tells(replace(look, battery_power=reading(0.0)), CHARGE) is can_tell


def _bare(**changes: Any) -> Readings:
    return readings(charge_switch=OFF, **changes)


@pytest.mark.parametrize(
    ("look", "evidence", "proof"),
    [
        (_bare(), Evidence(), "switch"),
        (_bare(switch=SwitchReading(on=True)), Evidence(), "switch"),
        (readings(), Evidence(), None),
        (readings(charge_switch=SwitchReading(on=True)), Evidence(), None),
        (_bare(grid_power=reading(550.0), house_load=reading(400.0)), Evidence(), "switch"),
        (_bare(grid_power=reading(551.0), house_load=reading(400.0)), Evidence(), None),
        (_bare(grid_power=reading(9000.0)), Evidence(), "switch"),
        (_bare(house_load=reading(400.0)), Evidence(), "switch"),
        (_bare(dispatch_start=reading(0.0)), Evidence(dispatch_reports=2), "dispatch"),
        # A discharge that is on arms the same register.
        (
            _bare(dispatch_start=reading(1.0), switch=SwitchReading(on=True)),
            Evidence(dispatch_reports=-1),
            "switch",
        ),
    ],
)
def test_what_proves_it(look: Readings, evidence: Evidence, proof: str | None) -> None:
    assert proven(evidence, look, 0.0, CHARGE) == proof


# --- Never given up ---


def test_a_lost_reset_is_followed_by_the_fallback(charging: World) -> None:
    charging.reset_lost = True
    charging.stop()
    charging.run(20)
    kinds = [write.kind for _, write in charging.writes() if write.stops]
    assert kinds == [WriteKind.SWITCH_OFF, WriteKind.FALLBACK_STOP]
    assert charging.ended[0].proof == "dispatch"


def test_an_unproven_stop_alarms_and_goes_on_for_ever(charging: World) -> None:
    charging.reset_lost = True
    charging.lost.add(WriteKind.FALLBACK_STOP)
    charging.stop()
    begun = charging.second
    charging.run(400)
    assert charging.raised(ErrorState.CHARGE_STOP_FAILED) == [begun + 14]
    assert charging.raised(ErrorState.STOP_FAILED) == []
    assert charging.replies[-1].answer is Answer.UNPROVEN
    assert charging.replies[-1].error is ErrorState.CHARGE_STOP_FAILED
    assert charging.stop_attempts[-1] - charging.stop_attempts[-2] == 30
    assert _modes(charging) == {CHARGE}
    # Who asks after the alarm is told at once.
    charging.stop(kind=CHARGE)
    assert charging.replies[-1].error is ErrorState.CHARGE_STOP_FAILED
    charging.lost.clear()
    charging.run(60)
    assert charging.phase is Phase.IDLE
    assert charging.cleared(ErrorState.CHARGE_STOP_FAILED)


def test_without_a_fallback_it_is_smothered() -> None:
    world = World(soc=40.0, settings=replace(SETTINGS, fallback_stop=False)).charging().run(30)
    world.reset_lost = True
    world.stop()
    world.run(20)
    assert next(write.mode for _, write in world.writes(WriteKind.SMOTHER)) is CHARGE


def test_never_switched_on_in_order_to_switch_off(charging: World) -> None:
    charging.reset_lost = True
    charging.lost.add(WriteKind.FALLBACK_STOP)
    charging.stop()
    before = len(charging.writes(WriteKind.SWITCH_ON))
    charging.run(300)
    assert len(charging.writes(WriteKind.SWITCH_ON)) == before


def test_an_end_from_outside_is_proven_too(charging: World) -> None:
    charging.charge_switch = False  # the package reset into a dead link
    charging.run(20)
    assert charging.ended[0].reason is EndReason.EXTERNAL
    assert not charging.armed


@pytest.mark.parametrize("kind", list(Kind))
def test_a_stop_of_either_kind_stops_it(charging: World, kind: Kind) -> None:
    charging.stop(kind=kind)
    charging.run(20)
    assert charging.ended[0].kind is CHARGE
    assert not charging.armed
    assert _modes(charging) == {CHARGE}


def test_a_stop_of_a_charge_stops_a_discharge() -> None:
    world = World(chargeable=True).discharging().run(10)
    world.stop(kind=CHARGE)
    world.run(20)
    assert world.ended[0].kind is Kind.DISCHARGE
    assert not world.armed
    assert _modes(world) == {Kind.DISCHARGE}


def test_with_nothing_of_ours_it_turns_the_users_own_charge_off() -> None:
    world = World(chargeable=True, soc=40.0).settle()
    world.charge_numbers = {WriteKind.POWER: 2000.0, WriteKind.CUTOFF: 100.0}
    world.charge_switch = world.armed = world.reverse = True
    world.power_w, world.timer_s = 2000.0, 3600.0
    world.run(10)
    world.stop(kind=CHARGE)
    world.run(20)
    assert not world.armed
    assert world.replies[-1].answer is Answer.STOPPED
    assert world.replies[-1].session is None
    assert _modes(world) == {CHARGE}


def test_without_controls_of_a_charge_a_stop_is_a_stop_of_the_discharge() -> None:
    world = World().settle()
    world.stop(kind=CHARGE)
    world.run(20)
    assert _modes(world) == {Kind.DISCHARGE}
    assert world.replies[-1].answer is Answer.STOPPED


def test_the_full_reset_spares_a_mode_that_the_user_has_turned_on() -> None:
    world = World(soc=40.0).charging().run(30)
    world.switch = True  # a discharge of the user's own
    world.stop()
    begun = world.second
    world.lost.add(WriteKind.SWITCH_OFF)
    world.run(10)
    assert world.stop_attempts[1] - begun >= 8


# --- The aftermath ---


def test_a_charge_that_shows_up_late_is_stopped_again(charging: World) -> None:
    charging.stop()
    charging.run(30)
    charging.armed = charging.reverse = True
    charging.timer_s = 1800.0
    charging.run(15)
    assert not charging.armed
    assert len(charging.ended) == 1
    assert _modes(charging) == {CHARGE}


def test_so_it_is_without_a_dispatch_read_back() -> None:
    world = World(soc=40.0, absent={"dispatch"}).charging().run(30)
    world.stop()
    world.run(30)
    world.armed = world.reverse = True
    world.timer_s = 1800.0
    world.run(15)
    assert not world.armed


def test_a_late_dispatch_is_seen_behind_a_battery_that_rests() -> None:
    world = World(soc=40.0, load_w=0.0).charging().run(30)
    world.stop()
    world.run(30)
    world.armed = world.reverse = True
    world.charge_limit_w, world.timer_s = 0.0, 1800.0
    world.run(20)
    assert not world.armed


def _switched_on(world: World) -> None:
    world.charge_numbers = {WriteKind.POWER: 2000.0, WriteKind.CUTOFF: 100.0}
    world.charge_switch = world.armed = world.reverse = True
    world.power_w, world.timer_s = 2000.0, 1800.0


@pytest.mark.parametrize(("seconds", "late"), [(3, True), (16, False)])
def test_the_switch_of_a_start_that_was_stopped_may_come_late(seconds: int, *, late: bool) -> None:
    world = World(chargeable=True, soc=40.0, lost={WriteKind.SWITCH_ON}).settle()
    world.request(kind=CHARGE)
    world.run_until(lambda w: bool(w.writes(WriteKind.SWITCH_ON)))
    world.stop()
    world.run_until(lambda w: w.phase is Phase.IDLE)
    world.run(seconds)
    _switched_on(world)
    world.run(1)
    assert (world.reason is EndReason.START_CANCELLED) is late
    world.run(40)
    assert world.armed is not late


def test_a_charge_switched_on_again_after_a_good_one_is_its_owners(charging: World) -> None:
    charging.stop()
    charging.run_until(lambda w: w.phase is Phase.IDLE)
    charging.run(3)
    _switched_on(charging)
    charging.run(400)
    assert charging.armed
    assert charging.phase is Phase.IDLE


def test_one_switched_on_after_a_stop_of_nothing_is_its_owners_too() -> None:
    world = World(chargeable=True, soc=40.0).settle()
    world.stop(kind=CHARGE)
    world.run_until(lambda w: w.phase is Phase.IDLE)
    world.run(3)
    _switched_on(world)
    world.run(60)
    assert world.armed


def test_the_users_own_charge_is_left_alone(charging: World) -> None:
    charging.stop()
    charging.run_until(lambda w: w.phase is Phase.IDLE)
    charging.run(20)
    charging.charge_switch = charging.armed = charging.reverse = True
    charging.timer_s = 1800.0
    charging.run(400)
    assert charging.armed
    assert charging.phase is Phase.IDLE


def test_a_charge_long_after_is_nobodys_business(charging: World) -> None:
    charging.stop()
    charging.run(330)
    charging.armed = charging.reverse = True
    charging.timer_s = 1800.0
    charging.run(60)
    assert charging.armed
    assert charging.phase is Phase.IDLE


def test_a_charge_after_a_discharge_is_not_ours() -> None:
    world = World(chargeable=True).discharging().run(10)
    world.stop()
    world.run(30)
    world.charge_numbers = {WriteKind.CUTOFF: 100.0}
    world.armed = world.reverse = True
    world.timer_s = 1800.0
    world.run(60)
    assert world.armed
    assert world.phase is Phase.IDLE


def test_a_discharge_that_shows_up_after_a_charge_is_guarded_not_stopped(charging: World) -> None:
    charging.stop()
    charging.run(30)
    charging.armed, charging.power_w, charging.timer_s = True, 3000.0, 600.0
    charging.run(30)
    assert charging.state.session is not None
    assert charging.state.session.origin is Origin.ADOPTED
    assert charging.state.session.kind is Kind.DISCHARGE


def test_the_users_own_discharge_after_a_charge_is_adopted_at_once(charging: World) -> None:
    charging.stop()
    charging.run_until(lambda w: w.phase is Phase.IDLE)
    charging.run(2)
    charging.switch = charging.armed = True
    charging.power_w, charging.timer_s = 3000.0, 600.0
    charging.run(1)
    assert charging.state.session is not None
    assert charging.state.session.origin is Origin.ADOPTED


# --- Restart ---


def _restarted(world: World, away_s: int) -> World:
    """Let a world go on after a restart through the disk, the battery running on meanwhile."""
    stored = encode(record_of(world.state, Errors(), world.now.utc))
    saved = world.now
    for _ in range(away_s):
        world._pass_second()
        world._report()
    record = decode(Record, stored)
    world.state = resume(record.state(), Instant(saved.utc, 0.0), world.now)
    return world


def test_a_restart_in_mid_charge_resumes_it(charging: World) -> None:
    session = charging.state.session
    assert session is not None
    before = charging.soc
    _restarted(charging, 120).run(30)
    assert charging.phase is Phase.ACTIVE
    after = charging.state.session
    assert after is not None
    assert (after.id, after.kind) == (session.id, CHARGE)
    taken = (charging.soc - before) / 100 * SETTINGS.battery_capacity_kwh
    assert after.charged_kwh - session.charged_kwh == pytest.approx(taken, abs=0.005)
    charging.run(900)
    assert charging.phase is Phase.ACTIVE
    assert len(charging.writes(WriteKind.DURATION)) == 2


def test_one_whose_battery_has_ended_it_meanwhile_is_over(charging: World) -> None:
    session = charging.state.session
    _restarted(charging, 2400).run(20)
    assert charging.ended[0].reason is EndReason.EXTERNAL
    assert session is not None
    assert charging.ended[0].id == session.id
    # No more than its time let it take.
    assert charging.ended[0].charged_kwh <= 3.68 / 2 + 0.01


def test_its_window_ends_it_after_a_restart() -> None:
    world = World(soc=40.0, chargeable=True).settle()
    world.request(kind=CHARGE, until=world.now.utc + timedelta(minutes=20))
    world.run(60)
    _restarted(world, 600)
    world.run_until(lambda w: w.phase is Phase.STOPPING, 600)
    assert world.reason is EndReason.WINDOW_END


def test_a_stop_goes_on_after_a_restart(charging: World) -> None:
    charging.reset_lost = True
    charging.lost.add(WriteKind.FALLBACK_STOP)
    charging.stop()
    charging.run(20)
    _restarted(charging, 30)
    assert charging.state.faults == {ErrorState.CHARGE_STOP_FAILED}
    charging.lost.clear()
    charging.run(40)
    assert charging.ended[0].reason is EndReason.USER
    assert _modes(charging) == {CHARGE}
    assert charging.state.faults == frozenset()


def test_a_start_in_its_midst_becomes_a_stop() -> None:
    world = World(soc=40.0, chargeable=True, unanswered={WriteKind.SWITCH_ON}).settle()
    world.request(kind=CHARGE)
    world.run_until(lambda w: w.armed)
    _restarted(world, 5).run(20)
    assert world.ended[0].reason is EndReason.START_FAILED
    assert _modes(world) == {CHARGE}
    assert not world.armed


def test_before_its_switch_nothing_can_have_been_taken() -> None:
    world = World(soc=40.0, chargeable=True, write_s=5).settle()
    world.request(kind=CHARGE)
    world.run(6)
    _restarted(world, 300)
    assert world.state.session is not None
    assert world.state.session.charged_kwh == 0.0


def test_a_charge_is_no_export_after_a_restart(charging: World) -> None:
    before = charging.state.meter.counted
    _restarted(charging, 600)
    assert charging.state.meter.counted == before
    assert not charging.state.meter.unconfirmed


def test_records_of_a_time_before_charges_are_of_discharges() -> None:
    world = World().discharging().run(10)
    world.take(StopRequested(world.look()))
    stored: Any = encode(record_of(world.state, Errors(), world.now.utc))
    for part, fields in (
        ("session", ("kind", "window_end", "charged_kwh")),
        ("stopping", ("kind",)),
    ):
        for name in fields:
            del stored[part][name]
    state = resume(decode(Record, stored).state(), Instant(datetime.now(UTC), 0.0), instant(0))
    assert state.kind is Kind.DISCHARGE
    assert state.stopping is not None
    assert state.stopping.kind is Kind.DISCHARGE
