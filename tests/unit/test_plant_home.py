"""The AlphaESS package on plant time: the habits a controller has to live with."""

from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import pairwise

import pytest

from simulator.alphaess_home import (
    AC_LIMIT,
    MODES,
    RESET_FULL,
    AlphaEssHome,
    Habits,
    UnknownServiceError,
    number,
    switch,
    template_power,
    timer,
)
from simulator.faults import Fault
from simulator.home_sensors import Polling
from simulator.plant import Plant
from simulator.settings import PlantSettings

GRID = "sensor.alphaess_power_grid"
START = "sensor.alphaess_dispatch_start"
DISCHARGING = switch("discharging")
DAILY_FEED_IN = "sensor.alphaess_today_s_energy_feed_to_grid_meter"
FEED_IN = "sensor.alphaess_total_energy_feed_to_grid_meter"


def a_home(habits: Habits | None = None, hour: int = 13) -> AlphaEssHome:
    """Return a home that has run for 5 s with a dark sky and a house of 500 W."""
    plant = Plant(PlantSettings(start=datetime(2026, 6, 21, hour, tzinfo=UTC), soc=80.0))
    plant.pv_w, plant.load_w = 0.0, 500.0
    home = AlphaEssHome(plant, habits)
    home.advance(5)
    return home


def set_numbers(home: AlphaEssHome, values: Mapping[str, float], mode: str = "discharging") -> None:
    for name, value in values.items():
        data = {"entity_id": number(mode, name), "value": value}
        home.call("input_number", "set_value", data)


def turn(home: AlphaEssHome, entity_id: str, *, on: bool) -> None:
    home.call("input_boolean", "turn_on" if on else "turn_off", {"entity_id": entity_id})


def press_reset(home: AlphaEssHome) -> None:
    home.call("input_button", "press", {"entity_id": RESET_FULL})


def a_discharging_home(habits: Habits | None = None, minutes: float = 30) -> AlphaEssHome:
    """Return a home that has discharged 3 kW for 5 s."""
    home = a_home(habits)
    set_numbers(home, {"power": 3, "duration": minutes, "cutoff_soc": 10})
    turn(home, DISCHARGING, on=True)
    home.advance(5)
    return home


def value(home: AlphaEssHome, entity_id: str) -> str:
    return home.states()[entity_id].value


def battery_w(home: AlphaEssHome) -> float:
    return home.plant.truth().battery_w


def test_a_fresh_install_offers_no_power_and_a_limit_of_3_kw() -> None:
    home = a_home()
    assert value(home, number("discharging", "power")) == "0.0"
    assert value(home, number("discharging", "cutoff_soc")) == "4.0"
    assert home.states()[template_power("discharging")].attributes["max"] == 3.0
    assert {value(home, mode) for mode in MODES} == {"off"}


def test_turning_on_writes_the_helpers_once() -> None:
    home = a_discharging_home()
    assert [write.values for write in home.plant.writes] == [
        (1, 0, 35000, 0, 32000, 2, 25, 0, 1800)
    ]
    assert battery_w(home) == 3000
    assert value(home, timer("discharging")) == "active"


def test_what_is_on_and_what_is_the_same_number_writes_nothing() -> None:
    home = a_discharging_home()
    turn(home, DISCHARGING, on=True)
    set_numbers(home, {"power": 3, "duration": 30, "cutoff_soc": 10})
    home.advance(5)
    assert len(home.plant.writes) == 1


def test_a_changed_duration_rearms_the_inverter_and_the_timer() -> None:
    home = a_discharging_home()
    home.advance(600)
    set_numbers(home, {"duration": 25})
    home.advance(0.1)
    assert home.plant.truth().dispatch_remaining_s == 1500
    home.advance(1200)
    assert value(home, timer("discharging")) == "active"
    home.advance(301)
    assert value(home, timer("discharging")) == "idle"
    assert battery_w(home) == 500


def test_turning_off_resets() -> None:
    home = a_discharging_home()
    turn(home, DISCHARGING, on=False)
    home.advance(0.5)
    assert battery_w(home) == 500
    assert value(home, timer("discharging")) == "idle"


def test_timer_end_runs_the_full_reset() -> None:
    home = a_discharging_home(minutes=1)
    home.advance(56)
    assert (value(home, DISCHARGING), battery_w(home)) == ("off", 500)
    home.advance(1)
    assert (0,) in [write.values for write in home.plant.writes]


def test_cancelling_the_timer_stops_nothing() -> None:
    home = a_discharging_home()
    home.call("timer", "cancel", {"entity_id": timer("discharging")})
    home.advance(60)
    assert battery_w(home) == 3000
    assert value(home, DISCHARGING) == "on"


def test_starting_the_timer_arms_nothing() -> None:
    home = a_home()
    set_numbers(home, {"power": 3, "duration": 30})
    home.call("timer", "start", {"entity_id": timer("discharging")})
    home.advance(10)
    assert battery_w(home) == 500


def test_another_mode_takes_over_after_two_seconds_and_keeps_its_dispatch() -> None:
    home = a_discharging_home()
    set_numbers(home, {"power": 2, "duration": 60, "cutoff_soc": 100}, "charging")
    turn(home, switch("charging"), on=True)
    home.advance(1.9)
    assert value(home, DISCHARGING) == "on"
    home.advance(5)
    assert value(home, DISCHARGING) == "off"
    assert battery_w(home) == -2000


def test_a_second_mode_inside_two_seconds_is_dropped() -> None:
    home = a_home()
    set_numbers(home, {"power": 3, "duration": 30})
    set_numbers(home, {"power": 2, "duration": 60, "cutoff_soc": 100}, "charging")
    turn(home, DISCHARGING, on=True)
    home.advance(1)
    turn(home, switch("charging"), on=True)
    home.advance(5)
    assert battery_w(home) == 3000
    assert value(home, switch("charging")) == "off"


def test_a_second_full_reset_inside_two_seconds_is_dropped() -> None:
    home = a_discharging_home()
    home.plant.faults.on(Fault.IGNORE_WRITES, until_s=home.plant.elapsed_s + 1)
    press_reset(home)
    home.advance(1.5)
    press_reset(home)
    home.advance(5)
    assert battery_w(home) == 3000
    press_reset(home)
    home.advance(1)
    assert battery_w(home) == 500


def test_a_lying_stop_leaves_everything_reading_off_but_the_inverter() -> None:
    home = a_discharging_home()
    home.plant.faults.on(Fault.IGNORE_STOP)
    turn(home, DISCHARGING, on=False)
    home.advance(10)
    assert (value(home, DISCHARGING), value(home, timer("discharging"))) == ("off", "idle")
    assert (value(home, START), battery_w(home)) == ("1", 3000)
    turn(home, DISCHARGING, on=False)
    home.advance(10)
    assert battery_w(home) == 3000
    press_reset(home)
    home.advance(10)
    assert (value(home, START), battery_w(home)) == ("0", 500)


def test_a_link_lost_for_ten_seconds_leaves_the_inverter_exporting() -> None:
    home = a_discharging_home()
    home.plant.faults.on(Fault.DROP, until_s=home.plant.elapsed_s + 10)
    home.advance(2)
    assert (value(home, GRID), value(home, DISCHARGING)) == ("unavailable", "off")
    home.advance(60)
    assert (value(home, GRID), value(home, START)) == ("-2500", "1")
    assert value(home, DISCHARGING) == "off"
    assert battery_w(home) == 3000


def test_a_hanging_inverter_leaves_old_values_that_look_live() -> None:
    home = a_discharging_home()
    home.plant.faults.on(Fault.HANG)
    reported_at = home.states()[GRID].reported_at_s
    home.plant.load_w = 2000
    home.advance(300)
    assert (value(home, GRID), home.states()[GRID].reported_at_s) == ("-2500", reported_at)
    assert value(home, DISCHARGING) == "on"


def test_a_hang_can_be_given_up() -> None:
    home = a_discharging_home(Habits(polling=Polling(hang_gives_up_s=13)))
    home.plant.faults.on(Fault.HANG)
    home.advance(20)
    assert (value(home, GRID), value(home, DISCHARGING)) == ("unavailable", "off")
    assert battery_w(home) == 3000


def test_after_a_kill_the_inverter_ends_by_its_own_timer() -> None:
    home = a_discharging_home(minutes=1)
    armed_at = home.plant.writes[0].at_s
    home.kill()
    assert home.states() == {}
    with pytest.raises(UnknownServiceError):
        turn(home, DISCHARGING, on=False)
    home.advance(armed_at + 59.9 - home.plant.elapsed_s)
    assert battery_w(home) == 3000
    home.advance(0.1)
    assert battery_w(home) == 500
    assert len(home.plant.writes) == 1


def test_a_start_resets_and_keeps_the_numbers() -> None:
    home = a_discharging_home()
    home.kill()
    home.advance(10)
    home.start()
    home.advance(2)
    assert battery_w(home) == 500
    assert value(home, DISCHARGING) == "off"
    assert value(home, number("discharging", "duration")) == "30.0"


def test_a_start_without_the_inverter_shows_old_values_for_a_minute() -> None:
    home = a_discharging_home()
    home.kill()
    home.plant.faults.on(Fault.DROP, until_s=home.plant.elapsed_s + 5)
    home.start()
    home.advance(55)
    assert value(home, GRID) == "-2500"
    assert battery_w(home) == 3000
    home.plant.load_w = 800
    home.advance(10)
    assert value(home, GRID) == "-2200"


def test_sensors_report_each_at_its_own_pace() -> None:
    home = a_home()
    home.drain_reports()
    home.advance(60)
    seen = [entity_id for entity_id, _ in home.drain_reports()]
    assert seen.count(GRID) == 60
    assert seen.count("sensor.alphaess_soc_battery") == 6
    assert seen.count(START) == 12
    assert seen.count(FEED_IN) == 1
    # Derived from unchanged values, so it stays silent.
    assert seen.count("sensor.alphaess_current_house_load") == 0


def test_an_unchanged_report_moves_only_its_report_time() -> None:
    home = a_home()
    home.plant.faults.on(Fault.FREEZE_COUNTERS)
    before = home.states()[FEED_IN]
    home.advance(60)
    after = home.states()[FEED_IN]
    assert after.changed_at_s == before.changed_at_s
    assert after.reported_at_s == before.reported_at_s + 60


def test_jitter_makes_gaps_and_no_early_polls() -> None:
    home = a_home(Habits(polling=Polling(jitter_s=0.5, seed=3)))
    home.drain_reports()
    home.advance(120)
    times = [state.reported_at_s for entity, state in home.drain_reports() if entity == GRID]
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert min(gaps) >= 1.0 - 1e-6
    assert 1.2 < max(gaps) <= 1.5 + 1e-6


def test_one_zero_adds_the_whole_lifetime_to_the_day() -> None:
    home = a_discharging_home()
    home.plant.faults.on(Fault.ZERO_FEED_IN, until_s=home.plant.elapsed_s + 70)
    home.advance(180)
    assert float(value(home, DAILY_FEED_IN)) == pytest.approx(1500, abs=1)


def test_daily_meters_reset_in_any_order_around_midnight() -> None:
    daily_pv = "sensor.alphaess_today_s_energy_from_pv"
    home = a_home(Habits(polling=Polling(midnight_delay_s={DAILY_FEED_IN: 300.0})), hour=23)
    home.plant.pv_w = 6000
    home.plant.soc = 100
    home.advance(3600 - 10)
    assert float(value(home, daily_pv)) > 4
    assert float(value(home, DAILY_FEED_IN)) > 4
    home.advance(120)
    assert float(value(home, daily_pv)) < 0.3
    assert float(value(home, DAILY_FEED_IN)) > 4
    home.advance(300)
    assert float(value(home, DAILY_FEED_IN)) < 0.5


def test_template_power_is_bounded_by_the_limit_and_the_helper_is_not() -> None:
    home = a_home()
    data = {"entity_id": template_power("discharging"), "value": 3.5}
    with pytest.raises(ValueError, match="out of range"):
        home.call("number", "set_value", data)
    home.call("input_select", "select_option", {"entity_id": AC_LIMIT, "option": "5"})
    home.call("number", "set_value", data)
    assert value(home, number("discharging", "power")) == "3.5"
    set_numbers(home, {"power": 3.33})
    assert value(home, template_power("discharging")) == "3.33"
    with pytest.raises(ValueError, match="out of range"):
        set_numbers(home, {"power": 21})


def test_force_export_adds_the_house_load() -> None:
    home = a_home()
    set_numbers(home, {"power": 2, "duration": 30, "cutoff_soc": 10}, "export")
    turn(home, switch("export"), on=True)
    home.advance(5)
    assert home.plant.truth().grid_w == -2000
    home.plant.load_w = 1500
    home.advance(20)
    assert home.plant.truth().grid_w == -2000
    assert home.plant.truth().dispatch_remaining_s == pytest.approx(1800, abs=10)


def test_what_does_not_exist_is_refused() -> None:
    home = a_home()
    with pytest.raises(KeyError):
        turn(home, "input_boolean.elsewhere", on=True)
    with pytest.raises(UnknownServiceError):
        home.call("switch", "turn_on", {"entity_id": DISCHARGING})
