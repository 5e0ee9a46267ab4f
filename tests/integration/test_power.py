"""The battery's power follows the house, on the package with its habits around the plant."""

from dataclasses import replace
from datetime import UTC, datetime

from homeassistant.core import HomeAssistant
import pytest

from custom_components.export_monitor.const import CONF_PERIOD
from custom_components.export_monitor.engine.rolling import Rolling, Trail
from custom_components.export_monitor.engine.state import Phase, State
from custom_components.export_monitor.inputs.sources import NumberLimits
from custom_components.export_monitor.models import Errors, ErrorState, Kind, Settings
from custom_components.export_monitor.storage import Record, Storage, record_of
from tests.integration.house import House

POWER = "input_number.alphaess_helper_force_discharging_power"


async def test_the_grid_sees_the_target_when_the_kettle_is_on(ready: House) -> None:
    house = ready
    await house.discharge(60)
    assert -house.plant.truth().grid_w == pytest.approx(3000, abs=150)
    house.plant.load_w = 2000.0
    await house.advance(60)
    assert -house.plant.truth().grid_w == pytest.approx(3000, abs=150)
    house.plant.load_w = 200.0
    await house.advance(60)
    assert -house.plant.truth().grid_w == pytest.approx(3000, abs=150)


async def test_the_battery_tells_what_its_power_can_be_set_to(ready: House) -> None:
    battery = ready.runtime.control._battery
    assert battery.power_range_w == (100.0, 20_000.0)
    plain = Settings()
    fitted = battery.fitted(plain)
    assert fitted.most_power_w == 20_000.0
    assert battery.fitted(fitted) is fitted
    for unknown in (None, NumberLimits("parsec", 0.0, 20.0, 0.1)):
        battery._limits = lambda _id, limits=unknown: limits  # type: ignore[misc]
        assert battery.power_range_w == (0.0, 0.0)
        assert battery.fitted(plain).power_step_w == plain.power_step_w


async def test_the_timer_of_a_charge_may_have_a_step_of_its_own(ready: House) -> None:
    battery = ready.runtime.control._battery
    steps = {"charging": 15.0, "discharging": 5.0}
    battery.entity_id = lambda kind, mode=Kind.DISCHARGE: f"{mode}_{kind}"  # type: ignore[method-assign, misc]
    battery._limits = lambda entity_id: NumberLimits(
        "min", 0.0, 480.0, steps["charging" if entity_id.startswith("charge") else "discharging"]
    )
    fitted = battery.fitted(Settings())
    assert fitted.lease_step_min(Kind.DISCHARGE) == 5.0
    assert fitted.lease_step_min(Kind.CHARGE) == 15.0
    assert battery.fitted(fitted) is fitted


async def test_a_raise_that_no_restart_would_know_of_is_not_written(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = ready
    await house.discharge(2)
    house.calls.clear()

    async def refuse(self: Storage, record: Record) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(Storage, "save", refuse)
    await house.advance(30)
    assert (POWER, 3.5) not in house.asked("set_value")
    assert house.state.phase is Phase.ACTIVE
    assert ErrorState.POWER_SET_FAILED in house.state.faults


async def test_the_last_24_hours_survive_a_restart(house: House, hass: HomeAssistant) -> None:
    del hass
    await house.set_up(basis="generated", **{CONF_PERIOD: "rolling_24h"})
    await house.advance(200)
    before = house.state.rolling
    assert before is not None
    assert before.export.minutes
    # A fall of it must not be taken for a meter that began anew.
    assert house.attributes("exported_today")["state_class"] == "total"
    async with house.restarted():
        after = house.state.rolling
        assert after is not None
        assert after.export.minutes[: len(before.export.minutes)] == before.export.minutes


def test_a_record_keeps_the_trails() -> None:
    rolling = Rolling(Trail((5, 6, 9), (1, 2, 3)), Trail((5,), (7,)))
    state = replace(State(), rolling=rolling)
    kept = record_of(state, Errors(), datetime(2026, 6, 15, tzinfo=UTC))
    assert kept.rolling == ("5:1 1 3:1", "5:7", "", "0")
    assert kept.state().rolling == rolling
