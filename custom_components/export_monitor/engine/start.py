"""Starting: fails closed, parameters first and activation last, each write verified."""

from dataclasses import replace
from datetime import timedelta
from math import floor
from uuid import UUID, uuid5

from ..models import (
    Blocker,
    Decision,
    EndReason,
    ErrorState,
    Instant,
    Kind,
    Observation,
    Origin,
    Readings,
    Session,
)
from .accounting import worst_flow
from .headroom import duration_minutes
from .hysteresis import reluctance
from .modes import FULL_SOC, charge_blocker, dispatched, switch_of
from .pace import first_power
from .state import (
    Answer,
    Answered,
    Lease,
    Modulation,
    Phase,
    Reply,
    Starting,
    StartRequested,
    State,
    Write,
    WriteKind,
)
from .stop import begin_stop
from .turn import Turn

START_DEADLINE_S = 120.0
ADOPTED_W = 5000.0  # an ordinary household inverter, where its limit is not configured
SESSION_NAMESPACE = UUID("6f1d4b52-52f7-4c1e-9a53-6c33e5a5b0f1")
WRITE_ERRORS = {
    WriteKind.POWER: ErrorState.POWER_SET_FAILED,
    WriteKind.CUTOFF: ErrorState.CUTOFF_SET_FAILED,
    WriteKind.DURATION: ErrorState.DURATION_SET_FAILED,
    WriteKind.SWITCH_ON: ErrorState.START_FAILED,
}
REFUSAL_ERRORS = {
    Blocker.MODE_CONFLICT: ErrorState.MODE_CONFLICT,
    Blocker.STALE_DATA: ErrorState.STALE_DATA,
    Blocker.NO_DATA: ErrorState.NO_DATA,
    Blocker.SOC_MISSING: ErrorState.SOC_READ_FAILED,
}
# What comes about by itself while the parameters are written: the battery and the data are well.
PASSING = frozenset(
    {
        Blocker.TARGET_ZERO,
        Blocker.SOC_AT_FLOOR,
        Blocker.SOC_AT_RESERVE,
        Blocker.NO_HEADROOM,
        Blocker.SOC_FULL,
    }
)
CLEARED_BY_A_START = {
    Kind.DISCHARGE: (*WRITE_ERRORS.values(), ErrorState.BATTERY_NOT_RESPONDING),
    Kind.CHARGE: (ErrorState.CHARGE_START_FAILED, ErrorState.BATTERY_NOT_RESPONDING),
}


def write_error(write: Write) -> ErrorState:
    """Return the error that a failed write means; a charge has one for all of them."""
    return ErrorState.CHARGE_START_FAILED if write.mode is Kind.CHARGE else WRITE_ERRORS[write.kind]


def start_error(kind: Kind) -> ErrorState:
    """Return the error of a start that failed as a whole."""
    return ErrorState.CHARGE_START_FAILED if kind is Kind.CHARGE else ErrorState.START_FAILED


def blocker_of(state: State, readings: Readings, decision: Decision) -> Blocker | None:
    """Return the first reason against a discharge, the session's own state included."""
    return _with_state(state, readings, decision.blocker, Kind.DISCHARGE)


def _with_state(
    state: State, readings: Readings, blocker: Blocker | None, kind: Kind
) -> Blocker | None:
    ours = state.session is not None and state.session.kind is not kind and not readings.conflicts
    if blocker is not None and not (ours and blocker is Blocker.MODE_CONFLICT):
        return blocker  # the other mode that is on may be our own session
    if state.phase is Phase.STOPPING:
        return Blocker.STOP_IN_PROGRESS
    if state.phase is not Phase.IDLE or switch_of(readings, kind).on:
        return Blocker.ALREADY_RUNNING
    # Armed by nothing that we can name: still somebody's, and not to be written over.
    return Blocker.MODE_CONFLICT if dispatched(readings) else None


def _blocker(turn: Turn, event: StartRequested, decision: Decision) -> Blocker | None:
    readings = event.observation.readings
    if event.kind is Kind.DISCHARGE:
        return blocker_of(turn.state, readings, decision)
    blocker = charge_blocker(event.observation, _target_soc(event))
    return _with_state(turn.state, readings, blocker, Kind.CHARGE)


def _target_soc(event: StartRequested) -> float:
    return FULL_SOC if event.soc is None else min(event.soc, FULL_SOC)


def _power(event: StartRequested, decision: Decision) -> float:
    """Return the power (W): what was asked for, never more than is allowed."""
    charges = event.kind is Kind.CHARGE
    limit = event.observation.settings.charge_power_w if charges else decision.power_w
    return limit if event.power_w is None else min(limit, event.power_w)


def begin_start(turn: Turn, event: StartRequested, decision: Decision) -> None:
    """Refuse with the first reason, or begin the writes."""
    observation, state = event.observation, turn.state
    power = _power(event, decision)
    refusal = _blocker(turn, event, decision)
    if refusal is None and power <= 0:
        refusal = Blocker.TARGET_ZERO
    refusal = refusal or reluctance(state, event, decision)
    if refusal is not None:
        error = REFUSAL_ERRORS.get(refusal)
        if error is not None:
            turn.raise_error(error, refusal, again=True)
        turn.commands.append(Reply(event.request_id, Answer.REFUSED, blocker=refusal, error=error))
        return
    first = first_power(observation, power) if event.kind is Kind.DISCHARGE else power
    minutes = lease_minutes(observation, decision, first, event.kind)
    cutoff = _target_soc(event) if event.kind is Kind.CHARGE else decision.floor_soc
    planned = (
        None if event.duration_min is None else turn.now.utc + timedelta(minutes=event.duration_min)
    )
    session = Session(
        id=str(uuid5(SESSION_NAMESPACE, f"{event.request_id} {turn.now.utc.isoformat()}")),
        origin=event.origin,
        started=turn.now.utc,
        power_w=first,
        target_w=power if event.kind is Kind.DISCHARGE else None,
        cutoff_soc=cutoff,
        meter_at_start=state.meter.mark,
        energy_limit_kwh=event.energy_kwh,
        planned_end=planned,
        kind=event.kind,
        window_end=event.until,
    )
    todo = (
        (WriteKind.CUTOFF, cutoff),
        (WriteKind.DURATION, minutes),
        (WriteKind.SWITCH_ON, 0.0),
    )
    turn.state = replace(
        state,
        phase=Phase.STARTING,
        session=session,
        stopping=None,
        unbidden=0,
        modulation=Modulation(),
        ends_at=ends_at(session, turn.now),
    )
    number = turn.write(WriteKind.POWER, first)
    turn.state = replace(
        turn.state,
        starting=Starting(event.request_id, turn.now, todo, number, minutes),
    )


def ends_at(session: Session, now: Instant) -> float | None:
    """Return the monotonic time (s) at which a session ends as asked for, None where it is open."""
    last = session.last_moment
    return None if last is None else now.mono + (last - now.utc).total_seconds()


def lease_minutes(
    observation: Observation, decision: Decision, power_w: float, kind: Kind = Kind.DISCHARGE
) -> float:
    """Return the dead-man time (min): what the worst case leaves, in the battery's own steps.

    A charge uses up no allowance, and full is full: nothing shortens its time.
    """
    settings = observation.settings
    minutes = settings.hardware_lease_min
    if kind is Kind.DISCHARGE:
        worst = worst_flow(observation.readings, settings, power_w)
        minutes = min(minutes, duration_minutes(decision.headroom, worst))
    step = settings.lease_step_min(kind)
    return max(step, floor(minutes / step) * step)


def continue_start(turn: Turn, event: Answered) -> None:
    """Take the answer to the write that is waited for and go on, or stop."""
    starting = turn.state.starting
    if starting is None or event.write.id != starting.awaiting:
        return
    if not event.ok:
        _fail(turn, write_error(event.write), event.detail)
        return
    if not starting.todo:
        _activate(turn, starting)
        return
    (kind, value), *rest = starting.todo
    if kind is WriteKind.SWITCH_ON:
        # The world has changed since the request: activation is the last chance to say no.
        reason = _changed_mind(turn.state)
        if reason in PASSING:
            _withdraw(turn, starting, reason)
            return
        if reason is not None:
            _fail(turn, start_error(turn.state.kind), str(reason))
            return
    number = turn.write(kind, value)
    switching_on = kind is WriteKind.SWITCH_ON
    turn.state = replace(
        turn.state,
        starting=replace(
            starting,
            todo=tuple(rest),
            awaiting=number,
            switched_at=turn.now if switching_on else None,
        ),
        # From here on the battery may run: a restart has to know for how long.
        lease=Lease(starting.lease_min, turn.now) if switching_on else None,
    )


def _changed_mind(state: State) -> Blocker | None:
    """Return what has come in the way of the session that is being started."""
    decision = state.decision
    if decision is None:
        return Blocker.NO_DATA
    return decision.charge_blocker if state.kind is Kind.CHARGE else decision.blocker


def _fail(turn: Turn, error: ErrorState, detail: str) -> None:
    turn.raise_error(error, detail, again=True)
    begin_stop(turn, EndReason.START_FAILED, error=error, detail=detail)


def _withdraw(turn: Turn, starting: Starting, reason: Blocker | None) -> None:
    """Refuse late, for a reason that is nobody's fault: the parameters are set, nothing is on."""
    turn.commands.append(Reply(starting.request_id, Answer.REFUSED, blocker=reason))
    turn.state = replace(turn.state, starting=None)
    begin_stop(turn, EndReason.START_CANCELLED)


def _activate(turn: Turn, starting: Starting) -> None:
    turn.clear_error(*CLEARED_BY_A_START[turn.state.kind])
    # The lease counts from the command, not from its answer: never later than the battery's own.
    armed = starting.switched_at or turn.now
    turn.state = replace(
        turn.state,
        phase=Phase.ACTIVE,
        starting=None,
        lease=Lease(starting.lease_min, armed),
    )
    turn.commands.append(Reply(starting.request_id, Answer.STARTED, session=turn.state.session))


def guard_start(turn: Turn) -> None:
    """Give up a start whose answers do not come, or that has lost its reasons meanwhile.

    Switching on is tried again after seconds: what is refused at a request is refused there too.
    """
    starting = turn.state.starting
    switched_on = starting is not None and starting.switched_at is not None
    error, blocker = start_error(turn.state.kind), _changed_mind(turn.state)
    if starting is not None and turn.now.mono - starting.since.mono > START_DEADLINE_S:
        _fail(turn, error, "no answer")
    elif switched_on and blocker in REFUSAL_ERRORS:
        _fail(turn, error, str(blocker))


def adopt(turn: Turn, observation: Observation, decision: Decision, power_w: float) -> None:
    """Guard a discharge that somebody else started; its own timer is left alone.

    What power it was told to give is not known, so the worst case is what the inverter can.
    """
    limit = observation.settings.inverter_limit_w or ADOPTED_W
    power_w = max(power_w, limit)
    session = Session(
        id=str(uuid5(SESSION_NAMESPACE, f"adopted {turn.now.utc.isoformat()}")),
        origin=Origin.ADOPTED,
        started=turn.now.utc,
        power_w=power_w,
        cutoff_soc=decision.floor_soc,
        meter_at_start=turn.state.meter.mark,
    )
    turn.state = replace(turn.state, phase=Phase.ACTIVE, session=session, lease=None, unbidden=0)
