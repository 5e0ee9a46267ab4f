"""What is known of batteries, as data: how to find their entities and how they behave.

A brand is a row here and nothing anywhere else. Patterns are regular expressions over entity ids,
the preferred one first. What `which` matches names the battery: of two in a house, each gets its
own entities. Where the names come from: docs/supported-devices.md.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from . import const


@dataclass(frozen=True, slots=True)
class Preset:
    """One kind of battery control."""

    key: str
    patterns: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    verified: bool = True
    """Its controls fit and are tested here. Otherwise only what measures is known, from public
    sources and untried, and the user brings the switch and the numbers."""
    battery_power_sign: str = const.SIGN_DISCHARGE_POSITIVE
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

# A second one is called alphaess_2, alphaess_garage or garage_alphaess.
_ALPHA = r"(?P<which>(\w+_)?alphaess(_\w+?)?)"
# AlphaESS counts its cutoff in 0.392 % and truncates; a lost reset is repeated by nobody.
_ALPHA_CUTOFF_UNIT = 0.392


def _helpers(mode: str, suffix: str) -> tuple[str, ...]:
    """Return what the package in its variants calls a number of a forced mode."""
    return (
        rf"input_number\.{_ALPHA}_helper_force_{mode}_{suffix}",
        rf"number\.{_ALPHA}_template_force_{mode}_{suffix}",
        rf"number\.{_ALPHA}_helper_force_{mode}_{suffix}",
    )


# Facts of specification page 4. Lifetime counters come first: one garbage reading spoils the
# package's daily meters until midnight, while our own sums survive it. What the template numbers
# of the scheduled cutoffs write is flash memory: only those of the forced modes are offered.
ALPHAESS = Preset(
    key="alphaess",
    patterns={
        const.CONF_DISCHARGE_SWITCH: (rf"input_boolean\.{_ALPHA}_helper_force_discharging",),
        const.CONF_DISCHARGE_POWER: _helpers("discharging", "power"),
        const.CONF_DISCHARGE_DURATION: _helpers("discharging", "duration"),
        const.CONF_DISCHARGE_CUTOFF: _helpers("discharging", "cutoff_soc"),
        const.CONF_CHARGE_SWITCH: (rf"input_boolean\.{_ALPHA}_helper_force_charging",),
        const.CONF_CHARGE_POWER: _helpers("charging", "power"),
        const.CONF_CHARGE_DURATION: _helpers("charging", "duration"),
        const.CONF_CHARGE_CUTOFF: _helpers("charging", "cutoff_soc"),
        const.CONF_FALLBACK_STOP: (
            rf"input_button\.{_ALPHA}_helper_dispatch_reset_full",
            rf"button\.{_ALPHA}_((helper|template)_)?dispatch_reset_full",
        ),
        const.CONF_CONFLICTING_MODES: (
            rf"input_boolean\.{_ALPHA}_helper_(force_charging|force_export|dispatch|excess_export)",
        ),
        const.CONF_SOC: (rf"sensor\.{_ALPHA}_soc_battery", rf"sensor\.{_ALPHA}_battery_soc"),
        const.CONF_EXPORT_ENERGY: (
            rf"sensor\.{_ALPHA}_total_energy_feed_to_grid_meter",
            rf"sensor\.{_ALPHA}_today_s_energy_feed_to_grid_meter",
        ),
        const.CONF_PV_ENERGY: (
            rf"sensor\.{_ALPHA}_total_energy_from_pv",
            rf"sensor\.{_ALPHA}_today_s_energy_from_pv",
            rf"sensor\.{_ALPHA}_today_s_energy_from_pv_meter",
        ),
        const.CONF_GRID_POWER: (rf"sensor\.{_ALPHA}_power_grid",),
        const.CONF_BATTERY_POWER: (rf"sensor\.{_ALPHA}_power_battery",),
        const.CONF_PV_POWER: (rf"sensor\.{_ALPHA}_current_pv_production",),
        const.CONF_HOUSE_LOAD: (rf"sensor\.{_ALPHA}_current_house_load",),
        const.CONF_DISPATCH_START: (rf"sensor\.{_ALPHA}_dispatch_start",),
    },
    fallback_required=True,
    fallback_automations=(
        r"automation\.alphaess_(\w+_)?full_reset",
        r"automation\.alphaess_(\w+_)?reset_full",
    ),
    cutoff_unit=_ALPHA_CUTOFF_UNIT,
)

# The integration "AlphaESS Modbus TCP" (senalse): the same registers behind native entities. Its
# generated ids have changed with its texts, so both are taken.
ALPHAESS_NATIVE = Preset(
    key="alphaess_native",
    patterns={
        const.CONF_DISCHARGE_SWITCH: (rf"switch\.{_ALPHA}_force_discharging",),
        const.CONF_DISCHARGE_POWER: (rf"number\.{_ALPHA}_force_discharging_power",),
        const.CONF_DISCHARGE_DURATION: (rf"number\.{_ALPHA}_force_discharging_duration",),
        const.CONF_DISCHARGE_CUTOFF: (
            rf"number\.{_ALPHA}_force_discharging_(cutoff_soc|stop_at_soc)",
        ),
        const.CONF_CHARGE_SWITCH: (rf"switch\.{_ALPHA}_force_charging",),
        const.CONF_CHARGE_POWER: (rf"number\.{_ALPHA}_force_charging_power",),
        const.CONF_CHARGE_DURATION: (rf"number\.{_ALPHA}_force_charging_duration",),
        const.CONF_CHARGE_CUTOFF: (rf"number\.{_ALPHA}_force_charging_(cutoff_soc|stop_at_soc)",),
        const.CONF_FALLBACK_STOP: (rf"button\.{_ALPHA}_dispatch_reset",),
        const.CONF_CONFLICTING_MODES: (
            rf"switch\.{_ALPHA}_(force_charging|force_export|force_import|dispatch|excess_export)",
        ),
        const.CONF_SOC: (rf"sensor\.{_ALPHA}_battery_state_of_charge",),
        const.CONF_EXPORT_ENERGY: (
            rf"sensor\.{_ALPHA}_total_energy_feed_to_grid_meter",
            rf"sensor\.{_ALPHA}_today_(s_)?energy_feed_to_grid",
        ),
        const.CONF_PV_ENERGY: (
            rf"sensor\.{_ALPHA}_total_energy_from_pv",
            rf"sensor\.{_ALPHA}_today_(s_)?pv_generation",
        ),
        const.CONF_GRID_POWER: (rf"sensor\.{_ALPHA}_grid_power",),
        const.CONF_BATTERY_POWER: (rf"sensor\.{_ALPHA}_battery_power",),
        const.CONF_PV_POWER: (rf"sensor\.{_ALPHA}_current_pv_production",),
        const.CONF_HOUSE_LOAD: (rf"sensor\.{_ALPHA}_current_house_load",),
        const.CONF_DISPATCH_START: (rf"sensor\.{_ALPHA}_dispatch_start",),
    },
    fallback_required=True,
    cutoff_unit=_ALPHA_CUTOFF_UNIT,
)

# From here on: public facts, tried by nobody here. None of these brands shows a discharge as a
# switch with power, duration and cutoff, so that is left to the user; and so is the grid power,
# whose direction differs or is not told: a wrong one would count import as export.
_GIVTCP = r"(?P<which>givtcp\d*_[a-z0-9]+)"
GIVENERGY = Preset(
    key="givenergy",
    patterns={
        const.CONF_SOC: (rf"sensor\.{_GIVTCP}_soc",),
        const.CONF_EXPORT_ENERGY: (
            rf"sensor\.{_GIVTCP}_export_energy_total_kwh",
            rf"sensor\.{_GIVTCP}_export_energy_today_kwh",
        ),
        const.CONF_PV_ENERGY: (
            rf"sensor\.{_GIVTCP}_pv_energy_total_kwh",
            rf"sensor\.{_GIVTCP}_pv_energy_today_kwh",
        ),
        const.CONF_BATTERY_POWER: (rf"sensor\.{_GIVTCP}_battery_power",),
        const.CONF_PV_POWER: (rf"sensor\.{_GIVTCP}_pv_power",),
        const.CONF_HOUSE_LOAD: (rf"sensor\.{_GIVTCP}_load_power",),
    },
    verified=False,
)

_FOX = r"(?P<which>(\w+_)?foxess(_\w+?)?)"
FOXESS = Preset(
    key="foxess",
    patterns={
        const.CONF_SOC: (rf"sensor\.{_FOX}_battery_soc(_1)?",),
        const.CONF_EXPORT_ENERGY: (
            rf"sensor\.{_FOX}_feed_in_energy_total",
            rf"sensor\.{_FOX}_feed_in_energy_today",
        ),
        const.CONF_PV_ENERGY: (
            rf"sensor\.{_FOX}_solar_energy_total",
            rf"sensor\.{_FOX}_solar_energy_today",
        ),
        const.CONF_BATTERY_POWER: (rf"sensor\.{_FOX}_invbatpower",),
        const.CONF_PV_POWER: (rf"sensor\.{_FOX}_pv_power(_now)?",),
        const.CONF_HOUSE_LOAD: (rf"sensor\.{_FOX}_load_power",),
    },
    verified=False,
)

_SOLAX = r"(?P<which>(\w+_)?solax(_\w+?)?)"
SOLAX = Preset(
    key="solax",
    patterns={
        const.CONF_SOC: (rf"sensor\.{_SOLAX}_battery_capacity",),  # its name for the SOC
        const.CONF_EXPORT_ENERGY: (
            rf"sensor\.{_SOLAX}_grid_export_total",
            rf"sensor\.{_SOLAX}_today_s_export_energy",
        ),
        const.CONF_PV_ENERGY: (
            rf"sensor\.{_SOLAX}_total_solar_energy",
            rf"sensor\.{_SOLAX}_today_s_solar_energy",
        ),
        const.CONF_BATTERY_POWER: (rf"sensor\.{_SOLAX}_battery_power_charge",),
        const.CONF_PV_POWER: (rf"sensor\.{_SOLAX}_pv_power_total",),
        const.CONF_HOUSE_LOAD: (rf"sensor\.{_SOLAX}_house_load",),
    },
    verified=False,
    battery_power_sign=const.SIGN_CHARGE_POSITIVE,
)

_SUNSYNK = r"(?P<which>(\w+_)?(sunsynk|deye)(_\w+?)?)"
SUNSYNK = Preset(
    key="sunsynk",
    patterns={
        const.CONF_SOC: (rf"sensor\.{_SUNSYNK}_battery_soc",),
        const.CONF_EXPORT_ENERGY: (rf"sensor\.{_SUNSYNK}_total_grid_export",),
        const.CONF_PV_ENERGY: (rf"sensor\.{_SUNSYNK}_total_pv_energy",),
        const.CONF_BATTERY_POWER: (rf"sensor\.{_SUNSYNK}_battery_power",),
        const.CONF_PV_POWER: (rf"sensor\.{_SUNSYNK}_pv_power",),
        const.CONF_HOUSE_LOAD: (rf"sensor\.{_SUNSYNK}_load_power",),
    },
    verified=False,
)

# Its yield counters are of AC energy, the battery's included: PV is what comes in as DC.
HUAWEI = Preset(
    key="huawei",
    patterns={
        const.CONF_FALLBACK_STOP: (r"button\.batter(y|ies)_stop_forcible_charge",),
        const.CONF_SOC: (r"sensor\.batter(y|ies)_state_of_capacity",),
        const.CONF_EXPORT_ENERGY: (r"sensor\.power_meter_exported",),
        const.CONF_PV_ENERGY: (r"sensor\.inverter_total_dc_input_energy",),
        const.CONF_BATTERY_POWER: (r"sensor\.batter(y|ies)_charge_discharge_power",),
        const.CONF_PV_POWER: (r"sensor\.inverter_input_power",),
    },
    verified=False,
    battery_power_sign=const.SIGN_CHARGE_POSITIVE,
)

GENERIC = Preset(key="generic")

PRESETS: Mapping[str, Preset] = {
    preset.key: preset
    for preset in (
        ALPHAESS,
        ALPHAESS_NATIVE,
        GIVENERGY,
        FOXESS,
        SOLAX,
        SUNSYNK,
        HUAWEI,
        GENERIC,
    )
}
