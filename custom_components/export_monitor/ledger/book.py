"""The book itself: a step function from looks, sessions and refusals to days."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from ..engine.metering import STEP_TOLERANCE_KWH, CounterSum, ExportMeter
from ..engine.period import Period, local_day
from ..models import Basis, Decision, Kind, Session, Settings
from .breaches import Cause, cause_of
from .days import HOUR_S, Breach, Correction, Day, Refusal, SessionLine, Why
from .meters import TOO_LONG, UNWATCHED, Gain, Mark, gain, shares, within
from .pack import pack

type Change = Callable[[Day], Day]

RECENT_DAYS = 3
"""Days that can still change; older ones are text."""
LOOKED_AWAY_S = 300.0
GRAMS = 1000.0
ENOUGH_FLOW_KWH = 0.001
LEAST_WH = 0.00005


@dataclass(frozen=True, slots=True)
class Midnight:
    """What had flowed at the last look of a day, and its meter not yet shown."""

    end: datetime
    pending: float


@dataclass(frozen=True, slots=True)
class Marks:
    """How far the book has been written."""

    looked: datetime | None = None
    export: Mark | None = None
    pv: tuple[Mark, ...] = ()
    midnight: Midnight | None = None
    charge_started: datetime | None = None
    charge_kwh: float = 0.0
    carbon_kg: float = 0.0
    """Gains of all days, for statistics that must not fall when old days are put away."""
    money: float = 0.0


@dataclass(frozen=True, slots=True)
class Book:
    """All days: `archive` as text, the oldest first, then the recent ones."""

    marks: Marks = Marks()
    recent: tuple[Day, ...] = ()
    archive: tuple[str, ...] = ()

    def day(self, date: str) -> Day | None:
        """Return the recent day of a date."""
        return next((day for day in self.recent if day.date == date), None)

    @property
    def today(self) -> Day | None:
        """The day that was looked at last."""
        looked = self.marks.looked
        return None if looked is None else self.at(looked)

    def at(self, moment: datetime) -> Day | None:
        """Return the recent day that holds a moment."""
        return next((day for day in reversed(self.recent) if day.start <= moment), None)


@dataclass(frozen=True, slots=True)
class Look:
    """What the record sees of the controller at a moment."""

    now: datetime
    settings: Settings
    meter: ExportMeter
    generation: tuple[CounterSum, ...]
    decision: Decision | None
    """None while it does not rest on complete data."""
    session: Session | None = None
    last: Session | None = None
    export_w: float | None = None
    """Measured at the grid."""
    carbon: float | None = None
    """g CO2/kWh."""
    export_price: float | None = None
    import_price: float | None = None
    begins_anew: frozenset[str] = frozenset()
    """Meters that the controller has just read for the first time: "export", "pv0", "pv1" ..."""

    @property
    def zone(self) -> tzinfo:
        """The zone whose midnights part the days."""
        return self.settings.timezone


def take(book: Book, look: Look) -> Book:
    """Return the book after a look."""
    period = local_day(look.now, look.zone)
    book = _opened(book, period, look.zone)
    book = _exported(book, look, period)
    book = _generated(book, look, period)
    book = _charged(book, look)
    marks = book.marks
    date = _date(look.now, look.zone)
    book = _changed(book, date, lambda day: _decided(_watched(day, marks, look), look))
    midnight = _midnight(marks.midnight, period, look)
    return _put_away(replace(book, marks=replace(book.marks, looked=look.now, midnight=midnight)))


def _midnight(before: Midnight | None, period: Period, look: Look) -> Midnight | None:
    """Remember what is under way while the day lasts; keep it until the meter has shown it."""
    if before is not None and before.end == period.start:
        reported = look.meter.counter.reported
        if reported is None or reported < period.start:
            return before
    measured = look.meter.flow is not None and look.meter.flow.measured
    return Midnight(period.end, look.meter.since_report) if measured else None


def ended(book: Book, session: Session, look: Look) -> Book:
    """Write a session down whose end is proven; one that was written before is replaced."""
    book = take(book, look)
    if session.kind is Kind.CHARGE:
        book = _charged(book, replace(look, session=session))
    line = SessionLine(
        kind=session.kind.value,
        origin=session.origin.value,
        started=session.started,
        ended=session.ended or look.now,
        power_w=session.power_w,
        kwh=session.charged_kwh if session.kind is Kind.CHARGE else session.exported_kwh,
        reason="" if session.reason is None else session.reason.value,
    )

    def written(day: Day) -> Day:
        others = tuple(each for each in day.sessions if _apart(each, line))
        return replace(day, sessions=(*others, line))

    return _changed(book, _date(session.started, look.zone), written)


def _apart(one: SessionLine, other: SessionLine) -> bool:
    return one.kind != other.kind or abs((one.started - other.started).total_seconds()) >= 1


def refused(book: Book, reason: str, at: datetime) -> Book:
    """Count a start that was refused, or that failed."""
    today = book.at(at)
    if today is None:
        return book
    before = next((each for each in today.refusals if each.reason == reason), None)
    others = tuple(each for each in today.refusals if each.reason != reason)
    line = (
        Refusal(reason, 1, at, at)
        if before is None
        else replace(before, count=before.count + 1, last=at)
    )
    return _changed(book, today.date, lambda day: replace(day, refusals=(*others, line)))


def breached(
    book: Book, at: datetime, *, jumped: bool, running: bool, unstopped: bool = False
) -> tuple[Book, Cause | None]:
    """Write a breach down with its cause; what is known of it as for `cause_of`."""
    today = book.at(at)
    if today is None:
        return book, None
    cause = cause_of(today, jumped=jumped, running=running, unstopped=unstopped)
    sessions = sum(each.kind == Kind.DISCHARGE for each in today.sessions) + running
    line = Breach(at, today.exported, today.contract or 0.0, cause.value, sessions)
    return _changed(
        book, today.date, lambda day: replace(day, breaches=(*day.breaches, line))
    ), cause


def _opened(book: Book, period: Period, zone: tzinfo) -> Book:
    """Open the day of a moment, unless it is put away: the clock was set back by days."""
    if book.archive and book.recent and period.start < book.recent[0].start:
        return book
    return _with_day(book, period, zone)


def _new(period: Period, zone: tzinfo) -> Day:
    hours = round((period.end - period.start).total_seconds() / HOUR_S)
    return Day(_date(period.start, zone), period.start, hours)


def _date(moment: datetime, zone: tzinfo) -> str:
    """Return the local date: what a day is known by, also when the zone was changed in it."""
    return moment.astimezone(zone).date().isoformat()


def _put_away(book: Book) -> Book:
    old, recent = book.recent[:-RECENT_DAYS], book.recent[-RECENT_DAYS:]
    if not old:
        return book
    return replace(book, recent=recent, archive=(*book.archive, *(pack(day) for day in old)))


def _changed(book: Book, date: str, change: Change) -> Book:
    """Change the recent day of a date; one that is put away stays as it is."""
    recent = tuple(change(day) if day.date == date else day for day in book.recent)
    return replace(book, recent=recent)


def _exported(book: Book, look: Look, period: Period) -> Book:
    marks, meter = book.marks, look.meter
    daily = look.settings.daily_export_counter
    today = book.day(_date(look.now, look.zone))
    so_far = 0.0 if today is None else today.exported
    anew = "export" in look.begins_anew
    new = gain(marks.export, meter.counter, period, so_far, daily=daily, anew=anew)
    if new is None:
        return book
    book = replace(book, marks=replace(marks, export=new.mark))
    if new.kwh <= 0:
        return book
    deliberate = new.kwh * _deliberate(look, new)
    for day, part in _parts(book, look, new, _before_midnight(marks, look, new)):
        book = _with_day(book, day, look.zone)
        added = _Added(look, new, part, part * deliberate)
        book = _changed(book, _date(day.start, look.zone), added.to)
    marks = book.marks
    return replace(
        book,
        marks=replace(
            marks,
            carbon_kg=marks.carbon_kg + deliberate * (look.carbon or 0.0) / GRAMS,
            money=marks.money + deliberate * (look.export_price or 0.0),
        ),
    )


def _deliberate(look: Look, new: Gain) -> float:
    """Return which part of a step came while a discharge of ours ran."""
    parts = [
        within(each.started, each.ended or look.now, new.since, new.until)
        for each in (look.session, look.last)
        if each is not None and each.kind is Kind.DISCHARGE
    ]
    return min(1.0, sum(parts))


def _before_midnight(marks: Marks, look: Look, new: Gain) -> float | None:
    """Return which part of a step had flowed before midnight; None where nobody measured it."""
    midnight, flowed = marks.midnight, look.meter.last_interval
    if midnight is None or new.until - new.since > UNWATCHED or flowed < ENOUGH_FLOW_KWH:
        return None
    if not new.since < midnight.end < new.until:
        return None
    return min(1.0, midnight.pending / flowed)


def _parts(book: Book, look: Look, new: Gain, before: float | None) -> list[tuple[Period, float]]:
    """Return which part of a step is of which day, the oldest first."""
    if new.until - new.since > TOO_LONG:
        return [(local_day(look.now, look.zone), 1.0)]
    found = [(each.period, each.part) for each in shares(new.since, new.until, look.zone)]
    if before is not None and len(found) == 2:  # noqa: PLR2004 - one midnight
        found = [(found[0][0], before), (found[1][0], 1 - before)]
    today, oldest = local_day(look.now, look.zone), book.recent[0].start
    if book.archive and today.start < oldest:  # set back beyond what can still change
        return [(local_day(oldest, look.zone), 1.0)]
    if new.until > look.now or any(period.start > today.start for period, _ in found):
        return [(today, 1.0)]  # of a clock that was wrong
    if found[0][0].start < oldest and not book.archive:
        return [(today, 1.0)]  # before the record began
    known = [(period, part) for period, part in found if period.start >= oldest and part > 0]
    lost = 1 - sum(part for _, part in known)
    first, part = known[0] if known else (today, 0.0)
    return [(first, part + lost), *known[1:]]


def _with_day(book: Book, period: Period, zone: tzinfo) -> Book:
    """Open a day in between that nobody looked at."""
    if book.day(_date(period.start, zone)) is not None:
        return book
    days = sorted((*book.recent, _new(period, zone)), key=lambda day: day.start)
    return replace(book, recent=tuple(days))


@dataclass(frozen=True, slots=True)
class _Added:
    """A part of a step, on its way to its day."""

    look: Look
    new: Gain
    part: float
    deliberate: float

    def to(self, day: Day) -> Day:
        look, kwh = self.look, self.new.kwh * self.part
        day = _corrected(day, self.look, self.new, exported=kwh)
        at = min(max(look.now, day.start), day.start + timedelta(hours=day.hours, seconds=-1))
        carbon, price = look.carbon, look.export_price
        worth = self.deliberate
        return replace(
            day,
            exported=day.exported + kwh,
            deliberate=day.deliberate + worth,
            exported_by_hour=_added(day.exported_by_hour, _hour(day, at), kwh),
            carbon_kg=day.carbon_kg + worth * (carbon or 0.0) / GRAMS,
            carbon_kwh=day.carbon_kwh + (0.0 if carbon is None else worth),
            money=day.money + worth * (price or 0.0),
            money_kwh=day.money_kwh + (0.0 if price is None else worth),
        )


def _generated(book: Book, look: Look, period: Period) -> Book:
    marks = book.marks
    known = marks.pv if len(marks.pv) == len(look.generation) else ()
    kinds = look.settings.daily_pv_counters
    today = book.day(_date(look.now, look.zone))
    so_far = 0.0 if today is None else today.generated
    kept: list[Mark] = []
    for number, counter in enumerate(look.generation):
        daily = number >= len(kinds) or kinds[number]
        mark, anew = known[number] if known else None, f"pv{number}" in look.begins_anew
        new = gain(mark, counter, period, so_far, daily=daily, anew=anew)
        if new is None:
            return book  # they are marked together
        if not known:
            so_far = max(0.0, so_far - counter.total)
        if not known and marks.pv:
            new = replace(new, kwh=0.0)  # other sensors than before: what they have shown is known
        kept.append(new.mark)
        if new.kwh > 0:
            book = _with_pv(book, look, new)
    return replace(book, marks=replace(book.marks, pv=tuple(kept)))


def _with_pv(book: Book, look: Look, new: Gain) -> Book:
    for period, part in _parts(book, look, new, None):
        kwh = new.kwh * part

        def grown(day: Day, kwh: float = kwh) -> Day:
            day = _corrected(day, look, new, generated=kwh)
            over = day.start + timedelta(hours=day.hours) <= look.now
            late = over and day.basis != Basis.FIXED and day.contract is not None
            contract = (day.contract or 0.0) + kwh if late else day.contract
            return replace(day, generated=day.generated + kwh, contract=contract)

        book = _with_day(book, period, look.zone)
        book = _changed(book, _date(period.start, look.zone), grown)
    return book


def _corrected(
    day: Day, look: Look, new: Gain, *, exported: float = 0.0, generated: float = 0.0
) -> Day:
    """Note what is added to a day that is over, or for a time that nobody watched."""
    over = day.start + timedelta(hours=day.hours) <= look.now
    crossed = local_day(new.since, look.zone) != local_day(new.until, look.zone)
    unwatched = crossed and new.until - new.since > UNWATCHED
    if not (over or unwatched) or exported + generated < LEAST_WH:
        return day
    why = Why.UNWATCHED if unwatched else Why.LATE_METER
    before = next((c for c in day.corrections if c.why is why), Correction(why, look.now))
    others = tuple(c for c in day.corrections if c.why is not why)
    line = Correction(why, look.now, before.exported + exported, before.generated + generated)
    return replace(day, corrections=(*others, line))


def _charged(book: Book, look: Look) -> Book:
    """Add what a charge of ours has taken from the grid since the last look."""
    session, marks = look.session, book.marks
    if session is None or session.kind is not Kind.CHARGE:
        return book
    before = marks.charge_kwh if marks.charge_started == session.started else 0.0
    new = max(0.0, session.charged_kwh - before)
    carbon = new * (look.carbon or 0.0) / GRAMS
    cost = new * (look.import_price or 0.0)

    def paid(day: Day) -> Day:
        return replace(
            day,
            charged=day.charged + new,
            carbon_kg=day.carbon_kg - carbon,
            money=day.money - cost,
        )

    return replace(
        _changed(book, _date(look.now, look.zone), paid),
        marks=replace(
            marks,
            charge_started=session.started,
            charge_kwh=max(before, session.charged_kwh),
            carbon_kg=marks.carbon_kg - carbon,
            money=marks.money - cost,
        ),
    )


def _watched(day: Day, marks: Marks, look: Look) -> Day:
    """Add the time since the last look, and the largest power."""
    seconds = 0.0
    if marks.looked is not None:
        seconds = (look.now - max(marks.looked, day.start)).total_seconds()
        if not 0 <= seconds <= LOOKED_AWAY_S:
            seconds = 0.0
    peak = day.peak_w
    if look.export_w is not None:
        peak = max(peak or 0.0, round(look.export_w), 0.0)
    return replace(day, watched_s=day.watched_s + seconds, peak_w=peak)


def _decided(day: Day, look: Look) -> Day:
    """Take over what the controller works with."""
    decision, settings = look.decision, look.settings
    if decision is None:
        return day
    coarse = STEP_TOLERANCE_KWH * max(1, len(look.generation))
    fixed = decision.basis is Basis.FIXED
    slack = day.slack
    if look.session is not None and look.session.kind is Kind.DISCHARGE:
        left = max(0.0, decision.export_left)
        slack = left if slack is None else min(slack, left)
    return replace(
        day,
        basis=decision.basis.value,
        period=settings.period.value,
        contract=decision.contract,
        highest_contract=max(day.highest_contract or 0.0, decision.contract),
        allowance=decision.allowance,
        least_allowance=_least(day.least_allowance, decision.allowance),
        headroom=decision.headroom,
        margin=settings.safety_margin_kwh,
        tolerance=settings.meter_step_kwh if fixed else coarse,
        slack=slack,
        allowance_by_hour=_set(day.allowance_by_hour, _hour(day, look.now), decision.allowance),
    )


def _least(before: float | None, now: float) -> float:
    return now if before is None else min(before, now)


def _hour(day: Day, at: datetime) -> int:
    return min(max(int((at - day.start).total_seconds() // HOUR_S), 0), day.hours - 1)


def _added(hours: tuple[float, ...], place: int, kwh: float) -> tuple[float, ...]:
    known = (*hours, *(0.0 for _ in range(len(hours), place + 1)))
    return (*known[:place], known[place] + kwh, *known[place + 1 :])


def _set(hours: tuple[float, ...], place: int, value: float) -> tuple[float, ...]:
    if len(hours) > place and hours[place] == value:
        return hours
    last = hours[-1] if hours else value
    known = (*hours, *(last for _ in range(len(hours), place + 1)))
    return (*known[:place], value, *known[place + 1 :])
