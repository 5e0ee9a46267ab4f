"""Stopping: never blocked, followed until the battery itself has proven it."""

from dataclasses import replace
from datetime import datetime

from ..models import EndReason, ErrorState, Instant, Kind, Observation, Origin, Readings
from .accounting import watts
from .modes import other_mode_on, switch_of
from .state import (
    Answer,
    Ended,
    Evidence,
    Modulation,
    Phase,
    Reply,
    State,
    Stopping,
    WriteKind,
)
from .turn import Turn

# AlphaESS drops a trigger within 2 s of another (specification page 4), so attempts keep 3 s apart.
FIRST_WAIT_S = 3.0
NEXT_WAIT_S = 4.0
# The alarm is due 15 s after the stop was; the guard looks once a second.
ALARM_AFTER_S = 14.0
# A stop that takes 3.7 s shows in two polls of the dispatch register, 5.5 s apart with jitter: one
# report that says so already is worth the last second.
HALF_PROVEN_ALARM_S = 15.0
ALARMED_WAIT_S = 30.0
CONFLICT_WAIT_S = 8.0
DEAF_AFTER_S = 5.0
QUIET_MARGIN_W = 150.0
PROVING_REPORTS = 2
DISPATCH_SILENT_S = 10.0  # dispatch registers are polled every 5 s: two polls missed
COOLDOWN_S = 300.0
AFTERMATH_S = 300.0
STOP_ERRORS = {
    Kind.DISCHARGE: ErrorState.STOP_FAILED,
    Kind.CHARGE: ErrorState.CHARGE_STOP_FAILED,
}


def begin_stop(
    turn: Turn,
    reason: EndReason,
    request_id: str | None = None,
    error: ErrorState | None = None,
    detail: str = "",
    kind: Kind = Kind.DISCHARGE,
) -> None:
    """Begin a stop, or join the one under way; `error` and `detail` say why a start failed.

    What runs is stopped whatever `kind` says: that is for when nothing of ours does.
    """
    requests = (request_id,) if request_id is not None else ()
    state = turn.state
    if state.stopping is not None:
        turn.state = replace(
            state,
            stopping=replace(state.stopping, requests=state.stopping.requests + requests),
        )
        if state.stopping.alarmed:  # nobody waits for a proof that is late already
            _answer_unproven(turn)
        return
    starting = state.starting
    turn.state = replace(  # the raised epoch outdates whatever is being written
        state,
        phase=Phase.STOPPING,
        epoch=state.epoch + 1,
        starting=None,
        stopping=Stopping(
            reason,
            turn.now,
            kind if state.session is None else state.session.kind,
            requests=requests,
        ),
        modulation=Modulation(),
        unbidden=0,
    )
    if starting is not None:
        answer = Answer.CANCELLED if error is None else Answer.FAILED
        turn.commands.append(Reply(starting.request_id, answer, error=error, detail=detail))
    _attempt(turn, WriteKind.SWITCH_OFF)


def pursue_stop(turn: Turn, observation: Observation) -> None:
    """Look for proof; without it try again, and raise the alarm when it is late."""
    stopping = turn.state.stopping
    if stopping is None:
        return
    if turn.now.utc < stopping.since.utc:  # the clock was set back: reports carry its new time
        stopping = replace(stopping, since=Instant(turn.now.utc, stopping.since.mono))
    heard_before = stopping.evidence.heard
    kind, readings = stopping.kind, observation.readings
    evidence = gather(stopping.evidence, observation, stopping.since.utc, turn.now.mono, kind)
    switched_on = switch_of(readings, kind).on
    seen_off = stopping.seen_off or switched_on is False
    stopping = replace(stopping, evidence=evidence, seen_off=seen_off)
    turn.state = replace(turn.state, stopping=stopping)
    proof = proven(evidence, readings, turn.now.mono, kind)
    if proof is not None:
        finish(turn, proof)
        return
    waited = turn.now.mono - stopping.last_attempt
    # What is heard after the first attempt is no link that has come back.
    regained = stopping.deaf and stopping.attempts > 1 and evidence.heard != heard_before
    news = regained or (stopping.seen_off and switched_on)
    if waited >= _wait(turn.state, stopping, readings) or (news and waited >= FIRST_WAIT_S):
        _next_attempt(turn, observation, stopping)
    alarm_after = HALF_PROVEN_ALARM_S if evidence.dispatch_reports > 0 else ALARM_AFTER_S
    if turn.now.mono - stopping.since.mono >= alarm_after and not stopping.alarmed:
        _alarm(turn)


def _wait(state: State, stopping: Stopping, readings: Readings) -> float:
    if stopping.alarmed:
        return ALARMED_WAIT_S
    adopted = state.session is not None and state.session.origin is Origin.ADOPTED
    if other_mode_on(readings, stopping.kind) and stopping.attempts <= 1 and not adopted:
        return CONFLICT_WAIT_S  # the full reset would end the user's own mode too
    return FIRST_WAIT_S if stopping.attempts <= 1 else NEXT_WAIT_S


def _next_attempt(turn: Turn, observation: Observation, stopping: Stopping) -> None:
    """Try what can still have an effect: a switch that reads off stops nothing by going off."""
    if stopping.alarmed or not observation.settings.fallback_stop:
        turn.write(WriteKind.SMOTHER)  # the fallback may be what fails
    if not observation.settings.fallback_stop or (
        switch_of(observation.readings, stopping.kind).on and stopping.attempts % 2 == 0
    ):
        _attempt(turn, WriteKind.SWITCH_OFF)
    else:
        _attempt(turn, WriteKind.FALLBACK_STOP)


def _attempt(turn: Turn, kind: WriteKind) -> None:
    turn.write(kind)
    stopping = turn.state.stopping
    if stopping is not None:
        heard = stopping.evidence.heard
        turn.state = replace(
            turn.state,
            stopping=replace(
                stopping,
                attempts=stopping.attempts + 1,
                last_attempt=turn.now.mono,
                deaf=heard is None or turn.now.mono - heard > DEAF_AFTER_S,
                seen_off=False,
            ),
        )


def _alarm(turn: Turn) -> None:
    stopping = turn.state.stopping
    if stopping is None:
        return
    turn.raise_error(STOP_ERRORS[stopping.kind], stopping.reason)
    turn.state = replace(turn.state, stopping=replace(stopping, alarmed=True))
    _answer_unproven(turn)


def _answer_unproven(turn: Turn) -> None:
    stopping = turn.state.stopping
    if stopping is None:
        return
    for request_id in stopping.requests:
        error = STOP_ERRORS[stopping.kind]
        turn.commands.append(Reply(request_id, Answer.UNPROVEN, error=error))
    turn.state = replace(turn.state, stopping=replace(stopping, requests=()))


def gather(
    evidence: Evidence,
    observation: Observation,
    newer_than: datetime,
    mono: float,
    kind: Kind = Kind.DISCHARGE,
) -> Evidence:
    """Add what the battery reports, each report once, and only those newer than the command."""
    readings = observation.readings
    dispatch, power = readings.dispatch_start, readings.battery_power
    if dispatch is not None and _is_new(dispatch.reported, evidence.dispatch_at, newer_than):
        armed = dispatch.value is None or dispatch.value != 0
        count = -1 if armed else max(0, evidence.dispatch_reports) + 1
        if dispatch.usable:
            evidence = replace(
                evidence, dispatch_reports=count, dispatch_at=dispatch.reported, heard=mono
            )
    if (
        power is not None
        and power.usable
        and _is_new(power.reported, evidence.power_at, newer_than)
    ):
        count = evidence.quiet_reports + 1 if quiet(readings, kind) else 0
        paused = evidence.heard is None or mono - evidence.heard > DEAF_AFTER_S
        evidence = replace(
            evidence,
            quiet_reports=count,
            power_at=power.reported,
            heard=mono,
            listening=mono if paused or evidence.listening is None else evidence.listening,
        )
    return evidence


def _is_new(reported: datetime | None, last: datetime | None, newer_than: datetime) -> bool:
    return reported is not None and reported > newer_than and reported != last


def quiet(readings: Readings, kind: Kind = Kind.DISCHARGE) -> bool:
    """Whether the battery does no more than it does by itself, within 150 W.

    It then discharges what the house takes, or is charged with what the sun leaves over.
    """
    battery = watts(readings.battery_power) or 0.0
    if kind is Kind.CHARGE:
        return drawn(readings, -battery) <= QUIET_MARGIN_W
    return battery <= max(0.0, _needed(readings, battery)) + QUIET_MARGIN_W


def _needed(readings: Readings, battery: float) -> float:
    """Return what (W) the house asks of a battery that gives `battery`.

    Where the house's load and the grid both tell, the less of the two: a load sensor that is stuck
    must not prove a stop while the grid sees the battery's power. Sun that cannot be read is not
    none, unless it is down.
    """
    load, grid, pv = (
        watts(readings.house_load),
        watts(readings.grid_power),
        watts(readings.pv_power),
    )
    needs = [] if grid is None else [battery + grid]
    if pv is None and (readings.pv_power is None or not readings.sun_up):
        pv = 0.0
    if load is not None and pv is not None:
        needs.append(load - pv)
    return min(needs, default=0.0)


def drawn(readings: Readings, charge_w: float) -> float:
    """Return the part (W) of the battery's charge that the sun does not give."""
    load, pv, grid = (
        watts(readings.house_load),
        watts(readings.pv_power),
        watts(readings.grid_power),
    )
    if load is not None and pv is not None:
        return max(0.0, charge_w - max(0.0, pv - load))
    return max(0.0, charge_w if grid is None else min(charge_w, grid))


def tells(readings: Readings, kind: Kind = Kind.DISCHARGE) -> bool:
    """Whether the battery's power can tell a dispatch from what the battery does by itself."""
    balanced = readings.house_load is not None
    if kind is Kind.CHARGE:  # without a word of the sun, what it gives looks like a charge
        balanced = balanced and readings.pv_power is not None
    return readings.battery_power is not None and (balanced or readings.grid_power is not None)


def proven(
    evidence: Evidence, readings: Readings, mono: float, kind: Kind = Kind.DISCHARGE
) -> str | None:
    """Return what proves the stop, None while nothing does.

    An armed dispatch outweighs a quiet battery: a house that draws as much as the dispatch would
    hide it. A switch that still reads on could arm the battery again. Another mode that is on arms
    the same register, which then says nothing about ours.
    """
    switched_on = switch_of(readings, kind).on
    if switched_on:
        return None
    quiet_battery = evidence.quiet_reports >= PROVING_REPORTS
    if readings.dispatch_start is not None and not other_mode_on(readings, kind):
        if evidence.dispatch_reports >= PROVING_REPORTS or (
            evidence.dispatch_reports > 0 and quiet_battery
        ):
            return "dispatch"
        return "battery_power" if quiet_battery and _dispatch_gone(evidence, mono) else None
    if tells(readings, kind):
        return "battery_power" if quiet_battery else None
    return "switch" if switched_on is False and not _flows(readings, kind) else None


def _flows(readings: Readings, kind: Kind) -> bool:
    """Whether the grid gives more than the house takes, or gets more than the sun can give."""
    grid, pv, load = (
        watts(readings.grid_power),
        watts(readings.pv_power),
        watts(readings.house_load),
    )
    if kind is Kind.CHARGE:
        return grid is not None and load is not None and grid > load + QUIET_MARGIN_W
    return grid is not None and pv is not None and -grid > pv + QUIET_MARGIN_W


def _dispatch_gone(evidence: Evidence, mono: float) -> bool:
    """Whether the dispatch read-back says nothing while the battery's power is heard.

    After a lost link the power is polled again before the dispatch, so the silence counts only
    from then on.
    """
    return (
        evidence.dispatch_at is None
        and evidence.listening is not None
        and mono - evidence.listening >= DISPATCH_SILENT_S
    )


def finish(turn: Turn, proof: str) -> None:
    """Close the session: its end is proven."""
    state, stopping = turn.state, turn.state.stopping
    if stopping is None:
        return
    turn.clear_error(*STOP_ERRORS.values())
    session = state.session
    if session is not None:
        session = replace(session, ended=turn.now.utc, reason=stopping.reason, proof=proof)
        turn.commands.append(Ended(session))
    turn.state = replace(
        turn.state,
        phase=Phase.IDLE,
        session=None,
        intake=None,
        ends_at=None,
        last=session or state.last,
        lease=None,
        stopping=None,
        watch=replace(state.watch, blind=None, lagging=None, disarmed=None, switched=False),
        cooldown_until=turn.now.mono + COOLDOWN_S,
        aftermath_until=turn.now.mono + AFTERMATH_S,
        aftermath_of=stopping.kind,
        cut_start=session is not None and not state.watch.switched,
        unbidden=0,
    )
    for request_id in stopping.requests:
        turn.commands.append(Reply(request_id, Answer.STOPPED, session=session, proof=proof))
