"""Which entity an error is about, for those who have to mend it."""

from .battery import Battery
from .engine.state import State, WriteKind
from .inputs.sources import Sources
from .models import ErrorState, Kind, Readings, Settings

ENTITY_OF_ERROR = {
    ErrorState.POWER_SET_FAILED: WriteKind.POWER,
    ErrorState.CUTOFF_SET_FAILED: WriteKind.CUTOFF,
    ErrorState.DURATION_SET_FAILED: WriteKind.DURATION,
    ErrorState.START_FAILED: WriteKind.SWITCH_ON,
    ErrorState.STOP_FAILED: WriteKind.SWITCH_OFF,
    ErrorState.CHARGE_START_FAILED: WriteKind.SWITCH_ON,
    ErrorState.CHARGE_STOP_FAILED: WriteKind.SWITCH_OFF,
    ErrorState.BATTERY_NOT_RESPONDING: WriteKind.SWITCH_ON,
}
OF_A_CHARGE = (ErrorState.CHARGE_START_FAILED, ErrorState.CHARGE_STOP_FAILED)


def culprit(
    error: ErrorState,
    battery: Battery,
    sources: Sources,
    readings: Readings | None,
    state: State,
    settings: Settings,
) -> tuple[str | None, str]:
    """Return the entity that an error is about, None where there is none, and its problem.

    What runs or ran decides of which switch an error is that both kinds can have.
    """
    kind = ENTITY_OF_ERROR.get(error)
    if kind is not None:
        either = error is ErrorState.BATTERY_NOT_RESPONDING and state.kind is Kind.CHARGE
        mode = Kind.CHARGE if either or error in OF_A_CHARGE else Kind.DISCHARGE
        return (battery.entity_id(kind, mode), "")
    if error is ErrorState.OVER_EXPORT:
        meter = sources.wiring.export
        return (None if meter is None else meter.entity_id, "")
    if readings is None:
        return (None, "")
    if error is ErrorState.MODE_CONFLICT:
        on = next(iter(readings.conflicts), None) or _ours_on(battery, readings)
        dispatch = sources.wiring.dispatch
        return (on or (None if dispatch is None else dispatch.entity_id), "")
    found = sources.faulty(readings, settings) or sources.distrusted(state, settings)
    return found or (None, "")


def _ours_on(battery: Battery, readings: Readings) -> str | None:
    """Return which of the two switches that we can command is on, the charge's first."""
    if readings.charge_switch is not None and readings.charge_switch.on:
        return battery.entity_id(WriteKind.SWITCH_ON, Kind.CHARGE)
    return battery.entity_id(WriteKind.SWITCH_ON) if readings.switch.on else None
