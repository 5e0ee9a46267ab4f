"""The base of every entity: pinned ids, one device, and writes only of what has changed."""

from collections.abc import Callable, Mapping
from typing import override

from homeassistant.core import callback
from homeassistant.helpers.device_registry import DeviceEntryType, DeviceInfo
from homeassistant.helpers.entity import EntityDescription
from homeassistant.helpers.update_coordinator import CoordinatorEntity

from .const import DOMAIN
from .coordinator import ExportMonitorConfigEntry, ExportMonitorCoordinator, Snapshot

type Attributes = Mapping[str, object]
type Value = str | float | None
type Available = Callable[[Snapshot], bool]


class ExportMonitorEntity(CoordinatorEntity[ExportMonitorCoordinator]):
    """Shows a part of the coordinator's snapshot."""

    _attr_has_entity_name = True

    def __init__(
        self, entry: ExportMonitorConfigEntry, platform: str, description: EntityDescription
    ) -> None:
        """Pin the object id: dashboards rely on it in every language."""
        super().__init__(entry.runtime_data.coordinator)
        self.entity_description = description
        self.entity_id = f"{platform}.{entry.runtime_data.prefix}_{description.translation_key}"
        self._attr_translation_key = description.translation_key
        self._attr_unique_id = f"{entry.entry_id}_{description.key}"
        self._attr_device_info = DeviceInfo(
            identifiers={(DOMAIN, entry.entry_id)},
            name=entry.title,
            entry_type=DeviceEntryType.SERVICE,
        )
        self._shown: object = None

    def facts(self) -> object:
        """Return what a write would show; equal facts are not written again."""
        return (self.available, self.state)

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self._shown = self.facts()

    @callback
    @override
    def _handle_coordinator_update(self) -> None:
        facts = self.facts()
        if facts != self._shown:
            self._shown = facts
            self.async_write_ha_state()
