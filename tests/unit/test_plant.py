"""The plant: physics, dispatch, counters and faults, judged by its truth and its registers."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import given, settings as hypothesis_settings, strategies as st
import pytest

from simulator import registers as reg
from simulator.faults import Fault
from simulator.plant import Plant
from simulator.profiles import House, Sun
from simulator.settings import (
    AtCutoff,
    IllegalAddressError,
    LinkDownError,
    LinkHangError,
    PlantSettings,
    TimeZero,
)

NOON = datetime(2026, 6, 21, 13, tzinfo=UTC)


def a_plant(*, pv_w: float = 0.0, load_w: float = 500.0, **changes: object) -> Plant:
    """Return a plant at 13:00 with half a battery, a dark sky and a steady house."""
    plant = Plant(PlantSettings(start=NOON, **changes))  # type: ignore[arg-type]
    plant.pv_w, plant.load_w = pv_w, load_w
    return plant


def discharge(plant: Plant, power_w: float, seconds: float, cutoff_soc: float = 10) -> None:
    plant.write(reg.DISPATCH, reg.dispatch_block(power_w, cutoff_soc, seconds))


def feed_in_kwh(plant: Plant) -> float:
    return reg.from_u32(plant.read(reg.FEED_IN, 2)) / 100


def signed(words: list[int]) -> int:
    return int.from_bytes(b"".join(word.to_bytes(2) for word in words), signed=True)


# Physics


@given(
    soc=st.floats(4, 100),
    power_w=st.floats(-6000, 6000),
    load_w=st.floats(0, 8000),
    pv_w=st.floats(0, 9000),
    cutoff=st.floats(4, 100),
    ramp=st.sampled_from([None, 500.0]),
)
@hypothesis_settings(max_examples=60, deadline=None)
def test_energy_is_neither_made_nor_lost(
    soc: float, power_w: float, load_w: float, pv_w: float, cutoff: float, ramp: float | None
) -> None:
    plant = a_plant(pv_w=pv_w, load_w=load_w, soc=soc, ramp_w_per_s=ramp)
    stored_before = plant.soc / 100 * plant.settings.capacity_kwh
    discharge(plant, power_w, 1200, cutoff)
    plant.advance(2400)
    truth = plant.truth()
    sources = truth.generated_kwh + truth.imported_kwh + truth.discharged_kwh
    sinks = truth.consumed_kwh + truth.exported_kwh + truth.charged_kwh
    assert sources == pytest.approx(sinks, abs=1e-9)
    stored = plant.soc / 100 * plant.settings.capacity_kwh
    gained = truth.charged_kwh * 0.95 - truth.discharged_kwh / 0.95
    assert stored - stored_before == pytest.approx(gained, abs=1e-8)


@given(pv_w=st.floats(0, 9000), load_w=st.floats(0, 9000), power_w=st.floats(-9000, 9000))
@hypothesis_settings(max_examples=60, deadline=None)
def test_no_limit_is_ever_passed(pv_w: float, load_w: float, power_w: float) -> None:
    plant = a_plant(pv_w=pv_w, load_w=load_w)
    discharge(plant, power_w, 60)
    plant.advance(1)
    truth = plant.truth()
    assert -5000 <= truth.battery_w <= 5000
    assert -5000 <= truth.pv_w + truth.battery_w <= 5000 + 1e-9
    assert truth.pv_w <= pv_w


def test_sun_serves_the_house_then_the_battery_then_the_grid() -> None:
    plant = a_plant(pv_w=3000, load_w=1000, charge_limit_w=1500.0)
    truth = plant.truth()
    assert (truth.battery_w, truth.grid_w) == (-1500, -500)
    plant.soc = 100
    assert plant.truth().grid_w == -2000


def test_battery_feeds_the_house_down_to_its_floor() -> None:
    plant = a_plant(load_w=2000, soc=5.0)
    assert plant.truth().grid_w == 0
    plant.advance(3600)
    assert plant.soc == pytest.approx(4.0, abs=1e-6)
    assert plant.truth().grid_w == 2000


def test_a_day_of_sun_follows_the_clock_and_repeats_by_seed() -> None:
    sun = Sun(peak_w=4000, cloudiness=0.35, seed=7)
    hours = [NOON.replace(hour=hour) for hour in range(24)]
    at = [sun.power_w(hour) for hour in hours]
    assert at[0] == at[3] == at[23] == 0
    assert 0.65 * 4000 <= at[13] <= 4000
    assert at == [replace(sun).power_w(hour) for hour in hours]
    assert at != [replace(sun, seed=8).power_w(hour) for hour in hours]
    assert sun.clear_w(NOON.replace(month=12)) < 0.5 * sun.clear_w(NOON)


def test_two_plants_of_one_seed_stay_the_same_however_time_is_cut() -> None:
    plants = [Plant(PlantSettings(start=NOON)) for _ in range(2)]
    plants[0].advance(7200)
    for _ in range(720):
        plants[1].advance(10)
    first, second = (plant.truth() for plant in plants)
    assert first.exported_kwh == pytest.approx(second.exported_kwh, abs=1e-9)
    assert first.soc == pytest.approx(second.soc, abs=1e-9)


def test_wall_clock_is_right_across_a_change_to_summer_time() -> None:
    start = datetime(2026, 3, 29, 0, tzinfo=ZoneInfo("Europe/Berlin"))
    plant = Plant(PlantSettings(start=start))
    plant.advance(23 * 3600)
    assert (plant.now.day, plant.now.hour) == (30, 0)


def test_setting_the_clock_moves_the_sun_and_leaves_the_timer() -> None:
    plant = Plant(PlantSettings(start=NOON.replace(hour=1)))
    discharge(plant, 1000, 100)
    plant.now = NOON
    assert plant.truth().pv_w > 1000
    assert plant.truth().dispatch_remaining_s == 100


# Dispatch


def test_forced_discharge_is_battery_watts_and_leaves_the_house_to_itself() -> None:
    plant = a_plant(load_w=800)
    discharge(plant, 3000, 600)
    truth = plant.truth()
    assert (truth.battery_w, truth.grid_w) == (3000, -2200)


@pytest.mark.parametrize("step_s", [0.1, 0.7, 13.0, 600.0])
def test_dispatch_ends_by_its_own_timer_to_the_tenth_of_a_second(step_s: float) -> None:
    plant = a_plant(load_w=0)
    plant.advance(3.3)
    discharge(plant, 3600, 600)
    while plant.elapsed_s < 700:
        plant.advance(step_s)
    assert plant.truth().discharged_kwh == pytest.approx(0.6, abs=1e-7)
    assert plant.truth().dispatch_active is False
    assert plant.read(reg.DISPATCH, 1) == [0]


def test_truth_counts_the_timer_down_and_the_register_does_not() -> None:
    plant = a_plant()
    discharge(plant, 3000, 600)
    plant.advance(599.9)
    assert plant.truth().dispatch_remaining_s == pytest.approx(0.1)
    assert plant.truth().battery_w == 3000
    assert reg.from_u32(plant.read(reg.DISPATCH + reg.TIME, 2)) == 600
    plant.advance(0.1)
    assert plant.truth().battery_w == 500


def test_reset_block_ends_a_dispatch_and_reads_back() -> None:
    plant = a_plant()
    discharge(plant, 3000, 600)
    plant.write(reg.DISPATCH, reg.RESET_BLOCK)
    assert plant.truth().battery_w == 500
    assert plant.read(reg.DISPATCH, reg.DISPATCH_LENGTH) == list(reg.RESET_BLOCK)


def test_cutoff_register_truncates() -> None:
    assert reg.dispatch_block(3000, 10, 60)[reg.CUTOFF] == 25
    plant = a_plant(soc=12.0)
    discharge(plant, 5000, 3600, cutoff_soc=10)
    plant.advance(3600)
    assert plant.soc == pytest.approx(9.8, abs=1e-5)


@pytest.mark.parametrize(("policy", "battery_w"), [(AtCutoff.HOLD, 0), (AtCutoff.SELF_USE, 500)])
def test_what_follows_the_cutoff_is_an_option(policy: AtCutoff, battery_w: float) -> None:
    plant = a_plant(soc=31.0, at_cutoff=policy)
    discharge(plant, 5000, 3600, cutoff_soc=30)
    plant.advance(600)
    assert plant.truth().battery_w == battery_w
    assert plant.truth().dispatch_active is True
    plant.advance(3000)
    assert plant.truth().battery_w == 500


@pytest.mark.parametrize(("rearms", "remaining_s"), [(True, 900), (False, 500)])
def test_whether_a_time_write_rearms_is_an_option(rearms: bool, remaining_s: float) -> None:
    plant = a_plant(rearms_on_time_write=rearms)
    discharge(plant, 3000, 600)
    plant.advance(100)
    discharge(plant, 4000, 900)
    assert plant.truth().dispatch_remaining_s == remaining_s
    assert plant.truth().battery_w == 4000


def test_a_power_write_alone_leaves_the_timer() -> None:
    plant = a_plant()
    discharge(plant, 3000, 600)
    plant.advance(100)
    plant.write(reg.DISPATCH + reg.POWER, reg.u32(reg.POWER_ZERO + 2000))
    assert plant.truth().dispatch_remaining_s == 500
    assert plant.truth().battery_w == 2000


@pytest.mark.parametrize(("meaning", "battery_w"), [(TimeZero.ENDS, 500), (TimeZero.ENDLESS, 3000)])
def test_the_meaning_of_no_time_is_an_option(meaning: TimeZero, battery_w: float) -> None:
    plant = a_plant(time_zero=meaning)
    discharge(plant, 3000, 0)
    plant.advance(1800)
    assert plant.truth().battery_w == battery_w


def test_latency_holds_for_start_and_stop_but_not_for_the_timer() -> None:
    plant = a_plant(latency_s=2.0)
    discharge(plant, 3000, 60)
    plant.advance(1.9)
    assert plant.truth().battery_w == 500
    plant.advance(0.1)
    assert plant.truth().battery_w == 3000
    plant.advance(58)
    assert plant.truth().battery_w == 500
    discharge(plant, 3000, 60)
    plant.advance(5)
    plant.write(reg.DISPATCH, reg.RESET_BLOCK)
    plant.advance(1.9)
    assert plant.truth().battery_w == 3000
    plant.advance(0.1)
    assert plant.truth().battery_w == 500


def test_ramp_limits_how_fast_power_moves() -> None:
    plant = a_plant(load_w=0, ramp_w_per_s=1000.0)
    discharge(plant, 3000, 60)
    plant.advance(1)
    assert plant.truth().battery_w == pytest.approx(1100, abs=101)
    plant.advance(3)
    assert plant.truth().battery_w == 3000
    assert plant.truth().discharged_kwh == pytest.approx((1500 * 3 + 3000) / 3.6e6, rel=0.05)


def test_charging_takes_from_the_grid_up_to_its_cutoff() -> None:
    plant = a_plant(soc=50.0)
    discharge(plant, -4000, 3600, cutoff_soc=60)
    assert plant.truth().grid_w == 4500
    plant.advance(3599)
    assert plant.soc == pytest.approx(int(60 / 0.392) * 0.392, abs=1e-5)


# Registers


def test_powers_are_signed_as_on_the_wire() -> None:
    plant = a_plant(load_w=500)
    discharge(plant, 3000, 60)
    assert signed(plant.read(reg.GRID_POWER, 2)) == -2500
    assert signed(plant.read(reg.BATTERY_POWER, 1)) == 3000
    plant.write(reg.DISPATCH, reg.dispatch_block(-3000, 100, 60))
    assert signed(plant.read(reg.GRID_POWER, 2)) == 3500
    assert signed(plant.read(reg.BATTERY_POWER, 1)) == -3000


def test_four_inputs_add_up_to_the_sun() -> None:
    plant = a_plant(pv_w=3333)
    assert sum(reg.from_u32(plant.read(address, 2)) for address in reg.PV_STRINGS) == 3333


def test_counters_move_in_ticks_and_cut_off_what_they_cannot_show() -> None:
    plant = a_plant(load_w=0)
    discharge(plant, 5000, 3600)
    plant.advance(59.9)
    assert feed_in_kwh(plant) == 1500.00
    plant.advance(0.1)
    assert plant.truth().exported_kwh == pytest.approx(5000 / 60 / 1000)
    assert feed_in_kwh(plant) == 1500.08
    plant.advance(59.9)
    assert feed_in_kwh(plant) == 1500.08


def test_counters_without_ticks_read_live() -> None:
    plant = a_plant(load_w=0, counter_tick_s=0.0)
    discharge(plant, 3600, 3600)
    plant.advance(10.5)
    assert feed_in_kwh(plant) == 1500.01


def test_pv_counter_shows_tenths() -> None:
    plant = a_plant(pv_w=3000)
    plant.advance(660)
    assert plant.truth().generated_kwh == pytest.approx(0.55)
    assert reg.from_u32(plant.read(reg.PV_ENERGY, 2)) == 90005


def test_soc_shows_tenths() -> None:
    assert a_plant(soc=49.99).read(reg.SOC, 1) == [499]


@pytest.mark.parametrize(("address", "count"), [(0x0000, 1), (reg.SOC, 2), (reg.DISPATCH, 10)])
def test_reading_beside_the_map_is_refused(address: int, count: int) -> None:
    with pytest.raises(IllegalAddressError):
        a_plant().read(address, count)


@pytest.mark.parametrize(("address", "values"), [(reg.SOC, [1]), (reg.DISPATCH + 8, [0, 0])])
def test_writing_beside_the_block_is_refused(address: int, values: list[int]) -> None:
    with pytest.raises(IllegalAddressError):
        a_plant().write(address, values)


def test_a_flash_register_keeps_what_is_written_and_shows_in_the_log() -> None:
    plant = a_plant()
    plant.advance(1.5)
    plant.write(0x0850, [7])
    assert plant.read(0x0850, 1) == [7]
    assert [(w.at_s, w.address, w.values, w.obeyed) for w in plant.writes] == [
        (1.5, 0x0850, (7,), True)
    ]


# Faults


@pytest.mark.parametrize(
    ("fault", "error"), [(Fault.DROP, LinkDownError), (Fault.HANG, LinkHangError)]
)
def test_a_broken_link_stops_no_dispatch(fault: Fault, error: type[Exception]) -> None:
    plant = a_plant()
    discharge(plant, 3000, 600)
    plant.faults.on(fault, until_s=10)
    with pytest.raises(error):
        plant.read(reg.SOC, 1)
    with pytest.raises(error):
        plant.write(reg.DISPATCH, reg.RESET_BLOCK)
    plant.advance(10)
    assert plant.read(reg.DISPATCH, 1) == [1]
    assert plant.truth().battery_w == 3000


def test_ignored_writes_are_acknowledged_without_effect() -> None:
    plant = a_plant()
    plant.faults.on(Fault.IGNORE_WRITES)
    discharge(plant, 3000, 600)
    assert plant.truth().dispatch_active is False
    assert [write.obeyed for write in plant.writes] == [False]
    plant.faults.off(Fault.IGNORE_WRITES)
    discharge(plant, 3000, 600)
    assert plant.truth().dispatch_active is True


def test_a_lying_stop_swallows_as_many_resets_as_it_is_told() -> None:
    plant = a_plant()
    discharge(plant, 3000, 600)
    plant.faults.on(Fault.IGNORE_STOP, times=2)
    for still_discharging in (True, True, False):
        plant.write(reg.DISPATCH, reg.RESET_BLOCK)
        assert plant.truth().dispatch_active is still_discharging


def test_a_lying_stop_without_a_number_heeds_only_the_full_reset() -> None:
    plant = a_plant()
    discharge(plant, 3000, 600)
    plant.faults.on(Fault.IGNORE_STOP)
    for _ in range(5):
        plant.write(reg.DISPATCH, reg.RESET_BLOCK)
    assert plant.truth().battery_w == 3000
    plant.write(reg.DISPATCH, [0])
    assert plant.truth().battery_w == 500
    assert not plant.faults.active(Fault.IGNORE_STOP)


def test_a_lying_stop_lets_starts_and_changes_through() -> None:
    plant = a_plant()
    plant.faults.on(Fault.IGNORE_STOP)
    discharge(plant, 3000, 600)
    discharge(plant, 4000, 600)
    assert plant.truth().battery_w == 4000


@pytest.mark.parametrize("tick_s", [0.0, 60.0])
def test_frozen_counters_catch_up_when_they_thaw(tick_s: float) -> None:
    plant = a_plant(load_w=0, counter_tick_s=tick_s)
    discharge(plant, 3000, 3600)
    plant.advance(120)
    before = feed_in_kwh(plant)
    plant.faults.on(Fault.FREEZE_COUNTERS)
    plant.advance(600)
    assert feed_in_kwh(plant) == before
    plant.faults.clear()
    plant.advance(60)
    assert feed_in_kwh(plant) == pytest.approx(1500 + 780 * 3 / 3600, abs=0.01)


def test_garbage_is_what_the_wire_can_carry_and_truth_stays_true() -> None:
    plant = a_plant(soc=50.0)
    plant.faults.on(Fault.GARBAGE_SOC)
    plant.faults.on(Fault.GARBAGE_GRID)
    plant.faults.on(Fault.GARBAGE_FEED_IN)
    assert plant.read(reg.SOC, 1) == [1500]
    assert signed(plant.read(reg.GRID_POWER, 2)) == 2147483647
    assert feed_in_kwh(plant) == 1515.0
    plant.faults.on(Fault.ZERO_FEED_IN)
    assert feed_in_kwh(plant) == 0.0
    assert (plant.truth().soc, plant.truth().grid_w) == (50.0, 0.0)
    plant.faults.clear()
    assert feed_in_kwh(plant) == 1500.0


def test_a_house_has_its_humps_at_breakfast_and_supper() -> None:
    house = House()
    load = [house.power_w(NOON.replace(hour=0) + timedelta(hours=hour)) for hour in range(24)]
    assert load[19] > load[7] > load[3] > 100
