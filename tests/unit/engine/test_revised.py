"""A new plan gives the running automatic session other limits, and nothing else."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import Phase, Revised, State
from custom_components.export_monitor.models import (
    EndReason,
    Instant,
    Kind,
    MeterMark,
    Observation,
    Origin,
    Reading,
    Readings,
    Session,
    Settings,
    SwitchReading,
)
from custom_components.export_monitor.storage import urgent
from tests.unit.engine.world import SETTINGS, World

NOW = datetime(2026, 6, 21, 20, tzinfo=UTC)
SEEN = Observation(
    Instant(NOW, 100.0),
    Readings(
        soc=Reading(80.0, NOW),
        export_counter=Reading(1.0, NOW),
        pv_counters=(Reading(8.0, NOW),),
        switch=SwitchReading(on=True),
    ),
    Settings(),
)


@pytest.mark.parametrize(
    ("origin", "phase", "revised"),
    [
        (Origin.AUTOMATIC, Phase.ACTIVE, True),
        (Origin.AUTOMATIC, Phase.STARTING, True),
        (Origin.AUTOMATIC, Phase.STOPPING, False),
        (Origin.MANUAL, Phase.ACTIVE, False),
        (Origin.ADOPTED, Phase.ACTIVE, False),
    ],
)
def test_only_what_the_plan_runs_is_revised(origin: Origin, phase: Phase, revised: bool) -> None:
    session = Session("s", origin, NOW, 3000.0, 20.0, MeterMark(), energy_limit_kwh=1.0)
    until = NOW + timedelta(hours=1)
    after, commands = step(State(phase=phase, session=session), Revised(SEEN, 2.5, until))
    assert commands == ()
    assert after.session is not None
    limits = (after.session.energy_limit_kwh, after.session.window_end)
    assert limits == ((2.5, until) if revised else (1.0, None))
    assert urgent(State(phase=phase, session=session), after) is revised  # to disk at once


def _planned(kind: Kind, minutes: float) -> World:
    """Return a world in which the plan has begun a session with much to do."""
    settings = replace(SETTINGS, fixed_limit_kwh=50.0)
    world = World(chargeable=True, soc=60.0, settings=settings).settle()
    until = world.now.utc + timedelta(minutes=minutes)
    world.request(kind=kind, origin=Origin.AUTOMATIC, until=until, energy_kwh=5.0)
    return world.run(60)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("minutes", [5, 40])
def test_a_revised_session_lasts_as_long_as_the_new_plan_wants(kind: Kind, minutes: float) -> None:
    world = _planned(kind, 20)
    until = world.now.utc + timedelta(minutes=minutes)
    world.take(Revised(world.look(), 9.0, until))
    world.run_until(lambda w: w.phase is Phase.STOPPING)
    assert world.reason is EndReason.WINDOW_END
    assert world.now.utc == until


def test_a_clock_set_back_does_not_lengthen_a_window_that_was_shortened() -> None:
    world = _planned(Kind.CHARGE, 60)
    world.take(Revised(world.look(), 9.0, world.now.utc + timedelta(minutes=5)))
    world.clock_offset = timedelta(hours=-1)
    world.run(305)
    assert world.reason is EndReason.WINDOW_END
