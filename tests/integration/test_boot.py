"""A cold boot: the ids and the health are there at once, and all becomes healthy unaided."""

from homeassistant.core import CoreState, HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.export_monitor import const
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, PV_TODAY, WIRING, House

SOC = WIRING[const.CONF_SOC]
HEALTH = {
    "system_health": "Healthy",
    "error_state": "none",
    "circuit_breaker_status": "Closed",
}
IDS = {
    *(
        f"sensor.export_monitor_{name}"
        for name in (
            "system_health",
            "error_state",
            "data_staleness",
            "circuit_breaker_status",
            "statistics",
            "export_headroom",
            "export_allowed",
            "exported_today",
            "discharge_needed",
            "discharge_status",
            "calculated_duration",
            "discharge_plan_today",
            "discharge_plan_tomorrow",
            "next_charge_session",
            "plan_energy_today",
            "plan_energy_tomorrow",
            "plan_windows_today",
            "plan_windows_tomorrow",
            "generated_today",
            "deliberate_export_today",
            "peak_export_today",
            "compliance_yesterday",
            "suggested_margin",
        )
    ),
    "calendar.export_monitor_plan",
    "event.export_monitor_activity",
    "number.export_monitor_target_export",
    "number.export_monitor_minimum_soc",
    "number.export_monitor_safety_margin",
    "switch.export_monitor_enable_auto_discharge",
    "switch.export_monitor_enable_auto_charge",
    "switch.export_monitor_dry_run",
    "button.export_monitor_start_discharge",
    "button.export_monitor_stop_discharge",
    "button.export_monitor_start_charge",
    "button.export_monitor_stop_charge",
    "button.export_monitor_calculate_discharge",
    "button.export_monitor_reset_circuit_breakers",
    "binary_sensor.export_monitor_discharging",
    "binary_sensor.export_monitor_data_problem",
    "binary_sensor.export_monitor_over_export",
}
LIFETIME = {
    const.CONF_EXPORT_ENERGY: "sensor.alphaess_total_energy_feed_to_grid_meter",
    const.CONF_PV_ENERGY: ["sensor.alphaess_total_energy_from_pv"],
}


def _ours(hass: HomeAssistant) -> set[str]:
    return {e for e in hass.states.async_entity_ids() if ".export_monitor_" in e}


def _remove(house: House) -> None:
    """Let every entity of the house be missing, as before its integrations are set up."""
    house.silence(*house.home.states())
    for entity_id in house.home.states():
        house.hass.states.async_remove(entity_id)


@pytest.mark.parametrize("missing", [False, True])
@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("wiring", [{}, LIFETIME])
async def test_a_cold_boot_becomes_healthy_unaided(
    build: Build, language: str, missing: bool, wiring: dict[str, object]
) -> None:
    house = build()
    house.hass.config.language = language
    house.hass.set_state(CoreState.starting)
    if missing:
        _remove(house)
    else:
        house.hide(*house.home.states())
    await house.set_up(wiring=wiring, basis="generated")
    assert _ours(house.hass) == IDS
    for second in range(90):
        await house.advance(1)
        assert house.entity("system_health") in (
            "Healthy",
            "Error",
            "Stale Data",
            "Circuit Breaker Open",
        )
        assert house.entity("error_state") == "none"
        assert float(house.entity("data_staleness")) >= 0
        if second == 60:
            house.hass.set_state(CoreState.running)
    assert house.entity("export_headroom") == "unavailable"
    assert house.entity("discharge_status") == "Idle"
    assert house.entity("system_health") != "Healthy"
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    house.show()
    await house.advance(135)
    for name, state in HEALTH.items():
        assert house.entity(name) == state
    assert house.entity("export_headroom") != "unavailable"
    assert house.hass.states.get("binary_sensor.export_monitor_data_problem").state == "off"
    assert _ours(house.hass) == IDS


async def test_german_ids_are_english_and_german_names_are_german(build: Build) -> None:
    house = build()
    house.hass.config.language = "de"
    await house.set_up()
    assert _ours(house.hass) == IDS
    state = house.hass.states.get("sensor.export_monitor_system_health")
    assert state is not None
    assert state.attributes["friendly_name"] != "Export Monitor System health"


async def test_one_report_during_startup_proves_nothing(build: Build) -> None:
    """What shows first after a start may be the value from before it."""
    house = build()
    house.hass.set_state(CoreState.starting)
    silent = {SOC, FEED_IN_TODAY, PV_TODAY}
    house.silence(*silent)
    await house.set_up()
    await house.advance(40)
    assert house.hass.states.get("binary_sensor.export_monitor_data_problem").state == "on"
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    assert not house.calls


async def test_old_values_that_show_as_live_start_nothing(build: Build) -> None:
    """The inverter is away at the start, and everything reads as it did before."""
    house = build()
    house.hass.set_state(CoreState.starting)
    house.silence(*house.home.states())
    await house.set_up()
    for _ in range(90):
        await house.advance(1)
        assert house.entity("system_health") != "Healthy"
    house.hass.set_state(CoreState.running)
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    house.show()
    house.plant.pv_w, house.plant.load_w = 3000, 500  # so that every counter moves
    await house.advance(400, until=lambda: house.entity("system_health") == "Healthy")
    assert house.entity("system_health") == "Healthy"


async def test_without_data_for_two_minutes_somebody_is_told(build: Build) -> None:
    house = build()
    house.hide(SOC)
    await house.set_up()
    await house.advance(118)
    assert house.entity("error_state") == "none"
    await house.advance(10)
    assert house.entity("error_state") == "no_data"
    assert house.notification("no_data")
    assert house.attributes("error_state")["occurrences"] == 1
    house.show()
    await house.advance(70)
    assert house.entity("error_state") == "none"
    assert house.notification("no_data") is None
    assert house.entity("system_health") == "Healthy"


async def test_data_that_goes_missing_later_is_no_missing_data_since_setup(ready: House) -> None:
    ready.hide(SOC)
    await ready.advance(150)
    assert ready.entity("error_state") != "no_data"


async def test_a_notification_of_the_run_before_does_not_outlive_it(build: Build) -> None:
    house = build()
    house.hide(SOC)
    await house.set_up()
    await house.advance(130)
    assert house.notification("no_data")
    house.show()
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.advance(20)
    assert house.entity("error_state") == "none"
    assert house.notification("no_data") is None


async def test_a_notification_goes_with_its_entry(build: Build) -> None:
    house = build()
    house.hide(SOC)
    await house.set_up()
    await house.advance(130)
    assert house.notification("no_data")
    await house.hass.config_entries.async_remove(house.entry.entry_id)
    await house.settle()
    assert house.notification("no_data") is None
