"""What the inverter does: a walk through the legs under its own policy and given orders.

Its policy: PV feeds the house, then the battery, then the grid; the battery feeds the house. An
order replaces it for part of a leg: a discharge adds `power` to what the grid sees (the battery
feeds the house too, PV passes to the grid, nothing is stored); a charge takes `power` from the grid
for the battery (the grid feeds the house, PV is stored). What an order asks and the battery cannot
give is not delivered; the rest of the leg follows the policy.

Of what it holds, bought energy goes to the house first: mere book-keeping, and the one that leaves
the most for a green-only export.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from ..models import Kind
from .horizon import NO_DAY, Horizon, Leg
from .models import Status

TINY = 1e-9
SNAP_KWH = 1e-6  # energies nearer than this are the same
SNAP_OVER_KWH = 1e-5


@dataclass(frozen=True, slots=True)
class Order:
    """A deliberate charge or discharge inside one leg: `hours` at `power` (kW at the grid)."""

    kind: Kind
    hours: float
    power: float
    late: bool = False
    """At the leg's end instead of its beginning."""


type Orders = Mapping[int, Order]
"""By index of the leg."""


@dataclass(slots=True)
class Run:
    """A walk under way: what the battery holds, and the sums so far."""

    stored: float
    bought: float
    exported: float = 0.0
    imported: float = 0.0
    discharged: float = 0.0
    charged: float = 0.0
    clipped: float = 0.0
    """Hours at which the battery was full in a surplus, or empty in a deficit."""


@dataclass(frozen=True, slots=True)
class Passage:
    """What one leg saw (kWh), and what the battery held at its end."""

    exported: float
    imported: float
    discharged: float
    charged: float
    clipped: float
    """Hours in which it was full in a surplus, or empty in a deficit."""
    stored: float
    forced_grid: float
    """What the grid saw during the order: exported by a discharge, bought for a charge."""
    forced_battery: float
    """What left or entered the battery during the order."""
    forced_hours: float


@dataclass(frozen=True, slots=True)
class Walk:
    """The outcome of orders. `value` leaves the penalty for breaking an allowance out."""

    passages: tuple[Passage, ...]
    value: float
    over: tuple[float, ...]
    """Export beyond each day's allowance (kWh)."""
    missing: float
    """What orders asked and the battery could not give or take (kWh)."""
    score: float = field(default=0.0)
    """`value` minus penalties and hurdles, plus what breaks ties."""

    @property
    def stored(self) -> float:
        """What the battery holds at the end (kWh)."""
        return self.passages[-1].stored if self.passages else 0.0


@dataclass(frozen=True, slots=True)
class Proposal:
    """What a planner asks for, and how good that is known to be."""

    orders: Orders
    walk: Walk
    bound: float | None
    status: Status


def walk(horizon: Horizon, orders: Orders) -> Walk:
    """Return what happens if the orders run, and the policy rules otherwise."""
    run = Run(horizon.stored, horizon.bought)
    passages = []
    value = missing = ties = 0.0
    for number, leg in enumerate(horizon.legs):
        order = orders.get(number)
        passage = pass_leg(horizon, leg, order, run)
        passages.append(passage)
        value += worth(horizon, leg, passage)
        if order is not None:
            delivered = _delivered(leg, order, passage)
            missing += order.hours * order.power - delivered
            ties += _leaning(leg, order, passage, delivered)
    value += horizon.terminal * run.stored
    over = overrun(horizon, passages, orders)
    score = value - horizon.penalty * sum(over) + ties
    return Walk(tuple(passages), value, over, missing, score)


def _leaning(leg: Leg, order: Order, passage: Passage, delivered: float) -> float:
    """Return what speaks for an order beside its value: it breaks ties, or is to be overcome."""
    if order.kind is Kind.CHARGE:
        return leg.keep_in * delivered
    more = passage.forced_grid - leg.export * passage.forced_hours
    return leg.keep_out * delivered - leg.hurdle * more


def worth(horizon: Horizon, leg: Leg, passage: Passage) -> float:
    """Return what a leg earned, terminal energy aside."""
    return (
        leg.value * passage.exported
        - leg.cost * passage.imported
        - horizon.wear * passage.discharged
    )


def overrun(horizon: Horizon, passages: list[Passage], orders: Orders) -> tuple[float, ...]:
    """Return each day's export beyond what it may (kWh).

    Where the allowance accrues with generation PV alone cannot break the contract, only eat into
    the margin: there it counts while a discharge runs.
    """
    over = [0.0] * len(horizon.days)
    sums = [0.0] * len(horizon.days)
    grown = [day.left for day in horizon.days]
    for number, (leg, passage) in enumerate(zip(horizon.legs, passages, strict=True)):
        if leg.day == NO_DAY:
            continue
        day = horizon.days[leg.day]
        sums[leg.day] += passage.exported
        if day.accrues:
            grown[leg.day] += leg.pv * leg.hours
        order = orders.get(number)
        if not day.accrues or (order is not None and order.kind is Kind.DISCHARGE):
            over[leg.day] = max(over[leg.day], sums[leg.day] - max(0.0, grown[leg.day]))
    return tuple(over)


def pass_leg(horizon: Horizon, leg: Leg, order: Order | None, run: Run) -> Passage:
    """Let one leg pass; `run` moves on."""
    before = (run.exported, run.imported, run.discharged, run.charged, run.clipped)
    forced = (0.0, 0.0, 0.0)
    if order is None:
        _natural(horizon, leg, leg.hours, run)
    elif order.late:
        _natural(horizon, leg, leg.hours - order.hours, run)
        forced = _forced(horizon, leg, order, run)
        _natural(horizon, leg, order.hours - forced[2], run)
    else:
        forced = _forced(horizon, leg, order, run)
        _natural(horizon, leg, leg.hours - forced[2], run)
    return Passage(
        run.exported - before[0],
        run.imported - before[1],
        run.discharged - before[2],
        run.charged - before[3],
        run.clipped - before[4],
        run.stored,
        *forced,
    )


def _natural(horizon: Horizon, leg: Leg, hours: float, run: Run) -> None:
    if hours <= 0:
        return
    if leg.in_surplus:
        rate = leg.feed * horizon.efficiency
        room = max(0.0, horizon.full - run.stored)
        filling = hours if rate * hours <= room else room / rate
        run.stored = min(horizon.full, run.stored + rate * filling)
        run.charged += leg.feed * filling
        run.exported += leg.export * filling + leg.spill * (hours - filling)
        run.clipped += hours - filling
        return
    rate = leg.feed / horizon.efficiency
    held = max(0.0, run.stored - horizon.house_floor)
    feeding = hours if rate * hours <= held else held / rate
    run.stored -= rate * feeding
    run.bought = max(0.0, run.bought - rate * feeding)
    run.discharged += leg.feed * feeding
    run.imported += leg.deficit * hours - leg.feed * feeding
    run.clipped += hours - feeding


def _forced(horizon: Horizon, leg: Leg, order: Order, run: Run) -> tuple[float, float, float]:
    """Run an order; return what the grid saw, what the battery saw, and for how long it ran."""
    if order.kind is Kind.DISCHARGE:
        return _discharge(horizon, leg, order, run)
    return _charge(horizon, leg, order, run)


def _discharge(horizon: Horizon, leg: Leg, order: Order, run: Run) -> tuple[float, float, float]:
    power = min(order.power, leg.out)
    battery = power + leg.deficit
    rate = battery / horizon.efficiency
    hours = min(order.hours, max(0.0, run.stored - horizon.session_floor) / rate) if power else 0.0
    if horizon.green_only and hours > 0:
        hours = min(hours, _green_hours(horizon, leg, power, run))
    if hours <= 0:
        return 0.0, 0.0, 0.0
    grid = (power + leg.surplus) * hours
    run.stored -= rate * hours
    run.bought = max(0.0, run.bought - leg.deficit / horizon.efficiency * hours)
    run.discharged += battery * hours
    run.exported += grid
    return grid, battery * hours, hours


def _green_hours(horizon: Horizon, leg: Leg, power: float, run: Run) -> float:
    """Return how long energy that was not bought lasts, the house living on what was."""
    house, grid = leg.deficit / horizon.efficiency, power / horizon.efficiency
    green = max(0.0, run.stored - horizon.house_floor - run.bought)
    on_bought = run.bought / house if house > 0 else 0.0
    if green <= grid * on_bought:
        return green / grid
    return on_bought + (green - grid * on_bought) / (grid + house)


def _charge(horizon: Horizon, leg: Leg, order: Order, run: Run) -> tuple[float, float, float]:
    power = min(order.power, leg.into)
    battery = power + (leg.feed if leg.in_surplus else 0.0)
    rate = battery * horizon.efficiency
    hours = min(order.hours, max(0.0, horizon.full - run.stored) / rate) if power else 0.0
    if hours <= 0:
        return 0.0, 0.0, 0.0
    run.stored += rate * hours
    run.bought += power * horizon.efficiency * hours
    run.charged += battery * hours
    run.imported += (power + leg.deficit) * hours
    if leg.in_surplus:
        run.exported += leg.export * hours
    return power * hours, battery * hours, hours


def _delivered(leg: Leg, order: Order, passage: Passage) -> float:
    """Return how much of an order's own energy (kWh) came about."""
    if order.kind is Kind.CHARGE:
        return passage.forced_grid
    return passage.forced_grid - leg.surplus * passage.forced_hours


def trimmed(orders: Orders, outcome: Walk) -> tuple[dict[int, Order], Walk]:
    """Return only what was delivered of orders; the walk stays what it is."""
    delivered = {
        number: replace(order, hours=min(order.hours, outcome.passages[number].forced_hours))
        for number, order in orders.items()
        if outcome.passages[number].forced_hours > 0
    }
    return delivered, replace(outcome, missing=0.0)


def keeps_limits(
    horizon: Horizon, orders: Orders, outcome: Walk, tolerance: float = SNAP_OVER_KWH
) -> bool:
    """Whether all that is asked is delivered, and nothing is discharged beyond an allowance."""
    if outcome.missing > SNAP_OVER_KWH:
        return False
    days = {
        horizon.legs[number].day for number, order in orders.items() if order.kind is Kind.DISCHARGE
    }
    return not any(outcome.over[day] > tolerance for day in days)


def idle(horizon: Horizon) -> Walk:
    """Return what happens if nothing is forced."""
    return walk(horizon, {})


def broken_by_sun(horizon: Horizon) -> frozenset[int]:
    """Return the days (index) whose allowance PV alone passes: no discharge finds headroom there.

    That is certain only of the first day, as nothing planned before it can make room.
    """
    over = idle(horizon).over
    return frozenset(number for number, excess in enumerate(over[:1]) if excess > TINY)
