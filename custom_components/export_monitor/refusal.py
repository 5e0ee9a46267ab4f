"""Why a start would be refused now: the decision, the session that runs, and the dry run."""

from .engine.modes import dispatched, switch_of
from .engine.start import blocker_of
from .engine.state import Phase, State
from .models import Blocker, Decision, Kind, Readings


def refusal(
    state: State, readings: Readings, decision: Decision, kind: Kind, *, dry_run: bool
) -> Blocker | None:
    """Return the first reason against a start that a person asks for, None where it would begin.

    A decision alone takes our own session of the other kind for somebody else's mode.
    """
    if kind is Kind.DISCHARGE:
        found = blocker_of(state, readings, decision)
    else:
        found = _against_charge(state, readings, decision)
    if found is None and dry_run:
        return Blocker.DRY_RUN
    return found


def _against_charge(state: State, readings: Readings, decision: Decision) -> Blocker | None:
    if decision.charge_blocker is Blocker.NO_CHARGE_CONTROL:
        return Blocker.NO_CHARGE_CONTROL
    if state.phase is Phase.STOPPING:
        return Blocker.STOP_IN_PROGRESS
    if state.phase is not Phase.IDLE or switch_of(readings, Kind.CHARGE).on:
        return Blocker.ALREADY_RUNNING
    if decision.charge_blocker is None and dispatched(readings):
        return Blocker.MODE_CONFLICT
    return decision.charge_blocker
