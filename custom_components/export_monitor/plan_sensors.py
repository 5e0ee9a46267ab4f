"""The plan as sensors: today, tomorrow, and the next charge."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import UnitOfEnergy
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util

from . import phrases
from .coordinator import ExportMonitorConfigEntry
from .engine.period import Period, local_day
from .entity import Attributes, ExportMonitorEntity, Value
from .models import LoadSource
from .planning import Objective, Plan, Window

LONGEST = 255  # characters that a state may have
MORE = ", ..."
NOTHING = "Nothing planned"
NO_PLAN = "No plan"
OFF = "Off"
MOST_WINDOWS = 12


@dataclass(frozen=True, kw_only=True)
class PlanSensor(SensorEntityDescription):
    """A sensor of some of the plan's windows."""

    windows_fn: Callable[[Plan, datetime], tuple[Window, ...]]
    value_fn: Callable[[tuple[Window, ...]], Value]
    is_text: bool = False
    """It says so where there is no plan; a figure is unavailable then."""


def _day(now: datetime, ahead: int) -> Period:
    zone = dt_util.get_default_time_zone()
    day = local_day(now, zone)
    for _ in range(ahead):
        day = local_day(day.end, zone)
    return day


def _of_day(ahead: int) -> Callable[[Plan, datetime], tuple[Window, ...]]:
    def windows(plan: Plan, now: datetime) -> tuple[Window, ...]:
        day = _day(now, ahead)
        return tuple(w for w in plan.of_day(day.start, day.end) if w.end > now)

    return windows


def _next_charge(plan: Plan, now: datetime) -> tuple[Window, ...]:
    coming = plan.next_charge
    return () if coming is None or coming.end <= now else (coming,)


def _energy(windows: tuple[Window, ...]) -> float:
    return round(sum(window.energy_kwh for window in windows), 2)


def _span(window: Window) -> str:
    start, end = dt_util.as_local(window.start), dt_util.as_local(window.end)
    return f"{start:%H:%M}-{end:%H:%M} {window.energy_kwh:.1f} kWh"


def _spans(windows: Iterable[Window]) -> str:
    text = ""
    for window in windows:
        longer = f"{text}, {_span(window)}" if text else _span(window)
        if len(longer) > LONGEST - len(MORE):
            return text + MORE
        text = longer
    return text or NOTHING


def _dated(windows: tuple[Window, ...]) -> str:
    """Return the next charge with its date: it may be the night after next."""
    if not windows:
        return NOTHING
    return f"{dt_util.as_local(windows[0].start):%Y-%m-%d} {_span(windows[0])}"


PLAN_SENSORS: tuple[PlanSensor, ...] = (
    PlanSensor(
        key="discharge_plan_today",
        translation_key="discharge_plan_today",
        windows_fn=_of_day(0),
        value_fn=_spans,
        is_text=True,
    ),
    PlanSensor(
        key="discharge_plan_tomorrow",
        translation_key="discharge_plan_tomorrow",
        windows_fn=_of_day(1),
        value_fn=_spans,
        is_text=True,
    ),
    PlanSensor(
        key="next_charge_session",
        translation_key="next_charge_session",
        windows_fn=_next_charge,
        value_fn=_dated,
        is_text=True,
    ),
    PlanSensor(
        key="discharge_plan_today_energy",
        translation_key="plan_energy_today",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        windows_fn=_of_day(0),
        value_fn=_energy,
    ),
    PlanSensor(
        key="discharge_plan_tomorrow_energy",
        translation_key="plan_energy_tomorrow",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        windows_fn=_of_day(1),
        value_fn=_energy,
    ),
    PlanSensor(
        key="discharge_plan_today_windows",
        translation_key="plan_windows_today",
        state_class=SensorStateClass.MEASUREMENT,
        windows_fn=_of_day(0),
        value_fn=len,
    ),
    PlanSensor(
        key="discharge_plan_tomorrow_windows",
        translation_key="plan_windows_tomorrow",
        state_class=SensorStateClass.MEASUREMENT,
        windows_fn=_of_day(1),
        value_fn=len,
    ),
)


def described(hass: HomeAssistant, window: Window, objective: Objective) -> dict[str, object]:
    """Return a window as an attribute: times in ISO format, kWh, W."""
    return {
        "start": dt_util.as_local(window.start).isoformat(),
        "end": dt_util.as_local(window.end).isoformat(),
        "energy_kwh": round(window.energy_kwh, 2),
        "power_w": round(window.power_w),
        "value": round(window.value, 3),
        "why": phrases.why(hass, window, objective),
    }


class PlanEntity(ExportMonitorEntity, SensorEntity):
    """Shows windows of the plan; their details are too much for the recorder."""

    entity_description: PlanSensor
    _unrecorded_attributes = frozenset({"windows", "bound", "objective_value", "made_at"})

    def __init__(self, entry: ExportMonitorConfigEntry, description: PlanSensor) -> None:
        """Bind the description and the plans."""
        super().__init__(entry, "sensor", description)
        self._plans = entry.runtime_data.plans
        self._control = entry.runtime_data.control

    @property
    def _windows(self) -> tuple[Window, ...] | None:
        found = self._plans.plan
        if found is None:
            return None
        return self.entity_description.windows_fn(found, self._control.now().utc)

    @property
    @override
    def native_value(self) -> Value:
        windows = self._windows
        if windows is not None:
            return self.entity_description.value_fn(windows)
        if not self.entity_description.is_text:
            return None
        return OFF if self._plans.absent == "off" else NO_PLAN

    @property
    @override
    def available(self) -> bool:
        return self.native_value is not None

    @property
    @override
    def extra_state_attributes(self) -> Attributes:
        if not self.entity_description.is_text:
            return {}
        found, objective = self._plans.plan, self._plans.planning.objective
        if found is None:
            return {
                "status": self._plans.absent,
                "objective": objective.value,
                "house_load": self._house_load,
            }
        windows = self._windows or ()
        return {
            "status": found.status.value,
            "objective": objective.value,
            "planner": found.planner.value,
            "fallback": found.fallback,
            "limited_by": self._limited_by(found),
            "house_load": self._house_load,
            "objective_value": round(found.objective, 3),
            "bound": None if found.bound is None else round(found.bound, 3),
            "made_at": self._plans.made_at,
            "windows": [described(self.hass, w, objective) for w in windows[:MOST_WINDOWS]],
        }

    @property
    def _house_load(self) -> str:
        """What the house's load in the plan is made of."""
        readings = self._control.readings
        profile = None if readings is None else readings.load_profile
        return (LoadSource.CONFIGURED if profile is None else profile.source).value

    def _limited_by(self, found: Plan) -> str:
        """Return what keeps the sensor's own day from having more."""
        ahead = 1 if self.entity_description.key == "discharge_plan_tomorrow" else 0
        day = _day(self._control.now().utc, ahead)
        limits = (each.limited_by for each in found.days if each.start < day.end <= each.end)
        return next(limits, found.limited_by).value

    @override
    def facts(self) -> object:
        return (self.native_value, self.extra_state_attributes)
