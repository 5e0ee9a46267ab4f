"""What a persisted state means after time without anybody looking."""

from dataclasses import replace

from ..models import EndReason, ErrorState, Instant, Kind, Origin, Session
from .counter import JOULES_PER_KWH
from .metering import ExportMeter
from .start import WRITE_ERRORS, ends_at
from .state import Lease, Modulation, Phase, State, Stopping, Watch
from .stop import COOLDOWN_S, STOP_ERRORS

# Only a good start, or a new period, clears these.
LASTING = frozenset(
    {
        *WRITE_ERRORS.values(),
        ErrorState.CHARGE_START_FAILED,
        ErrorState.BATTERY_NOT_RESPONDING,
        ErrorState.OVER_EXPORT,
    }
)


def resume(state: State, saved: Instant, now: Instant) -> State:
    """Return the persisted state as it stands now; monotonic times of the old run mean nothing.

    A start in its midst is not trusted: it becomes a stop. A stop goes on. A running session goes
    on, its export counted at its own power for as long as its lease can have lasted. What a reload
    must not forget, or reloads would put it off for ever: how long the guard has been blind, and
    until when what shows up is the late effect of a stop. Neither is stored.
    """
    phase, stopping = state.phase, state.stopping
    broken = (phase is Phase.ACTIVE and state.session is None) or (
        phase is Phase.STOPPING and stopping is None
    )
    if phase is Phase.STARTING or broken:
        phase, stopping = Phase.STOPPING, Stopping(EndReason.START_FAILED, now, state.kind)
    elif stopping is not None:
        # Its deadline runs on, or reloads would put the alarm off; time with nobody there is none.
        waited = max(0.0, (saved.utc - stopping.since.utc).total_seconds())
        since = Instant(now.utc, now.mono - waited)
        stopping = Stopping(stopping.reason, since, stopping.kind, alarmed=stopping.alarmed)
    alarms = {STOP_ERRORS[stopping.kind]} if stopping is not None and stopping.alarmed else set()
    lease = state.lease
    if lease is not None:
        rearmed = None if lease.rearmed is None else _moved(lease.rearmed, now)
        lease = replace(lease, armed=_moved(lease.armed, now), renewal=None, rearmed=rearmed)
    return replace(
        state,
        phase=phase,
        epoch=state.epoch + 1,
        meter=_counted_on(state, saved, now),
        session=_charged_on(state, saved, now),
        intake=None,
        decision=None,
        starting=None,
        lease=lease,
        stopping=stopping,
        modulation=Modulation(),
        watch=Watch(blind=state.watch.blind),
        faults=(state.faults & LASTING) | alarms,
        ends_at=_ending(state, now),
        cooldown_until=_cooling_until(state, now),
        unbidden=0,
        unbidden_at=None,
    )


def _moved(moment: Instant, now: Instant) -> Instant:
    """Return a moment of the run before on the clock of this one."""
    age = max(0.0, (now.utc - moment.utc).total_seconds())
    return Instant(moment.utc, now.mono - age)


def _ending(state: State, now: Instant) -> float | None:
    """Return when (monotonic s) the session ends as asked for.

    A reload goes on with the same monotonic clock, and a wall clock that was set meanwhile must not
    give the session more time; a stored state has no time but that of the wall clock.
    """
    if state.session is None or state.ends_at is not None:
        return state.ends_at
    return ends_at(state.session, now)


def _cooling_until(state: State, now: Instant) -> float:
    """Return until when (monotonic s) nothing starts by itself after the last session's end."""
    if state.last is None or state.last.ended is None:
        return 0.0
    since = max(0.0, (now.utc - state.last.ended).total_seconds())
    return now.mono + max(0.0, COOLDOWN_S - since)


def _counted_on(state: State, saved: Instant, now: Instant) -> ExportMeter:
    meter = replace(
        state.meter,
        at=None,
        flow=None,
        overdue_reports=0,
        overdue_since=None,
        owed_since=None,
        resting_since=None,
        told_at=None,
        clock=state.meter.clock.resumed(now),
    )
    session = state.session
    if session is None or session.kind is Kind.CHARGE:
        return meter
    lease = state.lease
    if lease is None and session.origin is not Origin.ADOPTED:
        return meter  # nothing was switched on yet
    seconds = _alone_s(lease, saved, now)
    before = state.meter.flow.export_w if state.meter.flow is not None else 0.0
    flowed = max(session.power_w, before) * seconds / JOULES_PER_KWH
    return replace(
        meter,
        ahead=meter.ahead + flowed,
        since_report=meter.since_report + flowed,
        session_flow=meter.session_flow + flowed,
        flowed_in_all=meter.flowed_in_all + flowed,
        unconfirmed=True,
    )


def _charged_on(state: State, saved: Instant, now: Instant) -> Session | None:
    """Return the session; a charge has taken its full power meanwhile, while its lease ran."""
    session = state.session
    if session is None or session.kind is Kind.DISCHARGE or state.lease is None:
        return session
    taken = session.power_w * _alone_s(state.lease, saved, now) / JOULES_PER_KWH
    return replace(session, charged_kwh=session.charged_kwh + taken)


def _alone_s(lease: Lease | None, saved: Instant, now: Instant) -> float:
    """Return for how long (s) the battery can have gone on while nobody looked."""
    last = now.utc
    if lease is not None:
        ends = lease.latest_end_utc
        # A clock set back says nothing of how long nobody looked: as long as the lease ran.
        last = ends if now.utc < saved.utc else min(last, ends)
    return max(0.0, (last - saved.utc).total_seconds())
