"""What ours is measured against: doing nothing, plain greedy, and perfect foresight.

Doing nothing and greedy live through the same minutes as ours. Perfect foresight knows every half
hour's truth at once; its linear program is the planner's own formulation over the whole span with
all yes-or-no relaxed, so no controller under these limits can earn more.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from math import sqrt

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import csr_array

from custom_components.export_monitor.models import Basis
from custom_components.export_monitor.planning import (
    BatteryState,
    DayAllowance,
    Objective,
    PlanInput,
    PlanSlot,
    PowerLimits,
)
from custom_components.export_monitor.planning.formulation import formulate
from custom_components.export_monitor.planning.horizon import Horizon, horizon
from custom_components.export_monitor.planning.linear import propose
from custom_components.export_monitor.planning.policy import walk, worth as worth_of

from .forecasts import Forecaster
from .house import TINY_KWH
from .weather import MINUTES_PER_SLOT, Floats, House, Span

MINUTE_H = 1 / 60
EXACT_DAYS = 4
EXACT_S = 60.0


@dataclass(slots=True)
class Track:
    """What one way to run the house came to, by half hour (kWh)."""

    exported: list[float] = field(default_factory=list)
    imported: list[float] = field(default_factory=list)
    stored: list[float] = field(default_factory=list)
    """At each half hour's end."""
    planned_kwh: float = 0.0
    """What was meant to leave the battery for the grid."""
    undelivered_kwh: float = 0.0
    """The part of it that the battery did not hold."""

    def value(self, rates: "Rates", first: int = 0, last: int | None = None) -> float:
        """Return revenue less cost of half hours."""
        last = len(self.exported) if last is None else last
        return sum(
            self.exported[n] * rates.value[n] - self.imported[n] * rates.cost[n]
            for n in range(first, last)
        )


@dataclass(frozen=True, slots=True)
class Rates:
    """What a kWh is worth by half hour: currency or kg CO2."""

    value: Sequence[float]
    cost: Sequence[float]

    @classmethod
    def of(cls, span: Span, objective: Objective) -> "Rates":
        """Return the rates of an objective."""
        if objective is Objective.CARBON:
            carbon = span.carbon.tolist()
            return cls(carbon, carbon)
        return cls(span.export_price.tolist(), span.import_price.tolist())


@dataclass(frozen=True, slots=True)
class Minutes:
    """A span as plain lists of kW, for loops."""

    pv: list[float]
    load: list[float]

    @classmethod
    def of(cls, span: Span) -> "Minutes":
        """Return a span's minutes."""
        return cls((span.pv_w / 1000).tolist(), (span.load_w / 1000).tolist())


def drift(
    minutes: Minutes, house: House, stored: float, first: int, last: int, forced_kw: float = 0.0
) -> tuple[float, float, float, float]:
    """Let minutes pass; return stored, exported, imported and what force took out (kWh).

    `forced_kw` is what the battery gives as long as it is above its floor; 0: nothing is forced.
    """
    way = sqrt(house.efficiency)
    full, floor = house.capacity_kwh, house.capacity_kwh * house.floor_soc / 100
    most, inverter = house.battery_w / 1000, house.inverter_w / 1000
    exported = imported = given = 0.0
    for number in range(first, last):
        pv, load = minutes.pv[number], minutes.load[number]
        net = load - pv
        if forced_kw > 0 and stored > floor + TINY_KWH:
            power = min(forced_kw, most, inverter - pv)
            moved = min(power * MINUTE_H, (stored - floor) * way)
            stored -= moved / way
            given += moved
        elif net > 0:
            moved = min(min(net, most, inverter - pv) * MINUTE_H, max(0.0, stored - floor) * way)
            stored -= moved / way
        else:
            moved = -min(min(-net, most) * MINUTE_H, (full - stored) / way)
            stored -= moved * way
        grid = net * MINUTE_H - moved
        if grid > 0:
            imported += grid
        else:
            exported -= grid
    return stored, exported, imported, given


def _alone(
    minutes: Minutes, house: House, stored: float, slots: tuple[int, int]
) -> Iterator[tuple[int, float, float]]:
    """Yield half hours with what they export and import (kWh), the battery left alone."""
    for number in range(*slots):
        at = number * MINUTES_PER_SLOT
        stored, exported, imported, _ = drift(minutes, house, stored, at, at + MINUTES_PER_SLOT)
        yield number, exported, imported


def left_alone(
    minutes: Minutes, house: House, rates: Rates, stored: float, slots: tuple[int, int]
) -> float:
    """Return what half hours earn with the battery left alone."""
    return sum(
        exported * rates.value[number] - imported * rates.cost[number]
        for number, exported, imported in _alone(minutes, house, stored, slots)
    )


def exported_alone(minutes: Minutes, house: House, stored: float, slots: tuple[int, int]) -> float:
    """Return what half hours export (kWh) with the battery left alone."""
    return sum(exported for _, exported, _ in _alone(minutes, house, stored, slots))


def worth(span: Span, house: House, minutes: Minutes, rates: Rates, track: "Track") -> float:
    """Return what a track earned, and what it had left earns in the tail without any force."""
    tail = (span.slot_of(span.end), span.slot_of(span.tail))
    return track.value(rates) + left_alone(minutes, house, rates, track.stored[-1], tail)


def nothing(span: Span, house: House, minutes: Minutes) -> Track:
    """Leave the battery alone."""
    return _lived(span, house, minutes, {})


def greedy(  # noqa: PLR0913 - all that a plain plan knows
    span: Span,
    house: House,
    minutes: Minutes,
    rates: Rates,
    forecaster: Forecaster,
    *,
    margin_kwh: float,
    target_w: float,
) -> Track:
    """Plan each midnight: highest value first, blind to SOC, up to forecast plus margin."""
    power: dict[int, float] = {}
    planned = 0.0
    for begin, end in span.days[: span.counted_days]:
        sun = forecaster.forecast(begin, end)
        left = sum(slot.p50_w for slot in sun.slots) / 2000 + margin_kwh
        numbers = range(span.slot_of(begin), span.slot_of(end))
        for number in sorted(numbers, key=lambda n: rates.value[n], reverse=True):
            take = min(left, target_w / 2000)
            if take <= 0:
                break
            power[number] = take * 2
            left -= take
            planned += take
    track = _lived(span, house, minutes, power)
    track.undelivered_kwh = planned - track.planned_kwh
    track.planned_kwh = planned
    return track


def _lived(span: Span, house: House, minutes: Minutes, power: dict[int, float]) -> Track:
    """Run a house open loop; `planned_kwh` is what force really took out."""
    track = Track()
    stored = house.capacity_kwh * house.first_soc / 100
    for number in range(span.slot_of(span.end)):
        first = number * MINUTES_PER_SLOT
        stored, exported, imported, given = drift(
            minutes, house, stored, first, first + MINUTES_PER_SLOT, power.get(number, 0.0)
        )
        track.exported.append(exported)
        track.imported.append(imported)
        track.stored.append(stored)
        track.planned_kwh += given
    return track


@dataclass(frozen=True, slots=True)
class Limits:
    """What every controller has to keep."""

    basis: Basis
    target_w: float
    fixed_kwh: float = 0.0
    margin_kwh: float = 0.0
    accrues: bool = False


def truth_of(span: Span, house: House, rates: Rates, limits: Limits) -> PlanInput:
    """Return a span as the planner's own input, nothing of it hidden.

    The days of its tail belong to no allowance, so nothing is forced there.
    """
    pv, load = span.mean(span.pv_w), span.mean(span.load_w)
    slots = []
    for number in range(span.slot_of(span.tail)):
        watts = float(pv[number])
        slots.append(
            PlanSlot(
                span.moment_of(number),
                span.moment_of(number + 1),
                (watts, watts, watts),
                float(load[number]),
                rates.value[number],
                rates.cost[number],
            )
        )
    return PlanInput(
        slots=tuple(slots),
        battery=battery_of(house, house.first_soc),
        days=tuple(_allowances(span, pv, limits)),
        limits=limits_of(house, limits.target_w),
        zone=span.zone,
        terminal_value=0.0,
    )


def battery_of(house: House, soc: float) -> BatteryState:
    """Return the battery as a plan sees it."""
    return BatteryState(
        house.capacity_kwh,
        soc,
        house.floor_soc,
        charge_limit_w=house.battery_w,
        discharge_limit_w=house.battery_w,
        round_trip_efficiency=house.efficiency,
    )


def limits_of(house: House, target_w: float) -> PowerLimits:
    """Return the limits beside the battery's own."""
    return PowerLimits(inverter_w=house.inverter_w, target_export_w=target_w)


def _allowances(span: Span, pv: Floats, limits: Limits) -> list[DayAllowance]:
    found = []
    for begin, end in span.days[: span.counted_days]:
        contract = limits.fixed_kwh
        if limits.basis is not Basis.FIXED:
            made = float(pv[span.slot_of(begin) : span.slot_of(end)].sum()) / 2000
            contract = 0.0 if limits.accrues else made
        left = contract - limits.margin_kwh
        found.append(DayAllowance(begin, end, left, accrues=limits.accrues))
    return found


@dataclass(frozen=True, slots=True)
class Foresight:
    """What knowing the truth of every half hour makes of a span, above doing nothing in them."""

    gain: float
    """By exact plans of four days each, of which the first is lived."""
    bound: float
    """By one linear program of all days, its yes-or-no relaxed: no plan can exceed it."""
    exported: float
    """Of the exact plans (kWh)."""


def foresight(given: PlanInput) -> Foresight:
    """Solve a span whose truth is known."""
    ahead = horizon(given)
    alone = walk(ahead, {})
    value, exported = _lived_exactly(given)
    return Foresight(value - alone.value, _relaxed(ahead) - alone.score, exported)


def _relaxed(ahead: Horizon) -> float:
    program = formulate(ahead).program
    matrix = csr_array(
        (program.coefficients, program.indices, program.starts),
        (len(program.row_lower), len(program.worth)),
    )
    found = milp(
        -np.array(program.worth),
        bounds=Bounds(np.array(program.lower), np.array(program.upper)),
        constraints=LinearConstraint(matrix, program.row_lower, program.row_upper),
    )
    if not found.success:
        raise RuntimeError(found.message)
    return program.offset - float(found.fun)


def _lived_exactly(given: PlanInput) -> tuple[float, float]:
    """Return value and export of each day's best plan, which sees three days beyond it."""
    capacity = given.battery.capacity_kwh
    stored = capacity * given.battery.soc / 100
    end = given.slots[-1].end
    value = exported = 0.0
    for number, day in enumerate(given.days):
        beyond = number + EXACT_DAYS
        until = given.days[beyond].start if beyond < len(given.days) else end
        last = number == len(given.days) - 1
        ahead = horizon(
            replace(
                given,
                slots=tuple(slot for slot in given.slots if day.start <= slot.start < until),
                days=given.days[number:beyond],
                battery=replace(given.battery, soc=stored / capacity * 100),
            )
        )
        lived = walk(ahead, propose(ahead, EXACT_S).orders)
        for leg, passage in zip(ahead.legs, lived.passages, strict=True):
            if leg.start >= day.end and not last:
                break
            value += worth_of(ahead, leg, passage)
            exported += passage.exported if leg.start < day.end else 0.0
            stored = passage.stored
    return value, exported
