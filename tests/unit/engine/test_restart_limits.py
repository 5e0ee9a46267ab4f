"""What a saved state is taken to mean, to the second and the Wh."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.metering import Flow
from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.state import (
    Lease,
    Phase,
    Renewal,
    Starting,
    State,
    Stopping,
    Watch,
)
from custom_components.export_monitor.models import EndReason, ErrorState, Instant, Origin
from tests.unit.engine.world import World

DOWN_S = 300.0


@pytest.fixture
def saved() -> World:
    """Return a house in mid-discharge, whose lease was armed a minute ago."""
    return World(load_w=0.0).discharging().run(60)


def _later(world: World, seconds: float = DOWN_S, mono: float = 50.0) -> Instant:
    """Return the moment of the restart, on a monotonic clock of its own."""
    return Instant(world.now.utc + timedelta(seconds=seconds), mono)


def _resumed(world: World, seconds: float = DOWN_S, **changes: object) -> State:
    state = replace(world.state, **changes)  # type: ignore[arg-type]
    return resume(state, world.now, _later(world, seconds))


def test_the_lease_runs_on_by_the_wall_clock(saved: World) -> None:
    armed = replace(saved.now, utc=saved.now.utc - timedelta(seconds=60))
    renewal = Renewal(9, 25.0, saved.now)
    state = _resumed(saved, lease=Lease(30.0, armed, renewal))
    assert state.lease is not None
    assert state.lease.renewal is None
    assert state.lease.expires_at == 50.0 + 1800 - 60 - DOWN_S
    assert state.lease.renew_at == 50.0 + 900 - 60 - DOWN_S


def test_a_clock_set_back_over_the_restart_makes_no_lease_longer(saved: World) -> None:
    state = _resumed(saved, seconds=-7200, lease=Lease(30.0, saved.now))
    assert state.lease is not None
    assert state.lease.expires_at == 50.0 + 1800


def test_a_planned_end_stays_where_it_was(saved: World) -> None:
    assert saved.state.session is not None
    end = saved.now.utc + timedelta(seconds=1000)
    state = _resumed(saved, session=replace(saved.state.session, planned_end=end))
    assert state.ends_at == 50.0 + 1000 - DOWN_S
    assert _resumed(saved).ends_at is None


def test_a_reload_keeps_the_end_although_the_clock_was_set_back(saved: World) -> None:
    assert saved.state.session is not None
    end = saved.now.utc + timedelta(seconds=1000)
    planned = replace(saved.state.session, planned_end=end)
    state = _resumed(saved, seconds=-7200, session=planned, ends_at=333.0)
    assert state.ends_at == 333.0


def test_a_start_in_its_midst_becomes_a_stop(saved: World) -> None:
    begun = Starting("r", saved.now, (), 3, 30.0)
    state = _resumed(saved, phase=Phase.STARTING, starting=begun)
    assert state.phase is Phase.STOPPING
    assert state.starting is None
    assert state.epoch == saved.state.epoch + 1
    assert state.stopping == Stopping(EndReason.START_FAILED, _later(saved))


@pytest.mark.parametrize("phase", [Phase.ACTIVE, Phase.STOPPING])
def test_a_broken_record_becomes_a_stop(saved: World, phase: Phase) -> None:
    state = _resumed(saved, phase=phase, session=None, stopping=None)
    assert state.phase is Phase.STOPPING
    assert state.stopping is not None
    assert state.stopping.reason is EndReason.START_FAILED


def test_a_stop_goes_on_for_its_reason_with_its_alarm(saved: World) -> None:
    since = replace(saved.now, utc=saved.now.utc - timedelta(seconds=9))
    begun = Stopping(EndReason.USER, since, attempts=4, alarmed=True, requests=("gone",))
    state = _resumed(saved, phase=Phase.STOPPING, stopping=begun)
    assert state.stopping is not None
    assert state.stopping.reason is EndReason.USER
    assert state.stopping.alarmed
    assert state.stopping.requests == ()
    assert state.stopping.since == Instant(_later(saved).utc, 50.0 - 9)
    assert ErrorState.STOP_FAILED in state.faults


def test_a_session_goes_on_with_little_of_the_old_run(saved: World) -> None:
    state = _resumed(
        saved,
        watch=Watch(blind=3.0, ever_complete=True, switched=True),
        cooldown_until=9e9,
        aftermath_until=7.0,
        unbidden=4,
        unbidden_at=saved.now.utc,
    )
    assert state.phase is Phase.ACTIVE
    assert state.session == saved.state.session
    assert state.stopping is None
    assert state.decision is None
    # How long the guard has been blind, or reloads would make it see.
    assert state.watch == Watch(blind=3.0)
    # What a stop may still bring, or a reload would adopt it.
    assert (state.cooldown_until, state.aftermath_until) == (0.0, 7.0)
    assert (state.unbidden, state.unbidden_at) == (0, None)


def test_only_what_a_start_or_a_new_day_clears_goes_on_standing(saved: World) -> None:
    lasting = {
        ErrorState.POWER_SET_FAILED,
        ErrorState.CUTOFF_SET_FAILED,
        ErrorState.DURATION_SET_FAILED,
        ErrorState.START_FAILED,
        ErrorState.CHARGE_START_FAILED,
        ErrorState.BATTERY_NOT_RESPONDING,
        ErrorState.OVER_EXPORT,
    }
    assert _resumed(saved, faults=frozenset(ErrorState)).faults == lasting


@pytest.mark.parametrize(
    ("flow_w", "lease_min", "down_s", "flowed_kwh"),
    [
        (2600.0, 30.0, 300.0, 3000 * 300 / 3.6e6),
        (4000.0, 30.0, 300.0, 4000 * 300 / 3.6e6),
        (None, 30.0, 300.0, 3000 * 300 / 3.6e6),
        (2600.0, 2.0, 300.0, 3000 * 120 / 3.6e6),
        (2600.0, 30.0, -300.0, 3000 * 1800 / 3.6e6),  # a clock set back tells no time
    ],
)
def test_what_flowed_unseen_counts_until_the_lease_was_over(
    saved: World, flow_w: float | None, lease_min: float, down_s: float, flowed_kwh: float
) -> None:
    flow = None if flow_w is None else Flow(flow_w, measured=True)
    meter = replace(saved.state.meter, flow=flow, overdue_reports=2, overdue_since=1.0)
    lease = Lease(lease_min, saved.now)
    after = _resumed(saved, down_s, meter=meter, lease=lease).meter
    assert after.ahead - meter.ahead == pytest.approx(flowed_kwh)
    assert after.since_report - meter.since_report == pytest.approx(flowed_kwh)
    assert after.session_flow - meter.session_flow == pytest.approx(flowed_kwh)
    assert after.unconfirmed
    assert (after.at, after.flow) == (None, None)
    assert (after.overdue_reports, after.overdue_since) == (0, None)


def test_without_a_lease_of_ours_nothing_was_switched_on(saved: World) -> None:
    assert _resumed(saved, 7200.0, lease=None).meter.ahead == saved.state.meter.ahead


def test_what_somebody_else_has_started_may_have_flowed_all_the_time(saved: World) -> None:
    before = saved.state.meter
    assert saved.state.session is not None
    adopted = replace(saved.state.session, origin=Origin.ADOPTED)
    after = _resumed(saved, 7200.0, lease=None, session=adopted).meter
    assert after.ahead - before.ahead == pytest.approx(6.0, rel=1e-3)


def test_without_a_session_nothing_flowed(saved: World) -> None:
    state = _resumed(saved, session=None, phase=Phase.IDLE)
    assert state.meter.ahead == saved.state.meter.ahead
    assert not state.meter.unconfirmed
    assert state.meter.at is None
