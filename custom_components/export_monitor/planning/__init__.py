"""When the battery should discharge to the grid, and when charge from it (specification page 5).

Pure: no Home Assistant, no I/O, no clock. `plan` is the way in.
"""

from ..models import Kind
from .models import (
    ALL_DAY,
    BatteryState,
    DailyWindow,
    DayAllowance,
    DayPlan,
    Fallback,
    Limit,
    Objective,
    Plan,
    PlanInput,
    Planner,
    PlanSettings,
    PlanSlot,
    PowerLimits,
    Reason,
    Status,
    Why,
    Window,
    WindowStep,
)
from .planner import plan
from .reasons import sentence

__all__ = [
    "ALL_DAY",
    "BatteryState",
    "DailyWindow",
    "DayAllowance",
    "DayPlan",
    "Fallback",
    "Kind",
    "Limit",
    "Objective",
    "Plan",
    "PlanInput",
    "PlanSettings",
    "PlanSlot",
    "Planner",
    "PowerLimits",
    "Reason",
    "Status",
    "Why",
    "Window",
    "WindowStep",
    "plan",
    "sentence",
]
