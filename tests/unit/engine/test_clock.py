"""A wall clock that is set, over midnight and around it, and counters that keep their own time."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from custom_components.export_monitor.engine.accounting import count_export, count_generation
from custom_components.export_monitor.engine.clock import STEP_COUNTS_S, WallClock
from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter
from custom_components.export_monitor.engine.period import local_day
from custom_components.export_monitor.models import Instant, Observation
from tests.unit.engine.world import NOON, SETTINGS, observation, reading, readings

UTC = NOON.tzinfo
assert UTC is not None
MIDNIGHT = local_day(NOON, UTC).end
TWO_HOURS = timedelta(hours=2)
MINUTE = timedelta(minutes=1)


def _seen(clock: WallClock, utc: datetime, mono: float) -> WallClock:
    return clock.seen(Instant(utc, mono))


# --- The clock ---


def test_time_that_passes_is_no_step() -> None:
    clock = _seen(WallClock(), NOON, 100.0)
    assert _seen(clock, NOON + TWO_HOURS, 100.0 + 7200.0) is clock
    assert clock.stepped == timedelta()


@pytest.mark.parametrize("step", [TWO_HOURS, -TWO_HOURS])
def test_a_step_is_known_for_a_day(step: timedelta) -> None:
    clock = _seen(WallClock(), NOON, 100.0)
    clock = _seen(clock, NOON + step + MINUTE, 160.0)
    assert clock.stepped == step
    day = timedelta(seconds=STEP_COUNTS_S)
    assert _seen(clock, NOON + step + MINUTE + day, 160.0 + STEP_COUNTS_S).stepped == step
    later = _seen(clock, NOON + step + 2 * MINUTE + day, 220.0 + STEP_COUNTS_S)
    assert later.stepped == timedelta()


def test_a_step_that_is_taken_back_is_none() -> None:
    clock = _seen(WallClock(), NOON, 0.0)
    clock = _seen(clock, NOON + TWO_HOURS, 0.0)
    assert _seen(clock, NOON, 0.0).stepped == timedelta()


def test_seconds_are_no_step() -> None:
    clock = _seen(WallClock(), NOON, 0.0)
    assert _seen(clock, NOON + timedelta(seconds=30), 0.0).stepped == timedelta()


def test_a_new_run_keeps_the_step_and_learns_its_own_time() -> None:
    clock = _seen(_seen(WallClock(), NOON, 5000.0), NOON + TWO_HOURS, 5000.0)
    resumed = clock.resumed(Instant(NOON, 3.0))
    assert _seen(resumed, NOON + TWO_HOURS, 3.0).stepped == TWO_HOURS
    assert WallClock(5.0).resumed(Instant(NOON, 3.0)) == WallClock()


# --- The counters ---


def _reset(at: datetime, stepped: timedelta, *, credit: bool = False) -> CounterSum:
    """Return a counter of 6 kWh whose reset is reported at a moment of the wall clock."""
    period = local_day(at, UTC)  # type: ignore[arg-type]
    counter = CounterSum().observe(6.0, at - MINUTE, period, daily=True, credit=credit)
    return counter.observe(0.02, at, period, daily=True, credit=credit, stepped=stepped)


@pytest.mark.parametrize("off", [-10 * MINUTE, timedelta(), 10 * MINUTE])
@pytest.mark.parametrize("step", [TWO_HOURS, -TWO_HOURS])
def test_a_reset_at_the_midnight_of_the_clock_before_its_step_counts_at_once(
    step: timedelta, off: timedelta
) -> None:
    assert _reset(MIDNIGHT + step + off, step).trusted


@pytest.mark.parametrize("step", [timedelta(), TWO_HOURS, -TWO_HOURS])
def test_a_fall_far_from_either_midnight_has_to_hold(step: timedelta) -> None:
    assert not _reset(MIDNIGHT - timedelta(hours=5), step).trusted


def test_a_reset_after_a_step_credits_no_more_than_it_shows() -> None:
    counter = _reset(MIDNIGHT - TWO_HOURS, -TWO_HOURS, credit=True)
    assert counter.total == pytest.approx(6.02)


def _look(utc: datetime, mono: float, value: float, reported: datetime) -> Observation:
    look = replace(
        readings(reported),
        export_counter=reading(value, reported),
        pv_counters=(reading(value, reported),),
    )
    return replace(observation(look=look, settings=SETTINGS), now=Instant(utc, mono))


def test_a_suspicion_does_not_wait_until_a_clock_set_back_has_caught_up() -> None:
    meter, sums = ExportMeter(), tuple[CounterSum, ...]()
    for second, value in ((0, 5.0), (60, 5.1), (120, 9.9)):  # the last of them is held back
        now = NOON + timedelta(seconds=second)
        look = _look(now, second, value, now)
        meter = count_export(meter, look, 0.0)
        sums = count_generation(sums, look, meter.clock.stepped)
    assert not meter.counter.trusted
    assert not sums[0].trusted
    now = NOON - TWO_HOURS + timedelta(seconds=180)
    look = _look(now, 180, 5.1, now)
    meter = count_export(meter, look, 0.0)
    sums = count_generation(sums, look, meter.clock.stepped)
    assert meter.counter.trusted
    assert sums[0].trusted
