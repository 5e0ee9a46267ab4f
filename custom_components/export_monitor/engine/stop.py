"""Stopping: never blocked, followed until the battery itself has proven it."""

from dataclasses import replace
from datetime import datetime

from ..models import EndReason, ErrorState, Instant, Observation, Readings
from .accounting import watts
from .state import Answer, Ended, Evidence, Phase, Reply, Stopping, WriteKind
from .turn import Turn

# AlphaESS drops a trigger within 2 s of another (specification page 4), so attempts keep 3 s apart.
FIRST_WAIT_S = 3.0
NEXT_WAIT_S = 4.0
# The alarm is due 15 s after the stop was; the guard looks once a second.
ALARM_AFTER_S = 14.0
ALARMED_WAIT_S = 30.0
CONFLICT_WAIT_S = 8.0
DEAF_AFTER_S = 5.0
QUIET_MARGIN_W = 150.0
PROVING_REPORTS = 2
DISPATCH_SILENT_S = 10.0  # dispatch registers are polled every 5 s: two polls missed
COOLDOWN_S = 300.0
AFTERMATH_S = 300.0


def begin_stop(
    turn: Turn,
    reason: EndReason,
    request_id: str | None = None,
    error: ErrorState | None = None,
    detail: str = "",
) -> None:
    """Begin a stop, or join the one under way; `error` and `detail` say why a start failed."""
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
        stopping=Stopping(reason, turn.now, requests=requests),
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
    evidence = gather(stopping.evidence, observation, stopping.since.utc, turn.now.mono)
    stopping = replace(stopping, evidence=evidence)
    turn.state = replace(turn.state, stopping=stopping)
    proof = proven(evidence, observation.readings, turn.now.mono)
    if proof is not None:
        finish(turn, proof)
        return
    waited = turn.now.mono - stopping.last_attempt
    # What is heard after the first attempt is no link that has come back.
    regained = stopping.deaf and stopping.attempts > 1 and evidence.heard != heard_before
    if waited >= _wait(stopping, observation.readings) or (regained and waited >= FIRST_WAIT_S):
        _next_attempt(turn, observation, stopping)
    if turn.now.mono - stopping.since.mono >= ALARM_AFTER_S and not stopping.alarmed:
        _alarm(turn)


def _wait(stopping: Stopping, readings: Readings) -> float:
    if stopping.alarmed:
        return ALARMED_WAIT_S
    if readings.conflicts and stopping.attempts <= 1:
        return CONFLICT_WAIT_S  # the full reset would end the user's own mode too
    return FIRST_WAIT_S if stopping.attempts <= 1 else NEXT_WAIT_S


def _next_attempt(turn: Turn, observation: Observation, stopping: Stopping) -> None:
    """Try what can still have an effect: a switch that reads off stops nothing by going off."""
    if stopping.alarmed or not observation.settings.fallback_stop:
        turn.write(WriteKind.SMOTHER)  # the fallback may be what fails
    if not observation.settings.fallback_stop or (
        observation.readings.switch.on and stopping.attempts % 2 == 0
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
            ),
        )


def _alarm(turn: Turn) -> None:
    stopping = turn.state.stopping
    if stopping is None:
        return
    turn.raise_error(ErrorState.STOP_FAILED, stopping.reason)
    turn.state = replace(turn.state, stopping=replace(stopping, alarmed=True))
    _answer_unproven(turn)


def _answer_unproven(turn: Turn) -> None:
    stopping = turn.state.stopping
    if stopping is None:
        return
    for request_id in stopping.requests:
        turn.commands.append(Reply(request_id, Answer.UNPROVEN, error=ErrorState.STOP_FAILED))
    turn.state = replace(turn.state, stopping=replace(stopping, requests=()))


def gather(
    evidence: Evidence, observation: Observation, newer_than: datetime, mono: float
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
        count = evidence.quiet_reports + 1 if quiet(readings) else 0
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


def quiet(readings: Readings) -> bool:
    """Whether the battery discharges no more than the house takes, within 150 W."""
    battery = watts(readings.battery_power) or 0.0
    load, pv = watts(readings.house_load), watts(readings.pv_power) or 0.0
    if load is not None:
        need = load - pv
    else:
        grid = watts(readings.grid_power)
        need = battery + grid if grid is not None else 0.0
    return battery <= max(0.0, need) + QUIET_MARGIN_W


def tells(readings: Readings) -> bool:
    """Whether the battery's power can tell a dispatch from a battery that feeds the house."""
    return readings.battery_power is not None and (
        readings.house_load is not None or readings.grid_power is not None
    )


def proven(evidence: Evidence, readings: Readings, mono: float) -> str | None:
    """Return what proves the stop, None while nothing does.

    An armed dispatch outweighs a quiet battery: a house that draws as much as the dispatch would
    hide it. A switch that still reads on could arm the battery again. Another mode that is on arms
    the same register, which then says nothing about ours.
    """
    if readings.switch.on:
        return None
    quiet_battery = evidence.quiet_reports >= PROVING_REPORTS
    if readings.dispatch_start is not None and not readings.conflicts:
        if evidence.dispatch_reports >= PROVING_REPORTS or (
            evidence.dispatch_reports > 0 and quiet_battery
        ):
            return "dispatch"
        return "battery_power" if quiet_battery and _dispatch_gone(evidence, mono) else None
    if tells(readings):
        return "battery_power" if quiet_battery else None
    return "switch" if readings.switch.on is False and not _flows_out(readings) else None


def _flows_out(readings: Readings) -> bool:
    """Whether more flows into the grid than the sun can give: the battery's, then."""
    grid, pv = watts(readings.grid_power), watts(readings.pv_power)
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
    turn.clear_error(ErrorState.STOP_FAILED)
    session = state.session
    if session is not None:
        session = replace(session, ended=turn.now.utc, reason=stopping.reason, proof=proof)
        turn.commands.append(Ended(session))
    turn.state = replace(
        turn.state,
        phase=Phase.IDLE,
        session=None,
        ends_at=None,
        last=session or state.last,
        lease=None,
        stopping=None,
        watch=replace(state.watch, blind=None, lagging=None, disarmed=None, switched=False),
        cooldown_until=turn.now.mono + COOLDOWN_S,
        aftermath_until=turn.now.mono + AFTERMATH_S,
        unbidden=0,
    )
    for request_id in stopping.requests:
        turn.commands.append(Reply(request_id, Answer.STOPPED, session=session, proof=proof))
