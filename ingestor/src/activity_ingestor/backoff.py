"""Exponential backoff with full jitter that never gives up."""

from __future__ import annotations

from collections.abc import Callable
import random

STABLE_S = 60.0
_DOUBLINGS = 16  # beyond that every cap is long reached, and 2 ** n would grow without end


class Backoff:
    """How long to wait before the next attempt.

    Full jitter (uniform from 0 to the ceiling) spreads clients that lost the same server.
    """

    def __init__(
        self,
        *,
        base_s: float,
        cap_s: float,
        stable_s: float = STABLE_S,
        uniform: Callable[[float, float], float] = random.uniform,
    ) -> None:
        """Take the first ceiling, the highest one, and how long a link counts as stable."""
        self._base_s = base_s
        self._cap_s = cap_s
        self._stable_s = stable_s
        self._uniform = uniform
        self._failures = 0
        self._connected_at: float | None = None

    @property
    def failures(self) -> int:
        """Return the failed attempts since the last stable link."""
        return self._failures

    def connected(self, now: float) -> None:
        """Note that the link works; only a stable minute forgets the failures."""
        if self._connected_at is None:
            self._connected_at = now

    def next_delay_s(self, now: float) -> float:
        """Count a failure and return the seconds to wait."""
        if self._connected_at is not None and now - self._connected_at >= self._stable_s:
            self._failures = 0
        self._connected_at = None
        ceiling = min(self._cap_s, self._base_s * 2 ** min(self._failures, _DOUBLINGS))
        self._failures += 1
        return self._uniform(0.0, ceiling)
