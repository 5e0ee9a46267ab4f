"""Plans: made, shown, made anew, and done without."""

from datetime import timedelta
import sys
from typing import Any

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.export_monitor import const, plans, solver
from custom_components.export_monitor.planning import Kind, Plan, Planner
from tests.integration.conftest import Build
from tests.integration.house import CHARGE, EVENING, House
from tests.integration.planned import CARBON, WITH_CARBON, show_carbon

TODAY = "discharge_plan_today"
TOMORROW = "discharge_plan_tomorrow"


async def plan_in(house: House, *values: float, seconds: int = 130, **options: object) -> None:
    """Set up with the intensities from 21:30 on, and let it plan."""
    show_carbon(house.hass, EVENING + timedelta(minutes=30), *values)
    wiring = {**WITH_CARBON, **CHARGE}
    await house.set_up(wiring=wiring, **{const.CONF_PLAN_DISCHARGE: True, **options})
    await house.advance(seconds)


def plan_of(house: House) -> Plan:
    found = house.runtime.plans.plan
    assert found is not None
    return found


async def test_nothing_is_planned_until_planning_is_enabled(house: House) -> None:
    show_carbon(house.hass, EVENING, 300, 300)
    await house.set_up(wiring=WITH_CARBON)
    await house.advance(70)
    assert house.entity(TODAY) == "Off"
    assert house.entity("plan_energy_today") == "unavailable"
    house.options(**{const.CONF_PLAN_DISCHARGE: True})
    await house.advance(70)
    assert house.entity(TODAY).endswith("kWh")


async def test_the_plan_takes_the_dirtiest_half_hour_and_says_why(house: House) -> None:
    await plan_in(house, 200, 320, 200)
    assert house.entity(TODAY).startswith("22:00-22:")
    assert float(house.entity("plan_energy_today")) == pytest.approx(1.0, abs=0.05)
    assert house.entity("plan_windows_today") == "1"
    facts = house.attributes(TODAY)
    assert (facts["objective"], facts["planner"], facts["limited_by"], facts["status"]) == (
        "carbon",
        "linear",
        "allowance",
        "optimal",
    )
    (window,) = facts["windows"]
    assert window["start"] == "2026-06-21T22:00:00+00:00"
    assert window["why"].startswith("The grid is at its dirtiest then: 320 g CO2/kWh")


async def test_tomorrow_has_a_plan_of_its_own(house: House) -> None:
    await plan_in(house, *[100] * 40, 300, **{const.CONF_HOUSE_LOAD_DAY: 1})
    assert house.entity(TOMORROW).startswith("17:30-")
    assert house.attributes(TOMORROW)["limited_by"] == "allowance"


async def test_a_german_reads_a_german_reason(house: House) -> None:
    house.hass.config.language = "de"
    await plan_in(house, 200, 320, 200)
    (window,) = house.attributes(TODAY)["windows"]
    assert window["why"].startswith("Dann ist der Netzstrom am schmutzigsten: 320 g CO2/kWh")
    assert house.entity(TODAY).startswith("22:00-22:")


async def test_prices_are_planned_in_the_currency(house: House) -> None:
    house.hass.config.currency = "GBP"
    await plan_in(
        house,
        **{
            const.CONF_OBJECTIVE: "price",
            const.CONF_EXPORT_PRICE: 0.15,
            const.CONF_IMPORT_PRICE: 0.10,
        },
    )
    windows = house.attributes(TODAY)["windows"]
    assert windows
    assert windows[0]["why"].startswith("Worth the same at any hour")


async def test_a_charge_is_planned_for_the_cleanest_hours_of_its_window(house: House) -> None:
    # From 02:00 on the grid is clean, from 06:00 on dirty.
    values = [200] * 9 + [20] * 4 + [200] * 4 + [400] * 12
    await plan_in(
        house,
        *values,
        **{const.CONF_PLAN_DISCHARGE: False, const.CONF_PLAN_CHARGE: True, const.CONF_MIN_SOC: 60},
    )
    state = house.entity("next_charge_session")
    assert state.startswith("2026-06-22 02:00-")
    assert house.entity(TODAY) == "Nothing planned"
    assert all(window.kind is Kind.CHARGE for window in plan_of(house).windows)


async def test_without_carbon_there_is_no_plan_and_it_says_why(house: House) -> None:
    await house.set_up(wiring=WITH_CARBON, **{const.CONF_PLAN_DISCHARGE: True})
    await house.advance(70)
    assert house.entity(TODAY) == "No plan"
    assert house.attributes(TODAY)["status"] == "no_carbon"


async def test_a_lost_source_is_planned_with_while_its_slots_last(build: Build) -> None:
    house = build()
    show_carbon(house.hass, EVENING + timedelta(minutes=30), 200, 320, hours=22)
    await house.set_up(wiring=WITH_CARBON, **{const.CONF_PLAN_DISCHARGE: True})
    await house.advance(130)
    house.hass.states.async_set(CARBON, "unavailable")
    await house.advance(130)
    assert house.entity(TODAY).startswith("No plan") is False
    house.freezer.tick(3600)  # 22:02: the last slot is over
    await house.advance(130)
    assert house.entity(TODAY) == "No plan"


async def test_a_plan_is_made_at_most_once_a_minute_and_each_half_hour(house: House) -> None:
    await plan_in(house, 200, 320)
    first = house.runtime.plans.made_at
    house.options(**{const.CONF_MIN_SOC: 30})
    await house.advance(10)
    second = house.runtime.plans.made_at
    assert second != first
    await house.advance(300)
    assert house.runtime.plans.made_at == second
    await house.advance(1400)  # past 21:30
    third = house.runtime.plans.made_at
    assert third is not None
    assert third.replace(second=0) == EVENING + timedelta(minutes=30)


async def test_new_intensities_make_a_new_plan_within_a_minute(house: House) -> None:
    await plan_in(house, 200, 320, 200)
    show_carbon(house.hass, EVENING + timedelta(minutes=30), 200, 200, 320)
    await house.advance(75)
    assert house.entity(TODAY).startswith("22:30-")


async def test_a_forecast_that_grants_less_makes_a_new_plan(house: House) -> None:
    await plan_in(house, 200, 320, 200)
    house.options(fixed_limit=1.0)
    await house.advance(70)
    assert float(house.entity("plan_energy_today")) == pytest.approx(0.5, abs=0.05)


@pytest.fixture
def _no_solver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let HiGHS be neither installed nor installable."""
    monkeypatch.setitem(sys.modules, "highspy", None)

    async def refused(*_: object) -> None:
        raise HomeAssistantError("no network")

    monkeypatch.setattr(solver, "async_process_requirements", refused)


@pytest.mark.usefixtures("_no_solver")
async def test_without_the_solver_the_greedy_planner_plans_and_an_issue_says_so(
    house: House,
) -> None:
    await plan_in(house, 200, 320, 200)
    assert house.issue("solver_missing") is not None
    facts = house.attributes(TODAY)
    assert (facts["planner"], facts["fallback"]) == ("greedy", "solver_missing")
    assert house.entity(TODAY).startswith("22:00-")
    assert float(house.entity("plan_energy_today")) == pytest.approx(1.0, abs=0.05)
    house.options(**{const.CONF_PLAN_DISCHARGE: False})
    await house.advance(70)
    assert house.issue("solver_missing") is None


@pytest.mark.usefixtures("_no_solver")
async def test_the_solver_is_asked_for_again_after_a_day(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plan_in(house, 200, 320)
    asked: list[Any] = []

    async def installed(_: HomeAssistant, domain: str, requirements: list[str]) -> None:
        asked.append((domain, requirements))
        monkeypatch.delitem(sys.modules, "highspy")

    monkeypatch.setattr(solver, "async_process_requirements", installed)
    monkeypatch.setattr(house.hass.config, "skip_pip", False)
    house.freezer.tick(24 * 3600)
    await house.advance(5)
    await house.hass.async_block_till_done(wait_background_tasks=True)
    assert asked == [(const.DOMAIN, [solver.REQUIREMENT])]
    assert house.issue("solver_missing") is None
    assert house.runtime.plans.solver.available


async def test_where_nothing_may_be_installed_nothing_is(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    asked: list[Any] = []

    async def install(*request: object) -> None:
        asked.append(request)

    monkeypatch.setattr(solver, "async_process_requirements", install)
    monkeypatch.setattr(house.hass.config, "skip_pip", True)
    await plan_in(house, 200, 320)
    assert asked == []
    assert house.issue("solver_missing") is not None


async def test_a_planner_that_fails_is_said_once_and_forgiven(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def failing(*_: object) -> Plan:
        raise ZeroDivisionError("planned to fail")

    with monkeypatch.context() as patch:
        patch.setattr(plans, "plan", failing)
        await plan_in(house, 200, 320, seconds=200)
        assert house.entity(TODAY) == "No plan"
        assert house.attributes(TODAY)["status"] == "failed"
        assert house.issue("planner_failed") is not None
        assert caplog.text.count("The planner failed") == 1
        assert house.entity("system_health") == "Healthy"
    caplog.clear()
    await house.advance(70)
    assert house.issue("planner_failed") is None
    assert plan_of(house).planner is Planner.LINEAR


async def test_a_plan_outlives_readings_that_are_gone_for_a_while(house: House) -> None:
    await plan_in(house, 200, 320)
    house.hide("sensor.alphaess_soc_battery")
    house.options(**{const.CONF_WEAR_COST: 0.01})
    await house.advance(130)
    assert house.runtime.plans.plan is not None


async def test_a_state_ends_with_a_whole_window_however_many_there_are(house: House) -> None:
    values = [v for n in range(24) for v in (400 - n, 100)]
    await plan_in(house, *values, fixed_limit=40, **{const.CONF_HOUSE_LOAD_DAY: 1})
    for ahead in (TODAY, TOMORROW):
        state = house.entity(ahead)
        assert len(state) <= 255
        assert state.endswith((" kWh", ", ..."))
