"""Entities that publish rates of the hours ahead: live, or cached while their slots last."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State

from ..error_handler import CircuitBreaker, SensorValidation
from ..models import Rates
from .optional import OptionalSource
from .states import EntityStates
from .wiring import Config, entity_ids


class RateSource:
    """Reads the entities of one role; serves the last good slots until the last of them ends."""

    def __init__(
        self,
        states: EntityStates,
        config: Config,
        key: str,
        parse: Callable[[list[State]], Rates | None],
        validation: SensorValidation,
        circuit: CircuitBreaker,
    ) -> None:
        """Take the entities of a key; `parse` is given the states that can be read."""
        self._states = states
        self._ids = tuple(entity_ids(config, key))
        self._parse = parse
        self._known: Rates | None = None
        self._read_from: tuple[State | None, ...] = ()
        self._source = OptionalSource(
            next(iter(self._ids), None), circuit, validation, self._live, _has_slots_left
        )

    @property
    def configured(self) -> bool:
        """Whether there is a source at all."""
        return bool(self._ids)

    @property
    def lost(self) -> datetime | None:
        """When the source was lost (UTC); None while it is live."""
        return self._source.lost

    def read(self, now: datetime) -> Rates | None:
        """Return what is known of the rates, None where nothing is."""
        found, lost = self._source.read(now), self.lost
        return found if found is None or lost is None else replace(found, cached_since=lost)

    def _live(self, now: datetime) -> Rates | None:
        states = tuple(map(self._states.get, self._ids))
        if states != self._read_from:
            self._read_from, self._known = states, self._parse(_present(states))
        known = self._known
        if known is None or (known.slots and not _has_slots_left(known, 0, now)):
            return None  # what has ended is as good as gone
        return known


def _present(states: tuple[State | None, ...]) -> list[State]:
    return [
        state
        for state in states
        if state is not None and state.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN)
    ]


def _has_slots_left(rates: Rates, _lost_s: float, now: datetime) -> bool:
    return any(slot.end > now for slot in rates.slots)
