"""A controller as the record sees it: meters told by hand, at moments told by hand."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any

from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter, Flow
from custom_components.export_monitor.engine.period import local_day
from custom_components.export_monitor.ledger import Book, Look, take
from custom_components.export_monitor.models import (
    Basis,
    Decision,
    EndReason,
    Kind,
    MeterMark,
    Origin,
    Session,
    Settings,
)

MIDNIGHT = datetime(2026, 6, 21, tzinfo=UTC)
NOON = MIDNIGHT.replace(hour=12)
SETTINGS = Settings(
    basis=Basis.FIXED, fixed_limit_kwh=10.0, daily_export_counter=False, daily_pv_counters=(False,)
)
DECISION = Decision(
    basis=Basis.FIXED,
    contract=10.0,
    allowance=9.5,
    exported=0.0,
    counted=0.0,
    generated=0.0,
    natural=0.0,
    natural_known=True,
    headroom=4.0,
    export_left=4.0,
    floor_soc=20.0,
    power_w=3000.0,
    duration_min=80.0,
)


def moment(day: int, hour: int = 0, minute: int = 0, second: int = 0) -> datetime:
    """Return a moment so many days after the first."""
    return MIDNIGHT + timedelta(days=day, hours=hour, minutes=minute, seconds=second)


def session(started: datetime, **changes: Any) -> Session:
    """Return a discharge that runs."""
    running = Session(
        id="1",
        origin=Origin.MANUAL,
        started=started,
        power_w=3000.0,
        cutoff_soc=20.0,
        meter_at_start=MeterMark(),
    )
    return replace(running, **changes)


def over(running: Session, at: datetime, **changes: Any) -> Session:
    """Return a session that has ended."""
    return replace(running, ended=at, reason=EndReason.HEADROOM_USED_UP, **changes)


def charge(started: datetime, kwh: float) -> Session:
    """Return a charge that runs."""
    return session(started, kind=Kind.CHARGE, charged_kwh=kwh)


class Home:
    """Meters that are told to the engine's own counters, and looks at them."""

    def __init__(self, settings: Settings = SETTINGS) -> None:
        """Begin with a meter of 100 kWh of export and 1000 kWh of PV behind it, at noon."""
        self.settings = settings
        self.book = Book()
        self.meter = ExportMeter()
        self.pv: tuple[CounterSum, ...] = (CounterSum(),)
        self.decision: Decision | None = DECISION
        self.told(NOON, 100.0, 1000.0)

    @property
    def zone(self) -> tzinfo:
        """The zone of the house."""
        return self.settings.timezone

    def report(self, at: datetime, export: float | None, pv: float | None) -> None:
        """Let the meters report."""
        period = local_day(at, self.zone)
        if export is not None:
            counter = self.meter.counter.observe(
                export, at, period, daily=self.settings.daily_export_counter
            )
            self.meter = replace(
                self.meter,
                counter=counter,
                last_interval=self.meter.since_report,
                since_report=0.0,
            )
        if pv is not None:
            self.pv = tuple(
                each.observe(pv, at, period, daily=self.settings.daily_pv_counters[0], credit=True)
                for each in self.pv
            )

    def look(self, at: datetime, **changes: Any) -> Look:
        """Return what is seen at a moment."""
        period = local_day(at, self.zone)
        counter = self.meter.counter.enter(period)
        self.meter = replace(self.meter, counter=counter)
        self.pv = tuple(each.enter(period, credit=True) for each in self.pv)
        seen = Look(at, self.settings, self.meter, self.pv, self.decision)
        return replace(seen, **changes)

    def told(
        self, at: datetime, export: float | None = None, pv: float | None = None, **changes: Any
    ) -> None:
        """Let the meters report, and look at once."""
        self.report(at, export, pv)
        self.book = take(self.book, self.look(at, **changes))

    def flowing(self, since_report: float) -> None:
        """Let the grid sensor have seen so much since the meter's last report (kWh)."""
        self.meter = replace(
            self.meter, since_report=since_report, flow=Flow(1000.0, measured=True)
        )

    def watched(self, since: datetime, until: datetime, export: float) -> None:
        """Let the meter say the same each minute."""
        at = since
        while at <= until:
            self.told(at, export)
            at += timedelta(minutes=1)

    def exported(self) -> dict[str, float]:
        """Return the record's export by date."""
        return {day.date: round(day.exported, 6) for day in self.book.recent}


def reasons(book: Book) -> Iterable[str]:
    """Yield what was corrected, and why."""
    return (each.why for day in book.recent for each in day.corrections)
