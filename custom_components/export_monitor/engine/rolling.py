"""The last 24 hours as a period: a trail of where the endless sums stood, minute by minute.

A trail of true points is safe whatever is missing from it. Export is counted from the last point
before the 24 hours, so never too little; PV is credited from the first point inside them, so never
too much. What flowed while nobody looked counts as export until the whole of that time is over, and
makes no allowance unless it is known to be of the 24 hours.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, fields, replace
from datetime import datetime, timedelta
from math import ceil, floor

from ..models import Basis, PeriodKind, Settings
from .counter import TICK, UNSEEN_MIDNIGHT, CounterSum
from .metering import ExportMeter
from .period import Period

DAY = timedelta(hours=24)
MINUTE = 60
SET_BACK = 60
"""Minutes by which a clock may be set back and still be right."""
DAY_MINUTES = 1440
WH = 1000.0
ROUNDING = 1e-6
ROLLING_BASES = frozenset({Basis.GENERATED, Basis.FIXED})


def rolls(settings: Settings) -> bool:
    """Whether the period is the last 24 hours; a forecast speaks of days only."""
    return settings.period is PeriodKind.ROLLING_24H and settings.basis in ROLLING_BASES


@dataclass(frozen=True, slots=True)
class Trail:
    """Where an endless sum stood: minutes since 1970 UTC, rising, and Wh, never falling."""

    minutes: tuple[int, ...] = ()
    wh: tuple[int, ...] = ()

    def at_most(self, moment: datetime) -> float | None:
        """Return where the sum stood (kWh) at the moment or before; None before the first point."""
        place = bisect_right(self.minutes, _minutes(moment))
        return self.wh[place - 1] / WH if place else None

    def at_least(self, moment: datetime) -> float | None:
        """Return where the sum stood (kWh) at the moment or after; None after the last point."""
        place = bisect_left(self.minutes, _minutes(moment))
        return self.wh[place] / WH if place < len(self.wh) else None

    def extended(self, minute: int, wh: int, oldest: datetime) -> "Trail":
        """Return the trail with one more point, without what is of no use after `oldest`.

        Points of a time to come are of a clock that was wrong.
        """
        if self.minutes and self.minutes[-1] == minute:
            return self
        end = bisect_left(self.minutes, minute)
        begin = max(0, bisect_right(self.minutes, _minutes(oldest)) - 1)
        return Trail(
            (*self.minutes[min(begin, end) : end], minute), (*self.wh[min(begin, end) : end], wh)
        )

    def packed(self) -> str:
        """Return the trail as text: the first point, then what is added from one to the next."""
        parts = []
        minute, wh = 0, 0
        for at, stood in zip(self.minutes, self.wh, strict=True):
            parts.append(f"{stood - wh}" if at - minute == 1 else f"{at - minute}:{stood - wh}")
            minute, wh = at, stood
        return " ".join(parts)

    @classmethod
    def unpacked(cls, text: str) -> "Trail":
        """Return the trail that `packed` wrote; raises ValueError where it is none."""
        minutes, stood = [], []
        minute, wh = 0, 0
        for part in text.split():
            minutes_on, _, added = part.rpartition(":")
            minute += int(minutes_on or 1)
            wh += int(added)
            minutes.append(minute)
            stood.append(wh)
        return cls(tuple(minutes), tuple(stood))


@dataclass(frozen=True, slots=True)
class Rolling:
    """The trails of export and of PV: PV of hours whose export is unknown is no credit."""

    export: Trail = Trail()
    generated: Trail = Trail()
    anew: Trail = Trail()
    """What the trail of export begins with if the clock is right that is far behind it."""
    whole_from: int = 0
    """The minute since when export is known without a gap, if after the trail's first."""

    def covers(self, settings: Settings, now: datetime) -> bool:
        """Whether enough of the 24 hours was seen: PV of the same hours makes up for export."""
        begun = now - DAY
        seen = self.export.at_most(begun) is not None and self.whole_from <= _minutes(begun)
        return bool(self.export.minutes) and (seen or settings.basis is Basis.GENERATED)

    def exported(self, reported: datetime, kwh: float) -> "Rolling":
        """Return the trails after a report of where export stands (kWh).

        A clock far behind the trail is one that nobody has set yet after a start: export of a time
        to come is none to forget. After a day by that clock it is the trail that was wrong.
        """
        minute, wh = ceil(_minutes(reported)), floor(kwh * WH + ROUNDING)
        if not self.export.minutes or minute >= self.export.minutes[-1] - SET_BACK:
            export = self.export.extended(minute, wh, _oldest(reported))
            same = export is self.export and not self.anew.minutes
            return self if same else replace(self, export=export, anew=Trail())
        first = self.anew.minutes[0] if self.anew.minutes else minute
        if minute - first >= DAY_MINUTES:
            export = self.anew.extended(minute, wh, _oldest(reported))
            return Rolling(export, whole_from=first)
        if self.anew.minutes and first <= minute:
            return self
        return replace(self, anew=Trail((minute,), (wh,)))

    def made(self, reported: datetime, kwh: float) -> "Rolling":
        """Return the trails after all PV counters have reported; their sum (kWh) never falls."""
        wh = ceil(kwh * WH - ROUNDING)
        trail = self.generated
        if trail.wh and wh < trail.wh[-1]:  # of other sensors
            trail = Trail()
        trail = trail.extended(floor(_minutes(reported)), wh, _oldest(reported))
        return self if trail is self.generated else replace(self, generated=trail)

    def packed(self) -> tuple[str, ...]:
        """Return all of it as text."""
        trails = (self.export, self.generated, self.anew)
        return (*(trail.packed() for trail in trails), str(self.whole_from))

    @classmethod
    def unpacked(cls, texts: tuple[str, ...]) -> "Rolling | None":
        """Return what was packed; None where there was nothing, or nothing that makes sense."""
        try:
            *trails, whole_from = texts if len(texts) == len(fields(cls)) else (*texts, "", "0")
            export, generated, anew = (Trail.unpacked(text) for text in trails)
            return cls(export, generated, anew, int(whole_from))
        except ValueError:  # it is learnt again; the rest of a record matters more
            return None


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums of a period (kWh)."""

    exported: float
    counted: float
    """Export as the upper bound that decisions use, between meter ticks too."""
    generated: float
    exported_at_least: float
    generated_at_most: float
    whole: bool = True
    """The period was seen from its beginning."""

    def over(self, settings: Settings) -> float:
        """Return what is exported beyond the contract (kWh), as far as that is beyond doubt."""
        if settings.basis is Basis.FIXED:
            return self.exported_at_least - settings.fixed_limit_kwh
        return self.exported_at_least - self.generated_at_most if self.whole else 0.0


def followed(
    rolling: Rolling | None,
    before: CounterSum,
    counter: CounterSum,
    generation: tuple[CounterSum, ...],
    settings: Settings,
    period: Period,
) -> Rolling | None:
    """Return the trails after an observation; `before` is the export counter's sum at the last.

    `period` is the local day: a daily counter that nobody saw over midnight has lost part of the
    time before, and another counter knows nothing of it. What is known of export stays, and PV of
    that time makes no allowance.
    """
    if not rolls(settings):
        return None
    if rolling is None or not rolling.export.minutes:
        if not counter.trusted:  # PV alone would be credited before export is counted
            return Rolling()
        rolling = _begun(counter, generation, period)
    elif _lost(before, counter, period, daily=settings.daily_export_counter):
        known = _begun(counter, generation, period)
        whole_from = max(rolling.whole_from, known.whole_from)
        rolling = replace(rolling, generated=known.generated, whole_from=whole_from)
    if counter.trusted and counter.reported is not None:
        rolling = rolling.exported(counter.reported, counter.cumulative)
    known_at = _all_reported(generation)
    if known_at is None or rolling.anew.minutes:
        return rolling
    return rolling.made(known_at, sum(entry.cumulative for entry in generation))


def _minutes(moment: datetime) -> float:
    return moment.timestamp() / MINUTE


def _oldest(reported: datetime) -> datetime:
    """Return what may be forgotten by a report; an hour more, for a clock that is set back."""
    return reported - DAY - UNSEEN_MIDNIGHT


def _all_reported(generation: tuple[CounterSum, ...]) -> datetime | None:
    """Return until when the PV sums are complete: as far as the sensor that is behind most."""
    reports = [entry.reported for entry in generation]
    known = [reported for reported in reports if reported is not None]
    return min(known) if known and len(known) == len(reports) else None


def _lost(before: CounterSum, counter: CounterSum, period: Period, *, daily: bool) -> bool:
    last, reported = before.reported, counter.reported
    if reported is None:
        return False
    if last is None or before.source not in (None, counter.source):
        return True  # it is another counter
    return daily and last < period.start <= reported and reported - last > UNSEEN_MIDNIGHT


def _begun(counter: CounterSum, generation: tuple[CounterSum, ...], period: Period) -> Rolling:
    """Begin the trails at the local day's start, as far as the counters know it.

    PV is credited from there only where all of it and all export of the day were seen.
    """
    reported = counter.reported
    if reported is None or reported < period.start or counter.period_start != period.start:
        return Rolling()
    minute = floor(_minutes(period.start))
    export = Trail((minute,), (floor(counter.base * WH + ROUNDING),))
    if counter.partial(period.start):
        return Rolling(export, whole_from=ceil(_minutes(reported)))
    whole = all(
        entry.period_start == period.start and entry.seen and not entry.partial(period.start)
        for entry in generation
    )
    if not whole:
        return Rolling(export, whole_from=minute)
    pv = sum(entry.base for entry in generation)
    return Rolling(export, Trail((minute,), (ceil(pv * WH - ROUNDING),)), whole_from=minute)


def totals(
    rolling: Rolling | None,
    meter: ExportMeter,
    generation: tuple[CounterSum, ...],
    now: datetime,
) -> Totals:
    """Return the sums of the local day, or of the 24 hours until now where trails are followed."""
    made = sum(entry.total for entry in generation)
    counter = meter.counter
    if rolling is None:
        return Totals(counter.total, meter.counted, made, counter.total, made)
    begun = now - DAY
    exported, export_whole = _since(counter.cumulative, rolling.export, begun)
    pv = sum(entry.cumulative for entry in generation)
    at_most, pv_whole = _since(pv, rolling.generated, begun)
    # A meter that ticks once a minute is behind by up to one: a later beginning credits less.
    return Totals(
        exported=exported,
        counted=exported + meter.ahead,
        generated=_credit(pv, rolling.generated, begun + TICK),
        exported_at_least=_credit(counter.cumulative, rolling.export, begun + TICK),
        generated_at_most=at_most,
        whole=export_whole and pv_whole,
    )


def exported_from(rolling: Rolling, meter: ExportMeter, begun: datetime) -> float:
    """Return what is counted as exported since a moment of the last 24 hours (kWh), at most."""
    return _since(meter.counter.cumulative, rolling.export, begun)[0] + meter.ahead


def _since(stands: float, trail: Trail, begun: datetime) -> tuple[float, bool]:
    stood = trail.at_most(begun)
    if stood is not None:
        return max(0.0, stands - stood), True
    first = trail.wh[0] / WH if trail.wh else stands
    return max(0.0, stands - first), False


def _credit(stands: float, trail: Trail, begun: datetime) -> float:
    stood = trail.at_least(begun)
    return 0.0 if stood is None else max(0.0, stands - stood)
