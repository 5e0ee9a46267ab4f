"""Steps of the wall clock, told by the monotonic one."""

from dataclasses import dataclass, replace
from datetime import timedelta

from ..models import Instant

CLOCK_STEP_S = 60.0  # a slewed clock, or one set by seconds, leaves the reset in its window
STEP_COUNTS_S = 86_400.0  # by then every counter has reset once


@dataclass(frozen=True, slots=True)
class WallClock:
    """What the wall clock has done against the monotonic one.

    A meter has its own clock: when ours is set, it resets at the midnight of the time before.
    """

    offset_s: float | None = None
    """What it says beyond the monotonic clock (s)."""
    stepped_s: float = 0.0
    """How far it was set within the last day (s)."""
    stepped_at: float = 0.0
    """Monotonic time of that (s)."""

    @property
    def stepped(self) -> timedelta:
        """How far the clock was set lately."""
        return timedelta(seconds=self.stepped_s)

    def seen(self, now: Instant) -> "WallClock":
        """Return the clock after a look at it."""
        offset = now.utc.timestamp() - now.mono
        if self.offset_s is None:
            return replace(self, offset_s=offset)
        step = offset - self.offset_s
        if abs(step) < CLOCK_STEP_S:
            forgets = self.stepped_s != 0 and now.mono - self.stepped_at > STEP_COUNTS_S
            return WallClock(self.offset_s) if forgets else self
        return WallClock(offset, self.stepped_s + step, now.mono)

    def resumed(self, now: Instant) -> "WallClock":
        """Return the clock for a new run, whose monotonic time begins elsewhere."""
        if self.stepped_s == 0:
            return WallClock()
        return WallClock(stepped_s=self.stepped_s, stepped_at=now.mono)
