"""The accounting period: the local calendar day, 23, 24 or 25 hours long."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

RESET_WINDOW = timedelta(minutes=15)  # counters were seen to reset up to 5 min off midnight


@dataclass(frozen=True, slots=True)
class Period:
    """A half-open interval of aware UTC times."""

    start: datetime
    end: datetime

    def overlaps(self, other: "Period") -> bool:
        """Whether both have some time in common."""
        return self.start < other.end and other.start < self.end

    def ends_near(self, moment: datetime) -> bool:
        """Whether a counter of the day may be reset at the moment, at either end of the period."""
        return min(abs(moment - self.start), abs(self.end - moment)) <= RESET_WINDOW


def local_day(moment: datetime, zone: tzinfo) -> Period:
    """Return the local calendar day that holds an aware moment."""
    return _day(moment.astimezone(zone).date(), zone)


@lru_cache(maxsize=8)  # asked for several times a second
def _day(day: date, zone: tzinfo) -> Period:
    midnight = datetime.combine(day, time.min, zone)
    next_midnight = datetime.combine(day + timedelta(days=1), time.min, zone)
    return Period(midnight.astimezone(UTC), next_midnight.astimezone(UTC))
