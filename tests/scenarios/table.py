"""Home Assistant's states and its time zone, as the package meets them."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
import logging

from homeassistant.core import State as EntityState
from homeassistant.util import dt as dt_util

from .schedule import ZONE
from .stage import Arrival, Stage


class Table:
    """Home Assistant's states, as `Sources` reads them."""

    def __init__(self, stage: Stage) -> None:
        """Begin empty."""
        self._states: dict[str, EntityState] = {}
        self.now_utc = stage.utc

    def get(self, entity_id: str) -> EntityState | None:
        """Return an entity's state."""
        return self._states.get(entity_id)

    def related(self, entity_id: str, other_id: str) -> bool:
        """Tell that all of them belong to one device."""
        del entity_id, other_id
        return True

    def identity(self, entity_id: str) -> str | None:
        """Return what it is known by: its name."""
        return entity_id

    def now(self) -> datetime:
        """Return the wall clock's time (UTC)."""
        return self.now_utc

    def take(self, arrival: Arrival) -> bool:
        """Take a report; tell whether it changed anything."""
        entity_id, value = arrival.entity_id, arrival.value
        old = self._states.get(entity_id)
        if value is None:
            self._states.pop(entity_id, None)
            return old is not None
        now = self.now_utc
        if old is not None and old.last_reported == now:
            now += timedelta(microseconds=1)  # no two reports of one entity share a moment
        if old is not None and old.state == value and old.attributes == arrival.attributes:
            old.last_reported = now
            return False
        self._states[entity_id] = EntityState(
            entity_id,
            value,
            dict(arrival.attributes),
            last_changed=now if old is None or old.state != value else old.last_changed,
            last_reported=now,
            last_updated=now,
            validate_entity_id=False,
        )
        return True


@contextmanager
def london() -> Iterator[None]:
    """Have Home Assistant's own time zone be the schedules', and nobody log."""
    before = dt_util.get_default_time_zone()
    level = logging.getLogger("custom_components").level
    dt_util.set_default_time_zone(ZONE)
    logging.getLogger("custom_components").setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        dt_util.set_default_time_zone(before)
        logging.getLogger("custom_components").setLevel(level)
