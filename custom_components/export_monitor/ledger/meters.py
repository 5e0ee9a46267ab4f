"""What counters have gained since the record last looked, and of which day that is.

The controller's sums decide; the record only asks whose day a step belongs to. A step that comes
after midnight is of the time since the report before it, and so, in part, of yesterday.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from ..engine.counter import DEFAULT_LIMIT_W, JOULES_PER_KWH, CounterSum
from ..engine.period import Period, local_day

TICK = timedelta(seconds=60)
UNWATCHED = timedelta(minutes=15)
"""Beyond that nobody can say when in the time between two reports the energy flowed."""
SAME_KWH = 0.005
TOO_LONG = timedelta(days=400)
"""A longer time between two reports is a clock that was wrong, and not to be shared out."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Where a counter stood when it was last written down."""

    cumulative: float
    raw: float
    reported: datetime


def mark_of(counter: CounterSum) -> Mark | None:
    """Return where a counter stands; None while it has never been read."""
    if counter.raw is None or counter.reported is None:
        return None
    return Mark(counter.cumulative, counter.raw, counter.reported)


@dataclass(frozen=True, slots=True)
class Gain:
    """What is new of a counter (kWh), and since when it must have come."""

    kwh: float
    since: datetime
    until: datetime
    mark: Mark


def gain(
    mark: Mark | None,
    counter: CounterSum,
    period: Period,
    so_far: float,
    *,
    daily: bool,
    anew: bool = False,
) -> Gain | None:
    """Return what is new since the mark; None where there is nothing to be read.

    Without a mark it is all of the period that is not recorded yet (`so_far`, kWh).
    A controller that was restored from an older file counts again what was counted before: nothing
    is new until it is past the mark. For one that began `anew` the meter itself tells what is new.
    """
    now = mark_of(counter)
    if now is None:
        return None
    total = counter.total if counter.period_start == period.start else 0.0
    if mark is None:
        return Gain(max(0.0, total - so_far), now.reported, now.reported, now)
    new = now.cumulative - mark.cumulative
    if new >= 0 and not anew:
        return Gain(new, mark.reported, now.reported, now)
    older = not anew and now.reported <= mark.reported
    if older or (not anew and abs(new - (now.raw - mark.raw)) <= SAME_KWH):
        return Gain(0.0, now.reported, now.reported, mark)
    since, shown = mark.reported, max(0.0, now.raw - mark.raw)
    if daily and since < period.start:
        since, shown = period.start, total
    seconds = max(0.0, (now.reported - since).total_seconds())
    if shown > seconds * DEFAULT_LIMIT_W / JOULES_PER_KWH:
        shown = 0.0  # another meter than before
    return Gain(shown, since, now.reported, now)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a step that is of one day, from 0 to 1."""

    period: Period
    part: float


def shares(since: datetime, until: datetime, zone: tzinfo) -> Iterator[Share]:
    """Share a time out to its days; the last moment alone is of the day that it ends."""
    if until <= since:
        yield Share(local_day(until, zone), 1.0)
        return
    whole = (until - since).total_seconds()
    period = local_day(since, zone)
    while period.start < until:
        begin, end = max(since, period.start), min(until, period.end)
        yield Share(period, (end - begin).total_seconds() / whole)
        period = local_day(period.end, zone)


def within(begin: datetime, end: datetime, since: datetime, until: datetime) -> float:
    """Return how much of the last tick before `until` lay between `begin` and `end` (0 to 1).

    A counter that rested before a session began shows nothing of that rest in its next step.
    """
    since = max(since, until - TICK)
    if until <= since:
        return 1.0 if begin <= until <= end else 0.0
    both = (min(end, until) - max(begin, since)).total_seconds()
    return max(0.0, both) / (until - since).total_seconds()
