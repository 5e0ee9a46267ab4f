"""What resilience costs: a call through a circuit, a guarded service call, a reading."""

import asyncio
from collections.abc import Callable
import time
from typing import TYPE_CHECKING

from homeassistant.core import HomeAssistant, ServiceCall
import pytest

from custom_components.export_monitor.error_handler import (
    CircuitBreaker,
    Expectation,
    RetryPolicy,
    SafeServiceCall,
    SensorValidation,
    SourceKind,
    policy_for,
)

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

SWITCH = "input_boolean.force_discharging"
TARGET = {"entity_id": SWITCH}
ROUNDS = 200


@pytest.fixture
def breaker() -> CircuitBreaker:
    return CircuitBreaker("battery_commands", policy_for("battery_commands"), time.monotonic)


def test_a_call_through_a_circuit_takes_well_under_a_tenth_of_a_millisecond(
    benchmark: "BenchmarkFixture", breaker: CircuitBreaker
) -> None:
    def through() -> None:
        permit = breaker.acquire()
        assert permit is not None
        permit.success()

    benchmark(through)
    assert breaker.successes > 0
    if benchmark.stats:
        assert benchmark.stats.stats.median < 0.1e-3


def test_a_reading_is_checked_in_microseconds(benchmark: "BenchmarkFixture") -> None:
    validation = SensorValidation()
    validated = benchmark(validation.check, "sensor.power", SourceKind.POWER, "3.05", "kW")
    assert validated.value == pytest.approx(3050)
    if benchmark.stats:
        assert benchmark.stats.stats.median < 0.1e-3


async def test_a_guarded_service_call_adds_less_than_two_milliseconds(
    hass: HomeAssistant, breaker: CircuitBreaker, record_property: Callable[[str, object], None]
) -> None:
    """Compare with the bare call in the same run: the machine is small and noisy."""

    async def switch(call: ServiceCall) -> None:
        hass.states.async_set(SWITCH, call.data["to"])

    hass.states.async_set(SWITCH, "off")
    hass.services.async_register("battery", "set", switch)
    safe = SafeServiceCall(hass, breaker, RetryPolicy(), clock=time.monotonic, random=lambda: 0.5)

    async def bare(state: str) -> None:
        await hass.services.async_call("battery", "set", TARGET | {"to": state}, blocking=True)

    async def guarded(state: str) -> None:
        data = TARGET | {"to": state}
        result = await safe.call("battery", "set", data, expect=Expectation(SWITCH, state=state))
        assert result.ok

    medians = {}
    for call in (bare, guarded):
        times = []
        for turn in range(ROUNDS):
            began = time.perf_counter()
            await call("on" if turn % 2 else "off")
            times.append(time.perf_counter() - began)
            await asyncio.sleep(0)
        medians[call.__name__] = sorted(times)[ROUNDS // 2]
    overhead_ms = (medians["guarded"] - medians["bare"]) * 1000
    record_property("guarded_call_overhead_ms", round(overhead_ms, 3))
    record_property("bare_call_ms", round(medians["bare"] * 1000, 3))
    assert overhead_ms < 2
