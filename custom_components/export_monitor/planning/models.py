"""What a plan is made from, and what it says. Frozen, free of Home Assistant.

Energies are kWh, powers W, SOC %, times aware. A value is whatever the objective counts, per kWh:
currency, or kg or g of CO2; the planner only asks that values and costs share a unit.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, time, tzinfo
from enum import StrEnum
from math import inf

from ..models import Kind, Slot


class Objective(StrEnum):
    """What the planner earns."""

    CARBON = "carbon"
    PRICE = "price"


class Planner(StrEnum):
    """Which planner made a plan."""

    LINEAR = "linear"
    GREEDY = "greedy"


class Status(StrEnum):
    """How good a plan is known to be."""

    OPTIMAL = "optimal"
    """Within the solver's tolerance of the bound."""
    FEASIBLE = "feasible"
    """Keeps every limit; how far from the best is not known, or the deadline came first."""
    EMPTY = "empty"
    """Nothing to plan: no slots."""


class Fallback(StrEnum):
    """Why the greedy planner had to plan."""

    SOLVER_MISSING = "solver_missing"
    DEADLINE = "deadline"


class Limit(StrEnum):
    """What kept a plan from doing more."""

    ALLOWANCE = "allowance"
    BATTERY = "battery"
    WINDOW = "window"
    POWER = "power"
    VALUE = "value"
    """Nothing did: more would not have been worth it."""


class Reason(StrEnum):
    """Why a window stands where it stands."""

    BEST_OF_DAY = "best_of_day"
    GOOD_VALUE = "good_value"
    MAKES_ROOM = "makes_room"
    BETTER_THAN_KEEPING = "better_than_keeping"
    CHEAP = "cheap"
    PAID_TO_TAKE = "paid_to_take"


@dataclass(frozen=True, slots=True)
class PlanSlot:
    """One interval as it is expected: PV at three percentiles, house load, what a kWh is worth."""

    start: datetime
    end: datetime
    pv: tuple[float, float, float]
    """Mean PV power (W) at the 10th, 50th and 90th percentile."""
    load_w: float
    export_value: float | None
    """Per kWh exported; None where it is not known: nothing is forced there."""
    import_cost: float | None

    @classmethod
    def of(
        cls,
        slot: Slot,
        load_w: float,
        export_value: float | None,
        import_cost: float | None,
    ) -> "PlanSlot":
        """Return a forecast's slot with load (W) and values (per kWh) added."""
        pv = (slot.p10_w, slot.p50_w, slot.p90_w)
        return cls(slot.start, slot.end, pv, load_w, export_value, import_cost)


@dataclass(frozen=True, slots=True)
class BatteryState:
    """The battery now, and what it can do. Powers are at the AC side."""

    capacity_kwh: float
    soc: float
    floor_soc: float
    """The greater of minimum and reserve: no deliberate discharge goes below."""
    house_floor_soc: float | None = None
    """Down to here the inverter feeds the house by itself; None: down to `floor_soc`."""
    full_soc: float = 100.0
    charge_limit_w: float = 5000.0
    discharge_limit_w: float = 5000.0
    round_trip_efficiency: float = 0.9
    bought_kwh: float = 0.0
    """How much of what it holds was bought from the grid."""
    least_w: float = 300.0
    """No deliberate charge or discharge is slower than this."""


@dataclass(frozen=True, slots=True)
class PowerLimits:
    """Limits beside the battery's own (W)."""

    site_export_w: float = inf
    """The grid never sees more; PV beyond it is curtailed."""
    inverter_w: float = inf
    target_export_w: float = inf
    """The grid sees no more than this from a deliberate discharge."""
    charge_w: float = inf
    """The battery takes no more than this in a deliberate charge."""


@dataclass(frozen=True, slots=True)
class DayAllowance:
    """What one local day may still export."""

    start: datetime
    end: datetime
    left_kwh: float
    """The day's allowance minus what it has exported."""
    accrues: bool = False
    """PV still to come adds to it as it is generated (basis `generated`)."""


@dataclass(frozen=True, slots=True)
class DailyWindow:
    """Local wall-clock times between which something is permitted; it may cross midnight.

    Equal times are the whole day; an end of 23:59 means midnight.
    """

    start: time
    end: time


ALL_DAY = DailyWindow(time.min, time.min)


@dataclass(frozen=True, slots=True)
class PlanInput:
    """Everything a plan depends on."""

    slots: tuple[PlanSlot, ...]
    """In order, without overlap; the first begins now."""
    battery: BatteryState
    days: tuple[DayAllowance, ...]
    """A time that belongs to no day may export nothing deliberately."""
    limits: PowerLimits = field(default_factory=PowerLimits)
    export_window: DailyWindow = ALL_DAY
    charge_window: DailyWindow | None = None
    """None: no deliberate charge is planned."""
    zone: tzinfo = UTC
    objective: Objective = Objective.PRICE
    green_only: bool = True
    wear_cost: float = 0.0
    """Per kWh that leaves the battery."""
    terminal_value: float | None = None
    """Per kWh stored at the end; None: its average worth (`horizon.terminal_value`)."""
    percentile: int = 50
    """Which PV the plan counts on: 10, 50 or 90."""
    hurdle: float = 0.0
    """What a kWh discharged by force must earn beyond its use otherwise, as a share of mean value
    and mean cost together: forecasts err."""
    keep: tuple["Window", ...] = ()
    """Windows of the plan before: of two plans as good as each other the familiar one wins."""


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """The options of planning and of running what was planned. Powers W, energies kWh."""

    discharge: bool = False
    """Plan discharges."""
    charge: bool = False
    """Plan charges."""
    auto_discharge: bool = False
    """Start what was planned."""
    auto_charge: bool = False
    objective: Objective = Objective.CARBON
    green_only: bool = True
    wear_cost: float = 0.0
    """Per kWh that leaves the battery, in the objective's unit."""
    export_window: DailyWindow = DailyWindow(time.min, time(23, 59))
    charge_window: DailyWindow = DailyWindow(time.min, time(6))
    charge_power_w: float = 3680.0
    round_trip_efficiency: float = 0.9
    export_price: float | None = None
    """Per kWh where no entity tells; None where it is not known."""
    import_price: float | None = None


@dataclass(frozen=True, slots=True)
class Why:
    """Why a window stands there, as data: translated where it is shown. Values are per kWh."""

    reason: Reason
    value: float
    """The window's mean value of export, or cost of import."""
    average: float
    """The mean of its local day."""
    saved_kwh: float = 0.0
    """PV that finds room in the battery thanks to it."""


@dataclass(frozen=True, slots=True)
class WindowStep:
    """A stretch of a window at one power."""

    start: datetime
    end: datetime
    grid_w: float
    """What the grid sees: export of a discharge, import of a charge."""


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which the battery is to be discharged to the grid, or charged from it."""

    kind: Kind
    start: datetime
    end: datetime
    energy_kwh: float
    """What the export meter counts during it (PV that passes included); for a charge what the
    battery takes from the grid."""
    battery_kwh: float
    """What leaves or enters the battery at its AC side, the house's share included."""
    power_w: float
    """Mean power of `energy_kwh`."""
    value: float
    """Energy times value: the revenue of a discharge, minus the cost of a charge."""
    gain: float
    """What the whole plan would lose without this window."""
    why: Why
    steps: tuple[WindowStep, ...]


@dataclass(frozen=True, slots=True)
class DayPlan:
    """What a day will have seen if the plan runs (kWh, from the plan's beginning)."""

    start: datetime
    end: datetime
    discharge_kwh: float
    """Export inside discharge windows."""
    charge_kwh: float
    exported_kwh: float
    """All export, natural PV export included."""
    over_kwh: float
    """Export beyond what was left: PV alone breaks the allowance."""
    limited_by: Limit


@dataclass(frozen=True, slots=True)
class Plan:
    """When to discharge and charge. `objective` and `baseline` are values of the whole horizon."""

    windows: tuple[Window, ...]
    days: tuple[DayPlan, ...]
    planner: Planner
    status: Status
    objective: float
    """What the plan earns in the walk through the inverter's policy, terminal energy included."""
    baseline: float
    """What doing nothing earns."""
    bound: float | None
    """No plan earns more; None where that is not known."""
    limited_by: Limit
    soc: tuple[tuple[datetime, float], ...]
    """SOC (%) at each boundary, for pictures."""
    fallback: Fallback | None = None

    def of_day(self, start: datetime, end: datetime) -> tuple[Window, ...]:
        """Return the discharge windows that begin in an interval."""
        return tuple(w for w in self.windows if w.kind is Kind.DISCHARGE and start <= w.start < end)

    @property
    def next_charge(self) -> Window | None:
        """The first charge session."""
        return next((w for w in self.windows if w.kind is Kind.CHARGE), None)
