"""The live values that a user confirms before an entry is made, and the way back from them."""

from datetime import timedelta

from freezegun.api import FrozenDateTimeFactory
from homeassistant.config_entries import SOURCE_USER, ConfigFlowResult
from homeassistant.core import HomeAssistant, ServiceCall
from homeassistant.data_entry_flow import FlowResultType
import pytest

from custom_components.export_monitor import const
from tests.conftest import Home
from tests.integration.forms import reply_to, shown
from tests.integration.test_config_flow import LIMIT_ANSWERS, entry_of

CONTROLS = ("switch", "input_boolean", "number", "input_number", "button", "input_button")
ACTIONS = ("turn_on", "turn_off", "set_value", "press")


async def nobody(call: ServiceCall) -> None:
    """Stand for an action of another integration."""


@pytest.fixture(autouse=True)
def actions(hass: HomeAssistant) -> None:
    """Register what sets helpers, as their integrations do."""
    for domain in CONTROLS:
        for action in ACTIONS:
            hass.services.async_register(domain, action, nobody)


async def checked(hass: HomeAssistant, home: Home) -> ConfigFlowResult:
    """Walk to the live values of a new entry."""
    result = await hass.config_entries.flow.async_init(
        const.DOMAIN, context={"source": SOURCE_USER}
    )
    for answers in ({const.CONF_PRESET: "alphaess"}, home.battery, home.sensors, home.forecast):
        result = await reply_to(hass, result, answers)
    assert result["step_id"] == "check"
    return result


def lines(result: ConfigFlowResult) -> dict[str, str]:
    """Return what is said of each entity."""
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    said: dict[str, str] = {}
    last = ""
    for line in placeholders["values"].split("\n"):
        if line.startswith("- "):
            last = line.rpartition("`")[0].rpartition("`")[2]
            said[last] = line
        else:
            said[last] += line
    return said


def doubtful(result: ConfigFlowResult) -> int:
    placeholders = result["description_placeholders"]
    assert placeholders is not None
    return int(placeholders["doubtful"])


async def test_every_chosen_entity_is_shown_with_role_value_and_age(
    hass: HomeAssistant, home: Home, freezer: FrozenDateTimeFactory
) -> None:
    freezer.tick(timedelta(seconds=7))
    result = await checked(hass, home)
    said = lines(result)
    chosen = {**home.battery, **home.sensors, **home.forecast}
    assert set(said) == {
        each
        for value in chosen.values()
        for each in (value if isinstance(value, list) else [value])
    }
    assert said["sensor.alphaess_soc_battery"] == (
        "- Battery SOC: **80.0 %** · 7 s · `sensor.alphaess_soc_battery`"
    )
    button = "input_button.alphaess_helper_dispatch_reset_full"
    assert said[button] == f"- Fallback stop: `{button}`"
    assert "**0 kW**" in said["input_number.alphaess_helper_force_discharging_power"]
    assert doubtful(result) == 0


async def test_a_moment_is_shown_on_the_clock_of_the_house(hass: HomeAssistant, home: Home) -> None:
    await hass.config.async_set_time_zone("Europe/Berlin")
    polled = "sensor.solcast_pv_forecast_api_last_polled"
    home.show(polled, "2026-06-21T22:30:00+00:00", None)
    home.forecast[const.CONF_FORECAST_LAST_FETCH] = polled
    rates = "event.octopus_energy_electricity_1_2_export_current_day_rates"
    home.show(rates, "2026-06-21T22:45:10.171+00:00", None)
    home.forecast[const.CONF_EXPORT_PRICES] = [rates]
    said = lines(await checked(hass, home))
    assert "**2026-06-22 00:30**" in said[polled]
    assert "**2026-06-22 00:45**" in said[rates]


@pytest.mark.parametrize(
    ("entity_id", "state", "unit", "word"),
    [
        ("sensor.alphaess_soc_battery", "unavailable", None, "Not available"),
        ("sensor.alphaess_soc_battery", "unknown", None, "Not available"),
        ("sensor.alphaess_soc_battery", 150, "%", "no plausible value"),
        ("sensor.alphaess_power_grid", 2147483647, "W", "no plausible value"),
        ("input_number.alphaess_helper_force_discharging_power", 30, "kW", "own range"),
        ("input_number.alphaess_helper_force_discharging_power", -1, "kW", "own range"),
        ("input_number.alphaess_helper_force_discharging_power", "abc", "kW", "no plausible"),
        ("input_boolean.alphaess_helper_force_discharging", "on", None, "Is on"),
        ("input_boolean.alphaess_helper_force_export", "on", None, "Is on"),
        ("input_button.alphaess_helper_dispatch_reset_full", "unavailable", None, "Not available"),
    ],
)
async def test_what_is_doubtful_is_marked_and_does_not_block(
    hass: HomeAssistant, home: Home, entity_id: str, state: str | float, unit: str, word: str
) -> None:
    result = await checked(hass, home)
    home.show(entity_id, state, unit, min=0, max=20)
    result = await reply_to(hass, result, {"verdict": "again"})
    said = lines(result)[entity_id]
    assert "⚠️" in said
    assert word in said
    assert doubtful(result) == 1
    result = await reply_to(hass, result, {"verdict": "right"})
    assert result["step_id"] == "limits"


async def test_an_entity_that_vanished_meanwhile_is_not_available(
    hass: HomeAssistant, home: Home
) -> None:
    result = await checked(hass, home)
    hass.states.async_remove("sensor.alphaess_power_grid")
    result = await reply_to(hass, result, {"verdict": "again"})
    assert "Not available" in lines(result)["sensor.alphaess_power_grid"]


async def test_a_control_that_nothing_can_set_is_marked(hass: HomeAssistant, home: Home) -> None:
    hass.services.async_remove("input_number", "set_value")
    hass.services.async_remove("input_boolean", "turn_off")
    result = await checked(hass, home)
    said = lines(result)
    marked = {entity_id for entity_id, line in said.items() if "no action" in line}
    assert marked == {
        str(home.battery[key])
        for key in (
            const.CONF_DISCHARGE_SWITCH,
            const.CONF_DISCHARGE_POWER,
            const.CONF_DISCHARGE_DURATION,
            const.CONF_DISCHARGE_CUTOFF,
        )
    }, "other modes are only read"


@pytest.mark.parametrize(
    ("age", "text", "old"),
    [
        (timedelta(seconds=119), "119 s", False),
        (timedelta(minutes=3), "3 min", False),
        (timedelta(minutes=6), "6 min", True),
        (timedelta(hours=5), "5 h", True),
        (timedelta(days=3), "3 d", True),
    ],
)
async def test_an_old_report_is_marked_where_reports_never_rest(
    hass: HomeAssistant,
    home: Home,
    freezer: FrozenDateTimeFactory,
    age: timedelta,
    text: str,
    old: bool,
) -> None:
    result = await checked(hass, home)
    freezer.tick(age)
    said = lines(await reply_to(hass, result, {"verdict": "again"}))
    assert f" · {text} · " in said["sensor.alphaess_soc_battery"]
    assert ("not reported" in said["sensor.alphaess_soc_battery"]) is old
    assert "not reported" not in said["sensor.alphaess_current_pv_production"], "the sun is down"


@pytest.mark.parametrize(
    ("grid_w", "battery_w", "sign", "words"),
    [
        (300, 500, "discharge_positive", ("importing", "discharging")),
        (-300, -500, "discharge_positive", ("exporting", "charging")),
        (0, -500, "charge_positive", ("", "discharging")),
        (40, 40, "charge_positive", ("", "")),
    ],
)
async def test_directions_are_said_in_words(
    hass: HomeAssistant,
    home: Home,
    grid_w: float,
    battery_w: float,
    sign: str,
    words: tuple[str, str],
) -> None:
    home.sensors[const.CONF_BATTERY_POWER_SIGN] = sign
    del home.sensors[const.CONF_HOUSE_LOAD]  # it would contradict the sign
    home.show("sensor.alphaess_power_grid", grid_w, "W")
    home.show("sensor.alphaess_power_battery", battery_w, "W")
    said = lines(await checked(hass, home))
    for name, word in zip(("grid", "battery"), words, strict=True):
        facts = said[f"sensor.alphaess_power_{name}"].split(" · ")
        assert facts[1:-1] == ([word] if word else []) + facts[-2:-1]


async def test_nothing_is_written_by_looking(hass: HomeAssistant, home: Home) -> None:
    calls: list[ServiceCall] = []

    async def noted(call: ServiceCall) -> None:
        calls.append(call)

    for domain in CONTROLS:
        for action in ACTIONS:
            hass.services.async_register(domain, action, noted)
    await checked(hass, home)
    assert calls == []


@pytest.mark.parametrize(
    ("step", "key"),
    [
        ("battery", const.CONF_DISCHARGE_POWER),
        ("sensors", const.CONF_HOUSE_LOAD),
        ("forecast", const.CONF_FORECAST_TOMORROW),
    ],
)
async def test_each_form_can_be_gone_back_to_with_what_was_chosen(
    hass: HomeAssistant, home: Home, step: str, key: str
) -> None:
    chosen = {"battery": home.battery, "sensors": home.sensors, "forecast": home.forecast}
    chosen["forecast"].pop(const.CONF_FORECAST_REMAINING)
    result = await reply_to(hass, await checked(hass, home), {"verdict": step})
    assert result["step_id"] == step
    answers = shown(result)
    assert answers.items() >= chosen[step].items()
    assert const.CONF_FORECAST_REMAINING not in answers, "what was left empty stays empty"
    if step != "battery":  # which cannot do without
        answers.pop(key)
    steps = list(chosen)
    result = await reply_to(hass, result, answers)
    for _ in steps[steps.index(step) + 1 :]:
        result = await reply_to(hass, result, shown(result))
    assert result["step_id"] == "check"
    for form in ({}, LIMIT_ANSWERS):
        result = await reply_to(hass, result, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert (key in result["data"]) is (step == "battery"), "what was taken back is not kept"


async def test_the_entry_that_is_made_says_what_comes_next(hass: HomeAssistant, home: Home) -> None:
    result = await reply_to(hass, await checked(hass, home), {"verdict": "right"})
    result = await reply_to(hass, result, LIMIT_ANSWERS)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert result["description"] == "careful_start"


async def test_going_back_when_reconfiguring_keeps_what_is_no_wiring(
    hass: HomeAssistant, home: Home
) -> None:
    entry = entry_of(home, options=LIMIT_ANSWERS)
    result = await entry.start_reconfigure_flow(hass)
    for answers in (home.battery, home.sensors, home.forecast):
        result = await reply_to(hass, result, answers)
    result = await reply_to(hass, result, {"verdict": "forecast"})
    result = await reply_to(hass, result, {})
    assert result["errors"] == {const.CONF_FORECAST_TODAY: "forecast_in_use"}


@pytest.mark.parametrize(("language", "word"), [("de", "Ladestand"), ("en", "Battery SOC")])
async def test_the_values_are_told_in_the_language_of_home_assistant(
    hass: HomeAssistant, home: Home, language: str, word: str
) -> None:
    hass.config.language = language
    said = lines(await checked(hass, home))
    assert word in said["sensor.alphaess_soc_battery"]
