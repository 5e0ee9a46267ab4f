"""The house's usual load, learnt from the recorder's long-term statistics."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo
import logging
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.const import UnitOfPower
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.recorder import get_instance
from homeassistant.helpers.start import async_at_started
from homeassistant.util import dt as dt_util

from ..models import HALF_HOURS, LoadProfile, LoadSource, is_weekend

RECORDER: Final = "recorder"
LOOK_BACK: Final = timedelta(days=28)
LEARN_EVERY: Final = timedelta(days=1)
LEAST_HOURS: Final = 72  # three days: fewer say more of the weather than of the house
LEAST_DATES: Final = 14  # from two weeks on, workdays and weekends are told apart
HIGHEST_W: Final = 50_000.0
QUARTER: Final = timedelta(minutes=15)
HALF_HOUR: Final = timedelta(minutes=30)
_LOGGER = logging.getLogger(__name__)

type HourlyMeans = Iterable[tuple[datetime, float]]
"""Start of an hour (aware) and the mean power (W) in it."""


def profile_of(means: HourlyMeans, zone: tzinfo) -> LoadProfile | None:
    """Return the mean load by local half hour, None where too little is known.

    An hour counts for the two half hours whose middles it holds, so time zones that are off by
    30 or 45 minutes need no special case.
    """
    seen: list[tuple[datetime, float]] = []
    for start, watts in means:
        if 0 <= watts <= HIGHEST_W:
            local = (start + QUARTER).astimezone(zone), (start + QUARTER + HALF_HOUR)
            seen += [(local[0], watts), (local[1].astimezone(zone), watts)]
    if len(seen) < 2 * LEAST_HOURS:
        return None
    overall = sum(watts for _, watts in seen) / len(seen)
    everyday = _means(seen, [overall] * HALF_HOURS)
    if len({moment.date() for moment, _ in seen}) < LEAST_DATES:
        return LoadProfile(everyday, everyday, LoadSource.STATISTICS)
    return LoadProfile(
        _means([each for each in seen if not is_weekend(each[0])], everyday),
        _means([each for each in seen if is_weekend(each[0])], everyday),
        LoadSource.STATISTICS,
    )


def _means(seen: HourlyMeans, otherwise: Iterable[float]) -> tuple[float, ...]:
    sums, counts = [0.0] * HALF_HOURS, [0] * HALF_HOURS
    for moment, watts in seen:
        index = LoadProfile.index(moment)
        sums[index] += watts
        counts[index] += 1
    return tuple(
        total / count if count else default
        for total, count, default in zip(sums, counts, otherwise, strict=True)
    )


class HouseLoad:
    """Learns the profile after the start and once a day; keeps the last one that was learnt."""

    def __init__(self, entity_id: str) -> None:
        """Take the power sensor of the house; nothing is learnt yet."""
        self._entity_id = entity_id
        self.profile: LoadProfile | None = None
        """What was learnt, None before."""
        self.looked = False
        """Whether the statistics have been asked at all."""

    @callback
    def start(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Learn once Home Assistant has started, then daily; ends with the entry."""

        @callback
        def learn(_: datetime | HomeAssistant) -> None:
            entry.async_create_background_task(hass, self.learn(hass), "export_monitor house load")

        entry.async_on_unload(async_at_started(hass, learn))
        entry.async_on_unload(
            async_track_time_interval(hass, learn, LEARN_EVERY, cancel_on_shutdown=True)
        )

    async def learn(self, hass: HomeAssistant) -> None:
        """Ask the recorder; where it has nothing, what was learnt before stays."""
        means = await _hourly_means(hass, self._entity_id)
        found = profile_of(means, dt_util.get_default_time_zone())
        self.profile = found or self.profile
        self.looked = True


async def _hourly_means(hass: HomeAssistant, entity_id: str) -> list[tuple[datetime, float]]:
    if RECORDER not in hass.config.components:
        return []
    # Its requirements are installed with it, so it can be imported only where it is in use.
    from homeassistant.components.recorder.statistics import (  # noqa: PLC0415
        statistics_during_period,
    )

    def ask() -> Mapping[str, Iterable[Mapping[str, object]]]:
        start = dt_util.utcnow() - LOOK_BACK
        units: dict[str, str] = {"power": UnitOfPower.WATT}
        return statistics_during_period(hass, start, None, {entity_id}, "hour", units, {"mean"})

    try:
        found = await get_instance(hass).async_add_executor_job(ask)
    except Exception as error:  # noqa: BLE001 - whatever a broken database raises
        _LOGGER.warning("The statistics of %s cannot be read: %r", entity_id, error)
        return []
    return [
        (dt_util.utc_from_timestamp(float(start)), float(mean))
        for row in found.get(entity_id, ())
        if isinstance(start := row.get("start"), int | float)
        and isinstance(mean := row.get("mean"), int | float)
    ]
