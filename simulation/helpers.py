"""The battery's helpers as the AlphaESS package has them: what is written, and when it arrives."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from custom_components.export_monitor.engine.state import Write, WriteKind
from custom_components.export_monitor.models import Kind

from .house import Dispatch, Plant

WRITE_S = 1.0
STOP_S = 2.0  # off to idle was measured at up to 3.2 s on the AlphaESS package, most of it polling
STOPS = (WriteKind.SWITCH_OFF, WriteKind.FALLBACK_STOP, WriteKind.SMOTHER)


@dataclass(slots=True)
class Helpers:
    """Stands between the controller's writes and the battery."""

    plant: Plant
    _pending: list[tuple[float, Write]] = field(default_factory=list)
    _params: dict[tuple[Kind, WriteKind], float] = field(default_factory=dict)

    @property
    def busy(self) -> bool:
        """Whether something written has not arrived yet."""
        return bool(self._pending)

    def take(self, write: Write) -> None:
        """Take a write; a stop outdates whatever was to arrive before it."""
        if write.stops:
            self._pending = [entry for entry in self._pending if entry[1].stops]
        wait = STOP_S if write.stops else WRITE_S
        self._pending.append((self.plant.now_s + wait, write))

    def arrived(self) -> Iterator[Write]:
        """Let the battery obey what has arrived by now, and yield each write for its answer."""
        now = self.plant.now_s
        due = [entry for entry in self._pending if entry[0] <= now + 1e-6]
        self._pending = [entry for entry in self._pending if entry[0] > now + 1e-6]
        for _, write in due:
            self._reach(write)
            yield write

    def _reach(self, write: Write) -> None:
        plant, kind = self.plant, write.mode
        if write.kind in STOPS:
            plant.tell(None)
            return
        self._params[kind, write.kind] = write.value
        running = plant.dispatch is not None and plant.dispatch.kind is kind
        if write.kind is not WriteKind.SWITCH_ON and not running:
            return
        power, minutes, cutoff = (
            self._params[kind, name]
            for name in (WriteKind.POWER, WriteKind.DURATION, WriteKind.CUTOFF)
        )
        # AlphaESS writes all registers of a dispatch at once, so any change arms the timer anew.
        plant.tell(Dispatch(kind, power, plant.now_s + minutes * 60, cutoff))
