"""Two-sided truth: the plant never exports more than allowed, and nearly all that it may."""

from dataclasses import dataclass, replace
import random

import pytest

from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import EndReason
from tests.unit.engine.world import SETTINGS, World

HEADROOM = 1.0


@dataclass(frozen=True)
class Outcome:
    over_kwh: float
    used: float
    reason: EndReason | None


def discharge(
    seed: int, power_w: float, *, sensor: bool, lag_s: int = 0, pv: bool = False
) -> Outcome:
    """Discharge one kWh of headroom in a house that draws 300-800 W."""
    rng = random.Random(seed)
    settings = replace(
        SETTINGS, target_export_w=power_w, fixed_limit_kwh=HEADROOM + 2.0, inverter_limit_w=10_000.0
    )
    world = World(
        settings,
        absent=set() if sensor else {"grid"},
        meter_phase=rng.randrange(60),
        lag_s=lag_s if lag_s < 60 else rng.randrange(60),
        load_w=rng.uniform(300, 800),
    )
    world.exported = 2.0 + rng.uniform(0.0, 0.00999)

    def live(world: World) -> None:
        if rng.random() < 0.05:
            world.load_w = rng.uniform(300, 800)
        if pv and rng.random() < 0.02:
            world.pv_w = rng.uniform(0, 2500)
        world.stop_s = rng.choice((0, 1, 2, 3))

    world.on_second = live
    world.run(61 + rng.randrange(60))
    before = world.exported
    world.discharging()
    world.run_until(lambda w: w.phase is Phase.IDLE, 3600)
    limit = settings.fixed_limit_kwh
    return Outcome(
        world.exported - limit, (world.exported - before) / (limit - before), world.ended[-1].reason
    )


@dataclass(frozen=True)
class Followed:
    """What the grid saw of a discharge at a target, with a house of kettles and clouds."""

    over_kwh: float
    used: float
    within: float
    """Share of the seconds in which it saw the target within 250 W, once the power had settled."""
    mean_w: float
    longest_over_site_s: int


def follow(seed: int, target_w: float, site_w: float = 0.0, *, wild: bool = False) -> Followed:
    """Discharge one kWh of headroom at a target that the grid is to see.

    The house draws 300-800 W and boils a kettle now and then; `wild` adds clouds.
    """
    rng = random.Random(seed)
    settings = replace(
        SETTINGS,
        target_export_w=target_w,
        site_export_limit_w=site_w,
        fixed_limit_kwh=HEADROOM + 2.0,
        inverter_limit_w=10_000.0,
    )
    world = World(settings, meter_phase=rng.randrange(60), lag_s=rng.randrange(60))
    world.exported = 2.0 + rng.uniform(0.0, 0.00999)
    base, kettle, seen, over = 500.0, 0, [], [0, 0]

    def live(world: World) -> None:
        nonlocal base, kettle
        if rng.random() < 0.02:
            base = rng.uniform(300, 800)
        if kettle == 0 and rng.random() < 1 / 300:
            kettle = 150
        kettle = max(0, kettle - 1)
        world.load_w = base + (2500.0 if kettle else 0.0) + rng.gauss(0.0, 10.0)
        if wild and rng.random() < 0.02:
            world.pv_w = rng.uniform(0.0, 2500.0)
        world.stop_s = rng.choice((0, 1, 2, 3))
        if world.phase is Phase.ACTIVE:
            seen.append(world.export_w)
            over[0] = over[0] + 1 if 0 < site_w < world.export_w else 0
            over[1] = max(over)

    world.on_second = live
    world.run(61 + rng.randrange(60))
    before = world.exported
    world.discharging()
    world.run_until(lambda w: w.phase is Phase.IDLE, 3600)
    limit = settings.fixed_limit_kwh
    settled = seen[20:]
    return Followed(
        world.exported - limit,
        (world.exported - before) / (limit - before),
        sum(abs(watts - target_w) <= 250.0 for watts in settled) / len(settled),
        sum(settled) / len(settled),
        over[1],
    )


@pytest.mark.parametrize(("target_w", "site_w"), [(3000.0, 0.0), (3680.0, 3680.0)])
def test_the_grid_sees_the_target_and_all_of_the_headroom_is_used(
    target_w: float, site_w: float
) -> None:
    outcomes = [follow(seed, target_w, site_w) for seed in range(12)]
    assert max(outcome.over_kwh for outcome in outcomes) <= 0.01
    assert min(outcome.used for outcome in outcomes) >= 0.97
    assert min(outcome.within for outcome in outcomes) >= 0.75
    assert all(0.90 * target_w <= o.mean_w <= 1.03 * target_w for o in outcomes)
    # 5 s since the last write, one to write it, and a look on either side.
    assert max(outcome.longest_over_site_s for outcome in outcomes) <= 10


def test_clouds_and_kettles_lead_neither_over_the_allowance_nor_long_over_the_site_limit() -> None:
    outcomes = [follow(seed, 3680.0, 3680.0, wild=True) for seed in range(12)]
    assert max(outcome.over_kwh for outcome in outcomes) <= 0.01
    assert max(outcome.longest_over_site_s for outcome in outcomes) <= 10


@pytest.mark.parametrize("power_w", [3000.0, 5000.0])
@pytest.mark.parametrize(("sensor", "share"), [(True, 0.97), (False, 0.90)])
@pytest.mark.parametrize("lag_s", [0, 60], ids=["prompt meter", "lagging meter"])
def test_never_over_by_a_meter_step_and_nearly_all_is_used(
    power_w: float, share: float, lag_s: int, *, sensor: bool
) -> None:
    outcomes = [discharge(seed, power_w, sensor=sensor, lag_s=lag_s) for seed in range(12)]
    assert {outcome.reason for outcome in outcomes} == {EndReason.HEADROOM_USED_UP}
    assert max(outcome.over_kwh for outcome in outcomes) <= 0.01
    assert min(outcome.used for outcome in outcomes) >= share


@pytest.mark.parametrize("sensor", [True, False])
def test_sun_and_clouds_do_not_lead_over_the_allowance(*, sensor: bool) -> None:
    outcomes = [discharge(seed, 3000.0, sensor=sensor, pv=True) for seed in range(12)]
    assert max(outcome.over_kwh for outcome in outcomes) <= 0.01
