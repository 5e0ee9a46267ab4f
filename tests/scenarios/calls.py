"""What SafeServiceCall and Battery make of a write, on simulated time.

A compact model of `error_handler.SafeServiceCall` (timeout, read-back, retries, circuit): each
call is a generator that is resumed every second, and that returns what came of it. Values, entities
and their rounding are the real `Battery`'s.
"""

from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from typing import Any

from homeassistant.core import State as EntityState, split_entity_id

from custom_components.export_monitor.battery import EMPTY_SOC, FULL_SOC, Battery
from custom_components.export_monitor.engine.state import Write, WriteKind
from custom_components.export_monitor.error_handler import CircuitBreaker, Expectation, Outcome
from custom_components.export_monitor.inputs.sources import NumberLimits
from custom_components.export_monitor.models import Kind
from custom_components.export_monitor.settings import preset_of, retry_policy, switch_policy

from .faults import Faults
from .schedule import FaultKind
from .stage import Stage

JITTER = 0.5  # of the pauses between attempts; the second driver uses the same


@dataclass(frozen=True, slots=True)
class Result:
    """How a write ended."""

    outcome: Outcome
    detail: str = ""

    @property
    def ok(self) -> bool:
        return self.outcome is Outcome.OK


type Course = Generator[None, None, Result]


class Calls:
    """The way from a write to the package and back."""

    def __init__(
        self,
        stage: Stage,
        faults: Faults,
        config: Mapping[str, object],
        breaker: CircuitBreaker,
        state_of: Callable[[str], EntityState | None],
        on_call: Callable[[str, str, str], None],
    ) -> None:
        """`state_of` reads what Home Assistant shows; `on_call` hears of every service call."""
        self._stage = stage
        self._faults = faults
        self._breaker = breaker
        self._state_of = state_of
        self._on_call = on_call
        self._policy = retry_policy(config)
        self._switch_policy = switch_policy(config)
        self.battery = Battery(
            config,
            preset_of(config),
            None,  # type: ignore[arg-type]  # it is asked for values and entities only
            self._limits,
            self._switch_policy,
        )

    def _limits(self, entity_id: str) -> NumberLimits | None:
        state = self._state_of(entity_id)
        if state is None or state.state == "unavailable":
            return None
        facts = state.attributes
        return NumberLimits(
            str(facts["unit_of_measurement"]), facts["min"], facts["max"], facts["step"]
        )

    @property
    def _now(self) -> float:
        return self._stage.plant.elapsed_s

    def carry_out(self, write: Write, wanted: Callable[[], bool]) -> Course:
        """Carry a write out as `Battery` does."""
        entity_id = self.battery.entity_id(write.kind, write.mode)
        match write.kind:
            case WriteKind.SWITCH_ON:
                expect = Expectation(entity_id, state="on")
                return self._call("turn_on", {"entity_id": entity_id}, expect, wanted)
            case WriteKind.SWITCH_OFF:
                expect = Expectation(entity_id, state="off")
                return self._bypassing("turn_off", {"entity_id": entity_id}, expect)
            case WriteKind.FALLBACK_STOP:
                return self._bypassing("press", {"entity_id": entity_id}, None)
            case WriteKind.SMOTHER:
                return self._smother(write.mode)
            case _:
                return self._number(write, wanted)

    def _smother(self, mode: Kind) -> Course:
        results: list[Result] = []
        cutoff = EMPTY_SOC if mode is Kind.CHARGE else FULL_SOC
        for kind, wanted in ((WriteKind.POWER, 0.0), (WriteKind.CUTOFF, cutoff)):
            entity_id = self.battery.entity_id(kind, mode)
            limits = self._limits(entity_id)
            if limits is None:
                results.append(Result(Outcome.UNAVAILABLE, entity_id))
                continue
            value = min(max(wanted, limits.minimum), limits.maximum)
            expect = Expectation(entity_id, number=value, tolerance=0.05)
            data = {"entity_id": entity_id, "value": value}
            results.append((yield from self._bypassing("set_value", data, expect)))
        return next((result for result in results if not result.ok), results[0])

    def _number(self, write: Write, wanted: Callable[[], bool]) -> Course:
        entity_id = self.battery.entity_id(write.kind, write.mode)
        limits = self._limits(entity_id)
        if limits is None:
            return Result(Outcome.UNAVAILABLE, entity_id)
        value = self.battery.native_value(write, limits)
        if value is None:
            return Result(Outcome.INVALID, entity_id)
        expect = Expectation(entity_id, number=value, tolerance=limits.step / 2)
        data = {"entity_id": entity_id, "value": value}
        return (yield from self._call("set_value", data, expect, wanted))

    def _call(
        self, service: str, data: Mapping[str, Any], expect: Expectation, wanted: Callable[[], bool]
    ) -> Course:
        policy = self._switch_policy if service == "turn_on" else self._policy
        result = Result(Outcome.FAILED)
        for attempt in range(1, policy.attempts + 1):
            if attempt > 1:
                yield from self._pause(policy.delay_s(attempt - 1, JITTER))
            if not wanted():
                return Result(Outcome.WITHDRAWN)
            permit = self._breaker.acquire()
            if permit is None:
                return Result(Outcome.CIRCUIT_OPEN)
            try:
                result = yield from self._attempt(service, data, expect, policy.read_back_s)
                if result.ok:
                    permit.success()
                elif result.outcome is not Outcome.INVALID:
                    permit.failure()
            finally:
                permit.release()
            if result.ok or result.outcome is Outcome.INVALID:
                break
        return result

    def _bypassing(
        self, service: str, data: Mapping[str, Any], expect: Expectation | None
    ) -> Course:
        return (yield from self._attempt(service, data, expect, None))

    def _pause(self, seconds: float) -> Generator[None]:
        until = self._now + seconds
        while self._now < until:
            yield

    def _attempt(
        self,
        service: str,
        data: Mapping[str, Any],
        expect: Expectation | None,
        read_back_s: float | None,
    ) -> Course:
        entity_id = str(data["entity_id"])
        gone = _is_gone(self._state_of(entity_id))
        if gone and read_back_s is not None:
            return Result(Outcome.UNAVAILABLE, entity_id)
        began = self._now
        failure = yield from self._invoke(service, data)
        if failure is not None:
            return Result(failure, entity_id)
        if expect is None:
            return Result(Outcome.UNAVAILABLE if gone else Outcome.OK, entity_id)
        if read_back_s is None:
            read_back_s = self._policy.timeout_s - (self._now - began)
        until = self._now + read_back_s
        while not expect.is_met_by(self._state_of(entity_id)):
            if self._now >= until:
                state = self._state_of(entity_id)
                return Result(
                    Outcome.UNAVAILABLE if _is_gone(state) else Outcome.MISMATCH, entity_id
                )
            yield
        return Result(Outcome.OK)

    def _invoke(
        self, service: str, data: Mapping[str, Any]
    ) -> Generator[None, None, Outcome | None]:
        """Make the service call itself; return what went wrong with it."""
        entity_id = str(data["entity_id"])
        domain = split_entity_id(entity_id)[0]
        self._on_call(domain, service, entity_id)
        fault = self._faults.of_service(entity_id)
        kind = None if fault is None else fault.kind
        if kind is FaultKind.SERVICE_RAISES:
            return Outcome.FAILED
        if kind is FaultKind.SERVICE_IGNORED:
            return None
        takes_s = float(self._stage.settings.service_s)
        if fault is not None and kind is FaultKind.SERVICE_SLOW:
            takes_s = fault.value
        if kind is not FaultKind.SERVICE_HANGS:
            if takes_s:
                self._stage.postpone(takes_s, domain, service, data)
            else:
                self._stage.obey(domain, service, data)
                self.after_call()
        else:
            takes_s = self._policy.timeout_s + 1
        yield from self._pause(min(takes_s, self._policy.timeout_s))
        return Outcome.TIMEOUT if takes_s >= self._policy.timeout_s else None

    def after_call(self) -> None:
        """Let what a call has changed at once show at once; set by the driver."""


def _is_gone(state: EntityState | None) -> bool:
    return state is None or state.state == "unavailable"
