"""From readings to a decision."""

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, strategies as st
import pytest

from custom_components.export_monitor.engine.accounting import (
    blind,
    count_export,
    count_generation,
    decide,
    site_limit,
    worst_flow,
)
from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter
from custom_components.export_monitor.models import (
    Basis,
    Blocker,
    Decision,
    Forecast,
    Observation,
    Quantiles,
    Settings,
)
from tests.unit.engine.world import NOON, SETTINGS, World, observation, reading, readings


def _decision(look: Observation) -> Decision:
    meter = count_export(ExportMeter(), look, 0.0)
    return decide(look, meter, count_generation((), look))


def _blocker(settings: Settings = SETTINGS, **changes: object) -> Blocker | None:
    return _decision(observation(look=readings(**changes), settings=settings)).blocker


def test_a_calm_house_may_export_its_allowance() -> None:
    decision = _decision(observation())
    assert decision.blocker is None
    assert decision.headroom == pytest.approx(5.0, abs=0.011)
    assert decision.duration_min == pytest.approx(100.0, abs=0.3)


@given(small=st.floats(0.0, 8.0), more=st.floats(0.0, 8.0))
def test_a_larger_margin_never_gives_more(small: float, more: float) -> None:
    little = _decision(observation(settings=replace(SETTINGS, safety_margin_kwh=small)))
    much = _decision(observation(settings=replace(SETTINGS, safety_margin_kwh=small + more)))
    assert much.headroom <= little.headroom
    assert 0.0 <= much.allowance <= little.allowance
    assert much.contract == little.contract


def test_the_margin_is_subtracted() -> None:
    decision = _decision(observation(settings=replace(SETTINGS, safety_margin_kwh=0.5)))
    assert decision.allowance == pytest.approx(4.5)
    assert decision.contract == pytest.approx(5.0)


def test_a_forecast_that_is_gone_falls_back_to_what_was_generated() -> None:
    settings = replace(SETTINGS, basis=Basis.FORECAST)
    look = observation(look=readings(pv_counters=(reading(2.0),)), settings=settings)
    decision = _decision(look)
    assert decision.basis is Basis.GENERATED
    assert decision.contract == pytest.approx(2.0)


def test_totals_without_slots_make_a_contract_whose_natural_export_is_unknown() -> None:
    forecast = Forecast(total_today=Quantiles(1, 6, 9), valid_from=NOON.replace(hour=0))
    settings = replace(SETTINGS, basis=Basis.FORECAST)
    decision = _decision(observation(look=readings(forecast=forecast), settings=settings))
    assert decision.contract == pytest.approx(6.0)
    assert not decision.natural_known


def test_a_battery_of_unknown_size_is_bounded_by_the_allowance_alone() -> None:
    decision = _decision(observation(settings=replace(SETTINGS, battery_capacity_kwh=0.0)))
    assert decision.headroom == pytest.approx(5.0, abs=0.011)


def test_a_battery_near_its_floor_gives_only_what_is_above() -> None:
    decision = _decision(observation(look=readings(soc=reading(22.0))))
    assert decision.headroom == pytest.approx(0.4)
    assert decision.export_left > decision.headroom


def test_the_site_limit_caps_the_power() -> None:
    assert _decision(
        observation(settings=replace(SETTINGS, site_export_limit_w=1000.0))
    ).power_w == pytest.approx(1000.0)


@pytest.mark.parametrize("problem", ["stale", "frozen"])
@pytest.mark.parametrize("role", ["soc", "export_counter"])
def test_a_stale_source_says_stale(role: str, problem: str) -> None:
    assert _blocker(**{role: reading(50.0, problem=problem)}) is Blocker.STALE_DATA


def test_pv_counters_are_needed_by_every_basis_but_the_fixed_one() -> None:
    gone = (reading(None, problem="missing"),)
    forecast = replace(SETTINGS, basis=Basis.GENERATED)
    assert _blocker(forecast, pv_counters=gone) is Blocker.NO_DATA
    assert _blocker(pv_counters=gone) is None


def test_a_counter_that_has_not_reported_today_blocks() -> None:
    yesterday = NOON - timedelta(hours=13)
    assert _blocker(export_counter=reading(0.0, yesterday)) is Blocker.COUNTER_NOT_SEEN


def test_a_counter_that_is_not_believed_blocks() -> None:
    world = World().settle()
    world.forged["export"] = 15.0
    world.run(60)
    assert world.state.decision is not None
    assert world.state.decision.blocker is Blocker.NO_DATA


LIFETIME = replace(SETTINGS, daily_export_counter=False, daily_pv_counters=(False,))


def test_a_lifetime_counter_first_met_in_the_midst_of_a_day_hides_its_beginning() -> None:
    assert _blocker(LIFETIME) is Blocker.COUNTER_UNKNOWN


def test_unknown_export_is_made_up_for_by_pv_as_unknown() -> None:
    settings = replace(LIFETIME, basis=Basis.GENERATED)
    assert _blocker(settings) is Blocker.NO_HEADROOM


def test_unknown_export_against_known_pv_is_no_bargain() -> None:
    settings = replace(LIFETIME, basis=Basis.GENERATED, daily_pv_counters=(True,))
    pv = (reading(9.0),)
    assert _blocker(settings, pv_counters=pv) is Blocker.COUNTER_UNKNOWN


def test_sensors_added_or_removed_keep_the_sums_of_the_others() -> None:
    two = observation(look=readings(pv_counters=(reading(1.0), reading(2.0))))
    sums = count_generation((), two)
    assert [entry.total for entry in sums] == [1.0, 2.0]
    one = count_generation(sums, observation())
    assert len(one) == 1
    three = count_generation(
        sums, observation(look=readings(pv_counters=(reading(1.0), reading(2.0), reading(3.0))))
    )
    assert len(three) == 3


def test_a_generation_counter_that_cannot_be_read_keeps_its_sum_into_the_next_day() -> None:
    seen = observation(look=readings(pv_counters=(reading(3.0),)))
    sums = count_generation((CounterSum(),), seen)
    gone = readings(pv_counters=(reading(None, problem="missing"),))
    assert count_generation(sums, observation(look=gone))[0].total == 3.0
    assert count_generation(sums, observation(13 * 3600, gone))[0].total == 0.0


# --- Worst case ---


def test_the_worst_case_is_battery_and_pv_up_to_the_inverter() -> None:
    look = readings(battery_power=reading(2000.0), pv_power=reading(1500.0))
    assert worst_flow(look, SETTINGS, 3000.0) == 4500.0
    assert worst_flow(look, SETTINGS, 0.0) == 3500.0
    assert worst_flow(look, replace(SETTINGS, inverter_limit_w=3600.0), 3000.0) == 3600.0


def test_pv_that_is_not_measured_counts_at_its_peak_while_the_sun_is_up() -> None:
    assert worst_flow(readings(), SETTINGS, 1000.0) == 6000.0
    assert worst_flow(readings(sun_up=False), SETTINGS, 1000.0) == 1000.0
    stale = readings(pv_power=reading(0.0, problem="stale"))
    assert worst_flow(stale, SETTINGS, 1000.0) == 6000.0


def test_a_charging_battery_takes_nothing_off_the_worst_case() -> None:
    look = readings(battery_power=reading(-3000.0), pv_power=reading(3500.0))
    assert worst_flow(look, SETTINGS, 0.0) == 3500.0


def test_an_inverter_without_a_limit_is_bounded_by_plausibility() -> None:
    assert site_limit(replace(SETTINGS, inverter_limit_w=0.0)) == 50_000.0


def test_blind_is_a_counter_that_is_gone_or_not_believed() -> None:
    meter = ExportMeter()
    assert not blind(meter, readings(), SETTINGS)
    assert blind(meter, readings(export_counter=reading(None, problem="missing")), SETTINGS)
    doubted = ExportMeter(counter=CounterSum(raw=1.0, reported=NOON, suspect=99.0))
    assert blind(doubted, readings(), SETTINGS)


def test_headroom_falls_between_the_meters_ticks_too() -> None:
    world = World(pv_w=4000.0).settle()
    decision = world.state.decision
    assert decision is not None
    before = decision.headroom
    world.run(50)  # the counter has not moved since
    assert world.state.decision is not None
    assert world.state.decision.exported == decision.exported
    assert before - world.state.decision.headroom == pytest.approx(0.05, abs=0.002)
