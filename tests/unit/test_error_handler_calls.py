"""What a guarded call waits, counts and takes for proof, without a service to call."""

from homeassistant.core import State
import pytest

from custom_components.export_monitor.error_handler import (
    CallResult,
    Expectation,
    Outcome,
    RetryPolicy,
    ServiceStatistics,
)

NUMBER = "input_number.power"


def test_three_attempts_of_five_seconds_each_are_what_is_usual() -> None:
    usual = RetryPolicy()
    assert (usual.attempts, usual.timeout_s, usual.read_back_s) == (3, 5, 3)
    assert usual.deadline_s is None


def test_pauses_double_from_one_second_to_five() -> None:
    assert [RetryPolicy().delay_s(retry, 1.0) for retry in range(1, 6)] == [1, 2, 4, 5, 5]


def test_chance_shortens_a_pause_by_at_most_half() -> None:
    assert [RetryPolicy().delay_s(2, random) for random in (0.0, 0.5, 1.0)] == [1.0, 1.5, 2.0]


@pytest.mark.parametrize(
    ("shown", "met"),
    [
        ("2.45", True),
        ("2.5", True),
        ("2.55", True),
        ("2.56", False),
        ("2.44", False),
        ("on", False),
    ],
)
def test_a_number_within_half_a_step_is_the_number(shown: str, met: bool) -> None:
    expected = Expectation(NUMBER, number=2.5, tolerance=0.05)
    assert expected.is_met_by(State(NUMBER, shown)) is met


def test_without_a_tolerance_a_number_is_exact() -> None:
    expected = Expectation(NUMBER, number=2.5)
    assert expected.is_met_by(State(NUMBER, "2.50"))
    assert not expected.is_met_by(State(NUMBER, "2.6"))
    assert not expected.is_met_by(State(NUMBER, "3.5"))


def test_a_text_is_met_by_itself_alone_and_nothing_by_nothing() -> None:
    expected = Expectation("switch.discharge", state="on")
    assert expected.is_met_by(State("switch.discharge", "on"))
    assert not expected.is_met_by(State("switch.discharge", "off"))
    assert not expected.is_met_by(None)
    assert not Expectation(NUMBER, number=0.0).is_met_by(None)


def _result(outcome: Outcome, attempts: int, latency_s: float) -> CallResult:
    return CallResult(outcome, attempts, latency_s, None, "")


def test_a_service_never_called_has_counted_nothing() -> None:
    fresh = ServiceStatistics()
    assert (fresh.calls, fresh.successes, fresh.attempts) == (0, 0, 0)
    assert (fresh.retried, fresh.retry_successes) == (0, 0)
    assert (fresh.latency_total_s, fresh.latency_max_s) == (0.0, 0.0)


def test_a_retry_is_a_second_attempt_and_may_succeed_or_fail() -> None:
    statistics = ServiceStatistics()
    for result in (
        _result(Outcome.OK, 1, 0.25),
        _result(Outcome.OK, 2, 1.5),
        _result(Outcome.TIMEOUT, 3, 0.5),
        _result(Outcome.CIRCUIT_OPEN, 0, 0.0),
    ):
        statistics.add(result)
    assert (statistics.calls, statistics.successes, statistics.attempts) == (4, 2, 6)
    assert (statistics.retried, statistics.retries, statistics.retry_successes) == (2, 3, 1)
    assert (statistics.latency_total_s, statistics.latency_max_s) == (2.25, 1.5)


@pytest.mark.parametrize("outcome", sorted(set(Outcome) - {Outcome.OK}))
def test_only_ok_is_ok(outcome: Outcome) -> None:
    assert not _result(outcome, 1, 0.0).ok
    assert _result(Outcome.OK, 1, 0.0).ok
