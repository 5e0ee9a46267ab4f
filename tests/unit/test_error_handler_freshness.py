"""Freshness: the coordinator's own clock and the age of every source's last report."""

import math

from hypothesis import given, strategies as st
import pytest

from custom_components.export_monitor.error_handler import Problem, StaleDataDetector


class FakeClock:
    """Monotonic seconds that move when told."""

    def __init__(self, now: float = 1000.0) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def detector(clock: FakeClock) -> StaleDataDetector:
    return StaleDataDetector(clock, 30)


def test_before_the_first_update_there_is_no_age_and_nothing_may_start(
    detector: StaleDataDetector,
) -> None:
    assert detector.age() is None
    assert detector.is_stale()


def test_data_turns_stale_after_the_limit_not_at_it(
    detector: StaleDataDetector, clock: FakeClock
) -> None:
    detector.mark_update()
    assert (detector.age(), detector.is_stale()) == (0, False)
    clock.now += 30
    assert (detector.age(), detector.is_stale()) == (30, False)
    clock.now += 0.1
    assert detector.is_stale()
    detector.mark_update()
    assert (detector.age(), detector.is_stale()) == (0, False)


@pytest.mark.parametrize(
    ("age_s", "limit_s", "sibling_age_s", "problem"),
    [
        (0, 60, None, None),
        (60, 60, None, None),
        (60.1, 60, None, Problem.STALE),
        (1e9, None, None, None),  # no limit: PV energy at night
        (300, 60, 1, None),  # a resting SOC beside a reporting sibling
        (300, 60, 60, None),
        (300, 60, 61, Problem.STALE),  # the whole device is silent
        (5, 60, 300, None),
        (-2, 60, None, None),  # reported just ahead of our look
        (-3600, 60, None, Problem.STALE),  # the wall clock was set back: nobody knows
        (300, 60, -3600, Problem.STALE),
        (math.nan, 60, None, Problem.STALE),
        (300, 60, math.nan, Problem.STALE),
    ],
)
def test_a_source_is_judged_by_its_last_report(
    detector: StaleDataDetector,
    age_s: float,
    limit_s: float | None,
    sibling_age_s: float | None,
    problem: Problem | None,
) -> None:
    found = detector.source_problem(
        "sensor.soc", age_s=age_s, limit_s=limit_s, sibling_age_s=sibling_age_s
    )
    assert found is problem
    assert detector.stale_counts == ({"sensor.soc": 1} if problem else {})


def test_ages_of_sources_go_on_between_two_reads(
    detector: StaleDataDetector, clock: FakeClock
) -> None:
    detector.source_problem("sensor.soc", age_s=4, limit_s=60)
    clock.now += 10
    detector.source_problem("sensor.pv", age_s=70, limit_s=60)
    detector.source_problem("sensor.pv", age_s=70, limit_s=60)
    clock.now += 1
    assert detector.source_ages == {"sensor.soc": 15, "sensor.pv": 71}
    assert detector.stale_counts == {"sensor.pv": 2}


@given(
    age=st.floats(0, 1e6), limit=st.floats(0, 1e6), sibling=st.one_of(st.none(), st.floats(0, 1e6))
)
def test_a_source_is_fresh_exactly_when_it_or_its_sibling_reported_in_time(
    age: float, limit: float, sibling: float | None
) -> None:
    detector = StaleDataDetector(FakeClock(), 30)
    youngest = min(age, math.inf if sibling is None else sibling)
    problem = detector.source_problem("x", age_s=age, limit_s=limit, sibling_age_s=sibling)
    assert (problem is None) is (youngest <= limit)
