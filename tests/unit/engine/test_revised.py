"""A new plan gives the running automatic session other limits, and nothing else."""

from datetime import UTC, datetime, timedelta

import pytest

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import Phase, Revised, State
from custom_components.export_monitor.models import (
    Instant,
    MeterMark,
    Observation,
    Origin,
    Reading,
    Readings,
    Session,
    Settings,
    SwitchReading,
)

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
