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
    Observation,
    Origin,
    Readings,
    Session,
)
from .accounting import worst_flow
from .headroom import duration_minutes
from .state import (
    Answer,
    Answered,
    Lease,
    Phase,
    Reply,
    Starting,
    StartRequested,
    State,
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
    }
)
CLEARED_BY_A_START = (*WRITE_ERRORS.values(), ErrorState.BATTERY_NOT_RESPONDING)


def blocker_of(state: State, readings: Readings, decision: Decision) -> Blocker | None:
    """Return the first reason against a start, the session's own state included."""
    if decision.blocker is not None:
        return decision.blocker
    if state.phase is Phase.STOPPING:
        return Blocker.STOP_IN_PROGRESS
    if state.phase is not Phase.IDLE or readings.switch.on:
        return Blocker.ALREADY_RUNNING
    return None


def begin_start(turn: Turn, event: StartRequested, decision: Decision) -> None:
    """Refuse with the first reason, or begin the writes."""
    observation, state = event.observation, turn.state
    power = min(w for w in (decision.power_w, event.power_w) if w is not None)
    refusal = blocker_of(state, observation.readings, decision)
    if refusal is None and power <= 0:
        refusal = Blocker.TARGET_ZERO
    if refusal is not None:
        error = REFUSAL_ERRORS.get(refusal)
        if error is not None:
            turn.raise_error(error, refusal, again=True)
        turn.commands.append(Reply(event.request_id, Answer.REFUSED, blocker=refusal, error=error))
        return
    minutes = lease_minutes(observation, decision, power)
    planned = (
        None if event.duration_min is None else turn.now.utc + timedelta(minutes=event.duration_min)
    )
    session = Session(
        id=str(uuid5(SESSION_NAMESPACE, f"{event.request_id} {turn.now.utc.isoformat()}")),
        origin=event.origin,
        started=turn.now.utc,
        power_w=power,
        cutoff_soc=decision.floor_soc,
        meter_at_start=state.meter.mark,
        energy_limit_kwh=event.energy_kwh,
        planned_end=planned,
    )
    todo = (
        (WriteKind.CUTOFF, decision.floor_soc),
        (WriteKind.DURATION, minutes),
        (WriteKind.SWITCH_ON, 0.0),
    )
    minutes_asked = event.duration_min
    turn.state = replace(
        state,
        phase=Phase.STARTING,
        session=session,
        stopping=None,
        unbidden=0,
        ends_at=None if minutes_asked is None else turn.now.mono + minutes_asked * 60,
    )
    number = turn.write(WriteKind.POWER, power)
    turn.state = replace(
        turn.state,
        starting=Starting(event.request_id, turn.now, todo, number, minutes),
    )


def lease_minutes(observation: Observation, decision: Decision, power_w: float) -> float:
    """Return the dead-man time (min): what the worst case leaves, in the battery's own steps."""
    settings = observation.settings
    worst = worst_flow(observation.readings, settings, power_w)
    minutes = min(settings.hardware_lease_min, duration_minutes(decision.headroom, worst))
    step = settings.duration_step_min
    return max(step, floor(minutes / step) * step)


def continue_start(turn: Turn, event: Answered) -> None:
    """Take the answer to the write that is waited for and go on, or stop."""
    starting = turn.state.starting
    if starting is None or event.write.id != starting.awaiting:
        return
    if not event.ok:
        _fail(turn, WRITE_ERRORS[event.write.kind], event.detail)
        return
    if not starting.todo:
        _activate(turn, starting)
        return
    (kind, value), *rest = starting.todo
    decision = turn.state.decision
    if kind is WriteKind.SWITCH_ON and (decision is None or decision.blocker is not None):
        # The world has changed since the request: activation is the last chance to say no.
        reason = Blocker.NO_DATA if decision is None else decision.blocker
        if reason in PASSING:
            _withdraw(turn, starting, reason)
        else:
            _fail(turn, ErrorState.START_FAILED, str(reason))
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


def _fail(turn: Turn, error: ErrorState, detail: str) -> None:
    turn.raise_error(error, detail, again=True)
    begin_stop(turn, EndReason.START_FAILED, error=error, detail=detail)


def _withdraw(turn: Turn, starting: Starting, reason: Blocker | None) -> None:
    """Refuse late, for a reason that is nobody's fault: the parameters are set, nothing is on."""
    turn.commands.append(Reply(starting.request_id, Answer.REFUSED, blocker=reason))
    turn.state = replace(turn.state, starting=None)
    begin_stop(turn, EndReason.START_CANCELLED)


def _activate(turn: Turn, starting: Starting) -> None:
    turn.clear_error(*CLEARED_BY_A_START)
    # The lease counts from the command, not from its answer: never later than the battery's own.
    armed = starting.switched_at or turn.now
    turn.state = replace(
        turn.state,
        phase=Phase.ACTIVE,
        starting=None,
        lease=Lease(starting.lease_min, armed),
    )
    turn.commands.append(Reply(starting.request_id, Answer.STARTED, session=turn.state.session))


def guard_start(turn: Turn, decision: Decision) -> None:
    """Give up a start whose answers do not come, or that has lost its reasons meanwhile.

    Switching on is tried again after seconds: what is refused at a request is refused there too.
    """
    starting = turn.state.starting
    switched_on = starting is not None and starting.switched_at is not None
    if starting is not None and turn.now.mono - starting.since.mono > START_DEADLINE_S:
        _fail(turn, ErrorState.START_FAILED, "no answer")
    elif switched_on and decision.blocker in REFUSAL_ERRORS:
        _fail(turn, ErrorState.START_FAILED, str(decision.blocker))


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
