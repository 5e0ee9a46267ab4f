"""What became of planned windows, as events: why each ran, was skipped or refused."""

from typing import override

from homeassistant.components.event import EventEntity, EventEntityDescription
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from . import phrases
from .coordinator import ExportMonitorConfigEntry
from .entity import ExportMonitorEntity
from .planning.fates import Fate, Outcome

PARALLEL_UPDATES = 0
ACTIVITY = EventEntityDescription(
    key="activity", translation_key="activity", event_types=[fate.value for fate in Fate]
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the event of one entry."""
    del hass
    async_add_entities([ActivityEvent(entry)])


class ActivityEvent(ExportMonitorEntity, EventEntity):
    """Fires for every turn in a window's fate."""

    entity_description: EventEntityDescription

    def __init__(self, entry: ExportMonitorConfigEntry) -> None:
        """Bind the autopilot."""
        super().__init__(entry, "event", ACTIVITY)
        self._runtime = entry.runtime_data

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(self._runtime.autopilot.listen(self._tell))

    @callback
    def _tell(self, outcome: Outcome) -> None:
        window, objective = outcome.window, self._runtime.plans.planning.objective
        self._trigger_event(
            outcome.fate.value,
            {
                "kind": window.kind.value,
                "start": dt_util.as_local(window.start).isoformat(),
                "end": dt_util.as_local(window.end).isoformat(),
                "planned_kwh": round(window.energy_kwh, 2),
                "energy_kwh": round(outcome.energy_kwh, 3),
                "reason": outcome.reason,
                "session_id": outcome.session_id,
                "why": phrases.why(self.hass, window, objective),
                "words": phrases.words(self.hass, outcome, objective),
            },
        )
        self.async_write_ha_state()
