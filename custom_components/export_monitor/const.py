"""Names and defaults shared by every room; free of Home Assistant."""

from typing import Final

DOMAIN: Final = "export_monitor"
NAME: Final = "Export Monitor"

# Configuration keys. The 1.x integration wrote the ones marked (1.x); they keep their meaning.
CONF_DISCHARGE_SWITCH: Final = "discharge_button"  # (1.x) a switch in spite of its name
CONF_DISCHARGE_POWER: Final = "discharge_power"  # (1.x)
CONF_DISCHARGE_CUTOFF: Final = "discharge_cutoff_soc"  # (1.x)
CONF_DISCHARGE_DURATION: Final = "discharge_duration"
CONF_FALLBACK_STOP: Final = "fallback_stop"
CONF_CONFLICTING_MODES: Final = "conflicting_modes"
CONF_PRESET: Final = "preset"
CONF_UPGRADED: Final = "upgraded_from_1x"  # true until its entities were looked for once
CONF_CHARGE_SWITCH: Final = "charge_button"  # (1.x) a switch in spite of its name
CONF_CHARGE_POWER: Final = "charge_power_entity"  # (1.x)
CONF_CHARGE_DURATION: Final = "charge_duration"  # (1.x)
CONF_CHARGE_CUTOFF: Final = "charge_cutoff_soc"  # (1.x)
# All four or none.
CHARGE_CONTROLS: Final = (
    CONF_CHARGE_SWITCH,
    CONF_CHARGE_POWER,
    CONF_CHARGE_DURATION,
    CONF_CHARGE_CUTOFF,
)

CONF_SOC: Final = "current_soc"  # (1.x)
CONF_EXPORT_ENERGY: Final = "grid_feed_today"  # (1.x)
CONF_PV_ENERGY: Final = "pv_energy_today"  # (1.x) one entity id there, a list of them here
CONF_GRID_POWER: Final = "grid_power"
CONF_BATTERY_POWER: Final = "battery_power"
CONF_BATTERY_POWER_SIGN: Final = "battery_power_sign"
CONF_PV_POWER: Final = "pv_power"
CONF_HOUSE_LOAD: Final = "house_load"
CONF_DISPATCH_START: Final = "dispatch_start"
CONF_RESERVE_SOC: Final = "reserve_soc_sensor"  # (1.x)
CONF_OBSERVE_RESERVE: Final = "observe_reserve_soc"  # (1.x)

CONF_FORECAST_TODAY: Final = "solcast_total_today"  # (1.x)
CONF_FORECAST_TOMORROW: Final = "solcast_tomorrow"  # (1.x)
CONF_FORECAST_DAY_3: Final = "solcast_day_3"
CONF_FORECAST_REMAINING: Final = "solcast_remaining_today"
CONF_FORECAST_LAST_FETCH: Final = "solcast_last_polled"
CONF_CARBON: Final = "ci_forecast_sensor"  # (1.x)
CONF_EXPORT_PRICES: Final = "export_prices"
CONF_IMPORT_PRICES: Final = "import_prices"
CONF_NORD_POOL: Final = "nord_pool"  # a config entry of core Nord Pool

CONF_TARGET_EXPORT: Final = "target_export"  # (1.x)
CONF_MIN_SOC: Final = "min_soc"  # (1.x)
CONF_SAFETY_MARGIN: Final = "safety_margin"  # (1.x)
CONF_BASIS: Final = "basis"
CONF_FIXED_LIMIT: Final = "fixed_limit"
CONF_SITE_EXPORT_LIMIT: Final = "site_export_limit"
CONF_INVERTER_LIMIT: Final = "inverter_limit"
CONF_PV_PEAK: Final = "pv_peak"
CONF_BATTERY_CAPACITY: Final = "battery_capacity_kwh"  # (1.x)
CONF_HOUSE_LOAD_DAY: Final = "house_load_per_day"
CONF_SCAN_INTERVAL: Final = "scan_interval"
CONF_STALE_AFTER: Final = "stale_after"
CONF_SERVICE_TIMEOUT: Final = "service_timeout"
CONF_RETRY_ATTEMPTS: Final = "retry_attempts"
CONF_BREAKER_THRESHOLD: Final = "breaker_threshold"
CONF_BREAKER_RESET: Final = "breaker_reset"
CONF_HARDWARE_LEASE: Final = "hardware_lease"
CONF_BLIND_LIMIT: Final = "blind_limit"
CONF_NOTIFY_TARGETS: Final = "notify_targets"
CONF_DAILY_REPORT: Final = "daily_report"
CONF_DAILY_REPORT_TIME: Final = "daily_report_time"
CONF_PERIOD: Final = "period"
CONF_PLAN_DISCHARGE: Final = "enable_ci_planning"  # (1.x)
CONF_PLAN_CHARGE: Final = "enable_charge_planning"  # (1.x)
CONF_AUTO_DISCHARGE: Final = "enable_auto_discharge"  # (1.x)
CONF_AUTO_CHARGE: Final = "enable_auto_charge"  # (1.x)
CONF_DRY_RUN: Final = "dry_run"
CONF_OBJECTIVE: Final = "planning_objective"
CONF_GREEN_ONLY: Final = "green_only"
CONF_WEAR_COST: Final = "wear_cost"
CONF_EXPORT_WINDOW_START: Final = "export_window_start"  # (1.x)
CONF_EXPORT_WINDOW_END: Final = "export_window_end"  # (1.x)
CONF_CHARGE_WINDOW_START: Final = "charge_window_start"  # (1.x)
CONF_CHARGE_WINDOW_END: Final = "charge_window_end"  # (1.x)
CONF_CHARGE_POWER_KW: Final = "charge_power_kw"  # (1.x)
CONF_ROUND_TRIP: Final = "round_trip_efficiency"
CONF_EXPORT_PRICE: Final = "export_price"
CONF_IMPORT_PRICE: Final = "import_price"

SIGN_DISCHARGE_POSITIVE: Final = "discharge_positive"
SIGN_CHARGE_POSITIVE: Final = "charge_positive"

# The one place for defaults (specification page 2). Energies kWh, powers W, times s or min.
DEFAULTS: Final[dict[str, float | str | bool]] = {
    CONF_TARGET_EXPORT: 0.0,
    CONF_MIN_SOC: 20.0,
    CONF_SAFETY_MARGIN: 0.5,
    CONF_BASIS: "forecast",
    CONF_FIXED_LIMIT: 0.0,
    CONF_SITE_EXPORT_LIMIT: 0.0,  # 0: no limit
    CONF_INVERTER_LIMIT: 0.0,  # 0: unknown
    CONF_PV_PEAK: 5000.0,
    CONF_BATTERY_CAPACITY: 10.0,
    CONF_HOUSE_LOAD_DAY: 8.0,
    CONF_SCAN_INTERVAL: 10.0,
    CONF_STALE_AFTER: 30.0,
    CONF_SERVICE_TIMEOUT: 5.0,
    CONF_RETRY_ATTEMPTS: 3.0,
    CONF_BREAKER_THRESHOLD: 5.0,
    CONF_BREAKER_RESET: 60.0,
    CONF_HARDWARE_LEASE: 30.0,  # minutes
    CONF_BLIND_LIMIT: 15.0,  # minutes
    CONF_OBSERVE_RESERVE: False,
    CONF_DAILY_REPORT: False,
    CONF_DAILY_REPORT_TIME: "08:00",
    CONF_PERIOD: "local_day",
    CONF_PLAN_DISCHARGE: False,
    CONF_PLAN_CHARGE: False,
    CONF_AUTO_DISCHARGE: False,
    CONF_AUTO_CHARGE: False,
    CONF_DRY_RUN: False,
    CONF_OBJECTIVE: "carbon",
    CONF_GREEN_ONLY: True,
    CONF_WEAR_COST: 0.0,
    CONF_EXPORT_WINDOW_START: "00:00",
    CONF_EXPORT_WINDOW_END: "23:59",
    CONF_CHARGE_WINDOW_START: "00:00",
    CONF_CHARGE_WINDOW_END: "06:00",
    CONF_CHARGE_POWER_KW: 3.68,
    CONF_ROUND_TRIP: 0.9,
    CONF_BATTERY_POWER_SIGN: SIGN_DISCHARGE_POSITIVE,
}
