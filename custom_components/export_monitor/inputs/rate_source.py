"""Entities that publish rates of the hours ahead: live, or cached while their slots last."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TypeGuard

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State

from ..error_handler import CircuitBreaker, SensorValidation, SourceKind
from ..models import Rate, Rates
from .optional import OptionalSource
from .rates import normalised
from .states import EntityStates
from .wiring import Config, entity_ids


@dataclass(frozen=True, slots=True)
class Layout:
    """How the entities of a role are understood."""

    kind: SourceKind
    told: Callable[[State, list[object]], tuple[Rate, ...]]
    """Returns the slots of one entity; its invalid values go into the list."""
    made: Callable[[list[State], tuple[Rate, ...]], Rates | None]
    """Returns what all of them tell together, None where that is nothing."""

    def parsed(self, present: list[State], validation: SensorValidation) -> Rates | None:
        """Return what the entities tell, None where that is nothing; judge their values."""
        slots: list[Rate] = []
        for state in present:
            refused: list[object] = []
            slots += self.told(state, refused)
            validation.judge_rows(state.entity_id, self.kind, refused)
        return self.made(present, normalised(slots))


class RateSource:
    """Reads the entities of one role; serves the last good slots until the last of them ends.

    A role may have several, one a day: while one is away, what it told goes on beside the others.
    """

    def __init__(
        self,
        states: EntityStates,
        config: Config,
        key: str,
        layout: Layout,
        validation: SensorValidation,
        circuit: CircuitBreaker,
    ) -> None:
        """Take the entities of a key; nothing is read yet."""
        self._states = states
        self._ids = tuple(entity_ids(config, key))
        self._layout = layout
        self._validation = validation
        self._known: Rates | None = None
        self._read_from: tuple[State | None, ...] = ()
        self._last: tuple[Rate, ...] = ()
        self._cached: tuple[Rate, ...] = ()
        self._seen: set[str] = set()
        self._away: tuple[str, ...] = ()
        self._away_since: datetime | None = None
        self._source = OptionalSource(
            next(iter(self._ids), None), circuit, validation, self._live, _has_slots_left
        )

    @property
    def configured(self) -> bool:
        """Whether there is a source at all."""
        return bool(self._ids)

    @property
    def lost(self) -> datetime | None:
        """When the source, or the first of its entities, was lost (UTC); None while all live."""
        return self._away_since or self._source.lost

    def read(self, now: datetime) -> Rates | None:
        """Return what is known of the rates, None where nothing is."""
        self._miss(now)
        found, lost = self._source.read(now), self.lost
        if self._source.lost is None:  # else the whole role is counted
            for entity_id in self._away:
                cached = any(slot.end > now for slot in self._cached)
                self._validation.count_outage(entity_id, cached=cached)
        return found if found is None or lost is None else replace(found, cached_since=lost)

    def _miss(self, now: datetime) -> None:
        """Note which entities are away that had been there; one without slots is there."""
        present = {each for each in self._ids if _can_be_read(self._states.get(each))}
        self._seen |= present
        self._away = tuple(e for e in self._ids if e in self._seen and e not in present)
        self._away_since = (self._away_since or now) if self._away else None

    def _live(self, now: datetime) -> Rates | None:
        states = tuple(map(self._states.get, self._ids))
        if states != self._read_from:
            self._read_from, self._known = states, self._told(states, now)
        known = self._known
        if known is None or (known.slots and not _has_slots_left(known, 0, now)):
            return None  # what has ended is as good as gone
        return known

    def _told(self, states: tuple[State | None, ...], now: datetime) -> Rates | None:
        """Return what the entities tell, and of the hours they are silent about what was known.

        All that was known, not only by the one that is away: at midnight tomorrow's entity
        passes its hours on to today's.
        """
        present = [state for state in states if _can_be_read(state)]
        told = self._layout.parsed(present, self._validation)
        if told is None:
            return None
        slots = told.slots
        if self._away:
            slots = normalised([*(slot for slot in self._last if slot.end > now), *slots])
        self._cached = tuple(set(slots) - set(told.slots))
        self._last = slots
        return replace(told, slots=slots)


def _can_be_read(state: State | None) -> TypeGuard[State]:
    return state is not None and state.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN)


def _has_slots_left(rates: Rates, _lost_s: float, now: datetime) -> bool:
    return any(slot.end > now for slot in rates.slots)
