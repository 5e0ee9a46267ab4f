"""Where exactly a following power begins and ends to act."""

from dataclasses import replace

import pytest

from custom_components.export_monitor.engine.state import APART_S, Modulation, Phase, WriteKind
from custom_components.export_monitor.models import EndReason
from tests.unit.engine.world import SETTINGS, World

PLENTY = replace(SETTINGS, fixed_limit_kwh=50.0, battery_capacity_kwh=100.0)


def _powers(world: World) -> list[float]:
    return [write.value for _, write in world.writes(WriteKind.POWER)][1:]


def test_another_write_keeps_its_distance_from_the_last_answer_or_question() -> None:
    asked = Modulation(asked_at=10.0)
    answered = replace(asked, answered_at=20.0)
    for modulation, last in ((asked, 10.0), (answered, 20.0)):
        assert modulation.busy(last + APART_S - 0.1)
        assert not modulation.busy(last + APART_S)
    assert replace(answered, write_id=1).busy(1000.0)
    assert not Modulation().busy(0.0)


@pytest.mark.parametrize(("pv_w", "ends"), [(2850.0, False), (3150.0, True)])
def test_the_sun_ends_it_a_margin_above_the_target(pv_w: float, *, ends: bool) -> None:
    """The smallest step of the battery, 100 W, comes on top of the sun."""
    world = World(PLENTY, load_w=0.0).discharging().run(60)
    world.pv_w = pv_w
    world.run(400)
    assert (world.phase is Phase.IDLE) == ends
    if ends:
        assert world.ended[-1].reason is EndReason.PV_COVERS_TARGET


def test_a_power_that_has_to_fall_falls_although_a_raise_has_failed() -> None:
    world = World(PLENTY, load_w=1000.0).discharging().run(60)
    world.failing.add(WriteKind.POWER)
    world.load_w = 1500.0
    world.run(40)  # the raise has failed, and is not tried again for minutes
    world.failing.clear()
    world.load_w = 300.0
    world.run(30)
    assert world.export_w <= 3000.0
    assert world.phase is Phase.ACTIVE


@pytest.mark.parametrize("late_s", [5, 8])
def test_a_battery_that_reports_after_the_grid_is_not_throttled_at_its_start(late_s: int) -> None:
    """What it gave before it was switched on and the export after it add up to nothing."""
    world = World(PLENTY, load_w=500.0)
    world.settle()
    world.silent = {"battery"}
    world.discharging().run(late_s)
    world.silent = set()
    world.run(60)
    assert min(_powers(world), default=3500.0) >= 3000.0
    assert world.export_w == pytest.approx(3000.0, abs=150.0)


def test_export_from_before_a_command_raises_nothing() -> None:
    world = World(replace(PLENTY, inverter_limit_w=6000.0), load_w=0.0)
    world.forged["grid"] = 0.0
    world.discharging()
    world.silent = {"grid"}
    for _ in range(8):  # for longer its silence says so itself
        world.run(1)
        assert _powers(world) == []


def test_a_raise_that_may_have_arrived_is_no_ground_to_build_on() -> None:
    """Until it is answered the least that the battery can have been told is what counts."""
    world = World(PLENTY, load_w=500.0).discharging().run(60)
    told = _powers(world)[-1]
    world.failing.add(WriteKind.POWER)
    world.load_w = 1200.0
    world.run(30)
    tried = told + 700.0
    assert _powers(world)[-1] == tried
    world.failing.clear()
    world.run(330)
    assert max(_powers(world)) == tried
    assert world.export_w == pytest.approx(3000.0, abs=150.0)


def test_a_battery_that_nobody_hears_is_told_more_only_where_the_grid_shows_export() -> None:
    """One that does nothing would be told ever more, and give it all at once when it wakes."""
    world = World(PLENTY, absent={"battery", "dispatch"}, load_w=1000.0).discharging().run(60)
    assert _powers(world)
    assert world.export_w == pytest.approx(3000.0, abs=150.0)
    before = len(_powers(world))
    world.load_w = 4500.0  # import: it gives 4000 W, if it gives anything
    world.run(60)
    assert len(_powers(world)) == before
