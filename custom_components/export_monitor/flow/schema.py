"""What the forms ask for, as tables: which entities and which figures, and what they must be."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Literal

from homeassistant.const import PERCENTAGE, UnitOfEnergy, UnitOfPower, UnitOfTime
from homeassistant.util.unit_conversion import DurationConverter, PowerConverter

from .. import const
from ..error_handler import SourceKind
from ..inputs.formats import as_moment, as_number


class Refusal(StrEnum):
    """Why a form is shown again: keys of the translations under `error`."""

    REQUIRED = "required"
    NOT_A_SWITCH = "not_a_switch"
    NOT_A_NUMBER = "not_a_number"
    NOT_A_BUTTON = "not_a_button"
    NOT_A_SENSOR = "not_a_sensor"
    NOT_A_LEVEL = "not_a_level"
    NOT_FOUND = "not_found"
    DISABLED = "disabled"
    ALPHAESS_CLOUD = "alphaess_cloud"
    APEXCHARTS = "apexcharts"
    UNIT_POWER = "unit_power"
    UNIT_ENERGY = "unit_energy"
    UNIT_SOC = "unit_soc"
    UNIT_DURATION = "unit_duration"
    NOT_A_FLAG = "not_a_flag"
    NOT_A_MOMENT = "not_a_moment"
    RANGE_POWER = "range_power"
    RANGE_DURATION = "range_duration"
    RANGE_CUTOFF = "range_cutoff"
    RANGE_TARGET = "range_target"
    DUPLICATE = "duplicate"
    SIGN_CONTRADICTED = "sign_contradicted"
    FALLBACK_REQUIRED = "fallback_required"
    CHARGE_INCOMPLETE = "charge_incomplete"
    RESERVE_REQUIRED = "reserve_required"
    FORECAST_IN_USE = "forecast_in_use"
    FORECAST_REQUIRED = "forecast_required"
    ROLLING_BASIS = "rolling_basis"
    FIXED_LIMIT_REQUIRED = "fixed_limit_required"
    OUT_OF_RANGE = "out_of_range"
    TARGET_BELOW_POWER = "target_below_power"
    MIN_SOC_BEYOND_CUTOFF = "min_soc_beyond_cutoff"
    LEASE_BEYOND_DURATION = "lease_beyond_duration"
    CHARGE_CONTROL_REQUIRED = "charge_control_required"
    CARBON_REQUIRED = "carbon_required"
    CARBON_WITHOUT_SLOTS = "carbon_without_slots"
    PRICE_REQUIRED = "price_required"
    PRICE_WITHOUT_SLOTS = "price_without_slots"
    NORD_POOL_GONE = "nord_pool_gone"
    NAME_REQUIRED = "name_required"
    NAME_TAKEN = "name_taken"
    NOT_A_NOTIFY_TARGET = "not_a_notify_target"


@dataclass(frozen=True, slots=True)
class Range:
    """What a number entity must be able to take, in W, min or %."""

    lowest_at_most: float
    highest_at_least: float
    refusal: Refusal
    convert: Callable[[float, str], float] = lambda value, _unit: value


@dataclass(frozen=True, slots=True)
class Kind:
    """What an entity must be to fill a role; without units any will do."""

    domains: tuple[str, ...]
    wrong_domain: Refusal
    units: frozenset[str] = frozenset()
    wrong_unit: Refusal | None = None
    range: Range | None = None
    reads: Callable[[object], object | None] | None = None
    """Parses a live state; None from it refuses the entity, with `wrong_unit`."""


@dataclass(frozen=True, slots=True)
class Role:
    """An entity that a form asks for."""

    key: str
    kind: Kind
    required: bool = False
    multiple: bool = False


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a form under a heading of its own; collapsed, what few need is out of the way."""

    key: str
    fields: tuple[str, ...]
    collapsed: bool = False


@dataclass(frozen=True, slots=True)
class Number:
    """A setting that a form asks for; left empty it takes its default, unless required."""

    key: str
    low: float
    high: float
    unit: str
    step: float | Literal["any"] = 1
    required: bool = True


def watts(value: float, unit: str) -> float:
    """Return a power in W. HomeAssistantError for a unit that is none of power."""
    return PowerConverter.convert(value, unit, UnitOfPower.WATT)


def _minutes(value: float, unit: str) -> float:
    return DurationConverter.convert(value, unit or UnitOfTime.MINUTES, UnitOfTime.MINUTES)


def _flag(state: object) -> float | None:
    value = as_number(state)
    return value if value is not None and value.is_integer() else None


POWER_UNITS = frozenset({UnitOfPower.WATT, UnitOfPower.KILO_WATT, UnitOfPower.MEGA_WATT})
ENERGY_UNITS = frozenset(
    {UnitOfEnergy.WATT_HOUR, UnitOfEnergy.KILO_WATT_HOUR, UnitOfEnergy.MEGA_WATT_HOUR}
)
# A number without a unit counts in minutes, and in percent: that is what the battery room writes.
DURATION_UNITS = frozenset({"", UnitOfTime.SECONDS, UnitOfTime.MINUTES, UnitOfTime.HOURS})
NUMBERS = ("input_number", "number")
SENSOR = ("sensor",)

SWITCH = Kind(("input_boolean", "switch"), Refusal.NOT_A_SWITCH)
BUTTON = Kind(("button", "input_button"), Refusal.NOT_A_BUTTON)
POWER_NUMBER = Kind(
    NUMBERS,
    Refusal.NOT_A_NUMBER,
    POWER_UNITS,
    Refusal.UNIT_POWER,
    Range(1000, 100, Refusal.RANGE_POWER, watts),
)
# The dead-man time: from one step of the battery's timer to the default lease.
DURATION_NUMBER = Kind(
    NUMBERS,
    Refusal.NOT_A_NUMBER,
    DURATION_UNITS,
    Refusal.UNIT_DURATION,
    Range(5, 30, Refusal.RANGE_DURATION, _minutes),
)
CUTOFF_NUMBER = Kind(
    NUMBERS,
    Refusal.NOT_A_NUMBER,
    frozenset({"", PERCENTAGE}),
    Refusal.UNIT_SOC,
    Range(25, 50, Refusal.RANGE_CUTOFF),
)
# A charge ends at full; a battery that stops sooner would be taken for one that does not follow.
TARGET_NUMBER = replace(CUTOFF_NUMBER, range=Range(100, 100, Refusal.RANGE_TARGET))
SOC = Kind(SENSOR, Refusal.NOT_A_SENSOR, frozenset({PERCENTAGE}), Refusal.UNIT_SOC)
LEVEL = Kind((*NUMBERS, *SENSOR), Refusal.NOT_A_LEVEL, frozenset({PERCENTAGE}), Refusal.UNIT_SOC)
ENERGY = Kind(SENSOR, Refusal.NOT_A_SENSOR, ENERGY_UNITS, Refusal.UNIT_ENERGY)
POWER = Kind(SENSOR, Refusal.NOT_A_SENSOR, POWER_UNITS, Refusal.UNIT_POWER)
FLAG = Kind(SENSOR, Refusal.NOT_A_SENSOR, frozenset({""}), Refusal.NOT_A_FLAG, reads=_flag)
RATES = Kind(("event", "sensor"), Refusal.NOT_A_SENSOR)
MOMENT = Kind(SENSOR, Refusal.NOT_A_SENSOR, frozenset({""}), Refusal.NOT_A_MOMENT, reads=as_moment)

# All of them or none: a charge is as verified as a discharge.
CHARGE = (
    Role(const.CONF_CHARGE_SWITCH, SWITCH),
    Role(const.CONF_CHARGE_POWER, POWER_NUMBER),
    Role(const.CONF_CHARGE_DURATION, DURATION_NUMBER),
    Role(const.CONF_CHARGE_CUTOFF, TARGET_NUMBER),
)
BATTERY = (
    Role(const.CONF_DISCHARGE_SWITCH, SWITCH, required=True),
    Role(const.CONF_DISCHARGE_POWER, POWER_NUMBER, required=True),
    Role(const.CONF_DISCHARGE_DURATION, DURATION_NUMBER, required=True),
    Role(const.CONF_DISCHARGE_CUTOFF, CUTOFF_NUMBER, required=True),
    Role(const.CONF_FALLBACK_STOP, BUTTON),
    *CHARGE,
    Role(const.CONF_CONFLICTING_MODES, SWITCH, multiple=True),
)
EXPORT_COUNTER = Role(const.CONF_EXPORT_ENERGY, ENERGY, required=True)
SENSORS = (
    Role(const.CONF_SOC, SOC, required=True),
    EXPORT_COUNTER,
    Role(const.CONF_PV_ENERGY, ENERGY, required=True, multiple=True),
    Role(const.CONF_GRID_POWER, POWER),
    Role(const.CONF_BATTERY_POWER, POWER),
    Role(const.CONF_PV_POWER, POWER),
    Role(const.CONF_HOUSE_LOAD, POWER),
    Role(const.CONF_DISPATCH_START, FLAG),
    Role(const.CONF_RESERVE_SOC, LEVEL),
)
FORECAST = (
    Role(const.CONF_FORECAST_TODAY, ENERGY),
    Role(const.CONF_FORECAST_TOMORROW, ENERGY),
    Role(const.CONF_FORECAST_DAY_3, ENERGY),
    Role(const.CONF_FORECAST_REMAINING, ENERGY),
    Role(const.CONF_FORECAST_LAST_FETCH, MOMENT),
    Role(const.CONF_CARBON, RATES, multiple=True),
    Role(const.CONF_EXPORT_PRICES, RATES, multiple=True),
    Role(const.CONF_IMPORT_PRICES, RATES, multiple=True),
)
# What the sources take is more than the forms offer: what works is no fault.
KINDS: Mapping[str, SourceKind] = {
    const.CONF_SOC: SourceKind.SOC,
    const.CONF_RESERVE_SOC: SourceKind.SOC,
    const.CONF_EXPORT_ENERGY: SourceKind.ENERGY_TOTAL,
    const.CONF_PV_ENERGY: SourceKind.ENERGY_TOTAL,
    const.CONF_GRID_POWER: SourceKind.POWER,
    const.CONF_BATTERY_POWER: SourceKind.POWER,
    const.CONF_PV_POWER: SourceKind.POWER,
    const.CONF_HOUSE_LOAD: SourceKind.POWER,
    const.CONF_FORECAST_TODAY: SourceKind.ENERGY_DAILY,
    const.CONF_FORECAST_TOMORROW: SourceKind.ENERGY_DAILY,
    const.CONF_FORECAST_DAY_3: SourceKind.ENERGY_DAILY,
    const.CONF_FORECAST_REMAINING: SourceKind.ENERGY_DAILY,
}
# Two roles that one entity may have: a market has one price for both directions, and forced
# charging, which a discharge must not override, is what a charge is started with.
SHARED = frozenset(
    {
        frozenset({const.CONF_EXPORT_PRICES, const.CONF_IMPORT_PRICES}),
        frozenset({const.CONF_CHARGE_SWITCH, const.CONF_CONFLICTING_MODES}),
    }
)
WIRING = frozenset(
    {
        const.CONF_PRESET,
        const.CONF_UPGRADED,
        const.CONF_BATTERY_POWER_SIGN,
        const.CONF_OBSERVE_RESERVE,
        const.CONF_NORD_POOL,
        *(role.key for role in (*BATTERY, *SENSORS, *FORECAST)),
    }
)

# Ranges of specification page 2; those it leaves open are wide enough for a large house.
LIMITS = (
    Number(const.CONF_FIXED_LIMIT, 0, 1000, UnitOfEnergy.KILO_WATT_HOUR, 0.1, required=False),
    Number(const.CONF_TARGET_EXPORT, 0, 20_000, UnitOfPower.WATT, 50),
    Number(const.CONF_MIN_SOC, 0, 100, PERCENTAGE),
    Number(const.CONF_SAFETY_MARGIN, 0, 20, UnitOfEnergy.KILO_WATT_HOUR, 0.1),
    Number(const.CONF_SITE_EXPORT_LIMIT, 0, 50_000, UnitOfPower.WATT, 10, required=False),
    Number(const.CONF_INVERTER_LIMIT, 0, 50_000, UnitOfPower.WATT, 10, required=False),
    Number(const.CONF_PV_PEAK, 0, 50_000, UnitOfPower.WATT, 10),
    Number(const.CONF_BATTERY_CAPACITY, 0, 1000, UnitOfEnergy.KILO_WATT_HOUR, 0.1),
    Number(const.CONF_HOUSE_LOAD_DAY, 0, 1000, UnitOfEnergy.KILO_WATT_HOUR, 0.1),
)
TIMING = (
    Number(const.CONF_SCAN_INTERVAL, 5, 60, UnitOfTime.SECONDS),
    Number(const.CONF_STALE_AFTER, 10, 600, UnitOfTime.SECONDS),
    Number(const.CONF_SERVICE_TIMEOUT, 1, 60, UnitOfTime.SECONDS),
    Number(const.CONF_RETRY_ATTEMPTS, 1, 5, ""),
    Number(const.CONF_BREAKER_THRESHOLD, 1, 20, ""),
    Number(const.CONF_BREAKER_RESET, 10, 600, UnitOfTime.SECONDS),
    # Two steps of the timer at least: a renewal writes a changed value.
    Number(const.CONF_HARDWARE_LEASE, 10, 480, UnitOfTime.MINUTES, 5),
    Number(const.CONF_BLIND_LIMIT, 1, 60, UnitOfTime.MINUTES),
)
PLANNING = (
    Number(const.CONF_CHARGE_POWER_KW, 0.1, 50, UnitOfPower.KILO_WATT, 0.01),
    Number(const.CONF_ROUND_TRIP, 0.5, 1, "", 0.01),
    Number(const.CONF_WEAR_COST, 0, 1000, "", "any"),
    Number(const.CONF_EXPORT_PRICE, 0, 1000, "", "any", required=False),
    Number(const.CONF_IMPORT_PRICE, 0, 1000, "", "any", required=False),
)
PLANNING_SWITCHES = (
    const.CONF_PLAN_DISCHARGE,
    const.CONF_AUTO_DISCHARGE,
    const.CONF_PLAN_CHARGE,
    const.CONF_AUTO_CHARGE,
    const.CONF_DRY_RUN,
    const.CONF_GREEN_ONLY,
)
PLANNING_TIMES = (
    const.CONF_EXPORT_WINDOW_START,
    const.CONF_EXPORT_WINDOW_END,
    const.CONF_CHARGE_WINDOW_START,
    const.CONF_CHARGE_WINDOW_END,
)
# Careful first settings: nothing leaves before the user names a target.
FIRST_SETTINGS = {
    const.CONF_TARGET_EXPORT: 0.0,
    const.CONF_MIN_SOC: 25.0,
    const.CONF_SAFETY_MARGIN: 1.0,
}
# By step. What an entry cannot do without stands above them.
SECTIONS: Mapping[str, tuple[Section, ...]] = {
    "battery": (
        Section("charge", tuple(role.key for role in CHARGE), collapsed=True),
        Section("modes", (const.CONF_CONFLICTING_MODES,)),
    ),
    "sensors": (
        Section(
            "powers",
            (
                const.CONF_GRID_POWER,
                const.CONF_BATTERY_POWER,
                const.CONF_BATTERY_POWER_SIGN,
                const.CONF_PV_POWER,
                const.CONF_HOUSE_LOAD,
                const.CONF_DISPATCH_START,
            ),
        ),
        Section("reserve", (const.CONF_RESERVE_SOC, const.CONF_OBSERVE_RESERVE), collapsed=True),
    ),
    "forecast": (
        Section(
            "worth",
            (
                const.CONF_CARBON,
                const.CONF_EXPORT_PRICES,
                const.CONF_IMPORT_PRICES,
                const.CONF_NORD_POOL,
            ),
        ),
    ),
    "limits": (
        Section(
            "house",
            (
                const.CONF_SITE_EXPORT_LIMIT,
                const.CONF_INVERTER_LIMIT,
                const.CONF_PV_PEAK,
                const.CONF_BATTERY_CAPACITY,
                const.CONF_HOUSE_LOAD_DAY,
            ),
        ),
    ),
    "planning": (
        Section("windows", PLANNING_TIMES),
        Section("figures", tuple(each.key for each in PLANNING), collapsed=True),
    ),
}
