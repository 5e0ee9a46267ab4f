"""Turns a config entry into the engine's settings: the one place where options meet defaults."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import time
from types import MappingProxyType

from homeassistant.config_entries import ConfigEntry
from homeassistant.util import dt as dt_util

from . import const
from .engine.start import START_DEADLINE_S
from .error_handler import POLICIES, BreakerPolicy, RetryPolicy
from .inputs.formats import as_number
from .inputs.wiring import entity_ids, is_daily
from .models import Basis, PeriodKind, Settings
from .planning import DailyWindow, Objective, PlanSettings
from .presets import GENERIC, PRESETS, Preset

# Changing one of these takes effect at the next decision; any other change reloads the entry.
LIVE_OPTIONS = frozenset(
    {
        const.CONF_TARGET_EXPORT,
        const.CONF_MIN_SOC,
        const.CONF_SAFETY_MARGIN,
        const.CONF_BASIS,
        const.CONF_PERIOD,
        const.CONF_FIXED_LIMIT,
        const.CONF_SITE_EXPORT_LIMIT,
        const.CONF_INVERTER_LIMIT,
        const.CONF_PV_PEAK,
        const.CONF_BATTERY_CAPACITY,
        const.CONF_HOUSE_LOAD_DAY,
        const.CONF_HARDWARE_LEASE,
        const.CONF_BLIND_LIMIT,
        const.CONF_PLAN_DISCHARGE,
        const.CONF_PLAN_CHARGE,
        const.CONF_AUTO_DISCHARGE,
        const.CONF_AUTO_CHARGE,
        const.CONF_DRY_RUN,
        const.CONF_OBJECTIVE,
        const.CONF_GREEN_ONLY,
        const.CONF_WEAR_COST,
        const.CONF_EXPORT_WINDOW_START,
        const.CONF_EXPORT_WINDOW_END,
        const.CONF_CHARGE_WINDOW_START,
        const.CONF_CHARGE_WINDOW_END,
        const.CONF_CHARGE_POWER_KW,
        const.CONF_ROUND_TRIP,
    }
)
# A text that 1.x, or somebody's own storage edit, may have left for a switch.
TRUE_WORDS = frozenset({"true", "on", "yes", "1"})
FALSE_WORDS = frozenset({"false", "off", "no", "0"})
WATTS_PER_KW = 1000.0
LEAST_LOOKS = 2  # one may fail, and data that is looked at once a minute is up to a minute old


def merged(entry: ConfigEntry) -> Mapping[str, object]:
    """Return an entry's configuration; 1.x kept settings in data or options, and options win."""
    return MappingProxyType({**const.DEFAULTS, **entry.data, **entry.options})


def option_number(config: Mapping[str, object], key: str) -> float:
    """Return a numeric option, its default where it is missing or no number."""
    value = as_number(config.get(key))
    return value if value is not None else float(const.DEFAULTS[key])


def option_flag(config: Mapping[str, object], key: str) -> bool:
    """Return an option that is on or off, its default where it is missing or neither."""
    value = config.get(key)
    if isinstance(value, bool):
        return value
    word = str(value).strip().casefold()
    if word in TRUE_WORDS:
        return True
    return False if word in FALSE_WORDS else bool(const.DEFAULTS[key])


def option_time(config: Mapping[str, object], key: str) -> time:
    """Return a local time of day from "6:00", "23:59" or "23:59:00", else its default."""
    value = config.get(key)
    found = value if isinstance(value, time) else dt_util.parse_time(str(value))
    return time.fromisoformat(str(const.DEFAULTS[key])) if found is None else found


def stale_after(config: Mapping[str, object]) -> float:
    """Return from which age (s) on data is stale; never before it has been looked at twice."""
    looks_s = LEAST_LOOKS * option_number(config, const.CONF_SCAN_INTERVAL)
    return max(option_number(config, const.CONF_STALE_AFTER), looks_s)


def preset_of(config: Mapping[str, object]) -> Preset:
    """Return the entry's battery preset; an entry of 1.x has none but names its entities."""
    chosen = config.get(const.CONF_PRESET)
    if chosen in PRESETS:
        return PRESETS[str(chosen)]
    switch = str(config.get(const.CONF_DISCHARGE_SWITCH) or "")
    return PRESETS["alphaess"] if "alphaess" in switch else GENERIC


def settings_of(config: Mapping[str, object]) -> Settings:
    """Return the engine's settings."""
    preset = preset_of(config)
    export_ids = entity_ids(config, const.CONF_EXPORT_ENERGY)
    pv_ids = entity_ids(config, const.CONF_PV_ENERGY)
    return Settings(
        target_export_w=option_number(config, const.CONF_TARGET_EXPORT),
        min_soc=option_number(config, const.CONF_MIN_SOC),
        # 1.x took a margin below 0; subtracted, it would let more out than the contract.
        safety_margin_kwh=max(0.0, option_number(config, const.CONF_SAFETY_MARGIN)),
        basis=Basis(str(config[const.CONF_BASIS])),
        period=PeriodKind(str(config[const.CONF_PERIOD])),
        fixed_limit_kwh=option_number(config, const.CONF_FIXED_LIMIT),
        site_export_limit_w=option_number(config, const.CONF_SITE_EXPORT_LIMIT),
        inverter_limit_w=option_number(config, const.CONF_INVERTER_LIMIT),
        pv_peak_w=option_number(config, const.CONF_PV_PEAK),
        battery_capacity_kwh=option_number(config, const.CONF_BATTERY_CAPACITY),
        house_load_kwh_per_day=option_number(config, const.CONF_HOUSE_LOAD_DAY),
        hardware_lease_min=option_number(config, const.CONF_HARDWARE_LEASE),
        blind_limit_min=option_number(config, const.CONF_BLIND_LIMIT),
        duration_step_min=preset.duration_step_min,
        charge_duration_step_min=preset.duration_step_min,
        meter_step_kwh=preset.meter_step_kwh,
        daily_export_counter=bool(export_ids) and is_daily(export_ids[0]),
        daily_pv_counters=tuple(is_daily(entity_id) for entity_id in pv_ids),
        fallback_stop=bool(config.get(const.CONF_FALLBACK_STOP)),
        charge_power_w=WATTS_PER_KW * option_number(config, const.CONF_CHARGE_POWER_KW),
        dry_run=option_flag(config, const.CONF_DRY_RUN),
        timezone=dt_util.get_default_time_zone(),
    )


def plan_settings_of(config: Mapping[str, object]) -> PlanSettings:
    """Return the options of planning. What shall start by itself is planned, too."""
    auto_discharge = option_flag(config, const.CONF_AUTO_DISCHARGE)
    auto_charge = option_flag(config, const.CONF_AUTO_CHARGE)
    objective = str(config.get(const.CONF_OBJECTIVE))
    return PlanSettings(
        discharge=auto_discharge or option_flag(config, const.CONF_PLAN_DISCHARGE),
        charge=auto_charge or option_flag(config, const.CONF_PLAN_CHARGE),
        auto_discharge=auto_discharge,
        auto_charge=auto_charge,
        objective=Objective(objective) if objective in set(Objective) else Objective.CARBON,
        green_only=option_flag(config, const.CONF_GREEN_ONLY),
        wear_cost=option_number(config, const.CONF_WEAR_COST),
        export_window=DailyWindow(
            option_time(config, const.CONF_EXPORT_WINDOW_START),
            option_time(config, const.CONF_EXPORT_WINDOW_END),
        ),
        charge_window=DailyWindow(
            option_time(config, const.CONF_CHARGE_WINDOW_START),
            option_time(config, const.CONF_CHARGE_WINDOW_END),
        ),
        charge_power_w=WATTS_PER_KW * option_number(config, const.CONF_CHARGE_POWER_KW),
        round_trip_efficiency=option_number(config, const.CONF_ROUND_TRIP),
        export_price=as_number(config.get(const.CONF_EXPORT_PRICE)),
        import_price=as_number(config.get(const.CONF_IMPORT_PRICE)),
    )


def retry_policy(config: Mapping[str, object]) -> RetryPolicy:
    """Return how battery writes are tried: after the time of a start nobody waits for one."""
    return RetryPolicy(
        attempts=int(option_number(config, const.CONF_RETRY_ATTEMPTS)),
        timeout_s=option_number(config, const.CONF_SERVICE_TIMEOUT),
        deadline_s=START_DEADLINE_S,
    )


def switch_policy(config: Mapping[str, object]) -> RetryPolicy:
    """Return how switching on is tried: AlphaESS drops a trigger within 2 s of another."""
    return replace(retry_policy(config), first_delay_s=6.0, max_delay_s=6.0)


def breaker_policy(config: Mapping[str, object], circuit: str) -> BreakerPolicy:
    """Return a control circuit's policy with the entry's threshold and reset time."""
    policy = POLICIES[circuit]
    return BreakerPolicy(
        failures=int(option_number(config, const.CONF_BREAKER_THRESHOLD)),
        reset_s=option_number(config, const.CONF_BREAKER_RESET),
        half_open_calls=policy.half_open_calls,
        successes_to_close=policy.successes_to_close,
    )
