"""A stop never gives up: tried by every way there is, until the battery itself has proven it."""

from itertools import pairwise

from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers.issue_registry import IssueSeverity
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.engine.stop import AFTERMATH_S
from custom_components.export_monitor.models import EndReason
from simulator.alphaess_home import RESET_FULL
from simulator.faults import Fault
from tests.integration.conftest import Build
from tests.integration.house import DISCHARGING, WIRING, House

POWER = WIRING[const.CONF_DISCHARGE_POWER]
CUTOFF = WIRING[const.CONF_DISCHARGE_CUTOFF]
GENERIC = {const.CONF_PRESET: "generic", const.CONF_FALLBACK_STOP: ""}


def _idle(house: House) -> bool:
    return house.state.phase is Phase.IDLE


def _attempts(house: House) -> list[float]:
    """Return when what belongs to a stop was asked (s)."""
    return [
        at
        for at, (_, service, _) in zip(house.called_at, house.calls, strict=True)
        if service in ("turn_off", "press")
    ]


@pytest.mark.parametrize("load_w", [500, 3000])
async def test_a_lying_stop_is_brought_by_the_full_reset_only(build: Build, load_w: float) -> None:
    house = build(load_w=load_w)
    await house.set_up(fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    house.plant.faults.on(Fault.IGNORE_STOP)
    answer = await house.call("stop_discharge")
    assert answer["proof"] == "dispatch"
    assert house.home.states()[DISCHARGING].value == "off"
    assert (RESET_FULL, None) in house.asked("press")
    assert not house.discharging
    await house.advance(120)
    # The battery goes on feeding the house, which is no reason for an alarm.
    assert house.plant.truth().battery_w == pytest.approx(load_w)
    assert house.entity("error_state") == "none"
    assert house.attributes("error_state")["last_errors"] == []
    assert _idle(house)


async def test_the_plain_stop_needs_no_full_reset(build: Build) -> None:
    house = build(load_w=3000)
    await house.set_up(fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    await house.call("stop_discharge")
    assert not house.discharging
    assert house.attributes("error_state")["last_errors"] == []


async def test_an_unplugged_inverter_raises_the_alarm_until_it_is_back(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP)
    due = house.plant.elapsed_s
    with pytest.raises(HomeAssistantError) as failure:
        await house.call("stop_discharge")
    assert failure.value.translation_key == "stop_unproven"
    assert house.plant.elapsed_s - due <= 16
    assert house.entity("error_state") == "discharge_stop_failed"
    assert house.entity("system_health") == "Error"
    assert house.entity("discharge_status") == "Error"
    text = house.notification("discharge_stop_failed") or ""
    assert DISCHARGING in text
    assert "1. " in text
    issue = house.issue("discharge_stop_failed")
    assert issue is not None
    assert issue.severity is IssueSeverity.CRITICAL
    assert house.discharging
    before = len(_attempts(house))
    await house.advance(100)
    assert len(_attempts(house)) >= before + 3
    house.plant.faults.off(Fault.DROP)
    await house.advance(60, until=lambda: _idle(house))
    assert _idle(house)
    assert not house.discharging
    assert house.notification("discharge_stop_failed") is None
    assert house.issue("discharge_stop_failed") is None
    assert house.entity("error_state") == "none"
    times = _attempts(house)
    assert all(b - a >= 3 for a, b in pairwise(times))


@pytest.mark.parametrize("how", ["raise", "hang", "lie"])
async def test_a_switch_that_cannot_be_turned_off_is_overruled_by_the_fallback(
    running: House, how: str
) -> None:
    house = running
    house.broken.clear()
    house.services.clear()
    {"raise": house.fail, "hang": house.hang, "lie": house.lie}[how]("input_boolean", "turn_off")
    answer = await house.call("stop_discharge")
    assert answer["stopped"]
    assert not house.discharging
    assert house.notification("discharge_stop_failed") is None


@pytest.mark.parametrize("how", ["raise", "hang", "lie"])
async def test_where_nothing_can_be_asked_the_alarm_stands_until_something_can(
    running: House, how: str
) -> None:
    house = running
    house.damage(DISCHARGING, how)
    house.damage(RESET_FULL, how)
    with pytest.raises(HomeAssistantError):
        await house.call("stop_discharge")
    await house.advance(100)
    assert house.discharging
    assert house.entity("error_state") == "discharge_stop_failed"
    house.broken.clear()
    await house.advance(60, until=lambda: _idle(house))
    assert _idle(house)
    assert not house.discharging
    assert house.entity("error_state") == "none"


async def test_controls_that_are_gone_do_not_keep_the_stop_from_being_tried(running: House) -> None:
    house = running
    house.hide(DISCHARGING, RESET_FULL)
    answer = await house.call("stop_discharge")
    assert answer["stopped"]
    assert not house.discharging


async def test_without_a_fallback_the_power_is_smothered(build: Build) -> None:
    house = build()
    await house.set_up(wiring=GENERIC, fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    house.damage(DISCHARGING, "lie")
    with pytest.raises(HomeAssistantError):
        await house.call("stop_discharge")
    assert house.asked("set_value")[-2:] == [(POWER, 0.0), (CUTOFF, 100.0)]
    assert house.plant.truth().battery_w == 0
    assert not house.asked("press")
    # A switch that reads on could arm the battery again: unproven still.
    assert house.entity("error_state") == "discharge_stop_failed"
    house.broken.clear()
    await house.advance(60, until=lambda: _idle(house))
    assert not house.discharging
    assert house.entity("error_state") == "none"


@pytest.mark.parametrize("gone", [POWER, CUTOFF])
async def test_one_number_that_is_gone_leaves_the_other_to_smother_with(
    build: Build, gone: str
) -> None:
    house = build()
    await house.set_up(wiring=GENERIC, fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    house.damage(DISCHARGING, "lie")
    house.hide(gone)
    with pytest.raises(HomeAssistantError):
        await house.call("stop_discharge")
    assert house.plant.truth().battery_w <= 0
    house.broken.clear()
    await house.advance(60, until=lambda: _idle(house))
    assert _idle(house)


@pytest.mark.parametrize(
    ("without", "proof"),
    [
        ((), "dispatch"),
        ((const.CONF_DISPATCH_START,), "battery_power"),
        ((const.CONF_DISPATCH_START, const.CONF_HOUSE_LOAD), "battery_power"),
        ((const.CONF_DISPATCH_START, const.CONF_BATTERY_POWER), "switch"),
    ],
)
async def test_the_best_witness_there_is_proves_the_stop(
    build: Build, without: tuple[str, ...], proof: str
) -> None:
    house = build()
    await house.set_up(without=without, fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    answer = await house.call("stop_discharge")
    assert answer["proof"] == proof
    await house.advance(1)  # the switch alone is a witness that knows nothing of the reset
    assert not house.discharging


async def test_a_quiet_battery_proves_a_stop_where_the_dispatch_is_never_heard(
    running: House,
) -> None:
    house = running
    house.silence(WIRING[const.CONF_DISPATCH_START])
    answer = await house.call("stop_discharge")
    assert answer["proof"] == "battery_power"
    assert house.notification("discharge_stop_failed") is None


async def test_reports_from_before_the_command_prove_nothing(running: House) -> None:
    house = running
    house.frozen[WIRING[const.CONF_DISPATCH_START]] = "0"
    await house.advance(6)
    house.silence(WIRING[const.CONF_DISPATCH_START])
    house.plant.faults.on(Fault.IGNORE_STOP, times=50)
    stop = house.ask("stop_discharge")
    await house.advance(12)
    assert not stop.done()
    await house.advance(10)
    assert isinstance(stop.exception(), HomeAssistantError)
    assert house.discharging
    house.plant.faults.clear()
    house.show()
    house.frozen.clear()
    await house.advance(60, until=lambda: _idle(house))
    assert not house.discharging


async def test_stops_at_once_are_one_stop_and_all_are_answered(running: House) -> None:
    house = running
    stops = [house.ask("stop_discharge") for _ in range(3)]
    await house.advance(15)
    assert all(stop.done() and stop.result()["stopped"] for stop in stops)
    assert len(house.asked("turn_off")) == 1


async def test_a_stop_where_nothing_runs_is_a_stop_all_the_same(ready: House) -> None:
    answer = await ready.call("stop_discharge")
    assert answer == {"stopped": True, "proof": "dispatch", "session_id": None}
    assert ready.asked("turn_off")
    await ready.advance(5)
    assert ready.entity("discharge_status") in ("Idle", "Needed")


async def test_a_stop_passes_open_circuits_and_stale_data(running: House) -> None:
    house = running
    for circuit in house.runtime.coordinator.circuits:
        for _ in range(5):
            circuit.record_failure()
    house.silence(*house.home.states())
    house.hidden -= {WIRING[const.CONF_DISPATCH_START], DISCHARGING}
    await house.advance(20)
    answer = await house.call("stop_discharge")
    assert answer["stopped"]
    assert not house.discharging


async def test_a_stop_that_nobody_asked_of_charging_leaves_the_charging_alone(ready: House) -> None:
    house = ready
    house.charge()
    await house.advance(10)
    stop = house.ask("stop_discharge")
    await house.advance(40)
    assert stop.done()
    assert house.plant.truth().battery_w < 0, "the user's charging goes on"
    assert house.notification("discharge_stop_failed") is None
    assert _idle(house)


async def test_a_discharge_that_comes_back_after_the_proof_is_stopped_again(running: House) -> None:
    house = running
    await house.call("stop_discharge")
    block = list(house.plant.writes)
    armed = next(write for write in block if write.values[0] == 1)
    house.plant.write(armed.address, armed.values)
    await house.advance(60, until=lambda: not house.discharging)
    assert not house.discharging
    await house.advance(30, until=lambda: _idle(house))
    assert _idle(house)


async def test_without_a_dispatch_sensor_what_comes_back_waits_for_no_poll(build: Build) -> None:
    """Five reports of the battery tell it, which at the coordinator's pace take fifty seconds."""
    house = build()
    await house.set_up(without=(const.CONF_DISPATCH_START,), fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    await house.call("stop_discharge")
    await house.advance(23)
    armed = next(write for write in house.plant.writes if write.values[0] == 1)
    house.plant.write(armed.address, armed.values)
    assert house.discharging
    await house.advance(15, until=lambda: not house.discharging)
    assert not house.discharging


async def test_after_the_aftermath_nothing_is_guarded(running: House) -> None:
    await running.call("stop_discharge")
    guards = running.runtime.control._stop_guarding
    await running.advance(AFTERMATH_S - 30)
    assert guards
    await running.advance(40)
    assert not guards


async def test_the_switch_is_never_turned_on_to_turn_it_off(running: House) -> None:
    house = running
    before = len(house.asked("turn_on"))
    house.plant.faults.on(Fault.IGNORE_STOP, times=8)
    with pytest.raises(HomeAssistantError):
        await house.call("stop_discharge")
    await house.advance(240, until=lambda: _idle(house))
    assert _idle(house)
    assert len(house.asked("turn_on")) == before
    assert not house.discharging


async def test_a_slow_switch_off_is_waited_for(running: House) -> None:
    house = running

    async def slow(call: ServiceCall) -> None:
        house.postpone(4, call)

    house.broken[DISCHARGING] = slow
    answer = await house.call("stop_discharge")
    assert answer["stopped"]
    assert not house.discharging


async def test_a_headroom_that_ends_while_the_link_is_down_is_made_good(ready: House) -> None:
    house = ready
    await house.discharge(1000)
    house.plant.faults.on(Fault.HANG)
    await house.advance(400, until=lambda: house.state.phase is Phase.STOPPING)
    assert house.state.stopping is not None
    assert house.state.stopping.reason is EndReason.HEADROOM_USED_UP
    assert house.plant.truth().exported_kwh <= 1.01
    await house.advance(20)
    assert house.entity("error_state") == "discharge_stop_failed"
    house.plant.faults.off(Fault.HANG)
    await house.advance(60, until=lambda: _idle(house))
    assert _idle(house)
    assert not house.discharging
