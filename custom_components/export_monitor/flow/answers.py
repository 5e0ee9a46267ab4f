"""Why an answer is refused, and what goes with what.

Refusals are keys of translations (`Refusal`). This room looks at states as `sources` does, but at
candidates: entities that are no source of any entry yet.
"""

from collections.abc import Collection, Iterable, Mapping

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import HomeAssistant, split_entity_id, valid_entity_id
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.selector import SelectOptionDict

from .. import const
from ..inputs.formats import as_number
from ..inputs.nord_pool import DOMAIN as NORD_POOL
from ..inputs.prices import FIXED, has_fixed_price
from ..inputs.rates import carbon_document, carbon_rates, price_rates
from ..inputs.wiring import charge_switch_of, entity_ids, is_daily
from ..models import Basis, PeriodKind
from ..planning import Objective
from ..settings import option_flag, option_number
from .finding import of_cloud
from .schema import (
    CHARGE,
    CUTOFF_NUMBER,
    DURATION_NUMBER,
    LIMITS,
    POWER_NUMBER,
    POWER_UNITS,
    SHARED,
    Kind,
    Number,
    Range,
    Refusal,
    Role,
    watts,
)

SIGN_TELLS_W = 300.0  # below that, losses and the moments between two readings speak as well
DISCHARGES = (const.CONF_PLAN_DISCHARGE, const.CONF_AUTO_DISCHARGE)
CHARGES = (const.CONF_PLAN_CHARGE, const.CONF_AUTO_CHARGE)
FORECAST_BASES = (Basis.FORECAST, Basis.CONSERVATIVE)
NOTIFY = "notify"
# Takes the entities to tell as its target, so it tells nobody by itself.
SEND_MESSAGE = "send_message"
# Shown in Home Assistant, where our notifications are anyway; and whichever channel came first.
NOT_OFFERED = (SEND_MESSAGE, "persistent_notification", NOTIFY)

type Answers = Mapping[str, object]
type Errors = dict[str, str]


def chosen_limits(answers: Answers) -> dict[str, object]:
    """Return the limits of a form; an optional one left empty is none."""
    chosen = {key: answers[key] for key in (const.CONF_BASIS, const.CONF_PERIOD)}
    return chosen | figures(LIMITS, answers)


def figures(numbers: Iterable[Number], answers: Answers) -> dict[str, object]:
    """Return the settings of a form, the default where one was left empty."""
    return {each.key: answers.get(each.key, const.DEFAULTS.get(each.key)) for each in numbers}


def limit_errors(hass: HomeAssistant, config: Answers, answers: Answers) -> Errors:
    """Return what is wrong with a form's limits, alone and together with the entry's wiring."""
    return refused_numbers(LIMITS, answers) or refused_limits(
        hass, {**config, **chosen_limits(answers)}
    )


def refused_entities(
    hass: HomeAssistant, roles: Iterable[Role], answers: Answers, taken: Collection[str]
) -> Errors:
    """Return what is wrong with a form's entities, by field; `taken` are those of other forms."""
    seen = dict.fromkeys(taken, "")
    errors: Errors = {}
    for role in roles:
        chosen = entity_ids(answers, role.key)
        if not chosen and role.required:
            errors[role.key] = Refusal.REQUIRED
        for entity_id in chosen:
            known = seen.setdefault(entity_id, role.key)
            twice = known != role.key or chosen.count(entity_id) > 1
            duplicate = twice and not may_share(known, role.key)
            refusal = Refusal.DUPLICATE if duplicate else _refused(hass, role, entity_id)
            if refusal is not None:
                errors.setdefault(role.key, refusal)
    return errors


def may_share(key: str, other: str) -> bool:
    """Tell whether one entity may have both roles."""
    return frozenset({key, other}) in SHARED


def refused_charge(answers: Answers) -> Errors:
    """Return what is missing of the charge controls where some are chosen."""
    missing = [role.key for role in CHARGE if not entity_ids(answers, role.key)]
    return {} if len(missing) == len(CHARGE) else dict.fromkeys(missing, Refusal.CHARGE_INCOMPLETE)


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
    if of_cloud(registry, entity_id):
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
    return None if value is None or unit not in POWER_UNITS else watts(value, str(unit))


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
    if config.get(const.CONF_PERIOD) == PeriodKind.ROLLING_24H and basis in FORECAST_BASES:
        errors[const.CONF_PERIOD] = Refusal.ROLLING_BASIS
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


def refused_market(hass: HomeAssistant, answers: Answers) -> Errors:
    """Return whether the config entry that was chosen for prices is there."""
    chosen = answers.get(const.CONF_NORD_POOL)
    if not chosen:
        return {}
    entry = hass.config_entries.async_get_entry(str(chosen))
    there = entry is not None and entry.domain == NORD_POOL
    return {} if there else {const.CONF_NORD_POOL: Refusal.NORD_POOL_GONE}


def refused_planning(hass: HomeAssistant, config: Answers) -> Errors:
    """Return what keeps the wanted planning from ever making a plan."""
    errors: Errors = {}
    if option_flag(config, const.CONF_AUTO_CHARGE) and not charge_switch_of(config):
        errors[const.CONF_AUTO_CHARGE] = Refusal.CHARGE_CONTROL_REQUIRED
    charges = any(option_flag(config, key) for key in CHARGES)
    if config.get(const.CONF_OBJECTIVE) == Objective.PRICE:
        # What to export can be planned without the price of import, what to buy cannot.
        for key in (const.CONF_EXPORT_PRICES, *([const.CONF_IMPORT_PRICES] if charges else [])):
            refusal = _refused_prices(hass, config, key)
            if refusal is not None:
                errors[FIXED[key]] = refusal
    elif charges or any(option_flag(config, key) for key in DISCHARGES):
        refusal = _refused_carbon(hass, config)
        if refusal is not None:
            errors[const.CONF_OBJECTIVE] = refusal
    return errors


def _refused_prices(hass: HomeAssistant, config: Answers, key: str) -> Refusal | None:
    if has_fixed_price(config, key):
        return None
    if not entity_ids(config, key):
        return None if config.get(const.CONF_NORD_POOL) else Refusal.PRICE_REQUIRED
    shown = _shown(hass, config, key)
    return Refusal.PRICE_WITHOUT_SLOTS if shown and not price_rates(shown) else None


def _refused_carbon(hass: HomeAssistant, config: Answers) -> Refusal | None:
    if not entity_ids(config, const.CONF_CARBON):
        return Refusal.CARBON_REQUIRED
    shown = _shown(hass, config, const.CONF_CARBON)
    return Refusal.CARBON_WITHOUT_SLOTS if shown and not carbon_rates(shown) else None


def without_half_a_charge(proposed: Answers, own: Answers) -> dict[str, object]:
    """Return proposals without charge controls that would be half of them: those serve nobody."""
    partial = {role.key for role in CHARGE} if refused_charge({**proposed, **own}) else set()
    return {key: value for key, value in proposed.items() if key not in partial}


def _shown(hass: HomeAssistant, config: Answers, key: str) -> list[Mapping[str, object]]:
    """Return what the entities of a role show; none while one is away that may show more."""
    found: list[Mapping[str, object]] = []
    for entity_id in entity_ids(config, key):
        text, state = _live_state(hass, entity_id), hass.states.get(entity_id)
        if text is None or state is None:
            return []
        found.append({**carbon_document(text), **state.attributes})
    return found


def _reach(
    hass: HomeAssistant, config: Answers, key: str, kind: Kind
) -> tuple[float, float] | None:
    entity = next(iter(entity_ids(config, key)), None)
    return None if entity is None or kind.range is None else accepted(hass, entity, kind.range)


def needs_whole_day(config: Answers) -> bool:
    """Tell whether no discharge starts on a day whose beginning the export counter has not seen.

    A lifetime counter does not know the export of that morning. PV counters that missed the same
    hours make up for it; a fixed limit, or a counter of the day's PV, does not.
    """
    if any(is_daily(entity_id) for entity_id in entity_ids(config, const.CONF_EXPORT_ENERGY)):
        return False
    pv_ids = entity_ids(config, const.CONF_PV_ENERGY)
    return config[const.CONF_BASIS] == Basis.FIXED or any(is_daily(each) for each in pv_ids)


def notify_targets(hass: HomeAssistant) -> list[SelectOptionDict]:
    """Return who can be told: notify entities, and the older actions that have no entity."""
    names = {state.entity_id: state.name for state in hass.states.async_all(NOTIFY)}
    for action in hass.services.async_services_for_domain(NOTIFY):
        if action not in NOT_OFFERED:
            words = action.removeprefix("mobile_app_").replace("_", " ")
            names.setdefault(f"{NOTIFY}.{action}", words.capitalize())
    return [
        SelectOptionDict(value=target, label=f"{name} ({target})")
        for target, name in sorted(names.items(), key=lambda each: each[1].casefold())
    ]


def chosen_targets(answers: Answers) -> list[str]:
    """Return the notify targets of a form, each once."""
    chosen = (target.strip() for target in entity_ids(answers, const.CONF_NOTIFY_TARGETS))
    return list(dict.fromkeys(chosen))


def refused_targets(answers: Answers) -> Errors:
    """Return whether a target can tell nobody; one that is away just now may be back later."""
    for target in chosen_targets(answers):
        domain, _, name = target.partition(".")
        if domain != NOTIFY or not valid_entity_id(target) or name == SEND_MESSAGE:
            return {const.CONF_NOTIFY_TARGETS: Refusal.NOT_A_NOTIFY_TARGET}
    return {}
