"""The one door to the rest of Home Assistant (specification page 3).

Readings come in through SensorValidation and StaleDataDetector, commands go out through
SafeServiceCall behind a CircuitBreaker. Time is monotonic and injected; nothing here outlives
the config entry that made it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from enum import StrEnum
import logging
from typing import Final

from homeassistant.const import ATTR_ENTITY_ID, STATE_UNAVAILABLE
from homeassistant.core import Event, EventStateChangedData, HomeAssistant, State, callback
from homeassistant.exceptions import HomeAssistantError, ServiceNotFound, ServiceValidationError
from homeassistant.helpers.event import async_track_state_change_event
from homeassistant.util.async_ import create_eager_task
from homeassistant.util.json import JsonValueType
import voluptuous as vol

from .circuit import (
    POLICIES,
    BreakerPolicy,
    BreakerState,
    CircuitBreaker,
    CircuitOpenError,
    Permit,
    policy_for,
)
from .validation import (
    Clock,
    Problem,
    SensorValidation,
    SourceKind,
    StaleDataDetector,
    Validated,
)

__all__ = [
    "POLICIES",
    "BreakerPolicy",
    "BreakerState",
    "CallResult",
    "CircuitBreaker",
    "CircuitOpenError",
    "Clock",
    "Expectation",
    "Guard",
    "Outcome",
    "Permit",
    "Problem",
    "RetryPolicy",
    "SafeServiceCall",
    "SensorValidation",
    "ServiceStatistics",
    "SourceKind",
    "StaleDataDetector",
    "Validated",
    "policy_for",
]

Guard = Callable[[], bool]  # False withdraws a call
GRACE_S: Final = 1.0
_LOGGER = logging.getLogger(__name__)


class Outcome(StrEnum):
    """How a guarded call ended."""

    OK = "ok"
    TIMEOUT = "timeout"
    MISMATCH = "mismatch"
    UNAVAILABLE = "unavailable"
    NOT_FOUND = "not_found"
    INVALID = "invalid"
    FAILED = "failed"
    CIRCUIT_OPEN = "circuit_open"
    DEADLINE = "deadline"
    WITHDRAWN = "withdrawn"  # its guard said no


# Ours to mend, not the service's: no retry changes them, and they say nothing about the circuit.
_HOPELESS: Final = frozenset({Outcome.NOT_FOUND, Outcome.INVALID})


@dataclass(frozen=True, slots=True)
class CallResult:
    """What came of a call; latency_s spans all attempts and delays, read is what was read back.

    response is what the service answered, where it was asked to; None otherwise.
    """

    outcome: Outcome
    attempts: int
    latency_s: float
    read: str | None
    detail: str
    response: Mapping[str, JsonValueType] | None = None

    @property
    def ok(self) -> bool:
        """Whether the service answered and the state read back as expected."""
        return self.outcome is Outcome.OK


@dataclass(frozen=True, slots=True)
class Expectation:
    """The state that proves a write: a text, or a number within a tolerance (half a step)."""

    entity_id: str
    state: str | None = None
    number: float | None = None
    tolerance: float = 0.0

    def is_met_by(self, state: State | None) -> bool:
        """Compare with a state; False where there is none, or no number."""
        if state is None or self.number is None:
            return state is not None and state.state == self.state
        with suppress(ValueError):
            return abs(float(state.state) - self.number) <= self.tolerance + 1e-9
        return False


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempts, and seconds: delays between them, timeouts of each, the most that all may take."""

    attempts: int = 3
    first_delay_s: float = 1
    max_delay_s: float = 5
    timeout_s: float = 5
    read_back_s: float = 3
    deadline_s: float | None = None
    retry_refusals: bool = False
    """Some services call a lost connection an invalid request: then it is a failure too."""

    @property
    def total_s(self) -> float:
        """Return the deadline (s) over all: what the attempts may need, and `deadline_s` at most.

        With a second's grace each, so that on a busy machine the last is not cut off.
        """
        attempts_s = self.attempts * (self.timeout_s + self.read_back_s + GRACE_S)
        needed_s = attempts_s + (self.attempts - 1) * self.max_delay_s
        return needed_s if self.deadline_s is None else min(needed_s, self.deadline_s)

    def delay_s(self, retry: int, random: float) -> float:
        """Return the pause before a retry (1 is the first), jittered to between half and whole."""
        return min(self.first_delay_s * 2.0 ** (retry - 1), self.max_delay_s) * (0.5 + random / 2)


@dataclass(slots=True)
class ServiceStatistics:
    """Counts of one service; latency in s. Cancelled calls are not counted.

    retried counts calls, retries their attempts beyond the first: a call that was refused or
    withdrawn had none at all, so the two cannot be reckoned from the sums.
    """

    calls: int = 0
    successes: int = 0
    attempts: int = 0
    retried: int = 0
    retry_successes: int = 0
    latency_total_s: float = 0.0
    latency_max_s: float = 0.0
    retries: int = 0

    def add(self, result: CallResult) -> None:
        """Count a finished call."""
        again = result.attempts > 1
        self.calls += 1
        self.successes += result.ok
        self.attempts += result.attempts
        self.retried += again
        self.retries += max(0, result.attempts - 1)
        self.retry_successes += again and result.ok
        self.latency_total_s += result.latency_s
        self.latency_max_s = max(self.latency_max_s, result.latency_s)


@dataclass(frozen=True, slots=True)
class _Request:
    domain: str
    service: str
    data: Mapping[str, object]
    expect: Expectation | None
    tag: str
    respond: bool = False

    @property
    def name(self) -> str:
        return f"{self.domain}.{self.service}"


@dataclass(slots=True)
class _Course:
    """How far a call has come; survives the deadline that cuts it off."""

    outcome: Outcome = Outcome.FAILED
    read: str | None = None
    detail: str = ""
    attempts: int = 0
    response: Mapping[str, JsonValueType] | None = None

    def end(self, outcome: Outcome, why: str) -> None:
        """End without another attempt; what the last one said stays readable."""
        self.outcome = outcome
        self.detail = f"{why}; before: {self.detail}" if self.detail else why


@dataclass(eq=False)
class SafeServiceCall:
    """Calls Home Assistant services: each attempt timed out, read back, and behind a circuit.

    From outside in: deadline, retry, circuit, timeout. random gives 0 to 1; sleep takes s.
    statistics is by service ("number.set_value") and may be shared.
    """

    hass: HomeAssistant
    breaker: CircuitBreaker
    policy: RetryPolicy
    _: KW_ONLY
    clock: Clock
    random: Callable[[], float]
    sleep: Callable[[float], Awaitable[object]] = asyncio.sleep
    statistics: dict[str, ServiceStatistics] = field(default_factory=dict)

    async def call(  # noqa: PLR0913 - a service call and what bounds it
        self,
        domain: str,
        service: str,
        data: Mapping[str, object],
        *,
        expect: Expectation | None = None,
        guard: Guard | None = None,
        policy: RetryPolicy | None = None,
        session: str = "",
        respond: bool = False,
    ) -> CallResult:
        """Call until proven, hopeless, out of attempts or out of time; errors become outcomes.

        guard is asked right before every attempt, and its False ends the call (WITHDRAWN): so a
        stop cancels a start. session is the id that the log lines carry. respond asks the service
        for an answer.
        """
        tag = f"[{session}] " if session else ""
        request = _Request(domain, service, data, expect, tag, respond)
        policy = policy or self.policy
        course, started = _Course(), self.clock()
        try:
            async with asyncio.timeout(policy.total_s):
                await self._attempts(request, policy, guard, course)
        except TimeoutError:
            course.end(Outcome.DEADLINE, f"{request.name} was not done in {policy.total_s} s")
        return self._result(request, course, started)

    async def call_bypassing(
        self,
        domain: str,
        service: str,
        data: Mapping[str, object],
        *,
        expect: Expectation | None = None,
        timeout_s: float,
        session: str = "",
    ) -> CallResult:
        """Make one attempt at a stop: no circuit and no retry, read back within the timeout.

        The service is called even where its target is unavailable. Raises nothing but
        CancelledError.
        """
        request = _Request(domain, service, data, expect, f"[{session}] " if session else "")
        course, started = _Course(attempts=1), self.clock()
        await self._attempt(request, course, timeout_s, None)
        return self._result(request, course, started)

    async def _attempts(
        self,
        request: _Request,
        policy: RetryPolicy,
        guard: Guard | None,
        course: _Course,
    ) -> None:
        hopeless = _HOPELESS - {Outcome.INVALID} if policy.retry_refusals else _HOPELESS
        for attempt in range(1, policy.attempts + 1):
            if attempt > 1:
                await self.sleep(policy.delay_s(attempt - 1, self.random()))
            if guard is not None and not guard():
                course.end(Outcome.WITHDRAWN, f"{request.name} was withdrawn")
                return
            permit = self.breaker.acquire()
            if permit is None:
                course.end(Outcome.CIRCUIT_OPEN, f"circuit {self.breaker.name} is open")
                return
            if attempt > 1:
                _LOGGER.info(
                    "%sRetry attempt %d/%d of %s after %s",
                    request.tag, attempt, policy.attempts, request.name, course.detail,
                )  # fmt: skip
            course.attempts = attempt
            try:
                await self._attempt(request, course, policy.timeout_s, policy.read_back_s)
                if course.outcome is Outcome.OK:
                    permit.success()
                elif course.outcome not in hopeless:
                    permit.failure()
            finally:  # cancelled, cut off by the deadline, or hopeless: not counted
                permit.release()
            if course.outcome is Outcome.OK or course.outcome in hopeless:
                return

    async def _attempt(
        self, request: _Request, course: _Course, timeout_s: float, read_back_s: float | None
    ) -> None:
        """Call once and read back; read_back_s None is a stop: in what is left of its time."""
        gone = self._gone_target(request.data)
        if gone is not None and read_back_s is not None:
            course.outcome, course.detail = Outcome.UNAVAILABLE, f"{gone} is unavailable"
            return
        started = self.clock()
        changed = asyncio.Event()
        stop_listening = self._listen(request.expect, changed)
        try:
            error = await self._invoke(request, course, timeout_s)
            if error is None and request.expect is not None:
                if read_back_s is None:
                    read_back_s = timeout_s - (self.clock() - started)
                await self._read_back(request.expect, changed, read_back_s)
        finally:
            stop_listening()
        self._conclude(request.expect, course, error, gone)

    def _listen(self, expect: Expectation | None, changed: asyncio.Event) -> Callable[[], None]:
        """Listen from before the call, so that no answer is missed."""

        @callback
        def wake(_event: Event[EventStateChangedData]) -> None:
            changed.set()

        entity_ids = () if expect is None else (expect.entity_id,)
        return async_track_state_change_event(self.hass, entity_ids, wake)

    async def _invoke(
        self, request: _Request, course: _Course, timeout_s: float
    ) -> BaseException | None:
        """Make the blocking call and return its error, a TimeoutError where it hangs.

        It runs in a task of its own: a service that ignores its cancellation cannot hold us,
        and one cancelled by others (a script restarted) is not taken for our own cancellation.
        The task starts at once, so that nothing gets between the guard's yes and the write.
        """
        call = self.hass.services.async_call(
            request.domain,
            request.service,
            dict(request.data),
            blocking=True,
            return_response=request.respond,
        )
        task = create_eager_task(call, name=f"export_monitor {request.name}")
        try:
            if not task.done():
                await asyncio.wait({task}, timeout=timeout_s)
        finally:
            if late := not task.done():
                task.add_done_callback(_fetch_error)
                task.cancel()
        if late:
            _LOGGER.error("%s%s did not answer in %s s", request.tag, request.name, timeout_s)
            return TimeoutError(f"{request.name} did not answer in {timeout_s} s")
        if task.cancelled():
            return HomeAssistantError(f"{request.name} was cancelled")
        error = task.exception()
        course.response = None if error is not None else task.result()
        return error

    async def _read_back(
        self, expect: Expectation, changed: asyncio.Event, within_s: float
    ) -> None:
        """Wait until the state is as expected, or the time is over."""
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while not expect.is_met_by(self.hass.states.get(expect.entity_id)):
                    changed.clear()
                    await changed.wait()

    def _conclude(
        self,
        expect: Expectation | None,
        course: _Course,
        error: BaseException | None,
        gone: str | None,
    ) -> None:
        """Say what came of an attempt; where nothing is expected, the service's word counts."""
        state = None if expect is None else self.hass.states.get(expect.entity_id)
        course.read = None if state is None else state.state
        if error is not None:
            course.outcome, course.detail = _outcome_of(error), f"{type(error).__name__}: {error}"
        elif expect is None and gone is None:
            course.outcome, course.detail = Outcome.OK, ""
        elif expect is None:
            course.outcome, course.detail = Outcome.UNAVAILABLE, f"{gone} is unavailable"
        elif expect.is_met_by(state):
            course.outcome, course.detail = Outcome.OK, ""
        elif _is_gone(state):
            course.outcome, course.detail = (
                Outcome.UNAVAILABLE,
                f"{expect.entity_id} is unavailable",
            )
        else:
            course.outcome, course.detail = (
                Outcome.MISMATCH,
                f"{expect.entity_id} reads {course.read}",
            )

    def _gone_target(self, data: Mapping[str, object]) -> str | None:
        """Return the first target missing or unavailable; Home Assistant skips those silently."""
        target = data.get(ATTR_ENTITY_ID)
        entity_ids = target if isinstance(target, list | tuple) else [target] if target else []
        for entity_id in map(str, entity_ids):
            if _is_gone(self.hass.states.get(entity_id)):
                return entity_id
        return None

    def _result(self, request: _Request, course: _Course, started: float) -> CallResult:
        result = CallResult(
            course.outcome,
            course.attempts,
            self.clock() - started,
            course.read,
            course.detail,
            course.response,
        )
        self.statistics.setdefault(request.name, ServiceStatistics()).add(result)
        return result


def _is_gone(state: State | None) -> bool:
    return state is None or state.state == STATE_UNAVAILABLE


def _fetch_error(task: asyncio.Task[object]) -> None:
    """Look at the error of an abandoned call, or asyncio would report it as never retrieved."""
    if not task.cancelled():
        task.exception()


def _outcome_of(error: BaseException) -> Outcome:
    if isinstance(error, ServiceNotFound):
        return Outcome.NOT_FOUND
    if isinstance(error, vol.Invalid | ServiceValidationError | TypeError | ValueError):
        return Outcome.INVALID
    return Outcome.TIMEOUT if isinstance(error, TimeoutError) else Outcome.FAILED
