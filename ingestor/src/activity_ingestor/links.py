"""How a connection is doing: what the endpoints, the metrics and the watchdog want to know."""

from __future__ import annotations

from dataclasses import dataclass, field

from activity_ingestor.clock import Clock
from activity_ingestor.errors import categorise, in_words


@dataclass(slots=True)
class Link:
    """State and quality of one connection; a dependency as the endpoints show it."""

    name: str
    clock: Clock = field(repr=False)
    required: bool = True
    connected: bool = False
    since: float = field(init=False)
    """Monotonic seconds of the last change between connected and not."""
    connects: int = 0
    drops: int = 0
    received: int = 0
    sent: int = 0
    bytes_received: int = 0
    latency_s: float | None = None
    last_error: str = ""
    last_category: str = ""
    failed_attempts: int = 0

    def __post_init__(self) -> None:
        """Begin as not connected, since now."""
        self.since = self.clock.monotonic()

    def up(self) -> None:
        """Note that it works (again)."""
        if not self.connected:
            self.connected, self.since = True, self.clock.monotonic()
            self.connects += 1
            self.failed_attempts = 0
        self.last_error = self.last_category = ""

    def down(self, error: BaseException | None = None) -> None:
        """Note that it is lost, or that another attempt failed."""
        if self.connected:
            self.connected, self.since = False, self.clock.monotonic()
            self.drops += 1
        else:
            self.failed_attempts += 1
        if error is not None:
            self.last_error = in_words(error)
            self.last_category = categorise(error)

    @property
    def state_s(self) -> float:
        """Return for how long it has been as it is, in seconds."""
        return self.clock.monotonic() - self.since
