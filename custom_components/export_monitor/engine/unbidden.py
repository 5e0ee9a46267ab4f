"""What runs although nothing of ours should: the late effect of a stop, or somebody's own."""

from dataclasses import replace
from datetime import datetime

from ..models import Decision, EndReason, Kind, Observation, Readings
from .accounting import watts
from .modes import other_mode_on, switch_of
from .start import adopt
from .stop import AFTERMATH_S, QUIET_MARGIN_W, begin_stop, quiet, tells
from .turn import Turn

LATE_SWITCH_S = 15.0
UNBIDDEN_DISPATCH_REPORTS = 2
UNBIDDEN_POWER_REPORTS = 5


def look_for_unbidden(turn: Turn, observation: Observation, decision: Decision) -> None:
    """Deal with a discharge or a charge that nobody here asked for.

    Soon after a stop it is the late effect of what was stopped, and is stopped again. Otherwise it
    is somebody's own: a discharge is guarded, as it uses up the allowance; a charge is left alone.
    """
    state, readings, now = turn.state, observation.readings, turn.now.mono
    of = state.aftermath_of
    ours = now < state.aftermath_until
    since_end = now - (state.aftermath_until - AFTERMATH_S)
    late = state.aftermath_until > 0 and since_end < LATE_SWITCH_S
    # A charge that had run before has no command on its way: its owner wants it on again.
    late = late and (of is Kind.DISCHARGE or state.cut_start)
    if late and switch_of(readings, of).on:
        begin_stop(turn, EndReason.START_CANCELLED, kind=of)
        return
    power = max(0.0, watts(readings.battery_power) or 0.0)
    if readings.switch.on:
        adopt(turn, observation, decision, power)
        turn.state = replace(turn.state, watch=replace(turn.state.watch, switched=True))
        return
    kind = _count(turn, observation)
    armed = readings.dispatch_start is not None
    needed = UNBIDDEN_DISPATCH_REPORTS if armed else UNBIDDEN_POWER_REPORTS
    if turn.state.unbidden < needed:
        return
    if ours and kind is of and not other_mode_on(readings, of):
        last = state.last
        begin_stop(turn, last.reason if last and last.reason else EndReason.USER, kind=of)
    elif armed and kind is Kind.DISCHARGE:
        adopt(turn, observation, decision, power)


def _count(turn: Turn, observation: Observation) -> Kind | None:
    """Count the reports in a row that show something running, and return what it is."""
    state, readings = turn.state, observation.readings
    kind, reported = _running(turn, readings)
    if kind is None:
        if state.unbidden:
            turn.state = replace(state, unbidden=0, unbidden_at=None)
    elif reported != state.unbidden_at:
        turn.state = replace(state, unbidden=state.unbidden + 1, unbidden_at=reported)
    return kind


def _running(turn: Turn, readings: Readings) -> tuple[Kind | None, datetime | None]:
    """Return what runs, with the report that says so; None where nothing of account does."""
    after = turn.state.aftermath_of if turn.now.mono < turn.state.aftermath_until else None
    dispatch, battery = readings.dispatch_start, readings.battery_power
    for kind in (Kind.CHARGE, Kind.DISCHARGE):
        busy = tells(readings, kind) and not quiet(readings, kind)
        # Another mode arms the same register; one that discharges uses up the allowance all the
        # same, whatever it is called.
        if other_mode_on(readings, kind) and (kind is Kind.CHARGE or not busy):
            continue
        if kind is Kind.CHARGE and switch_of(readings, kind).on:  # its owner's
            continue
        if dispatch is not None:
            # A house that draws as much hides a dispatch; soon after a stop that may be ours.
            ours = after is kind and not _opposed(readings, kind)
            if (
                dispatch.usable
                and dispatch.value != 0
                and (ours or busy or _untold(readings, kind))
            ):
                return kind, dispatch.reported
        elif battery is not None and battery.usable and busy:
            return kind, battery.reported
    return None, None


def _untold(readings: Readings, kind: Kind) -> bool:
    """Whether only the dispatch read-back can speak of a kind."""
    return kind is Kind.DISCHARGE and not tells(readings, kind)


def _opposed(readings: Readings, kind: Kind) -> bool:
    """Whether the battery plainly does the opposite."""
    battery = watts(readings.battery_power) or 0.0
    return (-battery if kind is Kind.DISCHARGE else battery) > QUIET_MARGIN_W
