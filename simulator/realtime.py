"""The plant on the machine's clock: real seconds in, plant seconds out."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from simulator.plant import Plant


class RealTimePlant:
    """Keeps a plant abreast of the monotonic clock, `speed` plant seconds to a real one.

    A speed other than 1 is for looking at a day quickly. Home Assistant keeps its own time, so
    for it the plant's meters would then move `speed` times faster than its powers account for.
    """

    def __init__(self, plant: Plant, speed: float = 1.0) -> None:
        """Start counting now."""
        self.plant = plant
        self.speed = speed
        self.began = datetime.now(UTC)
        self._synced_at = time.monotonic()

    def sync(self) -> Plant:
        """Bring the plant to this moment and return it."""
        now = time.monotonic()
        self.plant.advance((now - self._synced_at) * self.speed)
        self._synced_at = now
        return self.plant

    def offset(self) -> timedelta:
        """Return by how much the plant's wall clock is ahead of the machine's."""
        return self.sync().now - datetime.now(UTC)
