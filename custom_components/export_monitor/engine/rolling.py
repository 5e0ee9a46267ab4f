"""The last 24 hours as a period: a trail of where the endless sums stood, minute by minute.

A trail of true points is safe whatever is missing from it. Export is counted from the last point
before the 24 hours, so never too little; PV is credited from the first point inside them, so never
too much. What flowed while nobody looked counts as export until the whole of that time is over, and
makes no allowance unless it is known to be of the 24 hours.
"""

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil, floor

from ..models import Basis, PeriodKind, Settings
from .metering import TICK, UNSEEN_MIDNIGHT, CounterSum, ExportMeter
from .period import Period

DAY = timedelta(hours=24)
MINUTE = 60
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
    """The trails of export and of PV, which begin at the same time."""

    export: Trail = Trail()
    generated: Trail = Trail()

    def covers(self, settings: Settings, now: datetime) -> bool:
        """Whether enough of the 24 hours was seen: PV of the same hours makes up for export."""
        seen = self.export.at_most(now - DAY) is not None
        return bool(self.export.minutes) and (seen or settings.basis is Basis.GENERATED)

    def packed(self) -> tuple[str, str]:
        """Return both trails as text."""
        return self.export.packed(), self.generated.packed()

    @classmethod
    def unpacked(cls, texts: tuple[str, ...]) -> "Rolling | None":
        """Return what was packed; None where there was nothing, or nothing that makes sense."""
        try:
            export, generated = (Trail.unpacked(text) for text in texts)
        except ValueError:  # it is learnt again; the rest of a record matters more
            return None
        return cls(export, generated)


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
    time before, and the trails begin anew.
    """
    if not rolls(settings):
        return None
    begun = rolling is not None and rolling.export.minutes
    if not begun and not counter.trusted:  # PV alone would be credited before export is counted
        return Rolling()
    if (
        rolling is None
        or not begun
        or _lost(before, counter, period, daily=settings.daily_export_counter)
    ):
        rolling = _begun(counter, generation, period)
    export, generated = rolling.export, rolling.generated
    if counter.trusted and counter.reported is not None:
        stood = floor(counter.cumulative * WH + ROUNDING)
        export = export.extended(ceil(_minutes(counter.reported)), stood, _oldest(counter.reported))
    known_at = _all_reported(generation)
    if known_at is not None:
        stood = ceil(sum(entry.cumulative for entry in generation) * WH - ROUNDING)
        generated = generated.extended(floor(_minutes(known_at)), stood, _oldest(known_at))
    if export is rolling.export and generated is rolling.generated:
        return rolling
    return Rolling(export, generated)


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
    return (
        daily
        and last is not None
        and reported is not None
        and last < period.start
        and reported - last > UNSEEN_MIDNIGHT
    )


def _begun(counter: CounterSum, generation: tuple[CounterSum, ...], period: Period) -> Rolling:
    """Begin the trails at the local day's start where all counters know it, else with the first."""
    entries = (counter, *generation)
    whole = all(
        entry.period_start == period.start and entry.seen and not entry.partial(period.start)
        for entry in entries
    )
    if not whole:
        return Rolling()
    minute = floor(period.start.timestamp() / MINUTE)
    pv = sum(entry.base for entry in generation)
    return Rolling(
        Trail((minute,), (floor(counter.base * WH + ROUNDING),)),
        Trail((minute,), (ceil(pv * WH - ROUNDING),)),
    )


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
    exported, whole = _since(counter.cumulative, rolling.export, begun)
    pv = sum(entry.cumulative for entry in generation)
    # A meter that ticks once a minute is behind by up to one: a later beginning credits less.
    return Totals(
        exported=exported,
        counted=exported + meter.ahead,
        generated=_credit(pv, rolling.generated, begun + TICK),
        exported_at_least=_credit(counter.cumulative, rolling.export, begun + TICK),
        generated_at_most=_since(pv, rolling.generated, begun)[0],
        whole=whole,
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
