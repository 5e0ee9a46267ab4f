"""A discharge survives reloads and restarts, and nothing else: resumed, or stopped and proven."""

from datetime import datetime, timedelta
from typing import Any

from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.core import CoreState
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
import pytest

from custom_components.export_monitor import ORPHANS, const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import EndReason
from simulator.faults import Fault
from tests.integration.house import DISCHARGING, WIRING, House

DURATION = WIRING[const.CONF_DISCHARGE_DURATION]


def _key(house: House) -> str:
    return f"{const.DOMAIN}.{house.entry.entry_id}"


def _pass(house: House, seconds: float) -> None:
    """Let time pass for the plant while no Home Assistant is there."""
    house.freezer.tick(timedelta(seconds=seconds))
    house.home.advance(seconds)
    house.home.drain_reports()


async def test_a_reload_resumes_the_session(running: House) -> None:
    house = running
    await house.advance(100)
    before = house.state.session
    assert before is not None
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.advance(20)
    session = house.state.session
    assert session is not None
    assert session.id == before.id
    assert session.exported_kwh >= before.exported_kwh
    assert house.entity("discharge_status") == "Active"
    assert house.discharging
    assert not house.asked("turn_off", "press")
    house.options(fixed_limit=0.8)
    await house.advance(900, until=lambda: house.state.phase is Phase.IDLE)
    assert house.plant.truth().exported_kwh <= 0.31
    assert not house.discharging


async def test_many_reloads_count_nothing_twice(ready: House) -> None:
    house = ready
    await house.discharge(30)
    for _ in range(8):
        assert await house.hass.config_entries.async_reload(house.entry.entry_id)
        await house.advance(37)
    house.options(fixed_limit=0.8)
    await house.advance(300, until=lambda: house.state.phase is Phase.IDLE)
    assert 0.28 <= house.plant.truth().exported_kwh <= 0.31
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.HEADROOM_USED_UP
    assert house.state.last.exported_kwh == pytest.approx(
        house.plant.truth().exported_kwh, abs=0.03
    )


async def test_disabling_the_entry_stops(running: House) -> None:
    house = running
    await house.hass.config_entries.async_set_disabled_by(
        house.entry.entry_id, ConfigEntryDisabler.USER
    )
    await house.advance(8)
    assert not house.discharging
    await house.advance(10)
    assert not house.hass.data[ORPHANS]


async def test_removing_the_entry_stops_and_forgets(
    running: House, hass_storage: dict[str, Any]
) -> None:
    house = running
    await house.settle()
    assert _key(house) in hass_storage
    await house.hass.config_entries.async_remove(house.entry.entry_id)
    await house.advance(8)
    assert not house.discharging
    await house.advance(30)
    assert not house.hass.data[ORPHANS]
    assert _key(house) not in hass_storage


async def test_a_removed_entrys_lying_stop_is_followed_until_it_is_proven(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP)
    await house.hass.config_entries.async_remove(house.entry.entry_id)
    await house.advance(40)
    assert house.discharging
    assert house.notification("discharge_stop_failed")
    house.plant.faults.off(Fault.DROP)
    await house.advance(60)
    assert not house.discharging
    assert house.notification("discharge_stop_failed") is None
    assert not house.hass.data[ORPHANS]


async def test_an_entry_that_stays_unloaded_stops_after_the_grace(running: House) -> None:
    house = running
    assert await house.hass.config_entries.async_unload(house.entry.entry_id)
    await house.advance(8)
    assert house.discharging, "a reload may be under way"
    await house.advance(20)
    assert not house.discharging
    assert not house.hass.data[ORPHANS]
    # What has ended while nobody was loaded is known when somebody is again.
    assert await house.hass.config_entries.async_setup(house.entry.entry_id)
    await house.settle()
    assert house.state.phase is Phase.IDLE
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.UNLOAD


async def test_the_guard_lives_on_between_unload_and_setup(ready: House) -> None:
    house = ready
    house.options(fixed_limit=0.8)
    await house.settle()
    await house.discharge(350)
    assert await house.hass.config_entries.async_unload(house.entry.entry_id)
    await house.advance(9)
    assert house.plant.truth().exported_kwh <= 0.31
    await house.advance(30)
    assert not house.discharging
    assert house.plant.truth().exported_kwh <= 0.31


async def test_an_unload_where_nothing_runs_leaves_nothing_behind(ready: House) -> None:
    assert await ready.hass.config_entries.async_unload(ready.entry.entry_id)
    assert ready.entry.state is ConfigEntryState.NOT_LOADED
    assert not ready.hass.data[ORPHANS]
    await ready.advance(30)
    assert not ready.calls


async def test_a_reload_in_mid_stop_finishes_the_stop(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP)
    stop = house.ask("stop_discharge")
    await house.advance(2)
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.advance(2)
    assert stop.done(), "whoever asked must not wait for ever"
    assert isinstance(stop.exception(), HomeAssistantError)
    await house.advance(20)
    assert house.entity("error_state") == "discharge_stop_failed"
    house.plant.faults.off(Fault.DROP)
    await house.advance(60, until=lambda: house.state.phase is Phase.IDLE)
    assert not house.discharging
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.USER


async def test_an_alarm_stands_through_a_reload(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP)
    with pytest.raises(HomeAssistantError):
        await house.call("stop_discharge")
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.settle()
    assert house.notification("discharge_stop_failed")
    assert house.entity("error_state") == "discharge_stop_failed"


async def test_a_reload_in_mid_start_calls_it_off(ready: House) -> None:
    house = ready
    house.damage(DURATION, "hang")
    start = house.ask("start_discharge")
    await house.advance(2)
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.advance(2)
    assert start.done(), "whoever asked must not wait for ever"
    failure = start.exception()
    assert isinstance(failure, HomeAssistantError)
    assert failure.translation_key == "start_cancelled"
    house.broken.clear()
    await house.advance(30)
    assert house.state.phase is Phase.IDLE
    assert not [write for write in house.plant.writes if write.values[0] == 1]


async def test_home_assistants_clean_stop_stops_the_battery(running: House) -> None:
    house = running
    stopping = house.hass.async_create_background_task(
        house.hass.async_stop(force=True), "the stop"
    )
    await house.advance(15, until=lambda: not house.discharging)
    assert not house.discharging
    await house.advance(30, until=stopping.done)
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.UNLOAD
    house.let_go()
    await house.settle()


async def test_a_clean_stop_with_the_inverter_gone_does_not_hang(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP)
    stopping = house.hass.async_create_background_task(
        house.hass.async_stop(force=True), "the stop"
    )
    await house.advance(120, until=stopping.done)
    assert stopping.done()
    house.let_go()
    await house.settle()


@pytest.mark.parametrize("hass_state", [CoreState.starting, CoreState.running])
async def test_a_start_after_a_crash_accounts_for_the_session(
    running: House, hass_storage: dict[str, Any], hass_state: CoreState
) -> None:
    house = running
    await house.advance(200)
    session = house.state.session
    assert session is not None
    house.home.kill()
    house.let_go()
    _pass(house, 60)
    assert house.discharging
    house.home.start()  # the package resets the dispatch: an end from outside
    async with house.restarted(hass_state):
        await house.advance(40, until=lambda: house.state.phase is Phase.IDLE)
        assert house.state.phase is Phase.IDLE
        assert not house.discharging
        last = house.state.last
        assert last is not None
        assert last.id == session.id
        assert last.reason is EndReason.EXTERNAL
        assert last.exported_kwh >= house.plant.truth().exported_kwh - 0.01
        await house.advance(150)
        assert float(house.entity("exported_today")) == pytest.approx(
            house.plant.truth().exported_kwh, abs=0.02
        )


@pytest.mark.parametrize("reset_lost", [False, True])
async def test_a_restart_whose_reset_is_lost_resumes_or_stops_within_the_allowance(
    ready: House, hass_storage: dict[str, Any], reset_lost: bool
) -> None:
    house = ready
    await house.discharge(300)
    house.home.kill()
    house.let_go()
    _pass(house, 120)
    if reset_lost:
        house.plant.faults.on(Fault.IGNORE_STOP, times=2)
    house.home.start()
    async with house.restarted():
        await house.advance(1500, until=lambda: house.state.phase is Phase.IDLE)
        assert not house.discharging
        assert house.plant.truth().exported_kwh <= 1.01


async def test_a_session_still_running_after_a_restart_is_guarded_on(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    """Another battery's package leaves the discharge alone when Home Assistant starts."""
    house = ready
    await house.discharge(300)
    session = house.state.session
    assert session is not None
    house.let_go()
    _pass(house, 120)
    async with house.restarted(CoreState.starting):
        assert house.state.session is not None
        assert house.state.session.id == session.id
        house.options(fixed_limit=1.0)
        await house.advance(600, until=lambda: house.state.phase is Phase.IDLE)
        assert house.state.last is not None
        assert house.state.last.id == session.id
        assert not house.discharging
        # Two minutes in the dark, and the first until the meter is confirmed, count at the worst.
        assert 0.34 <= house.plant.truth().exported_kwh <= 0.51


async def test_a_dead_home_assistant_is_a_stopped_battery(running: House) -> None:
    house = running
    house.home.kill()
    house.let_go()
    _pass(house, 30 * 60)
    assert not house.discharging


async def test_a_stop_under_way_at_the_restart_is_finished(
    running: House, hass_storage: dict[str, Any]
) -> None:
    house = running
    house.plant.faults.on(Fault.IGNORE_STOP, times=40)
    stop = house.ask("stop_discharge")
    await house.advance(2)
    house.let_go()
    await house.settle()
    assert isinstance(stop.exception(), HomeAssistantError)
    house.plant.faults.clear()
    assert house.discharging
    async with house.restarted():
        await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
        assert not house.discharging
        assert house.state.last is not None
        assert house.state.last.reason is EndReason.USER


async def test_a_start_under_way_at_the_restart_is_undone(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    house = ready
    house.damage(DISCHARGING, "hang")
    start = house.ask("start_discharge")
    await house.advance(2)
    house.let_go()
    await house.settle()
    assert isinstance(start.exception(), HomeAssistantError)
    house.broken.clear()
    house.home.call("input_boolean", "turn_on", {"entity_id": DISCHARGING})
    _pass(house, 2)
    assert house.discharging, "the hanging service did its work after all"
    async with house.restarted():
        await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
        assert not house.discharging


@pytest.mark.parametrize(
    "stored",
    [
        {"version": 1, "minor_version": 1, "data": {}},
        {"version": 1, "minor_version": 1, "data": []},
        {"version": 1, "minor_version": 1, "data": "text"},
        {"version": 1, "minor_version": 1, "data": {"saved": "yesterday"}},
        {"version": 1, "minor_version": 1, "data": {"saved": None, "phase": "walking"}},
        {"version": 99, "minor_version": 1, "data": {}},
        {"version": 0, "minor_version": 1, "data": {}},
    ],
)
async def test_a_record_that_cannot_be_understood_keeps_nobody_from_loading(
    house: House, hass_storage: dict[str, Any], stored: dict[str, Any]
) -> None:
    hass_storage[_key(house)] = {"key": _key(house), **stored}
    await house.set_up()
    await house.advance(70)
    assert house.entity("system_health") == "Healthy"
    await house.discharge()
    await house.call("stop_discharge")
    assert not house.discharging


async def test_a_damaged_field_of_a_record_loses_the_record_not_the_guard(
    running: House, hass_storage: dict[str, Any]
) -> None:
    house = running
    await house.settle()
    house.let_go()
    data = hass_storage[_key(house)]["data"]
    data["session"]["power_w"] = None
    async with house.restarted():
        await house.advance(20)
        # The session is forgotten, but what runs is found and guarded all the same.
        assert house.state.session is not None
        assert house.state.session.origin == "adopted"
        await house.call("stop_discharge")
        assert not house.discharging


async def test_counters_read_every_few_seconds_are_written_all_the_same(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    house = ready
    house.plant.pv_w, house.plant.load_w = 3000.0, 0.0
    ages = []
    for _ in range(30):
        await house.advance(10)
        for counter in (WIRING[const.CONF_EXPORT_ENERGY], *WIRING[const.CONF_PV_ENERGY]):
            shown = house.hass.states.get(counter)
            assert shown is not None
            house.hass.states.async_set(counter, shown.state, shown.attributes, force_update=True)
        saved = datetime.fromisoformat(hass_storage[_key(house)]["data"]["saved"])
        ages.append((dt_util.utcnow() - saved).total_seconds())
    assert max(ages[9:]) <= 30  # the counters have moved by then


async def test_what_one_run_put_off_never_overwrites_what_the_next_wrote(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    house = ready
    house.options(fixed_limit=10)
    house.plant.pv_w, house.plant.load_w = 5000, 0  # counters move, and put a write off
    await house.advance(180)
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    house.plant.pv_w = 0
    await house.discharge(30)
    assert hass_storage[_key(house)]["data"]["phase"] == "active"
    assert hass_storage[_key(house)]["data"]["session"] is not None


async def test_a_removed_entrys_file_does_not_come_back(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    house = ready
    house.plant.pv_w, house.plant.load_w = 5000, 0
    await house.advance(52)  # a tick of the counters a moment ago
    await house.hass.config_entries.async_remove(house.entry.entry_id)
    await house.advance(30)
    assert _key(house) not in hass_storage


async def test_the_error_history_survives_a_restart(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    house = ready
    house.damage(DURATION, "raise")
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    await house.advance(30)
    house.let_go()
    async with house.restarted():
        errors = house.attributes("error_state")["last_errors"]
        assert [error["state"] for error in errors] == ["discharge_duration_set_failed"]
        # Only a good start clears it.
        assert house.entity("error_state") == "discharge_duration_set_failed"


async def test_sums_survive_a_restart(ready: House, hass_storage: dict[str, Any]) -> None:
    house = ready
    await house.discharge(300)
    await house.call("stop_discharge")
    await house.advance(80)
    shown = float(house.entity("exported_today"))
    assert shown >= 0.2
    house.let_go()
    async with house.restarted():
        assert float(house.entity("exported_today")) == shown
