"""Energy counters as sums of accepted steps.

Daily and lifetime counters are read alike: what counts is the step from one report to the next.
So a counter that resets around midnight, early or late, adds nothing but its own steps.
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from .period import RESET_WINDOW, Period

MAX_STEP_KWH = 10.0  # specification page 3: a larger step is a fault of the counter
STEP_TOLERANCE_KWH = 0.1  # coarsest resolution among the known counters (AlphaESS PV)
NEAR_ZERO_KWH = 0.5
UNSEEN_MIDNIGHT = timedelta(hours=1)  # far beyond the gaps between reports
HOLD_REPORTS = 3
TICK = timedelta(seconds=60)
HOLD_APART = timedelta(seconds=5)  # one reading can be written several times at once
DEFAULT_LIMIT_W = 50_000.0
JOULES_PER_KWH = 3_600_000.0


@dataclass(frozen=True, slots=True)
class CounterSum:
    """The accepted steps of one energy counter (kWh).

    `cumulative` never falls. `total` is the sum since the period's start.
    """

    raw: float | None = None
    reported: datetime | None = None
    cumulative: float = 0.0
    base: float = 0.0
    period_start: datetime | None = None
    period_end: datetime | None = None
    daily: bool = False
    """`raw` is the sum of the counter's own day."""
    seen: bool = False
    """The counter has reported inside the present period."""
    partial_until: datetime | None = None
    """End of the period whose beginning was missed: a lifetime counter first met in its midst."""
    suspect: float | None = None
    suspect_reports: int = 0
    suspect_at: datetime | None = None
    other_start: datetime | None = None
    """The period that was left last: a clock set back over midnight returns to it."""
    other_base: float = 0.0
    source: str | None = None
    """Which counter it is; None where nobody has said so yet."""

    @property
    def total(self) -> float:
        """Energy accepted in the present period (kWh)."""
        return self.cumulative - self.base

    @property
    def trusted(self) -> bool:
        """Whether the last report was accepted."""
        return self.raw is not None and self.suspect is None

    def partial(self, now: datetime) -> bool:
        """Whether the period's beginning was not seen, so that the total may be too small."""
        return self.partial_until is not None and now < self.partial_until

    def of(self, source: str | None) -> "CounterSum":
        """Return the sum for a counter: another than before is met anew.

        What was accepted of the day stays, for a counter that began only now.
        """
        if source is None or source == self.source:
            return self
        if self.source is None:
            return replace(self, source=source)
        return replace(
            self, source=source, raw=None, reported=None, seen=False, suspect=None, suspect_at=None
        )

    def enter(self, period: Period, *, credit: bool = False) -> "CounterSum":
        """Return the sum in the given period: a new one starts from zero.

        A period entered before goes on where it was left, unless it would credit PV of a time
        that a wrong clock took for it.
        """
        begun, ended = self.period_start, self.period_end
        if period.start == begun:
            return self if period.end == ended else replace(self, period_end=period.end)
        later = begun is not None and period.start > begun
        # A clock that is set goes from one day to another; only another time zone's overlaps.
        if begun is not None and ended is not None and period.overlaps(Period(begun, ended)):
            return self._rezoned(period, credit=credit, later=later)
        known = period.start == self.other_start and not (credit and later)
        return replace(
            self,
            base=self.other_base if known else self.cumulative,
            period_start=period.start,
            period_end=period.end,
            seen=False,
            other_start=begun,
            other_base=self.base,
        )

    def _rezoned(self, period: Period, *, credit: bool, later: bool) -> "CounterSum":
        """Return the sum in the day of another time zone.

        Export stays counted. A daily counter tells the rest; without one the hours by which the
        new day begins earlier are unknown. PV of hours that are not in the new day is no credit.
        """
        seen = self.reported is not None and self.reported >= period.start
        shown = self.raw if self.daily and seen else None
        total, partial_until = self.total, self.partial_until
        if credit:
            total = min(total, shown or 0.0) if later else total
        elif shown is not None and shown > total - STEP_TOLERANCE_KWH:
            total = max(total, shown)
        else:
            partial_until = period.end
        return replace(
            self,
            base=self.cumulative - total,
            period_start=period.start,
            period_end=period.end,
            seen=seen,
            partial_until=partial_until,
        )

    def observe(  # noqa: PLR0913 - all that is known of the report
        self,
        raw: float,
        reported: datetime,
        period: Period,
        *,
        daily: bool,
        limit_w: float = DEFAULT_LIMIT_W,
        fill_kwh: float = 0.0,
        credit: bool = False,
        stepped: timedelta = timedelta(),
        asleep: bool = False,
    ) -> "CounterSum":
        """Accept one report of the counter.

        `limit_w` is the largest power that can have flowed; `fill_kwh` is what flowed since the
        last report by other evidence, for the part that a reset hides. `credit`: the sum makes
        allowance (PV) and must not be too large; else it uses it up and must not be too small.
        `stepped`: how far our clock was set lately; the counter may keep to the time before.
        `asleep`: a counter of the day may not have begun its new one yet.
        """
        this = self.enter(period, credit=credit)
        if reported in (this.reported, this.suspect_at):
            return this
        if this.daily is not daily:
            this = replace(this, daily=daily)
        if this.raw is None or this.reported is None:
            return _first(this, raw, reported, period, daily=daily and not asleep)
        before, last = this.raw, this.reported
        if reported < last:  # a clock set back says nothing of the time that passed
            last = reported - TICK
            this = replace(this, reported=last)
        feasible = max((reported - last).total_seconds() * limit_w / JOULES_PER_KWH, fill_kwh)
        dark = last < period.start and reported - last > UNSEEN_MIDNIGHT
        if dark and daily and not credit and raw >= before and not period.ends_near(reported):
            this = replace(this, raw=0.0)  # its reset was not seen
        resets = period.ends_near(reported) or period.ends_near(reported - stepped)
        anew = _anew(this.raw or 0.0, credit=credit, crossed=last < period.start)
        after = _judged(this, raw, reported, period, feasible, fill_kwh, anew, resets=resets)
        if dark and not daily:  # how much of the step is yesterday's is unknown
            if credit:
                return replace(after, cumulative=this.cumulative)
            return replace(after, partial_until=period.end)
        return after


def _judged(  # noqa: PLR0913 - all that is known of the report
    this: CounterSum,
    raw: float,
    reported: datetime,
    period: Period,
    feasible: float,
    fill_kwh: float,
    anew: float,
    *,
    resets: bool,
) -> CounterSum:
    step = raw - (this.raw or 0.0)
    if 0 <= step <= min(MAX_STEP_KWH, feasible + STEP_TOLERANCE_KWH):
        return _accept(this, raw, reported, period, step)
    if step < 0 and raw <= NEAR_ZERO_KWH and resets:
        return _accept(this, raw, reported, period, max(raw, fill_kwh))
    return _suspect(this, raw, reported, period, feasible, fill_kwh, anew)


def _anew(before: float, *, credit: bool, crossed: bool) -> float:
    """Return the largest value (kWh) that tells of a new beginning, in a counter that fell.

    Above it the counter was corrected, or is another: no energy. Over midnight a fall is expected.
    """
    if crossed:
        return before / 2 if credit else before
    return min(before / 2, NEAR_ZERO_KWH) if credit else before / 2


def _first(
    this: CounterSum, raw: float, reported: datetime, period: Period, *, daily: bool
) -> CounterSum:
    # Near midnight a daily counter may still show yesterday's sum: count from here.
    fresh_period = reported - period.start <= RESET_WINDOW
    counted = max(0.0, raw - this.total) if daily and not fresh_period else 0.0
    partial = None if daily or fresh_period else period.end
    return replace(_accept(this, raw, reported, period, counted), partial_until=partial)


def _accept(
    this: CounterSum, raw: float, reported: datetime, period: Period, energy: float
) -> CounterSum:
    return replace(
        this,
        raw=raw,
        reported=reported,
        cumulative=this.cumulative + energy,
        seen=this.seen or reported >= period.start,
        suspect=None,
        suspect_reports=0,
        suspect_at=None,
    )


def _suspect(  # noqa: PLR0913 - all that is known of the report
    this: CounterSum,
    raw: float,
    reported: datetime,
    period: Period,
    feasible: float,
    fill_kwh: float,
    anew: float,
) -> CounterSum:
    """Hold an implausible value back until it has held for three reports.

    What it then adds is its step where that could have flowed, else only other evidence.
    `reported` stays at the last accepted report, so that the time that passed keeps counting.
    """
    since = timedelta() if this.suspect_at is None else reported - this.suspect_at
    if timedelta() < since < HOLD_APART:
        return this
    holds = this.suspect is not None and 0 <= raw - this.suspect <= feasible + STEP_TOLERANCE_KWH
    if holds and this.suspect_reports + 1 >= HOLD_REPORTS:
        before = this.raw or 0.0
        step = raw if raw < before else raw - before
        told = raw >= before or raw <= anew
        energy = step if told and step <= feasible + STEP_TOLERANCE_KWH else fill_kwh
        return _accept(this, raw, reported, period, energy)
    count = this.suspect_reports + 1 if holds else 1
    return replace(this, suspect=raw, suspect_reports=count, suspect_at=reported)
