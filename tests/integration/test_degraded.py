"""What works worse than it could is said, with its reason and what is done instead."""

from datetime import timedelta
import sys
from typing import Any

import pytest

from custom_components.export_monitor import const, plans
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.planning import Plan
from tests.integration.house import EVENING, FEED_IN_TODAY, FORECAST, WIRING, House
from tests.integration.planned import WITH_CARBON, show_carbon

PROBLEM = "binary_sensor.export_monitor_data_problem"
CARBON = "sensor.carbon_intensity_uk"


def _degraded(house: House) -> dict[str, dict[str, Any]]:
    state = house.hass.states.get(PROBLEM)
    assert state is not None
    return {each["what"]: each for each in state.attributes["degraded"]}


def _show_forecast(house: House, kwh: float) -> None:
    for entity_id in FORECAST.values():
        house.hass.states.async_set(entity_id, str(kwh), {"unit_of_measurement": "kWh"})
    house.hass.states.async_set(
        FORECAST[const.CONF_FORECAST_LAST_FETCH], house.plant.now.isoformat()
    )


async def test_a_house_in_order_has_nothing_degraded(house: House) -> None:
    await house.set_up()
    await house.advance(30)
    assert _degraded(house) == {}


@pytest.mark.parametrize(
    ("role", "instead"),
    [
        (const.CONF_GRID_POWER, "worst_case_between_ticks"),
        (const.CONF_BATTERY_POWER, "commanded_power"),
        (const.CONF_PV_POWER, "pv_peak"),
        (const.CONF_HOUSE_LOAD, "grid_power"),
        (const.CONF_DISPATCH_START, "battery_power"),
    ],
)
async def test_an_optional_sensor_that_is_gone_is_named_until_it_is_back(
    house: House, role: str, instead: str
) -> None:
    await house.set_up()
    house.hide(WIRING[role])
    await house.advance(15)
    found = _degraded(house)[role]
    assert found["why"] == "unavailable"
    assert found["instead"] == instead
    assert house.hass.states.get(PROBLEM).state == "off"  # nothing required is missing
    house.show()
    await house.advance(75)
    assert _degraded(house) == {}


async def test_a_lost_forecast_is_cached_and_then_the_basis_falls_back(house: House) -> None:
    await house.set_up(wiring=FORECAST, basis="forecast")
    _show_forecast(house, 8.0)
    await house.advance(15)
    assert _degraded(house) == {}
    for entity_id in FORECAST.values():
        house.hass.states.async_set(entity_id, "unavailable")
    await house.advance(15)
    cached = _degraded(house)[const.CONF_FORECAST_TODAY]
    assert (cached["why"], cached["instead"]) == ("lost", "cached")
    assert cached["since"] is not None
    assert "basis" not in _degraded(house)
    headroom = house.attributes("export_headroom")
    assert headroom["basis"] == "forecast"
    assert headroom["forecast_cached_since"] == cached["since"]


async def test_without_any_forecast_the_basis_is_what_was_generated(house: House) -> None:
    await house.set_up(wiring=FORECAST, basis="forecast")
    await house.advance(15)
    basis = _degraded(house)["basis"]
    assert (basis["why"], basis["instead"]) == ("no_forecast", "generated")
    assert house.attributes("export_headroom")["basis"] == "generated"


async def test_lost_carbon_data_does_not_stop_anything(house: House) -> None:
    await house.set_up(wiring={const.CONF_CARBON: CARBON})
    await house.advance(15)
    assert _degraded(house)[const.CONF_CARBON]["instead"] == "nothing"
    assert house.entity("system_health") == "Healthy"
    await house.discharge()


async def test_a_blind_guard_says_so_and_goes_on(house: House) -> None:
    await house.set_up()
    await house.discharge()
    house.hide(FEED_IN_TODAY)
    await house.advance(12)
    assert house.state.phase is Phase.ACTIVE
    guard = _degraded(house)["guard"]
    assert (guard["why"], guard["instead"]) == ("export_counter", "dead_reckoned")
    problem = house.hass.states.get(PROBLEM)
    assert problem.state == "on"
    assert problem.attributes["entity_id"] == FEED_IN_TODAY
    assert problem.attributes["problem"] == "unavailable"


# What keeps a plan from being made

PRICES = {
    const.CONF_EXPORT_PRICES: ["event.octopus_export_current_day_rates"],
    const.CONF_IMPORT_PRICES: ["event.octopus_import_current_day_rates"],
}


def _why_no_plan(house: House) -> set[str]:
    state = house.hass.states.get(PROBLEM)
    assert state is not None
    told = state.attributes["degraded"]
    reasons = {each["why"] for each in told if each["what"] == "plan"}
    return reasons - {"no_pv_forecast"}  # this house has none


def _show_prices(house: House, role: str, length: timedelta = timedelta(minutes=30)) -> None:
    now = house.plant.now
    rows = [{"start": now, "end": now + length, "value_inc_vat": 0.15}]
    house.hass.states.async_set(PRICES[role][0], now.isoformat(), {"rates": rows})


async def test_planning_by_price_says_which_price_is_not_known(house: House) -> None:
    await house.set_up(wiring=PRICES, enable_ci_planning=True, planning_objective="price")
    await house.advance(12)
    assert _why_no_plan(house) == {"no_export_price", "no_import_price"}
    _show_prices(house, const.CONF_EXPORT_PRICES)
    await house.advance(12)
    assert _why_no_plan(house) == {"no_import_price"}
    house.options(import_price=0.28)
    await house.settle()
    await house.advance(12)
    assert _why_no_plan(house) == set(), "a fixed price will do"
    await house.discharge()
    await house.call("stop_discharge")
    assert not house.discharging


async def test_a_fixed_price_is_known_without_any_entity(house: House) -> None:
    await house.set_up(enable_ci_planning=True, planning_objective="price", export_price=0.15)
    await house.advance(12)
    assert _why_no_plan(house) == {"no_import_price"}
    state = house.hass.states.get(PROBLEM)
    assert state is not None
    (told,) = [e for e in state.attributes["degraded"] if e["why"] == "no_import_price"]
    assert told["instead"] == "best_export_price"


async def test_a_lost_price_is_cached_while_its_slots_last(house: House) -> None:
    await house.set_up(
        wiring=PRICES, enable_ci_planning=True, planning_objective="price", import_price=0.28
    )
    _show_prices(house, const.CONF_EXPORT_PRICES, timedelta(minutes=1))
    await house.advance(20)
    assert const.CONF_EXPORT_PRICES not in _degraded(house)
    house.hass.states.async_set(PRICES[const.CONF_EXPORT_PRICES][0], "unavailable")
    await house.advance(20)
    assert _degraded(house)[const.CONF_EXPORT_PRICES]["instead"] == "cached"
    assert _why_no_plan(house) == set()
    await house.advance(30)
    assert _degraded(house)[const.CONF_EXPORT_PRICES]["instead"] == "nothing"
    assert _why_no_plan(house) == {"no_export_price"}
    assert house.entity("system_health") == "Healthy", "manual control stays"


async def test_of_two_price_entities_the_lost_one_is_named_and_its_hours_stay(
    house: House,
) -> None:
    both = ["event.octopus_export_current_day_rates", "event.octopus_export_next_day_rates"]
    await house.set_up(
        wiring={const.CONF_EXPORT_PRICES: both},
        enable_ci_planning=True,
        planning_objective="price",
        import_price=0.28,
    )
    start, half = house.plant.now, timedelta(minutes=30)
    for n, entity_id in enumerate(both):
        row = {"start": start + n * half, "end": start + (n + 1) * half, "value_inc_vat": 0.15}
        house.hass.states.async_set(entity_id, start.isoformat(), {"rates": [row]})
    await house.advance(20)
    assert const.CONF_EXPORT_PRICES not in _degraded(house)
    house.hass.states.async_set(both[0], "unavailable")
    await house.advance(20)
    told = _degraded(house)[const.CONF_EXPORT_PRICES]
    assert (told["why"], told["instead"]) == ("lost", "cached")
    assert told["since"] is not None
    readings = house.runtime.control.readings
    assert readings is not None
    assert readings.export_price is not None
    assert readings.export_price.slots[0].start == start


async def test_planning_by_carbon_needs_more_than_the_present_level(house: House) -> None:
    await house.set_up(wiring={const.CONF_CARBON: [CARBON]}, enable_auto_discharge=True)
    house.hass.states.async_set(CARBON, "moderate")
    await house.advance(12)
    assert _why_no_plan(house) == {"no_carbon_intensity"}
    house.options(enable_auto_discharge=False)
    await house.advance(12)
    assert _why_no_plan(house) == set(), "nobody asked for a plan"


# What keeps a plan from being as good as it could be


def _of_planning(house: House) -> set[tuple[str, str, str]]:
    state = house.hass.states.get(PROBLEM)
    assert state is not None
    told = [(e["what"], e["why"], e["instead"]) for e in state.attributes["degraded"]]
    return {each for each in told if each[0] in ("plan", "planner")}


def _show_slots(house: House) -> None:
    start = house.plant.now.replace(minute=0)
    rows = [
        {"period_start": start + n * timedelta(minutes=30), "pv_estimate": 1.0} for n in range(48)
    ]
    unit = {"unit_of_measurement": "kWh"}
    for role in (const.CONF_FORECAST_TODAY, const.CONF_FORECAST_TOMORROW):
        house.hass.states.async_set(FORECAST[role], "8.0", {**unit, "detailedForecast": rows})
    house.hass.states.async_set(
        FORECAST[const.CONF_FORECAST_LAST_FETCH], house.plant.now.isoformat()
    )


async def test_a_plan_without_a_pv_forecast_is_one_without_sun(house: House) -> None:
    show_carbon(house.hass, EVENING, 300, 200)
    await house.set_up(wiring={**WITH_CARBON, **FORECAST}, enable_ci_planning=True)
    await house.advance(130)
    assert house.entity("discharge_plan_today") not in ("No plan", "Off")
    assert _of_planning(house) == {("plan", "no_pv_forecast", "no_sun")}
    _show_slots(house)
    await house.advance(75)
    assert _of_planning(house) == set()


async def test_where_nothing_is_planned_a_missing_forecast_is_no_matter(house: House) -> None:
    await house.set_up(wiring=WITH_CARBON)
    await house.advance(70)
    assert _of_planning(house) == set()


async def test_a_plan_that_cannot_be_made_says_why(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: object) -> Plan:
        raise ZeroDivisionError("planned to fail")

    _show_slots(house)
    show_carbon(house.hass, EVENING, 300, 200)
    with monkeypatch.context() as patch:
        patch.setattr(plans, "plan", failing)
        await house.set_up(wiring={**WITH_CARBON, **FORECAST}, enable_ci_planning=True)
        await house.advance(75)
        assert _of_planning(house) == {("plan", "failed", "nothing")}
    house.options(**{const.CONF_BATTERY_CAPACITY: 0})
    await house.advance(70)
    assert _of_planning(house) == {("plan", "no_battery", "nothing")}
    house.options(**{const.CONF_BATTERY_CAPACITY: 10})
    await house.advance(70)
    assert _of_planning(house) == set()


async def test_a_planner_that_stands_in_for_the_solver_is_named(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    monkeypatch.setattr(house.hass.config, "skip_pip", True)
    _show_slots(house)
    show_carbon(house.hass, EVENING, 300, 200)
    await house.set_up(wiring={**WITH_CARBON, **FORECAST}, enable_ci_planning=True)
    await house.advance(130)
    assert _of_planning(house) == {("planner", "solver_missing", "greedy")}
    assert house.entity("system_health") == "Healthy"
