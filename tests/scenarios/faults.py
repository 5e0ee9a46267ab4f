"""How each kind of fault is done to a stage, and undone: the one place for both drivers.

What needs a driver's own hands (a restart, a lost disk) it finds out itself by `Faults.standing`.
"""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from simulator.alphaess_home import number, switch
from simulator.faults import Fault as PlantFault

from .schedule import SENSOR_KINDS, SERVICE_KINDS, Fault, FaultKind
from .stage import DISCHARGING, Gate, Stage, entity_of, switch_of

PLANT_FAULTS: Final = {
    FaultKind.LINK_DOWN: PlantFault.DROP,
    FaultKind.LINK_HANGS: PlantFault.HANG,
    FaultKind.WRITES_IGNORED: PlantFault.IGNORE_WRITES,
    FaultKind.STOP_IGNORED: PlantFault.IGNORE_STOP,
    FaultKind.COUNTERS_FROZEN: PlantFault.FREEZE_COUNTERS,
}
OUT_OF_RANGE: Final = {"soc": "150", "dispatch": "70000", "switch": "perhaps"}
SHOWN_INSTEAD: Final = {
    FaultKind.SENSOR_UNAVAILABLE: "unavailable",
    FaultKind.SENSOR_UNKNOWN: "unknown",
    FaultKind.SENSOR_MISSING: None,
    FaultKind.SENSOR_GARBAGE: "Störung",
    FaultKind.SENSOR_NAN: "nan",
}
FAR_OUT: Final = "2147483647"


class Faults:
    """A schedule's faults on its stage, moved along second by second."""

    def __init__(self, stage: Stage, faults: tuple[Fault, ...]) -> None:
        """Break nothing yet."""
        self._stage = stage
        self._coming = sorted(faults, key=lambda fault: fault.at)
        self.standing: list[Fault] = []
        self._undo: dict[int, Callable[[], None]] = {}

    def advance(self) -> list[Fault]:
        """Undo what is over and do what is due; return what has begun."""
        now = self._stage.second
        for fault in [f for f in self.standing if f.until <= now]:
            self.standing.remove(fault)
            undo = self._undo.pop(id(fault), None)
            if undo is not None:
                undo()
        begun = []
        while self._coming and self._coming[0].at <= now:
            fault = self._coming.pop(0)
            self.standing.append(fault)
            begun.append(fault)
            undo = self._do(fault)
            if undo is not None:
                self._undo[id(fault)] = undo
        return begun

    def stands(self, *kinds: FaultKind) -> bool:
        """Whether a fault of one of the kinds stands."""
        return any(fault.kind in kinds for fault in self.standing)

    def of_service(self, entity_id: str) -> Fault | None:
        """Return the fault that a service call to an entity meets, None where it is well."""
        for fault in self.standing:
            if fault.kind in SERVICE_KINDS and (
                fault.target == "all" or entity_of(self._stage.settings, fault.target) == entity_id
            ):
                return fault
        return None

    def _do(self, fault: Fault) -> Callable[[], None] | None:
        if fault.kind in SENSOR_KINDS:
            return self._gate(fault)
        plant_fault = PLANT_FAULTS.get(fault.kind)
        if plant_fault is not None:
            faults = self._stage.plant.faults
            faults.on(plant_fault, times=int(fault.value) or None)
            return lambda: faults.off(plant_fault)
        match fault.kind:
            case FaultKind.USER_SWITCHES_OFF:
                self._turn(switch_of(self._stage.settings), "turn_off")
            case FaultKind.USER_SWITCHES_ON:
                self._turn(DISCHARGING, "turn_on")
            case FaultKind.OTHER_MODE:
                return self._other_mode(fault.target)
            case FaultKind.CLOCK_JUMP:
                self._stage.clock_offset += timedelta(seconds=fault.value)
            case FaultKind.FORECAST_COLLAPSES:
                self._stage.forecast_share = fault.value
            case _:
                pass
        return None

    def _turn(self, entity_id: str, service: str) -> None:
        self._stage.obey("input_boolean", service, {"entity_id": entity_id})

    def _other_mode(self, mode: str) -> Callable[[], None]:
        obey = self._stage.obey
        cutoff = 10 if mode == "export" else 100
        for name, value in (("power", 2), ("cutoff_soc", cutoff), ("duration", 60)):
            data = {"entity_id": number(mode, name), "value": value}
            obey("input_number", "set_value", data)
        self._turn(switch(mode), "turn_on")
        return lambda: self._turn(switch(mode), "turn_off")

    def _gate(self, fault: Fault) -> Callable[[], None]:
        stage = self._stage
        entity_id = entity_of(stage.settings, fault.target)
        gate = gate_of(fault)
        stage.close(entity_id, gate)
        return lambda: stage.open(entity_id, gate)


def gate_of(fault: Fault) -> Gate:
    """Return what a faulty sensor shows."""
    if fault.kind in SHOWN_INSTEAD:
        return Gate(SHOWN_INSTEAD[fault.kind], replaces=True)
    match fault.kind:
        case FaultKind.SENSOR_OUT_OF_RANGE:
            return Gate(OUT_OF_RANGE.get(fault.target, FAR_OUT), replaces=True)
        case FaultKind.SENSOR_FROZEN:
            return Gate(holds=True)
        case FaultKind.SENSOR_SILENT:
            return Gate(silent=True)
        case FaultKind.SENSOR_JUMPING:
            return Gate(jump=fault.value)
        case FaultKind.SENSOR_LATE:
            return Gate(delay_s=fault.value)
        case _:
            raise ValueError(fault.kind)
