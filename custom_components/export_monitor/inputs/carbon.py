"""Carbon intensity, live from its entities or from the cache while its slots last."""

from dataclasses import replace
from datetime import datetime

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State

from .. import const
from ..error_handler import CircuitBreaker, SensorValidation
from ..models import Rates
from .optional import OptionalSource
from .rates import carbon_document, carbon_rates
from .states import EntityStates
from .wiring import Config, entity_ids

LONGEST_INDEX = 20  # "very high"; an ISO time or a document is no index


class CarbonSource:
    """Reads the carbon entities; serves the last good slots until the last of them ends."""

    def __init__(
        self,
        states: EntityStates,
        config: Config,
        validation: SensorValidation,
        circuit: CircuitBreaker,
    ) -> None:
        """Take the entry's carbon entities; nothing is read yet."""
        self._states = states
        self._ids = tuple(entity_ids(config, const.CONF_CARBON))
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
        """Return what is known of the carbon intensity, None where nothing is."""
        found, lost = self._source.read(now), self.lost
        return found if found is None or lost is None else replace(found, cached_since=lost)

    def _live(self, now: datetime) -> Rates | None:
        states = tuple(map(self._states.get, self._ids))
        if states != self._read_from:
            self._read_from, self._known = states, _parsed(states)
        known = self._known
        if known is None or (known.slots and not _has_slots_left(known, now, now)):
            return None  # what has ended is as good as gone
        return known


def _parsed(states: tuple[State | None, ...]) -> Rates | None:
    present = [
        state
        for state in states
        if state is not None and state.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN)
    ]
    attributes = [{**carbon_document(state.state), **state.attributes} for state in present]
    slots = carbon_rates(attributes)
    words = [state.state for state in present if state.state.replace(" ", "").isalpha()]
    index = next((word for word in words if len(word) <= LONGEST_INDEX), None)
    return Rates(slots, index) if slots or index is not None else None


def _has_slots_left(rates: Rates, _lost: datetime, now: datetime) -> bool:
    return any(slot.end > now for slot in rates.slots)
