"""Guarding a charge: every reason to end it, and what it has taken from the grid."""

from dataclasses import replace

from ..models import Decision, EndReason, Observation, Reading, Readings, Session
from .accounting import SILENT_S, silent, watts
from .counter import JOULES_PER_KWH
from .guard import (
    CUTOFF_BAND,
    DISARMED_AFTER_S,
    FOLLOW_AFTER_S,
    FOLLOW_SHARE,
    STOP_FLOW_S,
    end_or_renew,
    not_responding,
    time_is_up,
    watch,
)
from .state import Intake, State
from .stop import QUIET_MARGIN_W, begin_stop, drawn
from .turn import Turn

# Lithium batteries are charged ever more slowly from here on, and some are full before 100 %.
TAPER_SOC = 95.0


def charged(
    state: State, session: Session, observation: Observation
) -> tuple[Session, Intake | None]:
    """Return the session with what it has taken from the grid, and what it takes now.

    PV that goes into the battery is not bought. What cannot be seen is taken for full power.
    """
    starting, now = state.starting, observation.now.mono
    if starting is not None and starting.switched_at is None:
        return session, None
    readings = _heard(observation)
    battery = watts(readings.battery_power)
    power = drawn(readings, session.power_w if battery is None else -battery)
    before, until = state.intake, now
    if before is None:
        return session, Intake(now, power)
    flow = (before.grid_w + power) / 2
    if now - before.at > SILENT_S:  # nobody looked: as much as the battery's own timer let it
        flow = max(before.grid_w, power, session.power_w)
        until = now if state.lease is None else min(now, state.lease.expires_at)
    energy = flow * max(0.0, until - before.at) / JOULES_PER_KWH
    return replace(session, charged_kwh=session.charged_kwh + energy), Intake(now, power)


def _heard(observation: Observation) -> Readings:
    """Return the readings without the powers that have said nothing for too long."""
    readings, now = observation.readings, observation.now

    def heard(reading: Reading | None) -> Reading | None:
        return None if silent(reading, now) else reading

    return replace(
        readings,
        grid_power=heard(readings.grid_power),
        battery_power=heard(readings.battery_power),
        house_load=heard(readings.house_load),
        pv_power=heard(readings.pv_power),
    )


def guard_charge(turn: Turn, observation: Observation, decision: Decision) -> None:
    """End the charge for the first reason that holds; else renew its lease when it is due."""
    watch(turn, observation, is_blind=False, lags=_lags(turn, observation))
    session = turn.state.session
    if session is None:
        return
    reason = (
        _external(observation, session)
        or _enough(turn, observation, session)
        or time_is_up(turn, observation, session)
        or _following(turn, observation, session)
    )
    if reason is EndReason.BATTERY_NOT_FOLLOWING:
        battery = watts(observation.readings.battery_power)
        not_responding(turn, session, None if battery is None else -battery)
    end_or_renew(turn, observation, decision, reason)


def guard_charge_activation(turn: Turn, observation: Observation) -> None:
    """Guard a charge from the moment it is switched on: the answer to that may be late."""
    starting, session = turn.state.starting, turn.state.session
    if starting is None or starting.switched_at is None or session is None:
        return
    reason = _enough(turn, observation, session)
    if reason is not None:
        begin_stop(turn, reason)


def _external(observation: Observation, session: Session) -> EndReason | None:
    """Somebody switched it off, took its switch away, or wants to discharge: never both."""
    switch = observation.readings.charge_switch
    if observation.readings.switch.on:
        return EndReason.EXTERNAL
    if switch is not None and switch.on is not False:
        return None
    return EndReason.FULL if _at_target(observation, session) else EndReason.EXTERNAL


def _at_target(observation: Observation, session: Session, band: float = CUTOFF_BAND) -> bool:
    soc = observation.readings.soc
    return soc.usable and soc.value is not None and soc.value >= session.cutoff_soc - band


def _enough(turn: Turn, observation: Observation, session: Session) -> EndReason | None:
    if _at_target(observation, session, band=0.0):
        return EndReason.FULL
    limit, intake = session.energy_limit_kwh, turn.state.intake
    flow = session.power_w if intake is None else intake.grid_w
    during_stop = flow * STOP_FLOW_S / JOULES_PER_KWH
    if limit is not None and session.charged_kwh + during_stop >= limit:
        return EndReason.TARGET_REACHED
    return None


def _following(turn: Turn, observation: Observation, session: Session) -> EndReason | None:
    """A battery that rests at its target, or takes no more while nearly full, is done."""
    state, now = turn.state, turn.now.mono
    since_lagging, since_disarmed = state.watch.lagging, state.watch.disarmed
    lagging = since_lagging is not None and now - since_lagging >= FOLLOW_AFTER_S
    disarmed = since_disarmed is not None and now - since_disarmed >= DISARMED_AFTER_S
    if not (lagging or disarmed):
        return None
    full = _at_target(observation, session) or (lagging and _tapers(state))
    return EndReason.FULL if full else EndReason.BATTERY_NOT_FOLLOWING


def _tapers(state: State) -> bool:
    return state.last_soc is not None and state.last_soc >= TAPER_SOC


def _lags(turn: Turn, observation: Observation) -> bool:
    """Whether the battery takes less than half of what was asked; nearly full, nothing at all."""
    session, battery = turn.state.session, watts(observation.readings.battery_power)
    if session is None or battery is None:
        return False
    least = FOLLOW_SHARE * session.power_w
    return -battery < (min(least, QUIET_MARGIN_W) if _tapers(turn.state) else least)
