"""What a run came to, judged by the plant's own truth."""

from collections import Counter as Counts
from dataclasses import dataclass, field

from custom_components.export_monitor.models import Basis, EndReason
from custom_components.export_monitor.outlook import PLAN_BAND

from .ahead import Choices
from .life import Day, Life, Ran
from .weather import TAIL_DAYS, House, Span
from .yardsticks import Minutes, Rates, Track, exported_alone, left_alone, worth

METER_STEP_KWH, PV_STEP_KWH = 0.01, 0.1
WORSE = 0.01
LACKING = frozenset({EndReason.SOC_FLOOR, EndReason.RESERVE_SOC})
NEAR = PLAN_BAND + 0.5  # % above the floor: a new plan ends what there is nothing left for


@dataclass(frozen=True, slots=True)
class Common:
    """What all runs of one objective are measured against. Values in its unit."""

    saved_by_nothing: float
    """What PV and battery earn by themselves, against the same house without them."""
    nothing: float
    """Value of doing nothing, what is left in the battery included."""
    nothing_exported: float


def common(span: Span, house: House, minutes: Minutes, rates: Rates, alone: Track) -> Common:
    """Return the measure of an objective."""
    last = span.slot_of(span.tail)
    load = span.mean(span.load_w)[:last] / 2000
    bare = -sum(float(load[n]) * rates.cost[n] for n in range(last))
    value = worth(span, house, minutes, rates, alone)
    return Common(value - bare, value, sum(alone.exported))


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table. Energies kWh."""

    name: str
    gain: float
    best: float
    """What perfect foresight gains under the same contract."""
    exported: float
    contract: float
    """What the truth allowed, all days together."""
    days_over: int
    most_over: float
    planned: float
    undelivered: float
    """Planned, but the battery did not hold it."""
    days_over_alone: int | None = None
    """Of these the days on which the sun alone would have been over, whatever was discharged."""
    worse_days: int | None = None
    """Days worse than doing nothing by more than 1 % of a mean day's earnings."""
    worst_day: float | None = None
    """The worst of them, as a share of a mean day's earnings."""
    sessions: int = 0
    ends: Counts[str] = field(default_factory=Counts)
    fell: int | None = None
    """Days on which the forecast had once promised more than the sun gave."""
    cured_by: float = 0.0
    """The margin that would have kept every day inside, as each stayed as far from its limit."""
    books_apart: float = 0.0
    """Between the engine's sum of a day's export and the truth."""
    faults: Counts[str] = field(default_factory=Counts)
    ratio: float = 0.0
    """Simulated seconds in one real second."""

    @property
    def share(self) -> float:
        """The gain as a share of what perfect foresight gains."""
        return self.gain / self.best if self.best > 0 else 0.0


def limits_true(span: Span, choices: Choices) -> list[float]:
    """Return what the contract really allowed each day (kWh)."""
    pv = span.mean(span.pv_w)
    return [
        choices.fixed_kwh
        if choices.basis is Basis.FIXED
        else float(pv[span.slot_of(begin) : span.slot_of(end)].sum()) / 2000
        for begin, end in span.days[: span.counted_days]
    ]


def daily(span: Span, track: Track) -> list[float]:
    """Return a track's export by day (kWh)."""
    return [
        sum(track.exported[span.slot_of(begin) : span.slot_of(end)])
        for begin, end in span.days[: span.counted_days]
    ]


def row_of_track(  # noqa: PLR0913 - all that it is judged by
    name: str,
    span: Span,
    house: House,
    minutes: Minutes,
    track: Track,
    choices: Choices,
    measure: tuple[Common, Rates, float],
) -> Row:
    """Judge a way of running the house that has no controller."""
    base, rates, best = measure
    limits = limits_true(span, choices)
    over = _over(daily(span, track), limits)
    return Row(
        name=name,
        gain=worth(span, house, minutes, rates, track) - base.nothing,
        best=best,
        exported=sum(track.exported),
        contract=sum(limits),
        days_over=len(over),
        most_over=max(over, default=0.0),
        planned=track.planned_kwh,
        undelivered=track.undelivered_kwh,
    )


def row_of_life(name: str, life: Life, measure: tuple[Common, Rates, float], ratio: float) -> Row:
    """Judge a run of the engine."""
    base, rates, best = measure
    span, choices = life.span, life.choices
    limits = limits_true(span, choices)
    over = _over([day.exported for day in life.days], limits)
    nearest = max(day.exported - limit for day, limit in zip(life.days, limits, strict=True))
    against = against_nothing(span, life.house, life.track, life.days, rates)
    mean = abs(base.saved_by_nothing) / span.counted_days
    asked, lacked = deliveries(life.ran, life.house.floor_soc)
    forecast = choices.basis in (Basis.FORECAST, Basis.CONSERVATIVE)
    fell = sum(
        day.highest > limit + PV_STEP_KWH for day, limit in zip(life.days, limits, strict=True)
    )
    return Row(
        name=name,
        gain=worth(span, life.house, Minutes.of(span), rates, life.track) - base.nothing,
        best=best,
        exported=sum(life.track.exported),
        contract=sum(limits),
        days_over=len(over),
        most_over=max(over, default=0.0),
        planned=asked,
        undelivered=lacked,
        days_over_alone=_over_alone(span, life, limits),
        worse_days=sum(apart < -WORSE * mean for apart in against),
        worst_day=min(against, default=0.0) / mean,
        sessions=len(life.ran),
        ends=Counts(str(ran.session.reason) for ran in life.ran),
        fell=fell if forecast else None,
        cured_by=max(0.0, choices.margin_kwh + nearest),
        books_apart=max((abs(day.exported - day.counted) for day in life.days), default=0.0),
        faults=life.raised,
        ratio=ratio,
    )


def _over(exported: list[float], limits: list[float]) -> list[float]:
    """Return by how much days were over, those beyond a meter's step."""
    apart = (has - may for has, may in zip(exported, limits, strict=True))
    return [kwh for kwh in apart if kwh > METER_STEP_KWH]


def _over_alone(span: Span, life: Life, limits: list[float]) -> int:
    """Count the days over that would have been over with the battery left alone since midnight."""
    minutes, found = Minutes.of(span), 0
    for number, (day, limit) in enumerate(zip(life.days, limits, strict=True)):
        if day.exported - limit <= METER_STEP_KWH:
            continue
        begin, end = span.days[number]
        slots = (span.slot_of(begin), span.slot_of(end))
        found += exported_alone(minutes, life.house, day.stored_at_start, slots) > limit
    return found


def deliveries(ran: list[Ran], floor_soc: float) -> tuple[float, float]:
    """Return what sessions were to deliver, and what of it the battery did not hold (kWh).

    What another session of the same window was to make up for is not counted twice.
    """
    lacked = sum(
        max(0.0, one.planned_kwh - one.true_kwh)
        for one in ran
        if one.session.reason in LACKING or one.soc < floor_soc + NEAR
    )
    return sum(one.true_kwh for one in ran) + lacked, lacked


def against_nothing(
    span: Span, house: House, track: Track, days: list[Day], rates: Rates
) -> list[float]:
    """Return what each day's doing was worth against doing nothing from the same midnight on.

    Both are left alone for two more days, in which they become alike: so what the one has kept and
    the other has sold is counted at what it really is worth, not at an assumed price.
    """
    minutes = Minutes.of(span)
    found = []
    for number, day in enumerate(days):
        begin, end = span.days[number]
        last = span.slot_of(span.days[number + TAIL_DAYS][1])
        first, middle = span.slot_of(begin), span.slot_of(end)
        stored = track.stored[middle - 1]
        ours = track.value(rates, first, middle)
        ours += left_alone(minutes, house, rates, stored, (middle, last))
        alone = left_alone(minutes, house, rates, day.stored_at_start, (first, last))
        found.append(ours - alone)
    return found
