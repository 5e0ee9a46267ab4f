"""Energy counters as sums of accepted steps, and the export between two ticks of the meter.

Daily and lifetime counters are read alike: what counts is the step from one report to the next.
So a counter that resets around midnight, early or late, adds nothing but its own steps.
"""

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ..models import MeterMark
from .clock import WallClock
from .period import Period

MAX_STEP_KWH = 10.0  # specification page 3: a larger step is a fault of the counter
STEP_TOLERANCE_KWH = 0.1  # coarsest resolution among the known counters (AlphaESS PV)
NEAR_ZERO_KWH = 0.5
RESET_WINDOW = timedelta(minutes=15)  # counters were seen to reset up to 5 min off midnight
UNSEEN_MIDNIGHT = timedelta(hours=1)  # far beyond the gaps between reports
HOLD_REPORTS = 3
TICK = timedelta(seconds=60)
HOLD_APART = timedelta(seconds=5)  # one reading can be written several times at once
RESTING_W = 50.0  # a grid sensor's own noise; a counter may rest under it
DEFAULT_LIMIT_W = 50_000.0
FROZEN_STEPS = 2
FROZEN_TICKS = 3
RESTS_AFTER_S = 120.0  # a meter's tick, and another until a poll has shown it
SILENT_AFTER_S = 180.0  # specification page 3: the export counter's limit
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

    def enter(self, period: Period, *, credit: bool = False) -> "CounterSum":
        """Return the sum in the given period: a new one starts from zero.

        A period entered before goes on where it was left, unless it would credit PV of a time
        that a wrong clock took for it.
        """
        if period.start == self.period_start:
            return self
        later = self.period_start is not None and period.start > self.period_start
        known = period.start == self.other_start and not (credit and later)
        return replace(
            self,
            base=self.other_base if known else self.cumulative,
            period_start=period.start,
            seen=False,
            other_start=self.period_start,
            other_base=self.base,
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
    ) -> "CounterSum":
        """Accept one report of the counter.

        `limit_w` is the largest power that can have flowed; `fill_kwh` is what flowed since the
        last report by other evidence, for the part that a reset hides. `credit`: the sum makes
        allowance (PV) and must not be too large; else it uses it up and must not be too small.
        `stepped`: how far our clock was set lately; the counter may keep to the time before.
        """
        this = self.enter(period, credit=credit)
        if reported in (this.reported, this.suspect_at):
            return this
        if this.raw is None or this.reported is None:
            return _first(this, raw, reported, period, daily=daily)
        before, last = this.raw, this.reported
        if reported < last:  # a clock set back says nothing of the time that passed
            last = reported - TICK
            this = replace(this, reported=last)
        feasible = max((reported - last).total_seconds() * limit_w / JOULES_PER_KWH, fill_kwh)
        dark = last < period.start and reported - last > UNSEEN_MIDNIGHT
        if dark and daily and not credit and raw >= before and not _near_start(reported, period):
            this = replace(this, raw=0.0)  # its reset was not seen
        resets = _near_start(reported, period) or _near_start(reported - stepped, period)
        after = _judged(this, raw, reported, period, feasible, fill_kwh, resets=resets)
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
    *,
    resets: bool,
) -> CounterSum:
    step = raw - (this.raw or 0.0)
    if 0 <= step <= min(MAX_STEP_KWH, feasible + STEP_TOLERANCE_KWH):
        return _accept(this, raw, reported, period, step)
    if step < 0 and raw <= NEAR_ZERO_KWH and resets:
        return _accept(this, raw, reported, period, max(raw, fill_kwh))
    return _suspect(this, raw, reported, period, feasible, fill_kwh)


def _first(
    this: CounterSum, raw: float, reported: datetime, period: Period, *, daily: bool
) -> CounterSum:
    # Near midnight a daily counter may still show yesterday's sum: count from here.
    fresh_period = reported - period.start <= RESET_WINDOW
    counted = raw if daily and not fresh_period else 0.0
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


def _suspect(
    this: CounterSum,
    raw: float,
    reported: datetime,
    period: Period,
    feasible: float,
    fill_kwh: float,
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
        before = this.raw if this.raw is not None and raw >= this.raw else 0.0
        step = raw - before
        energy = step if step <= feasible + STEP_TOLERANCE_KWH else fill_kwh
        return _accept(this, raw, reported, period, energy)
    count = this.suspect_reports + 1 if holds else 1
    return replace(this, suspect=raw, suspect_reports=count, suspect_at=reported)


def _near_start(reported: datetime, period: Period) -> bool:
    return (
        abs(reported - period.start) <= RESET_WINDOW or abs(period.end - reported) <= RESET_WINDOW
    )


@dataclass(frozen=True, slots=True)
class Flow:
    """Power going to the grid now (W, never negative).

    `measured` is False where it is the worst case instead of the grid sensor's word.
    """

    export_w: float
    measured: bool
    balance_w: float | None = None
    """What goes out by the other sensors, None where they do not tell."""

    @property
    def told_w(self) -> float | None:
        """What goes out by whatever tells (W): a counter that does not show it is frozen."""
        return self.export_w if self.measured else self.balance_w


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
    """Export told of since the counter last moved (kWh): what a frozen counter hides."""
    owed_since: float | None = None
    """Since when that is more than the counter can hide (monotonic s)."""
    hidden: float = 0.0
    """Export of the period that was told of and never shown (kWh), though nothing flows now."""
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
        """Whether the counter rests, or is silent, although export must have moved it."""
        if self.at is None or not self._owes(meter_step):
            return False
        says_the_same = (
            self.overdue_reports >= FROZEN_TICKS
            and self.overdue_since is not None
            and self.at - self.overdue_since >= FROZEN_AFTER_S
        )
        says_nothing = self.owed_since is not None and self.at - self.owed_since >= SILENT_AFTER_S
        return says_the_same or says_nothing

    def _owes(self, meter_step: float) -> bool:
        """Whether more has flowed out since the last step than the counter can hide."""
        return self.since_step > FROZEN_STEPS * meter_step

    def owing(self, meter_step: float) -> "ExportMeter":
        """Note since when a step is owed: a counter that only reports when it moves may be dead."""
        since = (self.owed_since or self.at) if self._owes(meter_step) else None
        return self if since == self.owed_since else replace(self, owed_since=since)

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
            since_step=self.since_step + self._told(flow) * seconds / JOULES_PER_KWH,
            hidden=self.hidden if counter.period_start == self.counter.period_start else 0.0,
        )

    def _told(self, flow: Flow) -> float:
        """Return the power (W) that was told to go out between two looks, 0 where it may rest."""
        before, now = None if self.flow is None else self.flow.told_w, flow.told_w
        if before is None or now is None:
            return 0.0
        watts = (before + now) / 2
        return watts if watts > RESTING_W else 0.0

    def seen(self, grid_w: float | None, mono: float) -> "ExportMeter":
        """Return the meter after a look at the grid (W, import), None where nothing tells.

        A counter called frozen is acquitted once it may rest: what the sensor showed before may
        have been its own fault, and one that does not have to move can never show that it would.
        What has flowed stays counted.
        """
        if self.deliberate or grid_w is None or grid_w < -RESTING_W:
            return self if self.resting_since is None else replace(self, resting_since=None)
        if self.resting_since is None:
            return replace(self, resting_since=mono)
        accused = self.overdue_since is not None or self.owed_since is not None
        if not accused or mono - self.resting_since < ACQUITTED_S:
            return self
        return replace(
            self,
            since_step=0.0,
            overdue_reports=0,
            overdue_since=None,
            owed_since=None,
            hidden=self.hidden + self.since_step,
        )

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
                ahead=self._at_rest(meter_step) if believed else self.ahead,
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
            hidden=0.0,
            overdue_reports=0,
            overdue_since=None,
            session_gain=gain,
            distrusted=distrusted,
            lag=lag,
        )

    def rested(self, meter_step: float) -> "ExportMeter":
        """Believe a counter that can be read and says nothing: outside a session it rests.

        A meter of the day reports only when it moves. Without a grid sensor all that the battery
        gives the house would else count as exported, for as long as nothing is. What battery, sun
        and house together tell of may have to be shown.
        """
        measured = self.flow is not None and self.flow.measured
        told = measured or self._owes(meter_step)
        if self.deliberate or told or not self.counter.trusted:
            return self if self.told_at is None else replace(self, told_at=None)
        if self.told_at is None or self.at is None or self.told != self.counter.reported:
            return replace(self, told=self.counter.reported, told_at=self.at)
        if self.at - self.told_at < RESTS_AFTER_S:
            return self
        return replace(
            self,
            ahead=self._at_rest(meter_step),
            since_report=0.0,
            last_interval=self.since_report,
            unconfirmed=False,
            told_at=self.at,
        )

    def _at_rest(self, meter_step: float) -> float:
        """Return what a counter that is believed may be behind by (kWh)."""
        return min(self.ahead, max(meter_step, self.hidden))

    def _lag(self, gain: float, meter_step: float) -> float:
        """Return the counter's lag, learnt from how soon it shows what a session lets flow.

        What a lag of L hides is at most what has flowed since the session began less what the
        counter shows of it; the first tick tells most, since the house has taken little yet.
        """
        if not self.deliberate or self.since_report <= 0:
            return self.lag
        hidden = max(0.0, self.session_flow - gain + meter_step)
        return min(self.lag, hidden / self.since_report)
