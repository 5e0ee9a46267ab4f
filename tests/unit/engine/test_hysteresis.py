"""After an end nothing starts by itself for a while; a person may, and a dry run starts nothing."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.state import Answer, Phase
from custom_components.export_monitor.models import Blocker, Instant, Origin
from tests.unit.engine.world import SETTINGS, World

BY_ITSELF = Origin.AUTOMATIC


def _refusal(world: World, **request: Any) -> Blocker | None:
    world.request(**request)
    reply = world.run(15).replies[-1]
    assert (reply.answer is Answer.REFUSED) is (reply.blocker is not None)
    return reply.blocker


def _ended() -> World:
    world = World().discharging().run(60)
    world.stop()
    return world.run_until(lambda w: w.phase is Phase.IDLE, 30)


def test_nothing_starts_by_itself_for_five_minutes_after_an_end() -> None:
    world = _ended()
    ended = world.second
    assert _refusal(world, origin=BY_ITSELF) is Blocker.COOLDOWN
    world.run(ended + 300 - 2 - world.second)
    assert _refusal(world, origin=BY_ITSELF) is Blocker.COOLDOWN
    assert _refusal(world, origin=BY_ITSELF) is None


def test_a_person_may_start_again_at_once() -> None:
    assert _refusal(_ended()) is None


def test_a_restart_does_not_shorten_the_pause() -> None:
    world = _ended().run(100)
    later = Instant(world.now.utc + timedelta(seconds=50), 7.0)
    state = resume(world.state, world.now, later)
    assert state.cooldown_until == pytest.approx(7.0 + 150, abs=2)
    back = Instant(world.now.utc - timedelta(hours=5), 7.0)
    assert resume(world.state, world.now, back).cooldown_until == 307.0
    long_after = Instant(world.now.utc + timedelta(hours=5), 7.0)
    assert resume(world.state, world.now, long_after).cooldown_until == 7.0


@pytest.mark.parametrize(
    ("soc", "blocker"),
    [(20.0, Blocker.SOC_AT_FLOOR), (21.9, Blocker.SOC_NEAR_FLOOR), (22.1, None)],
)
def test_nothing_starts_by_itself_near_the_floor(soc: float, blocker: Blocker | None) -> None:
    world = World(replace(SETTINGS, battery_capacity_kwh=1000.0), soc=soc, load_w=0.0).settle()
    assert _refusal(world, origin=BY_ITSELF) is blocker


def test_a_person_may_empty_the_battery_to_its_floor() -> None:
    world = World(replace(SETTINGS, battery_capacity_kwh=1000.0), soc=21.0).settle()
    assert _refusal(world) is None


@pytest.mark.parametrize("origin", [Origin.MANUAL, BY_ITSELF])
def test_a_dry_run_refuses_what_everything_else_allows(origin: Origin) -> None:
    world = World(replace(SETTINGS, dry_run=True)).settle()
    assert _refusal(world, origin=origin) is Blocker.DRY_RUN
    assert world.writes() == []
    world.settings = replace(world.settings, target_export_w=0.0)
    assert _refusal(world, origin=origin) is Blocker.TARGET_ZERO


def test_a_dry_run_comes_after_the_pause() -> None:
    world = _ended()
    world.settings = replace(SETTINGS, dry_run=True)
    assert _refusal(world, origin=BY_ITSELF) is Blocker.COOLDOWN


def test_a_dry_run_stops_what_runs() -> None:
    world = World().discharging().run(30)
    world.settings = replace(SETTINGS, dry_run=True)
    world.run(30)
    assert world.phase is Phase.ACTIVE
    world.stop()
    world.run(30)
    assert not world.armed
    assert world.replies[-1].answer is Answer.STOPPED
