"""The forms of planning: what they offer, refuse and store, and that it takes effect at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import FlowResultType
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.export_monitor import const
from custom_components.export_monitor.flow.schema import PLANNING, Number, Refusal
from tests.conftest import Home
from tests.integration.forms import errors_of, field_keys, nested, reply_to, shown

CARBON = "sensor.carbon_intensity_uk"
EXPORT_TODAY = "event.octopus_energy_electricity_22l0_12_export_current_day_rates"
EXPORT_TOMORROW = "event.octopus_energy_electricity_22l0_12_export_next_day_rates"
IMPORT_TODAY = "event.octopus_energy_electricity_22l0_34_current_day_rates"
IMPORT_TOMORROW = "event.octopus_energy_electricity_22l0_34_next_day_rates"
NORD_POOL_HACS = "sensor.nordpool_kwh_se3_sek_3_10_025"
POOL = "pool"
CHARGING = "alphaess_helper_force_charging"
CHARGE: dict[str, Any] = {
    const.CONF_CHARGE_SWITCH: f"input_boolean.{CHARGING}",
    const.CONF_CHARGE_POWER: f"input_number.{CHARGING}_power",
    const.CONF_CHARGE_DURATION: f"input_number.{CHARGING}_duration",
    const.CONF_CHARGE_CUTOFF: f"input_number.{CHARGING}_cutoff_soc",
}
T0 = datetime(2026, 6, 1, tzinfo=UTC)
HALF = timedelta(minutes=30)

type Answers = dict[str, Any]

ANSWERS: Answers = {
    const.CONF_OBJECTIVE: "carbon",
    const.CONF_PLAN_DISCHARGE: True,
    const.CONF_AUTO_DISCHARGE: False,
    const.CONF_PLAN_CHARGE: False,
    const.CONF_AUTO_CHARGE: False,
    const.CONF_DRY_RUN: True,
    const.CONF_GREEN_ONLY: True,
    const.CONF_EXPORT_WINDOW_START: "16:00:00",
    const.CONF_EXPORT_WINDOW_END: "02:30:00",
    const.CONF_CHARGE_WINDOW_START: "00:00:00",
    const.CONF_CHARGE_WINDOW_END: "06:00:00",
    const.CONF_CHARGE_POWER_KW: 3.68,
    const.CONF_ROUND_TRIP: 0.9,
    const.CONF_WEAR_COST: 0.0,
}
FIXED: Answers = {const.CONF_EXPORT_PRICE: 0.15, const.CONF_IMPORT_PRICE: 0.28}
NOTHING: Answers = ANSWERS | {const.CONF_PLAN_DISCHARGE: False}


@pytest.fixture
def house(home: Home) -> Home:
    """Return a house whose carbon intensity is known ahead."""
    rows = [{"from": T0, "to": T0 + HALF, "intensity": 150, "index": "moderate"}]
    home.show(CARBON, "moderate", forecast=rows)
    return home


@pytest.fixture
def with_charge(home: Home) -> Home:
    """Return a house whose package can force a charge."""
    for name, unit, high in (
        ("power", "kW", 20),
        ("duration", "min", 480),
        ("cutoff_soc", "%", 100),
    ):
        home.show(f"input_number.{CHARGING}_{name}", 4, unit, min=0, max=high)
    return home


def show_rates(home: Home, *entity_ids: str) -> None:
    for entity_id in entity_ids:
        rates = [{"start": T0, "end": T0 + HALF, "value_inc_vat": 0.15}]
        home.show(entity_id, "2026-06-01T00:00:00+00:00", rates=rates)


def entry_of(home: Home, options: Answers | None = None, **wiring: Any) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=const.DOMAIN,
        title=const.NAME,
        version=1,
        minor_version=2,
        data={**home.wiring, const.CONF_CARBON: [CARBON], **wiring},
        options=options or {},
    )
    entry.add_to_hass(home.hass)
    return entry


async def planning(hass: HomeAssistant, entry: MockConfigEntry) -> ConfigFlowResult:
    menu = await hass.config_entries.options.async_init(entry.entry_id)
    return await hass.config_entries.options.async_configure(
        menu["flow_id"], {"next_step_id": "planning"}
    )


async def choose(
    hass: HomeAssistant, result: ConfigFlowResult, answers: Answers
) -> ConfigFlowResult:
    return await hass.config_entries.options.async_configure(
        result["flow_id"], nested(result, answers)
    )


# What is shown and stored


async def test_everything_is_off_and_the_windows_are_wide_before_anyone_chooses(
    hass: HomeAssistant, house: Home
) -> None:
    result = await planning(hass, entry_of(house))
    first = shown(result)
    assert result["last_step"] is True
    assert [key for key, value in first.items() if value is True] == [const.CONF_GREEN_ONLY]
    assert first[const.CONF_EXPORT_WINDOW_END] == "23:59:00"
    assert first[const.CONF_CHARGE_WINDOW_END] == "06:00:00"
    assert not set(FIXED) & set(first), "there is no price before someone enters one"


async def test_what_is_chosen_is_stored_and_used_without_a_reload(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(house, {const.CONF_MIN_SOC: 30})
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    before = entry.runtime_data
    result = await choose(hass, await planning(hass, entry), ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    await hass.async_block_till_done()
    assert entry.runtime_data is before, "planning takes effect without a reload"
    none = dict.fromkeys(FIXED)
    assert entry.options == {const.CONF_MIN_SOC: 30, **ANSWERS, **none}
    assert shown(await planning(hass, entry)) == ANSWERS | none
    state = hass.states.get("switch.export_monitor_dry_run")
    assert state is not None
    assert state.state == "on"


async def test_a_price_can_be_entered_and_taken_away_again(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(house)
    await choose(hass, await planning(hass, entry), ANSWERS | FIXED)
    assert entry.options[const.CONF_EXPORT_PRICE] == 0.15
    await choose(hass, await planning(hass, entry), ANSWERS)
    assert entry.options[const.CONF_EXPORT_PRICE] is None


async def test_what_1x_left_behind_is_shown_as_what_it_meant(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(
        house,
        {
            const.CONF_EXPORT_WINDOW_START: "7:30",
            const.CONF_EXPORT_WINDOW_END: "23:59",
            const.CONF_CHARGE_WINDOW_END: "whenever",
            const.CONF_AUTO_DISCHARGE: "true",
            const.CONF_PLAN_DISCHARGE: True,
        },
    )
    first = shown(await planning(hass, entry))
    assert first[const.CONF_EXPORT_WINDOW_START] == "07:30:00"
    assert first[const.CONF_EXPORT_WINDOW_END] == "23:59:00"
    assert first[const.CONF_CHARGE_WINDOW_END] == "06:00:00", "the default"
    assert first[const.CONF_AUTO_DISCHARGE] is True


async def test_equal_times_are_the_whole_day_and_no_mistake(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(house)
    whole = {const.CONF_EXPORT_WINDOW_START: "00:00:00", const.CONF_EXPORT_WINDOW_END: "00:00:00"}
    result = await choose(hass, await planning(hass, entry), ANSWERS | whole)
    assert result["type"] is FlowResultType.CREATE_ENTRY


# What is refused


@pytest.mark.parametrize("field", PLANNING, ids=lambda field: field.key)
async def test_a_figure_out_of_its_range_is_refused_kept_and_can_be_mended(
    hass: HomeAssistant, house: Home, field: Number
) -> None:
    result = await planning(hass, entry_of(house))
    for wrong in (field.low - 1, field.high + 1):
        result = await choose(hass, result, ANSWERS | {field.key: wrong})
        assert errors_of(result) == {field.key: Refusal.OUT_OF_RANGE}
        assert shown(result)[field.key] == wrong
    missing = {key: value for key, value in ANSWERS.items() if key != field.key}
    result = await choose(hass, result, missing)
    if field.required:
        assert errors_of(result) == {field.key: Refusal.REQUIRED}
        result = await choose(hass, result, ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_planning_by_price_needs_the_price_of_export_even_while_nothing_is_planned(
    hass: HomeAssistant, house: Home
) -> None:
    result = await planning(hass, entry_of(house))
    by_price = NOTHING | {const.CONF_OBJECTIVE: "price"}
    result = await choose(hass, result, by_price)
    assert errors_of(result) == {const.CONF_EXPORT_PRICE: Refusal.PRICE_REQUIRED}
    assert shown(result)[const.CONF_OBJECTIVE] == "price"
    result = await choose(hass, result, by_price | {const.CONF_EXPORT_PRICE: 0.15})
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_planning_charges_by_price_needs_the_price_of_import_too(
    hass: HomeAssistant, house: Home
) -> None:
    result = await planning(hass, entry_of(house))
    by_price = NOTHING | {const.CONF_OBJECTIVE: "price", const.CONF_PLAN_CHARGE: True}
    result = await choose(hass, result, by_price)
    assert errors_of(result) == dict.fromkeys(FIXED, Refusal.PRICE_REQUIRED)
    result = await choose(hass, result, by_price | {const.CONF_EXPORT_PRICE: 0})
    assert errors_of(result) == {const.CONF_IMPORT_PRICE: Refusal.PRICE_REQUIRED}, "0 is a price"
    result = await choose(hass, result, by_price | FIXED)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_the_market_tells_both_prices(hass: HomeAssistant, house: Home) -> None:
    entry = entry_of(house, **{const.CONF_NORD_POOL: POOL})
    by_price = ANSWERS | {const.CONF_OBJECTIVE: "price"}
    result = await choose(hass, await planning(hass, entry), by_price)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("rates", "refused"),
    [
        ([{"start": T0, "end": T0 + HALF, "value_inc_vat": 0.15}], False),
        ([], True),
        (None, False),
    ],
    ids=["with prices", "without", "away"],
)
async def test_an_entity_must_tell_the_prices_of_the_coming_hours(
    hass: HomeAssistant, house: Home, rates: list[Any] | None, *, refused: bool
) -> None:
    if rates is None:
        house.lose(EXPORT_TODAY)
    else:
        house.show(EXPORT_TODAY, "2026-06-01T00:00:00+00:00", rates=rates)
    entry = entry_of(house, **{const.CONF_EXPORT_PRICES: [EXPORT_TODAY]})
    by_price = ANSWERS | {const.CONF_OBJECTIVE: "price", const.CONF_IMPORT_PRICE: 0.28}
    result = await choose(hass, await planning(hass, entry), by_price)
    if refused:
        assert errors_of(result) == {const.CONF_EXPORT_PRICE: Refusal.PRICE_WITHOUT_SLOTS}
        result = await choose(hass, result, by_price | FIXED)
    assert result["type"] is FlowResultType.CREATE_ENTRY


async def test_planning_by_carbon_needs_its_entity_as_soon_as_something_is_planned(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(house, **{const.CONF_CARBON: []})
    for key in (
        const.CONF_PLAN_DISCHARGE,
        const.CONF_AUTO_DISCHARGE,
        const.CONF_PLAN_CHARGE,
    ):
        result = await choose(hass, await planning(hass, entry), NOTHING | {key: True})
        assert errors_of(result) == {const.CONF_OBJECTIVE: Refusal.CARBON_REQUIRED}, key
    result = await choose(hass, await planning(hass, entry), NOTHING)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.parametrize(
    ("state", "refused"), [("moderate", True), ("unavailable", False), ("unknown", False)]
)
async def test_the_present_level_alone_is_nothing_to_plan_with(
    hass: HomeAssistant, house: Home, state: str, *, refused: bool
) -> None:
    house.show(CARBON, state)
    result = await choose(hass, await planning(hass, entry_of(house)), ANSWERS)
    if refused:
        assert errors_of(result) == {const.CONF_OBJECTIVE: Refusal.CARBON_WITHOUT_SLOTS}
        result = await choose(hass, result, ANSWERS | {const.CONF_OBJECTIVE: "price"} | FIXED)
    assert result["type"] is FlowResultType.CREATE_ENTRY


@pytest.mark.usefixtures("with_charge")
async def test_charging_by_itself_needs_all_charge_controls(
    hass: HomeAssistant, house: Home
) -> None:
    wanted = ANSWERS | {const.CONF_AUTO_CHARGE: True}
    half = {key: CHARGE[key] for key in list(CHARGE)[:3]}
    for wiring in ({}, half):
        result = await choose(hass, await planning(hass, entry_of(house, **wiring)), wanted)
        assert errors_of(result) == {const.CONF_AUTO_CHARGE: Refusal.CHARGE_CONTROL_REQUIRED}
    result = await choose(hass, await planning(hass, entry_of(house, **CHARGE)), wanted)
    assert result["type"] is FlowResultType.CREATE_ENTRY


# The period


async def test_the_last_24_hours_are_chosen_with_a_basis_that_knows_them(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(house)
    menu = await hass.config_entries.options.async_init(entry.entry_id)
    result = await choose(hass, menu, {"next_step_id": "limits"})
    assert shown(result)[const.CONF_PERIOD] == "local_day"
    answers = {key: value for key, value in shown(result).items() if value is not None}
    answers |= {const.CONF_PERIOD: "rolling_24h"}
    result = await choose(hass, result, answers)
    assert errors_of(result) == {const.CONF_PERIOD: Refusal.ROLLING_BASIS}
    assert shown(result)[const.CONF_PERIOD] == "rolling_24h"
    result = await choose(hass, result, answers | {const.CONF_BASIS: "generated"})
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert entry.options[const.CONF_PERIOD] == "rolling_24h"


# Wiring


async def wired_until(hass: HomeAssistant, home: Home, step: str) -> ConfigFlowResult:
    flow = hass.config_entries.flow
    result = await flow.async_init(const.DOMAIN, context={"source": SOURCE_USER})
    for known, answers in (
        ("user", {const.CONF_PRESET: "alphaess"}),
        ("battery", home.battery),
        ("sensors", home.sensors),
    ):
        if step == known:
            break
        result = await reply_to(hass, result, answers)
    assert result["step_id"] == step
    return result


async def test_charge_controls_are_proposed_where_all_are_there(
    hass: HomeAssistant, with_charge: Home
) -> None:
    result = await wired_until(hass, with_charge, "battery")
    proposed = shown(result)
    assert proposed == with_charge.battery | CHARGE
    assert CHARGE[const.CONF_CHARGE_SWITCH] in proposed[const.CONF_CONFLICTING_MODES]
    result = await reply_to(hass, result, proposed)
    assert result["step_id"] == "sensors", "one switch may be both"


async def test_prices_of_octopus_are_proposed_each_for_its_direction(
    hass: HomeAssistant, house: Home
) -> None:
    show_rates(house, EXPORT_TODAY, EXPORT_TOMORROW, IMPORT_TODAY, IMPORT_TOMORROW)
    show_rates(house, IMPORT_TODAY.replace("current", "previous"))
    proposed = shown(await wired_until(hass, house, "forecast"))
    assert proposed[const.CONF_EXPORT_PRICES] == [EXPORT_TODAY, EXPORT_TOMORROW]
    assert proposed[const.CONF_IMPORT_PRICES] == [IMPORT_TODAY, IMPORT_TOMORROW]


async def test_one_market_entity_may_tell_both_prices_and_the_day_after_may_be_named(
    hass: HomeAssistant, house: Home
) -> None:
    house.show(NORD_POOL_HACS, 0.3)
    day_3 = "sensor.solcast_pv_forecast_forecast_day_3"
    house.show(day_3, 9, "kWh")
    result = await wired_until(hass, house, "forecast")
    proposed = shown(result)
    assert proposed[const.CONF_FORECAST_DAY_3] == day_3
    both = {
        const.CONF_EXPORT_PRICES: [NORD_POOL_HACS],
        const.CONF_IMPORT_PRICES: [NORD_POOL_HACS],
    }
    result = await reply_to(hass, result, proposed | both)
    assert result["step_id"] == "check"


async def test_nord_pool_is_offered_where_it_is_set_up_and_kept_when_reconfiguring(
    hass: HomeAssistant, house: Home
) -> None:
    entry = entry_of(house)

    async def forecast_form() -> ConfigFlowResult:
        result = await entry.start_reconfigure_flow(hass)
        for answers in (house.battery, house.sensors):
            result = await reply_to(hass, result, answers)
        return result

    result = await forecast_form()
    assert const.CONF_NORD_POOL not in field_keys(result), "there is none to choose"
    MockConfigEntry(domain="nordpool", entry_id=POOL).add_to_hass(hass)
    result = await forecast_form()
    chosen = {**house.forecast, const.CONF_NORD_POOL: POOL}
    result = await reply_to(hass, result, chosen)
    assert result["step_id"] == "check"
    result = await reply_to(hass, result, {})
    assert result["reason"] == "reconfigure_successful"
    await hass.async_block_till_done()
    assert entry.data[const.CONF_NORD_POOL] == POOL
    result = await forecast_form()
    assert shown(result)[const.CONF_NORD_POOL] == POOL
    result = await reply_to(hass, result, house.forecast)
    await reply_to(hass, result, {})
    await hass.async_block_till_done()
    assert const.CONF_NORD_POOL not in entry.data, "left empty it is taken away"
