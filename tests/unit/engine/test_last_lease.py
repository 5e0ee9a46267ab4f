"""Near its end a discharge keeps the time that its battery has: a new one would be longer."""

from dataclasses import replace

from custom_components.export_monitor.engine.state import Phase, WriteKind
from custom_components.export_monitor.models import EndReason
from tests.unit.engine.world import SETTINGS, World


def _left_beyond_headroom(world: World, limit_kwh: float) -> float:
    """Return what a dead Home Assistant would let out beyond the limit now (kWh)."""
    return world.timer_s * world.export_w / 3.6e6 - (limit_kwh - world.exported)


def test_the_time_it_has_is_not_made_longer_than_its_headroom() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=0.2), load_w=0.0).discharging()
    worst = 0.0
    while world.phase is Phase.ACTIVE:
        worst = max(worst, _left_beyond_headroom(world, 0.2))
        world.run(1)
    assert worst <= 300 * 3000.0 / 3.6e6  # one step of the battery's timer
    assert world.reason is EndReason.HEADROOM_USED_UP
    assert len(world.writes(WriteKind.DURATION)) == 1


def test_a_house_that_takes_most_of_it_is_given_more_time_before_it_is_over() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=0.2), load_w=2500.0, absent={"grid"})
    world.discharging().run(20)
    world.run_until(lambda w: w.phase is not Phase.ACTIVE, 3600)
    assert world.reason is EndReason.HEADROOM_USED_UP
    assert len(world.writes(WriteKind.DURATION)) > 1
