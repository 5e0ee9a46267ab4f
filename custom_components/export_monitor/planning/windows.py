"""From orders to windows: placed inside their legs, merged, long enough, each with its reason."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import pairwise

from ..models import Kind
from .horizon import KW, NO_DAY, PENALTY, SECONDS_PER_HOUR, Horizon, Leg
from .models import Reason, Why, Window, WindowStep
from .policy import SNAP_KWH, Order, Orders, Walk, keeps_limits, trimmed, walk

SHORTEST_H = 5 / 60
WHOLE_H = 1 / 3600
REPAIRS = 5
METER_STEP_KWH = 0.01  # what an AlphaESS export counter does not see
IDLE_SHARE = 1e-4  # of the whole plan
START_KWH = 0.02  # at the dearest: no window is worth a start that earns less
GAP_H = 0.25  # a stop, its cooldown and a start take that long, or nearly
ROOM_SHARE = 0.5


@dataclass(frozen=True, slots=True)
class Group:
    """Orders of one kind that follow each other without a gap, by index of the leg."""

    kind: Kind
    legs: tuple[int, ...]


def settled(horizon: Horizon, orders: Orders) -> Orders:
    """Return orders as they are to run: joined where they can be, none too short."""
    placed = _if_kept(horizon, orders, _placed(horizon, orders))
    stretched = _if_kept(horizon, placed, _stretched(horizon, placed))
    return _joined(horizon, _worthwhile(horizon, _without_short(horizon, stretched)))


def windows(horizon: Horizon, orders: Orders, outcome: Walk) -> tuple[Window, ...]:
    """Return the windows of orders, in order of time."""
    found = [_window(horizon, orders, outcome, group) for group in groups(horizon, orders)]
    return tuple(sorted(found, key=lambda window: window.start))


def groups(horizon: Horizon, orders: Orders) -> Iterator[Group]:
    """Yield what becomes a window each."""
    current: list[int] = []
    for number in sorted(orders):
        if current:
            before, after = orders[current[-1]], orders[number]
            joined = _end(horizon, current[-1], before) == _start(horizon, number, after)
            if not joined or before.kind is not after.kind:
                yield Group(before.kind, tuple(current))
                current = []
        current.append(number)
    if current:
        yield Group(orders[current[0]].kind, tuple(current))


def _placed(horizon: Horizon, orders: Orders) -> Orders:
    """Let an order that fills part of its leg touch the next one, unless it touches the last.

    Where the allowance accrues it runs at the leg's end, when the leg's sun has been counted.
    """
    placed = dict(orders)
    for number in sorted(orders):
        order, leg = orders[number], horizon.legs[number]
        if order.hours >= leg.hours - WHOLE_H:
            placed[number] = replace(order, hours=leg.hours) if _fits(order, leg) else order
            continue
        before, after = placed.get(number - 1), orders.get(number + 1)
        touches = (
            before is not None
            and before.kind is order.kind
            and _end(horizon, number - 1, before) == leg.start
        )
        follows = after is not None and after.kind is order.kind
        if not touches and (follows or _accrues(horizon, leg)):
            placed[number] = replace(order, late=True)
    return placed


def _accrues(horizon: Horizon, leg: Leg) -> bool:
    return leg.day != NO_DAY and horizon.days[leg.day].accrues


def _fits(order: Order, leg: Leg) -> bool:
    """Whether an order that all but fills its leg may be said to fill it."""
    return leg.hours - order.hours < 1e-9 / max(order.power, 1e-9)


def _stretched(horizon: Horizon, orders: Orders) -> Orders:
    """Let a discharge that would be over too soon run longer at less power."""
    stretched = dict(orders)
    for group in groups(horizon, orders):
        if group.kind is Kind.CHARGE or len(group.legs) > 1:
            continue
        number = group.legs[0]
        order, leg = orders[number], horizon.legs[number]
        if order.hours < SHORTEST_H and not leg.surplus:
            energy = order.hours * order.power
            hours = min(leg.hours, energy / horizon.least, 2 * SHORTEST_H)
            if hours > order.hours:
                stretched[number] = replace(order, hours=hours, power=energy / hours)
    return stretched


def _if_kept(horizon: Horizon, before: Orders, after: Orders) -> Orders:
    """Return the orders after a change if every limit is still kept."""
    return after if keeps_limits(horizon, after, walk(horizon, after)) else before


def _without_short(horizon: Horizon, orders: Orders) -> Orders:
    """Drop what would be too short a window, and cut what no longer fits without it.

    One stays only where neither helps: where it keeps PV from breaking an allowance.
    """
    kept: Orders = dict(orders)
    for _ in range(REPAIRS):
        before = kept
        for group in _short(horizon, kept):
            fewer = {number: order for number, order in kept.items() if number not in group.legs}
            outcome = walk(horizon, fewer)
            if not keeps_limits(horizon, fewer, outcome, METER_STEP_KWH):
                fewer = _cut(horizon, fewer, outcome)
                outcome = walk(horizon, fewer)
            if keeps_limits(horizon, fewer, outcome, METER_STEP_KWH):
                kept = fewer
        if kept is before:
            break
    return kept


def _short(horizon: Horizon, orders: Orders) -> list[Group]:
    return [
        group
        for group in groups(horizon, orders)
        if sum(orders[number].hours for number in group.legs) < SHORTEST_H - WHOLE_H
    ]


def _cut(horizon: Horizon, orders: Orders, outcome: Walk) -> dict[int, Order]:
    """Return what the battery can deliver of orders, less what is beyond each day's allowance.

    Of a day's discharges the one of least value gives way.
    """
    cut, _ = trimmed(orders, outcome)
    for day, excess in enumerate(outcome.over):
        selling = [
            number
            for number, order in cut.items()
            if order.kind is Kind.DISCHARGE and horizon.legs[number].day == day
        ]
        if excess <= 0 or not selling:
            continue
        number = min(selling, key=lambda leg: horizon.legs[leg].value)
        order = cut.pop(number)
        hours = order.hours - excess / (order.power + horizon.legs[number].surplus)
        if hours > 0:
            cut[number] = replace(order, hours=hours)
    return cut


def _worthwhile(horizon: Horizon, orders: Orders) -> Orders:
    """Drop windows that earn next to nothing: none is worth a start of the battery's machinery."""
    outcome = walk(horizon, orders)
    least = IDLE_SHARE * max(abs(outcome.score), outcome.score - walk(horizon, {}).score)
    least = max(least, _start_worth(horizon))
    for group in sorted(groups(horizon, orders), key=lambda found: len(found.legs)):
        fewer = {number: order for number, order in orders.items() if number not in group.legs}
        without = walk(horizon, fewer)
        if without.score > outcome.score - least and keeps_limits(horizon, fewer, without):
            orders, outcome = fewer, without
    return orders


def _start_worth(horizon: Horizon) -> float:
    return START_KWH * horizon.penalty / PENALTY


def _joined(horizon: Horizon, orders: Orders) -> Orders:
    """Close short gaps between windows of a kind by running beside them for longer at less power.

    Each would cost a stop, a cooldown and a start, in which the second begins too late.
    """
    outcome = walk(horizon, orders)
    found = list(groups(horizon, orders))
    for before, after in pairwise(found):
        first, second = before.legs[-1], after.legs[0]
        begin = _end(horizon, first, orders[first])
        gap = (_start(horizon, second, orders[second]) - begin).total_seconds() / SECONDS_PER_HOUR
        if before.kind is not after.kind or second != first + 1 or not 0 < gap < GAP_H:
            continue
        longer = {n: _whole(horizon, n, orders[n]) for n in (first, second)}
        tried = {**orders, **longer}
        then = walk(horizon, tried)
        if then.score >= outcome.score - _start_worth(horizon) and keeps_limits(
            horizon, tried, then
        ):
            orders, outcome = tried, then
    return orders


def _whole(horizon: Horizon, number: int, order: Order) -> Order:
    """Return an order stretched over the whole of its leg."""
    hours = horizon.legs[number].hours
    power = max(horizon.least, order.power * order.hours / hours)
    return replace(order, hours=hours, power=min(order.power, power), late=False)


def _start(horizon: Horizon, number: int, order: Order) -> datetime:
    leg = horizon.legs[number]
    if order.late:
        return _second(leg.end - timedelta(hours=order.hours))
    return leg.start


def _end(horizon: Horizon, number: int, order: Order) -> datetime:
    leg = horizon.legs[number]
    if order.late or order.hours >= leg.hours - WHOLE_H:
        return leg.end
    return _second(leg.start + timedelta(hours=order.hours))


def _second(moment: datetime) -> datetime:
    """Round to whole seconds: nothing is started more exactly."""
    return (moment + timedelta(microseconds=500_000)).replace(microsecond=0)


def _window(horizon: Horizon, orders: Orders, outcome: Walk, group: Group) -> Window:
    passages = [outcome.passages[number] for number in group.legs]
    steps = tuple(
        WindowStep(
            _start(horizon, number, orders[number]),
            _end(horizon, number, orders[number]),
            passage.forced_grid / passage.forced_hours * KW if passage.forced_hours else 0.0,
        )
        for number, passage in zip(group.legs, passages, strict=True)
    )
    hours = sum(passage.forced_hours for passage in passages)
    energy = sum(passage.forced_grid for passage in passages)
    legs = [horizon.legs[number] for number in group.legs]
    rates = [leg.value if group.kind is Kind.DISCHARGE else -leg.cost for leg in legs]
    value = sum(r * passage.forced_grid for r, passage in zip(rates, passages, strict=True))
    without = walk(horizon, {n: o for n, o in orders.items() if n not in group.legs})
    mean = abs(value / energy) if energy else 0.0
    return Window(
        kind=group.kind,
        start=steps[0].start,
        end=steps[-1].end,
        energy_kwh=energy,
        battery_kwh=sum(passage.forced_battery for passage in passages),
        power_w=energy / hours * KW if hours else 0.0,
        value=value,
        gain=outcome.value - without.value,
        why=_why(horizon, group, orders, (outcome, without), mean if value >= 0 else -mean),
        steps=steps,
    )


def _why(
    horizon: Horizon, group: Group, orders: Orders, walks: tuple[Walk, Walk], value: float
) -> Why:
    legs = [horizon.legs[number] for number in group.legs]
    same_day = [leg for leg in horizon.legs if leg.day == legs[0].day]
    hours = sum(leg.hours for leg in same_day)
    if group.kind is Kind.CHARGE:
        average = sum(leg.cost * leg.hours for leg in same_day) / hours
        return Why(Reason.PAID_TO_TAKE if value > 0 else Reason.CHEAP, -value, average)
    average = sum(leg.value * leg.hours for leg in same_day) / hours
    saved = max(0.0, _spilt(horizon, walks[1]) - _spilt(horizon, walks[0]))
    elsewhere = _elsewhere(horizon, orders, legs[0].day)
    if value >= max(elsewhere, default=value) - 1e-9 and value > average:
        return Why(Reason.BEST_OF_DAY, value, average, saved)
    energy = sum(walks[0].passages[number].forced_grid for number in group.legs)
    alone_breaks = sum(walks[1].over) > sum(walks[0].over) + SNAP_KWH
    if alone_breaks or (value < average and saved >= ROOM_SHARE * energy):
        return Why(Reason.MAKES_ROOM, value, average, saved)
    reason = Reason.GOOD_VALUE if value >= average else Reason.BETTER_THAN_KEEPING
    return Why(reason, value, average, saved)


def _elsewhere(horizon: Horizon, orders: Orders, day: int) -> Iterable[float]:
    """Yield the values of a day's hours in which nothing is discharged."""
    for number, leg in enumerate(horizon.legs):
        if leg.day == day and (number not in orders or orders[number].kind is Kind.CHARGE):
            yield leg.value


def _spilt(horizon: Horizon, outcome: Walk) -> float:
    """Return the PV that found the battery full (kWh)."""
    return sum(
        leg.feed * passage.clipped
        for leg, passage in zip(horizon.legs, outcome.passages, strict=True)
        if leg.in_surplus
    )
