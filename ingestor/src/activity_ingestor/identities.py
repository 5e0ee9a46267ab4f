"""Remembers what was recorded lately: repetitions are dropped, different events never merge."""

from __future__ import annotations

from collections import OrderedDict

WINDOW = 20_000


class Identities:
    """A bounded window over identities and over the points they became.

    It may forget: an old event that comes again still gives the same line, so that the database
    stores one point. Within the window two different events of one series and nanosecond get
    different sequence tags.
    """

    def __init__(self, window: int = WINDOW) -> None:
        """Take how many events are remembered."""
        self._window = window
        self._seen: OrderedDict[int, int] = OrderedDict()
        self._points: OrderedDict[int, int] = OrderedDict()

    def time_of(self, identity: int) -> int | None:
        """Return the nanosecond at which an identity was recorded, or None if it is new."""
        return self._seen.get(identity)

    def admit(self, identity: int, series: bytes, time_ns: int) -> int:
        """Remember an event; return its number among those of its series and nanosecond."""
        point = hash((series, time_ns))
        sequence = self._points.get(point, 0)
        self._points[point] = sequence + 1
        self._seen[identity] = time_ns
        if len(self._seen) > self._window:
            self._seen.popitem(last=False)
        if len(self._points) > self._window:
            self._points.popitem(last=False)
        return sequence

    def forget(self, identity: int) -> None:
        """Take an identity back: its event could not be stored, so that it may come again."""
        self._seen.pop(identity, None)
