"""What all tests may ask for: a house with an AlphaESS, as its package shows it."""

from dataclasses import dataclass, field

from homeassistant.const import STATE_UNAVAILABLE
from homeassistant.core import HomeAssistant
import pytest

from custom_components.export_monitor import const

HELPER = "alphaess_helper_force_discharging"
BATTERY = {
    const.CONF_DISCHARGE_SWITCH: f"input_boolean.{HELPER}",
    const.CONF_DISCHARGE_POWER: f"input_number.{HELPER}_power",
    const.CONF_DISCHARGE_DURATION: f"input_number.{HELPER}_duration",
    const.CONF_DISCHARGE_CUTOFF: f"input_number.{HELPER}_cutoff_soc",
    const.CONF_FALLBACK_STOP: "input_button.alphaess_helper_dispatch_reset_full",
    const.CONF_CONFLICTING_MODES: [
        "input_boolean.alphaess_helper_dispatch",
        "input_boolean.alphaess_helper_excess_export",
        "input_boolean.alphaess_helper_force_charging",
        "input_boolean.alphaess_helper_force_export",
    ],
}
SENSORS = {
    const.CONF_SOC: "sensor.alphaess_soc_battery",
    const.CONF_EXPORT_ENERGY: "sensor.alphaess_total_energy_feed_to_grid_meter",
    const.CONF_PV_ENERGY: ["sensor.alphaess_total_energy_from_pv"],
    const.CONF_GRID_POWER: "sensor.alphaess_power_grid",
    const.CONF_BATTERY_POWER: "sensor.alphaess_power_battery",
    const.CONF_PV_POWER: "sensor.alphaess_current_pv_production",
    const.CONF_HOUSE_LOAD: "sensor.alphaess_current_house_load",
    const.CONF_DISPATCH_START: "sensor.alphaess_dispatch_start",
}
FORECAST = {
    const.CONF_FORECAST_TODAY: "sensor.solcast_pv_forecast_forecast_today",
    const.CONF_FORECAST_TOMORROW: "sensor.solcast_pv_forecast_forecast_tomorrow",
    const.CONF_FORECAST_REMAINING: "sensor.solcast_pv_forecast_forecast_remaining_today",
    const.CONF_FORECAST_LAST_FETCH: "sensor.solcast_pv_forecast_api_last_polled",
}


@dataclass
class Home:
    """The states of a house, to look at and to change."""

    hass: HomeAssistant
    battery: dict[str, str | list[str]] = field(default_factory=lambda: dict(BATTERY))
    sensors: dict[str, str | list[str]] = field(default_factory=lambda: dict(SENSORS))
    forecast: dict[str, str] = field(default_factory=lambda: dict(FORECAST))

    @property
    def wiring(self) -> dict[str, str | list[str]]:
        """The data of an entry that uses all of it."""
        return {const.CONF_PRESET: "alphaess", **self.battery, **self.sensors, **self.forecast}

    def show(
        self, entity_id: str, state: str | float, unit: str | None = None, **attributes: object
    ) -> None:
        """Set a state, with its unit where it has one."""
        facts = attributes if unit is None else {"unit_of_measurement": unit, **attributes}
        self.hass.states.async_set(entity_id, str(state), facts)

    def lose(self, entity_id: str) -> None:
        """Make an entity unavailable."""
        self.hass.states.async_set(entity_id, STATE_UNAVAILABLE)


@pytest.fixture
def home(hass: HomeAssistant) -> Home:
    """Return a house at evening: battery at 80 %, 500 W of load, nothing forced."""
    house = Home(hass)
    for entity_id in (
        BATTERY[const.CONF_DISCHARGE_SWITCH],
        *BATTERY[const.CONF_CONFLICTING_MODES],
        "input_boolean.alphaess_helper_excess_export_pause",
    ):
        house.show(entity_id, "off")
    house.show(BATTERY[const.CONF_FALLBACK_STOP], "unknown")
    for name, value, unit, low, high, step in (
        ("power", 0, "kW", 0, 20, 0.1),
        ("duration", 0, "min", 0, 480, 5),
        ("cutoff_soc", 4, "%", 4, 100, 1),
    ):
        house.show(f"input_number.{HELPER}_{name}", value, unit, min=low, max=high, step=step)
    for name, value, unit in (
        ("soc_battery", 80.0, "%"),
        ("total_energy_feed_to_grid_meter", 1234.5, "kWh"),
        ("today_s_energy_feed_to_grid_meter", 2.0, "kWh"),
        ("total_energy_from_pv", 5678.9, "kWh"),
        ("today_s_energy_from_pv", 6.0, "kWh"),
        ("power_grid", 0, "W"),
        ("power_battery", 500, "W"),
        ("current_pv_production", 0, "W"),
        ("current_house_load", 500, "W"),
        ("dispatch_start", 0, None),
    ):
        house.show(f"sensor.alphaess_{name}", value, unit)
    for name, value in (("today", 8.0), ("tomorrow", 12.0), ("remaining_today", 2.0)):
        estimates = {"estimate": value, "estimate10": value / 2, "estimate90": value * 1.2}
        house.show(f"sensor.solcast_pv_forecast_forecast_{name}", value, "kWh", **estimates)
    house.show(FORECAST[const.CONF_FORECAST_LAST_FETCH], "2026-06-01T03:00:00+00:00")
    return house
