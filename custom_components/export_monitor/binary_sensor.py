"""Binary sensors: is it discharging, is data missing, was too much exported."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.binary_sensor import (  # type: ignore[attr-defined]  # newest end
    BinarySensorDeviceClass,
    BinarySensorEntity,
    BinarySensorEntityDescription,
)
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .coordinator import ExportMonitorConfigEntry, Snapshot
from .entity import Attributes, ExportMonitorEntity
from .models import ErrorState

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class SnapshotBinarySensor(BinarySensorEntityDescription):
    """A yes or no of the snapshot."""

    is_on_fn: Callable[[Snapshot], bool]
    attributes_fn: Callable[[Snapshot], Attributes] = lambda _: {}


def _data_attributes(snapshot: Snapshot) -> Attributes:
    entity_id, problem = snapshot.faulty or (None, None)
    return {
        "entity_id": entity_id,
        "problem": problem,
        "degraded": [
            {"what": each.what, "why": each.why, "instead": each.instead, "since": each.since}
            for each in snapshot.degraded
        ],
    }


BINARY_SENSORS: tuple[SnapshotBinarySensor, ...] = (
    SnapshotBinarySensor(
        key="discharging",
        translation_key="discharging",
        device_class=BinarySensorDeviceClass.RUNNING,
        is_on_fn=lambda snapshot: snapshot.running,
    ),
    SnapshotBinarySensor(
        key="data_problem",
        translation_key="data_problem",
        device_class=BinarySensorDeviceClass.PROBLEM,
        entity_category=EntityCategory.DIAGNOSTIC,
        is_on_fn=lambda snapshot: not snapshot.complete,
        attributes_fn=_data_attributes,
    ),
    SnapshotBinarySensor(
        key="over_export",
        translation_key="over_export",
        device_class=BinarySensorDeviceClass.PROBLEM,
        is_on_fn=lambda snapshot: any(
            error.state is ErrorState.OVER_EXPORT for error in snapshot.errors.standing
        ),
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the binary sensors of one entry."""
    del hass
    async_add_entities(SnapshotBinaryEntity(entry, description) for description in BINARY_SENSORS)


class SnapshotBinaryEntity(ExportMonitorEntity, BinarySensorEntity):
    """A yes or no that is always known."""

    entity_description: SnapshotBinarySensor

    def __init__(self, entry: ExportMonitorConfigEntry, description: SnapshotBinarySensor) -> None:
        """Bind the description."""
        super().__init__(entry, "binary_sensor", description)

    @property
    @override
    def is_on(self) -> bool:
        return self.entity_description.is_on_fn(self.coordinator.data)

    @property
    @override
    def extra_state_attributes(self) -> Attributes:
        return self.entity_description.attributes_fn(self.coordinator.data)

    @override
    def facts(self) -> object:
        return (super().facts(), self.extra_state_attributes)
