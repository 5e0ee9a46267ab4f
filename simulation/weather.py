"""What a house in the middle of England sees: sun, clouds, its own load, prices and carbon.

All by seed, nothing is read from anywhere. Power comes by the minute, rates by the half hour.
"""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from itertools import pairwise
from math import pi
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

type Floats = NDArray[np.float64]

MINUTES_PER_SLOT = 30
SLOTS_PER_DAY = 48
LATITUDE = 52.0
TILT = 35.0
LONDON = ZoneInfo("Europe/London")
EDGE_DAYS = 4  # beyond the last day, so that a forecast always has something to speak of
TAIL_DAYS = 2
DAY_SIGMA, SLOT_SIGMA = 0.85, 0.55
DAY_RHO, SLOT_RHO = 0.35, 0.88


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """Sizes of the house. Powers W, energies kWh, SOC %, efficiency of a round trip."""

    pv_peak_w: float = 4800.0
    load_kwh_per_day: float = 8.0
    capacity_kwh: float = 10.0
    battery_w: float = 5000.0
    inverter_w: float = 5000.0
    efficiency: float = 0.9
    floor_soc: float = 10.0
    """Down to here the inverter feeds the house by itself."""
    first_soc: float = 50.0


@dataclass(frozen=True, slots=True)
class Span:
    """The truth of all its days. Arrays by minute (W) or by half hour, from `start` on."""

    start: datetime
    """Local midnight, in UTC."""
    zone: tzinfo
    days: tuple[tuple[datetime, datetime], ...]
    """Local days as intervals in UTC; the last ones are only there to be forecast."""
    counted_days: int
    pv_w: Floats
    load_w: Floats
    clear_w: Floats
    """By half hour: what a cloudless sky would give."""
    cloud_day: Floats
    """By half hour: the day's part of how clear the sky is, standardised."""
    cloud_slot: Floats
    cloud_mean: Floats
    export_price: Floats
    """Currency per kWh, by half hour."""
    import_price: Floats
    carbon: Floats
    """kg CO2 per kWh, by half hour."""

    @property
    def end(self) -> datetime:
        """End of the last day that counts."""
        return self.days[self.counted_days - 1][1]

    @property
    def tail(self) -> datetime:
        """End of the days after it in which every way to run the house is left alone."""
        return self.days[self.counted_days - 1 + TAIL_DAYS][1]

    def slot_of(self, moment: datetime) -> int:
        """Return the half hour that holds a moment."""
        return int((moment - self.start).total_seconds() // 1800)

    def moment_of(self, slot: int) -> datetime:
        """Return when a half hour begins."""
        return self.start + timedelta(minutes=MINUTES_PER_SLOT * slot)

    def mean(self, minutes: Floats) -> Floats:
        """Return the half hours' means."""
        found: Floats = minutes.reshape(-1, MINUTES_PER_SLOT).mean(axis=1)
        return found


def span(
    first: date, days: int, seed: int, house: House, *, steady: bool = False, zone: tzinfo = LONDON
) -> Span:
    """Return the days from `first` on. `steady`: nothing changes within a half hour."""
    rng = np.random.default_rng(seed)
    local = [
        datetime.combine(first + timedelta(days=i), time.min, zone).astimezone(UTC)
        for i in range(days + EDGE_DAYS + 1)
    ]
    start = local[0]
    slots = round((local[-1] - start).total_seconds() / 1800)
    times = [start + timedelta(minutes=MINUTES_PER_SLOT * i) for i in range(slots)]
    here = [moment.astimezone(zone) for moment in times]
    hour = np.array([moment.hour + moment.minute / 60 for moment in here])
    day = np.array([(moment.date() - first).days for moment in here])
    of_year = np.array([moment.timetuple().tm_yday for moment in here], dtype=float)
    season = np.cos(2 * pi * (of_year - 172) / 365.25)
    sky = _sky(rng, day, slots)
    cloud_mean = 0.12 + 0.25 * season
    clearness = _clearness(cloud_mean + sky[0] * DAY_SIGMA + sky[1] * SLOT_SIGMA)
    clear_minute = _clear(start, slots * MINUTES_PER_SLOT) * house.pv_peak_w
    pv = clear_minute * np.repeat(clearness, MINUTES_PER_SLOT) * _flicker(rng, clearness)
    pv = np.minimum(pv, house.pv_peak_w)
    load = _load(rng, hour, day, season, house)
    wind = _ar(rng, int(day[-1]) + 2, 0.6)[day]
    wholesale = _wholesale(rng, hour, season, wind, sky[0])
    peak: Floats = ((hour >= 16) & (hour < 19)).astype(np.float64)  # noqa: PLR2004
    clear = clear_minute.reshape(-1, MINUTES_PER_SLOT).mean(axis=1)
    if steady:
        pv, load = (
            np.repeat(series.reshape(-1, MINUTES_PER_SLOT).mean(axis=1), MINUTES_PER_SLOT)
            for series in (pv, load)
        )
    return Span(
        start=start,
        zone=zone,
        days=tuple(pairwise(local)),
        counted_days=days,
        pv_w=pv,
        load_w=load,
        clear_w=clear,
        cloud_day=sky[0],
        cloud_slot=sky[1],
        cloud_mean=cloud_mean,
        export_price=np.round(0.95 * wholesale + 0.06 * peak, 4),
        import_price=np.round(np.minimum(2.3 * wholesale + 0.12 * peak, 1.0), 4),
        carbon=np.round(_carbon(rng, hour, season, wind, sky[0]) / 1000, 4),
    )


def _ar(rng: np.random.Generator, length: int, rho: float) -> Floats:
    """Return a stationary series of variance 1 whose neighbours correlate by `rho`."""
    shocks = rng.standard_normal(length) * np.sqrt(1 - rho * rho)
    series = np.empty(length)
    before = rng.standard_normal()
    for number in range(length):
        before = rho * before + shocks[number]
        series[number] = before
    return series


def _sky(rng: np.random.Generator, day: NDArray[np.int_], slots: int) -> tuple[Floats, Floats]:
    return _ar(rng, int(day[-1]) + 2, DAY_RHO)[day], _ar(rng, slots, SLOT_RHO)


def _clearness(z: Floats) -> Floats:
    found: Floats = 0.06 + 0.94 * ndtr(z)
    return found


def clearness(z: Floats) -> Floats:
    """Return the share of a cloudless sky's PV that the sky lets through."""
    return _clearness(z)


def _clear(start: datetime, minutes: int) -> Floats:
    """Return a cloudless sky's PV by the minute, as a share of the peak."""
    offset = np.arange(minutes) + 0.5
    first = start.timetuple().tm_yday + start.hour / 24 + start.minute / 1440
    of_year = first + offset / 1440
    declination = np.radians(23.45) * np.sin(2 * pi * (284 + of_year) / 365.25)
    angle = 2 * pi * ((of_year % 1.0) - 0.5)
    latitude, tilt = np.radians(LATITUDE), np.radians(TILT)
    height = np.sin(latitude) * np.sin(declination)
    height = height + np.cos(latitude) * np.cos(declination) * np.cos(angle)
    incidence = np.sin(latitude - tilt) * np.sin(declination)
    incidence = incidence + np.cos(latitude - tilt) * np.cos(declination) * np.cos(angle)
    air_mass = 1 / np.maximum(height, 0.02)
    beam = 1.1 * 0.7 ** (air_mass**0.678)
    found: Floats = np.where(
        height > 0, 0.9 * (beam * np.maximum(incidence, 0.0) + 0.1 * np.maximum(height, 0.0)), 0.0
    )
    return found


def _flicker(rng: np.random.Generator, clear: Floats) -> Floats:
    """Return what passing clouds do within the half hour: most under a broken sky, mean 1."""
    broken = 4 * clear * (1 - clear)
    noise = _ar(rng, len(clear) * MINUTES_PER_SLOT, 0.85).reshape(-1, MINUTES_PER_SLOT)
    factor = np.exp(0.3 * broken[:, None] * noise)
    factor /= factor.mean(axis=1, keepdims=True)
    found: Floats = factor.reshape(-1)
    return found


def _load(
    rng: np.random.Generator, hour: Floats, day: NDArray[np.int_], season: Floats, house: House
) -> Floats:
    """Return the house's load by the minute: a shape, days that differ, and things switched on."""
    shape = 0.45 + 1.0 * np.exp(-(((hour - 7.5) / 1.2) ** 2))
    shape = shape + 1.7 * np.exp(-(((hour - 18.8) / 2.0) ** 2))
    level = np.exp(0.15 * _ar(rng, int(day[-1]) + 2, 0.4))[day]
    slow = np.repeat(shape * level * (1 - 0.12 * season), MINUTES_PER_SLOT)
    slow = slow * np.exp(0.2 * _ar(rng, len(slow), 0.95))
    kettles = np.zeros(len(slow))
    chance = np.repeat(shape, MINUTES_PER_SLOT)
    chance = chance / chance.sum()
    many = round(len(slow) / 1440 * 7)
    for begin in rng.choice(len(slow), many, p=chance):
        kettles[begin : begin + int(rng.integers(3, 25))] += rng.uniform(800, 2200)
    slow *= 1000 / slow.mean()
    mean = house.load_kwh_per_day / 24 * 1000
    kettles *= min(1.0, 0.35 * mean / kettles.mean())
    found: Floats = slow / 1000 * (mean - kettles.mean()) + kettles
    return found


def _wholesale(
    rng: np.random.Generator, hour: Floats, season: Floats, wind: Floats, sun: Floats
) -> Floats:
    """Return a day-ahead price: dear in the evening, cheap in a windy night and at a sunny noon."""
    noon = np.exp(-(((hour - 13.0) / 2.8) ** 2))
    evening = np.exp(-(((hour - 18.0) / 1.8) ** 2))
    morning = np.exp(-(((hour - 8.0) / 1.3) ** 2))
    night = np.exp(-(((hour - 3.5) / 2.5) ** 2))
    pence = 8.0 - 1.0 * season - 2.3 * wind + 3.6 * evening + 1.5 * morning - 2.2 * night
    pence = pence - noon * (1.5 + 1.5 * season) * (1 + 0.6 * sun)
    found: Floats = (pence + 0.5 * _ar(rng, len(hour), 0.7)) / 100
    return found


def _carbon(
    rng: np.random.Generator, hour: Floats, season: Floats, wind: Floats, sun: Floats
) -> Floats:
    noon = np.exp(-(((hour - 13.0) / 3.0) ** 2))
    evening = np.exp(-(((hour - 18.5) / 2.0) ** 2))
    grams = 150 - 15 * season - 45 * wind + 45 * evening
    grams = grams - noon * (25 + 25 * season) * (1 + 0.5 * sun) + 6 * _ar(rng, len(hour), 0.9)
    found: Floats = np.maximum(grams, 15.0)
    return found
