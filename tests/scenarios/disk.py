"""The record on disk, written when `control` writes it, and lost when storage fails."""

import json

from custom_components.export_monitor.engine.state import State
from custom_components.export_monitor.models import PastError
from custom_components.export_monitor.storage import DELAY_S, Record, decode, encode, record_of

from .faults import Faults
from .schedule import FaultKind
from .stage import Stage


class Disk:
    """What survives a restart."""

    def __init__(self, stage: Stage, faults: Faults) -> None:
        """Begin with nothing written."""
        self._stage = stage
        self._faults = faults
        self._stored: str | None = None
        self._due: float | None = None

    def load(self) -> Record | None:
        """Return what was written last."""
        if self._stored is None:
            return None
        record: Record = decode(Record, json.loads(self._stored))
        return record

    def save(self, state: State, history: tuple[PastError, ...]) -> bool:
        """Write; tell whether it was written."""
        self._due = None
        if self._faults.stands(FaultKind.STORAGE_FAILS):
            return False
        self._stored = json.dumps(encode(record_of(state, history, self._stage.utc)))
        return True

    def save_if_due(
        self, state: State, history: tuple[PastError, ...], *, leaving: bool = False
    ) -> None:
        """Write what was put off; with Home Assistant `leaving`, at once."""
        if self._due is not None and (leaving or self._stage.plant.elapsed_s >= self._due):
            self.save(state, history)

    def keep(self, before: State, after: State, history: tuple[PastError, ...]) -> None:
        """Write what safety hangs on at once, sums a little later."""
        if (
            before.phase is not after.phase
            or before.lease != after.lease
            or (before.session is None) != (after.session is None)
            or before.faults != after.faults
        ):
            self.save(after, history)
        elif before.meter.counter != after.meter.counter or before.generation != after.generation:
            self._due = self._stage.plant.elapsed_s + DELAY_S

    def forget_due(self) -> None:
        """Put nothing off any more."""
        self._due = None
