"""The book itself: its days, how one is found, opened and put away, and what it is written from."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo

from ..engine.counter import CounterSum
from ..engine.metering import ExportMeter
from ..engine.period import Period
from ..models import Decision, Session, Settings
from .days import HOUR_S, Day
from .meters import Mark
from .pack import pack

type Change = Callable[[Day], Day]

RECENT_DAYS = 3
"""Days that can still change; older ones are text."""


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


def opened(book: Book, period: Period, zone: tzinfo) -> Book:
    """Open the day of a moment, unless it is put away: the clock was set back by days."""
    if book.archive and book.recent and period.start < book.recent[0].start:
        return book
    return with_day(book, period, zone)


def _new(period: Period, zone: tzinfo) -> Day:
    hours = round((period.end - period.start).total_seconds() / HOUR_S)
    return Day(date_of(period.start, zone), period.start, hours)


def date_of(moment: datetime, zone: tzinfo) -> str:
    """Return the local date: what a day is known by, also when the zone was changed in it."""
    return moment.astimezone(zone).date().isoformat()


def put_away(book: Book) -> Book:
    """Make text of the days that cannot change any more."""
    old, recent = book.recent[:-RECENT_DAYS], book.recent[-RECENT_DAYS:]
    if not old:
        return book
    return replace(book, recent=recent, archive=(*book.archive, *(pack(day) for day in old)))


def changed(book: Book, date: str, change: Change) -> Book:
    """Change the recent day of a date; one that is put away stays as it is."""
    recent = tuple(change(day) if day.date == date else day for day in book.recent)
    return replace(book, recent=recent)


def with_day(book: Book, period: Period, zone: tzinfo) -> Book:
    """Open a day in between that nobody looked at."""
    if book.day(date_of(period.start, zone)) is not None:
        return book
    days = sorted((*book.recent, _new(period, zone)), key=lambda day: day.start)
    return replace(book, recent=tuple(days))
