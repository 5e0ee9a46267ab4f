"""What the plant really does, past every meter and every fault: for the dashboard's eyes only."""

from __future__ import annotations

import asyncio
from datetime import timedelta
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import CONF_URL, PERCENTAGE, UnitOfEnergy, UnitOfPower
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
    UpdateFailed,
)

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddEntitiesCallback
    from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

_POLL = timedelta(seconds=1)


def _power(key: str, name: str) -> SensorEntityDescription:
    return SensorEntityDescription(
        key=key,
        name=name,
        device_class=SensorDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        state_class=SensorStateClass.MEASUREMENT,
        suggested_display_precision=0,
    )


def _energy(key: str, name: str) -> SensorEntityDescription:
    return SensorEntityDescription(
        key=key,
        name=name,
        device_class=SensorDeviceClass.ENERGY,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        state_class=SensorStateClass.TOTAL_INCREASING,
        suggested_display_precision=3,
    )


SENSORS = (
    _power("battery_w", "battery power"),
    _power("grid_w", "grid power"),
    _power("pv_w", "PV power"),
    _power("load_w", "load"),
    _energy("exported_kwh", "exported"),
    _energy("generated_kwh", "generated"),
    SensorEntityDescription(
        key="soc",
        name="state of charge",
        device_class=SensorDeviceClass.BATTERY,
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=1,
    ),
)


async def async_setup_platform(
    hass: HomeAssistant,
    _config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add one sensor for each number worth a graph."""
    url = f"{(discovery_info or {})[CONF_URL].rstrip('/')}/truth"

    async def fetch() -> dict[str, Any]:
        try:
            async with asyncio.timeout(5):
                response = await async_get_clientsession(hass).get(url)
                response.raise_for_status()
                truth: dict[str, Any] = await response.json()
        except (ClientError, TimeoutError) as error:
            raise UpdateFailed(str(error)) from error
        return truth

    coordinator = DataUpdateCoordinator(
        hass,
        logging.getLogger(__name__),
        config_entry=None,
        name="simulated house",
        update_method=fetch,
        update_interval=_POLL,
    )
    await coordinator.async_refresh()
    async_add_entities(TruthSensor(coordinator, description) for description in SENSORS)


class TruthSensor(CoordinatorEntity[DataUpdateCoordinator[dict[str, Any]]], SensorEntity):
    """One true number of the plant."""

    def __init__(
        self,
        coordinator: DataUpdateCoordinator[dict[str, Any]],
        description: SensorEntityDescription,
    ) -> None:
        """Name it after the plant's key."""
        super().__init__(coordinator)
        self.entity_description = description
        self.entity_id = f"sensor.simulated_house_{description.key}"
        self._attr_unique_id = f"simulated_house_{description.key}"
        self._attr_name = f"Simulated house {description.name}"

    @property
    def native_value(self) -> float | None:
        """Return the number, W, kWh or %."""
        if not self.coordinator.data:
            return None
        return round(float(self.coordinator.data[self.entity_description.key]), 4)
