"""The breaker's rules are those of the integration; the backoff never gives up."""

from __future__ import annotations

import pytest

from activity_ingestor.backoff import Backoff
from activity_ingestor.circuit import CircuitBreaker, CircuitRules, CircuitState, Permit
from tests.support.clock import FakeClock


def make(clock: FakeClock, **rules: int) -> CircuitBreaker:
    return CircuitBreaker("x", CircuitRules(**rules), clock.monotonic)


def state_of(breaker: CircuitBreaker) -> CircuitState:
    """Return the state anew: a type checker would take the last one for granted."""
    return breaker.state


def permit_of(breaker: CircuitBreaker) -> Permit:
    permit = breaker.permit()
    assert permit is not None
    return permit


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        breaker.failed(permit_of(breaker))


def test_consecutive_failures_open_it_and_a_success_forgets_them(clock: FakeClock) -> None:
    breaker = make(clock)
    fail(breaker, 2)
    breaker.succeeded(permit_of(breaker))
    fail(breaker, 2)
    assert state_of(breaker) is CircuitState.CLOSED
    fail(breaker, 1)
    assert state_of(breaker) is CircuitState.OPEN
    assert breaker.permit() is None
    assert breaker.seconds_until_trial() == 30.0


def test_a_bounded_number_of_trials_passes_after_the_reset_time(clock: FakeClock) -> None:
    breaker = make(clock, half_open_calls=2, successes_to_close=2)
    fail(breaker, 3)
    clock.now += 30
    first, second = permit_of(breaker), permit_of(breaker)
    assert breaker.permit() is None
    breaker.succeeded(first)
    assert state_of(breaker) is CircuitState.HALF_OPEN
    breaker.succeeded(second)
    assert state_of(breaker) is CircuitState.CLOSED


def test_one_failed_trial_opens_it_with_the_time_started_anew(clock: FakeClock) -> None:
    breaker = make(clock)
    fail(breaker, 3)
    clock.now += 30
    breaker.failed(permit_of(breaker))
    assert state_of(breaker) is CircuitState.OPEN
    clock.now += 29
    assert breaker.permit() is None


def test_a_cancelled_trial_gives_its_permit_back(clock: FakeClock) -> None:
    breaker = make(clock)
    fail(breaker, 3)
    clock.now += 30
    breaker.released(permit_of(breaker))
    breaker.succeeded(permit_of(breaker))
    assert state_of(breaker) is CircuitState.CLOSED


def test_a_result_from_an_earlier_state_is_dropped(clock: FakeClock) -> None:
    breaker = make(clock)
    old = permit_of(breaker)
    fail(breaker, 3)
    breaker.succeeded(old)
    assert state_of(breaker) is CircuitState.OPEN


def test_half_open_without_a_result_opens_again(clock: FakeClock) -> None:
    breaker = make(clock)
    fail(breaker, 3)
    clock.now += 30
    permit_of(breaker)
    clock.now += 61
    assert state_of(breaker) is CircuitState.OPEN


def test_backoff_doubles_to_its_ceiling_and_never_ends() -> None:
    backoff = Backoff(base_s=1.0, cap_s=8.0, uniform=lambda _low, high: high)
    assert [backoff.next_delay_s(0.0) for _ in range(6)] == [1, 2, 4, 8, 8, 8]
    assert all(backoff.next_delay_s(0.0) == 8.0 for _ in range(10_000))


@pytest.mark.parametrize(("lasted", "expected"), [(59.0, 8.0), (60.0, 1.0)])
def test_only_a_stable_minute_forgets_the_failures(lasted: float, expected: float) -> None:
    backoff = Backoff(base_s=1.0, cap_s=8.0, uniform=lambda _low, high: high)
    for _ in range(5):
        backoff.next_delay_s(0.0)
    backoff.connected(100.0)
    backoff.connected(100.0 + lasted)
    assert backoff.next_delay_s(100.0 + lasted) == expected


def test_jitter_is_full() -> None:
    backoff = Backoff(base_s=4.0, cap_s=4.0)
    delays = [backoff.next_delay_s(0.0) for _ in range(500)]
    assert min(delays) < 0.5
    assert max(delays) > 3.5
