"""Guarded service calls: services that hang, lie, raise, answer late, vanish."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
import logging
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.setup import async_setup_component
import pytest
import voluptuous as vol

from custom_components.export_monitor.error_handler import (
    BreakerPolicy,
    BreakerState,
    CallResult,
    CircuitBreaker,
    Expectation,
    Outcome,
    RetryPolicy,
    SafeServiceCall,
    policy_for,
)

SWITCH = "input_boolean.force_discharging"
POWER = "number.power"
TARGET = {"entity_id": SWITCH}
IS_ON = Expectation(SWITCH, state="on")
IS_OFF = Expectation(SWITCH, state="off")
ONCE = RetryPolicy(attempts=1)

type Handler = Callable[[ServiceCall], Awaitable[None]]


class Bench:
    """A battery behind one service, the guarded call in front of it, and time in our hands."""

    def __init__(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
        self.hass = hass
        self.freezer = freezer
        self.calls: list[dict[str, object]] = []
        self.pauses: list[float] = []
        self.script: list[Handler] = []
        self.breaker = CircuitBreaker(
            "battery_commands", policy_for("battery_commands"), hass.loop.time
        )
        self.safe = SafeServiceCall(
            hass,
            self.breaker,
            RetryPolicy(),
            clock=hass.loop.time,
            random=lambda: 1.0,
            sleep=self.pause,
        )
        hass.loop.slow_callback_duration = 3600  # time that is moved is no slow callback
        hass.services.async_register("battery", "set", self.answer)
        hass.states.async_set(SWITCH, "off")

    async def answer(self, call: ServiceCall) -> None:
        """Do as the script says; its last line repeats."""
        self.calls.append(dict(call.data))
        await (self.script.pop(0) if len(self.script) > 1 else self.script[0])(call)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def works(self, _call: ServiceCall) -> None:
        self.hass.states.async_set(SWITCH, "on")

    async def lies(self, _call: ServiceCall) -> None:
        """Acknowledge without effect, as a Modbus write to an unplugged inverter does."""

    async def hangs(self, _call: ServiceCall) -> None:
        await asyncio.Event().wait()

    def raises(self, error: BaseException) -> Handler:
        async def handler(_call: ServiceCall) -> None:
            raise error

        return handler

    def late(self, seconds: float, state: str = "on") -> Handler:
        async def handler(_call: ServiceCall) -> None:
            self.hass.loop.call_later(seconds, self.hass.states.async_set, SWITCH, state)

        return handler

    async def settle(self) -> None:
        for _ in range(20):
            await asyncio.sleep(0)

    async def advance(self, seconds: float) -> None:
        await self.settle()
        self.freezer.tick(seconds)  # the loop's own clock too, so that its timers come due
        await self.settle()

    def start(self, **options: Any) -> asyncio.Task[CallResult]:
        options.setdefault("expect", IS_ON)
        return asyncio.create_task(self.safe.call("battery", "set", TARGET, **options))

    async def call(self, **options: Any) -> CallResult:
        """Call and let time pass until it is over."""
        return await self.finish(self.start(**options))

    async def stop(self, **options: Any) -> CallResult:
        options.setdefault("expect", IS_OFF)
        options.setdefault("timeout_s", 3.0)
        call = self.safe.call_bypassing("battery", "set", TARGET, **options)
        return await self.finish(asyncio.create_task(call))

    async def finish(self, task: asyncio.Task[CallResult]) -> CallResult:
        for _ in range(400):
            await self.settle()
            if task.done():
                break
            await self.advance(0.1)
        assert task.done(), "the call never ended"
        return task.result()

    def open_circuit(self) -> None:
        for _ in range(self.breaker.policy.failures):
            self.breaker.record_failure()

    async def half_open_circuit(self) -> None:
        self.open_circuit()
        await self.advance(60)
        assert self.breaker.state is BreakerState.HALF_OPEN

    def listeners(self) -> int:
        return self.hass.bus.async_listeners().get("state_changed", 0)


@pytest.fixture
def bench(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> Iterator[Bench]:
    bench = Bench(hass, freezer)
    before = bench.listeners()
    yield bench
    assert bench.listeners() == before, "a listener was left behind"


async def test_a_write_is_proven_by_the_state_read_back(bench: Bench) -> None:
    bench.script = [bench.works]
    result = await bench.call()
    assert result == CallResult(Outcome.OK, 1, 0.0, "on", "")
    assert result.ok
    assert bench.calls == [TARGET]
    assert (bench.breaker.successes, bench.breaker.total_failures) == (1, 0)


async def test_a_state_that_is_already_there_is_proof(bench: Bench) -> None:
    bench.script = [bench.lies]
    result = await bench.call(expect=IS_OFF)
    assert (result.outcome, result.read, len(bench.calls)) == (Outcome.OK, "off", 1)


async def test_where_nothing_is_expected_the_answer_of_the_service_counts(bench: Bench) -> None:
    bench.script = [bench.lies]
    result = await bench.call(expect=None)
    assert (result.outcome, result.read) == (Outcome.OK, None)


async def test_a_late_answer_is_waited_for_and_taken_at_once(bench: Bench) -> None:
    bench.script = [bench.late(2.5)]
    result = await bench.call(policy=ONCE)
    assert result.outcome is Outcome.OK
    assert 2.5 <= result.latency_s < 2.7  # woken by the event, not by the end of the wait


async def test_a_wrong_state_on_the_way_does_not_end_the_wait(bench: Bench) -> None:
    async def wanders(call: ServiceCall) -> None:
        await bench.late(1, "unknown")(call)
        await bench.late(2, "on")(call)

    bench.script = [wanders]
    result = await bench.call(policy=ONCE)
    assert (result.outcome, result.read) == (Outcome.OK, "on")


async def test_an_answer_that_comes_and_goes_during_the_call_is_no_proof(bench: Bench) -> None:
    async def flips(_call: ServiceCall) -> None:
        bench.hass.states.async_set(SWITCH, "on")
        bench.hass.states.async_set(SWITCH, "off")

    bench.script = [flips]
    result = await bench.call(policy=ONCE)
    assert (result.outcome, result.read) == (Outcome.MISMATCH, "off")


async def test_an_answer_later_than_the_wait_is_a_mismatch(bench: Bench) -> None:
    bench.script = [bench.late(3.5)]
    result = await bench.call(policy=ONCE)
    assert (result.outcome, result.read) == (Outcome.MISMATCH, "off")
    assert result.latency_s == pytest.approx(3.0, abs=0.15)
    assert result.detail == f"{SWITCH} reads off"
    await bench.advance(1)


async def test_a_service_that_lies_is_tried_three_times_and_counted_each_time(bench: Bench) -> None:
    bench.script = [bench.lies]
    result = await bench.call()
    assert (result.outcome, result.attempts, result.ok) == (Outcome.MISMATCH, 3, False)
    assert bench.breaker.failures == 3
    assert bench.pauses == [1.0, 2.0]


@pytest.mark.parametrize(("random", "pauses"), [(0.0, [0.5, 1, 2, 2.5]), (1.0, [1, 2, 4, 5])])
async def test_pauses_double_up_to_a_limit_and_vary_between_half_and_whole(
    bench: Bench, random: float, pauses: list[float]
) -> None:
    bench.script = [bench.lies]
    bench.safe.random = lambda: random
    await bench.call(policy=RetryPolicy(attempts=5))
    assert bench.pauses == pauses


async def test_between_attempts_real_time_passes(bench: Bench) -> None:
    bench.script = [bench.lies, bench.works]
    safe = SafeServiceCall(
        bench.hass, bench.breaker, RetryPolicy(), clock=bench.hass.loop.time, random=lambda: 1.0
    )
    call = safe.call("battery", "set", TARGET, expect=IS_ON)
    result = await bench.finish(asyncio.create_task(call))
    assert (result.outcome, result.attempts) == (Outcome.OK, 2)
    assert result.latency_s == pytest.approx(4.0, abs=0.3)  # 3 s read-back, 1 s pause


async def test_a_passing_failure_is_retried_and_said_with_the_session(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    bench.script = [bench.raises(HomeAssistantError("busy")), bench.works]
    result = await bench.call(session="s1")
    assert (result.outcome, result.attempts, result.detail) == (Outcome.OK, 2, "")
    assert "[s1] Retry attempt 2/3 of battery.set after HomeAssistantError: busy" in caplog.messages
    assert bench.breaker.failures == 0


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (HomeAssistantError("no"), Outcome.FAILED),
        (RuntimeError("bug"), Outcome.FAILED),
        (ConnectionResetError("gone"), Outcome.FAILED),
        (TimeoutError("its own"), Outcome.TIMEOUT),
    ],
)
async def test_what_may_pass_is_retried_and_counts_against_the_circuit(
    bench: Bench, error: BaseException, outcome: Outcome
) -> None:
    bench.script = [bench.raises(error)]
    result = await bench.call()
    assert (result.outcome, result.attempts, result.read) == (outcome, 3, "off")
    assert result.detail == f"{type(error).__name__}: {error}"
    assert bench.breaker.failures == 3


@pytest.mark.parametrize(
    "error",
    [
        vol.Invalid("out of range"),
        vol.MultipleInvalid([vol.Invalid("out of range")]),
        ServiceValidationError("out of range"),
        TypeError("what"),
        ValueError("what"),
    ],
)
async def test_an_invalid_value_is_not_retried_nor_held_against_the_circuit(
    bench: Bench, error: BaseException
) -> None:
    bench.script = [bench.raises(error)]
    await bench.half_open_circuit()
    result = await bench.call()
    assert (result.outcome, result.attempts, bench.pauses) == (Outcome.INVALID, 1, [])
    assert (bench.breaker.state, bench.breaker.can_attempt()) == (BreakerState.HALF_OPEN, True)


async def test_a_service_that_does_not_exist_is_not_retried(bench: Bench) -> None:
    result = await bench.safe.call("battery", "gone", TARGET)
    assert (result.outcome, result.attempts) == (Outcome.NOT_FOUND, 1)
    assert bench.breaker.total_failures == 0


async def test_a_service_that_hangs_is_timed_out_cancelled_and_named(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    ended = []

    async def hangs(_call: ServiceCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    bench.script = [hangs]
    result = await bench.call(policy=ONCE)
    assert (result.outcome, result.attempts, result.read) == (Outcome.TIMEOUT, 1, "off")
    assert result.latency_s == pytest.approx(5.0, abs=0.15)
    assert ended == [True]
    errors = [record.message for record in caplog.records if record.levelname == "ERROR"]
    assert errors == ["battery.set did not answer in 5 s"]
    assert bench.breaker.failures == 1


async def test_a_service_that_ignores_its_cancellation_cannot_hold_the_call(bench: Bench) -> None:
    release = asyncio.Event()

    async def clings(_call: ServiceCall) -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue
        message = "too late for anyone to hear"
        raise HomeAssistantError(message)

    unheard: list[object] = []
    bench.hass.loop.set_exception_handler(lambda _loop, context: unheard.append(context))
    bench.script = [clings]
    result = await bench.call(policy=ONCE)
    assert result.outcome is Outcome.TIMEOUT
    release.set()
    await bench.settle()
    assert unheard == []


async def test_a_service_cancelled_by_others_has_failed_but_not_cancelled_us(bench: Bench) -> None:
    bench.script = [bench.raises(asyncio.CancelledError()), bench.works]
    result = await bench.call()
    assert (result.outcome, result.attempts) == (Outcome.OK, 2)
    assert bench.breaker.total_failures == 1


@pytest.mark.parametrize("target", [SWITCH, [SWITCH], ["sun.sun", SWITCH], (SWITCH,)])
async def test_an_unavailable_target_is_not_written_to_but_tried_again(
    bench: Bench, target: object
) -> None:
    # Home Assistant skips an unavailable entity in silence: such a call would look good.
    bench.script = [bench.works]
    bench.hass.states.async_set("sun.sun", "above_horizon")
    bench.hass.states.async_set(SWITCH, "unavailable")
    result = await bench.safe.call("battery", "set", {"entity_id": target})
    assert (result.outcome, result.attempts) == (Outcome.UNAVAILABLE, 3)
    assert result.detail == f"{SWITCH} is unavailable"
    assert (bench.calls, bench.breaker.failures) == ([], 3)


async def test_a_target_that_returns_between_two_attempts_is_written_to(bench: Bench) -> None:
    bench.script = [bench.works]
    bench.hass.states.async_remove(SWITCH)

    async def returns(_seconds: float) -> None:
        bench.hass.states.async_set(SWITCH, "off")

    bench.safe.sleep = returns
    result = await bench.call()
    assert (result.outcome, result.attempts, len(bench.calls)) == (Outcome.OK, 2, 1)


@pytest.mark.parametrize("data", [{}, {"entity_id": None}, {"entity_id": []}, {"message": "hi"}])
async def test_a_call_without_a_target_is_made(bench: Bench, data: dict[str, object]) -> None:
    bench.script = [bench.lies]
    result = await bench.safe.call("battery", "set", data)
    assert (result.ok, bench.calls) == (True, [data])


@pytest.mark.parametrize("vanishes", ["unavailable", None])
async def test_an_entity_that_vanishes_after_the_write_is_unavailable(
    bench: Bench, vanishes: str | None
) -> None:
    async def goes(_call: ServiceCall) -> None:
        if vanishes is None:
            bench.hass.states.async_remove(SWITCH)
        else:
            bench.hass.states.async_set(SWITCH, vanishes)

    bench.script = [goes]
    result = await bench.call(policy=ONCE)
    assert (result.outcome, result.read) == (Outcome.UNAVAILABLE, vanishes)
    assert result.detail == f"{SWITCH} is unavailable"


@pytest.mark.parametrize(
    ("state", "number", "tolerance", "met"),
    [
        ("3.0", 3.0, 0, True),
        ("3.05", 3.0, 0.05, True),
        ("2.95", 3.0, 0.05, True),
        ("3.06", 3.0, 0.05, False),
        ("0.30000000000000004", 0.3, 0, True),
        ("unknown", 3.0, 0.05, False),
        ("nan", 3.0, 0.05, False),
        ("", 0.0, 0.05, False),
    ],
)
async def test_a_number_reads_back_within_half_a_step(
    bench: Bench, state: str, number: float, tolerance: float, met: bool
) -> None:
    bench.hass.states.async_set(POWER, state)
    bench.script = [bench.lies]
    expect = Expectation(POWER, number=number, tolerance=tolerance)
    result = await bench.call(expect=expect, policy=ONCE)
    assert (result.outcome, result.read) == (Outcome.OK if met else Outcome.MISMATCH, state)


async def test_an_open_circuit_lets_nothing_pass(bench: Bench) -> None:
    bench.script = [bench.works]
    bench.open_circuit()
    result = await bench.call()
    assert (result.outcome, result.attempts) == (Outcome.CIRCUIT_OPEN, 0)
    assert result.detail == "circuit battery_commands is open"
    assert (bench.calls, bench.pauses, bench.breaker.rejected) == ([], [], 1)


async def test_a_circuit_that_opens_between_attempts_ends_the_retries(bench: Bench) -> None:
    bench.breaker.policy = BreakerPolicy(2, 60, 1, 1)
    bench.script = [bench.lies]
    result = await bench.call(policy=RetryPolicy(attempts=5))
    assert (result.outcome, result.attempts, result.read) == (Outcome.CIRCUIT_OPEN, 2, "off")
    assert result.detail == f"circuit battery_commands is open; before: {SWITCH} reads off"


async def test_a_good_trial_closes_the_circuit_and_a_bad_one_reopens_it(bench: Bench) -> None:
    await bench.half_open_circuit()
    bench.script = [bench.lies]
    assert (await bench.call()).outcome is Outcome.CIRCUIT_OPEN
    assert (bench.breaker.state, len(bench.calls)) == (BreakerState.OPEN, 1)
    await bench.advance(60)
    bench.script = [bench.works]
    assert (await bench.call()).ok
    assert bench.breaker.state is BreakerState.CLOSED


async def test_a_stop_withdraws_a_start_before_its_next_write(bench: Bench) -> None:
    bench.script = [bench.lies]
    assert (await bench.call(guard=lambda: False)).outcome is Outcome.WITHDRAWN
    assert (bench.calls, bench.breaker.rejected) == ([], 0)
    epoch = [0]
    task = bench.start(guard=lambda: epoch[0] == 0)
    await bench.settle()
    epoch[0] += 1
    result = await bench.finish(task)
    assert (result.outcome, result.attempts, len(bench.calls)) == (Outcome.WITHDRAWN, 1, 1)
    assert result.detail == f"battery.set was withdrawn; before: {SWITCH} reads off"


async def test_nothing_gets_between_the_guards_yes_and_the_write(bench: Bench) -> None:
    passed: list[bool] = []
    seen: list[bool] = []

    def guard() -> bool:
        bench.hass.loop.call_soon(passed.append, True)
        return True

    async def handler(call: ServiceCall) -> None:
        seen.append(bool(passed))
        await bench.works(call)

    bench.script = [handler]
    assert (await bench.call(guard=guard)).ok
    assert seen == [False]


async def test_the_deadline_ends_everything_and_is_not_held_against_the_circuit(
    bench: Bench,
) -> None:
    bench.script = [bench.lies, bench.hangs]
    result = await bench.call(policy=RetryPolicy(deadline_s=6))
    assert (result.outcome, result.attempts, result.read) == (Outcome.DEADLINE, 2, "off")
    assert result.latency_s == pytest.approx(6.0, abs=0.15)
    assert result.detail == f"battery.set was not done in 6 s; before: {SWITCH} reads off"
    assert bench.breaker.total_failures == 1


async def test_a_deadline_also_cuts_a_pause(bench: Bench) -> None:
    bench.script = [bench.raises(HomeAssistantError("busy"))]
    bench.safe.sleep = asyncio.sleep
    result = await bench.call(policy=RetryPolicy(deadline_s=0.5))
    assert (result.outcome, result.attempts) == (Outcome.DEADLINE, 1)


@pytest.mark.parametrize("where", ["service", "read-back"])
async def test_a_cancelled_call_is_neither_success_nor_failure(bench: Bench, where: str) -> None:
    ended = []

    async def hangs(_call: ServiceCall) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(True)

    await bench.half_open_circuit()
    bench.script = [hangs if where == "service" else bench.lies]
    task = bench.start()
    await bench.settle()
    assert not bench.breaker.can_attempt()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.settle()
    assert ended == ([True] if where == "service" else [])
    assert (bench.breaker.state, bench.breaker.can_attempt()) == (BreakerState.HALF_OPEN, True)
    assert (bench.breaker.total_failures, bench.breaker.successes) == (5, 0)
    assert bench.safe.statistics == {}


async def test_a_stop_passes_an_open_circuit_and_leaves_it_alone(bench: Bench) -> None:
    async def stops(_call: ServiceCall) -> None:
        bench.hass.states.async_set(SWITCH, "off")

    bench.hass.states.async_set(SWITCH, "on")
    bench.open_circuit()
    before = bench.breaker.as_dict()
    bench.script = [stops]
    assert await bench.stop() == CallResult(Outcome.OK, 1, 0.0, "off", "")
    bench.hass.states.async_set(SWITCH, "on")
    bench.script = [bench.lies]
    assert (await bench.stop()).outcome is Outcome.MISMATCH
    assert bench.breaker.as_dict() == before


async def test_a_stop_is_tried_once_and_ends_within_its_timeout(bench: Bench) -> None:
    bench.hass.states.async_set(SWITCH, "on")
    bench.script = [bench.hangs]
    result = await bench.stop()
    assert (result.outcome, result.attempts, result.read) == (Outcome.TIMEOUT, 1, "on")
    assert result.latency_s == pytest.approx(3.0, abs=0.15)
    bench.script = [bench.lies]
    assert (await bench.stop()).latency_s == pytest.approx(3.0, abs=0.15)
    assert len(bench.calls) == 2


async def test_a_slow_stop_is_read_back_in_what_is_left_of_its_time(bench: Bench) -> None:
    async def slow(call: ServiceCall) -> None:
        await asyncio.sleep(2)
        await bench.late(0.5, "off")(call)

    bench.hass.states.async_set(SWITCH, "on")
    bench.script = [slow]
    assert (await bench.stop()).outcome is Outcome.OK
    bench.hass.states.async_set(SWITCH, "on")
    result = await bench.stop(timeout_s=2.3)
    assert result.outcome is Outcome.MISMATCH
    assert result.latency_s == pytest.approx(2.3, abs=0.15)
    await bench.advance(1)


@pytest.mark.parametrize("expect", [IS_OFF, None])
async def test_a_stop_is_sent_even_to_an_unavailable_switch_but_that_proves_nothing(
    bench: Bench, expect: Expectation | None
) -> None:
    bench.hass.states.async_set(SWITCH, "unavailable")
    bench.script = [bench.lies]
    result = await bench.stop(expect=expect)
    assert (result.outcome, len(bench.calls)) == (Outcome.UNAVAILABLE, 1)
    assert result.detail == f"{SWITCH} is unavailable"


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (HomeAssistantError("no"), Outcome.FAILED),
        (RuntimeError("bug"), Outcome.FAILED),
        (ServiceValidationError("no"), Outcome.INVALID),
        (TimeoutError(), Outcome.TIMEOUT),
        (asyncio.CancelledError(), Outcome.FAILED),
    ],
)
async def test_a_stop_never_raises(bench: Bench, error: BaseException, outcome: Outcome) -> None:
    bench.script = [bench.raises(error)]
    result = await bench.stop(expect=Expectation(SWITCH, state="gone"))
    assert (result.outcome, result.attempts, result.read) == (outcome, 1, "off")


async def test_a_stop_without_its_service_says_so(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    result = await bench.safe.call_bypassing("battery", "gone", TARGET, timeout_s=3, session="s2")
    assert result.outcome is Outcome.NOT_FOUND
    bench.script = [bench.hangs]
    await bench.stop(session="s2")
    assert "[s2] battery.set did not answer in 3.0 s" in caplog.messages


async def test_a_cancelled_stop_is_cancelled(bench: Bench) -> None:
    bench.script = [bench.hangs]
    call = bench.safe.call_bypassing("battery", "set", TARGET, timeout_s=3)
    task = asyncio.create_task(call)
    await bench.settle()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await bench.settle()


async def test_statistics_are_kept_by_service(bench: Bench) -> None:
    bench.script = [bench.works]
    await bench.call()
    bench.script = [bench.lies, bench.lies, bench.works]
    bench.hass.states.async_set(SWITCH, "off")
    await bench.call()
    bench.script = [bench.raises(HomeAssistantError("no"))]
    await bench.call()
    bench.script = [bench.lies]
    await bench.stop(expect=None)
    await bench.safe.call("battery", "gone", {})
    kept = bench.safe.statistics["battery.set"]
    assert (kept.calls, kept.successes, kept.attempts) == (4, 3, 8)
    assert (kept.retried, kept.retry_successes) == (2, 1)
    assert kept.latency_total_s == kept.latency_max_s == pytest.approx(6.0, abs=0.3)
    assert bench.safe.statistics["battery.gone"].calls == 1


async def test_real_helpers_are_switched_and_set(hass: HomeAssistant) -> None:
    assert await async_setup_component(hass, "input_boolean", {"input_boolean": {"force": {}}})
    number = {"power": {"min": 0, "max": 20, "step": 0.1}}
    assert await async_setup_component(hass, "input_number", {"input_number": number})
    breaker = CircuitBreaker("battery_commands", policy_for("battery_commands"), hass.loop.time)
    safe = SafeServiceCall(hass, breaker, RetryPolicy(), clock=hass.loop.time, random=lambda: 0.5)
    switch, power = "input_boolean.force", "input_number.power"
    for service, state in (("turn_on", "on"), ("turn_on", "on"), ("turn_off", "off")):
        expect = Expectation(switch, state=state)
        result = await safe.call("input_boolean", service, {"entity_id": switch}, expect=expect)
        assert (result.outcome, result.read) == (Outcome.OK, state)
    expect = Expectation(power, number=3.3, tolerance=0.05)
    data: dict[str, object] = {"entity_id": power, "value": 3.3}
    result = await safe.call("input_number", "set_value", data, expect=expect)
    assert (result.outcome, result.read) == (Outcome.OK, "3.3")
    for value in (21, "much"):
        data = {"entity_id": power, "value": value}
        result = await safe.call("input_number", "set_value", data, expect=expect)
        assert (result.outcome, result.attempts) == (Outcome.INVALID, 1)
    assert breaker.total_failures == 0


# What a service answers


async def test_a_service_that_is_asked_to_answer_is_heard(bench: Bench) -> None:
    async def answers(call: ServiceCall) -> ServiceResponse:
        return {"date": call.data["date"], "prices": [1, 2]}

    bench.hass.services.async_register(
        "market", "ask", answers, supports_response=SupportsResponse.ONLY
    )
    result = await bench.safe.call("market", "ask", {"date": "2026-06-21"}, respond=True)
    assert result.ok
    assert result.response == {"date": "2026-06-21", "prices": [1, 2]}


async def test_nobody_is_asked_for_an_answer_that_is_not_wanted(bench: Bench) -> None:
    bench.script = [bench.works]
    result = await bench.call()
    assert result.ok
    assert result.response is None


async def test_a_service_that_has_no_answer_is_asked_once(bench: Bench) -> None:
    bench.script = [bench.works]
    result = await bench.safe.call("battery", "set", TARGET, respond=True)
    assert result.outcome is Outcome.INVALID
    assert result.response is None
    assert bench.calls == []


async def test_what_a_service_calls_a_refusal_is_retried_only_where_it_means_a_lost_line(
    bench: Bench,
) -> None:
    bench.script = [bench.raises(ServiceValidationError("connection_error"))]
    result = await bench.safe.call("battery", "set", TARGET)
    assert (result.outcome, result.attempts) == (Outcome.INVALID, 1)
    assert bench.breaker.total_failures == 0
    policy = RetryPolicy(attempts=2, retry_refusals=True)
    result = await bench.safe.call("battery", "set", TARGET, policy=policy)
    assert (result.outcome, result.attempts) == (Outcome.INVALID, 2)
    assert bench.breaker.total_failures == 2
