"""Home Assistant stood still in mid-discharge: what nobody saw is counted all the same."""

from dataclasses import replace

import pytest

from tests.unit.engine.world import SETTINGS, World

LEASE_S = 300


def _stand_still(world: World, seconds: int) -> None:
    """Let time pass with the sensors reporting and nobody looking."""
    for _ in range(seconds):
        world._pass_second()
        world._report()


@pytest.mark.parametrize("lasted_s", [40, 90, 600, 7200])
@pytest.mark.parametrize("seen_before", [True, False])
def test_it_is_never_less_than_what_flowed_nor_more_than_the_lease_allows(
    lasted_s: int, seen_before: bool
) -> None:
    world = World(settings=replace(SETTINGS, target_export_w=5000.0, fixed_limit_kwh=0.5)).settle()
    world.request()
    if not seen_before:  # the grid sensor still shows what was before
        world.silent.add("grid")
    world.run_until(lambda world: world.armed).run(1)
    world.silent.clear()
    _stand_still(world, lasted_s)
    world.run(1)
    session = world.state.session
    assert session is not None
    worst = 5000.0 * (min(lasted_s, LEASE_S) + 3) / 3_600_000
    assert world.exported <= world.state.meter.counted <= worst + SETTINGS.meter_step_kwh
    assert session.exported_kwh >= world.exported - SETTINGS.meter_step_kwh


def test_what_nobody_saw_under_a_renewal_is_counted_to_its_end() -> None:
    world = World(settings=replace(SETTINGS, target_export_w=5000.0)).settle()
    world.request()
    world.run_until(lambda world: world.state.lease is not None)
    world.write_s = 100
    world.run_until(
        lambda world: world.state.lease is None or world.state.lease.renewal is not None
    )
    before = world.state.meter.counted
    world.silent.add("export")  # a tick of the meter would tell the truth
    _stand_still(world, 60)
    world.run(1)
    assert world.state.meter.counted - before >= 5000.0 * 60 / 3_600_000


def test_an_idle_house_that_nobody_watched_has_exported_nothing_deliberately() -> None:
    world = World().settle()
    before = world.state.meter.counted
    _stand_still(world, 600)
    world.run(1)
    assert world.state.meter.counted == pytest.approx(before)
