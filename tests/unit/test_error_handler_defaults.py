"""What a circuit begins with, and what it allows where nothing else was said."""

import pytest

from custom_components.export_monitor.error_handler import (
    POLICIES,
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    SensorValidation,
    SourceKind,
    policy_for,
)

ONCE = BreakerPolicy(failures=1, reset_s=10, half_open_calls=1, successes_to_close=1)


class _Time:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def _breaker(policy: BreakerPolicy = ONCE) -> tuple[CircuitBreaker, _Time]:
    time = _Time()
    return CircuitBreaker("any", policy, time), time


def test_a_new_circuit_is_closed_and_has_counted_nothing() -> None:
    breaker, _ = _breaker()
    assert breaker.as_dict() == {
        "state": "closed",
        "can_attempt": True,
        "failures": 0,
        "total_failures": 0,
        "successes": 0,
        "rejected": 0,
        "opened": 0,
        "last_failure": None,
    }
    assert breaker.outage_s == 0.0


@pytest.mark.parametrize(
    ("seconds", "state"), [(29.9, BreakerState.HALF_OPEN), (30.0, BreakerState.OPEN)]
)
def test_a_trial_may_stay_unanswered_for_thirty_seconds(
    seconds: float, state: BreakerState
) -> None:
    breaker, time = _breaker()
    breaker.record_failure()
    time.now += 10
    assert breaker.acquire() is not None
    time.now += seconds
    assert breaker.state is state


@pytest.mark.parametrize("seconds", [9.9, 10.0])
def test_a_circuit_tries_again_at_its_reset_time(seconds: float) -> None:
    breaker, time = _breaker()
    breaker.record_failure()
    time.now += seconds
    assert (breaker.state is BreakerState.HALF_OPEN) is (seconds >= 10)


def test_an_outage_counts_from_the_first_opening_through_all_trials() -> None:
    breaker, time = _breaker()
    breaker.record_failure()
    for _ in range(3):
        time.now += 10
        permit = breaker.acquire()
        assert permit is not None
        permit.failure()
    time.now += 5
    assert breaker.outage_s == 35.0
    assert (breaker.failures, breaker.opened) == (4, 4)


def test_a_trial_that_worked_ends_an_outage_and_the_next_failure_begins_another() -> None:
    policy = BreakerPolicy(failures=1, reset_s=10, half_open_calls=2, successes_to_close=2)
    breaker, time = _breaker(policy)
    breaker.record_failure()
    time.now += 400
    assert breaker.outage_s == 400
    breaker.record_success()
    time.now += 3600
    assert breaker.state is BreakerState.HALF_OPEN
    assert breaker.outage_s == 0
    breaker.record_failure()
    time.now += 20
    assert breaker.outage_s == 20


CONTROL = BreakerPolicy(failures=5, reset_s=60, half_open_calls=1, successes_to_close=1)
OPTIONAL = BreakerPolicy(failures=3, reset_s=30, half_open_calls=2, successes_to_close=2)


def test_every_circuit_has_the_policy_of_the_specification() -> None:
    assert dict(POLICIES) == {
        "export_monitor_update": CONTROL,
        "battery_commands": CONTROL,
        "forecast": OPTIONAL,
        "carbon_intensity": OPTIONAL,
        "tariff": OPTIONAL,
    }
    assert policy_for("notify.phone") == OPTIONAL


def test_every_reading_counts_and_every_bad_one_too() -> None:
    validation = SensorValidation()
    for raw in ("50", "51", "full", "101"):
        validation.check("sensor.soc", SourceKind.SOC, raw, "%")
    validation.judge_step("sensor.soc", 12.0)
    assert validation.read_counts["sensor.soc"] == 4
    assert validation.invalid_counts["sensor.soc"] == 3
