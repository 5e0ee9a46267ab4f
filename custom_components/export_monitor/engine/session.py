"""The session machine: (state, event) -> (state, commands), without I/O and without a clock.

The same function runs in Home Assistant, in the simulated year and in the fault campaign.
"""

from dataclasses import replace

from ..models import (
    Blocker,
    Decision,
    EndReason,
    ErrorState,
    Observation,
    Origin,
    Readings,
)
from .accounting import (
    SILENT_S,
    count_export,
    count_generation,
    decide,
    exceeded,
    watts,
    worst_flow,
)
from .guard import guard, guard_activation, renewed, since
from .metering import ExportMeter, Flow
from .period import local_day
from .start import adopt, begin_start, continue_start, guard_start
from .state import (
    Answered,
    Command,
    Event,
    Observed,
    Phase,
    StartRequested,
    State,
    StopRequested,
    Watch,
)
from .stop import AFTERMATH_S, QUIET_MARGIN_W, begin_stop, pursue_stop, quiet, tells
from .turn import Turn

LATE_SWITCH_S = 15.0
UNBIDDEN_DISPATCH_REPORTS = 2
UNBIDDEN_POWER_REPORTS = 5
STALE_ALARM_S = 300.0
NO_DATA_ALARM_S = 120.0
ALL_WELL = Watch(ever_complete=True)


def step(state: State, event: Event) -> tuple[State, tuple[Command, ...]]:
    """Return the state after the event, and what is asked of the world."""
    if isinstance(event, Answered):
        turn = Turn(state, event.now)
        if event.write.epoch == state.epoch:  # a stop has outdated every older write
            continue_start(turn, event)
            renewed(turn, event)
        return turn.state, tuple(turn.commands)
    observation = event.observation
    turn = Turn(state, observation.now)
    decision = _account(turn, observation)
    match event:
        case Observed():
            _observed(turn, observation, decision)
        case StartRequested():
            begin_start(turn, event, decision)
        case StopRequested():
            begin_stop(turn, event.reason, event.request_id)
            _note(turn, event.note)
    return turn.state, tuple(turn.commands)


def _observed(turn: Turn, observation: Observation, decision: Decision) -> None:
    match turn.state.phase:
        case Phase.IDLE:
            _look_for_unbidden(turn, observation, decision)
        case Phase.STARTING:
            guard_start(turn, decision)
            guard_activation(turn, observation, decision)
        case Phase.ACTIVE:
            guard(turn, observation, decision)
        case Phase.STOPPING:
            pursue_stop(turn, observation)


def _note(turn: Turn, note: str | None) -> None:
    session = turn.state.session
    if note is not None and session is not None:
        turn.state = replace(turn.state, session=replace(session, note=note))


def _commanded(state: State, mono: float) -> float:
    """Return the power (W) that the battery has been told to give, until its dead-man ends it."""
    starting, lease = state.starting, state.lease
    if state.session is None or (starting is not None and starting.switched_at is None):
        return 0.0
    if lease is not None and lease.renewal is None and mono >= lease.expires_at:
        return 0.0
    return state.session.power_w


def _looked_again(state: State, observation: Observation) -> ExportMeter:
    """Return the meter after a time in which nobody looked: the worst case while a lease ran.

    When Home Assistant has stood still, what is measured at both ends says nothing of between.
    """
    meter, lease, now = state.meter, state.lease, observation.now
    if meter.at is None or now.mono - meter.at <= SILENT_S:
        return meter
    power = _commanded(state, meter.at)
    if power <= 0:
        return meter
    until = now.mono
    if lease is not None and lease.renewal is None:
        until = min(until, lease.expires_at)
    settings = observation.settings
    flow = Flow(worst_flow(observation.readings, settings, power), measured=False)
    meter = meter.flowed(flow, until, local_day(now.utc, settings.timezone))
    return replace(meter, at=now.mono)


def _account(turn: Turn, observation: Observation) -> Decision:
    """Bring sums, decision and standing conditions up to date."""
    state, session = turn.state, turn.state.session
    meter = _looked_again(state, observation)
    meter = count_export(meter, observation, _commanded(state, turn.now.mono))
    generation = count_generation(state.generation, observation)
    soc = observation.readings.soc
    last_soc = soc.value if soc.usable else state.last_soc
    reserve = watts(observation.readings.reserve_soc)
    last_reserve = state.last_reserve if reserve is None else reserve
    decision = decide(observation, meter, generation, last_soc, last_reserve)
    if session is not None and session.origin is Origin.ADOPTED:
        given = watts(observation.readings.battery_power) or 0.0
        session = replace(session, power_w=max(session.power_w, given))
    if session is not None:
        session = replace(session, exported_kwh=meter.since(session.meter_at_start))
    turn.state = replace(
        state,
        meter=meter,
        generation=generation,
        decision=decision,
        session=session,
        last_soc=last_soc,
        last_reserve=last_reserve,
    )
    _conditions(turn, observation, decision)
    _check_contract(turn, observation, decision)
    return decision


def _conditions(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Raise what has lasted too long, clear what is over."""
    state, now = turn.state, turn.now.mono
    watch, readings = state.watch, observation.readings
    fault = decision.fault
    stale = fault is Blocker.STALE_DATA or observation.data_stale
    complete = fault in (None, Blocker.COUNTER_NOT_SEEN, Blocker.COUNTER_UNKNOWN)
    if not complete or stale or watch != ALL_WELL:
        watch = replace(
            watch,
            stale=since(watch.stale, now, holds=stale),
            incomplete=since(watch.incomplete, now, holds=not complete),
            ever_complete=watch.ever_complete or complete,
            soc_lost=None if readings.soc.usable else watch.soc_lost,
        )
        turn.state = replace(turn.state, watch=watch)
    if complete:
        turn.clear_error(ErrorState.NO_DATA)
    if not stale:
        turn.clear_error(ErrorState.STALE_DATA)
    if not watch.ever_complete and _lasted(watch.incomplete, now, NO_DATA_ALARM_S):
        turn.raise_error(ErrorState.NO_DATA)
    if _lasted(watch.stale, now, STALE_ALARM_S):
        turn.raise_error(ErrorState.STALE_DATA)
    if readings.soc.usable:
        turn.clear_error(ErrorState.SOC_READ_FAILED)
    if not readings.conflicts:
        turn.clear_error(ErrorState.MODE_CONFLICT)


def _lasted(since: float | None, now: float, limit_s: float) -> bool:
    return since is not None and now - since >= limit_s


def _check_contract(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Raise over-export where the counter itself is above the contract; a new period clears it."""
    state = turn.state
    period = state.meter.counter.period_start
    if state.over_export_period is not None and state.over_export_period != period:
        turn.state = replace(state, over_export_period=None)
        turn.clear_error(ErrorState.OVER_EXPORT)
    if exceeded(observation, state.meter, decision):
        turn.state = replace(turn.state, over_export_period=period)
        turn.raise_error(
            ErrorState.OVER_EXPORT, f"{decision.exported:.2f} > {decision.contract:.2f} kWh"
        )


def _look_for_unbidden(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Deal with a discharge that nobody here asked for.

    Soon after a stop it is the late effect of what was stopped, and is stopped again; otherwise
    it is somebody's own, and is guarded.
    """
    state, readings, now = turn.state, observation.readings, turn.now.mono
    since_end = now - (state.aftermath_until - AFTERMATH_S)
    power = max(0.0, watts(readings.battery_power) or 0.0)
    if readings.switch.on:
        if state.aftermath_until > 0 and since_end < LATE_SWITCH_S:
            begin_stop(turn, EndReason.START_CANCELLED)
        else:
            adopt(turn, observation, decision, power)
            turn.state = replace(turn.state, watch=replace(turn.state.watch, switched=True))
        return
    _count_unbidden(turn, observation)
    armed = readings.dispatch_start is not None
    needed = UNBIDDEN_DISPATCH_REPORTS if armed else UNBIDDEN_POWER_REPORTS
    if turn.state.unbidden < needed:
        return
    if now < state.aftermath_until:
        begin_stop(turn, state.last.reason if state.last and state.last.reason else EndReason.USER)
    elif armed:
        adopt(turn, observation, decision, power)


def _charges(readings: Readings) -> bool:
    return (watts(readings.battery_power) or 0.0) < -QUIET_MARGIN_W


def _count_unbidden(turn: Turn, observation: Observation) -> None:
    readings = observation.readings
    dispatch = readings.dispatch_start
    if dispatch is not None:
        reported = dispatch.reported
        running = dispatch.usable and dispatch.value != 0
        # A house that draws as much hides a dispatch; soon after a stop that may be ours.
        ours = turn.now.mono < turn.state.aftermath_until and not _charges(readings)
        running = running and (ours or not (tells(readings) and quiet(readings)))
    else:
        battery = readings.battery_power
        reported = battery.reported if battery is not None else None
        running = tells(readings) and battery is not None and battery.usable
        running = running and not quiet(readings)
    if readings.conflicts or not running:
        if turn.state.unbidden:
            turn.state = replace(turn.state, unbidden=0, unbidden_at=None)
    elif reported != turn.state.unbidden_at:
        turn.state = replace(turn.state, unbidden=turn.state.unbidden + 1, unbidden_at=reported)
