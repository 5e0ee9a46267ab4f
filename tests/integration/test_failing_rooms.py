"""What is told, planned or configured may fail: the guard, and a stop, are none of its business."""

import asyncio
from datetime import timedelta
from typing import NoReturn

from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.export_monitor import ORPHANS, const
from custom_components.export_monitor.autopilot import Autopilot
from custom_components.export_monitor.control import Control
from custom_components.export_monitor.engine.state import Phase, Write, WriteKind
from custom_components.export_monitor.models import EndReason
from custom_components.export_monitor.plans import Plans
from tests.integration.house import House
from tests.integration.test_autopilot import to_window

POWER = "input_number.alphaess_helper_force_discharging_power"


def _broken(*_: object) -> NoReturn:
    raise ZeroDivisionError


@pytest.mark.parametrize("ear", ["listen", "witness"])
async def test_who_listens_and_fails_stops_nothing(
    ready: House, ear: str, caplog: pytest.LogCaptureFixture
) -> None:
    getattr(ready.runtime.control, ear)(_broken)
    await ready.discharge(60)
    assert ready.discharging
    assert ready.entity("error_state") == "none"
    assert caplog.text.count("could not be told") == 1
    await ready.call("stop_discharge")
    assert not ready.discharging
    caplog.clear()


async def test_a_start_that_the_controller_fails_on_is_answered(
    ready: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("custom_components.export_monitor.control.step", _broken)
        task = ready.ask("start_discharge")
        await ready.settle()
        assert task.done()  # the autopilot, too, waits for an answer before it asks again
    with pytest.raises(HomeAssistantError) as failed:
        task.result()
    assert failed.value.translation_key == "failed_discharge_start_failed"
    await ready.discharge()
    caplog.clear()


async def test_options_that_make_no_sense_leave_those_before_and_every_stop(
    running: House, caplog: pytest.LogCaptureFixture
) -> None:
    running.options(**{const.CONF_BASIS: "moonshine"})
    await running.advance(30)
    assert running.state.phase is Phase.ACTIVE
    assert caplog.text.count("cannot be understood") == 1
    answer = await running.call("stop_discharge")
    assert answer["stopped"]
    assert not running.discharging
    caplog.clear()


async def test_a_set_up_that_fails_over_the_plan_leaves_no_guard_behind(
    running: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(Autopilot, "begin", _broken)
    assert not await running.hass.config_entries.async_reload(running.entry.entry_id)
    # Its guard is where the next run finds it, and without one it stops what runs.
    assert running.hass.data[ORPHANS].keys() == {running.entry.entry_id}
    await running.advance(30)
    assert not running.discharging
    assert not running.hass.data[ORPHANS]
    caplog.clear()


async def test_a_planner_that_never_returns_does_not_keep_a_session_going(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.freezer.tick(timedelta(minutes=26))
    house.home.advance(26 * 60)
    await to_window(house)
    assert house.state.phase is Phase.ACTIVE
    plans = house.runtime.plans
    monkeypatch.setattr(plans, "_busy", True)
    monkeypatch.setattr(plans, "_asked", house.runtime.control.now().utc - timedelta(seconds=90))
    monkeypatch.setattr(Plans, "look", lambda _self: None)
    house.options(**{const.CONF_AUTO_DISCHARGE: False, const.CONF_PLAN_DISCHARGE: True})
    await house.advance(15)
    assert not house.discharging
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.USER


async def test_a_power_that_hangs_is_not_tried_again_after_a_newer_one(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.set_up(**{const.CONF_SERVICE_TIMEOUT: 60, const.CONF_FIXED_LIMIT: 4.0})
    await house.advance(70)
    await house.discharge(30)
    begun: list[asyncio.Task[None]] = []
    write = Control._write_and_answer

    async def remember(control: Control, each: Write) -> None:
        task = asyncio.current_task()
        if each.kind is WriteKind.POWER and task is not None:
            begun.append(task)
        await write(control, each)

    async def hang(call: ServiceCall) -> None:
        del call
        await asyncio.Event().wait()

    monkeypatch.setattr(Control, "_write_and_answer", remember)
    house.broken[POWER] = hang
    house.plant.load_w = 1500.0
    await house.advance(30, until=lambda: bool(begun))
    await house.advance(50)  # nobody waits for it any more, but it is tried again
    assert not begun[0].done()
    house.plant.load_w = 100.0
    await house.advance(40, until=lambda: len(begun) > 1)
    await house.settle()
    assert begun[0].cancelled()
    assert not begun[1].done()
