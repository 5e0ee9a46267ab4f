"""A start fails closed: refused with its reason, or written in order, verified, and undone."""

import asyncio
from collections.abc import Awaitable, Callable
import json
from pathlib import Path
from typing import Any

from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import Blocker, EndReason
from simulator.alphaess_home import switch
from simulator.faults import Fault
from tests.integration.conftest import Build
from tests.integration.house import DISCHARGING, FEED_IN_TODAY, WIRING, House

POWER = WIRING[const.CONF_DISCHARGE_POWER]
CUTOFF = WIRING[const.CONF_DISCHARGE_CUTOFF]
DURATION = WIRING[const.CONF_DISCHARGE_DURATION]
MESSAGES = json.loads(
    Path("custom_components/export_monitor/translations/en.json").read_text(encoding="utf-8")
)["exceptions"]

type Arrange = Callable[[House], Awaitable[None]]


async def _changed(house: House, **options: object) -> None:
    house.options(**options)
    await house.settle()


async def _target_zero(house: House) -> None:
    await _changed(house, target_export=0)


async def _circuit_open(house: House) -> None:
    house.damage(POWER, "raise")
    for _ in range(2):
        with pytest.raises(HomeAssistantError):
            await house.call("start_discharge")
        await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)


async def _no_data(house: House) -> None:
    house.hide(FEED_IN_TODAY)


async def _stale_data(house: House) -> None:
    house.silence(*house.home.states())
    await house.advance(70)


async def _soc_missing(house: House) -> None:
    house.hide(WIRING[const.CONF_SOC])


async def _counter_not_seen(house: House) -> None:
    house.silence(FEED_IN_TODAY)
    await house.advance(120, until=lambda: house.plant.now.hour == 0)


async def _soc_at_floor(house: House) -> None:
    house.plant.soc = 19
    await house.advance(11)


async def _soc_at_reserve(house: House) -> None:
    house.hass.states.async_set("sensor.reserve", "85", {"unit_of_measurement": "%"})
    await house.settle()


async def _no_headroom(house: House) -> None:
    await _changed(house, fixed_limit=0.54)


async def _mode_conflict(house: House) -> None:
    house.charge()
    await house.settle()


async def _already_running(house: House) -> None:
    await house.discharge()


async def _stop_in_progress(house: House) -> None:
    await house.discharge()
    house.plant.faults.on(Fault.IGNORE_STOP, times=2)
    house.ask("stop_discharge")
    await house.advance(1)


async def _dry_run(house: House) -> None:
    await _changed(house, dry_run=True)


async def _nothing(_house: House) -> None:
    return


REFUSALS: dict[Blocker, Arrange] = {
    Blocker.TARGET_ZERO: _target_zero,
    Blocker.CIRCUIT_OPEN: _circuit_open,
    Blocker.NO_DATA: _no_data,
    Blocker.STALE_DATA: _stale_data,
    Blocker.SOC_MISSING: _soc_missing,
    Blocker.COUNTER_NOT_SEEN: _counter_not_seen,
    Blocker.COUNTER_UNKNOWN: _nothing,
    Blocker.SOC_AT_FLOOR: _soc_at_floor,
    Blocker.SOC_AT_RESERVE: _soc_at_reserve,
    Blocker.NO_HEADROOM: _no_headroom,
    Blocker.MODE_CONFLICT: _mode_conflict,
    Blocker.ALREADY_RUNNING: _already_running,
    Blocker.STOP_IN_PROGRESS: _stop_in_progress,
    Blocker.DRY_RUN: _dry_run,
}
# Those that a discharge started by hand is never refused for.
OF_CHARGES = {Blocker.NO_CHARGE_CONTROL, Blocker.SOC_FULL}
OF_AUTOMATIC_STARTS = {Blocker.COOLDOWN, Blocker.SOC_NEAR_FLOOR}
STANDING = {
    Blocker.MODE_CONFLICT: ("mode_conflict", None),
    Blocker.STALE_DATA: ("stale_data", "stale_data"),
    Blocker.NO_DATA: ("no_data", "no_data"),
    Blocker.SOC_MISSING: ("soc_read_failed", "soc_read_failed"),
}


@pytest.mark.parametrize("blocker", REFUSALS)
async def test_every_refusal_has_its_own_words_and_starts_nothing(
    build: Build, blocker: Blocker
) -> None:
    midnight = blocker is Blocker.COUNTER_NOT_SEEN
    start = House.LATE if midnight else House.EVENING
    house = build(start=start)
    wiring: dict[str, Any] = {}
    options: dict[str, Any] = {}
    if blocker is Blocker.COUNTER_UNKNOWN:
        wiring[const.CONF_EXPORT_ENERGY] = "sensor.alphaess_total_energy_feed_to_grid_meter"
    if blocker is Blocker.SOC_AT_RESERVE:
        house.hass.states.async_set("sensor.reserve", "10", {"unit_of_measurement": "%"})
        wiring[const.CONF_RESERVE_SOC] = "sensor.reserve"
        options[const.CONF_OBSERVE_RESERVE] = True
    await house.set_up(wiring=wiring, **options)
    await house.advance(1 if midnight else 70)
    await REFUSALS[blocker](house)
    assert (await house.call("calculate_discharge"))["why_not"] == blocker, "and it is shown"
    assert house.attributes("discharge_status")["blocker"] == blocker
    switched_on = len(house.asked("turn_on"))
    with pytest.raises(ServiceValidationError) as refusal:
        await house.call("start_discharge")
    assert refusal.value.translation_key == f"refused_{blocker}"
    assert refusal.value.translation_domain == const.DOMAIN
    assert len(house.asked("turn_on")) == switched_on
    if blocker in STANDING:
        error, notification = STANDING[blocker]
        assert house.entity("error_state") == error
        if notification is not None:
            assert house.notification(notification)
    await house.advance(60, until=lambda: house.state.phase is Phase.IDLE)


def test_every_refusal_is_translated_in_words_of_its_own() -> None:
    assert {*REFUSALS, *OF_CHARGES, *OF_AUTOMATIC_STARTS} == set(Blocker)
    texts = [MESSAGES[f"refused_{blocker}"]["message"] for blocker in Blocker]
    assert len(set(texts)) == len(Blocker)
    assert all(text.startswith("Not started") for text in texts)


async def test_the_first_reason_in_the_order_of_the_checks_is_given(ready: House) -> None:
    house = ready
    house.plant.soc = 19
    house.charge()
    await house.advance(15)
    house.hide(WIRING[const.CONF_SOC])
    circuit = house.runtime.coordinator.circuits[1]
    for _ in range(5):
        circuit.record_failure()
    await _changed(house, target_export=0, fixed_limit=0)

    async def why_not() -> object:
        return (await house.call("calculate_discharge"))["why_not"]

    assert await why_not() == Blocker.TARGET_ZERO
    await _changed(house, target_export=3000)
    assert await why_not() == Blocker.CIRCUIT_OPEN
    circuit.reset()
    assert await why_not() == Blocker.SOC_MISSING
    house.show()
    await house.advance(11)
    assert await why_not() == Blocker.SOC_AT_FLOOR
    house.plant.soc = 60
    await house.advance(11)
    assert await why_not() == Blocker.NO_HEADROOM
    await _changed(house, fixed_limit=5)
    assert await why_not() == Blocker.MODE_CONFLICT
    house.home.call("input_boolean", "turn_off", {"entity_id": switch("charging")})
    await house.advance(11)
    assert await why_not() is None
    await house.discharge(1)
    assert house.discharging


async def test_an_error_of_a_refusal_goes_with_its_cause(ready: House) -> None:
    house = ready
    await _mode_conflict(house)
    with pytest.raises(ServiceValidationError):
        await house.call("start_discharge")
    assert house.entity("error_state") == "mode_conflict"
    house.home.call("input_boolean", "turn_off", {"entity_id": switch("charging")})
    await house.advance(11)
    assert house.entity("error_state") == "none"
    house.hide(WIRING[const.CONF_SOC])
    with pytest.raises(ServiceValidationError):
        await house.call("start_discharge")
    assert WIRING[const.CONF_SOC] in (house.notification("soc_read_failed") or "")
    house.show()
    await house.advance(11)
    assert house.entity("error_state") == "none"
    assert house.notification("soc_read_failed") is None


WRITES = {
    POWER: ("discharge_power_set_failed", "discharge_power_failed", "Discharge Power Set Failed"),
    CUTOFF: (
        "discharge_cutoff_set_failed",
        "discharge_cutoff_failed",
        "Discharge Cutoff Set Failed",
    ),
    DURATION: (
        "discharge_duration_set_failed",
        "discharge_duration_failed",
        "Discharge Duration Set Failed",
    ),
    DISCHARGING: ("discharge_start_failed", "discharge_start_failed", "Discharge Start Failed"),
}


def _title(house: House, name: str) -> str:
    shown = house.hass.data["persistent_notification"]
    return str(shown[f"export_monitor_{name}"]["title"])


@pytest.mark.parametrize("how", ["raise", "hang", "lie", "unavailable"])
@pytest.mark.parametrize("entity_id", WRITES)
async def test_a_failed_write_ends_the_start_with_the_battery_off(
    ready: House, entity_id: str, how: str
) -> None:
    house = ready
    error, notification, title = WRITES[entity_id]
    # An unavailable switch is a missing input, so it goes between the request and its turn.
    if entity_id == DISCHARGING and how == "unavailable":

        async def vanish(call: ServiceCall) -> None:
            house.home.call(call.domain, call.service, call.data)
            house.hide(entity_id)

        house.broken[DURATION] = vanish
    else:
        house.damage(entity_id, how)
    with pytest.raises(HomeAssistantError) as failure:
        await house.call("start_discharge")
    assert not isinstance(failure.value, ServiceValidationError)
    assert failure.value.translation_key == f"failed_{error}"
    assert failure.value.translation_key in MESSAGES
    assert house.entity("error_state") == error
    assert house.entity("discharge_status") == "Error"
    assert entity_id in (house.notification(notification) or "")
    assert _title(house, notification) == title
    house.broken.clear()
    house.show()
    await house.advance(60, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.phase is Phase.IDLE
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.START_FAILED
    assert house.home.states()[DISCHARGING].value == "off"
    assert not house.discharging
    assert house.plant.truth().exported_kwh == 0
    assert not [write for write in house.plant.writes if write.values[0] == 1]
    assert house.notification("discharge_stop_failed") is None


async def test_a_start_that_succeeds_clears_what_an_earlier_one_left(ready: House) -> None:
    house = ready
    house.damage(CUTOFF, "lie")
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert house.entity("system_health") == "Error"
    house.broken.clear()
    await house.discharge(1)
    assert house.entity("system_health") == "Healthy"
    assert house.notification("discharge_cutoff_failed") is None


async def test_parameters_are_written_first_and_the_switch_last(ready: House) -> None:
    house = ready
    await house.discharge()
    assert house.calls[:4] == [
        ("input_number", "set_value", {"entity_id": POWER, "value": 3.0}),
        ("input_number", "set_value", {"entity_id": CUTOFF, "value": 21.0}),
        ("input_number", "set_value", {"entity_id": DURATION, "value": 15.0}),
        ("input_boolean", "turn_on", {"entity_id": DISCHARGING}),
    ]
    # From then on the power follows what the house takes of it.
    assert house.asked("set_value")[3] == (POWER, 3.5)


@pytest.mark.parametrize(
    ("min_soc", "asked"), [(20, 21.0), (10, 11.0), (4, 5.0), (50, 51.0), (49, 49.0), (100, 100.0)]
)
async def test_the_cutoff_asks_for_what_truncates_to_at_least_the_floor(
    build: Build, min_soc: float, asked: float
) -> None:
    house = build(soc=100)
    await house.set_up(min_soc=min_soc)
    await house.advance(70)
    if min_soc == 100:
        with pytest.raises(ServiceValidationError):
            await house.call("start_discharge")
        return
    await house.discharge(1)
    assert house.asked("set_value")[1] == (CUTOFF, asked)
    assert int(asked / 0.392) * 0.392 >= min_soc


@pytest.mark.parametrize(
    ("options", "pv_w", "minutes"),
    [
        ({"fixed_limit": 10}, 0, 30.0),  # the lease
        ({"fixed_limit": 10, "hardware_lease": 12}, 0, 10.0),  # the lease by the helper's step
        ({}, 0, 15.0),  # 1 kWh less a meter step at 3 kW
        ({"inverter_limit": 5000}, 2000, 10.0),  # at 5 kW with the sun
        ({"fixed_limit": 0.6}, 0, 5.0),  # at least a step
    ],
)
async def test_the_dead_man_time_is_what_the_worst_case_leaves(
    build: Build, options: dict[str, Any], pv_w: float, minutes: float
) -> None:
    house = build(pv_w=pv_w, load_w=max(pv_w, 500))
    await house.set_up(**options)
    await house.advance(70)
    await house.discharge(2)
    assert house.asked("set_value")[2] == (DURATION, minutes)
    remaining = house.plant.truth().dispatch_remaining_s
    assert remaining is not None
    assert remaining <= 60 * minutes


@pytest.mark.parametrize(("asked", "written"), [(2000, 2.0), (5000, 3.0), (1234, 1.2)])
async def test_a_power_only_ever_lowers_the_target(
    ready: House, asked: float, written: float
) -> None:
    answer = await ready.call("start_discharge", power_w=asked)
    assert ready.asked("set_value")[0] == (POWER, written)
    assert answer["power_w"] <= 3000
    await ready.advance(1)
    assert ready.plant.truth().dispatch_power_w == 1000 * written


async def test_a_power_below_the_smallest_step_arms_nothing(ready: House) -> None:
    with pytest.raises(HomeAssistantError):
        await ready.call("start_discharge", power_w=40)
    await ready.advance(30, until=lambda: ready.state.phase is Phase.IDLE)
    assert not ready.asked("turn_on")


async def test_the_site_limit_caps_the_target(ready: House) -> None:
    ready.options(site_export_limit=2500)
    await ready.settle()
    await ready.discharge(1)
    assert ready.plant.truth().dispatch_power_w == 2500


@pytest.mark.parametrize(
    ("asked", "allowed", "reason"),
    [(0.3, 0.3, EndReason.TARGET_REACHED), (5.0, 1.0, EndReason.HEADROOM_USED_UP)],
)
async def test_an_energy_only_ever_lowers_the_headroom(
    ready: House, asked: float, allowed: float, reason: EndReason
) -> None:
    house = ready
    await house.discharge(energy_kwh=asked)
    await house.advance(1800, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.last is not None
    assert house.state.last.reason is reason
    assert 0.9 * allowed <= house.plant.truth().exported_kwh <= allowed + 0.01


@pytest.mark.parametrize(
    ("asked", "seconds", "reason"),
    [(2, 120, EndReason.PLANNED_END), (600, 1440, EndReason.HEADROOM_USED_UP)],
)
async def test_a_duration_only_ever_lowers_the_time(
    ready: House, asked: float, seconds: float, reason: EndReason
) -> None:
    house = ready
    began = house.plant.elapsed_s
    await house.discharge(duration_minutes=asked)
    await house.advance(2400, until=lambda: not house.discharging)
    assert house.plant.elapsed_s - began <= seconds + 5
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.last is not None
    assert house.state.last.reason is reason


@pytest.mark.parametrize("entity_id", [POWER, CUTOFF, DURATION, DISCHARGING])
async def test_a_stop_cancels_a_start_that_hangs(ready: House, entity_id: str) -> None:
    house = ready
    house.damage(entity_id, "hang")
    start = house.ask("start_discharge")
    await house.advance(2)
    assert not start.done()
    stopped = await house.call("stop_discharge")
    assert stopped["stopped"]
    assert start.done()
    failure = start.exception()
    assert isinstance(failure, HomeAssistantError)
    assert failure.translation_key == "start_cancelled"
    house.broken.clear()
    await house.advance(40)
    assert house.state.phase is Phase.IDLE
    assert not [write for write in house.plant.writes if write.values[0] == 1]
    assert house.entity("error_state") == "none"


async def test_a_switch_that_comes_on_after_the_stop_goes_off_again(ready: House) -> None:
    house = ready

    async def late(call: ServiceCall) -> None:
        house.postpone(12, call)
        await asyncio.Event().wait()

    house.broken[DISCHARGING] = late
    start = house.ask("start_discharge")
    await house.advance(2)
    del house.broken[DISCHARGING]
    await house.call("stop_discharge")
    assert isinstance(start.exception(), HomeAssistantError)
    await house.advance(15)
    assert [w for w in house.plant.writes if w.values[0] == 1], "the late switch-on must happen"
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert not house.discharging
    assert house.home.states()[DISCHARGING].value == "off"
    assert house.state.session is None


async def test_a_mode_turned_on_in_mid_start_wins(ready: House) -> None:
    house = ready

    async def user(call: ServiceCall) -> None:
        house.charge()
        house.home.call(call.domain, call.service, call.data)

    house.broken[CUTOFF] = user
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    assert not house.asked("turn_on")
    await house.advance(60)
    assert house.home.states()[switch("charging")].value == "on"
    assert house.plant.truth().battery_w < 0
    assert house.state.phase is Phase.IDLE


async def test_of_two_starts_at_once_one_runs(ready: House) -> None:
    house = ready
    first, second = house.ask("start_discharge"), house.ask("start_discharge")
    await house.advance(3)
    assert first.done()
    assert second.done()
    outcomes = [first.exception(), second.exception()]
    assert outcomes.count(None) == 1
    assert len(house.asked("turn_on")) == 1


async def test_a_record_that_cannot_be_written_keeps_the_battery_off(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = ready

    async def refuse(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr("homeassistant.helpers.storage.Store.async_save", refuse)
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert not house.discharging
    assert house.plant.elapsed_s < 150


async def test_a_mode_that_nobody_named_is_not_written_over(build: Build) -> None:
    house = build()
    await house.set_up(wiring={const.CONF_CONFLICTING_MODES: []})
    await house.advance(70)
    house.charge()
    await house.advance(20)
    with pytest.raises(ServiceValidationError) as refused:
        await house.call("start_discharge")
    assert refused.value.translation_key == "refused_mode_conflict"
    dispatch = WIRING[const.CONF_DISPATCH_START]
    assert house.attributes("error_state")["entity_id"] == dispatch
    assert not house.asked("set_value", "turn_on")
    assert house.plant.truth().battery_w < 0
