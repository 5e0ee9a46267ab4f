"""Half-hourly rates of import and export, today's and, from 16:00 on, tomorrow's."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from math import cos, pi
from typing import TYPE_CHECKING, override

from homeassistant.components.event import EventEntity
from homeassistant.core import callback
from homeassistant.helpers.event import async_track_time_change
from homeassistant.util import dt as dt_util

if TYPE_CHECKING:
    from collections.abc import Iterator

    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.entity_platform import AddEntitiesCallback
    from homeassistant.helpers.typing import ConfigType, DiscoveryInfoType

SLOT = timedelta(minutes=30)
PUBLISHED_HOUR = 16
METERS = {"": (0.24, 0.07, 0.14), "export_": (0.12, 0.05, 0.12)}
"""By direction: mean, swing over the day, and what is on top from 16:00 to 19:00 (GBP/kWh)."""


async def async_setup_platform(
    _hass: HomeAssistant,
    _config: ConfigType,
    async_add_entities: AddEntitiesCallback,
    _discovery_info: DiscoveryInfoType | None = None,
) -> None:
    """Add an entity for each direction and day."""
    async_add_entities(Rates(direction, ahead) for direction in METERS for ahead in (0, 1))


class Rates(EventEntity):
    """One day's rates of one meter."""

    _attr_should_poll = False
    _unrecorded_attributes = frozenset({"rates"})

    def __init__(self, direction: str, ahead: int) -> None:
        """Choose the meter, and today or tomorrow."""
        kind = f"{direction}{'next' if ahead else 'current'}_day_rates"
        self._direction, self._ahead = direction, ahead
        self._attr_name = f"{kind.replace('_', ' ').capitalize()} (21L1/1200)"
        self._attr_unique_id = f"octopus_energy_electricity_21l1_1200_{kind}"
        self.entity_id = f"event.{self._attr_unique_id}"
        self._attr_event_types = [f"octopus_energy_electricity_{kind}"]

    @override
    async def async_added_to_hass(self) -> None:
        await super().async_added_to_hass()
        self.async_on_remove(
            async_track_time_change(self.hass, self._publish, minute=(0, 30), second=5)
        )
        self._publish(dt_util.now())

    @callback
    def _publish(self, now: datetime) -> None:
        local = dt_util.as_local(now)
        known = not self._ahead or local.hour >= PUBLISHED_HOUR
        rates = list(self._of(local.date() + timedelta(days=self._ahead))) if known else []
        self._trigger_event(self.event_types[0], {"rates": rates})
        self.async_write_ha_state()

    def _of(self, day: date) -> Iterator[dict[str, object]]:
        """Yield the rows of a local day, which may have 46 or 50 half hours."""
        mean, swing, peak = METERS[self._direction]
        start = dt_util.as_utc(dt_util.start_of_local_day(day))
        end = dt_util.as_utc(dt_util.start_of_local_day(day + timedelta(days=1)))
        while start < end:
            local = dt_util.as_local(start)
            hour = local.hour + local.minute / 60
            value = mean - swing * cos(2 * pi * (hour - 3.0) / 24)
            value += peak if 16 <= local.hour < 19 else 0.0  # noqa: PLR2004
            yield {
                "start": local,
                "end": dt_util.as_local(start + SLOT),
                "value_inc_vat": round(value, 4),
                "is_capped": False,
            }
            start += SLOT
