"""What of ours may fail, and still the battery stops."""

from typing import NoReturn

from homeassistant.config_entries import ConfigEntryState
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.export_monitor import ORPHANS, control as control_room
from custom_components.export_monitor.engine.state import Answer, Phase
from custom_components.export_monitor.models import ErrorState
from simulator.faults import Fault
from tests.integration.house import House


def _broken(*_: object) -> NoReturn:
    raise ZeroDivisionError


async def test_a_stop_goes_through_while_the_sources_cannot_be_read(
    running: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = running
    monkeypatch.setattr(house.runtime.control.lookout.sources, "read", _broken)
    await house.advance(3)
    assert house.state.phase is Phase.ACTIVE
    with pytest.raises(HomeAssistantError) as failed:  # nothing can prove it
        await house.call("stop_discharge")
    assert failed.value.translation_key == "stop_unproven"
    assert not house.discharging
    monkeypatch.undo()
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.phase is Phase.IDLE
    assert house.entity("error_state") == "none"


async def test_a_controller_that_fails_stops_the_battery(
    running: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = running
    monkeypatch.setattr(control_room, "step", _broken)
    await house.advance(5)
    assert not house.discharging
    assert house.runtime.coordinator.get_error_state() is ErrorState.STOP_FAILED
    assert house.notification("discharge_stop_failed") is not None
    monkeypatch.undo()
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.phase is Phase.IDLE


async def test_a_stop_asked_of_a_controller_that_fails_switches_off_all_the_same(
    running: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = running
    monkeypatch.setattr(control_room, "step", _broken)
    with pytest.raises(HomeAssistantError):
        await house.call("stop_discharge")
    await house.advance(5)
    assert not house.discharging


async def test_a_lying_switch_does_not_help_a_controller_that_fails(
    running: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = running
    house.plant.faults.on(Fault.IGNORE_STOP)
    monkeypatch.setattr(control_room, "step", _broken)
    await house.advance(10)
    assert not house.discharging  # the fallback did it


async def test_a_controller_that_fails_at_rest_commands_nothing(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = ready
    monkeypatch.setattr(control_room, "step", _broken)
    await house.advance(15)
    assert house.calls == []


async def test_nothing_is_started_while_home_assistant_goes_down(ready: House) -> None:
    house = ready
    await house.runtime.control._stop_before_shutdown()
    with pytest.raises(HomeAssistantError) as failed:
        await house.call("start_discharge")
    assert failed.value.translation_key == "start_cancelled"
    assert not house.discharging


async def test_a_set_up_that_fails_leaves_one_guard(
    running: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = running
    entries = house.hass.config_entries
    with monkeypatch.context() as patch:
        patch.setattr(entries, "async_forward_entry_setups", _broken)
        await entries.async_reload(house.entry.entry_id)
        assert house.entry.state is ConfigEntryState.SETUP_ERROR
        orphan = house.hass.data[ORPHANS][house.entry.entry_id]
        assert orphan.state.phase is Phase.ACTIVE
    await entries.async_reload(house.entry.entry_id)
    await house.settle()
    assert house.entry.state is ConfigEntryState.LOADED
    assert house.state.phase is Phase.ACTIVE
    assert orphan._left
    answer = await orphan.start()
    assert answer.answer is Answer.CANCELLED
    answer = await orphan.stop()
    assert answer.answer is Answer.UNPROVEN


async def test_nobody_can_talk_an_unproven_stop_away(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP)
    stop = house.ask("stop_discharge")
    await house.advance(20)
    assert stop.exception() is not None
    house.runtime.coordinator.clear_error_state()
    assert house.entity("error_state") == "discharge_stop_failed"
    assert house.notification("discharge_stop_failed") is not None
