"""What a look adds to the amounts of a day: export, PV and charge, each to the day it is of."""

from dataclasses import dataclass, replace
from datetime import timedelta

from ..engine.period import Period, local_day
from ..models import Basis, Kind
from .book import Book, Look, Marks, changed, date_of, with_day
from .days import Correction, Day, Why
from .meters import TOO_LONG, UNWATCHED, Gain, Mark, gain, shares, within

GRAMS = 1000.0
ENOUGH_FLOW_KWH = 0.001
LEAST_WH = 0.00005


def exported(book: Book, look: Look, period: Period) -> Book:
    """Add what the export meter has shown since the last look."""
    marks, meter = book.marks, look.meter
    daily = look.settings.daily_export_counter
    today = book.day(date_of(look.now, look.zone))
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
        book = with_day(book, day, look.zone)
        added = _Added(look, new, part, part * deliberate)
        book = changed(book, date_of(day.start, look.zone), added.to)
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
            exported_by_hour=_added(day.exported_by_hour, day.hour_of(at), kwh),
            carbon_kg=day.carbon_kg + worth * (carbon or 0.0) / GRAMS,
            carbon_kwh=day.carbon_kwh + (0.0 if carbon is None else worth),
            money=day.money + worth * (price or 0.0),
            money_kwh=day.money_kwh + (0.0 if price is None else worth),
        )


def generated(book: Book, look: Look, period: Period) -> Book:
    """Add what the PV meters have shown since the last look."""
    marks = book.marks
    known = marks.pv if len(marks.pv) == len(look.generation) else ()
    kinds = look.settings.daily_pv_counters
    today = book.day(date_of(look.now, look.zone))
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

        book = with_day(book, period, look.zone)
        book = changed(book, date_of(period.start, look.zone), grown)
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


def charged(book: Book, look: Look) -> Book:
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
        changed(book, date_of(look.now, look.zone), paid),
        marks=replace(
            marks,
            charge_started=session.started,
            charge_kwh=max(before, session.charged_kwh),
            carbon_kg=marks.carbon_kg - carbon,
            money=marks.money - cost,
        ),
    )


def _added(hours: tuple[float, ...], place: int, kwh: float) -> tuple[float, ...]:
    known = (*hours, *(0.0 for _ in range(len(hours), place + 1)))
    return (*known[:place], known[place] + kwh, *known[place + 1 :])
