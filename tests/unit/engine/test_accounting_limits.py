"""Which readings the sums take, and where a decision turns, to the last Wh and second."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.accounting import (
    count_export,
    count_generation,
    decide,
    exceeded,
    floor_soc,
)
from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.headroom import natural_export
from custom_components.export_monitor.engine.metering import ExportMeter, Flow
from custom_components.export_monitor.engine.period import local_day
from custom_components.export_monitor.models import (
    Basis,
    Blocker,
    Forecast,
    Observation,
    Settings,
    Slot,
)
from tests.unit.engine.world import NOON, SETTINGS, observation, reading, readings

HOUR_S = 3600
TODAY = local_day(NOON, SETTINGS.timezone)
LIFETIME = replace(SETTINGS, daily_pv_counters=(False,))


def _pv(seconds: float, *values: float | None, settings: Settings = SETTINGS) -> Observation:
    at = NOON + timedelta(seconds=seconds)
    shown = tuple(
        reading(value, at, None if value is not None else "unavailable") for value in values
    )
    return observation(seconds, readings(at, pv_counters=shown), settings)


# --- Export ---


@pytest.mark.parametrize(
    ("age_s", "commanded_w", "flow"),
    [
        (10.0, 3000.0, Flow(700.0, measured=True)),
        (10.1, 3000.0, Flow(8000.0, measured=False)),
        (10.1, 0.0, Flow(700.0, measured=True)),
    ],
)
def test_in_a_session_a_grid_sensor_silent_for_ten_seconds_is_not_believed(
    age_s: float, commanded_w: float, flow: Flow
) -> None:
    at = NOON + timedelta(seconds=60)
    grid = reading(-700.0, at - timedelta(seconds=age_s))
    look = observation(60, readings(at, grid_power=grid))
    assert count_export(ExportMeter(), look, commanded_w).flow == flow


def test_a_grid_sensor_that_never_told_when_is_silent() -> None:
    at = NOON + timedelta(seconds=60)
    grid = replace(reading(-700.0), reported=None)
    look = observation(60, readings(at, grid_power=grid))
    flow = count_export(ExportMeter(), look, 3000.0).flow
    assert flow is not None
    assert not flow.measured


def test_import_is_no_export() -> None:
    look = observation(look=readings(grid_power=reading(900.0)))
    assert count_export(ExportMeter(), look, 0.0).flow == Flow(0.0, measured=True)


def test_a_grid_sensor_that_was_found_out_is_not_believed() -> None:
    look = observation(look=readings(grid_power=reading(-700.0)))
    meter = count_export(ExportMeter(distrusted=True, deliberate=True), look, 3000.0)
    assert meter.flow == Flow(8000.0, measured=False)


def test_a_counter_that_must_not_be_used_adds_nothing_though_it_shows_a_value() -> None:
    meter = count_export(ExportMeter(), observation(), 0.0)
    at = NOON + timedelta(seconds=60)
    stale = observation(60, readings(at, export_counter=reading(3.0, at, "stale")))
    assert count_export(meter, stale, 0.0).counter.total == 0.0


def test_a_value_held_back_that_rests_is_said_again_each_minute() -> None:
    meter = count_export(ExportMeter(), observation(), 0.0)
    at = NOON + timedelta(seconds=60)
    look = readings(at, export_counter=reading(30.0, at))
    for seconds, reports in ((60, 1), (119, 1), (120, 2), (179, 2), (180, 0)):
        meter = count_export(meter, observation(seconds, look), 0.0)
        assert meter.counter.suspect_reports == reports
    assert meter.counter.trusted


# --- Generation ---


@pytest.mark.parametrize(("after", "believed"), [(5.1, True), (5.11, False)])
def test_pv_may_step_by_twice_its_peak(after: float, believed: bool) -> None:
    sums = count_generation((), _pv(0, 0.0))
    (entry,) = count_generation(sums, _pv(HOUR_S / 2, after))
    assert entry.trusted is believed


def test_pv_of_unknown_peak_may_step_by_what_is_possible_at_all() -> None:
    settings = replace(SETTINGS, pv_peak_w=0.0)
    sums = count_generation((), _pv(0, 0.0, settings=settings))
    (entry,) = count_generation(sums, _pv(HOUR_S / 2, 9.0, settings=settings))
    assert entry.trusted


def test_a_pv_counter_that_must_not_be_used_adds_nothing_though_it_shows_a_value() -> None:
    sums = count_generation((), _pv(0, 1.0))
    at = NOON + timedelta(hours=1)
    stale = observation(HOUR_S, readings(at, pv_counters=(reading(3.0, at, "stale"),)))
    assert count_generation(sums, stale)[0].total == 1.0


def test_a_pv_counter_of_unsaid_kind_is_a_daily_one() -> None:
    first, second = count_generation((), _pv(0, 3.0, 3.0, settings=LIFETIME))
    assert (first.total, second.total) == (0.0, 3.0)


def test_pv_of_a_night_nobody_saw_makes_no_allowance() -> None:
    sums = count_generation((), _pv(0, 100.0, settings=LIFETIME))
    (entry,) = count_generation(sums, _pv(20 * HOUR_S, 109.0, settings=LIFETIME))
    assert entry.total == 0.0


def test_a_pv_counter_that_comes_back_after_midnight_enters_the_new_day() -> None:
    sums = count_generation((), _pv(0, 8.0))
    (entry,) = count_generation(sums, _pv(12 * HOUR_S + 60, None))
    assert entry.total == 0.0
    assert not entry.seen


@pytest.mark.parametrize(
    ("hour", "sun_up", "credited"),
    [(3, False, 0.0), (3, True, 8.0), (11, False, 0.0), (12, False, 8.0), (22, False, 8.0)],
)
def test_a_pv_counter_first_met_before_sunrise_may_show_yesterday(
    hour: int, credited: float, *, sun_up: bool
) -> None:
    at = (hour - 12) * HOUR_S
    look = _pv(at, 8.0)
    seen = replace(look, readings=replace(look.readings, sun_up=sun_up))
    (entry,) = count_generation((), seen)
    assert entry.total == credited
    (entry,) = count_generation((entry,), _pv(at + 60, 8.1))
    assert entry.total == pytest.approx(credited + 0.1)


def test_a_clock_put_right_again_credits_no_pv_of_the_wrong_day() -> None:
    sums = count_generation((), _pv(0, 8.0))
    wrong = count_generation(sums, _pv(12 * HOUR_S + 60, None))
    back = count_generation(wrong, _pv(60, None))
    again = count_generation(back, _pv(12 * HOUR_S + 120, None))
    assert back[0].total == 8.0
    assert again[0].total == 0.0


# --- Floor ---


@pytest.mark.parametrize(
    ("reserve", "last", "floor"),
    [
        (50.0, None, 50.0),
        (10.0, None, 20.0),
        (None, 40.0, 40.0),
        (None, 10.0, 20.0),
        (None, None, 20.0),
        (30.0, 90.0, 30.0),
    ],
)
def test_the_floor_is_the_larger_of_minimum_and_reserve(
    reserve: float | None, last: float | None, floor: float
) -> None:
    problem = None if reserve is not None else "unavailable"
    look = readings(reserve_soc=reading(reserve, problem=problem))
    assert floor_soc(look, SETTINGS, last) == floor


def test_a_reserve_that_is_not_observed_is_none() -> None:
    assert floor_soc(readings(), SETTINGS, 90.0) == 20.0


# --- Decision ---


def _met(exported: float = 0.0, ahead: float = 0.0) -> ExportMeter:
    fresh = CounterSum().observe(exported, NOON, TODAY, daily=True)
    return ExportMeter(counter=fresh, ahead=ahead)


@pytest.mark.parametrize(
    ("exported", "blocker"),
    [(4.9499, None), (4.951, Blocker.NO_HEADROOM), (6.0, Blocker.NO_HEADROOM)],
)
def test_fifty_watt_hours_are_worth_a_start(exported: float, blocker: Blocker | None) -> None:
    decision = decide(observation(), _met(exported), ())
    assert decision.blocker is blocker
    assert decision.headroom == pytest.approx(max(0.0, 5.0 - exported))
    assert decision.export_left == pytest.approx(max(0.0, 5.0 - exported))


def test_what_the_sun_will_export_by_itself_is_not_the_batterys() -> None:
    slot = Slot(NOON, NOON + timedelta(hours=1), 2000.0, 2000.0, 2000.0)
    look = readings(soc=reading(100.0), forecast=Forecast((slot,)))
    settings = replace(SETTINGS, house_load_kwh_per_day=0.0)
    decision = decide(observation(look=look, settings=settings), _met(1.0, 0.5), ())
    assert decision.natural == pytest.approx(2.0)
    assert decision.natural_known
    assert decision.headroom == pytest.approx(5.0 - 1.5)  # the battery takes the sun instead
    full = replace(settings, fixed_limit_kwh=3.0)
    assert decide(observation(look=look, settings=full), _met(1.0, 0.5), ()).export_left == 0.0


@pytest.mark.parametrize(("exported", "over"), [(5.01, False), (5.02, True)])
def test_a_fixed_contract_is_exceeded_by_more_than_a_meter_step(
    exported: float, over: bool
) -> None:
    decision = decide(observation(), _met(exported), ())
    assert exceeded(observation(), _met(exported), decision) is over


@pytest.mark.parametrize(("exported", "over"), [(2.2, False), (2.21, True)])
def test_a_contract_of_generation_lags_by_a_step_of_each_counter(
    exported: float, over: bool
) -> None:
    settings = replace(SETTINGS, basis=Basis.GENERATED, daily_pv_counters=(True, True))
    look = _pv(0, 1.0, 1.0, settings=settings)
    decision = decide(look, _met(exported), count_generation((), look))
    assert decision.contract == 2.0
    assert exceeded(look, _met(exported), decision) is over


def test_a_contract_is_not_exceeded_on_the_word_of_a_counter_nobody_trusts() -> None:
    decision = decide(observation(), _met(9.0), ())
    doubted = replace(_met(9.0), counter=replace(_met(9.0).counter, suspect=99.0))
    assert exceeded(observation(), _met(9.0), decision)
    assert not exceeded(observation(), doubted, decision)
    partly = replace(_met(9.0).counter, partial_until=NOON + timedelta(hours=1))
    assert not exceeded(observation(), replace(_met(9.0), counter=partly), decision)


def test_a_contract_whose_forecast_is_gone_is_not_exceeded() -> None:
    settings = replace(SETTINGS, basis=Basis.FORECAST)
    look = _pv(0, 1.0, settings=settings)
    decision = decide(look, _met(9.0), count_generation((), look))
    assert decision.basis is Basis.GENERATED
    assert not exceeded(look, _met(9.0), decision)


def test_the_power_is_the_targets_below_a_sites_limit() -> None:
    def power(limit: float) -> float:
        settings = replace(SETTINGS, site_export_limit_w=limit)
        return decide(observation(settings=settings), _met(), ()).power_w

    assert [power(limit) for limit in (0.0, 1.0, 2999.0, 5000.0)] == [3000.0, 1.0, 2999.0, 3000.0]


@pytest.mark.parametrize(("soc", "blocker"), [(20.0, Blocker.SOC_AT_FLOOR), (20.5, None)])
def test_a_start_needs_charge_above_the_floor(soc: float, blocker: Blocker | None) -> None:
    assert decide(observation(look=readings(soc=reading(soc))), _met(), ()).blocker is blocker


@pytest.mark.parametrize("soc", [20.0, 19.5, 0.0])
def test_at_the_floor_and_below_the_battery_has_nothing_to_give(soc: float) -> None:
    assert decide(observation(look=readings(soc=reading(soc))), _met(), ()).headroom == 0.0


def test_of_a_sun_that_fills_even_an_emptied_battery_the_rest_is_not_the_batterys() -> None:
    slot = Slot(NOON, NOON + timedelta(hours=6), 3000.0, 3000.0, 3000.0)  # 18 kWh
    settings = replace(SETTINGS, house_load_kwh_per_day=0.0, fixed_limit_kwh=15.0)
    look = readings(soc=reading(50.0), forecast=Forecast((slot,)))
    decision = decide(observation(look=look, settings=settings), _met(1.0), ())
    assert decision.natural == pytest.approx(8.0)  # 20 kWh hold 10
    assert decision.headroom == pytest.approx(6.0)  # 10 less the floor's 4
    assert decision.export_left == pytest.approx(15 - 1 - 2)  # 4 and 18 are 2 more than 20


def test_an_emptied_battery_still_holds_what_is_below_its_floor() -> None:
    slot = Slot(NOON, NOON + timedelta(hours=6), 3000.0, 3000.0, 3000.0)  # 18 kWh
    settings = replace(SETTINGS, house_load_kwh_per_day=0.0)
    natural = natural_export(settings, Forecast((slot,)), 50.0, 20.0, NOON, TODAY)
    assert natural.known
    assert (natural.untouched, natural.emptied) == pytest.approx((8.0, 2.0))
    below = natural_export(settings, Forecast((slot,)), 10.0, 20.0, NOON, TODAY)
    assert (below.untouched, below.emptied) == (0.0, 0.0)


def test_the_house_draws_its_share_before_the_battery_is_filled() -> None:
    slots = (
        Slot(NOON + timedelta(hours=2), NOON + timedelta(hours=4), 3000.0, 3000.0, 3000.0),
        Slot(NOON + timedelta(hours=6), NOON + timedelta(hours=8), 3000.0, 3000.0, 3000.0),
    )
    settings = replace(SETTINGS, house_load_kwh_per_day=24.0, battery_capacity_kwh=4.0)
    natural = natural_export(settings, Forecast(slots), 100.0, 20.0, NOON, TODAY)
    # 4 - 2 + 4 is 2 over; 4 - 2 + 4 is 2 over again. Emptied it begins at 0.8 and stays there.
    assert natural.untouched == pytest.approx(4.0)
    assert natural.emptied == pytest.approx(0.8 + 4.0 - 4.0 + 2.0)
