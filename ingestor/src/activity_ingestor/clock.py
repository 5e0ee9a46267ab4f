"""The one clock: monotonic for intervals, wall for stamps; tests put their own in its place."""

from __future__ import annotations

import asyncio
import time
from typing import Protocol

MICROSECONDS = 1_000_000


class Clock(Protocol):
    """What the service knows of time."""

    def monotonic(self) -> float:
        """Return seconds that never jump; their zero means nothing."""

    def wall_us(self) -> int:
        """Return microseconds since the epoch, UTC."""

    async def sleep(self, seconds: float) -> None:
        """Let the others run for this many seconds."""


class SystemClock:
    """The machine's own clock."""

    def monotonic(self) -> float:
        """Return seconds that never jump."""
        return time.monotonic()

    def wall_us(self) -> int:
        """Return microseconds since the epoch, UTC."""
        return time.time_ns() // 1000

    async def sleep(self, seconds: float) -> None:
        """Let the others run for this many seconds."""
        await asyncio.sleep(seconds)
