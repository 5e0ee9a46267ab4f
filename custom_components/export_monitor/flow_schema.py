"""What the forms ask for, and why an answer is refused.

Refusals are judged here and not by the selectors: theirs are English sentences of a schema, ours
are translations. This room looks at states as `sources` does, but at candidates: entities that
are no source of any entry yet.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
import re

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    PERCENTAGE,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
    UnitOfEnergy,
    UnitOfPower,
    UnitOfTime,
)
from homeassistant.core import HomeAssistant, split_entity_id
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
)
from homeassistant.util.unit_conversion import DurationConverter, PowerConverter
import voluptuous as vol

from . import const
from .formats import as_moment, as_number
from .models import Basis
from .presets import SOLCAST, Preset
from .settings import option_number
from .sources import entity_ids

CLOUD_PLATFORM = "alphaess"  # the cloud integration; the Modbus package has no platform of its own
SIGN_TELLS_W = 300.0  # below that, losses and the moments between two readings speak as well
FORECAST_BASES = (Basis.FORECAST, Basis.CONSERVATIVE)

type Answers = Mapping[str, object]
type Errors = dict[str, str]


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
    DUPLICATE = "duplicate"
    SIGN_CONTRADICTED = "sign_contradicted"
    FALLBACK_REQUIRED = "fallback_required"
    RESERVE_REQUIRED = "reserve_required"
    FORECAST_IN_USE = "forecast_in_use"
    FORECAST_REQUIRED = "forecast_required"
    FIXED_LIMIT_REQUIRED = "fixed_limit_required"
    OUT_OF_RANGE = "out_of_range"
    TARGET_BELOW_POWER = "target_below_power"
    MIN_SOC_BEYOND_CUTOFF = "min_soc_beyond_cutoff"
    LEASE_BEYOND_DURATION = "lease_beyond_duration"
    NAME_REQUIRED = "name_required"
    NAME_TAKEN = "name_taken"


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
class Number:
    """A setting that a form asks for; left empty it takes its default, unless required."""

    key: str
    low: float
    high: float
    unit: str
    step: float = 1
    required: bool = True


def _watts(value: float, unit: str) -> float:
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
    Range(1000, 100, Refusal.RANGE_POWER, _watts),
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
SOC = Kind(SENSOR, Refusal.NOT_A_SENSOR, frozenset({PERCENTAGE}), Refusal.UNIT_SOC)
LEVEL = Kind((*NUMBERS, *SENSOR), Refusal.NOT_A_LEVEL, frozenset({PERCENTAGE}), Refusal.UNIT_SOC)
ENERGY = Kind(SENSOR, Refusal.NOT_A_SENSOR, ENERGY_UNITS, Refusal.UNIT_ENERGY)
POWER = Kind(SENSOR, Refusal.NOT_A_SENSOR, POWER_UNITS, Refusal.UNIT_POWER)
FLAG = Kind(SENSOR, Refusal.NOT_A_SENSOR, frozenset({""}), Refusal.NOT_A_FLAG, reads=_flag)
MOMENT = Kind(SENSOR, Refusal.NOT_A_SENSOR, frozenset({""}), Refusal.NOT_A_MOMENT, reads=as_moment)

BATTERY = (
    Role(const.CONF_DISCHARGE_SWITCH, SWITCH, required=True),
    Role(const.CONF_DISCHARGE_POWER, POWER_NUMBER, required=True),
    Role(const.CONF_DISCHARGE_DURATION, DURATION_NUMBER, required=True),
    Role(const.CONF_DISCHARGE_CUTOFF, CUTOFF_NUMBER, required=True),
    Role(const.CONF_FALLBACK_STOP, BUTTON),
    Role(const.CONF_CONFLICTING_MODES, SWITCH, multiple=True),
)
SENSORS = (
    Role(const.CONF_SOC, SOC, required=True),
    Role(const.CONF_EXPORT_ENERGY, ENERGY, required=True),
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
    Role(const.CONF_FORECAST_REMAINING, ENERGY),
    Role(const.CONF_FORECAST_LAST_FETCH, MOMENT),
)
WIRING = frozenset(
    {
        const.CONF_PRESET,
        const.CONF_BATTERY_POWER_SIGN,
        const.CONF_OBSERVE_RESERVE,
        *(role.key for role in (*BATTERY, *SENSORS, *FORECAST)),
    }
)

# Ranges of specification page 2; those it leaves open are wide enough for a large house.
LIMITS = (
    Number(const.CONF_TARGET_EXPORT, 0, 20_000, UnitOfPower.WATT, 50),
    Number(const.CONF_MIN_SOC, 0, 100, PERCENTAGE),
    Number(const.CONF_SAFETY_MARGIN, 0, 20, UnitOfEnergy.KILO_WATT_HOUR, 0.1),
    Number(const.CONF_FIXED_LIMIT, 0, 1000, UnitOfEnergy.KILO_WATT_HOUR, 0.1, required=False),
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
# Careful first settings: nothing leaves before the user names a target.
FIRST_SETTINGS = {
    const.CONF_TARGET_EXPORT: 0.0,
    const.CONF_MIN_SOC: 25.0,
    const.CONF_SAFETY_MARGIN: 1.0,
}


def entity_fields(roles: Iterable[Role]) -> dict[vol.Marker, object]:
    """Return the fields of roles; the filter narrows the choice and refuses nothing."""
    return {
        vol.Optional(role.key): EntitySelector(
            EntitySelectorConfig(
                filter=[{"domain": list(role.kind.domains)}],
                multiple=role.multiple,
            )
        )
        for role in roles
    }


def number_fields(numbers: Iterable[Number]) -> dict[vol.Marker, object]:
    """Return the fields of settings; their ranges are judged by `refused_numbers`."""
    return {
        vol.Optional(field.key): NumberSelector(
            NumberSelectorConfig(mode=NumberSelectorMode.BOX, step=field.step)
            | ({"unit_of_measurement": field.unit} if field.unit else {})
        )
        for field in numbers
    }


def proposals(hass: HomeAssistant, preset: Preset, roles: Iterable[Role]) -> dict[str, object]:
    """Return what a preset's patterns find for roles among the entities there are."""
    known = _candidates(hass)
    patterns = {**SOLCAST, **preset.patterns}
    found: dict[str, object] = {}
    for role in roles:
        matches = [
            [entity_id for entity_id in known if re.fullmatch(pattern, entity_id)]
            for pattern in patterns.get(role.key, ())
        ]
        if role.key == const.CONF_CONFLICTING_MODES:
            chosen = sorted({entity_id for each in matches for entity_id in each})
        else:
            chosen = next((each for each in matches if each), [])
        if chosen:
            found[role.key] = chosen if role.multiple else chosen[0]
    return found


def _candidates(hass: HomeAssistant) -> list[str]:
    """Return all entities but disabled ones and those of the cloud integration."""
    registry = er.async_get(hass)
    live = {e.entity_id for e in registry.entities.values() if e.disabled_by is None}
    known = live | set(hass.states.async_entity_ids())
    return sorted(entity_id for entity_id in known if not _of_cloud(registry, entity_id))


def _of_cloud(registry: er.EntityRegistry, entity_id: str) -> bool:
    entry = registry.async_get(entity_id)
    return entry is not None and entry.platform == CLOUD_PLATFORM


def refused_entities(
    hass: HomeAssistant, roles: Iterable[Role], answers: Answers, taken: Collection[str]
) -> Errors:
    """Return what is wrong with a form's entities, by field; `taken` are those of other forms."""
    seen = set(taken)
    errors: Errors = {}
    for role in roles:
        chosen = entity_ids(answers, role.key)
        if not chosen and role.required:
            errors[role.key] = Refusal.REQUIRED
        for entity_id in chosen:
            refusal = Refusal.DUPLICATE if entity_id in seen else _refused(hass, role, entity_id)
            seen.add(entity_id)
            if refusal is not None:
                errors.setdefault(role.key, refusal)
    return errors


def _refused(hass: HomeAssistant, role: Role, entity_id: str) -> Refusal | None:
    domain, name = split_entity_id(entity_id)
    registry = er.async_get(hass)
    entry = registry.async_get(entity_id)
    if domain not in role.kind.domains:
        return role.kind.wrong_domain
    if entry is not None and entry.disabled_by is not None:
        return Refusal.DISABLED
    if entry is None and hass.states.get(entity_id) is None:
        return Refusal.NOT_FOUND
    if _of_cloud(registry, entity_id):
        return Refusal.ALPHAESS_CLOUD
    if name.endswith("_apexcharts"):
        return Refusal.APEXCHARTS
    return _misfit(hass, role.kind, entity_id)


def _misfit(hass: HomeAssistant, kind: Kind, entity_id: str) -> Refusal | None:
    """Judge unit, state and range; what an absent entity does not tell is not held against it."""
    unit = _unit(hass, entity_id)
    if kind.units and unit is not None and unit not in kind.units:
        return kind.wrong_unit
    if kind.reads is not None:
        state = _live_state(hass, entity_id)
        if state is not None and kind.reads(state) is None:
            return kind.wrong_unit
    reach = None if kind.range is None else accepted(hass, entity_id, kind.range)
    if kind.range is None or reach is None:
        return None
    low, high = reach
    fits = low <= kind.range.lowest_at_most and high >= kind.range.highest_at_least
    return None if fits else kind.range.refusal


def _live_state(hass: HomeAssistant, entity_id: str) -> str | None:
    state = hass.states.get(entity_id)
    gone = state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN)
    return None if state is None or gone else state.state


def _unit(hass: HomeAssistant, entity_id: str) -> str | None:
    """Return an entity's unit, empty when it has none, None when it cannot be told now."""
    state = hass.states.get(entity_id)
    if state is not None and ATTR_UNIT_OF_MEASUREMENT in state.attributes:
        return str(state.attributes[ATTR_UNIT_OF_MEASUREMENT])
    if _live_state(hass, entity_id) is not None:
        return ""
    entry = er.async_get(hass).async_get(entity_id)
    return None if entry is None else entry.unit_of_measurement


def accepted(hass: HomeAssistant, entity_id: str, scale: Range) -> tuple[float, float] | None:
    """Return what a number entity accepts, lowest and highest; None when it does not say."""
    state, unit = hass.states.get(entity_id), _unit(hass, entity_id)
    if state is None or unit is None:
        return None
    low, high = (as_number(state.attributes.get(edge)) for edge in ("min", "max"))
    if low is None or high is None:
        return None
    return scale.convert(low, unit), scale.convert(high, unit)


def sign_contradicted(hass: HomeAssistant, answers: Answers) -> bool:
    """Tell whether the house's own figures say that the battery's sign is the other one.

    Grid, PV and battery together feed the load: true only where the other sign fits that well and
    the chosen one not at all.
    """
    roles = (const.CONF_GRID_POWER, const.CONF_PV_POWER, const.CONF_BATTERY_POWER)
    figures = [_power(hass, answers, key) for key in (*roles, const.CONF_HOUSE_LOAD)]
    if None in figures:
        return False
    grid, pv, battery, load = (figure or 0.0 for figure in figures)
    if answers.get(const.CONF_BATTERY_POWER_SIGN) == const.SIGN_CHARGE_POSITIVE:
        battery = -battery
    chosen, other = abs(grid + pv + battery - load), abs(grid + pv - battery - load)
    return abs(battery) > SIGN_TELLS_W and other < abs(battery) / 4 and chosen > abs(battery)


def _power(hass: HomeAssistant, answers: Answers, key: str) -> float | None:
    """Return a live power (W), None where it is not configured or not there."""
    entity_id = next(iter(entity_ids(answers, key)), "")
    value, unit = as_number(_live_state(hass, entity_id)), _unit(hass, entity_id)
    return None if value is None or unit not in POWER_UNITS else _watts(value, str(unit))


def refused_numbers(numbers: Iterable[Number], answers: Answers) -> Errors:
    """Return which settings are missing or out of range."""
    errors: Errors = {}
    for field in numbers:
        value = answers.get(field.key)
        if value is None:
            if field.required:
                errors[field.key] = Refusal.REQUIRED
        elif (figure := as_number(value)) is None or not field.low <= figure <= field.high:
            errors[field.key] = Refusal.OUT_OF_RANGE
    return errors


def refused_limits(hass: HomeAssistant, config: Answers) -> Errors:
    """Return which limits do not go together with the basis, the forecast or the battery."""
    errors: Errors = {}
    basis = config[const.CONF_BASIS]
    if basis in FORECAST_BASES and not config.get(const.CONF_FORECAST_TODAY):
        errors[const.CONF_BASIS] = Refusal.FORECAST_REQUIRED
    if basis == Basis.FIXED and option_number(config, const.CONF_FIXED_LIMIT) <= 0:
        errors[const.CONF_FIXED_LIMIT] = Refusal.FIXED_LIMIT_REQUIRED
    target = option_number(config, const.CONF_TARGET_EXPORT)
    power = _reach(hass, config, const.CONF_DISCHARGE_POWER, POWER_NUMBER)
    if power is not None and 0 < target < power[0]:
        errors[const.CONF_TARGET_EXPORT] = Refusal.TARGET_BELOW_POWER
    cutoff = _reach(hass, config, const.CONF_DISCHARGE_CUTOFF, CUTOFF_NUMBER)
    if cutoff is not None and option_number(config, const.CONF_MIN_SOC) > cutoff[1]:
        errors[const.CONF_MIN_SOC] = Refusal.MIN_SOC_BEYOND_CUTOFF
    return errors


def refused_timing(hass: HomeAssistant, config: Answers) -> Errors:
    """Return which times the battery's own timer cannot keep."""
    duration = _reach(hass, config, const.CONF_DISCHARGE_DURATION, DURATION_NUMBER)
    if duration is not None and option_number(config, const.CONF_HARDWARE_LEASE) > duration[1]:
        return {const.CONF_HARDWARE_LEASE: Refusal.LEASE_BEYOND_DURATION}
    return {}


def _reach(
    hass: HomeAssistant, config: Answers, key: str, kind: Kind
) -> tuple[float, float] | None:
    entity = next(iter(entity_ids(config, key)), None)
    return None if entity is None or kind.range is None else accepted(hass, entity, kind.range)
