"""Energy counters as sums of accepted steps, and the export between two ticks of the meter.

Daily and lifetime counters are read alike: what counts is the step from one report to the next.
So a counter that resets around midnight, early or late, adds nothing but its own steps.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..models import MeterMark
from .clock import WallClock
from .period import RESET_WINDOW, Period

MAX_STEP_KWH = 10.0  # specification page 3: a larger step is a fault of the counter
STEP_TOLERANCE_KWH = 0.1  # coarsest resolution among the known counters (AlphaESS PV)
NEAR_ZERO_KWH = 0.5
UNSEEN_MIDNIGHT = timedelta(hours=1)  # far beyond the gaps between reports
HOLD_REPORTS = 3
TICK = timedelta(seconds=60)
HOLD_APART = timedelta(seconds=5)  # one reading can be written several times at once
RESTING_W = 50.0  # a grid sensor's own noise; a counter may rest under it
DEFAULT_LIMIT_W = 50_000.0
FROZEN_STEPS = 2
FROZEN_TICKS = 3
RESTS_AFTER_S = 120.0  # a meter's tick, and another until a poll has shown it
FROZEN_AFTER_S = 120.0  # three ticks of a meter that ticks every 60 s, however often it is read
ACQUITTED_S = 90.0  # the last export has shown by then, or will as an ordinary step
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


@dataclass(frozen=True, slots=True)
class Flow:
    """Power going to the grid now (W, never negative).

    `measured` is False where it is the worst case instead of the grid sensor's word.
    """

    export_w: float
    measured: bool


@dataclass(frozen=True, slots=True)
class ExportMeter:
    """The export counter and the energy that has flowed since it last moved.

    `counted` is an upper bound of the true export: the accepted sum plus `ahead`. A counter that
    shows v means a true value in [v, v + step), so the bound starts one step ahead, grows by what
    flows, and is drawn back to the counter at each of its steps.
    """

    counter: CounterSum = CounterSum()
    ahead: float = 0.0
    since_report: float = 0.0
    """Energy that flowed since the counter's last report (kWh)."""
    last_interval: float = 0.0
    """Energy that flowed between its last two reports (kWh)."""
    since_step: float = 0.0
    """Measured export since the counter last moved (kWh): what a frozen counter hides."""
    overdue_reports: int = 0
    """Reports without a step since that export passed what the counter can hide."""
    overdue_since: float | None = None
    resting_since: float | None = None
    """Since when nothing is seen to flow out (monotonic s)."""
    flow: Flow | None = None
    at: float | None = None
    """Monotonic time of the last observation (s)."""
    unconfirmed: bool = False
    """Nobody looked for a while: an unchanged report may be from before."""
    deliberate: bool = False
    """A session is running."""
    session_flow: float = 0.0
    """Energy that flowed at most since the session began (kWh)."""
    session_gain: float = 0.0
    """What the counter has gained since then (kWh)."""
    distrusted: bool = False
    """The counter has gained more in this session than the grid sensor has shown."""
    flowed_in_all: float = 0.0
    """Energy that flowed at most since the meter was first read (kWh)."""
    lag: float = 1.0
    """How far behind the truth a report may be, as a share of the time between two reports."""
    clock: WallClock = field(default_factory=WallClock)
    told: datetime | None = None
    """The last report of the counter, waited on since `told_at` (monotonic s)."""
    told_at: float | None = None

    @property
    def counted(self) -> float:
        """Export in the period as an upper bound (kWh)."""
        return self.counter.total + self.ahead

    @property
    def reading(self) -> float:
        """The same bound on an endless scale (kWh), for differences across midnight."""
        return self.counter.cumulative + self.ahead

    @property
    def mark(self) -> MeterMark:
        """Return where the meter stands now."""
        return MeterMark(self.reading, self.counter.cumulative, self.flowed_in_all)

    def since(self, mark: MeterMark) -> float:
        """Return the export since a mark (kWh), never too little.

        A bound that was too high at the mark is drawn back by a later step, which must not be
        taken for less export since: what flowed counts, up to what the counter leaves possible.
        """
        flowed = self.flowed_in_all - mark.flowed
        possible = self.reading - mark.counter
        return max(0.0, self.reading - mark.reading, min(flowed, possible))

    def frozen(self, meter_step: float) -> bool:
        """Whether the counter rests although measured export must have moved it."""
        return (
            self.since_step > FROZEN_STEPS * meter_step
            and self.overdue_reports >= FROZEN_TICKS
            and self.at is not None
            and self.overdue_since is not None
            and self.at - self.overdue_since >= FROZEN_AFTER_S
        )

    def during(self, *, session: bool) -> "ExportMeter":
        """Return the meter with a session running or not; a beginning one learns the lag anew."""
        if session is self.deliberate:
            return self
        # What flowed before, and may not show yet, will be part of what the counter gains.
        before = self.since_report + self.last_interval
        return replace(
            self,
            deliberate=session,
            session_flow=before,
            session_gain=0.0,
            distrusted=False,
            lag=1.0,
        )

    def flowed(self, flow: Flow, mono: float, period: Period) -> "ExportMeter":
        """Return the meter after the time since the last observation, at `flow` now."""
        counter = self.counter.enter(period)
        if self.at is None or self.flow is None:
            return replace(self, counter=counter, flow=flow, at=mono)
        seconds = max(0.0, mono - self.at)
        before, now = self.flow.export_w, flow.export_w
        measured = self.flow.measured and flow.measured
        watts = (before + now) / 2 if measured else max(before, now)
        energy = watts * seconds / JOULES_PER_KWH
        return replace(
            self,
            counter=counter,
            flow=flow,
            at=mono,
            ahead=self.ahead + energy,
            since_report=self.since_report + energy,
            session_flow=self.session_flow + energy,
            flowed_in_all=self.flowed_in_all + energy,
            since_step=self.since_step + (energy if measured and watts > RESTING_W else 0.0),
        )

    def seen(self, grid_w: float | None, mono: float) -> "ExportMeter":
        """Return the meter after a look at the grid sensor (W, import), None where it is silent.

        A counter called frozen is acquitted once it may rest: what the sensor showed before may
        have been its own fault, and one that does not have to move can never show that it would.
        What has flowed stays counted.
        """
        if self.deliberate or grid_w is None or grid_w < -RESTING_W:
            return self if self.resting_since is None else replace(self, resting_since=None)
        if self.resting_since is None:
            return replace(self, resting_since=mono)
        if self.overdue_since is None or mono - self.resting_since < ACQUITTED_S:
            return self
        return replace(self, since_step=0.0, overdue_reports=0, overdue_since=None)

    def report(
        self,
        raw: float,
        reported: datetime,
        period: Period,
        *,
        daily: bool,
        meter_step: float,
    ) -> "ExportMeter":
        """Accept a report of the counter and draw the bound back to it where it moved.

        Outside a session a counter that reports the same value again is believed; in a session
        without a grid sensor it may as well be frozen.
        """
        counter = self.counter.observe(
            raw,
            reported,
            period,
            daily=daily,
            fill_kwh=self.since_report,
            stepped=self.clock.stepped,
        )
        if counter.reported == self.counter.reported or counter.suspect is not None:
            # No report, or one held back.
            return replace(self, counter=counter)
        step = counter.cumulative - self.counter.cumulative
        if self.counter.raw is None:  # first sight: the part of a step in hand is unknown
            return replace(self, counter=counter, ahead=meter_step, since_report=0.0)
        if step <= 0:
            overdue = self.since_step > FROZEN_STEPS * meter_step
            since = self.at if self.overdue_since is None else self.overdue_since
            believed = not self.deliberate and not (self.flow is not None and self.flow.measured)
            return replace(
                self,
                counter=counter,
                ahead=min(self.ahead, meter_step) if believed else self.ahead,
                since_report=self.since_report if self.unconfirmed else 0.0,
                last_interval=self.since_report,
                unconfirmed=False,
                overdue_reports=self.overdue_reports + 1 if overdue else 0,
                overdue_since=since if overdue else None,
            )
        gain = self.session_gain + step
        ahead = self.ahead - step
        lied_to = self.deliberate and ahead < -meter_step
        distrusted = self.distrusted or lied_to
        lag = 1.0 if distrusted else self._lag(gain, meter_step)
        # A meter that ticks once a minute, read once a minute, is behind by up to one minute.
        most = meter_step + (step if lied_to else lag * self.since_report)
        return replace(
            self,
            counter=counter,
            # What it shows may be a whole step behind, whatever a sensor that reads low has summed.
            ahead=most if ahead < 0 else max(meter_step, min(ahead, most)),
            since_report=0.0,
            last_interval=self.since_report,
            unconfirmed=False,
            since_step=0.0,
            overdue_reports=0,
            overdue_since=None,
            session_gain=gain,
            distrusted=distrusted,
            lag=lag,
        )

    def rested(self, meter_step: float) -> "ExportMeter":
        """Believe a counter that can be read and says nothing: outside a session it rests.

        A meter of the day reports only when it moves. Without a grid sensor all that the battery
        gives the house would else count as exported, for as long as nothing is.
        """
        measured = self.flow is not None and self.flow.measured
        if self.deliberate or measured or not self.counter.trusted:
            return self if self.told_at is None else replace(self, told_at=None)
        if self.told_at is None or self.at is None or self.told != self.counter.reported:
            return replace(self, told=self.counter.reported, told_at=self.at)
        if self.at - self.told_at < RESTS_AFTER_S:
            return self
        return replace(
            self,
            ahead=min(self.ahead, meter_step),
            since_report=0.0,
            last_interval=self.since_report,
            unconfirmed=False,
            told_at=self.at,
        )

    def _lag(self, gain: float, meter_step: float) -> float:
        """Return the counter's lag, learnt from how soon it shows what a session lets flow.

        What a lag of L hides is at most what has flowed since the session began less what the
        counter shows of it; the first tick tells most, since the house has taken little yet.
        """
        if not self.deliberate or self.since_report <= 0:
            return self.lag
        hidden = max(0.0, self.session_flow - gain + meter_step)
        return min(self.lag, hidden / self.since_report)
