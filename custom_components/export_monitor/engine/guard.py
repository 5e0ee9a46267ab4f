"""Guarding a running session: every reason to end it, and the renewal of its lease."""

from dataclasses import replace

from ..models import Decision, EndReason, ErrorState, Kind, Observation, Origin, Session
from .accounting import blind, exceeded, watts, worst_flow
from .counter import JOULES_PER_KWH
from .headroom import duration_minutes
from .modes import switch_of
from .power import moderate, told_at_least
from .start import lease_minutes, write_error
from .state import Answered, Lease
from .stop import QUIET_MARGIN_W, begin_stop, quiet, tells
from .turn import Turn

# Off to reset was measured at up to 3.2 s on the AlphaESS package, and a poll of the grid may be
# more than a second late by then (specification page 4).
STOP_FLOW_S = 4.5
FOLLOW_SHARE = 0.5
FOLLOW_AFTER_S = 60.0
DISARMED_AFTER_S = 15.0
CUTOFF_BAND = 1.0
CLIPPING_SHARE = 0.9
SOC_LOST_AFTER_S = 15.0
LAST_RENEWAL_S = 60.0  # time for three attempts, with their pauses


def guard(turn: Turn, observation: Observation, decision: Decision) -> None:
    """End the session for the first reason that holds; else renew its lease when it is due."""
    is_blind = blind(turn.state.meter, observation.readings, observation.settings)
    watch(turn, observation, is_blind=is_blind, lags=_lags(turn, observation))
    session = turn.state.session
    if session is None:
        return
    reason = (
        _external(turn, observation, session)
        or _floor(observation, decision)
        or _allowance(turn, observation, session, decision)
        or time_is_up(turn, observation, session)
        or _following(turn, observation, session)
    )
    if reason is EndReason.BATTERY_NOT_FOLLOWING:
        not_responding(turn, session, watts(observation.readings.battery_power))
    end_or_renew(turn, observation, decision, reason)


def not_responding(turn: Turn, session: Session, given_w: float | None) -> None:
    """Raise that the battery does not do as told."""
    shown = "?" if given_w is None else f"{given_w:.0f}"
    detail = f"{shown} W of {session.power_w:.0f} W"
    turn.raise_error(ErrorState.BATTERY_NOT_RESPONDING, detail)


def end_or_renew(
    turn: Turn, observation: Observation, decision: Decision, reason: EndReason | None
) -> None:
    """End the session where there is a reason; else renew its lease while the guard sees."""
    if reason is not None:
        begin_stop(turn, reason)
    elif turn.state.watch.blind is None:
        _renew(turn, observation, decision)
    if reason is None:
        moderate(turn, observation, decision)


def guard_activation(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Guard a discharge from the moment it is switched on: the answer to that may be late."""
    starting, session = turn.state.starting, turn.state.session
    if starting is None or starting.switched_at is None or session is None:
        return
    reason = _floor(observation, decision) or _allowance(turn, observation, session, decision)
    if reason is not None:
        begin_stop(turn, reason)


def _external(turn: Turn, observation: Observation, session: Session) -> EndReason | None:
    """Somebody or something else switched it off; the battery's own cutoff counts as the floor."""
    readings = observation.readings
    if readings.switch.on and readings.charge_switch is not None and readings.charge_switch.on:
        return EndReason.EXTERNAL  # somebody charges: never both at once
    if readings.switch.on is not False:
        return None
    dispatch = readings.dispatch_start
    if session.origin is Origin.ADOPTED and not turn.state.watch.switched and dispatch is not None:
        # Adopted by its dispatch: the switch has no part in it, so its being off says nothing.
        return EndReason.EXTERNAL if dispatch.usable and dispatch.value == 0 else None
    return EndReason.SOC_FLOOR if _at_cutoff(observation, session) else EndReason.EXTERNAL


def _at_cutoff(observation: Observation, session: Session) -> bool:
    soc = observation.readings.soc
    return soc.usable and soc.value is not None and soc.value <= session.cutoff_soc + CUTOFF_BAND


def _floor(observation: Observation, decision: Decision) -> EndReason | None:
    soc = observation.readings.soc
    if not soc.usable or soc.value is None or soc.value > decision.floor_soc:
        return None
    at_reserve = decision.floor_soc > observation.settings.min_soc
    return EndReason.RESERVE_SOC if at_reserve else EndReason.SOC_FLOOR


def _allowance(
    turn: Turn, observation: Observation, session: Session, decision: Decision
) -> EndReason | None:
    meter = turn.state.meter
    flow = meter.flow.export_w if meter.flow is not None else session.power_w
    during_stop = flow * STOP_FLOW_S / JOULES_PER_KWH
    if exceeded(observation, meter, decision):
        return EndReason.OVER_EXPORT
    if decision.export_left <= during_stop:
        return EndReason.HEADROOM_USED_UP
    limit = session.energy_limit_kwh
    if limit is not None and session.exported_kwh + during_stop >= limit:
        return EndReason.TARGET_REACHED
    return None


def time_is_up(turn: Turn, observation: Observation, session: Session) -> EndReason | None:
    """End what has lasted as long as it was to, or as long as anybody could answer for."""
    state = turn.state
    limit = observation.settings.blind_limit_min * 60
    if state.watch.blind is not None and turn.now.mono - state.watch.blind >= limit:
        return EndReason.BLIND_LIMIT
    last = session.last_moment
    # No clock set back makes it longer.
    late = state.ends_at is not None and turn.now.mono >= state.ends_at
    if late or (last is not None and turn.now.utc >= last):
        of_window = session.window_end is not None and last == session.window_end
        return EndReason.WINDOW_END if of_window else EndReason.PLANNED_END
    if state.lease is not None and turn.now.mono >= state.lease.expires_at:
        # Blind, it was not renewed on purpose.
        blind_now = state.watch.blind is not None and state.lease.renewal is None
        return EndReason.BLIND_LIMIT if blind_now else EndReason.RENEWAL_FAILED
    return None


def _following(turn: Turn, observation: Observation, session: Session) -> EndReason | None:
    """A battery that holds at its own cutoff, which its steps may put above the floor, is done."""
    watch, now = turn.state.watch, turn.now.mono
    lagging = watch.lagging is not None and now - watch.lagging >= FOLLOW_AFTER_S
    disarmed = watch.disarmed is not None and now - watch.disarmed >= DISARMED_AFTER_S
    if not (lagging or disarmed):
        return None
    return (
        EndReason.SOC_FLOOR if _at_cutoff(observation, session) else EndReason.BATTERY_NOT_FOLLOWING
    )


def since(before: float | None, now: float, *, holds: bool) -> float | None:
    """Return since when a condition has held, None while it does not."""
    if not holds:
        return None
    return now if before is None else before


def watch(turn: Turn, observation: Observation, *, is_blind: bool, lags: bool) -> None:
    """Note since when the guard is blind and since when the battery does not follow."""
    state, now, readings = turn.state, turn.now.mono, observation.readings
    before = state.watch
    is_blind = is_blind or not readings.soc.usable
    dispatch = readings.dispatch_start
    disarmed = dispatch is not None and dispatch.usable and dispatch.value == 0
    soc_lost = since(before.soc_lost, now, holds=not readings.soc.usable)
    turn.state = replace(
        state,
        watch=replace(
            before,
            blind=since(before.blind, now, holds=is_blind),
            soc_lost=soc_lost,
            lagging=since(before.lagging, now, holds=lags),
            disarmed=since(before.disarmed, now, holds=disarmed),
            switched=before.switched or switch_of(readings, state.kind).on is True,
        ),
    )
    if soc_lost is not None and now - soc_lost >= SOC_LOST_AFTER_S:
        turn.raise_error(ErrorState.SOC_READ_FAILED, readings.soc.problem or "")


def _lags(turn: Turn, observation: Observation) -> bool:
    """Whether the battery gives less than half of what was asked, without a good reason."""
    session, readings = turn.state.session, observation.readings
    battery = watts(readings.battery_power)
    if session is None or session.origin is Origin.ADOPTED or battery is None:
        return False  # what somebody else has asked for is not known
    told = told_at_least(turn, session)
    if battery >= FOLLOW_SHARE * told or told - battery <= QUIET_MARGIN_W:
        return False
    limit = observation.settings.inverter_limit_w
    if limit > 0:
        return battery + (watts(readings.pv_power) or 0.0) < CLIPPING_SHARE * limit
    # Of an inverter of unknown limit it is enough that the battery gives more than the house takes.
    return quiet(readings) or not tells(readings)


def _renew(turn: Turn, observation: Observation, decision: Decision) -> None:
    lease, session = turn.state.lease, turn.state.session
    if lease is None or session is None or lease.renewal is not None:
        return
    step = observation.settings.lease_step_min(session.kind)
    minutes = lease_minutes(observation, decision, session.power_w, session.kind)
    # A power written meanwhile armed the whole time anew, and less headroom is left for it.
    too_long = lease.rearmed is not None and minutes < lease.minutes
    due = turn.now.mono >= lease.renew_at and not _outlasts(turn, lease, observation, decision)
    if turn.state.modulation.busy(turn.now.mono) or not (too_long or due):
        return
    if minutes == lease.minutes:  # writing the same number arms nothing
        minutes = minutes - step if minutes > step else minutes + step
    turn.renew(lease, minutes)


def _outlasts(turn: Turn, lease: Lease, observation: Observation, decision: Decision) -> bool:
    """Whether the lease lasts for the headroom as it is: a new one would be longer by steps."""
    session, left_s = turn.state.session, lease.expires_at - turn.now.mono
    if session is None or session.kind is Kind.CHARGE or left_s < LAST_RENEWAL_S:
        return False
    flow = worst_flow(observation.readings, observation.settings, session.power_w)
    return duration_minutes(decision.headroom, flow) * 60 <= left_s


def renewed(turn: Turn, event: Answered) -> None:
    """Take the answer to a renewal: the lease counts from the moment it was asked for."""
    lease = turn.state.lease
    if lease is None or lease.renewal is None or lease.renewal.write_id != event.write.id:
        return
    if event.ok:
        turn.state = replace(turn.state, lease=Lease(lease.renewal.minutes, lease.renewal.asked))
        turn.clear_error(write_error(event.write))
    else:
        turn.raise_error(write_error(event.write), event.detail)
        begin_stop(turn, EndReason.RENEWAL_FAILED)
