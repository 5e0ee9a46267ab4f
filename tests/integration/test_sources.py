"""Entity states in, validated readings out."""

from datetime import UTC, datetime, timedelta
from typing import Any

from homeassistant.helpers import device_registry as dr, entity_registry as er
from homeassistant.helpers.entity import entity_sources
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.export_monitor import const
from custom_components.export_monitor.models import Reading
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, FORECAST, WIRING, House

SOC = WIRING[const.CONF_SOC]
BATTERY = WIRING[const.CONF_BATTERY_POWER]
PV = WIRING[const.CONF_PV_POWER]
TODAY = FORECAST[const.CONF_FORECAST_TODAY]
FETCHED = FORECAST[const.CONF_FORECAST_LAST_FETCH]


def _set(house: House, entity_id: str, value: object, **attributes: object) -> None:
    house.silence(entity_id)
    house.hass.states.async_set(entity_id, str(value), attributes)


def _readings(house: House) -> Any:  # noqa: ANN401
    house.runtime.control.observe()
    return house.runtime.control.readings


@pytest.mark.parametrize(
    ("role", "value", "unit", "read"),
    [
        (const.CONF_BATTERY_POWER, "1.5", "kW", 1500),
        (const.CONF_BATTERY_POWER, "-20", "W", -20),
        (const.CONF_PV_POWER, "-20", "W", 0),
        (const.CONF_EXPORT_ENERGY, "2500", "Wh", 2.5),
        (const.CONF_EXPORT_ENERGY, "0.0025", "MWh", 2.5),
        (const.CONF_SOC, "55.5", "%", 55.5),
    ],
)
async def test_units_are_converted(
    ready: House, role: str, value: str, unit: str, read: float
) -> None:
    _set(ready, WIRING[role], value, unit_of_measurement=unit)
    names = {
        const.CONF_BATTERY_POWER: "battery_power",
        const.CONF_PV_POWER: "pv_power",
        const.CONF_EXPORT_ENERGY: "export_counter",
        const.CONF_SOC: "soc",
    }
    reading: Reading = getattr(_readings(ready), names[role])
    assert reading.usable
    assert reading.value == pytest.approx(read)


@pytest.mark.parametrize(
    ("value", "unit", "problem"),
    [
        ("101", "%", "out_of_range"),
        ("nan", "%", "not_a_number"),
        ("-inf", "%", "not_a_number"),
        ("full", "%", "not_a_number"),
        ("", "%", "not_a_number"),
        ("80", "kWh", "unit"),
        ("unknown", "%", "unavailable"),
        ("unavailable", "%", "unavailable"),
    ],
)
async def test_what_is_no_soc_says_why(ready: House, value: str, unit: str, problem: str) -> None:
    _set(ready, SOC, value, unit_of_measurement=unit)
    reading = _readings(ready).soc
    assert not reading.usable
    assert reading.value is None
    assert reading.problem == problem


async def test_a_missing_entity_is_missing(ready: House) -> None:
    ready.silence(SOC)
    ready.hass.states.async_remove(SOC)
    assert _readings(ready).soc.problem == "missing"


async def test_an_invalid_value_is_logged_once_with_its_range(
    ready: House, caplog: pytest.LogCaptureFixture
) -> None:
    ready.frozen[SOC] = "150"
    await ready.advance(40)
    lines = [r for r in caplog.records if SOC in r.getMessage() and r.levelname == "ERROR"]
    assert len(lines) == 1
    assert "150" in lines[0].getMessage()
    assert "0 to 100 %" in lines[0].getMessage()


async def test_a_battery_power_of_the_other_sign_is_turned(build: Build) -> None:
    house = build(load_w=700)
    await house.set_up(wiring={const.CONF_BATTERY_POWER_SIGN: const.SIGN_CHARGE_POSITIVE})
    _set(house, BATTERY, -700, unit_of_measurement="W")
    assert _readings(house).battery_power.value == 700


async def test_a_resting_soc_is_fresh_while_its_siblings_report(ready: House) -> None:
    ready.silence(SOC)
    await ready.advance(200)
    assert _readings(ready).soc.usable
    ready.silence(*ready.home.states())
    await ready.advance(61)
    assert _readings(ready).soc.problem == "stale"


async def test_another_device_is_no_sibling(build: Build) -> None:
    house = build()
    owner = MockConfigEntry(domain="other")
    owner.add_to_hass(house.hass)
    device = dr.async_get(house.hass).async_get_or_create(
        config_entry_id=owner.entry_id, identifiers={("other", "bms")}
    )
    entry = er.async_get(house.hass).async_get_or_create(
        "sensor", "other", "soc", suggested_object_id="bms_soc", device_id=device.id
    )
    house.hass.states.async_set(entry.entity_id, "70", {"unit_of_measurement": "%"})
    await house.set_up(wiring={const.CONF_SOC: entry.entity_id})
    await house.advance(50)
    assert _readings(house).soc.usable
    await house.advance(20)
    assert _readings(house).soc.problem == "stale"


RESTING, REPORTING = "sensor.resting_soc", "sensor.reporting_grid"


def _entity_without_device(house: House, entity_id: str, platform: str, *, unique: bool) -> None:
    """Let a YAML platform have made an entity; without a unique id no registry knows it."""
    if unique:
        name = entity_id.partition(".")[2]
        er.async_get(house.hass).async_get_or_create(
            "sensor", platform, name, suggested_object_id=name
        )
    else:
        entity_sources(house.hass)[entity_id] = {"domain": platform}


@pytest.mark.parametrize("unique", [True, False])
@pytest.mark.parametrize(
    ("soc_platform", "grid_platform", "problem"),
    [
        ("modbus", "modbus", None),
        ("mqtt", "modbus", "stale"),  # the SOC's broker may be dead
        ("template", "modbus", None),  # made of what the package polls, and silent at rest
        ("utility_meter", "modbus", None),
        ("mqtt", "template", "stale"),  # what is computed shows no broker alive
    ],
)
async def test_without_a_device_the_same_integration_vouches_for_what_rests(
    build: Build, soc_platform: str, grid_platform: str, problem: str | None, *, unique: bool
) -> None:
    house = build()
    _entity_without_device(house, RESTING, soc_platform, unique=unique)
    _entity_without_device(house, REPORTING, grid_platform, unique=unique)
    await house.set_up(wiring={const.CONF_SOC: RESTING, const.CONF_GRID_POWER: REPORTING})
    house.hass.states.async_set(RESTING, "70", {"unit_of_measurement": "%"})
    for n in range(20):
        power = {"unit_of_measurement": "W"}
        house.hass.states.async_set(REPORTING, str(500 + n), power)
        await house.advance(5)
    assert _readings(house).soc.problem == problem


async def test_a_counter_that_reports_an_old_value_long_ago_is_stale(ready: House) -> None:
    ready.silence(*ready.home.states())
    await ready.advance(100)
    assert _readings(ready).export_counter.usable
    await ready.advance(90)
    assert _readings(ready).export_counter.problem == "stale"


async def test_pv_energy_may_rest_at_night(ready: House) -> None:
    ready.silence(*ready.home.states())
    await ready.advance(400)
    assert _readings(ready).pv_counters[0].usable
    _set(ready, PV, 500, unit_of_measurement="W")
    await ready.advance(190)
    assert _readings(ready).pv_counters[0].problem == "stale"
    ready.hass.states.async_set("sun.sun", "below_horizon")
    assert _readings(ready).pv_counters[0].usable
    assert not _readings(ready).sun_up


GARBAGE: list[dict[str, Any]] = [
    {"detailedForecast": "text"},
    {"detailedForecast": [None, 1, "x", {}, {"period_start": None}]},
    {"detailedForecast": [{"period_start": "yesterday", "pv_estimate": 1}]},
    {"detailedForecast": [{"period_start": "2026-06-21T21:00:00", "pv_estimate": 1}]},
    {"detailedForecast": [{"period_start": "0001-01-01T00:00:00+14:00", "pv_estimate": 1}]},
    {"detailedForecast": [{"period_start": "9999-12-31T23:59:00+00:00", "pv_estimate": 1}]},
    {"detailedForecast": [{"period_start": "2026-06-21T21:00:00+00:00", "pv_estimate": 10**400}]},
    {"detailedForecast": [{"period_start": "2026-06-21T21:00:00+00:00", "pv_estimate": -1}]},
    {"detailedForecast": [{"period_start": "2026-06-21T21:00:00+00:00", "pv_estimate": True}]},
    {"detailedHourly": [{"period_start": datetime(2026, 6, 21, tzinfo=UTC), "pv_estimate": []}]},
    {"estimate10": [1], "estimate90": {"a": 1}},
]


@pytest.mark.parametrize("attributes", GARBAGE)
async def test_a_garbage_forecast_does_not_blind_the_guard(
    build: Build, attributes: dict[str, Any]
) -> None:
    house = build()
    _set(house, TODAY, "5", unit_of_measurement="kWh", **attributes)
    await house.set_up(wiring=FORECAST)
    await house.advance(70)
    assert house.entity("system_health") == "Healthy"
    await house.discharge()
    await house.call("stop_discharge")
    assert not house.discharging


async def test_a_forecast_is_used_until_26_hours_after_its_fetch(build: Build) -> None:
    house = build()
    _set(house, TODAY, "5", unit_of_measurement="kWh")
    _set(house, FETCHED, "2026-06-20T19:30:00+00:00")
    await house.set_up(wiring=FORECAST, basis="forecast")
    await house.advance(12)
    assert house.attributes("export_headroom")["basis"] == "forecast"
    _set(house, FETCHED, "2026-06-20T18:30:00+00:00")
    await house.advance(12)
    attributes = house.attributes("export_headroom")
    assert attributes["forecast_cached_since"] is not None
    _set(house, FETCHED, "2026-06-21T20:30:00+00:00")
    await house.advance(12)
    assert house.attributes("export_headroom")["forecast_cached_since"] is None


async def test_a_forecast_without_a_number_is_none(build: Build) -> None:
    house = build()
    _set(house, TODAY, "much", unit_of_measurement="kWh")
    await house.set_up(wiring=FORECAST, basis="forecast")
    await house.advance(12)
    assert house.attributes("export_headroom")["basis"] == "generated"
    assert house.entity("export_headroom") == "0.0"


async def test_the_remaining_forecast_counts_where_there_are_no_slots(build: Build) -> None:
    house = build()
    _set(house, TODAY, "5", unit_of_measurement="kWh")
    _set(
        house,
        FORECAST[const.CONF_FORECAST_REMAINING],
        "1200",
        estimate10=0.8,
        unit_of_measurement="Wh",
    )
    await house.set_up(wiring=FORECAST, basis="forecast")
    await house.advance(12)
    assert house.attributes("export_headroom")["contract"] == pytest.approx(1.2)
    house.options(basis="conservative")
    await house.settle()
    assert house.attributes("export_headroom")["contract"] == pytest.approx(0.8)


async def test_a_single_pv_counter_of_1x_is_a_list_of_one(build: Build) -> None:
    house = build()
    await house.set_up(
        wiring={const.CONF_PV_ENERGY: "sensor.alphaess_today_s_energy_from_pv"}, basis="generated"
    )
    await house.advance(70)
    assert len(_readings(house).pv_counters) == 1
    assert house.entity("system_health") == "Healthy"


async def test_a_switch_that_cannot_be_read_is_missing_data(ready: House) -> None:
    ready.hide(WIRING[const.CONF_DISCHARGE_SWITCH])
    answer = await ready.call("calculate_discharge")
    assert answer["why_not"] == "no_data"
    assert FEED_IN_TODAY in ready.runtime.coordinator.staleness.source_ages


async def test_the_forecast_reaches_as_far_as_the_entities_that_are_named(build: Build) -> None:
    house = build()
    day_3 = "sensor.solcast_pv_forecast_forecast_day_3"
    today = datetime(2026, 6, 21, tzinfo=UTC)
    named = (TODAY, FORECAST[const.CONF_FORECAST_TOMORROW], day_3)
    for n, entity_id in enumerate(named):
        rows = [
            {"period_start": today + timedelta(days=n, minutes=30 * half), "pv_estimate": n + 1.0}
            for half in range(48)
        ]
        _set(house, entity_id, "5", unit_of_measurement="kWh", detailedForecast=rows)
    await house.set_up(wiring={**FORECAST, const.CONF_FORECAST_DAY_3: day_3})
    forecast = _readings(house).forecast
    assert forecast is not None
    assert len(forecast.slots) == 3 * 48
    assert forecast.slots[-1].end == today + timedelta(days=3)
    house.hass.states.async_set(day_3, "unavailable")
    forecast = _readings(house).forecast
    assert forecast is not None
    assert len(forecast.slots) == 2 * 48, "what is known of the next days is no matter of today"
