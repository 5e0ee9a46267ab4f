"""Commands in the battery's own units and steps, never beyond what was asked."""

from typing import Any

from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.battery import Battery
from custom_components.export_monitor.engine.state import Phase, Write, WriteKind
from custom_components.export_monitor.error_handler import Outcome
from custom_components.export_monitor.inputs.sources import NumberLimits
from custom_components.export_monitor.presets import ALPHAESS, GENERIC, Preset
from custom_components.export_monitor.settings import preset_of
from tests.integration.conftest import Build
from tests.integration.house import WIRING, House

POWER = WIRING[const.CONF_DISCHARGE_POWER]
DURATION = WIRING[const.CONF_DISCHARGE_DURATION]


def _native(
    kind: WriteKind, value: float, limits: NumberLimits, preset: Preset = ALPHAESS
) -> float | None:
    battery = Battery.__new__(Battery)  # what it says needs no Home Assistant
    battery._preset = preset
    return battery.native_value(Write(1, 0, kind, value), limits)


@pytest.mark.parametrize(
    ("value", "limits", "native"),
    [
        (3000, NumberLimits("kW", 0, 20, 0.1), 3.0),
        (3333, NumberLimits("kW", 0, 20, 0.1), 3.3),
        (3000, NumberLimits("W", 0, 5000, 50), 3000),
        (3000, NumberLimits("MW", 0, 1, 0.001), 0.003),
        (3000, NumberLimits("kW", 0, 2.5, 0.1), 2.5),
        (3000, NumberLimits("kW", 0, 20, 0), 3.0),
        (3000, NumberLimits("kW", 4, 20, 0.1), None),
        (3000, NumberLimits("A", 0, 20, 0.1), None),
        (40, NumberLimits("kW", 0, 20, 0.1), None),
    ],
)
def test_a_power_is_rounded_down_and_never_widened(
    value: float, limits: NumberLimits, native: float | None
) -> None:
    assert _native(WriteKind.POWER, value, limits) == pytest.approx(native)


@pytest.mark.parametrize(
    ("value", "limits", "native"),
    [
        (15, NumberLimits("min", 0, 480, 5), 15),
        (15, NumberLimits("", 0, 480, 1), 15),
        (15, NumberLimits("s", 0, 28800, 60), 900),
        (30, NumberLimits("h", 0, 8, 0.25), 0.5),
        (15, NumberLimits("kWh", 0, 8, 1), None),
        # At least one step: no time at all may mean no end at all.
        (5, NumberLimits("min", 0, 480, 10), 10),
        (5, NumberLimits("h", 0, 8, 0.25), 0.25),
    ],
)
def test_a_duration_is_at_least_a_step(
    value: float, limits: NumberLimits, native: float | None
) -> None:
    assert _native(WriteKind.DURATION, value, limits) == pytest.approx(native)


@pytest.mark.parametrize("floor", range(4, 101))
def test_a_cutoff_is_never_truncated_below_the_floor(floor: int) -> None:
    asked = _native(WriteKind.CUTOFF, floor, NumberLimits("%", 4, 100, 1))
    assert asked is not None
    assert asked >= floor
    assert int(asked / 0.392) * 0.392 >= floor or asked == 100
    assert asked - floor <= 1
    assert _native(WriteKind.CUTOFF, floor, NumberLimits("%", 4, 100, 1), GENERIC) == floor


def test_an_entry_of_1x_is_known_by_its_switch() -> None:
    assert preset_of({const.CONF_DISCHARGE_SWITCH: WIRING[const.CONF_DISCHARGE_SWITCH]}) is ALPHAESS
    assert preset_of({const.CONF_DISCHARGE_SWITCH: "switch.other"}) is GENERIC
    assert preset_of({}) is GENERIC


async def test_a_power_number_in_another_quantity_ends_the_start(ready: House) -> None:
    ready.silence(POWER)
    ready.hass.states.async_set(POWER, "0", {"unit_of_measurement": "A", "min": 0, "max": 20})
    with pytest.raises(HomeAssistantError) as failure:
        await ready.call("start_discharge")
    assert failure.value.translation_key == "failed_discharge_power_set_failed"
    await ready.advance(30, until=lambda: ready.state.phase is Phase.IDLE)
    assert not ready.asked("turn_on")


async def test_a_battery_that_counts_its_time_in_coarse_steps_stays_armed(build: Build) -> None:
    """A renewal must change the number that the battery sees, not only ours."""
    house = build()
    await house.set_up(fixed_limit=10, hardware_lease=15)
    await house.advance(70)
    state = house.hass.states.get(DURATION)
    assert state is not None
    attributes = {**state.attributes, "step": 15}
    house.silence(DURATION)
    house.hass.states.async_set(DURATION, "0", attributes)

    async def take(call: Any) -> None:  # noqa: ANN401
        house.home.call(call.domain, call.service, call.data)
        house.hass.states.async_set(DURATION, str(float(call.data["value"])), attributes)

    house.broken[DURATION] = take
    await house.discharge()
    await house.advance(480)
    written = [value for entity, value in house.asked("set_value") if entity == DURATION]
    assert written == [15.0, 30.0]
    assert house.state.phase is Phase.ACTIVE
    assert house.discharging


async def test_a_patient_command_still_ends_with_the_time_of_a_start(house: House) -> None:
    await house.set_up(**{const.CONF_SERVICE_TIMEOUT: 60, const.CONF_RETRY_ATTEMPTS: 5})
    house.damage(POWER, "hang")
    battery = house.runtime.control.lookout.battery
    write = Write(1, 0, WriteKind.POWER, 3000)
    task = house.hass.async_create_task(battery.carry_out(write, lambda: True))
    await house.advance(115)
    assert not task.done()
    await house.advance(10, until=task.done)
    assert task.done()
    assert task.result().outcome is Outcome.DEADLINE
