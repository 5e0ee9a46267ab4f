"""The list of windows past, present and to come."""

from datetime import datetime

from custom_components.export_monitor.models import Kind
from custom_components.export_monitor.planning.diary import diary
from custom_components.export_monitor.planning.fates import Fate, Outcome
from tests.unit.planning.test_execution import at, plan_of, window

A = window("17:00", "18:00")


def told(fate: Fate, when: str, reason: str | None = None, energy: float = 0.0) -> Outcome:
    return Outcome(fate, A, at(when), reason, energy)


def rows(*outcomes: Outcome, now: str, plan: object = None) -> list[tuple[object, ...]]:
    found = diary(outcomes, plan, at(now))  # type: ignore[arg-type]
    return [(e.start, e.end, e.fate, e.energy_kwh) for e in found]


def clock(start: str, end: str) -> tuple[datetime, datetime]:
    return at(start), at(end)


def test_what_is_to_come_has_no_fate() -> None:
    assert rows(now="12:00", plan=plan_of(A)) == [(*clock("17:00", "18:00"), None, 0.0)]


def test_what_runs_is_one_entry_from_its_start_to_the_newest_plans_end() -> None:
    newer = plan_of(window("17:30", "18:30"))
    started = told(Fate.STARTED, "17:00")
    assert rows(started, now="17:31", plan=newer) == [(*clock("17:00", "18:30"), Fate.STARTED, 0.0)]


def test_sessions_of_one_window_add_up() -> None:
    outcomes = (
        told(Fate.STARTED, "17:00"),
        told(Fate.FAILED, "17:10", "battery_not_following", 0.4),
        told(Fate.STARTED, "17:20"),
        told(Fate.ENDED, "17:50", "target_reached", 1.5),
    )
    assert rows(*outcomes, now="19:00") == [(*clock("17:00", "17:50"), Fate.ENDED, 1.9)]


def test_a_missed_rest_does_not_hide_what_has_run() -> None:
    outcomes = (
        told(Fate.STARTED, "17:00"),
        told(Fate.ENDED, "17:10", "soc_floor", 0.4),
        told(Fate.MISSED, "18:00", "soc_at_floor"),
    )
    assert rows(*outcomes, now="19:00")[0][2] is Fate.ENDED


def test_a_charge_beside_a_discharge_is_an_entry_of_its_own() -> None:
    charge = window("17:30", "18:30", kind=Kind.CHARGE)
    assert len(rows(told(Fate.SKIPPED, "17:00"), now="17:00", plan=plan_of(charge))) == 2


def test_windows_of_a_plan_that_are_over_are_not_repeated() -> None:
    assert rows(now="18:00", plan=plan_of(A)) == []
