"""What is known of batteries, as data: how to find their entities and how they behave.

A brand is a row here and nothing anywhere else. Patterns are regular expressions over entity ids,
the preferred one first.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import const


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of battery control."""

    key: str
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    fallback_required: bool = False
    """Switching off can be lost for good, so a second way to stop must be configured."""
    fallback_automations: tuple[str, ...] = ()
    """Names of the automations that act on the fallback stop where it is an input button."""
    cutoff_unit: float = 0.0
    """The battery's own unit of cutoff SOC (%), truncated when written; 0 when exact."""
    meter_step_kwh: float = 0.01
    duration_step_min: float = 5.0


FORECASTS: Mapping[str, tuple[str, ...]] = {
    const.CONF_FORECAST_TODAY: (r"sensor\.solcast_pv_forecast_forecast_today",),
    const.CONF_FORECAST_TOMORROW: (r"sensor\.solcast_pv_forecast_forecast_tomorrow",),
    const.CONF_FORECAST_DAY_3: (r"sensor\.solcast_pv_forecast_forecast_day_3",),
    const.CONF_FORECAST_REMAINING: (r"sensor\.solcast_pv_forecast_forecast_remaining_today",),
    const.CONF_FORECAST_LAST_FETCH: (r"sensor\.solcast_pv_forecast_api_last_polled",),
    const.CONF_CARBON: (
        r"sensor\.carbon_intensity_uk",
        r"event\.carbon_intensity_\w+_(current|next)_day_rates",
    ),
    const.CONF_EXPORT_PRICES: (
        r"event\.octopus_energy_electricity_\w+_export_(current|next)_day_rates",
    ),
    # An import meter has no word for it in its id.
    const.CONF_IMPORT_PRICES: (
        r"event\.octopus_energy_electricity_(?!\w+_export_)\w+_(current|next)_day_rates",
    ),
}

# Facts of specification page 4. Lifetime counters come first: one garbage reading spoils the
# package's daily meters until midnight, while our own sums survive it.
ALPHAESS = Preset(
    key="alphaess",
    patterns={
        const.CONF_DISCHARGE_SWITCH: (r"input_boolean\.alphaess_helper_force_discharging",),
        const.CONF_DISCHARGE_POWER: (
            r"input_number\.alphaess_helper_force_discharging_power",
            r"number\.alphaess_template_force_discharging_power",
        ),
        const.CONF_DISCHARGE_DURATION: (
            r"input_number\.alphaess_helper_force_discharging_duration",
            r"number\.alphaess_template_force_discharging_duration",
        ),
        const.CONF_DISCHARGE_CUTOFF: (
            r"input_number\.alphaess_helper_force_discharging_cutoff_soc",
            r"number\.alphaess_template_force_discharging_cutoff_soc",
        ),
        const.CONF_CHARGE_SWITCH: (r"input_boolean\.alphaess_helper_force_charging",),
        const.CONF_CHARGE_POWER: (
            r"input_number\.alphaess_helper_force_charging_power",
            r"number\.alphaess_template_force_charging_power",
        ),
        const.CONF_CHARGE_DURATION: (
            r"input_number\.alphaess_helper_force_charging_duration",
            r"number\.alphaess_template_force_charging_duration",
        ),
        const.CONF_CHARGE_CUTOFF: (
            r"input_number\.alphaess_helper_force_charging_cutoff_soc",
            r"number\.alphaess_template_force_charging_cutoff_soc",
        ),
        const.CONF_FALLBACK_STOP: (
            r"input_button\.alphaess_helper_dispatch_reset_full",
            r"button\.alphaess_\w*dispatch_reset_full",
        ),
        const.CONF_CONFLICTING_MODES: (
            r"input_boolean\.alphaess_helper_(force_charging|force_export|dispatch|excess_export)",
        ),
        const.CONF_SOC: (r"sensor\.alphaess_soc_battery", r"sensor\.alphaess_battery_soc"),
        const.CONF_EXPORT_ENERGY: (
            r"sensor\.alphaess_total_energy_feed_to_grid_meter",
            r"sensor\.alphaess_today_s_energy_feed_to_grid_meter",
        ),
        const.CONF_PV_ENERGY: (
            r"sensor\.alphaess_total_energy_from_pv",
            r"sensor\.alphaess_today_s_energy_from_pv",
            r"sensor\.alphaess_today_s_energy_from_pv_meter",
        ),
        const.CONF_GRID_POWER: (r"sensor\.alphaess_power_grid",),
        const.CONF_BATTERY_POWER: (r"sensor\.alphaess_power_battery",),
        const.CONF_PV_POWER: (r"sensor\.alphaess_current_pv_production",),
        const.CONF_HOUSE_LOAD: (r"sensor\.alphaess_current_house_load",),
        const.CONF_DISPATCH_START: (r"sensor\.alphaess_dispatch_start",),
    },
    fallback_required=True,
    fallback_automations=(
        r"automation\.alphaess_(\w+_)?full_reset",
        r"automation\.alphaess_(\w+_)?reset_full",
    ),
    cutoff_unit=0.392,
)

GENERIC = Preset(key="generic")

PRESETS: Mapping[str, Preset] = {preset.key: preset for preset in (ALPHAESS, GENERIC)}
