"""What a plan costs: 48 hours in half hours, and how that grows with the number of slots."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from math import exp, pi, sin
from random import Random
import time as clock
from typing import TYPE_CHECKING

import pytest

from custom_components.export_monitor.planning import (
    BatteryState,
    DailyWindow,
    DayAllowance,
    PlanInput,
    PlanSlot,
    PowerLimits,
    Status,
    plan,
)

if TYPE_CHECKING:
    from pytest_benchmark.fixture import BenchmarkFixture

MIDNIGHT = datetime(2026, 6, 3, tzinfo=UTC)
DAY = timedelta(days=1)


def _days(slots: int, seed: int = 1, minutes: int = 30) -> PlanInput:
    """Return a house with 4 kWp, 10 kWh and an Octopus-like tariff of seven days' weather."""
    rng = Random(seed)
    length = timedelta(minutes=minutes)
    start = MIDNIGHT + timedelta(minutes=30) * rng.randrange(48)
    clouds = [rng.uniform(0.2, 0.95) for _ in range(30)]
    found = []
    for number in range(slots):
        at = start + number * length
        hour = at.hour + at.minute / 60
        pv = 4000 * max(0.0, sin(pi * (hour - 5) / 16)) * clouds[(at - MIDNIGHT).days]
        load = 350 * (
            0.5
            + 1.1 * exp(-(((hour - 7.5) / 1.2) ** 2))
            + 1.8 * exp(-(((hour - 19) / 1.8) ** 2))
            + 0.3 * rng.random()
        )
        value = 0.09 + 0.03 * sin(hour / 12 * 2 * pi) + 0.03 * rng.random()
        value += 0.14 if 16 <= hour < 19 else 0.0
        found.append(PlanSlot(at, at + length, (pv / 2, pv, pv * 1.2), load, value, value + 0.12))
    days = []
    midnight = MIDNIGHT
    while midnight < found[-1].end:
        inside = [slot for slot in found if midnight <= slot.start < midnight + DAY]
        energy = sum(slot.pv[1] * minutes / 60_000 for slot in inside)
        days.append(DayAllowance(midnight, midnight + DAY, max(0.0, energy - 0.5)))
        midnight += DAY
    return PlanInput(
        slots=tuple(found),
        battery=BatteryState(10.0, rng.uniform(30, 90), 20.0),
        days=tuple(days),
        limits=PowerLimits(site_export_w=3680.0, inverter_w=5000.0, charge_w=3680.0),
        charge_window=DailyWindow(time(0), time(6)) if seed % 2 else None,
        wear_cost=0.01,
    )


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def test_a_plan_of_96_slots(
    benchmark: "BenchmarkFixture", record_property: Callable[[str, object], None]
) -> None:
    """The median over many different days; core time, as the machine is shared."""
    inputs = [_days(96, seed) for seed in range(40)]
    plan(inputs[0])
    times = []
    for given in inputs:
        began = clock.process_time()
        found = plan(given)
        times.append((clock.process_time() - began) * 1000)
        assert found.status in {Status.OPTIMAL, Status.FEASIBLE}
    ordered = sorted(times)
    record_property("plan_96_slots_median_ms", round(_median(times), 1))
    print(
        f"96 slots, {len(times)} days: median {_median(times):.1f} ms, "
        f"90 % {ordered[int(len(ordered) * 0.9)]:.1f} ms, longest {ordered[-1]:.1f} ms"
    )
    typical = inputs[times.index(_median(times))]
    benchmark(plan, typical)


@pytest.mark.parametrize("linear", [True, False], ids=["linear", "greedy"])
def test_growth_with_the_number_of_slots(
    linear: bool, record_property: Callable[[str, object], None]
) -> None:
    print(f"\n{'linear' if linear else 'greedy'}: slots  median ms  optimal")
    # The greedy planner is the fallback for a day or two, and takes ten seconds for 1000 slots.
    for slots in (24, 48, 96, 192, 336, *((672, 1000) if linear else ())):
        times, optimal = [], 0
        rounds = 5 if slots <= 336 else 3
        for seed in range(rounds):
            given = replace(_days(slots, seed, minutes=30), zone=UTC)
            began = clock.process_time()
            found = plan(given, linear=linear)
            times.append((clock.process_time() - began) * 1000)
            optimal += found.status is Status.OPTIMAL
            assert found.objective >= found.baseline - 1e-6
        record_property(f"slots_{slots}_ms", round(_median(times), 1))
        print(f"{slots:>13}  {_median(times):>9.1f}  {optimal}/{rounds}")
