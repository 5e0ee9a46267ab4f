"""The best plan by another way: all flows between sun, house, battery and grid, and SciPy's MILP.

Nothing of the planner's own code is used. Time is cut by looking at every minute's local wall
clock; every yes or no is a binary from the start; no relaxation, no walk.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from math import inf, sqrt

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from custom_components.export_monitor.planning import DailyWindow, PlanInput, PlanSlot

MINUTE = timedelta(minutes=1)
BREAKING = 10.0  # times the dearest kWh: what a kWh beyond the allowance costs


@dataclass
class Piece:
    """Minutes that are alike."""

    hours: float
    pv: float
    load: float
    value: float
    cost: float
    known: bool
    may_export: bool
    may_charge: bool
    in_day: bool


@dataclass
class Milp:
    """Columns and rows, minimised."""

    cost: list[float] = field(default_factory=list)
    upper: list[float] = field(default_factory=list)
    integral: list[int] = field(default_factory=list)
    rows: list[tuple[dict[int, float], float, float]] = field(default_factory=list)

    def new(self, cost: float = 0.0, upper: float = inf, *, binary: bool = False) -> int:
        self.cost.append(cost)
        self.upper.append(1.0 if binary else upper)
        self.integral.append(int(binary))
        return len(self.cost) - 1

    def add(self, terms: dict[int, float], low: float = -inf, high: float = inf) -> None:
        self.rows.append((terms, low, high))

    def solve(self) -> float:
        rows, columns, data = [], [], []
        for number, (terms, _, _) in enumerate(self.rows):
            for column, coefficient in terms.items():
                rows.append(number)
                columns.append(column)
                data.append(coefficient)
        matrix = coo_array((data, (rows, columns)), shape=(len(self.rows), len(self.cost)))
        limits = [(low, high) for _, low, high in self.rows]
        found = milp(
            np.array(self.cost),
            integrality=np.array(self.integral),
            bounds=Bounds(np.zeros(len(self.cost)), np.array(self.upper)),
            constraints=LinearConstraint(
                matrix.tocsr(), [low for low, _ in limits], [high for _, high in limits]
            ),
            options={"mip_rel_gap": 1e-5, "time_limit": 20},
        )
        assert found.success, found.message
        return -float(found.fun)


def inside(window: DailyWindow, given: PlanInput, moment: datetime) -> bool:
    """Whether a moment's local wall clock lies in a daily window."""
    clock = moment.astimezone(given.zone).time()
    if window.start == window.end:
        return True
    if window.start < window.end:
        return window.start <= clock < window.end
    return clock >= window.start or clock < window.end


def pieces(given: PlanInput) -> list[Piece]:
    """Return the time ahead, cut where anything changes."""
    values = [s.export_value for s in given.slots if s.export_value is not None]
    costs = [s.import_cost for s in given.slots if s.import_cost is not None]
    mean = (sum(values) / len(values), sum(costs) / len(costs))
    filled: list[PlanSlot] = []
    for slot in given.slots:
        if filled and filled[-1].end < slot.start:
            before = filled[-1]
            dark = (0.0, 0.0, 0.0)
            filled.append(PlanSlot(before.end, slot.start, dark, before.load_w, None, None))
        filled.append(slot)
    found: list[Piece] = []
    day = given.days[0]
    for slot in filled:
        known = slot.export_value is not None
        last: Piece | None = None
        at = slot.start.astimezone(UTC)
        while at < slot.end:
            state = (
                inside(given.export_window, given, at),
                given.charge_window is not None and inside(given.charge_window, given, at),
                day.start <= at < day.end,
            )
            if last is None or (last.may_export, last.may_charge, last.in_day) != state:
                last = Piece(
                    0.0,
                    slot.pv[1] / 1000,
                    slot.load_w / 1000,
                    mean[0] if slot.export_value is None else slot.export_value,
                    mean[1] if slot.import_cost is None else slot.import_cost,
                    known,
                    *state,
                )
                found.append(last)
            last.hours += 1 / 60
            at += MINUTE
    return found


@dataclass
class House:
    """The battery and the limits in kW and kWh."""

    full: float
    low: float
    floor: float
    now: float
    n: float
    charge: float
    discharge: float
    least: float


def optimum(given: PlanInput) -> float:
    """Return the most that can be earned, penalties for a broken allowance included."""
    battery = given.battery
    capacity = battery.capacity_kwh
    now = capacity * battery.soc / 100
    floor = capacity * battery.floor_soc / 100
    own = battery.floor_soc if battery.house_floor_soc is None else battery.house_floor_soc
    house = House(
        max(capacity * battery.full_soc / 100, now),
        min(capacity * own / 100, floor, now),
        floor,
        now,
        sqrt(battery.round_trip_efficiency),
        battery.charge_limit_w / 1000,
        battery.discharge_limit_w / 1000,
        battery.least_w / 1000,
    )
    return _optimum(given, house, pieces(given))


def _natural_excess(given: PlanInput, house: House, cut: list[Piece]) -> float:
    """Return by how much PV alone breaks the allowance, from a walk of its own."""
    level, exported = house.now, 0.0
    for p in cut:
        outlet = min(given.limits.site_export_w / 1000, given.limits.inverter_w / 1000 - p.load)
        net = p.pv - p.load
        if net >= 0:
            into = min(net, house.charge)
            filling = p.hours
            if into > 0:
                filling = min(p.hours, (house.full - level) / (into * house.n))
            level += into * house.n * filling
            out = max(0.0, min(net - into, outlet)) * filling
            out += max(0.0, min(net, outlet)) * (p.hours - filling)
            exported += out if p.in_day else 0.0
        else:
            strongest = max(0.0, min(house.discharge, given.limits.inverter_w / 1000 - p.pv))
            level = max(house.low, level - min(-net, strongest) / house.n * p.hours)
    return exported - max(0.0, given.days[0].left_kwh)


def _optimum(given: PlanInput, house: House, cut: list[Piece]) -> float:  # noqa: C901, PLR0915
    m = Milp()
    day = given.days[0]
    n, wear = house.n, given.wear_cost
    site, inverter = given.limits.site_export_w / 1000, given.limits.inverter_w / 1000
    dearest = max(max(abs(p.value), abs(p.cost)) for p in cut)
    terminal = given.terminal_value or 0.0
    excess = m.new(BREAKING * dearest)
    broken = m.new(binary=True)
    m.add({excess: 1, broken: -1e3}, high=0)
    if not day.accrues and _natural_excess(given, house, cut) > 1e-9:
        m.add({broken: 1}, low=1)
    level = m.new(upper=house.full)
    m.add({level: 1}, low=house.now, high=house.now)
    bought = m.new()
    m.add({bought: 1}, low=0, high=0)
    so_far: dict[int, float] = {}
    grown = day.left_kwh
    for p in cut:
        net = p.pv - p.load
        outlet = max(0.0, min(site, inverter - p.load))
        # Hours in each regime.
        policy, limit = m.new(), m.new()
        selling, buying = m.new(), m.new()
        m.add({policy: 1, limit: 1, selling: 1, buying: 1}, low=p.hours, high=p.hours)
        # Flows (kWh).
        bat_grid, grid_bat = m.new(-p.value + wear), m.new(p.cost)
        pv_grid, grid_house, bat_house = m.new(-p.value), m.new(p.cost), m.new(wear)
        pv_bat = m.new()
        at_limit, sells = m.new(binary=True), m.new(binary=True)
        m.add({limit: 1, at_limit: -p.hours}, high=0)
        m.add({selling: 1, sells: -p.hours}, high=0)
        m.add({buying: 1, sells: p.hours}, high=p.hours)
        strongest = max(0.0, min(house.discharge, inverter - p.pv))
        following = m.new(upper=house.full)
        m.add({following: 1}, low=house.low)
        if net >= 0:
            into = min(net, house.charge)
            most_out = min(strongest, min(site, given.limits.target_export_w / 1000) - net)
            most_in = min(house.charge, given.limits.charge_w / 1000) - into
            m.add({pv_bat: 1, policy: -into, buying: -into}, low=0, high=0)
            spill = max(0.0, min(net - into, outlet))
            m.add(
                {
                    pv_grid: 1,
                    policy: -spill,
                    buying: -spill,
                    limit: -max(0.0, min(net, outlet)),
                    selling: -net,
                },
                low=0,
                high=0,
            )
            m.add({grid_house: 1, bat_house: 1}, low=0, high=0)
            m.add({following: 1, at_limit: -house.full}, low=0)
            # What is bought comes first and fits, together with the sun of that time.
            if most_in >= house.least:
                m.add({grid_bat: 1, buying: -most_in}, low=0, high=0)
                m.add({level: 1, grid_bat: n * (1 + into / most_in)}, high=house.full)
        else:
            given_out = min(-net, strongest)
            most_out = min(strongest + net, site, given.limits.target_export_w / 1000)
            most_in = min(house.charge, given.limits.charge_w / 1000)
            m.add({pv_bat: 1, pv_grid: 1}, low=0, high=0)
            m.add({bat_house: 1, policy: -given_out, selling: net}, low=0, high=0)
            m.add({grid_house: 1, bat_house: 1}, low=-net * p.hours, high=-net * p.hours)
            m.add({following: 1, at_limit: house.full - house.low}, high=house.full)
            if most_in >= house.least:
                m.add({grid_bat: 1, buying: -house.least}, low=0)
                m.add({grid_bat: 1, buying: -most_in}, high=0)
                m.add({level: 1, grid_bat: n}, high=house.full)
        may_sell = p.known and p.may_export and p.in_day and most_out >= house.least
        may_buy = p.known and p.may_charge and most_in >= house.least
        if not may_sell:
            m.add({selling: 1}, low=0, high=0)
            m.add({bat_grid: 1}, low=0, high=0)
        else:
            if net >= 0:
                m.add({bat_grid: 1, selling: -house.least}, low=0)
                m.add({bat_grid: 1, selling: -most_out}, high=0)
            else:  # in a deficit only the energy counts: it goes as fast as it can
                m.add({bat_grid: 1, selling: -most_out}, low=0, high=0)
            m.add(
                {
                    level: 1,
                    bat_grid: -(1 + max(0.0, -net) / most_out) / n,
                    sells: -(house.floor - house.low),
                },
                low=house.low,
            )
            m.add({selling: 1, broken: p.hours}, high=p.hours)
        if not may_buy:
            m.add({buying: 1}, low=0, high=0)
            m.add({grid_bat: 1}, low=0, high=0)
        m.add(
            {
                following: 1,
                level: -1,
                pv_bat: -n,
                grid_bat: -n,
                bat_house: 1 / n,
                bat_grid: 1 / n,
            },
            low=0,
            high=0,
        )
        if given.green_only:
            eaten, after = m.new(), m.new()
            m.add({eaten: 1, bat_house: -1}, high=0)
            m.add({after: 1, bought: -1, grid_bat: -n, eaten: 1 / n}, low=0, high=0)
            m.add({following: 1, after: -1}, low=house.low)
            if net >= 0:
                m.add({level: 1, bat_grid: -1 / n, bought: -1}, low=house.low)
            bought = after
        if p.in_day:
            so_far = {**so_far, pv_grid: 1.0, bat_grid: 1.0}
            grown += p.pv * p.hours
            if day.accrues and may_sell:
                m.add({**so_far, sells: 200.0}, high=max(0.0, grown) + 200.0)
        level = following
    if not day.accrues:
        m.add({**so_far, excess: -1}, high=max(0.0, day.left_kwh))
    m.cost[level] = -terminal
    return m.solve()
