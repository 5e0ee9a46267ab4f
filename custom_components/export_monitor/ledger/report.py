"""Days as figures for a service, as one summary, and as a table for a spreadsheet."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
import csv
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import lru_cache
import io

from .advice import Advice, advise
from .book import Book
from .days import Day
from .pack import unpack

type Value = dict[str, Value] | list[Value] | str | int | float | None
type Figures = dict[str, Value]

ENERGY = 3
LONGEST = 36_600  # days; a century
FORMULA = ("=", "+", "-", "@", "\t", "\r")
"""What a spreadsheet takes a cell for a formula by."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What the record has of a span of days."""

    start: date
    end: date
    """The last day, included."""
    days: tuple[Day, ...]
    missing: tuple[str, ...]
    """Dates from the first day of the record on of which nothing is there."""
    today: str | None
    """The date that is still going on."""
    looked: datetime | None = None
    """When it was looked at last."""


def kept(book: Book, start: date | None, end: date | None) -> Kept:
    """Return the days of a span, of all that is recorded where it is open."""
    days = {day.date: day for day in (*_unpacked(book.archive), *book.recent)}
    today = book.today
    first = min(days, default=None)
    last = max(days, default=None) if today is None else today.date
    begin = start or (date.fromisoformat(first) if first else date.min)
    until = end or (date.fromisoformat(last) if last else begin)
    found = [days[each] for each in sorted(days) if begin.isoformat() <= each <= until.isoformat()]
    missing: list[str] = []
    if first is not None and last is not None:
        at = max(begin, date.fromisoformat(first))
        while at <= min(until, date.fromisoformat(last)) and len(missing) < LONGEST:
            if at.isoformat() not in days:
                missing.append(at.isoformat())
            at += timedelta(days=1)
    date_of_today = None if today is None else today.date
    return Kept(begin, until, tuple(found), tuple(missing), date_of_today, book.marks.looked)


def oldest(book: Book) -> date | None:
    """Return the first day that can be read; None where there is none."""
    first = next(iter(_unpacked(book.archive)), None) or next(iter(book.recent), None)
    return None if first is None else date.fromisoformat(first.date)


def lately(book: Book, count: int, today: str) -> tuple[Day, ...]:
    """Return the newest days that are over, at most so many, without reading old text again."""
    old = (_remembered(text) for text in book.archive[-count:])
    recent = (day for day in book.recent if day.date < today)
    return (*(day for day in old if day is not None), *recent)


@lru_cache(maxsize=400)  # a year, and some days that grow older meanwhile
def _remembered(text: str) -> Day | None:
    return next(iter(_unpacked((text,))), None)


def _unpacked(archive: Iterable[str]) -> Iterable[Day]:
    """Yield the days that can be understood; the others are missing, and stay where they are."""
    for text in archive:
        try:
            yield unpack(Day, text)
        except (TypeError, ValueError, KeyError, AttributeError):
            continue


def _kwh(value: float | None) -> float | None:
    return None if value is None else round(value, ENERGY) + 0.0


def status(day: Day) -> str:
    """Return `over`, `inside`, or `no_contract` where no figure was known."""
    if day.is_over:
        return "over"
    return "no_contract" if day.contract is None else "inside"


def figures(day: Day, looked: datetime | None = None) -> Figures:
    """Return everything about a day; one that goes on was `looked` at last at a moment."""
    return {
        "date": day.date,
        "status": status(day),
        **_sums(day, looked),
        "sessions": [
            {
                "kind": each.kind,
                "origin": each.origin,
                "started": each.started.isoformat(),
                "ended": each.ended.isoformat(),
                "power_w": round(each.power_w),
                "energy_kwh": _kwh(each.kwh),
                "reason": each.reason,
            }
            for each in day.sessions
        ],
        "refusals": [
            {
                "reason": each.reason,
                "count": each.count,
                "first": each.first.isoformat(),
                "last": each.last.isoformat(),
            }
            for each in day.refusals
        ],
        "breaches": [
            {
                "at": each.at.isoformat(),
                "exported_kwh": _kwh(each.exported),
                "contract_kwh": _kwh(each.contract),
                "cause": each.cause,
                "discharges": each.sessions,
            }
            for each in day.breaches
        ],
        "corrections": [
            {
                "why": each.why.value,
                "at": each.at.isoformat(),
                "exported_kwh": _kwh(each.exported),
                "generated_kwh": _kwh(each.generated),
            }
            for each in day.corrections
        ],
    }


def _sums(day: Day, looked: datetime | None = None) -> dict[str, Value]:
    return {
        "basis": day.basis,
        "period": day.period,
        "generated_kwh": _kwh(day.generated),
        "exported_kwh": _kwh(day.exported),
        "contract_kwh": _kwh(day.contract),
        "allowance_kwh": _kwh(day.allowance),
        "least_allowance_kwh": _kwh(day.least_allowance),
        "headroom_left_kwh": _kwh(day.headroom),
        "over_kwh": _kwh(max(0.0, day.over)),
        "margin_kwh": _kwh(day.margin),
        "deliberate_kwh": _kwh(day.deliberate),
        "charged_kwh": _kwh(day.charged),
        "peak_export_w": None if day.peak_w is None else round(day.peak_w),
        "carbon_saved_kg": _kwh(day.known_carbon_kg),
        "money_earned": _kwh(day.known_money),
        "corrected_exported_kwh": _kwh(day.corrected("exported")),
        "corrected_generated_kwh": _kwh(day.corrected("generated")),
        "unwatched_minutes": round(day.unwatched_until(looked)),
    }


def summary(found: Kept) -> Figures:
    """Return the span as a whole, with what it says about the margin."""
    days = found.days
    reasons: Counter[str] = Counter(each.reason for day in days for each in day.sessions)
    refusals: Counter[str] = Counter()
    for day in days:
        refusals.update({each.reason: each.count for each in day.refusals})
    peaks = [day.peak_w for day in days if day.peak_w is not None]
    return {
        "start": found.start.isoformat(),
        "end": found.end.isoformat(),
        "days": len(days),
        "days_over": sum(day.is_over for day in days),
        "days_without_record": list(found.missing),
        **{name: _kwh(total) for name, total in _totals(days).items()},
        "peak_export_w": round(max(peaks)) if peaks else None,
        "sessions": sum(reasons.values()),
        "sessions_by_reason": dict(reasons),
        "refusals": sum(refusals.values()),
        "refusals_by_reason": dict(refusals),
        "breaches": sum(len(day.breaches) for day in days),
        "breaches_by_cause": dict(Counter(each.cause for day in days for each in day.breaches)),
        "margin": margin(advise(_finished(found))),
    }


def _finished(found: Kept) -> list[Day]:
    return [day for day in found.days if day.date != found.today]


def _totals(days: Sequence[Day]) -> Mapping[str, float | None]:
    return {
        "generated_kwh": sum(day.generated for day in days),
        "exported_kwh": sum(day.exported for day in days),
        "contract_kwh": sum(day.contract or 0.0 for day in days),
        "deliberate_kwh": sum(day.deliberate for day in days),
        "charged_kwh": sum(day.charged for day in days),
        "carbon_saved_kg": _known(day.known_carbon_kg for day in days),
        "money_earned": _known(day.known_money for day in days),
        "corrected_exported_kwh": sum(day.corrected("exported") for day in days),
        "corrected_generated_kwh": sum(day.corrected("generated") for day in days),
    }


def _known(values: Iterable[float | None]) -> float | None:
    """Return a sum; None where nothing was ever known, as nothing is not 0."""
    found = [value for value in values if value is not None]
    return sum(found) if found else None


def margin(advice: Advice) -> Figures:
    """Return an advice as figures."""
    return {
        "days_judged": advice.days,
        "days_over": advice.days_over,
        "days_over_beyond_margin": advice.by_itself,
        "in_force_kwh": _kwh(advice.margin),
        "enough_kwh": advice.needed,
        "suggested_kwh": round(advice.suggestion, ENERGY),
        "would_cost_kwh": _kwh(advice.lost_kwh),
        "would_cost_money": _kwh(advice.lost_money),
        "would_cost_carbon_kg": _kwh(advice.lost_carbon_kg),
    }


COLUMNS = (
    "date",
    "status",
    *_sums(Day("", start=None, hours=24)),  # type: ignore[arg-type]  # the names alone
    "sessions",
    "session_reasons",
    "refusals",
    "refusal_reasons",
    "breaches",
    "breach_causes",
)


def table(found: Kept, *, comma: bool = False) -> str:
    """Return one line a day as CSV: ISO dates, dots in decimals, a comma between columns.

    With `comma` as spreadsheets of most of Europe expect it: a comma in decimals, a semicolon
    between columns. It begins with a byte order mark, by which they know UTF-8. Days without a
    record have a line of their own, so that nobody sums up over a gap unawares.
    """
    rows = {day.date: _row(day, found.looked) for day in found.days}
    rows |= {each: {"date": each, "status": "no_record"} for each in found.missing}
    text = io.StringIO()
    writer = csv.DictWriter(
        text, COLUMNS, restval="", lineterminator="\r\n", delimiter=";" if comma else ","
    )
    writer.writeheader()
    for each in sorted(rows):
        writer.writerow({name: _cell(value, comma=comma) for name, value in rows[each].items()})
    return "\ufeff" + text.getvalue()


def _cell(value: Value, *, comma: bool) -> str:
    """Return what stands in a cell. No text of ours begins like a formula; one that does is none.

    A number may begin with a minus; a text could come out of a file that somebody has altered.
    """
    if value is None:
        return ""
    if isinstance(value, str):
        return f"'{value}" if value.startswith(FORMULA) else value
    return str(value).replace(".", ",") if comma else str(value)


def _row(day: Day, looked: datetime | None) -> dict[str, Value]:
    reasons = Counter(each.reason for each in day.sessions)
    return {
        "date": day.date,
        "status": status(day),
        **_sums(day, looked),
        "sessions": len(day.sessions),
        "session_reasons": _listed(reasons),
        "refusals": sum(each.count for each in day.refusals),
        "refusal_reasons": _listed({each.reason: each.count for each in day.refusals}),
        "breaches": len(day.breaches),
        "breach_causes": _listed(Counter(each.cause for each in day.breaches)),
    }


def _listed(counts: Mapping[str, int]) -> str:
    return " ".join(f"{name}:{count}" for name, count in counts.items())
