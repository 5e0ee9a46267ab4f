"""Where the guard's decisions turn: just short of a limit nothing happens, at the limit it does."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.guard import guard, guard_activation
from custom_components.export_monitor.engine.metering import Flow
from custom_components.export_monitor.engine.state import Phase, Starting, State, WriteKind
from custom_components.export_monitor.engine.turn import Turn
from custom_components.export_monitor.models import (
    EndReason,
    ErrorState,
    Observation,
    Origin,
    SwitchReading,
)
from tests.unit.engine.world import SETTINGS, World, reading


@pytest.fixture
def running() -> World:
    """Return a house in mid-discharge, far from every limit; it draws nothing itself."""
    return World(load_w=0.0).discharging().run(61)


def _verdict(world: World, look: Observation | None = None, **decision: object) -> EndReason | None:
    """Return why the guard would end the session now; `decision` changes what it rests on."""
    turn = Turn(world.state, world.now)
    assert world.state.decision is not None
    guard(turn, look or world.look(), replace(world.state.decision, **decision))  # type: ignore[arg-type]
    return None if turn.state.stopping is None else turn.state.stopping.reason


def _seen(world: World, **readings: object) -> Observation:
    look = world.look()
    return replace(look, readings=replace(look.readings, **readings))  # type: ignore[arg-type]


# --- Energy ---


@pytest.mark.parametrize(
    ("left_wh", "reason"),
    [(4.6, None), (4.5, EndReason.HEADROOM_USED_UP), (4.4, EndReason.HEADROOM_USED_UP)],
)
def test_it_ends_while_what_flows_until_the_stop_works_is_still_allowed(
    running: World, left_wh: float, reason: EndReason | None
) -> None:
    meter = replace(running.state.meter, flow=Flow(3600.0, measured=True))  # 1 Wh a second
    running.state = replace(running.state, meter=meter)
    assert _verdict(running, export_left=left_wh / 1000) is reason


def test_a_flow_that_nobody_knows_is_taken_to_be_the_discharge(running: World) -> None:
    running.state = replace(running.state, meter=replace(running.state.meter, flow=None))
    assert _verdict(running, export_left=0.0038) is None  # 3 kW for 4.5 s are 3.75 Wh
    assert _verdict(running, export_left=0.0037) is EndReason.HEADROOM_USED_UP


@pytest.mark.parametrize(
    ("so_far_kwh", "reason"), [(0.4954, None), (0.4956, EndReason.TARGET_REACHED)]
)
def test_a_requested_energy_includes_what_flows_until_the_stop_works(
    running: World, so_far_kwh: float, reason: EndReason | None
) -> None:
    meter = replace(running.state.meter, flow=Flow(3600.0, measured=True))
    assert running.state.session is not None
    session = replace(running.state.session, energy_limit_kwh=0.5, exported_kwh=so_far_kwh)
    running.state = replace(running.state, meter=meter, session=session)
    assert _verdict(running) is reason


# --- SOC ---


@pytest.mark.parametrize(("soc", "reason"), [(20.1, None), (20.0, EndReason.SOC_FLOOR)])
def test_it_ends_at_the_floor_and_not_above(
    running: World, soc: float, reason: EndReason | None
) -> None:
    assert _verdict(running, _seen(running, soc=reading(soc, running.now.utc))) is reason


def test_an_soc_that_must_not_be_used_ends_nothing(running: World) -> None:
    assert _verdict(running, _seen(running, soc=reading(5.0, running.now.utc, "stale"))) is None


@pytest.mark.parametrize(
    ("soc", "reason"), [(21.0, EndReason.SOC_FLOOR), (21.1, EndReason.EXTERNAL)]
)
def test_a_switch_that_goes_off_within_one_percent_of_the_cutoff_was_the_floor(
    running: World, soc: float, reason: EndReason
) -> None:
    off = SwitchReading(on=False, reported=running.now.utc)
    look = _seen(running, soc=reading(soc, running.now.utc), switch=off)
    assert _verdict(running, look) is reason


def test_an_soc_lost_for_a_moment_is_no_error_yet(running: World) -> None:
    running.broken.add("soc")
    running.run(15)
    assert running.raised(ErrorState.SOC_READ_FAILED) == []
    running.run(1)
    assert running.raised(ErrorState.SOC_READ_FAILED)


# --- Time ---


@pytest.mark.parametrize(("seconds", "reason"), [(899.9, None), (900.0, EndReason.BLIND_LIMIT)])
def test_it_may_be_blind_for_fifteen_minutes(
    running: World, seconds: float, reason: EndReason | None
) -> None:
    running.broken.add("export")
    watch = replace(running.state.watch, blind=running.now.mono - seconds)
    running.state = replace(running.state, watch=watch)
    assert _verdict(running) is reason


@pytest.mark.parametrize(("seconds", "reason"), [(0.1, None), (0.0, EndReason.PLANNED_END)])
def test_the_planned_end_counts_on_either_clock(
    running: World, seconds: float, reason: EndReason | None
) -> None:
    before = running.state
    assert before.session is not None
    end = running.now.utc + timedelta(seconds=seconds)
    running.state = replace(before, session=replace(before.session, planned_end=end))
    assert _verdict(running) is reason
    running.state = replace(before, ends_at=running.now.mono + seconds)
    assert _verdict(running) is reason


@pytest.mark.parametrize(
    ("seconds", "reason"), [(59.9, None), (60.0, EndReason.BATTERY_NOT_FOLLOWING)]
)
def test_a_battery_may_lag_for_a_minute(seconds: float, reason: EndReason | None) -> None:
    world = World(absent={"dispatch"}).discharging().run(30)
    world.power_w = 1499.0
    world.run(2)
    watch = replace(world.state.watch, lagging=world.now.mono - seconds)
    world.state = replace(world.state, watch=watch)
    assert _verdict(world) is reason


@pytest.mark.parametrize(
    ("seconds", "reason"), [(14.9, None), (15.0, EndReason.BATTERY_NOT_FOLLOWING)]
)
def test_a_dispatch_may_read_disarmed_for_fifteen_seconds(
    running: World, seconds: float, reason: EndReason | None
) -> None:
    watch = replace(running.state.watch, disarmed=running.now.mono - seconds)
    running.state = replace(running.state, watch=watch)
    look = _seen(running, dispatch_start=reading(0.0, running.now.utc))
    assert _verdict(running, look) is reason


def test_the_lease_ends_it_to_the_second() -> None:
    world = World().discharging()
    lease = world.state.lease
    assert lease is not None
    renewed = replace(world.state, lease=replace(lease, minutes=1.0))
    world.unanswered.add(WriteKind.DURATION)
    world.state = renewed
    world.run_until(lambda w: w.phase is Phase.STOPPING, 100)
    assert world.now.mono == lease.armed.mono + 60
    assert world.reason is EndReason.RENEWAL_FAILED


def test_a_planned_end_ends_it_to_the_second() -> None:
    world = World().discharging(duration_min=2.0)
    session = world.state.session
    assert session is not None
    assert session.planned_end == session.started + timedelta(minutes=2)
    world.run_until(lambda w: w.phase is Phase.STOPPING, 200)
    assert world.now.utc == session.planned_end


def test_a_clock_set_forward_ends_it_at_the_wall_clocks_time() -> None:
    world = World().discharging(duration_min=30.0).run(60)
    world.clock_offset = timedelta(minutes=29)
    world.run(1)
    assert world.reason is EndReason.PLANNED_END


# --- Following ---


def test_a_battery_that_gives_more_than_half_follows() -> None:
    world = World(absent={"dispatch"}, load_w=0.0).discharging().run(30)
    world.power_w = 1600.0
    world.run(120)
    assert world.phase is Phase.ACTIVE


def test_a_battery_that_gives_half_to_the_watt_follows() -> None:
    world = World(absent={"dispatch"}, load_w=0.0).discharging().run(30)
    world.power_w = 1500.0
    world.run(120)
    assert world.phase is Phase.ACTIVE


@pytest.mark.parametrize(("pv_w", "follows"), [(4200.0, True), (4000.0, False)])
def test_only_an_inverter_near_its_limit_excuses_a_battery(pv_w: float, follows: bool) -> None:
    settings = replace(SETTINGS, inverter_limit_w=5000.0)
    world = World(settings, absent={"dispatch", "grid"}).discharging()
    world.pv_w, world.power_w = pv_w, 400.0
    world.run(120)
    assert (world.phase is Phase.ACTIVE) is follows


def test_a_lag_that_passes_is_forgiven() -> None:
    world = World(absent={"dispatch"}).discharging().run(30)
    for _ in range(3):
        world.power_w = 1000.0
        world.run(50)
        world.power_w = 3000.0
        world.run(5)
    assert world.phase is Phase.ACTIVE


def test_a_dispatch_that_reads_disarmed_for_a_moment_is_forgiven() -> None:
    world = World().discharging().run(30)
    world.forged["dispatch"] = 0.0
    world.run_until(lambda w: w.state.watch.disarmed is not None, 6)
    world.run(12)
    del world.forged["dispatch"]
    world.run(10)
    assert world.phase is Phase.ACTIVE


def test_a_battery_that_does_not_follow_is_described(running: World) -> None:
    running.absent.add("dispatch")
    running.power_w = 1000.0
    running.run_until(lambda w: w.phase is Phase.STOPPING, 90)
    error = next(
        c for _, c in running.log if getattr(c, "error", None) is ErrorState.BATTERY_NOT_RESPONDING
    )
    assert "1000 W of 3000 W" in getattr(error, "detail", "")


def test_a_disarmed_battery_whose_power_nobody_measures_is_described() -> None:
    world = World(absent={"battery", "grid"}).discharging().run(30)
    world.armed = False
    world.run_until(lambda w: w.phase is Phase.STOPPING, 90)
    error = next(
        c for _, c in world.log if getattr(c, "error", None) is ErrorState.BATTERY_NOT_RESPONDING
    )
    assert getattr(error, "detail", "") == "? W of 3000 W"


# --- While it is being switched on ---


def _switching_on(world: World) -> State:
    return replace(
        world.state,
        phase=Phase.STARTING,
        starting=Starting("start", world.now, (), 9, 30.0, switched_at=world.now),
        lease=None,
    )


def test_the_floor_ends_it_before_switching_on_is_answered(running: World) -> None:
    turn = Turn(_switching_on(running), running.now)
    assert running.state.decision is not None
    low = _seen(running, soc=reading(20.0, running.now.utc))
    guard_activation(turn, low, running.state.decision)
    assert turn.state.stopping is not None
    assert turn.state.stopping.reason is EndReason.SOC_FLOOR


def test_nothing_is_guarded_before_it_is_switched_on(running: World) -> None:
    state = _switching_on(running)
    assert state.starting is not None
    turn = Turn(replace(state, starting=replace(state.starting, switched_at=None)), running.now)
    assert running.state.decision is not None
    low = _seen(running, soc=reading(20.0, running.now.utc))
    guard_activation(turn, low, running.state.decision)
    assert turn.commands == []


def test_somebody_elses_discharge_is_not_measured_by_what_was_asked() -> None:
    world = World(absent={"dispatch"}, minutes=60.0).settle()
    world.switch = world.armed = True
    world.power_w, world.timer_s = 500.0, 3600.0
    world.run(120)
    assert world.phase is Phase.ACTIVE
    assert world.state.session is not None
    assert world.state.session.origin is Origin.ADOPTED


def test_a_failed_renewal_tells_the_batterys_own_words() -> None:
    world = World().discharging()
    lease = world.state.lease
    assert lease is not None
    world.state = replace(world.state, lease=replace(lease, minutes=1.0))
    world.failing.add(WriteKind.DURATION)
    world.run_until(lambda w: w.phase is Phase.STOPPING, 60)
    error = next(
        c for _, c in world.log if getattr(c, "error", None) is ErrorState.DURATION_SET_FAILED
    )
    assert getattr(error, "detail", "") == "refused"
    assert world.reason is EndReason.RENEWAL_FAILED


@pytest.mark.parametrize(
    ("given_w", "absent", "follows"),
    [
        (1000.0, {"dispatch"}, True),
        (540.0, {"dispatch"}, False),  # as much as the house takes
        (1000.0, {"dispatch", "load"}, True),
        (1000.0, {"dispatch", "load", "grid"}, False),  # what the house takes is not known
    ],
)
def test_of_an_inverter_of_unknown_limit_more_than_the_house_takes_is_enough(
    given_w: float, absent: set[str], follows: bool
) -> None:
    world = World(replace(SETTINGS, inverter_limit_w=0.0), absent=absent).discharging()
    world.power_w = given_w
    world.run(120)
    assert (world.phase is Phase.ACTIVE) is follows
