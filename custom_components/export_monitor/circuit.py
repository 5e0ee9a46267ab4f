"""Circuits that stop calling what keeps failing (specification page 3); free of Home Assistant.

Part of error_handler, which is where the rest of the package imports it from.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
import logging
from types import MappingProxyType
from typing import Final

Clock = Callable[[], float]  # monotonic seconds
_LOGGER = logging.getLogger(__name__)


def _utcnow() -> datetime:
    return datetime.now(UTC)


class BreakerState(StrEnum):
    """The states of a circuit, spelt as in the statistics."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """A row of page 3's table of circuits; ValueError where a circuit could never open or close."""

    failures: int
    reset_s: float
    half_open_calls: int
    successes_to_close: int

    def __post_init__(self) -> None:
        """Refuse the impossible."""
        if self.failures < 1 or not 1 <= self.successes_to_close <= self.half_open_calls:
            msg = f"Impossible breaker policy: {self}"
            raise ValueError(msg)


_CONTROL: Final = BreakerPolicy(failures=5, reset_s=60, half_open_calls=1, successes_to_close=1)
_OPTIONAL: Final = BreakerPolicy(failures=3, reset_s=30, half_open_calls=2, successes_to_close=2)
POLICIES: Final[Mapping[str, BreakerPolicy]] = MappingProxyType(
    {"export_monitor_update": _CONTROL, "battery_commands": _CONTROL}
    | dict.fromkeys(("forecast", "carbon_intensity", "tariff"), _OPTIONAL)
)


def policy_for(circuit: str) -> BreakerPolicy:
    """Return a circuit's policy; each notify.<channel> is a circuit. KeyError where unknown."""
    return _OPTIONAL if circuit.startswith("notify.") else POLICIES[circuit]


class CircuitOpenError(Exception):
    """A circuit refused a call untried."""


@dataclass(slots=True, eq=False)
class Permit:
    """Leave for one call. The first of its three answers counts, unless the circuit moved on."""

    _breaker: CircuitBreaker
    _generation: int | None

    def success(self) -> None:
        """Report that the call worked."""
        if self._settle():
            self._breaker.record_success()

    def failure(self) -> None:
        """Report that the call failed."""
        if self._settle():
            self._breaker.record_failure()

    def release(self) -> None:
        """Give the slot back: the call was cancelled, or says nothing about the service."""
        self._settle()

    def _settle(self) -> bool:
        generation, self._generation = self._generation, None
        return generation is not None and self._breaker.take_back(generation)


@dataclass(slots=True, eq=False)
class CircuitBreaker:
    """Closed, open, half-open, closed; time moves it on by itself, without a timer.

    half_open_timeout is how many seconds a trial call may stay unanswered; utcnow is for display.
    The counts are for reading: failures in a row, and the totals; opened counts trials that failed.
    The totals may begin where an earlier run left them; the state always begins closed.
    """

    name: str
    policy: BreakerPolicy
    clock: Clock
    half_open_timeout: float = 30.0
    _: KW_ONLY
    utcnow: Callable[[], datetime] = _utcnow
    total_failures: int = 0
    successes: int = 0
    rejected: int = 0
    opened: int = 0
    failures: int = field(default=0, init=False)
    last_failure_utc: datetime | None = field(default=None, init=False)
    _state: BreakerState = field(default=BreakerState.CLOSED, init=False)
    _generation: int = field(default=0, init=False)
    _down_since: float = field(default=0.0, init=False)
    _opened_at: float = field(default=0.0, init=False)
    _waiting_since: float = field(default=0.0, init=False)
    _trials_out: int = field(default=0, init=False)
    _trial_successes: int = field(default=0, init=False)

    @property
    def state(self) -> BreakerState:
        """The state as of now."""
        self._catch_up()
        return self._state

    @property
    def outage_s(self) -> float:
        """Seconds for which nothing has worked, through all trials that failed.

        0 while closed, and while the last trial worked: whoever is seldom asked stays half-open
        for hours after it, and nothing is wrong.
        """
        works = self.state is BreakerState.CLOSED or self._trial_successes > 0
        return 0.0 if works else self.clock() - self._down_since

    def can_attempt(self) -> bool:
        """Tell whether acquire would give a permit; takes none, counts nothing."""
        state = self.state
        trials = self._trials_out + self._trial_successes
        half_open = state is BreakerState.HALF_OPEN and trials < self.policy.half_open_calls
        return half_open or state is BreakerState.CLOSED

    def acquire(self) -> Permit | None:
        """Return leave for one call, or None (counted as rejected)."""
        if not self.can_attempt():
            self.rejected += 1
            return None
        if self._state is BreakerState.HALF_OPEN:
            if not self._trials_out:
                self._waiting_since = self.clock()
            self._trials_out += 1
        return Permit(self, self._generation)

    def take_back(self, generation: int) -> bool:
        """Return a permit's slot; False where the state that gave it is over. For Permit only."""
        self._catch_up()
        if generation != self._generation:
            return False
        self._trials_out = max(0, self._trials_out - 1)
        return True

    def record_success(self) -> None:
        """Count a success, for feeds without permits; dropped while open."""
        state = self.state
        if state is BreakerState.OPEN:
            return
        self.successes += 1
        if state is BreakerState.CLOSED:
            self.failures = 0
            return
        self._trial_successes += 1
        self._waiting_since = self.clock()
        if self._trial_successes >= self.policy.successes_to_close:
            self.reset()

    def record_failure(self) -> None:
        """Count a failure, for feeds without permits; dropped while open."""
        if self.state is not BreakerState.OPEN:
            self._fail(self.clock())

    def reset(self) -> None:
        """Close. Calls under way no longer count; the totals stay."""
        if self._state is not BreakerState.CLOSED:
            _LOGGER.info("Circuit %s closed", self.name)
        self.failures = 0
        self._enter(BreakerState.CLOSED)

    async def run[T](
        self, call: Callable[[], Awaitable[T]], *, ignored: tuple[type[Exception], ...] = ()
    ) -> T:
        """Make a call behind the circuit; CircuitOpenError where that may not be.

        Errors pass through. Neither an ignored one nor a cancellation counts.
        """
        permit = self.acquire()
        if permit is None:
            msg = f"Circuit {self.name} is open"
            raise CircuitOpenError(msg)
        try:
            answer = await call()
        except ignored:
            raise
        except Exception:
            permit.failure()
            raise
        else:
            permit.success()
            return answer
        finally:
            permit.release()

    def as_dict(self) -> dict[str, str | int | bool | None]:
        """Return state and counts for statistics and diagnostics."""
        last = self.last_failure_utc
        return {
            "state": self.state.value,
            "can_attempt": self.can_attempt(),
            "failures": self.failures,
            "total_failures": self.total_failures,
            "successes": self.successes,
            "rejected": self.rejected,
            "opened": self.opened,
            "last_failure": None if last is None else last.isoformat(),
        }

    def _catch_up(self) -> None:
        """Make the moves that time alone brings, at the moments they were due."""
        now = self.clock()
        overdue_at = self._waiting_since + self.half_open_timeout
        if self._trials_out and now >= overdue_at:
            self._fail(overdue_at)
        if self._state is BreakerState.OPEN and now >= self._opened_at + self.policy.reset_s:
            self._enter(BreakerState.HALF_OPEN)

    def _enter(self, state: BreakerState) -> None:
        self._state = state
        self._generation += 1
        self._trials_out = self._trial_successes = 0

    def _fail(self, at: float) -> None:
        self.failures += 1
        self.total_failures += 1
        self.last_failure_utc = self.utcnow()
        if self._state is BreakerState.CLOSED:
            if self.failures < self.policy.failures:
                return
            # Said once: a failed trial repeats at every reset time.
            _LOGGER.warning("Circuit %s opened after %d failures", self.name, self.failures)
        if self._state is BreakerState.CLOSED or self._trial_successes:
            self._down_since = at
        self._opened_at = at
        self.opened += 1
        self._enter(BreakerState.OPEN)
