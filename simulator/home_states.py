"""States and appointments of a Home Assistant that lives on plant time."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import heapq
from itertools import count

UNAVAILABLE = "unavailable"

type Listener = Callable[[str, str | None, str], None]
"""Called with entity id, old value (None for a new entity) and new value, when they differ."""


@dataclass(frozen=True, slots=True)
class EntityState:
    """A state as Home Assistant would hold it; times are seconds since the plant began."""

    value: str
    attributes: Mapping[str, object]
    reported_at_s: float
    changed_at_s: float


class StateTable:
    """The states, and the reports that have not been fetched yet.

    As in Home Assistant, a report with an unchanged value moves `reported_at_s` alone.
    """

    def __init__(self) -> None:
        """Start with no entity."""
        self.states: dict[str, EntityState] = {}
        self._reports: list[tuple[str, EntityState]] = []
        self._listeners: list[Listener] = []

    def listen(self, listener: Listener) -> None:
        """Call a listener on every change of a value."""
        self._listeners.append(listener)

    def report(
        self,
        entity_id: str,
        value: str,
        at_s: float,
        attributes: Mapping[str, object] | None = None,
    ) -> None:
        """Take a report; attributes left out stay as they were."""
        old = self.states.get(entity_id)
        if attributes is None:
            attributes = old.attributes if old else {}
        changed_at_s = old.changed_at_s if old and old.value == value else at_s
        new = EntityState(value, attributes, at_s, changed_at_s)
        self.states[entity_id] = new
        self._reports.append((entity_id, new))
        if old is None or old.value != value:
            for listener in self._listeners:
                listener(entity_id, old.value if old else None, value)

    def value(self, entity_id: str) -> str:
        """Return a state's value; raises KeyError for an unknown entity."""
        return self.states[entity_id].value

    def number(self, entity_id: str) -> float | None:
        """Return a state as a number, None where it is none."""
        try:
            return float(self.states[entity_id].value)
        except (KeyError, ValueError):
            return None

    def drain(self) -> list[tuple[str, EntityState]]:
        """Return the reports since the last call, oldest first."""
        reports, self._reports = self._reports, []
        return reports


class Agenda:
    """What is to happen when, in seconds of plant time; at the same moment in order of entry."""

    def __init__(self) -> None:
        """Start empty."""
        self._entries: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def add(self, at_s: float, action: Callable[[], None]) -> None:
        """Have an action called at a moment."""
        heapq.heappush(self._entries, (at_s, next(self._order), action))

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()

    def next_at(self) -> float | None:
        """Return the moment of the next entry."""
        return self._entries[0][0] if self._entries else None

    def pop_due(self, now_s: float) -> Callable[[], None] | None:
        """Take the next action out if its moment has come."""
        if self._entries and self._entries[0][0] <= now_s:
            return heapq.heappop(self._entries)[2]
        return None
