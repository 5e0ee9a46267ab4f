"""Every brand of the preset table: what is found of it, and what is left to its user."""

from collections.abc import Iterable
import re

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.export_monitor import const
from custom_components.export_monitor.flow.answers import refused_entities
from custom_components.export_monitor.flow.finding import detected, proposals
from custom_components.export_monitor.flow.schema import BATTERY, CHARGE, SENSORS
from custom_components.export_monitor.inputs.wiring import entity_ids, is_daily
from custom_components.export_monitor.presets import (
    ALPHAESS,
    ALPHAESS_NATIVE,
    FOXESS,
    GENERIC,
    GIVENERGY,
    HUAWEI,
    PRESETS,
    SOLAX,
    SUNSYNK,
    Preset,
)
from tests.conftest import Home
from tests.integration.forms import shown
from tests.integration.test_config_flow import LIMIT_ANSWERS, answer

ROLES = (*BATTERY, *SENSORS)
CONTROLS = {role.key for role in BATTERY if role.required} | {role.key for role in CHARGE}
MEASURED = {const.CONF_SOC, const.CONF_EXPORT_ENERGY, const.CONF_PV_ENERGY}
NUMBERS = {"power": ("kW", 0, 20), "duration": ("min", 0, 480), "soc": ("%", 4, 100)}


def show_native(home: Home, device: str = "alphaess_inverter", cutoff: str = "cutoff_soc") -> None:
    """Show the entities of the AlphaESS Modbus TCP integration."""
    for mode in ("discharging", "charging"):
        for name, (unit, low, high) in zip(
            ("power", "duration", cutoff), NUMBERS.values(), strict=True
        ):
            home.show(f"number.{device}_force_{mode}_{name}", low, unit, min=low, max=high)
    for name in (
        "force_discharging", "force_discharging_hold", "force_charging", "force_charging_hold",
        "force_export", "force_export_hold", "force_import", "dispatch", "dispatch_pv_enabled",
        "excess_export",
    ):  # fmt: skip
        home.show(f"switch.{device}_{name}", "off")
    for name in ("dispatch_reset", "restart_ems", "reset_energy_totals"):
        home.show(f"button.{device}_{name}", "unknown")
    home.show(f"number.{device}_discharging_cutoff_soc", 10, "%", min=4, max=100)  # flash memory
    for name, value, unit in (
        ("battery_state_of_charge", 55, "%"),
        ("battery_state_of_health", 99, "%"),
        ("total_energy_feed_to_grid_meter", 12.5, "kWh"),
        ("today_energy_feed_to_grid", 1.5, "kWh"),
        ("total_energy_from_pv", 25.0, "kWh"),
        ("grid_power", 0, "W"),
        ("grid_power_phase_a", 0, "W"),
        ("battery_power", 300, "W"),
        ("current_pv_production", 0, "W"),
        ("current_house_load", 300, "W"),
        ("dispatch_start", 0, None),
    ):
        home.show(f"sensor.{device}_{name}", value, unit)


def found(hass: HomeAssistant, preset: Preset, **more: Iterable[str]) -> dict[str, object]:
    return proposals(hass, preset, ROLES, **{key: list(value) for key, value in more.items()})


def ids(proposed: dict[str, object]) -> set[str]:
    return {each for key in proposed for each in entity_ids(proposed, key)}


# AlphaESS


@pytest.mark.parametrize("cutoff", ["cutoff_soc", "stop_at_soc"])
def test_the_native_integration_is_found_complete(hass: HomeAssistant, cutoff: str) -> None:
    show_native(Home(hass), cutoff=cutoff)
    assert detected(hass, ()) is ALPHAESS_NATIVE
    proposed = found(hass, ALPHAESS_NATIVE)
    device = "alphaess_inverter"
    optional = {const.CONF_RESERVE_SOC}
    assert set(proposed) == {role.key for role in ROLES} - optional
    assert proposed[const.CONF_DISCHARGE_SWITCH] == f"switch.{device}_force_discharging"
    assert proposed[const.CONF_DISCHARGE_CUTOFF] == f"number.{device}_force_discharging_{cutoff}"
    assert proposed[const.CONF_FALLBACK_STOP] == f"button.{device}_dispatch_reset"
    assert proposed[const.CONF_CONFLICTING_MODES] == [
        f"switch.{device}_{mode}"
        for mode in ("dispatch", "excess_export", "force_charging", "force_export", "force_import")
    ]
    assert proposed[const.CONF_EXPORT_ENERGY] == f"sensor.{device}_total_energy_feed_to_grid_meter"
    assert refused_entities(hass, ROLES, proposed, ()) == {}


@pytest.mark.parametrize(
    "variant",
    ["number.alphaess_template", "number.alphaess_helper", "input_number.alphaess_helper"],
)
def test_the_package_is_found_in_its_variants(
    hass: HomeAssistant, home: Home, variant: str
) -> None:
    for name, old in (("power", "kW"), ("duration", "min"), ("cutoff_soc", "%")):
        hass.states.async_remove(f"input_number.alphaess_helper_force_discharging_{name}")
        home.show(f"{variant}_force_discharging_{name}", 0, old, min=0, max=500)
    proposed = found(hass, ALPHAESS)
    assert proposed[const.CONF_DISCHARGE_POWER] == f"{variant}_force_discharging_power"
    assert proposed[const.CONF_DISCHARGE_DURATION] == f"{variant}_force_discharging_duration"
    assert proposed[const.CONF_DISCHARGE_CUTOFF] == f"{variant}_force_discharging_cutoff_soc"


def test_what_writes_flash_memory_is_never_proposed(hass: HomeAssistant, home: Home) -> None:
    home.show("number.alphaess_template_discharging_cutoff_soc", 10, "%", min=4, max=100)
    show_native(home)
    for preset in PRESETS.values():
        assert not [each for each in ids(found(hass, preset)) if each.startswith("number.")
                    and "force" not in each]  # fmt: skip


# Brands known from public sources

BRANDS: list[tuple[Preset, dict[str, str]]] = [
    (GIVENERGY, {
        "sensor.givtcp_ce1234g567_soc": "%",
        "sensor.givtcp_ce1234g567_export_energy_total_kwh": "kWh",
        "sensor.givtcp_ce1234g567_export_energy_today_kwh": "kWh",
        "sensor.givtcp_ce1234g567_pv_energy_total_kwh": "kWh",
        "sensor.givtcp_ce1234g567_battery_power": "W",
        "sensor.givtcp_ce1234g567_pv_power": "W",
        "sensor.givtcp_ce1234g567_load_power": "W",
    }),
    (FOXESS, {
        "sensor.foxess_battery_soc": "%",
        "sensor.foxess_feed_in_energy_total": "kWh",
        "sensor.foxess_solar_energy_total": "kWh",
        "sensor.foxess_invbatpower": "kW",
        "sensor.foxess_pv_power_now": "kW",
        "sensor.foxess_load_power": "kW",
    }),
    (SOLAX, {
        "sensor.solax_battery_capacity": "%",
        "sensor.solax_grid_export_total": "kWh",
        "sensor.solax_total_solar_energy": "kWh",
        "sensor.solax_battery_power_charge": "W",
        "sensor.solax_pv_power_total": "W",
        "sensor.solax_house_load": "W",
    }),
    (SUNSYNK, {
        "sensor.deye_battery_soc": "%",
        "sensor.deye_total_grid_export": "kWh",
        "sensor.deye_total_pv_energy": "kWh",
        "sensor.deye_battery_power": "W",
        "sensor.deye_pv_power": "W",
        "sensor.deye_load_power": "W",
    }),
    (HUAWEI, {
        "sensor.batteries_state_of_capacity": "%",
        "sensor.power_meter_exported": "kWh",
        "sensor.inverter_total_dc_input_energy": "kWh",
        "sensor.batteries_charge_discharge_power": "W",
        "sensor.inverter_input_power": "W",
    }),
]  # fmt: skip


@pytest.mark.parametrize(("preset", "entities"), BRANDS, ids=[p.key for p, _ in BRANDS])
async def test_an_unverified_brand_is_found_named_so_and_only_its_sensors_are_filled_in(
    hass: HomeAssistant, preset: Preset, entities: dict[str, str]
) -> None:
    home = Home(hass)
    for entity_id, unit in entities.items():
        home.show(entity_id, 1, unit)
    home.show("button.batteries_stop_forcible_charge", "unknown")
    result = await hass.config_entries.flow.async_init(
        const.DOMAIN, context={"source": SOURCE_USER}
    )
    assert kind_of(result) == preset.key
    result = await answer(hass, result, {const.CONF_PRESET: preset.key})
    assert result["step_id"] == "unverified"
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    assert placeholders["devices"].endswith("docs/supported-devices.md")
    result = await answer(hass, result, {})
    assert result["step_id"] == "battery"
    assert not CONTROLS & set(shown(result)), "its user brings the controls"
    home.show("input_boolean.mine", "off")
    for name, (unit, low, high) in NUMBERS.items():
        home.show(f"input_number.mine_{name}", low, unit, min=low, max=high)
    controls = {
        const.CONF_DISCHARGE_SWITCH: "input_boolean.mine",
        const.CONF_DISCHARGE_POWER: "input_number.mine_power",
        const.CONF_DISCHARGE_DURATION: "input_number.mine_duration",
        const.CONF_DISCHARGE_CUTOFF: "input_number.mine_soc",
    }
    result = await answer(hass, result, shown(result) | controls)
    proposed = shown(result)
    assert proposed.pop(const.CONF_BATTERY_POWER_SIGN) == preset.battery_power_sign
    assert set(proposed) >= MEASURED
    assert const.CONF_GRID_POWER not in proposed, "its direction is not known"
    assert ids(proposed) <= set(entities)
    assert not any(is_daily(each) for each in ids(proposed)), "lifetime counters first"
    result = await answer(hass, result, shown(result))
    assert result["step_id"] == "forecast"


def kind_of(result: ConfigFlowResult) -> str:
    schema = result["data_schema"]
    assert schema is not None
    [marker] = [each for each in schema.schema if each == const.CONF_PRESET]
    chosen: str = marker.default()
    return chosen


def test_huaweis_own_stop_is_a_second_way_to_stop(hass: HomeAssistant) -> None:
    home = Home(hass)
    home.show("sensor.batteries_state_of_capacity", 50, "%")
    home.show("button.batteries_stop_forcible_charge", "unknown")
    assert found(hass, HUAWEI) == {
        const.CONF_FALLBACK_STOP: "button.batteries_stop_forcible_charge",
        const.CONF_SOC: "sensor.batteries_state_of_capacity",
    }


def test_solax_and_huawei_count_a_charge_as_positive() -> None:
    signs = {key: preset.battery_power_sign for key, preset in PRESETS.items()}
    assert {key for key, sign in signs.items() if sign == const.SIGN_CHARGE_POSITIVE} == {
        "solax",
        "huawei",
    }


def test_no_unverified_brand_claims_to_have_controls() -> None:
    for preset in PRESETS.values():
        assert preset.verified is (preset is GENERIC or set(preset.patterns) >= CONTROLS)
        assert preset.verified or not CONTROLS & set(preset.patterns)
        for pattern in (each for row in preset.patterns.values() for each in row):
            re.compile(pattern)


def test_what_can_be_commanded_goes_before_what_can_only_be_read(
    hass: HomeAssistant, home: Home
) -> None:
    home.show("sensor.foxess_battery_soc", 50, "%")
    assert detected(hass, ()) is ALPHAESS
    claimed = {home.battery[const.CONF_DISCHARGE_SWITCH], home.sensors[const.CONF_SOC]}
    assert detected(hass, {str(each) for each in claimed}) is FOXESS


# Two batteries


def show_second(home: Home, name: str) -> None:
    """Show a second package beside the first, under another name."""
    for state in home.hass.states.async_all():
        if "alphaess" in state.entity_id:
            twin = state.entity_id.replace("alphaess", name)
            home.hass.states.async_set(twin, state.state, state.attributes)


@pytest.mark.parametrize("name", ["alphaess_2", "garage_alphaess", "alphaess_garage"])
async def test_each_of_two_batteries_gets_its_own_entities_and_entry(
    hass: HomeAssistant, home: Home, name: str
) -> None:
    show_second(home, name)
    flow = hass.config_entries.flow
    titles = []
    for named in ({}, {"name": "Garage"}):
        result = await flow.async_init(const.DOMAIN, context={"source": SOURCE_USER})
        result = await answer(hass, result, {const.CONF_PRESET: "alphaess", **named})
        own = name if named else "alphaess"
        proposed = shown(result)
        assert proposed[const.CONF_DISCHARGE_SWITCH] == (
            f"input_boolean.{own}_helper_force_discharging"
        )
        other = "alphaess" if named else name
        assert not [each for each in ids(proposed) if each.split(".")[1].startswith(f"{other}_h")]
        result = await answer(hass, result, proposed)
        sensors = shown(result)
        assert sensors[const.CONF_SOC] == f"sensor.{own}_soc_battery"
        for form in (sensors, home.forecast, LIMIT_ANSWERS):
            result = await answer(hass, result, form)
        assert result["type"] is FlowResultType.CREATE_ENTRY
        titles.append(result["title"])
        await hass.async_block_till_done()
    assert titles == ["Export Monitor", "Garage"]
    for prefix in ("export_monitor", "export_monitor_garage"):
        assert hass.states.get(f"sensor.{prefix}_system_health") is not None


async def test_sensors_follow_the_switch_that_was_chosen(hass: HomeAssistant, home: Home) -> None:
    show_second(home, "alphaess_2")
    result = await hass.config_entries.flow.async_init(
        const.DOMAIN, context={"source": SOURCE_USER}
    )
    result = await answer(hass, result, {const.CONF_PRESET: "alphaess"})
    second = {
        key: [each.replace("alphaess", "alphaess_2") for each in value]
        if isinstance(value, list)
        else value.replace("alphaess", "alphaess_2")
        for key, value in home.battery.items()
    }
    result = await answer(hass, result, second)
    assert shown(result)[const.CONF_SOC] == "sensor.alphaess_2_soc_battery"


async def test_a_battery_that_has_its_entry_is_not_proposed_again(
    hass: HomeAssistant, home: Home
) -> None:
    MockConfigEntry(domain=const.DOMAIN, title="First", data=home.wiring).add_to_hass(hass)
    result = await hass.config_entries.flow.async_init(
        const.DOMAIN, context={"source": SOURCE_USER}
    )
    assert kind_of(result) == "generic"
    result = await answer(hass, result, {const.CONF_PRESET: "alphaess", "name": "Second"})
    assert shown(result) == {}
