"""Solcast's sensors in Solcast's shapes: kWh states, kW half hours with datetime objects."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
import logging
from typing import TYPE_CHECKING, Any

from aiohttp import ClientError
from homeassistant.components.sensor import SensorDeviceClass, SensorEntity
from homeassistant.const import CONF_URL, EntityCategory, UnitOfEnergy
from homeassistant.helpers.aiohttp_client import async_get_clientsession
from homeassistant.helpers.update_coordinator import (
    CoordinatorEntity,
    DataUpdateCoordinator,
    UpdateFailed,
)
from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from collections.abc import Callable

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddEntitiesCallback
    from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

# Solcast is asked ten times a day; here a changed forecast shall show while one watches.
_POLL = timedelta(seconds=30)
_SLOT = timedelta(minutes=30)
_PERCENTILES = ("pv_estimate", "pv_estimate10", "pv_estimate90")

type Row = dict[str, Any]


class Forecast(DataUpdateCoordinator[list[Row]]):
    """The half hours, with `period_start` as local datetime; keeps old ones when a poll fails."""

    def __init__(self, hass: HomeAssistant, url: str) -> None:
        """Poll the simulator at its base address."""
        super().__init__(
            hass,
            logging.getLogger(__name__),
            config_entry=None,
            name="solcast stand-in",
            update_interval=_POLL,
        )
        self._url = f"{url.rstrip('/')}/forecast"
        self.last_polled: datetime | None = None

    async def _async_update_data(self) -> list[Row]:
        try:
            async with asyncio.timeout(5):
                response = await async_get_clientsession(self.hass).get(self._url)
                response.raise_for_status()
                rows: list[Row] = await response.json()
        except (ClientError, TimeoutError) as error:
            raise UpdateFailed(str(error)) from error
        self.last_polled = dt_util.utcnow()
        for row in rows:
            row["period_start"] = dt_util.as_local(datetime.fromisoformat(row["period_start"]))
        return rows

    def day(self, days_ahead: int) -> list[Row]:
        """Return the half hours of a local day."""
        date = dt_util.now().date() + timedelta(days=days_ahead)
        return [row for row in self.data or [] if row["period_start"].date() == date]

    def energy(self, rows: list[Row], key: str = "pv_estimate") -> float:
        """Return the energy (kWh) of half hours at a percentile."""
        return round(sum(float(row[key]) for row in rows) / 2, 4)

    def remaining(self, key: str = "pv_estimate") -> float:
        """Return the energy (kWh) from now to midnight, the running half hour by its rest."""
        now = dt_util.utcnow()
        total = 0.0
        for row in self.day(0):
            rest = (row["period_start"] + _SLOT - now) / _SLOT
            total += row[key] / 2 * min(max(rest, 0.0), 1.0)
        return round(total, 4)


async def async_setup_platform(
    hass: HomeAssistant,
    _config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add the sensors that a controller reads."""
    forecast = Forecast(hass, (discovery_info or {})[CONF_URL])
    await forecast.async_refresh()
    async_add_entities(
        [
            DaySensor(forecast, "today", 0),
            DaySensor(forecast, "tomorrow", 1),
            RemainingSensor(forecast),
            LastPolledSensor(forecast),
        ]
    )


class _SolcastSensor(CoordinatorEntity[Forecast], SensorEntity):
    """Stays available with old values when a fetch fails, as Solcast's own do."""

    def __init__(self, forecast: Forecast, key: str, name: str) -> None:
        """Take the id that Solcast's entity has."""
        super().__init__(forecast)
        self.entity_id = f"sensor.solcast_pv_forecast_{key}"
        self._attr_unique_id = f"solcast_{key}"
        self._attr_name = f"Solcast PV Forecast {name}"

    @property
    def available(self) -> bool:
        """Return whether anything was ever fetched."""
        return bool(self.coordinator.data)


class _EnergySensor(_SolcastSensor):
    _attr_device_class = SensorDeviceClass.ENERGY
    _attr_native_unit_of_measurement = UnitOfEnergy.KILO_WATT_HOUR
    _attr_suggested_display_precision = 2
    # Each is larger than the recorder takes; Solcast leaves them out of it too.
    _unrecorded_attributes = frozenset({"detailedForecast", "detailedHourly"})

    def _estimates(self, energy: Callable[[str], float]) -> dict[str, Any]:
        return {key.removeprefix("pv_"): energy(key) for key in _PERCENTILES}


class DaySensor(_EnergySensor):
    """A day's energy, with its half hours and hours."""

    def __init__(self, forecast: Forecast, key: str, days_ahead: int) -> None:
        """Take the day by its distance from today."""
        super().__init__(forecast, f"forecast_{key}", f"Forecast {key.capitalize()}")
        self._days_ahead = days_ahead

    @property
    def native_value(self) -> float:
        """Return the day's energy, kWh."""
        return self.coordinator.energy(self.coordinator.day(self._days_ahead))

    @property
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return the percentiles (kWh) and the slots (kW)."""
        rows = self.coordinator.day(self._days_ahead)
        return self._estimates(lambda key: self.coordinator.energy(rows, key)) | {
            "dayname": (dt_util.now() + timedelta(days=self._days_ahead)).strftime("%A"),
            "dataCorrect": len(rows) >= 46,  # noqa: PLR2004 - a day of 23 hours
            "detailedForecast": rows,
            "detailedHourly": _hourly(rows),
        }


class RemainingSensor(_EnergySensor):
    """The energy from now to midnight."""

    def __init__(self, forecast: Forecast) -> None:
        """Take the id that Solcast's entity has."""
        super().__init__(forecast, "forecast_remaining_today", "Forecast Remaining Today")

    @property
    def native_value(self) -> float:
        """Return the energy to come today, kWh."""
        return self.coordinator.remaining()

    @property
    def extra_state_attributes(self) -> dict[str, Any]:
        """Return the percentiles, kWh."""
        return self._estimates(self.coordinator.remaining)


class LastPolledSensor(_SolcastSensor):
    """When the forecast was last fetched successfully."""

    _attr_device_class = SensorDeviceClass.TIMESTAMP
    _attr_entity_category = EntityCategory.DIAGNOSTIC

    def __init__(self, forecast: Forecast) -> None:
        """Take the id that Solcast's entity has."""
        super().__init__(forecast, "api_last_polled", "API Last Polled")

    @property
    def native_value(self) -> datetime | None:
        """Return the moment of the last good fetch."""
        return self.coordinator.last_polled


def _hourly(rows: list[Row]) -> list[Row]:
    """Return the means of the two half hours of each hour."""
    return [
        {"period_start": first["period_start"]}
        | {key: round((first[key] + second[key]) / 2, 4) for key in _PERCENTILES}
        for first, second in zip(rows[::2], rows[1::2], strict=False)
    ]
