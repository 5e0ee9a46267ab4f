"""The time ahead as both planners see it: legs in which every rate is constant.

A slot is cut at the edges of windows and local days, so a leg is wholly inside or outside of each,
and slots of any length, days of 23 and 25 hours and windows across midnight need no special case.
A gap between slots is a leg in which only the house draws and nothing is forced.

Inside: powers kW, energies kWh, durations hours.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from math import sqrt

from ..models import Kind, Slot
from .models import DailyWindow, PlanInput, PlanSlot

KW = 1000.0
SECONDS_PER_HOUR = 3600.0
LAST_MINUTE = time(23, 59)
NO_DAY = -1
AT_HOME = 0.75  # of what a plan ends with, at midnight: the house has the night before it
PENALTY = 10.0  # times the dearest kWh: breaking an allowance is never worth it
KEPT = 2e-3  # of the mean value: what a plan must gain to leave the windows of the one before
EARLY = 1e-5  # of the mean value, for the earliest leg: equal values are taken in order of time


@dataclass(frozen=True, slots=True)
class Leg:
    """A stretch of time with constant rates. A surplus is PV beyond the house's load."""

    start: datetime
    end: datetime
    hours: float
    day: int
    """Index of the local day, NO_DAY outside of all."""
    value: float
    """Per kWh exported."""
    cost: float
    """Per kWh imported."""
    pv: float
    surplus: float
    deficit: float
    feed: float
    """What the battery takes of the surplus, or gives to the deficit, if it can."""
    export: float
    """Export by itself while the battery takes its part."""
    spill: float
    """Export by itself while the battery is full."""
    out: float
    """Cap on what a deliberate discharge adds to the grid's side; 0 where there may be none."""
    into: float
    """Cap on what a deliberate charge takes from the grid for the battery; 0 likewise."""
    keep_out: float
    """Bonus per kWh of discharge that only breaks ties."""
    keep_in: float
    hurdle: float
    """What a kWh exported by force must earn beyond its use otherwise."""

    @property
    def in_surplus(self) -> bool:
        """Whether PV covers the house."""
        return self.deficit == 0.0


@dataclass(frozen=True, slots=True)
class Day:
    """What a local day may still export."""

    left: float
    accrues: bool
    start: datetime
    end: datetime


@dataclass(frozen=True, slots=True)
class Horizon:
    """Legs and the battery between them."""

    legs: tuple[Leg, ...]
    days: tuple[Day, ...]
    stored: float
    bought: float
    house_floor: float
    """The inverter's own policy stops feeding the house here."""
    session_floor: float
    full: float
    efficiency: float
    """One way: the square root of the round trip's."""
    least: float
    wear: float
    terminal: float
    """Per kWh stored at the end."""
    penalty: float
    """Per kWh of export beyond a day's allowance."""
    green_only: bool


def horizon(given: PlanInput) -> Horizon:
    """Return the legs of an input. Slots without length, or out of order, are left out."""
    battery = given.battery
    capacity = battery.capacity_kwh
    stored = capacity * min(max(battery.soc, 0.0), 100.0) / 100
    session_floor = capacity * battery.floor_soc / 100
    own_floor = battery.floor_soc if battery.house_floor_soc is None else battery.house_floor_soc
    house_floor = min(capacity * own_floor / 100, session_floor, stored)
    days = tuple(
        Day(d.left_kwh, d.accrues, d.start.astimezone(UTC), d.end.astimezone(UTC))
        for d in given.days
    )
    legs = tuple(_legs(given, days))
    dearest = max((max(abs(leg.value), abs(leg.cost)) for leg in legs), default=0.0)
    return Horizon(
        legs=legs,
        days=days,
        stored=stored,
        bought=min(battery.bought_kwh, max(0.0, stored - house_floor)),
        house_floor=house_floor,
        session_floor=session_floor,
        full=max(capacity * battery.full_soc / 100, stored),
        efficiency=sqrt(battery.round_trip_efficiency),
        least=battery.least_w / KW,
        wear=given.wear_cost,
        terminal=terminal_value(given, legs),
        penalty=PENALTY * dearest,
        green_only=given.green_only,
    )


def terminal_value(given: PlanInput, legs: Iterable[Leg]) -> float:
    """Return what a kWh stored at the end is worth: a part of it sold, the rest used at home.

    At the horizon's mean value and mean cost, after losses and wear.
    """
    if given.terminal_value is not None:
        return given.terminal_value
    hours = total = 0.0
    for leg in legs:
        hours += leg.hours
        total += leg.hours * (leg.value + AT_HOME * (leg.cost - leg.value))
    if hours == 0:
        return 0.0
    return max(0.0, total / hours - given.wear_cost) * sqrt(given.battery.round_trip_efficiency)


def intervals(
    window: DailyWindow, given: PlanInput, start: datetime, end: datetime
) -> tuple[tuple[datetime, datetime], ...]:
    """Return a daily window's intervals (UTC) that touch a span of time."""
    if window.start == window.end:
        return ((start, end),)
    first = start.astimezone(given.zone).date() - timedelta(days=1)
    last = end.astimezone(given.zone).date()
    found = []
    for number in range((last - first).days + 1):
        date = first + timedelta(days=number)
        to_midnight = (window.end.hour, window.end.minute) == (23, 59)
        crosses = to_midnight or window.end <= window.start
        closing = time.min if to_midnight else window.end
        begin = datetime.combine(date, window.start, given.zone).astimezone(UTC)
        finish = datetime.combine(date + timedelta(days=crosses), closing, given.zone)
        finish = finish.astimezone(UTC)
        if begin < finish and begin < end and finish > start:
            found.append((begin, finish))
    return tuple(found)


def _legs(given: PlanInput, days: tuple[Day, ...]) -> Iterator[Leg]:
    slots = tuple(_gapless(given.slots))
    if not slots:
        return
    start, end = slots[0].start, slots[-1].end
    exporting = intervals(given.export_window, given, start, end)
    charging = intervals(given.charge_window, given, start, end) if given.charge_window else ()
    edges = {moment for span in (*exporting, *charging) for moment in span}
    edges |= {moment for day in days for moment in (day.start, day.end)}
    kept = {kind: tuple((w.start, w.end) for w in given.keep if w.kind is kind) for kind in Kind}
    mean = _mean_value(slots)
    tie = abs(mean[0]) + abs(mean[1])
    for slot in slots:
        cuts = sorted(edge for edge in edges if slot.start < edge < slot.end)
        for begin, finish in pairwise((slot.start, *cuts, slot.end)):
            may = (_inside(exporting, begin), _inside(charging, begin))
            day = next((n for n, d in enumerate(days) if d.start <= begin < d.end), NO_DAY)
            early = EARLY * tie * (end - begin) / (end - start)
            bonus = (
                early + KEPT * tie * _share(kept[Kind.DISCHARGE], begin, finish),
                early + KEPT * tie * _share(kept[Kind.CHARGE], begin, finish),
                given.hurdle * tie,
            )
            yield _leg(given, slot, (begin, finish), day, (may, mean, bonus))


def _leg(
    given: PlanInput,
    slot: PlanSlot,
    span: tuple[datetime, datetime],
    day: int,
    rest: tuple[tuple[bool, bool], tuple[float, float], tuple[float, float, float]],
) -> Leg:
    (may_export, may_charge), mean, bonus = rest
    battery, limits = given.battery, given.limits
    pv = max(0.0, Slot(*span, *slot.pv).watts(given.percentile)) / KW
    load = max(0.0, slot.load_w) / KW
    site, inverter = limits.site_export_w / KW, limits.inverter_w / KW
    surplus, deficit = max(0.0, pv - load), max(0.0, load - pv)
    room = max(0.0, min(site, inverter - load))
    strongest = max(0.0, min(battery.discharge_limit_w / KW, inverter - pv))
    feed = min(deficit, strongest) + min(surplus, battery.charge_limit_w / KW)  # one is 0
    known = slot.export_value is not None and slot.import_cost is not None
    out = into = 0.0
    if known and may_export and day != NO_DAY:
        wanted = min(site, limits.target_export_w / KW) - surplus
        out = min(strongest - deficit, wanted)
    if known and may_charge:
        into = min(battery.charge_limit_w, limits.charge_w) / KW - (0.0 if deficit > 0 else feed)
    least = battery.least_w / KW
    return Leg(
        start=span[0],
        end=span[1],
        hours=(span[1] - span[0]).total_seconds() / SECONDS_PER_HOUR,
        day=day,
        value=mean[0] if slot.export_value is None else slot.export_value,
        cost=mean[1] if slot.import_cost is None else slot.import_cost,
        pv=pv,
        surplus=surplus,
        deficit=deficit,
        feed=feed,
        export=0.0 if deficit > 0 else min(surplus - feed, room),
        spill=min(surplus, room),
        out=out if out >= least else 0.0,
        into=into if into >= least else 0.0,
        keep_out=bonus[0],
        keep_in=bonus[1],
        hurdle=bonus[2],
    )


def _gapless(slots: Iterable[PlanSlot]) -> Iterator[PlanSlot]:
    """Yield slots in UTC with gaps filled: nothing is known there but the house."""
    at: datetime | None = None
    load = 0.0
    for slot in slots:
        start, end = slot.start.astimezone(UTC), slot.end.astimezone(UTC)
        if at is not None:
            start = max(start, at)
        if start >= end:
            continue
        if at is not None and start > at:
            yield PlanSlot(at, start, (0.0, 0.0, 0.0), load, None, None)
        yield PlanSlot(start, end, slot.pv, slot.load_w, slot.export_value, slot.import_cost)
        at, load = end, slot.load_w


def _mean_value(slots: tuple[PlanSlot, ...]) -> tuple[float, float]:
    values = [s.export_value for s in slots if s.export_value is not None]
    costs = [s.import_cost for s in slots if s.import_cost is not None]
    return (
        sum(values) / len(values) if values else 0.0,
        sum(costs) / len(costs) if costs else 0.0,
    )


def _inside(spans: Iterable[tuple[datetime, datetime]], moment: datetime) -> bool:
    return any(begin <= moment < finish for begin, finish in spans)


def _share(spans: Iterable[tuple[datetime, datetime]], start: datetime, end: datetime) -> float:
    """Return the share of an interval that spans without overlap cover."""
    covered = sum(
        max(0.0, (min(end, finish) - max(start, begin)).total_seconds()) for begin, finish in spans
    )
    return covered / (end - start).total_seconds()
