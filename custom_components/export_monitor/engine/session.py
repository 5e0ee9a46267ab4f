"""The session machine: (state, event) -> (state, commands), without I/O and without a clock.

The same function runs in Home Assistant, in the simulated year and in the fault campaign.
"""

from dataclasses import replace

from ..models import (
    Blocker,
    Decision,
    ErrorState,
    Kind,
    Observation,
    Origin,
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
from .charge import charged, guard_charge, guard_charge_activation
from .guard import guard, guard_activation, renewed, since
from .metering import ExportMeter, Flow
from .modes import dispatched, other_mode_on
from .period import local_day
from .power import moderated
from .rolling import followed, rolls
from .start import begin_start, continue_start, ends_at, guard_start
from .state import (
    Answered,
    Command,
    Event,
    Observed,
    Phase,
    Revised,
    StartRequested,
    State,
    StopRequested,
    Watch,
)
from .stop import begin_stop, pursue_stop
from .turn import Turn
from .unbidden import look_for_unbidden

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
            moderated(turn, event)
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
            # Without controls of a charge there is only one switch to turn off.
            known = observation.readings.charge_switch is not None
            kind = event.kind if known else Kind.DISCHARGE
            begin_stop(turn, event.reason, event.request_id, kind=kind)
            _note(turn, event.note)
        case Revised():
            _revise(turn, event)
    return turn.state, tuple(turn.commands)


def _observed(turn: Turn, observation: Observation, decision: Decision) -> None:
    charges = turn.state.kind is Kind.CHARGE
    match turn.state.phase:
        case Phase.IDLE:
            look_for_unbidden(turn, observation, decision)
        case Phase.STARTING if charges:
            guard_start(turn)
            guard_charge_activation(turn, observation)
        case Phase.STARTING:
            guard_start(turn)
            guard_activation(turn, observation, decision)
        case Phase.ACTIVE if charges:
            guard_charge(turn, observation, decision)
        case Phase.ACTIVE:
            guard(turn, observation, decision)
        case Phase.STOPPING:
            pursue_stop(turn, observation)


def _revise(turn: Turn, event: Revised) -> None:
    """Let a planned session go on to other limits; the allowance bounds it all the same."""
    session = turn.state.session
    going = turn.state.phase in (Phase.STARTING, Phase.ACTIVE)
    if session is not None and going and session.origin is Origin.AUTOMATIC:
        session = replace(session, energy_limit_kwh=event.energy_kwh, window_end=event.until)
        turn.state = replace(turn.state, session=session, ends_at=ends_at(session, turn.now))


def _note(turn: Turn, note: str | None) -> None:
    session = turn.state.session
    if note is not None and session is not None:
        turn.state = replace(turn.state, session=replace(session, note=note))


def _arming(state: State) -> bool:
    """Whether a write is under way that arms the battery's own timer anew."""
    renewing = state.lease is not None and state.lease.renewal is not None
    return renewing or state.modulation.write_id is not None


def _commanded(state: State, mono: float) -> float:
    """Return the power (W) that the battery has been told to give, until its dead-man ends it."""
    starting, lease = state.starting, state.lease
    if state.session is None or state.kind is Kind.CHARGE:
        return 0.0
    if starting is not None and starting.switched_at is None:
        return 0.0
    if lease is not None and not _arming(state) and mono >= lease.latest_end:
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
    if lease is not None and not _arming(state):
        until = min(until, lease.latest_end)
    settings = observation.settings
    flow = Flow(worst_flow(observation.readings, settings, power), measured=False)
    meter = meter.flowed(flow, until, local_day(now.utc, settings.timezone))
    return replace(meter, at=now.mono)


def _account(turn: Turn, observation: Observation) -> Decision:
    """Bring sums, decision and standing conditions up to date."""
    state, session = turn.state, turn.state.session
    meter = _looked_again(state, observation)
    meter = count_export(meter, observation, _commanded(state, turn.now.mono))
    generation = count_generation(state.generation, observation, meter.clock.stepped)
    soc = observation.readings.soc
    last_soc = soc.value if soc.usable else state.last_soc
    reserve = watts(observation.readings.reserve_soc)
    last_reserve = state.last_reserve if reserve is None else reserve
    settings = observation.settings
    day = local_day(observation.now.utc, settings.timezone)
    rolling = followed(state.rolling, state.meter.counter, meter.counter, generation, settings, day)
    decision = decide(observation, meter, generation, last_soc, last_reserve, rolling)
    if session is not None and session.origin is Origin.ADOPTED:
        given = watts(observation.readings.battery_power) or 0.0
        session = replace(session, power_w=max(session.power_w, given))
    intake = None
    if session is not None and session.kind is Kind.CHARGE:  # it exports nothing on purpose
        session, intake = charged(state, session, observation)
    elif session is not None:
        session = replace(session, exported_kwh=meter.since(session.meter_at_start))
    turn.state = replace(
        state,
        meter=meter,
        generation=generation,
        rolling=rolling,
        decision=decision,
        session=session,
        intake=intake,
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
    unnamed = state.phase is Phase.IDLE and dispatched(readings)
    if not unnamed and not other_mode_on(readings, Kind.DISCHARGE):
        turn.clear_error(ErrorState.MODE_CONFLICT)


def _lasted(since: float | None, now: float, limit_s: float) -> bool:
    return since is not None and now - since >= limit_s


def _check_contract(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Raise over-export where the counter itself is above the contract; a new period clears it."""
    state = turn.state
    period = state.meter.counter.period_start
    over = exceeded(observation, state.meter, decision)
    new = not over if rolls(observation.settings) else state.over_export_period != period
    if state.over_export_period is not None and new:
        turn.state = replace(state, over_export_period=None)
        turn.clear_error(ErrorState.OVER_EXPORT)
    if over and turn.state.over_export_period is None:  # once: it may have been acknowledged
        turn.state = replace(turn.state, over_export_period=period)
        turn.raise_error(
            ErrorState.OVER_EXPORT, f"{decision.exported:.2f} > {decision.contract:.2f} kWh"
        )
