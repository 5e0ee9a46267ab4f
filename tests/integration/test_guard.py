"""A running discharge ends for each of its reasons, and its dead-man timer never runs dry."""

from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise
from typing import Any

from homeassistant.core import ServiceCall
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import EndReason, Origin
from simulator import registers as reg
from simulator.alphaess_home import Habits, switch
from simulator.faults import Fault
from simulator.home_sensors import Polling
from simulator.settings import AtCutoff, PlantSettings
from tests.integration.conftest import Build
from tests.integration.house import (
    DISCHARGING,
    EVENING,
    FEED_IN_TODAY,
    FORECAST,
    PV_TODAY,
    WIRING,
    House,
)

DURATION = WIRING[const.CONF_DISCHARGE_DURATION]
SOC = WIRING[const.CONF_SOC]
GRID = WIRING[const.CONF_GRID_POWER]
BATTERY = WIRING[const.CONF_BATTERY_POWER]
METER_STEP_KWH = 0.01


async def _ended(house: House, within_s: float, *reasons: EndReason) -> None:
    """Let time pass until the end is proven, and check that the plant agrees."""
    await house.advance(within_s, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.phase is Phase.IDLE
    assert not house.discharging
    assert house.plant.truth().grid_w >= -1
    last = house.state.last
    assert last is not None
    assert last.reason in reasons
    assert last.ended is not None


async def test_the_soc_floor_ends_it(running: House) -> None:
    running.plant.soc = 20.5
    running.options(min_soc=25)
    await _ended(running, 30, EndReason.SOC_FLOOR)


@pytest.mark.parametrize("at_cutoff", AtCutoff)
async def test_a_battery_at_its_own_cutoff_ends_it(build: Build, at_cutoff: AtCutoff) -> None:
    plant = PlantSettings(start=EVENING, soc=22.0, at_cutoff=at_cutoff)
    house = build(plant=plant)
    await house.set_up(fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    await _ended(house, 900, EndReason.SOC_FLOOR)
    assert house.plant.soc >= 20
    assert house.entity("error_state") == "none"


async def test_a_reserve_that_rises_ends_it(build: Build) -> None:
    house = build()
    house.hass.states.async_set("sensor.reserve", "30", {"unit_of_measurement": "%"})
    await house.set_up(
        wiring={const.CONF_RESERVE_SOC: "sensor.reserve"}, observe_reserve_soc=True, fixed_limit=10
    )
    await house.advance(70)
    await house.discharge()
    house.hass.states.async_set("sensor.reserve", "90", {"unit_of_measurement": "%"})
    await _ended(house, 30, EndReason.RESERVE_SOC)


async def test_the_users_stop_ends_it(running: House) -> None:
    answer = await running.call("stop_discharge", reason="The car")
    assert answer["proof"] == "dispatch"
    assert answer["reason"] == "user"
    await _ended(running, 1, EndReason.USER)
    assert running.state.last is not None
    assert running.state.last.note == "The car"


async def test_a_switch_turned_off_by_hand_ends_it(running: House) -> None:
    running.home.call("input_boolean", "turn_off", {"entity_id": DISCHARGING})
    await _ended(running, 30, EndReason.EXTERNAL)
    assert running.notification("discharge_stop_failed") is None


async def test_a_link_lost_for_ten_seconds_leaves_no_discharge_behind(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.DROP, until_s=house.plant.elapsed_s + 10)
    await house.advance(11)
    assert house.home.states()[DISCHARGING].value == "off"
    assert house.discharging, "the package's own reset must have been lost"
    await house.advance(120, until=lambda: not house.discharging)
    assert not house.discharging
    assert house.plant.truth().dispatch_remaining_s is None
    await _ended(house, 30, EndReason.EXTERNAL)
    assert house.state.last is not None
    assert house.state.last.proof == "dispatch"
    assert house.notification("discharge_stop_failed") is None
    assert house.entity("error_state") == "none"


async def test_a_dispatch_that_is_gone_is_a_battery_that_does_not_follow(running: House) -> None:
    house = running
    house.plant.write(reg.DISPATCH, reg.RESET_BLOCK)
    await house.advance(40, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert house.entity("error_state") == "battery_not_responding"
    assert DISCHARGING in (house.notification("battery_not_responding") or "")
    await _ended(house, 30, EndReason.BATTERY_NOT_FOLLOWING)
    assert house.entity("discharge_status") == "Error"
    await house.discharge()
    assert house.entity("error_state") == "none"
    assert house.notification("battery_not_responding") is None


async def test_a_battery_that_gives_nothing_is_noticed_without_a_dispatch_sensor(
    build: Build,
) -> None:
    house = build()
    await house.set_up(without=(const.CONF_DISPATCH_START,), fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    house.plant.write(reg.DISPATCH, reg.RESET_BLOCK)
    await _ended(house, 90, EndReason.BATTERY_NOT_FOLLOWING)


async def test_an_inverter_that_ignores_the_start_is_noticed(ready: House) -> None:
    house = ready
    house.plant.faults.on(Fault.IGNORE_WRITES)
    await house.discharge()
    await _ended(house, 60, EndReason.BATTERY_NOT_FOLLOWING)
    assert house.entity("error_state") == "battery_not_responding"


async def test_a_clipping_inverter_is_no_battery_that_does_not_follow(build: Build) -> None:
    house = build(pv_w=4500, load_w=4500)
    await house.set_up(fixed_limit=10, inverter_limit=5000)
    await house.advance(70)
    await house.discharge(120)
    assert house.plant.truth().battery_w < 1500
    assert house.state.phase is Phase.ACTIVE


async def test_a_forecast_that_falls_ends_it_at_once(build: Build) -> None:
    house = build()

    def forecast(kwh: float) -> None:
        facts = {"unit_of_measurement": "kWh", "estimate10": kwh, "estimate90": kwh}
        house.hass.states.async_set(FORECAST[const.CONF_FORECAST_TODAY], str(kwh), facts)

    forecast(8.0)
    await house.set_up(wiring=FORECAST, basis="forecast", safety_margin=0.5)
    await house.advance(70)
    assert house.entity("export_allowed") == "7.5"
    await house.discharge(300)
    assert house.plant.truth().exported_kwh > 0.2
    forecast(0.65)
    began = house.plant.elapsed_s
    await house.advance(10, until=lambda: house.state.phase is Phase.STOPPING)
    assert house.plant.elapsed_s - began <= 2
    await _ended(house, 30, EndReason.HEADROOM_USED_UP)


def _frozen(house: House) -> None:
    house.plant.faults.on(Fault.FREEZE_COUNTERS)


def _gone(house: House) -> None:
    house.hide(FEED_IN_TODAY)


def _silent(house: House) -> None:
    house.silence(FEED_IN_TODAY, "sensor.alphaess_total_energy_feed_to_grid_meter")


def _grid_gone(house: House) -> None:
    house.hide(GRID)


@pytest.mark.parametrize("lose", [_frozen, _gone, _silent, _grid_gone])
@pytest.mark.parametrize("without", [(), (const.CONF_GRID_POWER,)])
async def test_what_cannot_be_counted_is_counted_by_the_worst_case(
    ready: House, build: Build, lose: Callable[[House], None], without: tuple[str, ...]
) -> None:
    house = ready
    if without:
        await house.hass.config_entries.async_remove(house.entry.entry_id)
        house = build()
        await house.set_up(without=without)
        await house.advance(70)
    house.options(fixed_limit=1.0, target_export=5000)
    await house.settle()
    before = house.plant.truth().exported_kwh
    await house.discharge(60)
    lose(house)
    await house.advance(900, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert house.plant.truth().exported_kwh - before <= 0.5 + METER_STEP_KWH
    assert house.plant.truth().exported_kwh - before >= 0.35
    # In the blind the dead-man time is not renewed, so it may be what ends it.
    reasons = (EndReason.HEADROOM_USED_UP, EndReason.RENEWAL_FAILED, EndReason.BLIND_LIMIT)
    await _ended(house, 30, *reasons)


async def test_a_discharge_in_the_blind_ends_at_the_blind_limit(running: House) -> None:
    house = running
    house.hide(FEED_IN_TODAY)
    began = house.plant.elapsed_s
    await house.advance(1000, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert 895 <= house.plant.elapsed_s - began <= 901
    await _ended(house, 30, EndReason.BLIND_LIMIT)


async def test_a_counter_that_comes_back_ends_the_blindness(running: House) -> None:
    house = running
    house.options(blind_limit=2)
    house.hide(FEED_IN_TODAY)
    await house.advance(100)
    house.show()
    await house.advance(100)
    assert house.state.phase is Phase.ACTIVE


async def test_a_counter_that_rests_in_a_house_that_takes_all_is_not_frozen(build: Build) -> None:
    house = build(load_w=3200)
    await house.set_up(fixed_limit=10, blind_limit=5)
    await house.advance(70)
    await house.discharge(500)
    assert house.state.phase is Phase.ACTIVE


async def test_the_soc_vanishing_is_an_error_and_ends_at_the_blind_limit(running: House) -> None:
    house = running
    house.options(blind_limit=2)
    house.hide(SOC)
    await house.advance(14)
    assert house.entity("error_state") == "none"
    await house.advance(3)
    assert house.entity("error_state") == "soc_read_failed"
    assert SOC in (house.notification("soc_read_failed") or "")
    assert house.state.phase is Phase.ACTIVE
    await _ended(house, 150, EndReason.BLIND_LIMIT)
    house.show()
    await house.advance(11)
    assert house.entity("error_state") == "none"
    assert house.notification("soc_read_failed") is None


@pytest.mark.parametrize("value", ["150", "-3", "nan", "inf", "", "text", "unknown"])
async def test_a_garbage_soc_is_no_soc(running: House, value: str) -> None:
    house = running
    house.frozen[SOC] = value
    await house.advance(30)
    assert house.entity("error_state") == "soc_read_failed"
    assert house.state.phase is Phase.ACTIVE
    house.frozen.clear()
    await house.advance(11)
    assert house.entity("error_state") == "none"


async def test_a_garbage_grid_power_counts_by_the_worst_case(ready: House) -> None:
    house = ready
    house.options(fixed_limit=1.0)
    await house.settle()
    await house.discharge(100)
    house.plant.faults.on(Fault.GARBAGE_GRID)
    await house.advance(900, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert 0.35 <= house.plant.truth().exported_kwh <= 0.51


@pytest.mark.parametrize("fault", [Fault.GARBAGE_FEED_IN, Fault.ZERO_FEED_IN])
@pytest.mark.parametrize("lifetime", [False, True])
async def test_one_garbage_reading_of_the_counter_neither_raises_nor_hides_export(
    build: Build, fault: Fault, lifetime: bool
) -> None:
    midnight = EVENING.replace(hour=0)
    house = build(start=midnight if lifetime else EVENING)
    wiring: dict[str, Any] = {}
    if lifetime:
        wiring[const.CONF_EXPORT_ENERGY] = "sensor.alphaess_total_energy_feed_to_grid_meter"
    await house.set_up(wiring=wiring, target_export=5000, fixed_limit=1.2)
    await house.advance(70)
    await house.discharge(140)
    house.plant.faults.on(fault, until_s=house.plant.elapsed_s + 61)
    await house.advance(900, until=lambda: house.state.phase is not Phase.ACTIVE)
    exported = house.plant.truth().exported_kwh
    assert exported <= 0.7 + METER_STEP_KWH
    # Blind for three minutes, what the house takes counts as exported; a tick hides 83 Wh at 5 kW.
    assert exported >= 0.57
    # The package's meter of the day is spoilt until midnight; our own sums survive it.
    assert house.hass.states.get("binary_sensor.export_monitor_over_export").state == "off"
    if lifetime:
        await house.advance(180)
        assert house.entity("error_state") == "none"
        counted = float(house.entity("exported_today"))  # the hidden part rather twice than never
        assert exported - METER_STEP_KWH <= counted <= exported + 0.04


async def test_export_above_the_contract_ends_it_with_an_alarm(running: House) -> None:
    house = running
    await house.advance(300)
    assert house.plant.truth().exported_kwh > 0.2
    house.options(fixed_limit=0.1)
    await _ended(house, 30, EndReason.OVER_EXPORT)
    assert house.entity("error_state") == "over_export"
    assert house.hass.states.get("binary_sensor.export_monitor_over_export").state == "on"
    assert house.notification("over_export")


async def test_a_contract_that_rises_above_the_export_again_lets_it_run(running: House) -> None:
    house = running
    await house.advance(300)
    house.options(fixed_limit=0.1)
    await _ended(house, 30, EndReason.OVER_EXPORT)
    house.options(fixed_limit=10)
    await house.settle()
    answer = await house.call("calculate_discharge")
    if answer["can_start"]:  # what says yes must not end at once
        await house.call("start_discharge")
        await house.advance(20)
        assert house.state.phase is Phase.ACTIVE


@pytest.mark.parametrize("lease", [5, 10, 30])
async def test_renewals_change_the_duration_and_the_time_never_runs_out(
    build: Build, lease: float
) -> None:
    house = build(soc=100, plant=PlantSettings(start=EVENING, soc=90, capacity_kwh=30))
    await house.set_up(fixed_limit=25, hardware_lease=lease, battery_capacity_kwh=30)
    await house.advance(70)
    await house.discharge(3)
    least = house.plant.truth().dispatch_remaining_s or 0

    def dry() -> bool:
        nonlocal least
        remaining = house.plant.truth().dispatch_remaining_s
        least = min(least, remaining or 0)
        assert remaining is None or remaining <= 60 * max(lease, 10) + 1
        return remaining is None

    await house.advance(1000 if lease == 30 else 620, until=dry)
    written = [value for entity, value in house.asked("set_value") if entity == DURATION]
    assert len(written) >= 2
    assert all(a != b for a, b in pairwise(written))
    assert least >= 60 * 5 / 2 - 10
    assert house.state.phase is Phase.ACTIVE


@pytest.mark.parametrize("how", ["raise", "hang", "lie", "unavailable"])
async def test_a_failed_renewal_stops(build: Build, how: str) -> None:
    house = build()
    await house.set_up(fixed_limit=10, hardware_lease=5)
    await house.advance(70)
    await house.discharge()
    house.damage(DURATION, how)
    await house.advance(220, until=lambda: house.state.phase is Phase.STOPPING)
    assert house.entity("error_state") == "discharge_duration_set_failed"
    assert DURATION in (house.notification("discharge_duration_failed") or "")
    await _ended(house, 30, EndReason.RENEWAL_FAILED)


async def test_the_guard_needs_no_coordinator(running: House) -> None:
    house = running
    circuit = house.runtime.coordinator.circuits[0]
    for _ in range(5):
        circuit.record_failure()
    await house.settle()
    house.runtime.coordinator.update_interval = timedelta(hours=1)
    house.options(fixed_limit=0.9)
    await house.settle()
    before = house.plant.truth().exported_kwh
    await house.advance(900, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert 0.3 <= house.plant.truth().exported_kwh - before <= 0.4
    await _ended(house, 30, EndReason.HEADROOM_USED_UP)


async def test_a_discharge_that_somebody_else_started_is_guarded(ready: House) -> None:
    house = ready
    house.options(fixed_limit=0.8)
    for name, value in (("power", 3), ("cutoff_soc", 10), ("duration", 120)):
        data = {"entity_id": f"input_number.alphaess_helper_force_discharging_{name}"}
        house.home.call("input_number", "set_value", {**data, "value": value})
    house.home.call("input_boolean", "turn_on", {"entity_id": DISCHARGING})
    await house.advance(20)
    assert house.state.session is not None
    assert house.state.session.origin is Origin.ADOPTED
    assert house.attributes("discharge_status")["origin"] == "adopted"
    assert not house.calls, "its own timer is left alone"
    await house.advance(1800, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert 0.25 <= house.plant.truth().exported_kwh <= 0.31
    await _ended(house, 30, EndReason.HEADROOM_USED_UP)


async def test_a_dispatch_without_the_switch_is_found_and_guarded(ready: House) -> None:
    house = ready
    house.options(fixed_limit=0.8)
    house.plant.write(reg.DISPATCH, reg.dispatch_block(3000, 10, 7200))
    await house.advance(20)
    assert house.state.phase is not Phase.IDLE
    await house.advance(1800, until=lambda: not house.discharging)
    assert not house.discharging
    assert house.plant.truth().exported_kwh <= 0.31


async def test_a_charging_mode_turned_on_by_the_user_ends_it_and_goes_on(running: House) -> None:
    house = running
    house.charge()
    await house.advance(60)
    assert house.state.phase is Phase.IDLE
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.EXTERNAL
    assert house.home.states()[switch("charging")].value == "on"
    assert house.plant.truth().battery_w < 0
    assert house.notification("discharge_stop_failed") is None


async def test_slow_automations_and_ragged_polls_raise_no_false_alarm(build: Build) -> None:
    habits = Habits(write_latency_s=1.7, reset_latency_s=3.2, polling=Polling(jitter_s=3.3, seed=7))
    house = build(habits=habits)
    await house.set_up()
    await house.advance(70)
    await house.discharge(20)
    await house.advance(1800, until=lambda: house.state.phase is Phase.IDLE)
    assert 0.97 <= house.plant.truth().exported_kwh <= 1.012
    assert house.entity("error_state") == "none"
    assert house.attributes("error_state")["last_errors"] == []


async def test_an_inverter_that_hangs_with_old_values_is_not_believed(running: House) -> None:
    house = running
    house.plant.faults.on(Fault.HANG)
    before = house.plant.truth().exported_kwh
    await house.advance(1000, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert house.state.phase is not Phase.ACTIVE
    # 3 kW for a minute until the values are too old, for the blind limit, and for the stop.
    assert house.plant.truth().exported_kwh - before <= 3 * (60 + 900 + 10) / 3600
    house.plant.faults.off(Fault.HANG)
    await house.advance(90, until=lambda: house.state.phase is Phase.IDLE)
    assert not house.discharging


async def test_a_house_without_optional_sensors_is_guarded_by_the_worst_case(build: Build) -> None:
    house = build()
    without = (
        const.CONF_GRID_POWER,
        const.CONF_BATTERY_POWER,
        const.CONF_PV_POWER,
        const.CONF_HOUSE_LOAD,
        const.CONF_DISPATCH_START,
    )
    await house.set_up(without=without, inverter_limit=5000)
    await house.advance(70)
    await house.discharge()
    await house.advance(1800, until=lambda: house.state.phase is not Phase.ACTIVE)
    assert house.plant.truth().exported_kwh <= 1.01
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.last is not None
    assert house.state.last.proof == "switch"


async def test_an_energy_target_is_kept_over_a_switch_that_answers_late(ready: House) -> None:
    house = ready

    async def slow(call: ServiceCall) -> None:
        house.postpone(2, call)

    house.broken[DISCHARGING] = slow
    await house.call("start_discharge", energy_kwh=0.2)
    house.broken.clear()
    await house.advance(600, until=lambda: house.state.phase is Phase.IDLE)
    assert house.plant.truth().exported_kwh <= 0.21
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.TARGET_REACHED


async def test_every_pv_counter_of_a_contract_counts(build: Build) -> None:
    house = build(pv_w=2000, load_w=2000)
    facts: dict[str, Any] = {"unit_of_measurement": "Wh"}
    house.hass.states.async_set("sensor.roof_today", "1500", facts)
    await house.set_up(
        wiring={const.CONF_PV_ENERGY: [PV_TODAY, "sensor.roof_today"]}, basis="generated"
    )
    await house.advance(400)
    assert house.attributes("export_headroom")["generated"] == pytest.approx(1.7, abs=0.11)
    house.hass.states.async_set("sensor.roof_today", "1700", facts)
    await house.advance(11)
    assert house.attributes("export_headroom")["generated"] == pytest.approx(1.9, abs=0.11)


@pytest.mark.parametrize(("pv_w", "target"), [(3000, 5000), (0, 12000)])
async def test_an_inverter_of_unknown_limit_that_gives_all_it_can_is_no_fault(
    build: Build, pv_w: float, target: float
) -> None:
    """With sun, or a target above its size, a healthy inverter gives less than half of it."""
    house = build(pv_w=pv_w, load_w=max(pv_w, 500))
    await house.set_up(fixed_limit=10, target_export=target)
    await house.advance(70)
    await house.discharge(120)
    assert house.entity("error_state") == "none"
    assert house.state.phase is Phase.ACTIVE
