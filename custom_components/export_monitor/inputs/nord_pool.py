"""Day-ahead prices from core's Nord Pool integration, which answers an action.

Fetched in a task of the entry's own, so a market that is slow or down delays nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
import logging
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util

from ..error_handler import (
    BreakerState,
    RetryPolicy,
    SafeServiceCall,
    SensorValidation,
    SourceKind,
)
from ..models import Rate, Rates
from .rates import nord_pool_rates, normalised

DOMAIN: Final = "nordpool"
ACTION: Final = "get_prices_for_date"
SOURCE: Final = f"{DOMAIN}.{ACTION}"
LOOK_EVERY: Final = timedelta(minutes=1)
AGAIN_AFTER_S: Final = 900.0
MARKET_ZONE: Final = "Europe/Oslo"  # its days, and the hour of its auction, are those of CET
PUBLISHED: Final = time(13)
# A server far away may take longer than a battery; it calls a lost connection a refusal.
POLICY: Final = RetryPolicy(attempts=2, timeout_s=30.0, retry_refusals=True)
_LOGGER = logging.getLogger(__name__)


class NordPool:
    """Knows today's prices, and tomorrow's once they are published."""

    def __init__(
        self, call: SafeServiceCall, pool_entry_id: str, validation: SensorValidation
    ) -> None:
        """Fetch nothing yet; `pool_entry_id` is the config entry of Nord Pool."""
        self._call = call
        self._pool_entry_id = pool_entry_id
        self._validation = validation
        self._days: Mapping[date, tuple[Rate, ...]] = {}
        self._slots: tuple[Rate, ...] = ()
        self._tried: float | None = None
        self.lost: datetime | None = None
        """Since when nothing could be fetched (UTC); None while it works."""

    def read(self, now: datetime) -> Rates | None:
        """Return the prices (currency/kWh) while slots are left, None where there are none."""
        left = any(slot.end > now for slot in self._slots)
        if self.lost is not None:
            self._validation.count_outage(SOURCE, cached=left)
        return Rates(self._slots, cached_since=self.lost) if left else None

    @callback
    def start(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Begin to fetch once Home Assistant has started; ends with the entry."""

        @callback
        def look(_: datetime | HomeAssistant) -> None:
            entry.async_create_background_task(hass, self.look(), f"export_monitor {SOURCE}")

        stop: list[CALLBACK_TYPE] = [
            async_at_started(hass, look),
            async_track_time_interval(hass, look, LOOK_EVERY, cancel_on_shutdown=True),
        ]
        for each in stop:
            entry.async_on_unload(each)

    async def look(self) -> None:
        """Fetch the days that are missing, a quarter of an hour after the last attempt at most."""
        zone = await dt_util.async_get_time_zone(MARKET_ZONE)
        now = dt_util.utcnow().astimezone(zone)
        mono = self._call.clock()
        self._days = {day: rates for day, rates in self._days.items() if day >= now.date()}
        missing = [day for day in _wanted(now) if day not in self._days]
        if not missing and self._call.breaker.state is BreakerState.HALF_OPEN:
            missing = [now.date()]  # only another answer closes the circuit, and none is needed
        if not missing or (self._tried is not None and mono - self._tried < AGAIN_AFTER_S):
            return
        self._tried = mono
        for day in missing:
            if not await self._fetch(day):
                return

    async def _fetch(self, day: date) -> bool:
        """Ask for one day; False where there was no answer. A day not yet published is empty."""
        data = {"config_entry": self._pool_entry_id, "date": day.isoformat()}
        result = await self._call.call(DOMAIN, ACTION, data, policy=POLICY, respond=True)
        if not result.ok or result.response is None:
            if self.lost is None:
                self.lost = dt_util.utcnow()
                _LOGGER.warning("No prices from Nord Pool for %s: %s", day, result.detail)
            return False
        if self.lost is not None:
            _LOGGER.info("Nord Pool answers again")
            self.lost = None
        refused: list[object] = []
        rates = nord_pool_rates(result.response, refused)
        self._validation.judge_rows(SOURCE, SourceKind.PRICE, refused)
        if rates:
            self._days = {**self._days, day: rates}
            self._slots = normalised(rate for each in self._days.values() for rate in each)
        return True


def _wanted(now: datetime) -> Iterator[date]:
    yield now.date()
    if now.time() >= PUBLISHED:
        yield now.date() + timedelta(days=1)
