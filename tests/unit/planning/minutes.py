"""A house minute by minute, by plain arithmetic: what the planner's walk is checked against."""

from dataclasses import dataclass
from math import sqrt

from custom_components.export_monitor.planning import Kind, PlanInput

STEPS = 60  # an hour


@dataclass(frozen=True)
class Forced:
    """What is forced at the beginning of a slot: hours, and kW at the grid."""

    kind: Kind
    hours: float
    power: float


@dataclass
class Outcome:
    """What came of it; `broken` says which rule was broken."""

    value: float = 0.0
    exported: float = 0.0
    broken: str = ""
    stored: float = 0.0


def live(given: PlanInput, forced: dict[int, Forced], steps: int = STEPS) -> Outcome:  # noqa: C901, PLR0915
    """Let slots of whole hours pass in small steps."""
    battery = given.battery
    n = sqrt(battery.round_trip_efficiency)
    capacity = battery.capacity_kwh
    full, floor = capacity * battery.full_soc / 100, capacity * battery.floor_soc / 100
    low = min(floor, capacity * battery.soc / 100)
    out = Outcome(stored=capacity * battery.soc / 100)
    bought = 0.0
    dt = 1 / steps
    for number, slot in enumerate(given.slots):
        order = forced.get(number)
        hours = (slot.end - slot.start).total_seconds() / 3600
        for step in range(round(hours * steps)):
            pv, load = slot.pv[1] / 1000, slot.load_w / 1000
            share = 0.0
            if order is not None:
                share = min(1.0, max(0.0, (order.hours - step * dt) / dt))
            grid = 0.0  # export positive
            if share > 0 and order is not None and order.kind is Kind.DISCHARGE:
                power = order.power + max(0.0, load - pv)
                out.stored -= power / n * dt * share
                house = max(0.0, load - pv) / n * dt * share
                bought -= min(bought, house)
                grid += (order.power + max(0.0, pv - load)) * share
                out.value -= given.wear_cost * power * dt * share
                if out.stored < floor - 1e-6:
                    out.broken = "floor"
                if given.green_only and out.stored - low < bought - 1e-6:
                    out.broken = "green"
            elif share > 0 and order is not None:
                sun = max(0.0, pv - load)
                out.stored += (order.power + sun) * n * dt * share
                bought += order.power * n * dt * share
                grid -= (order.power + max(0.0, load - pv)) * share
                if out.stored > full + 1e-6:
                    out.broken = "full"
            rest = 1 - share
            if rest > 1e-12:
                net = pv - load
                if net >= 0:
                    room = max(0.0, full - out.stored) / n / dt / rest
                    into = min(net, battery.charge_limit_w / 1000, room)
                    out.stored += into * n * dt * rest
                    grid += (net - into) * rest
                else:
                    held = max(0.0, out.stored - low) * n / dt / rest
                    given_out = min(-net, battery.discharge_limit_w / 1000, held)
                    out.stored -= given_out / n * dt * rest
                    bought -= min(bought, given_out / n * dt * rest)
                    grid -= (-net - given_out) * rest
                    out.value -= given.wear_cost * given_out * dt * rest
            value, cost = slot.export_value or 0.0, slot.import_cost or 0.0
            # Within a step the grid may go both ways; a minute is short enough to take the sum.
            out.value += (value * max(grid, 0.0) - cost * max(-grid, 0.0)) * dt
            out.exported += max(grid, 0.0) * dt
    out.value += (given.terminal_value or 0.0) * out.stored
    if out.exported > given.days[0].left_kwh + 1e-6:
        out.broken = out.broken or "allowance"
    return out
