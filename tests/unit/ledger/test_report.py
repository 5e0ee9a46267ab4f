"""What the record is shown as: figures, a table, and a page."""

import csv
from dataclasses import replace
from datetime import UTC, date, timedelta
import io
import re
from xml.etree import ElementTree as ET

import pytest

from custom_components.export_monitor.ledger import (
    Book,
    Breach,
    Correction,
    Day,
    Refusal,
    SessionLine,
    Why,
    figures,
    kept,
    summary,
    table,
)
from custom_components.export_monitor.ledger.book import Marks
from custom_components.export_monitor.ledger.page import Speech, page
from custom_components.export_monitor.ledger.report import Kept
from tests.unit.ledger.meters import MIDNIGHT, moment

FULL = Day(
    "2026-06-21",
    MIDNIGHT,
    24,
    exported=10.5,
    generated=12.25,
    deliberate=4.0,
    basis="forecast",
    period="local_day",
    contract=10.0,
    allowance=9.5,
    least_allowance=7.125,
    headroom=0.0,
    margin=0.5,
    tolerance=0.1,
    slack=0.0,
    peak_w=3680.0,
    carbon_kg=0.9,
    carbon_kwh=4.0,
    money=0.8,
    money_kwh=4.0,
    watched_s=80_000.0,
    sessions=(
        SessionLine(
            "discharge",
            "manual",
            moment(0, 18),
            moment(0, 19),
            3000.0,
            3.0,
            "headroom_used_up",
        ),
        SessionLine("charge", "automatic", moment(0, 2), moment(0, 3), 2000.0, 2.0, "full"),
    ),
    refusals=(Refusal("no_headroom", 3, moment(0, 19), moment(0, 20)),),
    breaches=(Breach(moment(0, 18, 30), 10.2, 10.0, "forecast_fell", 1),),
    corrections=(Correction(Why.LATE_METER, moment(1), 0.05, 0.1),),
    exported_by_hour=(0.0,) * 18 + (6.5, 4.0),
    allowance_by_hour=(7.125, 9.5),
)
BARE = Day("2026-06-23", moment(2), 24)
BOOK = Book(Marks(looked=moment(2, 12)), (FULL, BARE))


@pytest.fixture
def whole() -> Kept:
    """Three days, of which one is missing."""
    return kept(BOOK, None, None)


def test_the_summary_adds_up(whole: Kept) -> None:
    found = summary(whole)
    assert (found["days"], found["days_over"]) == (2, 1)
    assert found["days_without_record"] == ["2026-06-22"]
    assert found["exported_kwh"] == 10.5
    assert found["corrected_exported_kwh"] == 0.05
    assert found["sessions_by_reason"] == {"headroom_used_up": 1, "full": 1}
    assert found["refusals_by_reason"] == {"no_headroom": 3}
    assert found["breaches_by_cause"] == {"forecast_fell": 1}
    assert found["peak_export_w"] == 3680
    assert found["margin"]["suggested_kwh"] == 1.0  # type: ignore[index, call-overload]


def test_a_day_tells_everything(whole: Kept) -> None:
    day = figures(whole.days[0])
    assert day["status"] == "over"
    assert day["over_kwh"] == 0.5
    assert day["least_allowance_kwh"] == 7.125
    assert day["corrections"] == [
        {
            "why": "late_meter",
            "at": "2026-06-22T00:00:00+00:00",
            "exported_kwh": 0.05,
            "generated_kwh": 0.1,
        }
    ]
    assert figures(whole.days[1])["status"] == "no_contract"


def test_the_table_has_a_line_for_every_day_and_right_types(whole: Kept) -> None:
    text = table(whole)
    assert text.startswith("\ufeffdate,status,")  # by which spreadsheets know UTF-8
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert [row["date"] for row in rows] == ["2026-06-21", "2026-06-22", "2026-06-23"]
    assert [row["status"] for row in rows] == ["over", "no_record", "no_contract"]
    first = rows[0]
    assert date.fromisoformat(first["date"]) == date(2026, 6, 21)
    numbers = [name for name in first if name.endswith(("_kwh", "_kg", "_w", "_earned"))]
    assert len(numbers) > 12
    for name in numbers:
        assert re.fullmatch(r"-?\d+(\.\d{1,3})?", first[name]), name
        assert rows[1][name] == ""  # nothing is not 0
    assert first["session_reasons"] == "headroom_used_up:1 full:1"
    assert first["breach_causes"] == "forecast_fell:1"


def test_no_cell_is_a_formula(whole: Kept) -> None:
    for row in csv.reader(io.StringIO(table(whole).removeprefix("\ufeff"))):
        for cell in row:
            assert not re.match(r"[=+@\t\r]|-\D", cell)


def test_a_record_without_its_marks_is_shown_whole() -> None:
    found = kept(Book(Marks(), (FULL, BARE)), None, None)
    assert [day.date for day in found.days] == ["2026-06-21", "2026-06-23"]
    assert found.missing == ("2026-06-22",)
    assert found.today is None


def test_a_text_that_would_be_a_formula_is_quoted() -> None:
    for start in "=+-@\t\r":
        evil = replace(BARE, basis=f"{start}HYPERLINK(1)", sessions=())
        text = table(Kept(date.min, date.max, (evil,), (), None))
        (row,) = csv.DictReader(io.StringIO(text.removeprefix("\ufeff"), newline=""))
        assert row["basis"] == f"'{start}HYPERLINK(1)"


def test_most_of_europe_gets_commas_in_decimals(whole: Kept) -> None:
    text = table(whole, comma=True)
    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff")), delimiter=";"))
    assert rows[0]["exported_kwh"] == "10,5"
    assert rows[0]["headroom_left_kwh"] == "0,0"
    assert rows[0]["peak_export_w"] == "3680"
    assert rows[0]["date"] == "2026-06-21"
    assert "." not in text


def test_what_was_never_known_is_not_zero(whole: Kept) -> None:
    day = replace(FULL, carbon_kg=0.0, carbon_kwh=0.0, money=0.0)
    assert figures(day)["carbon_saved_kg"] is None
    assert figures(day)["money_earned"] == 0.0  # at a price of 0
    assert summary(Kept(date.min, date.max, (day, BARE), (), None))["carbon_saved_kg"] is None
    assert summary(whole)["carbon_saved_kg"] == 0.9


def test_of_a_day_that_goes_on_only_the_past_is_unwatched() -> None:
    found = kept(BOOK, None, None)
    assert figures(found.days[-1], found.looked)["unwatched_minutes"] == 720
    assert figures(found.days[0], found.looked)["unwatched_minutes"] == 107
    text = page("Home", found, SPEECH, moment(3))
    assert text.count("&lt;today&gt;") == 1
    assert "720 &lt;unwatched&gt;" in text


def test_the_page_names_only_days_that_are_recorded() -> None:
    found = kept(BOOK, date(2026, 1, 1), date(2026, 12, 31))
    assert "2026-06-21 &ndash; 2026-06-23" in page("Home", found, SPEECH, moment(3))
    nothing = kept(Book(), date(2026, 1, 1), date(2026, 12, 31))
    assert "2026-01-01 &ndash; 2026-12-31" in page("Home", nothing, SPEECH, moment(3))


def test_a_span_outside_the_record_is_empty(whole: Kept) -> None:
    found = kept(BOOK, date(2030, 1, 1), date(2030, 2, 1))
    assert (found.days, found.missing) == ((), ())
    assert summary(found)["exported_kwh"] == 0.0


SPEECH = Speech(
    language="en",
    word=lambda name: f"<{name}>",
    number=lambda value, digits: f"{value:.{digits}f}",
    reason=lambda kind, name: f"{kind} & {name}",
    zone=UTC,
    currency='"£"',
)


def test_the_page_shows_each_day_with_a_chart_and_what_happened(whole: Kept) -> None:
    text = page("Home", whole, SPEECH, moment(3))
    assert text.count("<section") == 2
    assert text.count("<svg") == 3
    assert "cause &amp; forecast_fell" in text
    assert "refusal &amp; no_headroom" in text
    assert "why &amp; late_meter" in text
    assert "<li>2026-06-22</li>" in text
    assert "10.50 kWh" in text
    for svg in re.findall(r"<svg.*?</svg>", text, re.DOTALL):
        ET.fromstring(svg)  # noqa: S314 - our own


def test_nothing_that_a_person_typed_becomes_markup(whole: Kept) -> None:
    text = page('<script>alert("x")</script>', whole, SPEECH, moment(3))
    assert "<script" not in text
    assert "&lt;script&gt;" in text
    assert "&lt;title&gt;" in text  # a translation is escaped, too
    assert '"£"' not in text


def test_what_leads_on_is_named_and_escaped(whole: Kept) -> None:
    text = page("Home", whole, SPEECH, moment(3), {"download": '/a?b="c"&d'})
    assert '<nav><a href="/a?b=&quot;c&quot;&amp;d">&lt;download&gt;</a></nav>' in text
    assert "<nav" not in page("Home", whole, SPEECH, moment(3))


def test_the_chart_stays_inside_its_frame() -> None:
    wild = replace(
        FULL, exported_by_hour=(0.0, 500.0), breaches=(), contract=1e5, watched_s=86_400.0
    )
    text = page("Home", Kept(date.min, date.max, (wild,), (), None), SPEECH, MIDNIGHT)
    assert "unwatched" not in text
    ys = [float(y) for y in re.findall(r' y[12]?="([\d.-]+)"', text)]
    assert min(ys) >= 0
    assert max(ys) <= 132


def test_a_year_is_drawn_with_few_dates() -> None:
    days = tuple(
        replace(FULL, date=(date(2026, 1, 1) + timedelta(days=n)).isoformat()) for n in range(365)
    )
    text = page("Home", Kept(date.min, date.max, days, (), None), SPEECH, MIDNIGHT)
    overview = text[: text.index("</svg>")]
    assert overview.count('class="axis"') < 25
    assert len(text) < 3_000_000


def test_without_days_the_page_says_so() -> None:
    text = page("Home", kept(Book(), None, None), SPEECH, MIDNIGHT)
    assert "&lt;margin_unknown&gt;" in text


def test_the_advice_is_worded_by_whether_it_asks_for_more(whole: Kept) -> None:
    inside = replace(FULL, exported=9.0, breaches=())
    assert "margin_advice" in page("Home", whole, SPEECH, MIDNIGHT)
    found = Kept(date.min, date.max, (inside,), (), None)
    assert "margin_enough" in page("Home", found, SPEECH, MIDNIGHT)
