"""A plan without a solver: the best hours first, each as far as the battery really reaches.

Every step is tried in the walk through the inverter's policy and kept only if all orders are still
delivered, no allowance breaks and the whole plan earns more.
"""

from dataclasses import dataclass, replace

from ..models import Kind
from .horizon import Horizon
from .models import Status
from .policy import Order, Proposal, Walk, broken_by_sun, keeps_limits, walk

ROUNDS = 3
HALVINGS = 5
LEAST_HOURS = 1 / 60
MOST_PASSES = 200_000  # about a second, as the clock is not looked at: 96 legs take 40 000
WORTHWHILE = 1e-7  # of a kWh at the dearest: less is rounding


@dataclass(slots=True)
class _Draft:
    """The orders so far."""

    horizon: Horizon
    orders: dict[int, Order]
    walk: Walk
    passes: int = 0
    """Legs walked through."""

    def tried(self, orders: dict[int, Order]) -> bool:
        """Take over orders that keep every limit and earn more; say whether they do."""
        self.passes += len(self.horizon.legs)
        if self.passes > MOST_PASSES:
            return False
        outcome = walk(self.horizon, orders)
        least = self.walk.score + WORTHWHILE * self.horizon.penalty
        if outcome.score <= least or not keeps_limits(self.horizon, orders, outcome):
            return False
        self.orders, self.walk = orders, outcome
        return True

    def delivered(self, orders: dict[int, Order], number: int) -> float:
        """Return for how long the battery could follow one of the orders (h)."""
        self.passes += len(self.horizon.legs)
        return walk(self.horizon, orders).passages[number].forced_hours


def propose_greedily(horizon: Horizon) -> Proposal:
    """Return good orders. Never fails."""
    draft = _Draft(horizon, {}, walk(horizon, {}))
    for _ in range(ROUNDS):
        before = draft.walk.score
        _fill(draft, _discharges(horizon))
        _fill(draft, _charges(horizon))
        if not horizon.green_only:
            _trade(draft)
        if draft.walk.score <= before + WORTHWHILE * horizon.penalty:
            break
    return Proposal(draft.orders, draft.walk, None, Status.FEASIBLE)


def _discharges(horizon: Horizon) -> list[tuple[int, Order]]:
    """Return every discharge that is permitted, the most valuable first."""
    blocked = broken_by_sun(horizon)
    legs = [
        (leg.value + leg.keep_out, -number, leg)
        for number, leg in enumerate(horizon.legs)
        if leg.out > 0 and leg.day not in blocked
    ]
    legs.sort(key=lambda entry: entry[:2], reverse=True)
    return [(-number, Order(Kind.DISCHARGE, leg.hours, leg.out)) for _, number, leg in legs]


def _charges(horizon: Horizon) -> list[tuple[int, Order]]:
    """Return every charge that is permitted, the cheapest first.

    Then each again as slowly as can be: that keeps the battery while the grid feeds the house.
    """
    legs = [
        (leg.cost - leg.keep_in, number, leg)
        for number, leg in enumerate(horizon.legs)
        if leg.into > 0
    ]
    legs.sort(key=lambda entry: entry[:2])
    fast = [(number, Order(Kind.CHARGE, leg.hours, leg.into)) for _, number, leg in legs]
    slow = [
        (number, Order(Kind.CHARGE, leg.hours, horizon.least))
        for _, number, leg in legs
        if not leg.in_surplus
    ]
    return fast + slow


def _fill(draft: _Draft, wanted: list[tuple[int, Order]]) -> None:
    for number, order in wanted:
        standing = draft.orders.get(number)
        if standing is None:
            _add(draft, number, order, 0.0)
        elif standing.kind is order.kind and standing.hours < order.hours - LEAST_HOURS:
            _add(draft, number, order, standing.hours)


def _add(draft: _Draft, number: int, order: Order, least: float) -> bool:
    """Run an order for as long as it earns: its leg, what the battery gives, else by halving."""
    if draft.tried({**draft.orders, number: order}):
        return True
    good, bad = least, order.hours
    delivered = draft.delivered({**draft.orders, number: order}, number)
    if LEAST_HOURS < delivered < bad:
        if draft.tried({**draft.orders, number: replace(order, hours=delivered)}):
            return True
        bad = delivered
    for _ in range(HALVINGS):
        hours = (good + bad) / 2
        if hours - least < LEAST_HOURS:
            break
        if draft.tried({**draft.orders, number: replace(order, hours=hours)}):
            good = hours
        else:
            bad = hours
            if good == least and bad < (least + order.hours) / 4:
                break
    return good > least


def _trade(draft: _Draft) -> None:
    """Buy in order to sell later, where that is wanted: neither alone would earn."""
    dear = [(leg, sale) for leg, sale in _discharges(draft.horizon) if leg not in draft.orders]
    for number, order in _charges(draft.horizon):
        if number in draft.orders:
            continue
        later = next(((leg, sale) for leg, sale in dear if leg > number), None)
        if later is None or draft.horizon.legs[number].cost >= draft.horizon.legs[later[0]].value:
            continue
        sold, sale = later
        hours = draft.delivered({**draft.orders, number: order, sold: sale}, sold)
        if hours > LEAST_HOURS:
            both = {number: order, sold: replace(sale, hours=hours)}
            if draft.tried({**draft.orders, **both}) and hours >= sale.hours - LEAST_HOURS:
                dear.remove(later)
