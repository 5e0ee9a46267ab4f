"""The entries of a book: a step function from looks, sessions, refusals and breaches to days."""

from dataclasses import replace
from datetime import datetime

from ..engine.counter import STEP_TOLERANCE_KWH
from ..engine.period import Period, local_day
from ..models import Basis, Kind, Session
from .amounts import charged, exported, generated
from .book import Book, Look, Marks, Midnight, changed, date_of, opened, put_away
from .breaches import Cause, cause_of
from .days import Breach, Day, Refusal, SessionLine

LOOKED_AWAY_S = 300.0


def take(book: Book, look: Look) -> Book:
    """Return the book after a look."""
    period = local_day(look.now, look.zone)
    book = opened(book, period, look.zone)
    book = exported(book, look, period)
    book = generated(book, look, period)
    book = charged(book, look)
    marks = book.marks
    date = date_of(look.now, look.zone)
    book = changed(book, date, lambda day: _decided(_watched(day, marks, look), look))
    midnight = _midnight(marks.midnight, period, look)
    return put_away(replace(book, marks=replace(book.marks, looked=look.now, midnight=midnight)))


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
        book = charged(book, replace(look, session=session))
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

    return changed(book, date_of(session.started, look.zone), written)


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
    return changed(book, today.date, lambda day: replace(day, refusals=(*others, line)))


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
    return changed(
        book, today.date, lambda day: replace(day, breaches=(*day.breaches, line))
    ), cause


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
        allowance_by_hour=_set(day.allowance_by_hour, day.hour_of(look.now), decision.allowance),
    )


def _least(before: float | None, now: float) -> float:
    return now if before is None else min(before, now)


def _set(hours: tuple[float, ...], place: int, value: float) -> tuple[float, ...]:
    if len(hours) > place and hours[place] == value:
        return hours
    last = hours[-1] if hours else value
    known = (*hours, *(last for _ in range(len(hours), place + 1)))
    return (*known[:place], value, *known[place + 1 :])
