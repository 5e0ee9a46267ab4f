"""Circuit breaker: the rules of the integration's own, for a process without Home Assistant.

Closed, open, half-open, closed. Consecutive failures of any kind open it; after the reset time a
bounded number of trial calls pass; enough successes close it, one failure opens it anew.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class CircuitState(StrEnum):
    """Where the breaker stands."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(frozen=True, slots=True)
class CircuitRules:
    """A breaker's thresholds; times in seconds."""

    failures: int = 3
    reset_s: float = 30.0
    half_open_calls: int = 1
    successes_to_close: int = 1
    trial_s: float = 60.0
    """A half-open breaker that hears nothing for this long opens again."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave for one call. Its generation makes results from an earlier state void."""

    generation: int
    trial: bool


@dataclass(frozen=True, slots=True)
class CircuitCounts:
    """What a breaker has seen so far."""

    failures: int = 0
    successes: int = 0
    rejected: int = 0
    opened: int = 0


class CircuitBreaker:
    """Keeps calls away from something that does not work."""

    def __init__(
        self,
        name: str,
        rules: CircuitRules,
        monotonic: Callable[[], float],
        on_change: Callable[[str, CircuitState], None] = lambda _name, _state: None,
    ) -> None:
        """Take the circuit's name, its rules and a monotonic clock in seconds."""
        self.name = name
        self._rules = rules
        self._monotonic = monotonic
        self._on_change = on_change
        self._state = CircuitState.CLOSED
        self._generation = 0
        self._consecutive = 0
        self._trials = 0
        self._trial_successes = 0
        self._since = monotonic()
        self._failures = 0
        self._successes = 0
        self._rejected = 0
        self._opened = 0

    @property
    def state(self) -> CircuitState:
        """Return the state at this moment; time alone moves it from open to half-open."""
        elapsed = self._monotonic() - self._since
        if self._state is CircuitState.OPEN and elapsed >= self._rules.reset_s:
            self._enter(CircuitState.HALF_OPEN)
        elif (
            self._state is CircuitState.HALF_OPEN
            and self._trials > 0
            and elapsed >= self._rules.trial_s
        ):
            self._open()
        return self._state

    @property
    def counts(self) -> CircuitCounts:
        """Return the totals."""
        return CircuitCounts(self._failures, self._successes, self._rejected, self._opened)

    def seconds_until_trial(self) -> float:
        """Return how long a call will be refused from now on; 0 where one may be tried."""
        if self.state is CircuitState.OPEN:
            return max(0.0, self._since + self._rules.reset_s - self._monotonic())
        return 0.0

    def permit(self) -> Permit | None:
        """Return leave for one call, or None. Every permit wants exactly one result."""
        state = self.state
        if state is CircuitState.CLOSED:
            return Permit(self._generation, trial=False)
        if state is CircuitState.HALF_OPEN and self._trials < self._rules.half_open_calls:
            if self._trials == 0:
                self._since = self._monotonic()
            self._trials += 1
            return Permit(self._generation, trial=True)
        self._rejected += 1
        return None

    def succeeded(self, permit: Permit) -> None:
        """Note a success of the call."""
        self._successes += 1
        if permit.generation != self._generation:
            return
        self._consecutive = 0
        if permit.trial:
            self._trials -= 1
            self._trial_successes += 1
            if self._trial_successes >= self._rules.successes_to_close:
                self._enter(CircuitState.CLOSED)

    def failed(self, permit: Permit) -> None:
        """Note a failure of the call, of whatever kind."""
        self._failures += 1
        if permit.generation != self._generation:
            return
        self._consecutive += 1
        if permit.trial or self._consecutive >= self._rules.failures:
            self._open()

    def released(self, permit: Permit) -> None:
        """Give a permit back: the call was cancelled, or says nothing about the other side."""
        if permit.trial and permit.generation == self._generation:
            self._trials -= 1

    def _open(self) -> None:
        self._opened += 1
        self._enter(CircuitState.OPEN)

    def _enter(self, state: CircuitState) -> None:
        self._state = state
        self._generation += 1
        self._consecutive = 0
        self._trials = 0
        self._trial_successes = 0
        self._since = self._monotonic()
        self._on_change(self.name, state)
