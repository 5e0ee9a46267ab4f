"""Some days of the real engine in the simulated house: the record against the plant's truth."""

import csv
from dataclasses import replace
from datetime import date
import io

import pytest

from custom_components.export_monitor.ledger import kept, summary, table
from custom_components.export_monitor.models import Basis
from simulation.ahead import Choices
from simulation.record import Recorded, audit
from simulation.verdict import METER_STEP_KWH, PV_STEP_KWH
from simulation.year import Job, live

FIRST = date(2025, 3, 29)  # the clock goes forward in between
DAYS = 3
JOB = Job(FIRST, DAYS, 1, Choices(basis=Basis.FORECAST, margin_kwh=0.5))


@pytest.fixture(scope="module")
def daily() -> Recorded:
    """Meters that begin anew at midnight."""
    return live(JOB)[0]


@pytest.fixture(scope="module")
def lifetime() -> Recorded:
    """Meters that count on for ever."""
    return live(replace(JOB, lifetime=True))[0]


def test_each_day_is_the_truth_to_one_step_of_its_meter(daily: Recorded) -> None:
    days = {day.date: day for day in daily.recorded}
    assert len(daily.days) == DAYS
    for true in daily.days:
        day = days[true.begin.astimezone(daily.span.zone).date().isoformat()]
        assert day.exported == pytest.approx(true.exported, abs=METER_STEP_KWH + 1e-9)
        assert 0 <= true.generated - day.generated <= PV_STEP_KWH + 1e-9
        assert day.contract == pytest.approx(day.generated, abs=1e-6)


def test_the_whole_is_the_truth_to_one_step_of_the_meter(lifetime: Recorded) -> None:
    whole = summary(kept(lifetime.book, None, None))
    sums = lifetime.plant.sums
    assert sums.exported > 10
    assert whole["exported_kwh"] == pytest.approx(sums.exported, abs=METER_STEP_KWH)
    assert whole["generated_kwh"] == pytest.approx(sums.generated, abs=PV_STEP_KWH)


def test_each_day_of_lifetime_meters_is_right_to_a_step_too(lifetime: Recorded) -> None:
    days = {day.date: day for day in lifetime.recorded}
    for true in lifetime.days:
        day = days[true.begin.astimezone(lifetime.span.zone).date().isoformat()]
        # Between two midnights a meter shows a step too much at most, or one too little.
        assert day.exported == pytest.approx(true.exported, abs=METER_STEP_KWH + 1e-9)


def test_every_session_is_there_once_with_its_reason(daily: Recorded) -> None:
    lines = [line for day in daily.recorded for line in day.sessions]
    assert len(lines) == len(daily.ran) >= DAYS
    for line, ran in zip(lines, daily.ran, strict=True):
        assert line.started == ran.session.started
        assert line.reason == ran.session.reason
        assert line.kwh >= ran.true_kwh - METER_STEP_KWH


def test_deliberate_export_is_what_flowed_in_sessions(daily: Recorded) -> None:
    true = sum(ran.true_kwh for ran in daily.ran)
    found = sum(day.deliberate for day in daily.recorded)
    # At either end of a session one step may count to the wrong side.
    assert found == pytest.approx(true, abs=0.1 * len(daily.ran))
    assert 0 < found <= sum(day.exported for day in daily.recorded) + 1e-9


def test_money_is_deliberate_export_at_its_price(daily: Recorded) -> None:
    for day in daily.recorded:
        if day.deliberate > 0.5:
            assert day.money_kwh == pytest.approx(day.deliberate)
            low, high = min(daily.span.export_price), max(daily.span.export_price)
            assert low - 1e-9 <= day.money / day.money_kwh <= high + 1e-9


def test_the_day_of_the_clock_change_has_23_hours(daily: Recorded) -> None:
    hours = {day.date: day.hours for day in daily.recorded}
    assert hours["2025-03-30"] == 23
    assert hours["2025-03-29"] == 24


def test_nothing_of_it_was_unwatched(daily: Recorded) -> None:
    for day in daily.recorded[:DAYS]:
        assert day.unwatched_min <= 2


def test_a_year_of_it_is_small(daily: Recorded) -> None:
    busiest = max(len(day.sessions) for day in daily.recorded)
    assert busiest >= 2
    text = sum(len(each) for each in daily.book.archive) / len(daily.book.archive)
    assert 200 < text * 366 < 400_000


@pytest.mark.parametrize("meters", ["daily", "lifetime"])
def test_the_command_finds_the_record_true(meters: str, request: pytest.FixtureRequest) -> None:
    found = audit(request.getfixturevalue(meters))
    assert found.faults == ()
    assert found.sessions[0] == found.sessions[1] > 0
    assert "as it has to be" in found.told("it")


def test_the_command_finds_a_record_that_is_not(lifetime: Recorded) -> None:
    found = audit(lifetime)
    true, kept = found.exported
    more = replace(found, exported=(true, kept + 0.03))
    assert more.faults[0].startswith("exported: 0.0")
    assert "apart in all" in more.told("it")
    assert replace(found, worst_generated=0.2).faults[0].startswith("generated")
    assert replace(found, sessions=(3, 2)).faults == ("3 sessions ran, 2 are recorded",)
    assert replace(found, size=5_000_001).faults == ("5000001 bytes are too many",)
    assert replace(found, size=9_000_000, days=730).faults == ()


def test_the_table_opens_with_the_right_types(daily: Recorded) -> None:
    text = table(kept(daily.book, None, None))
    assert text.startswith("\ufeff")
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert len(rows) == DAYS + 1
    for row, day in zip(rows, daily.recorded, strict=True):
        assert date.fromisoformat(row["date"]).isoformat() == day.date
        assert float(row["exported_kwh"]) == pytest.approx(day.exported, abs=5e-4)
        assert int(row["sessions"]) == len(day.sessions)
        assert row["status"] == "inside"
