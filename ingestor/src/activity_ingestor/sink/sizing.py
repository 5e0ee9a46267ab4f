"""How large the next batch is: as large as the database answers quickly."""

from __future__ import annotations

SLOW_S = 2.0
_FAST_S = 0.5
SMALLEST = 100


class BatchSize:
    """Grows by a quarter while writes are fast, halves when they are slow or fail."""

    def __init__(self, largest: int) -> None:
        """Take the configured size; nothing is known against it yet."""
        self._largest = largest
        self._smallest = min(SMALLEST, largest)
        self.current = largest

    def stored(self, latency_s: float) -> None:
        """Note how long a write took."""
        if latency_s > SLOW_S:
            self._halve()
        elif latency_s < _FAST_S:
            self.current = min(self._largest, self.current + max(1, self.current // 4))

    def failed(self) -> None:
        """Note a time-out or a server in trouble."""
        self._halve()

    def _halve(self) -> None:
        self.current = max(self._smallest, self.current // 2)
