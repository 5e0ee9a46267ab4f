"""The carbon sensor: the current index as its state, 48 hourly rows in `forecast`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from homeassistant.components.sensor import SensorEntity
from homeassistant.const import CONF_URL
from homeassistant.helpers.aiohttp_client import async_get_clientsession

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddEntitiesCallback
    from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

SCAN_INTERVAL = timedelta(seconds=30)


async def async_setup_platform(
    _hass: HomeAssistant,
    _config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add the one sensor there is."""
    async_add_entities([CarbonSensor((discovery_info or {})[CONF_URL])], update_before_add=True)


class CarbonSensor(SensorEntity):
    """The grid's carbon intensity, polled from the simulator."""

    _attr_name = "carbon_intensity_uk"
    _attr_unique_id = "carbon_intensity_uk"
    _attr_icon = "mdi:leaf"
    _unrecorded_attributes = frozenset({"forecast"})

    def __init__(self, url: str) -> None:
        """Poll the simulator at its base address."""
        self.entity_id = "sensor.carbon_intensity_uk"
        self._url = f"{url.rstrip('/')}/carbon"

    async def async_update(self) -> None:
        """Fetch the rows; times become datetime objects, as in the original."""
        try:
            async with asyncio.timeout(5):
                response = await async_get_clientsession(self.hass).get(self._url)
                response.raise_for_status()
                rows: list[dict[str, Any]] = await response.json()
        except (ClientError, TimeoutError):
            self._attr_available = False
            return
        for row in rows:
            row["from"] = datetime.fromisoformat(row["from"])
            row["to"] = datetime.fromisoformat(row["to"])
        optimal = [row for row in rows if row["optimal"]]
        self._attr_available = True
        self._attr_native_value = rows[0]["index"]
        self._attr_extra_state_attributes = {
            "current_period_from": rows[0]["from"],
            "current_period_to": rows[0]["to"],
            "current_period_forecast": rows[0]["intensity"],
            "current_period_index": rows[0]["index"],
            "optimal_window_from": optimal[0]["from"],
            "optimal_window_to": optimal[-1]["to"],
            "unit": "gCO2/kWh",
            "postcode": "SW1",
            "forecast": rows,
        }
