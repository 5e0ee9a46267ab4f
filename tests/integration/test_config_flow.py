"""The config flow: what it finds, what it refuses, and that every refusal can be recovered from."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER, ConfigEntryState, ConfigFlowResult
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.data_entry_flow import FlowResultType, section
from homeassistant.helpers import entity_registry as er
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.typing import ClientSessionGenerator
import voluptuous as vol

from custom_components.export_monitor import async_setup_entry, const
from custom_components.export_monitor.coordinator import ExportMonitorConfigEntry
from custom_components.export_monitor.flow.forms import (
    alerts_schema,
    limits_schema,
    number_fields,
    planning_schema,
    sensors_schema,
)
from custom_components.export_monitor.flow.schema import LIMITS, TIMING, Refusal
from tests.conftest import Home
from tests.integration.forms import field_keys, nested, reply_to, shown

SWITCH = "input_boolean.alphaess_helper_force_discharging"
CHARGING = "input_boolean.alphaess_helper_force_charging"
POOL, OTHER_DOMAIN = "pool", "no_pool"  # config entries
POWER = "input_number.alphaess_helper_force_discharging_power"
DURATION = "input_number.alphaess_helper_force_discharging_duration"
CUTOFF = "input_number.alphaess_helper_force_discharging_cutoff_soc"

type Answers = dict[str, Any]

LIFETIME_EXPORT = "sensor.alphaess_total_energy_feed_to_grid_meter"
DAILY_EXPORT = "sensor.alphaess_today_s_energy_feed_to_grid_meter"
DAILY_PV = "sensor.alphaess_today_s_energy_from_pv"
PHONE = "notify.mobile_app_phone"
NO_REPORT: Answers = {const.CONF_DAILY_REPORT: False, const.CONF_DAILY_REPORT_TIME: "08:00"}
SIGN = {const.CONF_BATTERY_POWER_SIGN: const.SIGN_DISCHARGE_POSITIVE}

LIMIT_ANSWERS: Answers = {
    const.CONF_BASIS: "forecast",
    const.CONF_PERIOD: "local_day",
    const.CONF_TARGET_EXPORT: 3000,
    const.CONF_MIN_SOC: 25,
    const.CONF_SAFETY_MARGIN: 1,
    const.CONF_PV_PEAK: 5000,
    const.CONF_BATTERY_CAPACITY: 10,
    const.CONF_HOUSE_LOAD_DAY: 8,
}
FIXED_ANSWERS = LIMIT_ANSWERS | {const.CONF_BASIS: "fixed", const.CONF_FIXED_LIMIT: 5}
TIMING_ANSWERS: Answers = {
    const.CONF_SCAN_INTERVAL: 20,
    const.CONF_STALE_AFTER: 60,
    const.CONF_SERVICE_TIMEOUT: 10,
    const.CONF_RETRY_ATTEMPTS: 2,
    const.CONF_BREAKER_THRESHOLD: 3,
    const.CONF_BREAKER_RESET: 120,
    const.CONF_HARDWARE_LEASE: 60,
    const.CONF_BLIND_LIMIT: 10,
}


@pytest.fixture
def unloaded() -> Iterator[None]:
    """Let entries be made without being set up: these tests are about the forms."""
    with patch("custom_components.export_monitor.async_setup_entry", return_value=True):
        yield


def preselected_kind(result: ConfigFlowResult) -> str:
    schema = result["data_schema"]
    assert schema is not None
    return next(m.default() for m in schema.schema if m.schema == const.CONF_PRESET)


async def begin(hass: HomeAssistant) -> ConfigFlowResult:
    return await hass.config_entries.flow.async_init(const.DOMAIN, context={"source": SOURCE_USER})


async def answer(
    hass: HomeAssistant, result: ConfigFlowResult, answers: Mapping[str, Any]
) -> ConfigFlowResult:
    """Answer a form; the live values that come after the last of the wiring are right."""
    result = await reply_to(hass, result, answers)
    return await reply_to(hass, result, {}) if result.get("step_id") == "check" else result


async def reach(hass: HomeAssistant, home: Home, step: str) -> ConfigFlowResult:
    """Walk to a step of the user flow, with the right answers."""
    result = await begin(hass)
    for known, answers in (
        ("user", {const.CONF_PRESET: "alphaess"}),
        ("battery", home.battery),
        ("sensors", home.sensors),
        ("forecast", home.forecast),
    ):
        if step == known:
            break
        result = await answer(hass, result, answers)
    assert result["step_id"] == step
    return result


def right_answers(home: Home, step: str) -> Answers:
    return {
        "battery": home.battery,
        "sensors": home.sensors,
        "forecast": home.forecast,
        "limits": LIMIT_ANSWERS,
    }[step]


def entry_of(
    home: Home, *, options: Answers | None = None, data: Answers | None = None, **facts: Any
) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=const.DOMAIN,
        title=const.NAME,
        version=1,
        minor_version=2,
        unique_id=SWITCH,
        data=home.wiring if data is None else data,
        options=options or {},
    )
    for name, value in facts.items():
        object.__setattr__(entry, name, value)
    entry.add_to_hass(home.hass)
    return entry


async def set_up(hass: HomeAssistant, entry: MockConfigEntry) -> None:
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()


@contextmanager
def counted_set_ups() -> Iterator[list[str]]:
    """Count how often an entry is set up, while it really is."""
    done: list[str] = []

    async def counting(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> bool:
        done.append(entry.entry_id)
        return await async_setup_entry(hass, entry)

    with patch("custom_components.export_monitor.async_setup_entry", counting):
        yield done


# From nothing to an entry


async def test_an_alphaess_is_found_and_needs_nothing_but_confirming(
    hass: HomeAssistant, home: Home
) -> None:
    result = await begin(hass)
    assert result["step_id"] == "user"
    assert preselected_kind(result) == "alphaess"
    result = await answer(hass, result, {const.CONF_PRESET: "alphaess"})
    assert shown(result) == home.battery
    result = await answer(hass, result, shown(result))
    assert shown(result) == home.sensors | SIGN
    result = await answer(hass, result, shown(result))
    assert shown(result) == home.forecast
    result = await answer(hass, result, shown(result))
    first = shown(result)
    assert (first["min_soc"], first["safety_margin"], first["target_export"]) == (25, 1, 0)
    result = await answer(hass, result, first)

    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["title"] == "Export Monitor"
    entry = result["result"]
    assert (entry.version, entry.minor_version, entry.unique_id) == (1, 2, SWITCH)
    assert entry.data == home.wiring | {
        const.CONF_BATTERY_POWER_SIGN: const.SIGN_DISCHARGE_POSITIVE,
        const.CONF_OBSERVE_RESERVE: False,
    }
    assert entry.options == {field.key: first[field.key] for field in LIMITS} | {
        const.CONF_BASIS: "forecast",
        const.CONF_PERIOD: "local_day",
    }
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED


@pytest.mark.usefixtures("unloaded")
async def test_another_battery_is_wired_by_hand_with_the_required_roles_only(
    hass: HomeAssistant, home: Home
) -> None:
    home.show("switch.bat_discharge", "off")
    home.show("number.bat_power", 0, "W", min=0, max=5000)
    home.show("number.bat_minutes", 0, min=1, max=120)
    home.show("number.bat_cutoff", 10, min=5, max=100)
    result = await answer(hass, await begin(hass), {const.CONF_PRESET: "generic"})
    assert shown(result) == {}
    controls = {
        const.CONF_DISCHARGE_SWITCH: "switch.bat_discharge",
        const.CONF_DISCHARGE_POWER: "number.bat_power",
        const.CONF_DISCHARGE_DURATION: "number.bat_minutes",
        const.CONF_DISCHARGE_CUTOFF: "number.bat_cutoff",
        const.CONF_CONFLICTING_MODES: [],
    }
    result = await answer(hass, result, controls)
    assert shown(result) == SIGN
    required = {
        key: home.sensors[key]
        for key in (const.CONF_SOC, const.CONF_EXPORT_ENERGY, const.CONF_PV_ENERGY)
    }
    result = await answer(hass, result, required)
    result = await answer(hass, result, {})
    assert shown(result)[const.CONF_BASIS] == "generated", "there is no forecast"
    result = await answer(hass, result, LIMIT_ANSWERS | {const.CONF_BASIS: "generated"})

    assert result["type"] is FlowResultType.CREATE_ENTRY
    entry = result["result"]
    assert entry.unique_id == "switch.bat_discharge"
    del controls[const.CONF_CONFLICTING_MODES]
    assert entry.data == {const.CONF_PRESET: "generic"} | controls | required | {
        const.CONF_BATTERY_POWER_SIGN: const.SIGN_DISCHARGE_POSITIVE,
        const.CONF_OBSERVE_RESERVE: False,
    }
    assert entry.options[const.CONF_SITE_EXPORT_LIMIT] == 0, "an empty limit is none"


# Preselection


async def test_without_an_alphaess_another_battery_is_proposed(hass: HomeAssistant) -> None:
    result = await begin(hass)
    assert preselected_kind(result) == "generic"
    result = await answer(hass, result, {const.CONF_PRESET: "alphaess"})
    assert shown(result) == {}, "what is not there is not proposed"


async def test_the_preferred_pattern_wins_and_the_next_one_steps_in(
    hass: HomeAssistant, home: Home
) -> None:
    hass.states.async_remove("sensor.alphaess_soc_battery")
    home.show("sensor.alphaess_battery_soc", 80, "%")
    hass.states.async_remove("sensor.alphaess_total_energy_from_pv")
    home.show("sensor.alphaess_today_s_energy_from_pv_meter", 100, "Wh")
    proposed = shown(await reach(hass, home, "sensors"))
    assert proposed[const.CONF_SOC] == "sensor.alphaess_battery_soc"
    assert proposed[const.CONF_PV_ENERGY] == ["sensor.alphaess_today_s_energy_from_pv"]
    assert (
        proposed[const.CONF_EXPORT_ENERGY] == "sensor.alphaess_total_energy_feed_to_grid_meter"
    ), "the lifetime counter is preferred to the daily one"


async def test_a_registered_entity_without_a_state_is_found_but_a_disabled_one_is_not(
    hass: HomeAssistant, home: Home, entity_registry: er.EntityRegistry
) -> None:
    hass.states.async_remove("sensor.alphaess_power_grid")
    hass.states.async_remove("sensor.alphaess_power_battery")
    for name, disabled in (("grid", None), ("battery", er.RegistryEntryDisabler.USER)):
        entity_registry.async_get_or_create(
            "sensor", "modbus", name, suggested_object_id=f"alphaess_power_{name}",
            disabled_by=disabled,
        )  # fmt: skip
    proposed = shown(await reach(hass, home, "sensors"))
    assert proposed[const.CONF_GRID_POWER] == "sensor.alphaess_power_grid"
    assert const.CONF_BATTERY_POWER not in proposed


async def test_the_cloud_integrations_entities_are_never_proposed(
    hass: HomeAssistant, home: Home, entity_registry: er.EntityRegistry
) -> None:
    hass.states.async_remove("sensor.alphaess_soc_battery")
    entity_registry.async_get_or_create(
        "sensor", "alphaess", "soc", suggested_object_id="alphaess_soc_battery"
    )
    home.show("sensor.alphaess_soc_battery", 80, "%")
    home.show("sensor.alphaess_battery_soc", 80, "%")
    proposed = shown(await reach(hass, home, "sensors"))
    assert proposed[const.CONF_SOC] == "sensor.alphaess_battery_soc"


# Refusals: each on its own field, and each to be recovered from

NEW = "sensor.new"
REFUSED: list[tuple[str, Answers, str, Refusal]] = [
    *(
        ("battery", {key: None}, key, Refusal.REQUIRED)
        for key in (
            const.CONF_DISCHARGE_SWITCH,
            const.CONF_DISCHARGE_POWER,
            const.CONF_DISCHARGE_DURATION,
            const.CONF_DISCHARGE_CUTOFF,
        )
    ),
    ("battery", {"discharge_button": "button.new"}, "discharge_button", Refusal.NOT_A_SWITCH),
    ("battery", {"conflicting_modes": ["select.new"]}, "conflicting_modes", Refusal.NOT_A_SWITCH),
    ("battery", {"discharge_power": NEW}, "discharge_power", Refusal.NOT_A_NUMBER),
    ("battery", {"fallback_stop": "switch.new"}, "fallback_stop", Refusal.NOT_A_BUTTON),
    ("battery", {"fallback_stop": None}, "fallback_stop", Refusal.FALLBACK_REQUIRED),
    ("battery", {"discharge_button": "switch.gone"}, "discharge_button", Refusal.NOT_FOUND),
    ("battery", {"discharge_button": "switch.disabled"}, "discharge_button", Refusal.DISABLED),
    ("battery", {"discharge_button": "switch.cloud"}, "discharge_button", Refusal.ALPHAESS_CLOUD),
    ("battery", {"discharge_power": "number.current"}, "discharge_power", Refusal.UNIT_POWER),
    ("battery", {"discharge_power": "number.bare"}, "discharge_power", Refusal.UNIT_POWER),
    ("battery", {"discharge_power": "number.tiny_power"}, "discharge_power", Refusal.RANGE_POWER),
    ("battery", {"discharge_power": "number.negative"}, "discharge_power", Refusal.RANGE_POWER),
    ("battery", {"discharge_duration": "number.tiny_power"}, "discharge_duration",
     Refusal.UNIT_DURATION),
    ("battery", {"discharge_duration": "number.minute"}, "discharge_duration",
     Refusal.RANGE_DURATION),
    ("battery", {"discharge_cutoff_soc": "number.current"}, "discharge_cutoff_soc",
     Refusal.UNIT_SOC),
    ("battery", {"discharge_cutoff_soc": "number.low_soc"}, "discharge_cutoff_soc",
     Refusal.RANGE_CUTOFF),
    ("battery", {"charge_cutoff_soc": "number.nearly_full"}, "charge_cutoff_soc",
     Refusal.RANGE_TARGET),
    ("battery", {"discharge_cutoff_soc": DURATION, "discharge_duration": CUTOFF},
     "discharge_duration", Refusal.UNIT_DURATION),
    ("battery", {"conflicting_modes": [SWITCH]}, "conflicting_modes", Refusal.DUPLICATE),
    ("battery", {"charge_button": CHARGING}, "charge_power_entity", Refusal.CHARGE_INCOMPLETE),
    ("battery", {"charge_button": SWITCH}, "charge_button", Refusal.DUPLICATE),
    ("battery", {"charge_power_entity": "number.current"}, "charge_power_entity",
     Refusal.UNIT_POWER),
    *(
        ("sensors", {key: None}, key, Refusal.REQUIRED)
        for key in (const.CONF_SOC, const.CONF_EXPORT_ENERGY, const.CONF_PV_ENERGY)
    ),
    ("sensors", {"pv_energy_today": []}, "pv_energy_today", Refusal.REQUIRED),
    ("sensors", {"current_soc": "number.low_soc"}, "current_soc", Refusal.NOT_A_SENSOR),
    ("sensors", {"current_soc": "sensor.watts"}, "current_soc", Refusal.UNIT_SOC),
    ("sensors", {"grid_feed_today": "sensor.watts"}, "grid_feed_today", Refusal.UNIT_ENERGY),
    ("sensors", {"pv_energy_today": ["sensor.watts"]}, "pv_energy_today", Refusal.UNIT_ENERGY),
    ("sensors", {"grid_power": "sensor.percent"}, "grid_power", Refusal.UNIT_POWER),
    ("sensors", {"grid_power": "sensor.power_grid_apexcharts"}, "grid_power", Refusal.APEXCHARTS),
    ("sensors", {"dispatch_start": "sensor.watts"}, "dispatch_start", Refusal.NOT_A_FLAG),
    ("sensors", {"dispatch_start": "sensor.words"}, "dispatch_start", Refusal.NOT_A_FLAG),
    ("sensors", {"dispatch_start": "sensor.fraction"}, "dispatch_start", Refusal.NOT_A_FLAG),
    ("sensors", {"reserve_soc_sensor": "switch.new"}, "reserve_soc_sensor", Refusal.NOT_A_LEVEL),
    ("sensors", {"reserve_soc_sensor": CUTOFF}, "reserve_soc_sensor", Refusal.DUPLICATE),
    ("sensors", {"pv_power": "sensor.alphaess_power_grid"}, "pv_power", Refusal.DUPLICATE),
    ("sensors", {"observe_reserve_soc": True}, "reserve_soc_sensor", Refusal.RESERVE_REQUIRED),
    ("sensors", {"battery_power_sign": "charge_positive"}, "battery_power_sign",
     Refusal.SIGN_CONTRADICTED),
    ("forecast", {"solcast_total_today": "sensor.watts"}, "solcast_total_today",
     Refusal.UNIT_ENERGY),
    ("forecast", {"solcast_last_polled": "sensor.words"}, "solcast_last_polled",
     Refusal.NOT_A_MOMENT),
    ("forecast", {"solcast_tomorrow": "sensor.alphaess_total_energy_from_pv"},
     "solcast_tomorrow", Refusal.DUPLICATE),
    ("forecast", {"solcast_day_3": "sensor.watts"}, "solcast_day_3", Refusal.UNIT_ENERGY),
    ("forecast", {"export_prices": ["switch.new"]}, "export_prices", Refusal.NOT_A_SENSOR),
    ("forecast", {"export_prices": ["sensor.alphaess_soc_battery"]}, "export_prices",
     Refusal.DUPLICATE),
    ("forecast", {"nord_pool": "gone"}, "nord_pool", Refusal.NORD_POOL_GONE),
    ("forecast", {"nord_pool": OTHER_DOMAIN}, "nord_pool", Refusal.NORD_POOL_GONE),
    ("limits", {"period": "rolling_24h"}, "period", Refusal.ROLLING_BASIS),
    ("limits", {"period": "rolling_24h", "basis": "conservative"}, "period",
     Refusal.ROLLING_BASIS),
    ("limits", {"fixed_limit": 0, "basis": "fixed"}, "fixed_limit", Refusal.FIXED_LIMIT_REQUIRED),
    ("limits", {"basis": "fixed"}, "fixed_limit", Refusal.FIXED_LIMIT_REQUIRED),
    *(("limits", {each.key: each.low - 1}, each.key, Refusal.OUT_OF_RANGE) for each in LIMITS),
    *(("limits", {each.key: each.high + 1}, each.key, Refusal.OUT_OF_RANGE) for each in LIMITS),
    ("limits", {"min_soc": float("nan")}, "min_soc", Refusal.OUT_OF_RANGE),
    *(
        ("limits", {each.key: None}, each.key, Refusal.REQUIRED)
        for each in LIMITS
        if each.required
    ),
]  # fmt: skip


@pytest.fixture
def misfits(home: Home, entity_registry: er.EntityRegistry) -> Home:
    """Add entities that fit no role."""
    for entity_id in ("button.new", "select.new", "switch.new"):
        home.show(entity_id, "unknown")
    entity_registry.async_get_or_create(
        "switch", "demo", "d", suggested_object_id="disabled",
        disabled_by=er.RegistryEntryDisabler.USER,
    )  # fmt: skip
    entity_registry.async_get_or_create("switch", "alphaess", "c", suggested_object_id="cloud")
    home.show("switch.cloud", "off")
    home.show(NEW, 1)
    MockConfigEntry(domain="nordpool", entry_id=POOL).add_to_hass(home.hass)
    MockConfigEntry(domain="demo", entry_id=OTHER_DOMAIN).add_to_hass(home.hass)
    home.show("number.bare", 0, min=0, max=5000)
    home.show("number.current", 0, "A", min=0, max=100)
    home.show("number.tiny_power", 0, "W", min=0, max=50)
    home.show("number.negative", 0, "kW", min=-5, max=0)
    home.show("number.minute", 0, "s", min=0, max=60)
    home.show("number.low_soc", 5, "%", min=0, max=20)
    home.show("number.nearly_full", 90, "%", min=0, max=95)
    home.show("sensor.watts", 5, "W")
    home.show("sensor.percent", 5, "%")
    home.show("sensor.power_grid_apexcharts", 0.5, "kW")
    home.show("sensor.words", "armed")
    home.show("sensor.fraction", 0.5)
    return home


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("step", "changed", "field", "refusal"),
    REFUSED,
    ids=[f"{step}-{field}-{refusal}-{i}" for i, (step, _, field, refusal) in enumerate(REFUSED)],
)
async def test_a_wrong_answer_is_refused_on_its_field_kept_and_can_be_mended(
    hass: HomeAssistant, misfits: Home, step: str, changed: Answers, field: str, refusal: Refusal
) -> None:
    result = await reach(hass, misfits, step)
    right = right_answers(misfits, step)
    wrong = {key: value for key, value in {**right, **changed}.items() if value is not None}
    result = await answer(hass, result, wrong)
    assert result["type"] is FlowResultType.FORM
    assert result["step_id"] == step
    errors = result["errors"]
    assert errors is not None
    assert errors[field] == refusal
    assert repr(shown(result)) == repr(_in_form_order(result, wrong)), "what was typed stays"

    result = await answer(hass, result, right)
    assert result["type"] is FlowResultType.CREATE_ENTRY or result["step_id"] != step


def _in_form_order(result: ConfigFlowResult, answers: Answers) -> Answers:
    """Sort by the form's fields; a setting without an answer has its default."""
    defaults = {
        const.CONF_BATTERY_POWER_SIGN: const.SIGN_DISCHARGE_POSITIVE,
        const.CONF_OBSERVE_RESERVE: False,
    }
    keys = field_keys(result)
    typed = {key: value for key, value in defaults.items() if key in keys} | answers
    numbers = {each.key for each in (*LIMITS, *TIMING)}
    return {
        key: float(typed[key]) if key in numbers else typed[key] for key in keys if key in typed
    }


async def test_wrong_answers_are_all_shown_at_once(hass: HomeAssistant, home: Home) -> None:
    result = await answer(hass, await reach(hass, home, "battery"), {})
    assert result["errors"] == {
        const.CONF_DISCHARGE_SWITCH: Refusal.REQUIRED,
        const.CONF_DISCHARGE_POWER: Refusal.REQUIRED,
        const.CONF_DISCHARGE_DURATION: Refusal.REQUIRED,
        const.CONF_DISCHARGE_CUTOFF: Refusal.REQUIRED,
        const.CONF_FALLBACK_STOP: Refusal.FALLBACK_REQUIRED,
    }


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize("basis", ["forecast", "conservative"])
async def test_a_forecast_basis_needs_a_forecast(
    hass: HomeAssistant, home: Home, basis: str
) -> None:
    result = await answer(hass, await reach(hass, home, "forecast"), {})
    result = await answer(hass, result, LIMIT_ANSWERS | {const.CONF_BASIS: basis})
    assert result["errors"] == {const.CONF_BASIS: Refusal.FORECAST_REQUIRED}
    assert shown(result)[const.CONF_BASIS] == basis
    result = await answer(hass, result, LIMIT_ANSWERS | {const.CONF_BASIS: "generated"})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("unloaded")
async def test_limits_must_suit_the_batterys_own_numbers(hass: HomeAssistant, home: Home) -> None:
    home.show(POWER, 0.5, "kW", min=0.5, max=5)
    home.show(CUTOFF, 10, "%", min=10, max=90)
    result = await reach(hass, home, "limits")
    wrong = LIMIT_ANSWERS | {const.CONF_TARGET_EXPORT: 400, const.CONF_MIN_SOC: 95}
    result = await answer(hass, result, wrong)
    assert result["errors"] == {
        const.CONF_TARGET_EXPORT: Refusal.TARGET_BELOW_POWER,
        const.CONF_MIN_SOC: Refusal.MIN_SOC_BEYOND_CUTOFF,
    }
    result = await answer(hass, result, LIMIT_ANSWERS | {const.CONF_TARGET_EXPORT: 0})
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("unloaded")
async def test_an_inverter_that_is_away_can_be_wired(hass: HomeAssistant, home: Home) -> None:
    for entity_id in (SWITCH, POWER, DURATION, CUTOFF, "sensor.alphaess_soc_battery"):
        home.lose(entity_id)
    home.lose("sensor.alphaess_dispatch_start")
    home.lose("sensor.solcast_pv_forecast_api_last_polled")
    home.show("sensor.alphaess_power_battery", "unavailable", "W")
    home.show(POWER, "unavailable", "kW")
    result = await answer(hass, await reach(hass, home, "limits"), LIMIT_ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_an_absent_entitys_unit_is_still_judged_where_it_is_known(
    hass: HomeAssistant, home: Home, entity_registry: er.EntityRegistry
) -> None:
    entity_registry.async_get_or_create(
        "sensor", "modbus", "a", suggested_object_id="away", unit_of_measurement="A"
    )
    result = await reach(hass, home, "sensors")
    result = await answer(hass, result, home.sensors | {const.CONF_GRID_POWER: "sensor.away"})
    assert result["errors"] == dict.fromkeys(("powers", const.CONF_GRID_POWER), Refusal.UNIT_POWER)


async def test_a_section_with_a_refusal_says_so_itself_and_is_open(
    hass: HomeAssistant, home: Home
) -> None:
    result = await reach(hass, home, "sensors")
    assert collapsed(result) == {"powers": False, "reserve": True}
    result = await answer(hass, result, home.sensors | {const.CONF_OBSERVE_RESERVE: True})
    assert result["errors"] == dict.fromkeys(
        ("reserve", const.CONF_RESERVE_SOC), Refusal.RESERVE_REQUIRED
    )
    assert collapsed(result) == {"powers": False, "reserve": False}
    result = await answer(hass, result, home.sensors)
    assert result["step_id"] == "forecast"


def collapsed(result: ConfigFlowResult) -> dict[str, bool]:
    schema = result["data_schema"]
    assert schema is not None
    return {
        str(marker): value.options["collapsed"]
        for marker, value in schema.schema.items()
        if isinstance(value, section)
    }


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("battery_w", "load_w", "sign"),
    [
        (500, 500, "discharge_positive"),
        (-500, 500, "charge_positive"),
        (200, 200, "charge_positive"),
        (500, "unavailable", "charge_positive"),
        (500, 0, "charge_positive"),
    ],
    ids=["right", "right too", "too little to tell", "no figures", "neither fits"],
)
async def test_a_sign_is_refused_only_where_the_figures_leave_no_doubt(
    hass: HomeAssistant, home: Home, battery_w: float, load_w: float | str, sign: str
) -> None:
    home.show("sensor.alphaess_power_battery", battery_w, "W")
    home.show("sensor.alphaess_current_house_load", load_w, "W")
    home.show("sensor.alphaess_power_grid", 0.3 if load_w == 0 else 0, "kW")
    result = await reach(hass, home, "sensors")
    result = await answer(hass, result, home.sensors | {const.CONF_BATTERY_POWER_SIGN: sign})
    assert result["step_id"] == "forecast"


# What a form says about what comes after it


@pytest.mark.usefixtures("unloaded")
async def test_the_button_says_next_until_the_last_form(hass: HomeAssistant, home: Home) -> None:
    result = await begin(hass)
    for step, answers in (
        ("user", {const.CONF_PRESET: "alphaess"}),
        ("battery", home.battery),
        ("sensors", home.sensors),
        ("forecast", home.forecast),
    ):
        assert (result["step_id"], result["last_step"]) == (step, False)
        result = await answer(hass, result, answers)
    assert (result["step_id"], result["last_step"]) == ("limits", True)
    result = await answer(hass, result, LIMIT_ANSWERS | {const.CONF_MIN_SOC: 101})
    assert result["last_step"] is True, "a refusal changes nothing about it"


async def test_the_live_values_are_the_last_form_of_reconfiguring(
    hass: HomeAssistant, home: Home
) -> None:
    result = await entry_of(home, options=LIMIT_ANSWERS).start_reconfigure_flow(hass)
    for answers in (home.battery, home.sensors, home.forecast):
        assert result["last_step"] is False
        result = await reply_to(hass, result, answers)
    for _ in range(2):
        assert (result["step_id"], result["last_step"]) == ("check", True)
        result = await reply_to(hass, result, {"verdict": "again"})


# The first day of a lifetime counter


@pytest.mark.usefixtures("unloaded")
async def test_a_fixed_limit_on_a_lifetime_counter_is_told_to_begin_tomorrow(
    hass: HomeAssistant, home: Home
) -> None:
    result = await answer(hass, await reach(hass, home, "limits"), FIXED_ANSWERS)
    assert (result["step_id"], result["last_step"]) == ("first_day", True)
    assert shown(result) == {const.CONF_EXPORT_ENERGY: LIFETIME_EXPORT}
    result = await answer(hass, result, shown(result))
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"][const.CONF_EXPORT_ENERGY] == LIFETIME_EXPORT
    assert result["options"][const.CONF_FIXED_LIMIT] == 5


@pytest.mark.usefixtures("unloaded")
async def test_who_wants_to_begin_today_chooses_the_counter_of_the_day(
    hass: HomeAssistant, home: Home
) -> None:
    result = await answer(hass, await reach(hass, home, "limits"), FIXED_ANSWERS)
    for wrong, refusal in (
        ({}, Refusal.REQUIRED),
        ({const.CONF_EXPORT_ENERGY: "sensor.alphaess_power_grid"}, Refusal.DUPLICATE),
        ({const.CONF_EXPORT_ENERGY: "sensor.sun_next_dawn"}, Refusal.NOT_FOUND),
    ):
        result = await answer(hass, result, wrong)
        assert result["errors"] == {const.CONF_EXPORT_ENERGY: refusal}
        assert shown(result) == wrong
    result = await answer(hass, result, {const.CONF_EXPORT_ENERGY: DAILY_EXPORT})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["data"] == home.wiring | {
        const.CONF_EXPORT_ENERGY: DAILY_EXPORT,
        const.CONF_BATTERY_POWER_SIGN: const.SIGN_DISCHARGE_POSITIVE,
        const.CONF_OBSERVE_RESERVE: False,
    }


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    ("export", "pv", "basis", "told"),
    [
        (LIFETIME_EXPORT, "sensor.alphaess_total_energy_from_pv", "forecast", False),
        (LIFETIME_EXPORT, DAILY_PV, "forecast", True),
        (DAILY_EXPORT, DAILY_PV, "fixed", False),
        (DAILY_EXPORT, "sensor.alphaess_total_energy_from_pv", "generated", False),
    ],
    ids=["both miss the morning", "PV of the morning counts", "daily", "daily export"],
)
async def test_nothing_is_told_of_tomorrow_where_today_is_fine(
    hass: HomeAssistant, home: Home, export: str, pv: str, basis: str, told: bool
) -> None:
    counters = {const.CONF_EXPORT_ENERGY: export, const.CONF_PV_ENERGY: [pv]}
    result = await answer(hass, await reach(hass, home, "sensors"), home.sensors | counters)
    result = await answer(hass, result, home.forecast)
    result = await answer(hass, result, FIXED_ANSWERS | {const.CONF_BASIS: basis})
    assert (result.get("step_id") == "first_day") is told
    assert (result["type"] is FlowResultType.CREATE_ENTRY) is not told


# One entry a battery


async def test_a_battery_is_configured_only_once(hass: HomeAssistant, home: Home) -> None:
    entry_of(home)
    named = {const.CONF_PRESET: "alphaess", "name": "Garage"}
    result = await answer(hass, await begin(hass), named)
    result = await answer(hass, result, home.battery)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_configured"


async def test_an_entry_of_1x_without_a_unique_id_counts_too(
    hass: HomeAssistant, home: Home
) -> None:
    entry_of(home, unique_id=None, data={}, options={const.CONF_DISCHARGE_SWITCH: SWITCH})
    named = {const.CONF_PRESET: "alphaess", "name": "Garage"}
    result = await answer(hass, await begin(hass), named)
    result = await answer(hass, result, home.battery)
    assert result["reason"] == "already_configured"


async def test_a_battery_is_not_set_up_in_two_windows(hass: HomeAssistant, home: Home) -> None:
    await reach(hass, home, "sensors")
    result = await answer(hass, await reach(hass, home, "battery"), home.battery)
    assert result["type"] is FlowResultType.ABORT
    assert result["reason"] == "already_in_progress"


@pytest.mark.usefixtures("unloaded")
async def test_a_second_battery_needs_a_name_of_its_own(hass: HomeAssistant, home: Home) -> None:
    entry_of(home, unique_id="switch.other", data={const.CONF_DISCHARGE_SWITCH: "switch.other"})
    result = await begin(hass)
    for name, refusal in (
        ("", Refusal.NAME_REQUIRED),
        ("  ", Refusal.NAME_REQUIRED),
        ("export monitor", Refusal.NAME_TAKEN),
    ):
        typed = {const.CONF_PRESET: "alphaess", "name": name}
        result = await answer(hass, result, typed)
        assert result["errors"] == {"name": refusal}
        assert shown(result) == typed
    result = await answer(hass, result, {const.CONF_PRESET: "alphaess", "name": " Garage "})
    result = await answer(hass, result, home.battery)
    result = await answer(hass, result, home.sensors)
    result = await answer(hass, result, home.forecast)
    result = await answer(hass, result, LIMIT_ANSWERS)
    assert result["title"] == "Garage"
    assert result["result"].unique_id == SWITCH


# Reconfigure


async def test_reconfiguring_changes_the_wiring_and_reloads_once(
    hass: HomeAssistant, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    entry = entry_of(home, options=LIMIT_ANSWERS)
    with counted_set_ups() as set_ups:
        await set_up(hass, entry)
        result = await entry.start_reconfigure_flow(hass)
        assert shown(result) == home.battery
        result = await answer(hass, result, home.battery)
        assert shown(result) == home.sensors | {
            const.CONF_BATTERY_POWER_SIGN: const.SIGN_DISCHARGE_POSITIVE,
            const.CONF_OBSERVE_RESERVE: False,
        }
        without_load = {
            key: value for key, value in home.sensors.items() if key != const.CONF_HOUSE_LOAD
        }
        result = await answer(hass, result, without_load | {const.CONF_EXPORT_ENERGY: DAILY_EXPORT})
        assert shown(result) == home.forecast
        result = await answer(hass, result, home.forecast)
        assert result["type"] is FlowResultType.ABORT
        assert result["reason"] == "reconfigure_successful"
        await hass.async_block_till_done()
    assert set_ups == [entry.entry_id] * 2
    assert entry.state is ConfigEntryState.LOADED
    assert entry.data[const.CONF_EXPORT_ENERGY] == DAILY_EXPORT
    assert const.CONF_HOUSE_LOAD not in entry.data, "a role left empty is taken away"
    assert entry.options == LIMIT_ANSWERS, "settings stay"
    assert "update listener" not in caplog.text


async def test_reconfiguring_to_another_switch_moves_the_unique_id(
    hass: HomeAssistant, home: Home
) -> None:
    entry = entry_of(home, options=LIMIT_ANSWERS)
    other = MockConfigEntry(
        domain=const.DOMAIN, title="Garage", data={const.CONF_DISCHARGE_SWITCH: "switch.garage"}
    )
    other.add_to_hass(hass)
    for entity_id in ("switch.garage", "switch.new"):
        home.show(entity_id, "off")

    async def change(switch: str) -> ConfigFlowResult:
        result = await entry.start_reconfigure_flow(hass)
        answers = home.battery | {const.CONF_DISCHARGE_SWITCH: switch}
        return await answer(hass, result, answers)

    result = await change("switch.garage")
    assert result["reason"] == "already_configured"
    result = await change("switch.new")
    result = await answer(hass, result, home.sensors)
    result = await answer(hass, result, home.forecast)
    assert result["reason"] == "reconfigure_successful"
    assert entry.unique_id == "switch.new"
    await hass.async_block_till_done()
    assert entry.state is ConfigEntryState.LOADED, "an entry that was not loaded is set up"


async def test_an_entry_of_1x_is_completed_by_reconfiguring(
    hass: HomeAssistant, home: Home
) -> None:
    entry = entry_of(
        home,
        unique_id=None,
        minor_version=1,
        data={
            const.CONF_DISCHARGE_SWITCH: SWITCH,
            const.CONF_PV_ENERGY: "sensor.alphaess_today_s_energy_from_pv",
            const.CONF_MIN_SOC: 30,
            const.CONF_CHARGE_SWITCH: CHARGING,
            "solcast_forecast_so_far": "sensor.gone",
        },
        options={const.CONF_SOC: "sensor.gone", const.CONF_BASIS: "generated"},
    )
    await set_up(hass, entry)
    assert entry.state is ConfigEntryState.LOADED
    result = await entry.start_reconfigure_flow(hass)
    known = {const.CONF_CHARGE_SWITCH: CHARGING}
    assert shown(result) == home.battery | known, "what 1.x did not know is looked for"
    result = await answer(hass, result, home.battery)
    own = shown(result)
    assert own[const.CONF_PV_ENERGY] == ["sensor.alphaess_today_s_energy_from_pv"]
    assert own[const.CONF_SOC] == "sensor.gone"
    result = await answer(hass, result, home.sensors)
    result = await answer(hass, result, {})
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.data[const.CONF_PRESET] == "alphaess"
    assert entry.data[const.CONF_SOC] == "sensor.alphaess_soc_battery"
    assert entry.options == {const.CONF_BASIS: "generated"}, "old wiring must not win"
    assert const.CONF_CHARGE_SWITCH not in entry.data, "half a charge was taken away"
    assert entry.data["solcast_forecast_so_far"], "what is not asked for stays"
    assert entry.data[const.CONF_MIN_SOC] == 30
    assert entry.unique_id == SWITCH
    assert (entry.version, entry.minor_version) == (1, 2), "1.x must load it still"
    assert const.CONF_UPGRADED not in entry.data, "it is one of ours now"


@pytest.mark.usefixtures("unloaded")
async def test_a_forecast_in_use_cannot_be_taken_away(hass: HomeAssistant, home: Home) -> None:
    entry = entry_of(home, options=LIMIT_ANSWERS)
    result = await entry.start_reconfigure_flow(hass)
    result = await answer(hass, result, home.battery)
    result = await answer(hass, result, home.sensors)
    result = await answer(hass, result, {})
    assert result["errors"] == {const.CONF_FORECAST_TODAY: Refusal.FORECAST_IN_USE}
    assert shown(result) == {}
    result = await answer(hass, result, home.forecast)
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()


# Options


async def options(hass: HomeAssistant, entry: MockConfigEntry, step: str) -> ConfigFlowResult:
    result = await hass.config_entries.options.async_init(entry.entry_id)
    assert result["type"] is FlowResultType.MENU
    assert result["menu_options"] == ["limits", "planning", "timing", "alerts"]
    return await hass.config_entries.options.async_configure(
        result["flow_id"], {"next_step_id": step}
    )


async def choose(
    hass: HomeAssistant, result: ConfigFlowResult, answers: Answers
) -> ConfigFlowResult:
    return await hass.config_entries.options.async_configure(
        result["flow_id"], nested(result, answers)
    )


async def test_limits_are_changed_without_a_reload(hass: HomeAssistant, home: Home) -> None:
    entry = entry_of(home, options={const.CONF_SCAN_INTERVAL: 30})
    with counted_set_ups() as set_ups:
        await set_up(hass, entry)
        result = await options(hass, entry, "limits")
        assert shown(result)[const.CONF_MIN_SOC] == 20, "the default"
        result = await choose(hass, result, LIMIT_ANSWERS)
        assert result["type"] is FlowResultType.CREATE_ENTRY
        await hass.async_block_till_done()
    assert set_ups == [entry.entry_id]
    assert entry.options[const.CONF_TARGET_EXPORT] == 3000
    assert entry.options[const.CONF_SCAN_INTERVAL] == 30, "the other settings stay"
    result = await options(hass, entry, "limits")
    assert shown(result)[const.CONF_TARGET_EXPORT] == 3000


async def test_timing_is_changed_with_one_reload(
    hass: HomeAssistant, home: Home, caplog: pytest.LogCaptureFixture
) -> None:
    entry = entry_of(home, options=LIMIT_ANSWERS)
    with counted_set_ups() as set_ups:
        await set_up(hass, entry)
        result = await options(hass, entry, "timing")
        assert shown(result)[const.CONF_HARDWARE_LEASE] == 30
        await choose(hass, result, TIMING_ANSWERS)
        await hass.async_block_till_done()
    assert set_ups == [entry.entry_id] * 2
    assert entry.options == LIMIT_ANSWERS | TIMING_ANSWERS
    assert "update listener" not in caplog.text


TIMING_REFUSED = [
    *(({each.key: each.low - 1}, each.key, Refusal.OUT_OF_RANGE) for each in TIMING),
    *(({each.key: each.high + 1}, each.key, Refusal.OUT_OF_RANGE) for each in TIMING),
    *(({each.key: None}, each.key, Refusal.REQUIRED) for each in TIMING),
    ({const.CONF_HARDWARE_LEASE: 120}, const.CONF_HARDWARE_LEASE, Refusal.LEASE_BEYOND_DURATION),
]


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(("changed", "field", "refusal"), TIMING_REFUSED)
async def test_a_wrong_time_is_refused_kept_and_can_be_mended(
    hass: HomeAssistant, home: Home, changed: Answers, field: str, refusal: Refusal
) -> None:
    home.show(DURATION, 0, "min", min=0, max=90)
    entry = entry_of(home, options=LIMIT_ANSWERS)
    result = await options(hass, entry, "timing")
    wrong = {k: v for k, v in {**TIMING_ANSWERS, **changed}.items() if v is not None}
    result = await choose(hass, result, wrong)
    assert result["errors"] == {field: refusal}
    assert shown(result) == wrong
    result = await choose(hass, result, TIMING_ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("unloaded")
async def test_options_know_whether_there_is_a_forecast(hass: HomeAssistant, home: Home) -> None:
    entry = entry_of(home, data={const.CONF_PRESET: "alphaess", **home.battery, **home.sensors})
    result = await options(hass, entry, "limits")
    result = await choose(hass, result, LIMIT_ANSWERS)
    assert result["errors"] == {const.CONF_BASIS: Refusal.FORECAST_REQUIRED}
    result = await choose(hass, result, FIXED_ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options[const.CONF_FIXED_LIMIT] == 5


async def test_a_basis_that_must_wait_for_tomorrow_says_so_before_it_is_stored(
    hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-06-01T12:00:00+00:00")
    home.show(LIFETIME_EXPORT, 1234.6, "kWh")
    entry = entry_of(home, options=LIMIT_ANSWERS)
    await set_up(hass, entry)
    result = await choose(hass, await options(hass, entry, "limits"), FIXED_ANSWERS)
    assert (result["step_id"], result["last_step"]) == ("first_day", True)
    assert entry.options == LIMIT_ANSWERS, "the window can still be closed"
    result = await choose(hass, result, {})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options[const.CONF_BASIS] == "fixed"
    await hass.async_block_till_done()

    again = FIXED_ANSWERS | {const.CONF_FIXED_LIMIT: 6}
    result = await choose(hass, await options(hass, entry, "limits"), again)
    assert result["type"] is FlowResultType.CREATE_ENTRY, "it was said already"


async def test_a_basis_is_changed_at_once_where_the_whole_day_was_seen(
    hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory
) -> None:
    await hass.config.async_set_time_zone("UTC")
    freezer.move_to("2026-06-01T00:05:00+00:00")
    home.show(LIFETIME_EXPORT, 1234.6, "kWh")
    entry = entry_of(home, options=LIMIT_ANSWERS)
    await set_up(hass, entry)
    result = await choose(hass, await options(hass, entry, "limits"), FIXED_ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()


def test_every_option_has_a_field() -> None:
    forms = (
        limits_schema(),
        planning_schema(),
        vol.Schema(number_fields(TIMING)),
        alerts_schema([]),
        sensors_schema(),
    )
    assert {str(marker) for form in forms for marker in form.schema} >= set(const.DEFAULTS)


# Who is told


async def nobody(call: ServiceCall) -> None:
    """Stand for an action of another integration."""


def offered_targets(result: ConfigFlowResult) -> dict[str, str]:
    schema = result["data_schema"]
    assert schema is not None
    selector = schema.schema[const.CONF_NOTIFY_TARGETS]
    return {each["value"]: each["label"] for each in selector.config["options"]}


@pytest.mark.usefixtures("unloaded")
async def test_phones_are_offered_by_name_whether_they_are_entities_or_actions(
    hass: HomeAssistant, home: Home
) -> None:
    home.show("notify.kitchen_display", "unknown", friendly_name="Kitchen display")
    home.show("notify.both", "unknown", friendly_name="Entity")
    for action in (
        "send_message", "persistent_notification", "notify", "mobile_app_old_phone", "both"
    ):  # fmt: skip
        hass.services.async_register("notify", action, nobody)
    result = await options(hass, entry_of(home), "alerts")
    assert list(offered_targets(result).items()) == [
        ("notify.both", "Entity (notify.both)"),
        ("notify.kitchen_display", "Kitchen display (notify.kitchen_display)"),
        ("notify.mobile_app_old_phone", "Old phone (notify.mobile_app_old_phone)"),
    ]
    assert result["last_step"] is True


@pytest.mark.usefixtures("unloaded")
async def test_targets_are_stored_each_once_shown_again_and_taken_away(
    hass: HomeAssistant, home: Home
) -> None:
    entry = entry_of(home, options=LIMIT_ANSWERS)
    result = await options(hass, entry, "alerts")
    assert offered_targets(result) == {}
    assert shown(result) == NO_REPORT
    typed = {const.CONF_NOTIFY_TARGETS: [PHONE, f" {PHONE} ", "notify.group"]}
    result = await choose(hass, result, typed)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    stored = {const.CONF_NOTIFY_TARGETS: [PHONE, "notify.group"]}
    assert entry.options == LIMIT_ANSWERS | NO_REPORT | stored
    result = await options(hass, entry, "alerts")
    assert shown(result) == NO_REPORT | stored
    await choose(hass, result, {})
    assert entry.options == LIMIT_ANSWERS | NO_REPORT | {const.CONF_NOTIFY_TARGETS: []}


@pytest.mark.usefixtures("unloaded")
@pytest.mark.parametrize(
    "wrong",
    ["phone", "notify", "notify.", "notify.my phone", "notify.Phone!", "light.lamp", "",
     "notify.a.b", "notify.send_message"],
)  # fmt: skip
async def test_what_can_tell_nobody_is_refused_kept_and_can_be_mended(
    hass: HomeAssistant, home: Home, wrong: str
) -> None:
    entry = entry_of(home)
    result = await options(hass, entry, "alerts")
    typed = {const.CONF_NOTIFY_TARGETS: [PHONE, wrong]}
    result = await choose(hass, result, typed)
    assert result["errors"] == {const.CONF_NOTIFY_TARGETS: Refusal.NOT_A_NOTIFY_TARGET}
    assert shown(result) == NO_REPORT | typed
    result = await choose(hass, result, {const.CONF_NOTIFY_TARGETS: [PHONE]})
    assert result["type"] is FlowResultType.CREATE_ENTRY


def test_every_refusal_is_provoked_here() -> None:
    provoked = {refusal for *_, refusal in (*REFUSED, *TIMING_REFUSED)}
    on_their_own = {
        Refusal.FORECAST_REQUIRED,
        Refusal.FORECAST_IN_USE,
        Refusal.TARGET_BELOW_POWER,
        Refusal.MIN_SOC_BEYOND_CUTOFF,
        Refusal.NAME_REQUIRED,
        Refusal.NAME_TAKEN,
        Refusal.NOT_A_NOTIFY_TARGET,
        # In test_planning_flow.
        Refusal.CHARGE_CONTROL_REQUIRED,
        Refusal.CARBON_REQUIRED,
        Refusal.CARBON_WITHOUT_SLOTS,
        Refusal.PRICE_REQUIRED,
        Refusal.PRICE_WITHOUT_SLOTS,
    }
    assert provoked | on_their_own == set(Refusal)


# Over the wire, as a browser or a script has it


@pytest.mark.usefixtures("unloaded")
async def test_the_flow_can_be_walked_through_the_http_api(
    hass: HomeAssistant, home: Home, hass_client: ClientSessionGenerator
) -> None:
    assert await async_setup_component(hass, "config", {})
    client = await hass_client()
    path = "/api/config/config_entries/flow"
    reply = await client.post(path, json={"handler": const.DOMAIN})
    result = await reply.json()
    for answers in (
        {const.CONF_PRESET: "alphaess"},
        home.battery,
        home.sensors,
        home.forecast,
        {"verdict": "right"},
        LIMIT_ANSWERS,
    ):
        sent: Answers = {}
        for field in result["data_schema"]:
            inside = {each["name"] for each in field.get("schema", ())}
            names = inside & set(answers) if inside else {field["name"]} & set(answers)
            part = {name: answers[name] for name in names}
            sent |= {field["name"]: part} if inside else part
        assert {
            key for each in sent for key in (sent[each] if isinstance(sent[each], dict) else [each])
        } == set(answers)
        reply = await client.post(f"{path}/{result['flow_id']}", json=sent)
        result = await reply.json()
    assert result["type"] == "create_entry"

    path = "/api/config/config_entries/options/flow"
    reply = await client.post(path, json={"handler": result["result"]["entry_id"]})
    menu = await reply.json()
    reply = await client.post(f"{path}/{menu['flow_id']}", json={"next_step_id": "timing"})
    timing = await reply.json()
    wrong = TIMING_ANSWERS | {const.CONF_SCAN_INTERVAL: 1}
    reply = await client.post(f"{path}/{timing['flow_id']}", json=wrong)
    assert (await reply.json())["errors"] == {const.CONF_SCAN_INTERVAL: "out_of_range"}
