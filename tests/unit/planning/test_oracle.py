"""The linear planner finds the best there is; the greedy one keeps the same limits."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product
from random import Random

import pytest

from custom_components.export_monitor.planning import (
    ALL_DAY,
    BatteryState,
    DayAllowance,
    Kind,
    PlanInput,
    PlanSlot,
    Status,
)
from custom_components.export_monitor.planning.greedy import propose_greedily
from custom_components.export_monitor.planning.horizon import horizon
from custom_components.export_monitor.planning.linear import propose
from custom_components.export_monitor.planning.policy import idle, keeps_limits, walk
from tests.unit.planning.days import DAYS, TARIFFS, case
from tests.unit.planning.minutes import Forced, Outcome, live
from tests.unit.planning.oracle import optimum

BATCHES, BATCH = 25, 20
AGREEMENT = 1e-3
DEADLINE = 30.0  # the machine is shared; the planner's own is tested elsewhere


def test_the_days_are_of_every_kind() -> None:
    kinds = {(case(seed).day, case(seed).tariff) for seed in range(BATCHES * BATCH)}
    assert kinds == set(product(DAYS, TARIFFS))
    hours = {
        round((c.days[0].end - c.days[0].start).total_seconds() / 3600)
        for c in (case(seed).given for seed in range(len(DAYS)))
    }
    assert hours == {23, 24, 25}


@pytest.mark.parametrize("batch", range(BATCHES))
def test_nothing_better_exists(batch: int, record_property: Callable[[str, object], None]) -> None:
    gained = best = 0.0
    worst = 0.0
    for seed in range(batch * BATCH, (batch + 1) * BATCH):
        given = case(seed).given
        ahead = horizon(given)
        found = propose(ahead, DEADLINE)
        score = found.walk.value - ahead.penalty * sum(found.walk.over)
        oracle = optimum(given)
        apart = abs(score - oracle) / max(abs(oracle), 0.02)
        worst = max(worst, apart)
        assert apart <= AGREEMENT, (seed, score, oracle)
        assert found.status is Status.OPTIMAL, seed
        assert found.bound is not None
        assert found.bound >= oracle - AGREEMENT * max(abs(oracle), 0.02)
        assert keeps_limits(ahead, found.orders, walk(ahead, found.orders)), seed

        greedy = propose_greedily(ahead)
        assert keeps_limits(ahead, greedy.orders, walk(ahead, greedy.orders)), seed
        assert greedy.walk.score <= found.walk.score + AGREEMENT * max(abs(oracle), 0.02)
        alone = idle(ahead)
        assert greedy.walk.score >= alone.score
        best += found.walk.value - alone.value
        gained += greedy.walk.value - alone.value
    record_property("worst_disagreement", f"{worst:.1e}")
    record_property("greedy_share_of_gain", f"{gained / best:.3f}")
    print(f"worst disagreement {worst:.1e}, greedy makes {gained / best:.1%} of the gain")


def _tiny(seed: int) -> PlanInput:
    rng = Random(seed)
    start = datetime(2026, 6, 3, 10, tzinfo=UTC)
    hour = timedelta(hours=1)
    slots = []
    for number in range(3):
        pv = rng.choice([0.0, 1000.0, 3000.0])
        value = rng.choice([0.05, 0.15, 0.3, -0.1])
        slots.append(
            PlanSlot(
                start + number * hour,
                start + (number + 1) * hour,
                (pv, pv, pv),
                rng.choice([300.0, 1500.0]),
                value,
                rng.choice([value, 0.28, 0.02, -0.05]),
            )
        )
    capacity = rng.choice([2.0, 4.0])
    return PlanInput(
        slots=tuple(slots),
        battery=BatteryState(capacity, rng.uniform(20, 100), 20.0, least_w=500.0),
        days=(DayAllowance(start - 10 * hour, start + 14 * hour, rng.choice([1.0, 3.0, 20.0])),),
        charge_window=rng.choice([None, ALL_DAY]),
        green_only=rng.random() < 0.7,
        wear_cost=0.01,
        terminal_value=rng.choice([0.05, 0.2]),
    )


def _choices(given: PlanInput, number: int) -> list[Forced | None]:
    leg = horizon(given).legs[number]
    shares = (0.25, 0.5, 0.75, 1.0)
    found: list[Forced | None] = [None]
    for kind, most in ((Kind.DISCHARGE, leg.out), (Kind.CHARGE, leg.into)):
        powers = {0.5, round((0.5 + most) / 2, 3), most} if most else set[float]()
        found += [Forced(kind, share, power) for share in shares for power in sorted(powers)]
    return found


@pytest.mark.parametrize("seed", range(8))
def test_trying_everything_finds_nothing_better(seed: int) -> None:
    given = _tiny(seed)
    ahead = horizon(given)
    found = propose(ahead, DEADLINE)
    orders = {n: Forced(o.kind, o.hours, o.power) for n, o in found.orders.items()}
    lived = live(given, orders)
    if sum(found.walk.over) < 1e-6:
        assert lived.broken == ""
    assert lived.value == pytest.approx(found.walk.value, abs=3e-3)
    tries = product(*(_choices(given, number) for number in range(3)))
    best = max(
        (outcome.value for chosen in tries if (outcome := _lived(given, chosen)).broken == ""),
        default=found.walk.value,
    )
    assert best <= found.walk.value + 5e-3


def _lived(given: PlanInput, chosen: tuple[Forced | None, ...]) -> Outcome:
    return live(given, {n: f for n, f in enumerate(chosen) if f is not None}, steps=4)


def test_a_walk_is_what_minutes_add_up_to() -> None:
    for seed in range(30):
        given = replace(_tiny(seed), charge_window=None)
        lived = live(given, {})
        alone = idle(horizon(given))
        assert alone.stored == pytest.approx(lived.stored, abs=1e-6)
        assert alone.value == pytest.approx(lived.value, abs=5e-3)
