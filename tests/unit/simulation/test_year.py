"""Some days of the real engine in the simulated house."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from custom_components.export_monitor.engine.metering import ExportMeter
from custom_components.export_monitor.ledger import Book, Look, take
from custom_components.export_monitor.models import Basis, EndReason
from custom_components.export_monitor.planning import Objective
from simulation import __main__ as command
from simulation.ahead import Choices
from simulation.life import Life, Ran
from simulation.table import details, table
from simulation.verdict import METER_STEP_KWH, Row, deliveries, limits_true
from simulation.weather import House, span
from simulation.year import Job, Measure, Result, judged, live, measured

FIRST = date(2025, 6, 10)
JOB = Job(FIRST, 3, 1, Choices(basis=Basis.GENERATED, margin_kwh=0.0), pictured=1)


@pytest.fixture(scope="module")
def tight() -> Life:
    """Three days on what has been generated, nothing held back."""
    return live(JOB)[0]


@pytest.fixture(scope="module")
def foreseen() -> Result:
    """Two days whose sun, load and prices are known."""
    return judged(Job(FIRST, 2, 1, Choices(perfect=True), pictured=0))


@pytest.fixture(scope="module")
def measure() -> Measure:
    return measured(JOB)


def test_sessions_run_without_an_error(tight: Life) -> None:
    assert len(tight.ran) >= 3
    assert not tight.raised
    assert sum(ran.true_kwh for ran in tight.ran) > 5.0


def test_what_was_generated_is_never_exceeded(tight: Life) -> None:
    limits = limits_true(tight.span, tight.choices)
    for day, limit in zip(tight.days, limits, strict=True):
        assert day.exported <= limit + METER_STEP_KWH
    for moment in tight.minutes:
        if moment.battery_w > moment.load_w:  # it discharges into the grid
            assert moment.exported_kwh <= moment.contract_kwh + METER_STEP_KWH


def test_books_are_the_truth_to_a_step_of_the_meters(tight: Life) -> None:
    for day in tight.days:
        assert day.counted == pytest.approx(day.exported, abs=METER_STEP_KWH)
        assert 0.0 <= day.generated - day.engine_generated <= 0.1 + 1e-9
        assert day.contract == pytest.approx(day.engine_generated)


def test_half_hours_add_up_to_the_meter(tight: Life) -> None:
    assert sum(tight.track.exported) == pytest.approx(tight.plant.sums.exported, abs=1e-9)
    assert sum(tight.track.imported) == pytest.approx(tight.plant.sums.imported, abs=1e-9)
    assert len(tight.track.exported) == 3 * 48


def test_a_run_is_told_by_its_seed() -> None:
    short = replace(JOB, days=1, pictured=None)
    first, again = judged(short).row, judged(short).row
    assert replace(first, ratio=0.0) == replace(again, ratio=0.0)
    assert judged(replace(short, seed=2)).row.exported != first.exported


def test_with_all_known_no_day_is_worse_than_doing_nothing(foreseen: Result) -> None:
    row = foreseen.row
    assert row.worse_days == 0
    assert 0.85 < row.share <= 1.0
    assert row.undelivered < 0.2 * row.planned


def test_plain_greedy_plans_what_is_not_there(measure: Measure) -> None:
    alone, greedy, best = measure.rows
    assert best.share == 1.0
    assert alone.exported < best.exported <= best.contract + 1e-6
    assert alone.gain == 0.0
    assert greedy.undelivered > 5.0
    assert greedy.gain < 0.9 * measure.best.gain
    assert 0.8 * measure.best.bound < measure.best.gain <= measure.best.bound + 1e-4


def test_what_the_battery_did_not_hold_is_found_however_the_session_ended(tight: Life) -> None:
    session = replace(tight.ran[0].session, reason=EndReason.WINDOW_END)
    ran = Ran(session, planned_kwh=3.0, true_kwh=2.0, soc=11.0)
    assert deliveries([ran], 10.0) == (3.0, 1.0)
    assert deliveries([replace(ran, soc=50.0)], 10.0) == (2.0, 0.0)
    at_floor = replace(ran, session=replace(session, reason=EndReason.SOC_FLOOR), soc=50.0)
    assert deliveries([at_floor], 10.0) == (3.0, 1.0)


def test_the_table_has_a_line_for_each(measure: Measure, foreseen: Result) -> None:
    text = table((*measure.rows, foreseen.row), 2, "£")
    lines = text.splitlines()
    assert len(lines) == 2 + 4
    assert len({line.count("|") for line in lines}) == 1
    assert f"{foreseen.row.share:.1%}" in lines[-1]
    assert "books apart" in details((foreseen.row,), 2)


def test_days_over_are_counted_and_told() -> None:
    row = Row("x", 1.0, 2.0, 10.0, 8.0, 2, 1.5, 0.0, 0.0)
    assert row.share == 0.5
    assert "2 (1.50 kWh)" in table((row,), 4, "£")


@pytest.mark.parametrize(("fixed_kwh", "alone"), [(1.0, 1), (1000.0, 0)])
def test_a_day_that_the_sun_alone_has_over_is_told_apart(fixed_kwh: float, alone: int) -> None:
    row = judged(Job(FIRST, 1, 1, Choices(basis=Basis.FIXED, fixed_kwh=fixed_kwh))).row
    assert (row.days_over, row.days_over_alone) == (alone, alone)
    assert ("1 by the sun alone" in table((row,), 1, "£")) is bool(alone)


def test_pictures_are_whole(foreseen: Result) -> None:
    assert foreseen.day is not None
    for picture in (foreseen.day, foreseen.year):
        assert ET.fromstring(picture).tag.endswith("svg")  # noqa: S314 - our own
    assert "Tuesday, 10 June 2025" in foreseen.day
    assert foreseen.year.count("<rect") == 1 + 2


def test_carbon_is_an_objective_too() -> None:
    days = span(FIRST, 1, 1, House())
    result = judged(Job(FIRST, 1, 1, Choices(objective=Objective.CARBON, perfect=True)))
    assert result.row.best > 0
    assert days.counted_days == 1
    assert result.row.share > 0.5


def test_the_command_writes_table_and_pictures(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = ["simulate", "--days", "1", "--start", "2025-06-10", "--out", str(tmp_path)]
    monkeypatch.setattr("sys.argv", asked)
    assert command.main() == 0
    said = capsys.readouterr().out
    assert "plain greedy" in said
    assert "Record of ours, forecast, realistic forecast, margin 0.5: 1 days in" in said
    assert "as it has to be" in said
    names = {path.name for path in tmp_path.iterdir()}
    assert "table.md" in names
    assert sum(name.endswith(".svg") for name in names) == 2


def test_the_command_fails_where_the_record_is_not_the_truth(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def forgetful(book: Book, look: Look) -> Book:
        return take(book, replace(look, meter=ExportMeter()))

    monkeypatch.setattr("simulation.record.take", forgetful)
    monkeypatch.setattr("sys.argv", ["simulate", "--days", "1", "--start", "2025-06-10"])
    assert command.main() == 1
    assert "FAILED: the record of ours" in capsys.readouterr().out
