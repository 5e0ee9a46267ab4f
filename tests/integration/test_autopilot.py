"""The autopilot: what was planned starts by itself, and what became of it is told."""

from datetime import timedelta
import sys
from typing import Any

from homeassistant.core import CoreState, HomeAssistant
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import Blocker, EndReason, Kind, Origin
from custom_components.export_monitor.planning import Planner
from custom_components.export_monitor.planning.fates import Fate
from simulator.alphaess_home import switch
from tests.integration.conftest import Build
from tests.integration.house import EVENING, House
from tests.integration.planned import CARBON, show_carbon
from tests.integration.test_plans import plan_in

AUTO: dict[str, Any] = {const.CONF_AUTO_DISCHARGE: True}


def fates(house: House) -> list[tuple[Fate, str | None]]:
    return [(outcome.fate, outcome.reason) for outcome in house.runtime.autopilot.outcomes]


@pytest.fixture
def house(build: Build) -> House:
    """Return a house four minutes before half past nine, when windows begin here."""
    return build(start=EVENING + timedelta(minutes=26))


async def to_window(house: House, *values: float, **options: object) -> None:
    """Set up with the best half hour at 21:30, and go there."""
    await plan_in(house, *(values or (320,)), **{**AUTO, **options})
    await house.advance(240 - 130 + 20)


@pytest.fixture
async def at_window(house: House) -> House:
    """Return a house twenty seconds into a planned window, with 1 kWh to export."""
    await to_window(house)
    return house


async def test_a_window_starts_by_itself_and_is_stopped_by_the_machine(at_window: House) -> None:
    session = at_window.state.session
    assert session is not None
    assert (session.origin, session.kind) == (Origin.AUTOMATIC, Kind.DISCHARGE)
    assert session.energy_limit_kwh == pytest.approx(1.0, abs=0.06)
    assert session.window_end is not None
    assert at_window.discharging
    before = at_window.plant.truth().exported_kwh
    await at_window.advance(1800, until=lambda: at_window.state.phase is Phase.IDLE)
    assert not at_window.discharging
    assert at_window.plant.truth().exported_kwh - before == pytest.approx(1.0, abs=0.1)
    assert [fate for fate, _ in fates(at_window)][:2] == [Fate.STARTED, Fate.ENDED]


async def test_nothing_starts_where_only_plans_are_wanted(house: House) -> None:
    await to_window(house, **{const.CONF_AUTO_DISCHARGE: False, const.CONF_PLAN_DISCHARGE: True})
    assert house.state.phase is Phase.IDLE
    assert fates(house) == [(Fate.SKIPPED, "switched_off")]
    house.options(**AUTO)
    await house.advance(75)
    assert house.state.phase is Phase.ACTIVE


async def test_dry_run_decides_and_records_and_starts_nothing(house: House) -> None:
    await to_window(house, **{const.CONF_DRY_RUN: True})
    await house.advance(120)
    assert house.asked("turn_on") == []
    assert fates(house) == [(Fate.WOULD_HAVE_STARTED, "dry_run")]


async def test_turning_the_switch_off_stops_the_session(at_window: House) -> None:
    at_window.options(**{const.CONF_AUTO_DISCHARGE: False, const.CONF_PLAN_DISCHARGE: True})
    await at_window.advance(15)
    assert at_window.state.phase is Phase.IDLE
    assert not at_window.discharging
    last = at_window.state.last
    assert last is not None
    assert (last.reason, last.note) == (EndReason.USER, "switched_off")


async def test_what_a_person_stops_stays_stopped_for_that_window(at_window: House) -> None:
    await at_window.call("stop_discharge")
    await at_window.advance(400)
    assert at_window.state.phase is Phase.IDLE
    assert fates(at_window)[-1] == (Fate.ENDED, EndReason.USER)


async def test_a_manual_session_takes_the_windows_place(house: House) -> None:
    await plan_in(house, 320, 310, **AUTO, fixed_limit=2.0)
    await house.discharge(100, energy_kwh=0.3)
    await house.advance(120)
    assert (Fate.SKIPPED, "manual_session") in fates(house)
    session = house.state.session
    assert session is None or session.origin is Origin.MANUAL


async def test_a_refusal_is_told_once_and_tried_again_until_it_passes(house: House) -> None:
    await plan_in(house, 320, **AUTO)
    await house.advance(90)
    house.charge()
    await house.advance(200)
    assert house.state.phase is Phase.IDLE
    assert fates(house) == [(Fate.REFUSED, Blocker.MODE_CONFLICT)]
    house.home.call("input_boolean", "turn_off", {"entity_id": switch("charging")})
    await house.advance(90)
    assert house.state.phase is Phase.ACTIVE
    assert fates(house)[-1] == (Fate.STARTED, None)


async def test_a_window_that_passed_while_home_assistant_was_down_is_missed(build: Build) -> None:
    house = build()
    await plan_in(house, 320, 100, **AUTO)
    assert house.entity("plan_windows_today") == "1"
    house.freezer.tick(timedelta(hours=2))
    async with house.restarted():
        show_carbon(house.hass, EVENING + timedelta(hours=3), 300)
        await house.advance(130)
        assert (Fate.MISSED, "not_running") in fates(house)
        assert await house.hass.config_entries.async_unload(house.entry.entry_id)


async def test_a_new_plan_revises_what_runs(at_window: House) -> None:
    at_window.options(fixed_limit=2.0)
    await at_window.advance(75)
    session = at_window.state.session
    assert session is not None
    assert session.energy_limit_kwh == pytest.approx(1.5, abs=0.1)
    assert [fate for fate, _ in fates(at_window)] == [Fate.STARTED]


async def test_a_window_that_the_new_plan_drops_is_stopped(at_window: House) -> None:
    show_carbon(at_window.hass, EVENING + timedelta(minutes=30), 100, 400, rest=100)
    await at_window.advance(90)
    assert at_window.state.phase is Phase.IDLE
    assert fates(at_window)[-1] == (Fate.ENDED, EndReason.WINDOW_END)


async def test_a_reload_goes_on_with_the_session_and_its_window(at_window: House) -> None:
    hass: HomeAssistant = at_window.hass
    assert await hass.config_entries.async_reload(at_window.entry.entry_id)
    await at_window.advance(60)
    assert at_window.state.phase is Phase.ACTIVE
    await at_window.advance(1800, until=lambda: at_window.state.phase is Phase.IDLE)
    await at_window.advance(5)
    assert [fate for fate, _ in fates(at_window)][:2] == [Fate.STARTED, Fate.ENDED]


async def test_a_planned_charge_starts_by_itself_and_what_it_bought_is_known(build: Build) -> None:
    house = build(start=EVENING + timedelta(minutes=26), soc=40)
    options: dict[str, Any] = {
        const.CONF_PLAN_DISCHARGE: False,
        const.CONF_AUTO_CHARGE: True,
        const.CONF_CHARGE_WINDOW_START: "21:30",
        const.CONF_CHARGE_WINDOW_END: "22:00",
    }
    await plan_in(house, 20, *[400] * 12, **options)
    await house.advance(240 - 130 + 60)
    session = house.state.session
    assert session is not None
    assert (session.kind, session.origin) == (Kind.CHARGE, Origin.AUTOMATIC)
    assert house.plant.truth().battery_w < -1000
    house.options(**{const.CONF_AUTO_CHARGE: False, const.CONF_PLAN_CHARGE: True})
    await house.advance(30)
    assert house.state.phase is Phase.IDLE
    assert house.runtime.plans.bought_kwh == pytest.approx(session.charged_kwh, abs=0.05)
    assert house.runtime.plans.bought_kwh > 0.01


async def test_a_start_that_raises_is_told_as_failed_and_tried_again(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await plan_in(house, 320, **AUTO)

    async def raising(**_: object) -> None:
        raise ZeroDivisionError("meant to fail")

    with monkeypatch.context() as patch:
        patch.setattr(house.runtime.control, "start", raising)
        await house.advance(130)
        assert fates(house) == [(Fate.FAILED, "discharge_start_failed")]
    await house.advance(300)
    assert fates(house)[1:] == [(Fate.STARTED, None)]


async def test_a_start_that_the_battery_does_not_obey_is_told_as_failed(house: House) -> None:
    house.lie("input_boolean", "turn_on")
    await plan_in(house, 320, **AUTO)
    await house.advance(200)
    assert fates(house)[0] == (Fate.FAILED, "discharge_start_failed")


async def test_removing_the_entry_removes_what_was_remembered(
    at_window: House, hass_storage: dict[str, Any]
) -> None:
    await at_window.call("stop_discharge")
    await at_window.advance(10)
    key = f"{const.DOMAIN}.{at_window.entry.entry_id}.plan"
    assert key in hass_storage
    await at_window.hass.config_entries.async_remove(at_window.entry.entry_id)
    await at_window.settle()
    assert key not in hass_storage


async def test_a_record_that_cannot_be_understood_is_started_anew(
    house: House, hass_storage: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    key = f"{const.DOMAIN}.{house.entry.entry_id}.plan"
    hass_storage[key] = {"version": 1, "minor_version": 1, "key": key, "data": {"execution": 3}}
    await to_window(house)
    assert "cannot be understood" in caplog.text
    assert house.state.phase is Phase.ACTIVE


async def test_what_a_person_stops_stays_stopped_although_plans_move_the_window(
    house: House,
) -> None:
    await to_window(house, 320, 310)
    await house.call("stop_discharge")
    await house.advance(30)
    show_carbon(house.hass, EVENING + timedelta(minutes=30), 320, 320)
    await house.advance(400)
    assert house.state.phase is Phase.IDLE
    assert [fate for fate, _ in fates(house)] == [Fate.STARTED, Fate.ENDED]


async def test_a_window_under_a_sun_that_gives_the_target_waits_for_less_sun(build: Build) -> None:
    house = build(start=EVENING + timedelta(minutes=26), pv_w=3600.0)
    await to_window(house, 320, 310, fixed_limit=8.0)
    assert house.state.phase is Phase.IDLE
    assert fates(house) == [(Fate.SKIPPED, "sun_enough")]
    assert house.asked("turn_on") == []
    house.plant.pv_w = 500.0
    await house.advance(60)
    assert house.state.phase is Phase.ACTIVE
    assert fates(house)[1:] == [(Fate.STARTED, None)]


async def test_a_sun_that_comes_back_is_not_answered_by_switching_on_and_off(
    at_window: House,
) -> None:
    at_window.options(fixed_limit=12.0)
    at_window.plant.pv_w = 4000.0
    await at_window.advance(420, until=lambda: at_window.state.phase is Phase.IDLE)
    assert at_window.state.last is not None
    assert at_window.state.last.reason is EndReason.PV_COVERS_TARGET
    at_window.calls.clear()
    await at_window.advance(700)
    assert at_window.asked("turn_on") == [], "after its pause it would have been tried twice"
    assert [fate for fate, _ in fates(at_window)] == [Fate.STARTED, Fate.ENDED]


async def test_dry_run_turned_on_ends_nothing_and_turned_off_starts_the_window(
    at_window: House,
) -> None:
    at_window.options(**{const.CONF_DRY_RUN: True})
    await at_window.advance(60)
    assert at_window.state.phase is Phase.ACTIVE, "stops are for those who ask for them"
    await at_window.call("stop_discharge")
    assert fates(at_window)[-1] == (Fate.ENDED, EndReason.USER)


async def test_dry_run_turned_off_inside_a_window_starts_it(house: House) -> None:
    await to_window(house, **{const.CONF_DRY_RUN: True})
    house.options(**{const.CONF_DRY_RUN: False})
    await house.advance(30)
    assert house.state.phase is Phase.ACTIVE
    assert fates(house) == [(Fate.WOULD_HAVE_STARTED, "dry_run"), (Fate.STARTED, None)]


async def test_after_a_crash_inside_a_window_it_goes_on(
    at_window: House, hass_storage: dict[str, Any]
) -> None:
    """The package resets its dispatch when Home Assistant starts: that is nobody's wish."""
    house = at_window
    await house.advance(60)
    house.home.kill()
    house.let_go()
    house.freezer.tick(timedelta(seconds=30))
    house.home.advance(30)
    house.home.start()
    async with house.restarted(CoreState.starting):
        show_carbon(house.hass, EVENING + timedelta(minutes=30), 320)
        await house.advance(60)
        house.hass.set_state(CoreState.running)
        assert fates(house)[-1] == (Fate.ENDED, EndReason.EXTERNAL)
        await house.advance(480, until=lambda: house.state.phase is Phase.ACTIVE)
        assert house.state.phase is Phase.ACTIVE
        assert fates(house)[-1] == (Fate.STARTED, None)
        await house.call("stop_discharge")
        assert await house.hass.config_entries.async_unload(house.entry.entry_id)


async def test_a_forecast_of_intensities_that_vanishes_in_a_window_ends_nothing(
    at_window: House,
) -> None:
    at_window.hass.states.async_set(CARBON, "unavailable")
    await at_window.advance(200)
    assert at_window.state.phase is Phase.ACTIVE
    await at_window.advance(1700, until=lambda: at_window.state.phase is Phase.IDLE)
    assert at_window.state.last is not None
    assert at_window.state.last.reason is EndReason.HEADROOM_USED_UP


async def test_an_export_window_that_is_closed_in_mid_session_stops_it(at_window: House) -> None:
    at_window.options(
        **{const.CONF_EXPORT_WINDOW_START: "23:00", const.CONF_EXPORT_WINDOW_END: "23:59"}
    )
    await at_window.advance(75)
    assert at_window.state.phase is Phase.IDLE
    assert not at_window.discharging


async def test_without_the_solver_windows_run_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It can be neither imported nor installed: all but optimality works."""
    monkeypatch.setitem(sys.modules, "highspy", None)
    monkeypatch.setattr(house.hass.config, "skip_pip", True)
    with pytest.raises(ImportError):
        __import__("highspy")
    await to_window(house)
    plan = house.runtime.plans.plan
    assert plan is not None
    assert plan.planner is Planner.GREEDY
    assert house.issue("solver_missing") is not None
    before = house.plant.truth().exported_kwh
    assert house.state.phase is Phase.ACTIVE
    calendar = house.hass.states.get("calendar.export_monitor_plan")
    assert calendar is not None
    assert calendar.state == "on"
    await house.advance(1800, until=lambda: house.state.phase is Phase.IDLE)
    assert house.plant.truth().exported_kwh - before == pytest.approx(1.0, abs=0.1)
    assert [fate for fate, _ in fates(house)][:2] == [Fate.STARTED, Fate.ENDED]
    assert house.entity("system_health") == "Healthy"


async def test_a_window_across_midnight_is_one_window_and_runs_on(build: Build) -> None:
    house = build(start=EVENING + timedelta(hours=2, minutes=26), soc=90)
    values = [100.0] * 4 + [400.0, 400.0]  # from 23:30 to half past midnight
    await plan_in(house, *values, **AUTO, fixed_limit=2.2)
    assert house.entity("discharge_plan_today").startswith("23:30-00:")
    await house.advance(240 - 130 + 20)
    session = house.state.session
    assert session is not None
    assert session.window_end is not None
    await house.advance(1900)
    assert house.plant.truth().exported_kwh > 0.5
    told = [fate for fate, _ in fates(house)]
    assert Fate.FAILED not in told
    assert Fate.MISSED not in told
