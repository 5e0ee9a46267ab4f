"""Where readings come from: Home Assistant's states, or a simulation's."""

from datetime import datetime
from typing import Protocol

from homeassistant.core import HomeAssistant, State
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.entity import entity_sources
from homeassistant.util import dt as dt_util

# The Alpha ESS package polls by modbus, and makes daily counters and powers of that by these.
COMPUTED = frozenset(
    {
        "derivative",
        "filter",
        "group",
        "integration",
        "min_max",
        "statistics",
        "template",
        "utility_meter",
    }
)


class EntityStates(Protocol):
    """What the sources need of the world around them."""

    def get(self, entity_id: str) -> State | None:
        """Return an entity's present state, None where there is none."""

    def related(self, entity_id: str, other_id: str) -> bool:
        """Tell whether a report of the other shows that what is behind an entity is alive."""

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

    def related(self, entity_id: str, other_id: str) -> bool:
        """Tell it by the device; without one, as a YAML package makes them, by the integration.

        What is computed from other entities reports only when they change, and does not say which
        they are: any entity without a device vouches for it. It vouches for nothing but its kind.
        """
        registry = er.async_get(self._hass)
        entry, other = registry.async_get(entity_id), registry.async_get(other_id)
        device = None if entry is None else entry.device_id
        if device != (None if other is None else other.device_id):
            return False
        if device is not None:
            return True
        platform = self._platform(entity_id, entry)
        return platform in COMPUTED or platform == self._platform(other_id, other)

    def _platform(self, entity_id: str, entry: er.RegistryEntry | None) -> str | None:
        """Return the integration that made an entity; without a unique id no registry knows it."""
        if entry is not None:
            return entry.platform
        made_by = entity_sources(self._hass).get(entity_id)
        return None if made_by is None else made_by["domain"]

    def identity(self, entity_id: str) -> str | None:
        """Return the registry's own id; what is not registered can be told by its name alone."""
        entry = er.async_get(self._hass).async_get(entity_id)
        if entry is not None:
            return entry.id
        return None if self.get(entity_id) is None else entity_id
