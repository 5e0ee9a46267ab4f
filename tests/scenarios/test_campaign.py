"""A short fault campaign: no schedule breaks one of the seven invariants of page 3."""

import pytest

from custom_components.export_monitor.models import Kind

from .campaign import play
from .generate import generate
from .planted import PACKAGE, REMOVALS, ROOT, Removal
from .report import LEAST_REACHING_ACTIVE, Summary
from .schedule import Fault, FaultKind, Schedule
from .shrink import shrink

SEEDS = 20
BATCHES = 4


@pytest.mark.parametrize("batch", range(BATCHES))
def test_no_schedule_breaks_an_invariant(batch: int) -> None:
    summary = Summary()
    for seed in range(batch * SEEDS, (batch + 1) * SEEDS):
        outcome = play(generate(seed))
        assert not outcome.violations, (seed, outcome.violations, outcome.schedule.source())
        summary.add(outcome)
    assert summary.share_reaching_active >= LEAST_REACHING_ACTIVE - 0.2  # of 20 that is noise
    assert summary.stops_proven


def test_a_schedule_says_itself_in_python() -> None:
    names: dict[str, object] = {}
    exec(  # noqa: S102 - that it can be pasted is the point
        "from datetime import datetime\n"
        "from tests.scenarios.schedule import *\n"
        "from custom_components.export_monitor.models import Basis",
        names,
    )
    for seed in range(40):
        schedule = generate(seed)
        assert eval(schedule.source(), names) == schedule  # noqa: S307


@pytest.mark.parametrize("removal", REMOVALS, ids=lambda removal: removal.name)
def test_what_is_to_be_removed_is_there(removal: Removal) -> None:
    assert (ROOT / PACKAGE / removal.module).read_text().count(removal.old) == 1


def test_people_charge_in_some_schedules() -> None:
    asked = [generate(seed).settings.kind for seed in range(200)]
    assert 0.05 < asked.count(Kind.CHARGE) / len(asked) < 0.2


def test_a_failing_schedule_shrinks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A guard that is gone is found, and the noise around it falls away."""
    monkeypatch.setattr("custom_components.export_monitor.engine.session.pursue_stop", _nothing)
    noisy = Schedule(
        stop_at=100,
        faults=(
            Fault(FaultKind.SENSOR_LATE, 80, 30, "soc", 2.0),
            Fault(FaultKind.RELOAD, 90, 1),
        ),
    )
    assert {violation.invariant for violation in play(noisy).violations} >= {3}
    least = shrink(noisy)
    assert not least.faults
    assert play(least).violations


def _nothing(*_: object) -> None:
    """Pursue no stop."""
