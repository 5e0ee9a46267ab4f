"""The record on disk, written when `control` writes it, and lost when storage fails."""

import json

from custom_components.export_monitor.engine.state import State
from custom_components.export_monitor.models import Errors
from custom_components.export_monitor.storage import (
    DELAY_S,
    Record,
    decode,
    encode,
    record_of,
    to_keep,
    urgent,
)

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

    def save(self, state: State, errors: Errors) -> bool:
        """Write; tell whether it was written."""
        self._due = None
        if self._faults.stands(FaultKind.STORAGE_FAILS):
            return False
        self._stored = json.dumps(encode(record_of(state, errors, self._stage.utc)))
        return True

    def save_if_due(self, state: State, errors: Errors, *, leaving: bool = False) -> None:
        """Write what was put off; with Home Assistant `leaving`, at once."""
        if self._due is not None and (leaving or self._stage.plant.elapsed_s >= self._due):
            self.save(state, errors)

    def keep(self, before: State, after: State, errors: Errors) -> None:
        """Write what safety hangs on at once, sums a little later."""
        if urgent(before, after):
            self.save(after, errors)
        elif to_keep(before, after) and self._due is None:
            self._due = self._stage.plant.elapsed_s + DELAY_S

    def forget_due(self) -> None:
        """Put nothing off any more."""
        self._due = None
