"""A battery that is under orders which no switch of ours tells of is somebody's."""

import pytest

from custom_components.export_monitor.engine.state import Answer, Phase, WriteKind
from custom_components.export_monitor.models import Blocker, ErrorState, Kind
from tests.unit.engine.world import World


def _armed(**changes: bool) -> World:
    """Return a world whose battery somebody charges by means that nobody told us of."""
    world = World(soc=60.0, **changes).settle()
    world.armed = world.reverse = True
    world.power_w, world.timer_s = 2000.0, 600.0
    world.charge_numbers = {WriteKind.CUTOFF: 100.0}
    return world.run(30)


@pytest.mark.parametrize("kind", list(Kind))
def test_nothing_is_started_over_it(kind: Kind) -> None:
    world = _armed(chargeable=True)
    world.request(kind=kind)
    assert [reply.answer for reply in world.replies] == [Answer.REFUSED]
    assert world.replies[0].blocker is Blocker.MODE_CONFLICT
    assert not world.run(60).writes()
    assert world.armed
    assert ErrorState.MODE_CONFLICT in world.state.faults


def test_when_it_is_over_a_start_is_free_again() -> None:
    world = _armed()
    world.request()
    world.armed = world.reverse = False
    world.run(10)
    assert ErrorState.MODE_CONFLICT not in world.state.faults
    world.request()
    world.run_until(lambda w: w.phase is Phase.ACTIVE, 60)


def test_a_read_back_that_says_nothing_stops_no_start() -> None:
    world = World(soc=60.0).settle()
    world.broken.add("dispatch")
    world.request()
    assert world.phase is Phase.STARTING
