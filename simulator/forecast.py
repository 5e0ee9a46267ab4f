"""What a solar and a carbon forecaster would say about the plant, on the machine's calendar.

Home Assistant lives on the machine's clock, the plant may stand at another hour. So the sun of
the plant's clock is restated at the machine's: the half hour that Home Assistant calls 09:30
carries the PV that the plant will really make while Home Assistant's clock shows 09:30. Forecast,
counters and "remaining until midnight" then agree whatever hour the demo starts at.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from math import cos, pi
from typing import TYPE_CHECKING, TypedDict

from simulator.profiles import hour_of_day

if TYPE_CHECKING:
    from simulator.profiles import Sun

_SLOT = timedelta(minutes=30)
_SAMPLES = 6
_INDEX = ((25, "very low"), (90, "low"), (170, "moderate"), (230, "high"))
_OPTIMAL_HOURS = 4


class SolarRow(TypedDict):
    """Mean PV power of a half hour, kW, at three percentiles; `period_start` is ISO 8601, UTC."""

    period_start: str
    pv_estimate: float
    pv_estimate10: float
    pv_estimate90: float


# "from" is a keyword, so this one cannot be written as a class.
CarbonRow = TypedDict(
    "CarbonRow", {"from": str, "to": str, "intensity": float, "index": str, "optimal": bool}
)


def _half_hour(moment: datetime) -> datetime:
    """Return the start of the half hour that a moment lies in."""
    return moment.replace(minute=moment.minute // 30 * 30, second=0, microsecond=0)


def solar_rows(
    sun: Sun, *, now: datetime, offset: timedelta, known_since: datetime, factor: float = 1.0
) -> list[SolarRow]:
    """Return half hours from 36 h back to 72 h ahead.

    `offset` is plant clock less machine clock. The median assumes half of what the plant's
    clouds can take, the 90th percentile none, the 10th all of it. Half hours that were over
    before `known_since` have a 10th percentile of 0, as a new Solcast installation shows them.
    """
    first = _half_hour(now.astimezone(UTC)) - timedelta(hours=36)
    rows: list[SolarRow] = []
    for number in range(2 * 108):
        start = first + number * _SLOT
        steps = (start + offset + (i + 0.5) / _SAMPLES * _SLOT for i in range(_SAMPLES))
        clear_kw = factor * sum(sun.clear_w(step) for step in steps) / _SAMPLES / 1000
        known = start + _SLOT > known_since
        rows.append(
            SolarRow(
                period_start=start.isoformat(),
                pv_estimate=round(clear_kw * (1 - sun.cloudiness / 2), 4),
                pv_estimate10=round(clear_kw * (1 - sun.cloudiness), 4) if known else 0.0,
                pv_estimate90=round(clear_kw, 4),
            )
        )
    return rows


def _index(intensity: float) -> str:
    return next((name for limit, name in _INDEX if intensity < limit), "very high")


def carbon_rows(*, now: datetime, offset: timedelta) -> list[CarbonRow]:
    """Return 48 hours of g CO2/kWh, hourly, beginning with the current half hour.

    Cleanest at the plant's 13:00, dirtiest twelve hours later; the cleanest four hours on end
    are marked optimal.
    """
    first = _half_hour(now.astimezone(UTC))
    starts = [first + timedelta(hours=hour) for hour in range(48)]
    hours = [hour_of_day(start + offset) for start in starts]
    values = [round(150.0 - 90.0 * cos(2 * pi * (hour - 13.0) / 24), 1) for hour in hours]
    windows = range(len(values) - _OPTIMAL_HOURS + 1)
    best = min(windows, key=lambda at: sum(values[at : at + _OPTIMAL_HOURS]))
    return [
        {
            "from": start.isoformat(),
            "to": (start + timedelta(hours=1)).isoformat(),
            "intensity": value,
            "index": _index(value),
            "optimal": best <= number < best + _OPTIMAL_HOURS,
        }
        for number, (start, value) in enumerate(zip(starts, values, strict=True))
    ]
