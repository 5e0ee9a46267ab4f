"""Where readings come from: Home Assistant's states, or a simulation's."""

from datetime import datetime
from typing import Protocol

from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util


class EntityStates(Protocol):
    """What the sources need of the world around them."""

    def get(self, entity_id: str) -> State | None:
        """Return an entity's present state, None where there is none."""

    def device(self, entity_id: str) -> str | None:
        """Return an entity's device; what a YAML package makes has none, and belongs together."""

    def identity(self, entity_id: str) -> str | None:
        """Return what stays the same when an entity is renamed; None while there is none."""

    def now(self) -> datetime:
        """Return the present in UTC, on the clock that stamps the reports."""


class HassStates:
    """The states of a running Home Assistant."""

    def __init__(self, hass: HomeAssistant) -> None:
        """Read nothing yet."""
        self._hass = hass
        self.get = hass.states.get
        self.now = dt_util.utcnow

    def device(self, entity_id: str) -> str | None:
        """Return an entity's device from the registry."""
        entry = er.async_get(self._hass).async_get(entity_id)
        return None if entry is None else entry.device_id

    def identity(self, entity_id: str) -> str | None:
        """Return the registry's own id; what is not registered can be told by its name alone."""
        entry = er.async_get(self._hass).async_get(entity_id)
        if entry is not None:
            return entry.id
        return None if self.get(entity_id) is None else entity_id
