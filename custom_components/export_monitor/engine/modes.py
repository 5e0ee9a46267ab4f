"""What stands in the way of a charge, and which mode is whose: never two at once."""

from ..models import Blocker, Kind, Observation, Readings, SwitchReading

FULL_SOC = 100.0
UNREADABLE = SwitchReading(None)


def switch_of(readings: Readings, kind: Kind) -> SwitchReading:
    """Return the switch that a kind of session is commanded by."""
    if kind is Kind.CHARGE:
        return readings.charge_switch or UNREADABLE
    return readings.switch


def other_mode_on(readings: Readings, kind: Kind) -> bool:
    """Whether a mode other than a session's own is on: of the two that we command each is one."""
    opposite = readings.charge_switch if kind is Kind.DISCHARGE else readings.switch
    return bool(readings.conflicts) or (opposite is not None and opposite.on is True)


def other_modes_known(readings: Readings, kind: Kind) -> bool:
    """Whether every mode other than a session's own can be read: one that cannot may be on."""
    opposite = readings.charge_switch if kind is Kind.DISCHARGE else readings.switch
    return readings.modes_known and (opposite is None or opposite.on is not None)


def dispatched(readings: Readings) -> bool:
    """Whether the battery says that it is under orders, whoever gave them."""
    dispatch = readings.dispatch_start
    return dispatch is not None and dispatch.usable and dispatch.value != 0


def charge_blocker(observation: Observation, target_soc: float = FULL_SOC) -> Blocker | None:
    """Return the first reason against a charge up to `target_soc` (%).

    It exports nothing, so what the energy counters show is not asked for; but where they have
    been away for so long that the integration's own data is old, nothing is started at all.
    """
    readings = observation.readings
    switch, soc = readings.charge_switch, readings.soc
    if switch is None or observation.settings.charge_power_w <= 0:
        return Blocker.NO_CHARGE_CONTROL
    if observation.battery_circuit_open or observation.update_circuit_open:
        return Blocker.CIRCUIT_OPEN
    if observation.data_stale or soc.problem in ("stale", "frozen"):
        return Blocker.STALE_DATA
    if soc.value is None or not soc.usable:
        return Blocker.SOC_MISSING
    if switch.on is None:
        return Blocker.NO_DATA
    if soc.value >= target_soc:
        return Blocker.SOC_FULL
    if other_mode_on(readings, Kind.CHARGE):
        return Blocker.MODE_CONFLICT
    return None if other_modes_known(readings, Kind.CHARGE) else Blocker.NO_DATA
