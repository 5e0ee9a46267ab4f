"""The most severe error that stands shows; the past is kept to fifty lines."""

from datetime import timedelta

from custom_components.export_monitor.engine.errors import (
    BATTERY_FAULTS,
    HISTORY,
    cleared,
    kept,
    raised,
    shown,
    standing,
)
from custom_components.export_monitor.models import Errors, ErrorState
from tests.unit.engine.world import NOON


def test_nothing_shows_where_nothing_stands() -> None:
    assert shown(Errors()) is None


def test_the_most_severe_shows_whatever_the_order() -> None:
    errors = Errors()
    for state in (ErrorState.STALE_DATA, ErrorState.STOP_FAILED, ErrorState.MODE_CONFLICT):
        errors = raised(errors, state, NOON)
    entry = shown(errors)
    assert entry is not None
    assert entry.state is ErrorState.STOP_FAILED
    entry = shown(cleared(errors, ErrorState.STOP_FAILED))
    assert entry is not None
    assert entry.state is ErrorState.STALE_DATA


def test_an_error_raised_again_counts_up_and_keeps_its_start() -> None:
    later = NOON + timedelta(minutes=5)
    errors = raised(Errors(), ErrorState.NO_DATA, NOON, "first", "sensor.a")
    errors = raised(errors, ErrorState.NO_DATA, later, "second", "sensor.b")
    entry = standing(errors, ErrorState.NO_DATA)
    assert entry is not None
    assert (entry.since, entry.occurrences, entry.detail) == (NOON, 2, "second")
    assert entry.entity_id == "sensor.b"
    assert len(errors.standing) == 1


def test_the_history_keeps_the_last_ones() -> None:
    errors = Errors()
    for minute in range(HISTORY + 5):
        errors = raised(errors, ErrorState.NO_DATA, NOON + timedelta(minutes=minute))
    assert len(errors.history) == HISTORY
    assert errors.history[-1].at == NOON + timedelta(minutes=HISTORY + 4)


def test_clearing_what_does_not_stand_changes_nothing() -> None:
    errors = raised(Errors(), ErrorState.NO_DATA, NOON)
    assert cleared(errors, ErrorState.OVER_EXPORT) == errors


def test_a_standing_error_keeps_what_was_said_of_it() -> None:
    errors = raised(Errors(), ErrorState.START_FAILED, NOON, "no answer", "switch.battery")
    entry = standing(errors, ErrorState.START_FAILED)
    assert entry is not None
    assert (entry.since, entry.detail, entry.entity_id) == (NOON, "no answer", "switch.battery")
    assert entry.occurrences == 1
    again = raised(errors, ErrorState.START_FAILED, NOON, "refused")
    entry = standing(again, ErrorState.START_FAILED)
    assert entry is not None
    assert (entry.since, entry.detail, entry.entity_id) == (NOON, "refused", None)
    assert entry.occurrences == 2
    assert [(past.state, past.at, past.detail) for past in again.history] == [
        (ErrorState.START_FAILED, NOON, "no answer"),
        (ErrorState.START_FAILED, NOON, "refused"),
    ]


def test_faults_of_the_battery_are_those_of_its_writes_its_following_and_its_stop() -> None:
    assert set(ErrorState) - BATTERY_FAULTS == {
        ErrorState.NONE,
        ErrorState.MODE_CONFLICT,
        ErrorState.STALE_DATA,
        ErrorState.NO_DATA,
        ErrorState.SOC_READ_FAILED,
        ErrorState.OVER_EXPORT,
    }


def test_what_no_longer_stands_after_a_restart_is_forgotten_but_not_its_history() -> None:
    errors = raised(Errors(), ErrorState.STALE_DATA, NOON)
    errors = raised(errors, ErrorState.OVER_EXPORT, NOON, "0.6 > 0.5 kWh")
    after = kept(errors, frozenset({ErrorState.OVER_EXPORT}))
    assert [(each.state, each.detail) for each in after.standing] == [
        (ErrorState.OVER_EXPORT, "0.6 > 0.5 kWh")
    ]
    assert after.history == errors.history
