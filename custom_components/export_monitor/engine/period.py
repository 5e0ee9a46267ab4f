"""The accounting period: the local calendar day, 23, 24 or 25 hours long."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open interval of aware UTC times."""

    start: datetime
    end: datetime


def local_day(moment: datetime, zone: tzinfo) -> Period:
    """Return the local calendar day that holds an aware moment."""
    return _day(moment.astimezone(zone).date(), zone)


@lru_cache(maxsize=8)  # asked for several times a second
def _day(day: date, zone: tzinfo) -> Period:
    midnight = datetime.combine(day, time.min, zone)
    next_midnight = datetime.combine(day + timedelta(days=1), time.min, zone)
    return Period(midnight.astimezone(UTC), next_midnight.astimezone(UTC))
