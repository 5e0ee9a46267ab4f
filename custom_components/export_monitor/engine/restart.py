"""What a persisted state means after time without anybody looking."""

from dataclasses import replace
from datetime import timedelta

from ..models import EndReason, ErrorState, Instant, Origin
from .metering import JOULES_PER_KWH, ExportMeter
from .start import WRITE_ERRORS
from .state import Phase, State, Stopping, Watch

# Only a good start, or a new period, clears these.
LASTING = frozenset(
    {*WRITE_ERRORS.values(), ErrorState.BATTERY_NOT_RESPONDING, ErrorState.OVER_EXPORT}
)


def resume(state: State, saved: Instant, now: Instant) -> State:
    """Return the persisted state as it stands now; monotonic times of the old run mean nothing.

    A start in its midst is not trusted: it becomes a stop. A stop goes on. A running session goes
    on, its export counted at its own power for as long as its lease can have lasted.
    """
    phase, stopping = state.phase, state.stopping
    broken = (phase is Phase.ACTIVE and state.session is None) or (
        phase is Phase.STOPPING and stopping is None
    )
    if phase is Phase.STARTING or broken:
        phase, stopping = Phase.STOPPING, Stopping(EndReason.START_FAILED, now)
    elif stopping is not None:
        # Its deadline runs on, or reloads would put the alarm off; time with nobody there is none.
        waited = max(0.0, (saved.utc - stopping.since.utc).total_seconds())
        since = Instant(now.utc, now.mono - waited)
        stopping = Stopping(stopping.reason, since, alarmed=stopping.alarmed)
    alarmed = stopping is not None and stopping.alarmed
    lease = state.lease
    if lease is not None:
        age = max(0.0, (now.utc - lease.armed.utc).total_seconds())
        lease = replace(lease, armed=Instant(lease.armed.utc, now.mono - age), renewal=None)
    ends = None if state.session is None else state.session.planned_end
    return replace(
        state,
        phase=phase,
        epoch=state.epoch + 1,
        meter=_counted_on(state, saved, now),
        decision=None,
        starting=None,
        lease=lease,
        stopping=stopping,
        watch=Watch(),
        faults=(state.faults & LASTING) | ({ErrorState.STOP_FAILED} if alarmed else set()),
        ends_at=None if ends is None else now.mono + (ends - now.utc).total_seconds(),
        cooldown_until=0.0,
        unbidden=0,
        unbidden_at=None,
        aftermath_until=0.0,
    )


def _counted_on(state: State, saved: Instant, now: Instant) -> ExportMeter:
    meter = replace(
        state.meter, at=None, flow=None, overdue_reports=0, overdue_since=None, told_at=None
    )
    session = state.session
    if session is None:
        return meter
    lease = state.lease
    if lease is None and session.origin is not Origin.ADOPTED:
        return meter  # nothing was switched on yet
    last = now.utc
    if lease is not None:
        ends = lease.armed.utc + timedelta(minutes=lease.minutes)
        # A clock set back says nothing of how long nobody looked: as long as the lease ran.
        last = ends if now.utc < saved.utc else min(last, ends)
    seconds = max(0.0, (last - saved.utc).total_seconds())
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
