"""Which entity an error is about, for those who have to mend it."""

from .battery import Battery
from .engine.state import WriteKind
from .inputs.sources import Sources
from .models import ErrorState, Readings

ENTITY_OF_ERROR = {
    ErrorState.POWER_SET_FAILED: WriteKind.POWER,
    ErrorState.CUTOFF_SET_FAILED: WriteKind.CUTOFF,
    ErrorState.DURATION_SET_FAILED: WriteKind.DURATION,
    ErrorState.START_FAILED: WriteKind.SWITCH_ON,
    ErrorState.STOP_FAILED: WriteKind.SWITCH_OFF,
    ErrorState.BATTERY_NOT_RESPONDING: WriteKind.SWITCH_ON,
}


def culprit(
    error: ErrorState, battery: Battery, sources: Sources, readings: Readings | None
) -> tuple[str | None, str]:
    """Return the entity that an error is about, None where there is none, and its problem."""
    kind = ENTITY_OF_ERROR.get(error)
    if kind is not None:
        return (battery.entity_id(kind), "")
    if error is ErrorState.OVER_EXPORT:
        meter = sources.wiring.export
        return (None if meter is None else meter.entity_id, "")
    if readings is None:
        return (None, "")
    if error is ErrorState.MODE_CONFLICT:
        return (next(iter(readings.conflicts), None), "")
    return sources.faulty(readings) or (None, "")
