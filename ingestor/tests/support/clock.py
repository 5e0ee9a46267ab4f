"""Time that moves only when a test says so."""

from __future__ import annotations

import asyncio
import heapq
from itertools import count

START_US = 1_790_000_000_000_000


class FakeClock:
    def __init__(self) -> None:
        self.now = 1000.0
        self.slept: list[float] = []
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()

    def monotonic(self) -> float:
        return self.now

    def wall_us(self) -> int:
        return START_US + round((self.now - 1000.0) * 1e6)

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self.now + seconds, next(self._order), future))
        await future

    async def advance(self, seconds: float) -> None:
        """Move time on, waking each sleeper at its own moment."""
        until = self.now + seconds
        await settle()
        while self._sleepers and self._sleepers[0][0] <= until:
            at, _, future = heapq.heappop(self._sleepers)
            self.now = max(self.now, at)
            if not future.done():
                future.set_result(None)
            await settle()
        self.now = until
        await settle()


class RushingClock(FakeClock):
    """Sleeps take no time, but the clock moves on by them."""

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds
        await asyncio.sleep(0)


async def settle() -> None:
    """Let everything run that can run without time passing."""
    for _ in range(30):
        await asyncio.sleep(0)


class ImpatientClock(RushingClock):
    """Delays before a reconnect take no time; deadlines and intervals never end."""

    async def sleep(self, seconds: float) -> None:
        if seconds < 1.0:
            await super().sleep(seconds)
        else:
            await FakeClock.sleep(self, seconds)
