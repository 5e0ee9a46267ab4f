"""Circuits: closed, open, half-open, closed; also against a model that moves on timers."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import logging
import sys

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
import pytest

from custom_components.export_monitor.error_handler import (
    POLICIES,
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    CircuitOpenError,
    Permit,
    policy_for,
)

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN
BATTERY = POLICIES["battery_commands"]
OPTIONAL = POLICIES["forecast"]


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
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("battery_commands", BATTERY, clock, 20)


@pytest.fixture
def optional(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("forecast", OPTIONAL, clock, 20)


def permit_of(breaker: CircuitBreaker) -> Permit:
    permit = breaker.acquire()
    assert permit is not None
    return permit


def fail(breaker: CircuitBreaker, times: int) -> None:
    for _ in range(times):
        permit_of(breaker).failure()


def half_open(breaker: CircuitBreaker, clock: FakeClock) -> None:
    fail(breaker, breaker.policy.failures)
    clock.now += breaker.policy.reset_s
    assert breaker.state is HALF_OPEN


@pytest.mark.parametrize(
    ("circuit", "row"),
    [
        ("export_monitor_update", (5, 60, 1, 1)),
        ("battery_commands", (5, 60, 1, 1)),
        ("forecast", (3, 30, 2, 2)),
        ("carbon_intensity", (3, 30, 2, 2)),
        ("tariff", (3, 30, 2, 2)),
        ("notify.mobile_app_phone", (3, 30, 2, 2)),
        ("notify.family", (3, 30, 2, 2)),
    ],
)
def test_every_circuit_has_its_row_of_the_table(circuit: str, row: tuple[int, ...]) -> None:
    policy = policy_for(circuit)
    assert (
        policy.failures,
        policy.reset_s,
        policy.half_open_calls,
        policy.successes_to_close,
    ) == row


def test_an_unknown_circuit_has_no_policy() -> None:
    with pytest.raises(KeyError):
        policy_for("notify")


@pytest.mark.parametrize("row", [(0, 60, 1, 1), (5, 60, 1, 0), (5, 60, 1, 2), (5, 60, 0, 0)])
def test_a_policy_that_could_never_open_or_close_is_refused(row: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="Impossible breaker policy"):
        BreakerPolicy(*row)


def test_consecutive_failures_open_it(breaker: CircuitBreaker) -> None:
    fail(breaker, 4)
    assert (breaker.state, breaker.can_attempt()) == (CLOSED, True)
    fail(breaker, 1)
    assert (breaker.state, breaker.can_attempt()) == (OPEN, False)
    assert breaker.acquire() is None
    assert (breaker.failures, breaker.opened, breaker.rejected) == (5, 1, 1)


def test_a_success_resets_the_count(breaker: CircuitBreaker) -> None:
    fail(breaker, 4)
    permit_of(breaker).success()
    fail(breaker, 4)
    assert breaker.state is CLOSED
    assert (breaker.total_failures, breaker.successes) == (8, 1)


def test_it_turns_half_open_when_the_reset_time_is_over_not_before(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    fail(breaker, 5)
    clock.now += 59.999
    assert breaker.state is OPEN
    clock.now += 0.001
    assert (breaker.state, breaker.can_attempt()) == (HALF_OPEN, True)


def test_half_open_lets_a_bounded_number_of_trials_pass(
    optional: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(optional, clock)
    first, second = permit_of(optional), permit_of(optional)
    assert not optional.can_attempt()
    assert optional.acquire() is None
    first.success()
    assert optional.acquire() is None  # its slot is spent: two trials are two trials
    second.success()
    assert (optional.state, optional.failures) == (CLOSED, 0)
    assert optional.can_attempt()


def test_one_failed_trial_reopens_with_the_time_started_anew(
    optional: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(optional, clock)
    permit_of(optional).success()
    clock.now += 10
    permit_of(optional).failure()
    assert optional.state is OPEN
    clock.now += 29.9
    assert optional.state is OPEN
    clock.now += 0.1
    assert optional.state is HALF_OPEN
    assert optional.opened == 2
    permit_of(optional).success()
    assert optional.state is HALF_OPEN  # the success before the failure no longer counts


def test_a_released_permit_returns_its_trial_uncounted(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(breaker, clock)
    permit = permit_of(breaker)
    assert not breaker.can_attempt()
    permit.release()
    assert (breaker.state, breaker.can_attempt()) == (HALF_OPEN, True)
    assert (breaker.total_failures, breaker.successes) == (5, 0)


def test_only_the_first_answer_of_a_permit_counts(breaker: CircuitBreaker) -> None:
    permit = permit_of(breaker)
    permit.failure()
    permit.failure()
    permit.success()
    permit.release()
    assert (breaker.failures, breaker.total_failures, breaker.successes) == (1, 1, 0)


@pytest.mark.parametrize("answer", [Permit.success, Permit.failure, Permit.release])
def test_results_from_an_earlier_state_are_dropped(
    breaker: CircuitBreaker, clock: FakeClock, answer: Callable[[Permit], None]
) -> None:
    late = permit_of(breaker)
    half_open(breaker, clock)
    trial = permit_of(breaker)
    answer(late)
    assert breaker.state is HALF_OPEN
    assert not breaker.can_attempt()  # nor does the late one free the trial's slot
    assert (breaker.total_failures, breaker.successes) == (5, 0)
    trial.success()
    assert breaker.state is CLOSED


def test_an_unanswered_trial_reopens_as_if_it_had_failed(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(breaker, clock)
    trial = permit_of(breaker)
    clock.now += 19.9
    assert breaker.state is HALF_OPEN
    clock.now += 0.1
    assert breaker.state is OPEN
    assert (breaker.total_failures, breaker.opened) == (6, 2)
    trial.success()  # too late
    assert breaker.state is OPEN
    clock.now += 60
    assert breaker.state is HALF_OPEN


def test_the_reset_time_runs_from_the_moment_the_trial_was_due_whoever_looks_when(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(breaker, clock)
    permit_of(breaker)
    clock.now += 20 + 60
    assert breaker.state is HALF_OPEN
    assert (breaker.opened, breaker.can_attempt()) == (2, True)


def test_half_open_without_any_trial_waits(breaker: CircuitBreaker, clock: FakeClock) -> None:
    half_open(breaker, clock)
    clock.now += 10_000
    assert (breaker.state, breaker.opened) == (HALF_OPEN, 1)
    permit_of(breaker)
    clock.now += 19
    assert breaker.state is HALF_OPEN


def test_every_result_gives_the_other_trial_its_time_anew(
    optional: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(optional, clock)
    first, second = permit_of(optional), permit_of(optional)
    clock.now += 15
    first.success()
    clock.now += 15
    assert optional.state is HALF_OPEN
    second.success()
    assert optional.state is CLOSED


def test_a_second_trial_does_not_give_the_first_more_time(
    optional: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(optional, clock)
    permit_of(optional)
    clock.now += 15
    permit_of(optional)
    clock.now += 5
    assert optional.state is OPEN


def test_a_feed_without_permits_opens_and_closes_it(clock: FakeClock) -> None:
    breaker = CircuitBreaker("export_monitor_update", POLICIES["export_monitor_update"], clock)
    for _ in range(5):
        breaker.record_failure()
    assert breaker.state is OPEN
    breaker.record_failure()
    breaker.record_success()
    assert (breaker.state, breaker.total_failures, breaker.successes) == (OPEN, 5, 0)
    clock.now += 60
    breaker.record_failure()
    assert (breaker.state, breaker.failures) == (OPEN, 6)
    clock.now += 60
    breaker.record_success()
    assert (breaker.state, breaker.failures) == (CLOSED, 0)


def test_a_reset_closes_it_and_forgets_calls_under_way(breaker: CircuitBreaker) -> None:
    late = permit_of(breaker)
    fail(breaker, 5)
    breaker.reset()
    assert (breaker.state, breaker.failures, breaker.total_failures) == (CLOSED, 0, 5)
    fail(breaker, 4)
    late.failure()
    assert breaker.state is CLOSED
    another = permit_of(breaker)
    breaker.reset()
    another.failure()
    assert breaker.failures == 0


def test_an_outage_lasts_through_all_its_trials(breaker: CircuitBreaker, clock: FakeClock) -> None:
    assert breaker.outage_s == 0
    fail(breaker, 5)
    clock.now += 60
    permit_of(breaker).failure()
    clock.now += 250
    assert breaker.outage_s == 310
    permit_of(breaker).success()
    assert breaker.outage_s == 0
    fail(breaker, 5)
    clock.now += 7
    assert breaker.outage_s == 7


def test_opening_and_closing_is_said_once(
    breaker: CircuitBreaker, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    fail(breaker, 5)
    for _ in range(10):
        clock.now += 60
        permit_of(breaker).failure()
        breaker.acquire()
    clock.now += 60
    permit_of(breaker).success()
    breaker.reset()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("WARNING", "Circuit battery_commands opened after 5 failures"),
        ("INFO", "Circuit battery_commands closed"),
    ]


def test_statistics_say_state_counts_and_the_last_failure_in_wall_clock(clock: FakeClock) -> None:
    at = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    breaker = CircuitBreaker("tariff", OPTIONAL, clock, utcnow=lambda: at)
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
    permit_of(breaker).success()
    fail(breaker, 3)
    breaker.acquire()
    assert breaker.as_dict() == {
        "state": "open",
        "can_attempt": False,
        "failures": 3,
        "total_failures": 3,
        "successes": 1,
        "rejected": 1,
        "opened": 1,
        "last_failure": "2026-03-29T01:30:00+00:00",
    }
    clock.now += 30
    assert breaker.as_dict()["state"] == "half_open"


def test_by_default_the_last_failure_is_now_in_utc(breaker: CircuitBreaker) -> None:
    fail(breaker, 1)
    assert breaker.last_failure_utc is not None
    assert breaker.last_failure_utc.utcoffset() == timedelta(0)
    assert abs(datetime.now(UTC) - breaker.last_failure_utc) < timedelta(minutes=1)


async def test_run_gives_the_answer_and_counts_it(breaker: CircuitBreaker) -> None:
    async def answer() -> str:
        return "42"

    fail(breaker, 4)
    assert await breaker.run(answer) == "42"
    assert (breaker.failures, breaker.successes) == (0, 1)


async def test_run_lets_errors_through_and_counts_them_unless_ignored(
    breaker: CircuitBreaker,
) -> None:
    async def refuse() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        await breaker.run(refuse)
    assert breaker.failures == 1
    with pytest.raises(LookupError):
        await breaker.run(refuse, ignored=(LookupError,))
    assert (breaker.failures, breaker.successes) == (1, 0)


async def test_run_does_not_call_behind_an_open_circuit(breaker: CircuitBreaker) -> None:
    called = False

    async def call() -> None:
        nonlocal called
        called = True

    fail(breaker, 5)
    with pytest.raises(CircuitOpenError, match="battery_commands"):
        await breaker.run(call)
    assert (called, breaker.rejected) == (False, 1)


async def test_a_cancelled_run_is_neither_success_nor_failure(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    half_open(breaker, clock)
    task = asyncio.create_task(breaker.run(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert not breaker.can_attempt()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (breaker.state, breaker.can_attempt()) == (HALF_OPEN, True)
    assert (breaker.total_failures, breaker.successes) == (5, 0)


def test_a_circuit_takes_about_a_kilobyte(clock: FakeClock) -> None:
    breaker = CircuitBreaker("battery_commands", BATTERY, clock)
    half_open(breaker, clock)
    permit = permit_of(breaker)
    assert not hasattr(breaker, "__dict__")
    shared = {id(breaker.policy), id(breaker.clock), id(breaker.utcnow)}
    own = [getattr(breaker, name) for name in CircuitBreaker.__slots__]
    size = sum(sys.getsizeof(value) for value in own if id(value) not in shared)
    assert size + sys.getsizeof(breaker) + sys.getsizeof(permit) <= 1024


class TimerCircuit:
    """The model: the same rules, but moved by timers at their moments, with named trials."""

    def __init__(self, policy: BreakerPolicy, answer_s: float, now: float) -> None:
        self.policy, self.answer_s, self.now = policy, answer_s, now
        self.state, self.era = CLOSED, 0
        self.in_a_row = self.all_failures = self.all_successes = self.refused = self.times_open = 0
        self.trials: dict[int, str] = {}
        self.alarm: float | None = None
        self.numbers = 0

    def move(self, state: BreakerState) -> None:
        self.state, self.era, self.trials, self.alarm = state, self.era + 1, {}, None
        if state is OPEN:
            self.times_open += 1
            self.alarm = self.now + self.policy.reset_s
        elif state is CLOSED:
            self.in_a_row = 0

    def advance(self, seconds: float) -> None:
        until = self.now + seconds
        while self.alarm is not None and self.alarm <= until:
            self.now = self.alarm
            if self.state is OPEN:
                self.move(HALF_OPEN)
            else:
                self.fail()
        self.now = until

    def may(self) -> bool:
        room = len(self.trials) < self.policy.half_open_calls
        return self.state is CLOSED or (self.state is HALF_OPEN and room)

    def ask(self) -> tuple[int, int] | None:
        if not self.may():
            self.refused += 1
            return None
        self.numbers += 1
        if self.state is HALF_OPEN:
            if "out" not in self.trials.values():
                self.alarm = self.now + self.answer_s
            self.trials[self.numbers] = "out"
        return self.era, self.numbers

    def fail(self) -> None:
        self.in_a_row += 1
        self.all_failures += 1
        if self.state is HALF_OPEN or self.in_a_row >= self.policy.failures:
            self.move(OPEN)

    def succeed(self, number: int) -> None:
        self.all_successes += 1
        if self.state is CLOSED:
            self.in_a_row = 0
            return
        self.trials[number] = "good"
        out = "out" in self.trials.values()
        self.alarm = self.now + self.answer_s if out else None
        if list(self.trials.values()).count("good") >= self.policy.successes_to_close:
            self.move(CLOSED)

    def settle(self, ticket: tuple[int, int], how: str) -> None:
        era, number = ticket
        if era != self.era:
            return
        if how == "failure":
            self.fail()
        elif how == "success":
            self.succeed(number)
        elif self.trials.pop(number, None) and "out" not in self.trials.values():
            self.alarm = None


class BreakerBesideItsModel(RuleBasedStateMachine):
    """Whatever happens in whatever order, the circuit agrees with the model."""

    @initialize(
        failures=st.integers(1, 4),
        calls=st.integers(1, 3),
        needed=st.integers(1, 3),
        reset=st.sampled_from([5.0, 30.0]),
        answer=st.sampled_from([4.0, 50.0]),
    )
    def begin(self, failures: int, calls: int, needed: int, reset: float, answer: float) -> None:
        policy = BreakerPolicy(failures, reset, max(calls, needed), needed)
        self.clock = FakeClock(0.0)
        self.real = CircuitBreaker("any", policy, self.clock, answer)
        self.model = TimerCircuit(policy, answer, 0.0)
        self.tickets: list[tuple[Permit, tuple[int, int]]] = []

    @rule(seconds=st.sampled_from([0.5, 1.0, 3.5, 5.0, 30.0, 200.0]))
    def time_passes(self, seconds: float) -> None:
        self.clock.now += seconds
        self.model.advance(seconds)

    @rule()
    def somebody_asks(self) -> None:
        permit, ticket = self.real.acquire(), self.model.ask()
        assert (permit is None) is (ticket is None)
        if permit is not None and ticket is not None:
            self.tickets.append((permit, ticket))

    @precondition(lambda self: self.tickets)
    @rule(data=st.data(), how=st.sampled_from(["success", "failure", "release"]))
    def an_answer_comes(self, data: st.DataObject, how: str) -> None:
        place = data.draw(st.integers(0, len(self.tickets) - 1))
        permit, ticket = self.tickets.pop(place)
        getattr(permit, how)()
        self.model.settle(ticket, how)

    @rule()
    def a_poll_fails(self) -> None:
        self.real.record_failure()
        if self.model.state is not OPEN:
            self.model.fail()

    @rule()
    def a_poll_succeeds(self) -> None:
        self.real.record_success()
        if self.model.state is not OPEN:
            self.model.numbers += 1
            self.model.succeed(self.model.numbers)

    @rule()
    def the_user_resets(self) -> None:
        self.real.reset()
        self.model.move(CLOSED)

    # A rule and not an invariant: most of the time nobody looks, and time must tell all the same.
    @rule()
    def somebody_looks(self) -> None:
        assert self.real.state is self.model.state
        assert self.real.can_attempt() is self.model.may()
        assert self.real.failures == self.model.in_a_row
        assert self.real.total_failures == self.model.all_failures
        assert self.real.successes == self.model.all_successes
        assert self.real.rejected == self.model.refused
        assert self.real.opened == self.model.times_open
        if self.model.state is CLOSED:
            assert self.real.outage_s == 0

    def teardown(self) -> None:
        if hasattr(self, "real"):
            self.somebody_looks()


TestBreakerBesideItsModel = BreakerBesideItsModel.TestCase


def test_totals_go_on_from_an_earlier_run_and_the_state_does_not(clock: FakeClock) -> None:
    breaker = CircuitBreaker(
        "battery_commands",
        BATTERY,
        clock,
        total_failures=9,
        successes=7,
        rejected=5,
        opened=3,
    )
    assert breaker.state is BreakerState.CLOSED
    assert breaker.failures == 0
    fail(breaker, BATTERY.failures)
    assert breaker.acquire() is None
    counts = (breaker.total_failures, breaker.successes, breaker.rejected, breaker.opened)
    assert counts == (9 + BATTERY.failures, 7, 6, 4)
