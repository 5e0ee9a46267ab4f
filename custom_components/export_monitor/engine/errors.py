"""The errors that stand and the ones that were: the most severe one shows."""

from dataclasses import replace
from datetime import datetime

from ..models import Errors, ErrorState, PastError, StandingError

HISTORY = 50
SEVERITY = {state: rank for rank, state in enumerate(ErrorState)}
BATTERY_FAULTS = frozenset(
    {
        ErrorState.POWER_SET_FAILED,
        ErrorState.CUTOFF_SET_FAILED,
        ErrorState.DURATION_SET_FAILED,
        ErrorState.START_FAILED,
        ErrorState.CHARGE_START_FAILED,
        ErrorState.BATTERY_NOT_RESPONDING,
        ErrorState.CHARGE_STOP_FAILED,
        ErrorState.STOP_FAILED,
    }
)


def shown(errors: Errors) -> StandingError | None:
    """Return the most severe standing error, the older one among equals."""
    return max(errors.standing, key=lambda e: SEVERITY[e.state], default=None)


def standing(errors: Errors, state: ErrorState) -> StandingError | None:
    """Return an error if it stands."""
    return next((entry for entry in errors.standing if entry.state is state), None)


def raised(
    errors: Errors, state: ErrorState, at: datetime, detail: str = "", entity_id: str | None = None
) -> Errors:
    """Return the errors with one more; one that stands already counts up and keeps its start."""
    before = standing(errors, state)
    entry = (
        StandingError(state, at, detail, entity_id)
        if before is None
        else replace(before, detail=detail, entity_id=entity_id, occurrences=before.occurrences + 1)
    )
    others = tuple(e for e in errors.standing if e.state is not state)
    history = (*errors.history, PastError(state, at, detail))[-HISTORY:]
    return Errors((*others, entry), history)


def kept(errors: Errors, faults: frozenset[ErrorState]) -> Errors:
    """Return the errors after a reload or a restart, through which only `faults` stand."""
    return replace(errors, standing=tuple(e for e in errors.standing if e.state in faults))


def cleared(errors: Errors, state: ErrorState) -> Errors:
    """Return the errors without one."""
    return replace(errors, standing=tuple(e for e in errors.standing if e.state is not state))
