"""The simulated house keeps its energy, and forecasts are as good as they say."""

from datetime import UTC, date, datetime, timedelta
from math import sqrt
from random import Random

import numpy as np
import pytest

from custom_components.export_monitor.models import Kind
from simulation.forecasts import Forecaster, skill
from simulation.house import Counter, Dispatch, Plant
from simulation.weather import House, span
from simulation.yardsticks import Minutes, drift, nothing

HOUSE = House()
WAY = sqrt(HOUSE.efficiency)


@pytest.mark.parametrize("seed", range(5))
def test_no_energy_is_made_or_lost(seed: int) -> None:
    rng = Random(seed)
    plant = Plant.of(HOUSE)
    before = plant.stored_kwh
    for _ in range(3000):
        plant.weather(rng.choice([0.0, 800.0, 4500.0]), rng.uniform(100, 3500))
        if rng.random() < 0.1:
            kind = rng.choice(list(Kind))
            cutoff = 10.0 if kind is Kind.DISCHARGE else 100.0
            plant.tell(Dispatch(kind, rng.uniform(300, 5000), plant.now_s + 900, cutoff))
        plant.advance(rng.choice([1.0, 10.0, 60.0]))
        assert 0.0 <= plant.soc <= 100.0 + 1e-9
    sums = plant.sums
    came = sums.generated + sums.imported + sums.discharged
    assert came == pytest.approx(sums.consumed + sums.exported + sums.charged, abs=1e-6)
    moved = sums.charged * WAY - sums.discharged / WAY
    assert plant.stored_kwh - before == pytest.approx(moved, abs=1e-6)
    assert sums.lost == pytest.approx(
        sums.charged - sums.discharged - (plant.stored_kwh - before), abs=1e-6
    )
    assert sums.exported > 1.0
    assert sums.charged > 1.0


def test_a_dispatch_ends_at_its_cutoff_and_by_its_timer() -> None:
    plant = Plant.of(HOUSE)
    plant.weather(0.0, 400.0)
    plant.tell(Dispatch(Kind.DISCHARGE, 5000.0, 3600.0, 30.0))
    plant.advance(3000.0)
    assert plant.soc == pytest.approx(30.0, abs=1e-6)
    assert plant.battery_w == 0.0  # it holds, the grid feeds the house
    plant.advance(700.0)
    assert plant.dispatch is None
    assert plant.battery_w == 400.0


def test_a_counter_shows_whole_steps_since_midnight() -> None:
    counter = Counter(0.01)
    counter.tick(0.0199)
    assert counter.shown == pytest.approx(0.01)
    counter.reset(0.0199)
    assert counter.shown == 0.0
    counter.tick(0.0301)
    assert counter.shown == pytest.approx(0.01)


def test_the_fast_loop_and_the_house_are_the_same() -> None:
    days = span(date(2025, 5, 1), 1, 3, HOUSE)
    minutes = Minutes.of(days)
    plant = Plant.of(HOUSE)
    for pv, load in zip(days.pv_w[:1440].tolist(), days.load_w[:1440].tolist(), strict=True):
        plant.weather(pv, load)
        plant.advance(60.0)
    stored, exported, imported, _ = drift(minutes, HOUSE, 5.0, 0, 1440)
    assert stored == pytest.approx(plant.stored_kwh, abs=1e-6)
    assert exported == pytest.approx(plant.sums.exported, abs=1e-6)
    assert imported == pytest.approx(plant.sums.imported, abs=1e-6)


def test_days_are_those_of_the_local_calendar() -> None:
    days = span(date(2025, 3, 29), 3, 1, HOUSE)
    hours = [(end - begin) / timedelta(hours=1) for begin, end in days.days[:3]]
    assert hours == [24.0, 23.0, 24.0]
    assert days.end == datetime(2025, 3, 31, 23, tzinfo=UTC)
    assert len(nothing(days, HOUSE, Minutes.of(days)).exported) == 142


def test_a_year_is_one_of_the_middle_of_england() -> None:
    days = span(date(2025, 1, 1), 365, 1, HOUSE)
    pv = days.pv_w[: 365 * 1440].sum() / 60_000
    assert 3200 < pv < 4400
    load = days.load_w[: 365 * 1440].sum() / 60_000 / 365
    assert load == pytest.approx(8.0, rel=0.05)
    assert days.export_price.min() < 0 < days.import_price.mean()
    local = [days.moment_of(n).astimezone(days.zone).hour for n in range(48 * 365)]
    peak = np.array([16 <= hour < 19 for hour in local])
    assert days.export_price[: len(peak)][peak].mean() > 1.8 * days.export_price.mean()


def test_forecasts_are_as_good_as_they_say() -> None:
    days = span(date(2025, 3, 1), 180, 1, HOUSE)
    told = skill(Forecaster.of(days, 1, perfect=False))
    assert 0.17 < told.day_ahead < 0.27
    assert told.rmse_near < 0.8 * told.rmse
    assert told.covered == pytest.approx(0.8, abs=0.05)
    assert told.covered_ahead == pytest.approx(0.8, abs=0.07)


def test_perfect_forecasts_are_the_truth() -> None:
    days = span(date(2025, 6, 1), 2, 1, HOUSE)
    seen = Forecaster.of(days, 1, perfect=True).forecast(days.start, days.days[0][1])
    truth = days.mean(days.pv_w)[:48]
    assert [slot.p10_w for slot in seen.slots] == pytest.approx(truth.tolist())
    assert [slot.p50_w for slot in seen.slots] == [slot.p90_w for slot in seen.slots]


def test_a_forecast_speaks_of_nothing_that_is_over() -> None:
    days = span(date(2025, 6, 1), 2, 1, HOUSE)
    now = days.start + timedelta(hours=13, minutes=30)
    seen = Forecaster.of(days, 1, perfect=False).forecast(now, days.days[1][1])
    assert seen.slots[0].start == now
    assert seen.slots[-1].end == days.days[1][1]
    assert all(slot.p10_w <= slot.p50_w <= slot.p90_w for slot in seen.slots)
