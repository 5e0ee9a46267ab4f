"""The book: whose day a step is of, and nothing lost or counted twice."""

from dataclasses import replace
from datetime import timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter
from custom_components.export_monitor.ledger import (
    Book,
    Cause,
    Day,
    Why,
    breached,
    ended,
    kept,
    lately,
    refused,
    take,
)
from custom_components.export_monitor.ledger.book import Marks
from custom_components.export_monitor.ledger.breaches import cause_of
from custom_components.export_monitor.ledger.meters import within
from custom_components.export_monitor.ledger.pack import pack, unpack
from custom_components.export_monitor.models import Basis
from tests.unit.ledger.meters import (
    DECISION,
    MIDNIGHT,
    NOON,
    SETTINGS,
    Home,
    charge,
    moment,
    over,
    reasons,
    session,
)

ANEW = frozenset({"export", "pv0"})
FIRST, SECOND, THIRD = "2026-06-21", "2026-06-22", "2026-06-23"


@pytest.fixture
def home() -> Home:
    """A home whose meters were first seen at noon."""
    return Home()


# Whose day it is


def test_a_step_belongs_to_the_day_it_comes_in(home: Home) -> None:
    home.told(moment(0, 12, 1), 100.3, 1000.5)
    home.told(moment(0, 12, 2), 100.4, 1001.0)
    today = home.book.today
    assert today is not None
    assert today.exported == pytest.approx(0.4)
    assert today.generated == pytest.approx(1.0)
    assert today.corrections == ()


def test_a_step_after_midnight_is_of_the_minute_before_and_says_so(home: Home) -> None:
    home.told(moment(0, 23, 59, 30), 100.2)
    home.told(moment(1, 0, 0, 5))
    home.told(moment(1, 0, 0, 30), 100.3)
    assert home.exported() == {FIRST: 0.25, SECOND: 0.05}
    (line,) = home.book.recent[0].corrections
    assert (line.why, line.at) == (Why.LATE_METER, moment(1, 0, 0, 30))
    assert line.exported == pytest.approx(0.05)
    assert home.book.recent[1].corrections == ()


def test_the_grid_sensor_tells_better_than_time_what_came_before_midnight(home: Home) -> None:
    home.told(moment(0, 23, 59, 30), 100.2)
    home.flowing(0.08)
    home.told(moment(0, 23, 59, 59))
    home.flowing(0.08)  # a session ended with the day: nothing flows any more
    home.told(moment(1, 0, 0, 5))
    home.told(moment(1, 0, 0, 30), 100.28)
    assert home.exported() == {FIRST: 0.28, SECOND: 0.0}


def test_a_step_reported_at_midnight_itself_is_yesterdays(home: Home) -> None:
    home.told(moment(0, 23, 59), 100.2)
    home.told(moment(1), 100.3)
    assert home.exported() == {FIRST: 0.3, SECOND: 0.0}


def test_pv_that_arrives_late_raises_yesterdays_contract(home: Home) -> None:
    home.decision = replace(DECISION, basis=Basis.GENERATED, contract=3.0)
    home.told(moment(0, 23, 59), 100.2, 1003.0)
    home.told(moment(1, 0, 0, 0), 100.2, 1003.1)
    yesterday = home.book.recent[0]
    assert yesterday.generated == pytest.approx(3.1)
    assert yesterday.contract == pytest.approx(3.1)
    assert yesterday.corrected("generated") == pytest.approx(0.1)


def test_an_outage_over_two_midnights_is_shared_out_and_marked(home: Home) -> None:
    home.watched(moment(0, 12, 1), moment(0, 12, 5), 100.0)
    home.told(moment(0, 18), 100.0)
    home.told(moment(2, 6), 103.6)  # 36 hours later
    assert home.exported() == {FIRST: 0.6, SECOND: 2.4, THIRD: 0.6}
    assert set(reasons(home.book)) == {Why.UNWATCHED}
    between = home.book.recent[1]
    assert between.contract is None
    assert between.unwatched_min == 24 * 60


def test_a_day_of_the_clock_change_is_as_long_as_it_is() -> None:
    home = Home(replace(SETTINGS, timezone=ZoneInfo("Europe/London")))
    home.told(moment(126, 1), 100.0)  # 25 October
    today = home.book.at(moment(126, 1))
    assert today is not None
    assert (today.date, today.hours) == ("2026-10-25", 25)


def test_a_clock_set_back_by_days_writes_into_the_day_it_shows(home: Home) -> None:
    home.told(moment(400), 100.0)
    home.told(moment(0, 13), 100.0)
    home.told(moment(0, 13, 1), 100.2)
    assert home.exported()[FIRST] == pytest.approx(0.2)


def test_a_clock_set_back_beyond_the_recent_days_changes_no_old_one(home: Home) -> None:
    for day in range(1, 6):
        home.told(moment(day, 12), 100.0)
    archive = home.book.archive
    home.told(moment(0, 13), 100.0)
    home.told(moment(0, 13, 1), 100.2)
    assert home.book.archive == archive
    assert sum(home.exported().values()) == pytest.approx(0.2)
    assert len(home.book.recent) == 3


def test_another_time_zone_in_mid_day_goes_on_with_the_date(home: Home) -> None:
    home.told(moment(0, 13), 100.5)
    home.settings = replace(SETTINGS, timezone=ZoneInfo("Europe/Berlin"))
    home.told(moment(0, 13, 1), 100.6)
    assert home.exported() == {FIRST: 0.6}
    assert len(home.book.recent) == 1


def test_a_step_of_a_clock_that_was_wrong_is_of_today(home: Home) -> None:
    home.told(moment(0, 13), 100.0)
    home.report(moment(5), 100.5, 1000.5)
    home.told(moment(0, 13, 1))
    assert home.exported() == {FIRST: 0.5}


def test_nothing_is_shared_out_before_the_record_began(home: Home) -> None:
    mark = home.book.marks.export
    assert mark is not None
    old = replace(home.book.marks, export=replace(mark, reported=moment(-3)))
    home.book = replace(home.book, marks=old)
    home.told(moment(0, 13), 100.5)
    assert home.exported() == {FIRST: 0.5}


def test_a_clock_that_jumps_by_years_fills_no_years(home: Home) -> None:
    home.told(moment(10_000, 13), 100.5)
    assert sum(home.exported().values()) == pytest.approx(0.5)
    assert len(home.book.recent) + len(home.book.archive) == 2


def test_a_single_moment_is_in_a_session_or_not() -> None:
    at = moment(0, 13)
    assert within(at, moment(0, 14), at, at) == 1.0
    assert within(moment(0, 14), moment(0, 15), at, at) == 0.0


# Nothing counted twice


def test_a_restored_older_record_gets_back_what_the_meter_shows(home: Home) -> None:
    home.told(moment(0, 13), 100.5)
    older = home.book
    home.told(moment(0, 14), 101.0)
    home.told(moment(0, 15), 101.5)
    home.book = older
    home.told(moment(0, 15, 1), 101.6)
    assert home.exported() == {FIRST: 1.6}


def test_a_restored_older_controller_counts_nothing_twice(home: Home) -> None:
    home.told(moment(0, 13), 100.5)
    older = (home.meter, home.pv)
    home.told(moment(0, 14), 101.0, 1001.0)
    home.meter, home.pv = older
    home.told(moment(0, 14, 1))
    home.told(moment(0, 14, 2), 101.0, 1001.0)
    home.told(moment(0, 14, 3), 101.2, 1001.5)
    assert home.exported() == {FIRST: 1.2}
    assert home.book.recent[0].generated == pytest.approx(1.5)


def test_a_controller_that_began_anew_is_believed_by_its_meter(home: Home) -> None:
    home.told(moment(0, 13), 100.5)
    home.meter, home.pv = ExportMeter(), (CounterSum(),)
    home.told(moment(0, 14), 101.0, 1001.0, begins_anew=ANEW)
    home.told(moment(0, 15), 101.5, 1002.0)
    assert home.exported() == {FIRST: 1.5}
    assert home.book.recent[0].generated == pytest.approx(2.0)


def test_a_daily_meter_and_a_controller_that_began_anew_next_day() -> None:
    home = Home(replace(SETTINGS, daily_export_counter=True, daily_pv_counters=(True,)))
    assert home.exported() == {FIRST: 100.0}  # what it shows when it is first met
    home.meter = ExportMeter()
    home.told(moment(1, 9), 2.0, begins_anew=ANEW)
    home.told(moment(1, 10), 2.5)
    assert home.exported() == {FIRST: 100.0, SECOND: 2.5}


def test_an_older_controller_with_a_daily_meter_goes_on_with_the_day() -> None:
    home = Home(replace(SETTINGS, daily_export_counter=True))
    older = home.meter
    for day in (1, 2):
        home.told(moment(day, 0, 1), 0.0)
        home.told(moment(day, 12), 8.0)
    home.meter = older  # from a backup of two days ago
    home.told(moment(2, 13), 8.5)
    home.told(moment(2, 13, 10), 8.5)
    home.told(moment(2, 13, 20), 8.5)
    home.told(moment(2, 14), 9.0)
    assert home.exported()[SECOND] == 8.0
    assert home.exported()[THIRD] == pytest.approx(9.0)


def test_another_meter_than_before_adds_nothing(home: Home) -> None:
    home.told(moment(0, 13), 100.5)
    home.meter = ExportMeter()
    home.told(moment(0, 13, 5), 90_000.0, begins_anew=ANEW)
    home.told(moment(0, 13, 6), 90_000.1)
    assert home.exported() == {FIRST: 0.6}


def test_a_record_that_lost_its_marks_goes_on_from_what_it_has() -> None:
    home = Home(replace(SETTINGS, daily_export_counter=True, daily_pv_counters=(True,)))
    home.told(moment(0, 13), 100.5, 1000.5)
    home.book = replace(home.book, marks=Marks())
    home.told(moment(0, 13, 1), 100.6, 1000.6)
    assert home.exported() == {FIRST: 100.6}
    assert home.book.recent[0].generated == pytest.approx(1000.6)


def test_another_pv_sensor_than_before_adds_only_what_it_gains(home: Home) -> None:
    home.pv = (*home.pv, CounterSum())
    home.told(moment(0, 13), pv=1000.5)
    assert home.book.recent[0].generated == 0.0
    home.told(moment(0, 13, 1), pv=1000.75)
    assert home.book.recent[0].generated == pytest.approx(0.5)


def test_meters_that_say_nothing_write_nothing(home: Home) -> None:
    home.meter, home.pv = ExportMeter(), (CounterSum(),)
    home.book = Book()
    home.told(moment(0, 13))
    assert home.exported() == {FIRST: 0.0}
    assert home.book.marks.export is None


# Sessions


def test_export_of_a_session_is_deliberate_and_earns_what_is_paid_then(home: Home) -> None:
    running = session(moment(0, 13))
    home.told(moment(0, 13), 100.0)
    worth = {"carbon": 250.0, "export_price": 0.2, "import_price": 0.3}
    home.told(moment(0, 13, 1), 100.05, session=running, **worth)
    done = over(running, moment(0, 13, 1, 30), exported_kwh=0.07)
    home.book = ended(home.book, done, home.look(moment(0, 13, 1, 30), last=done, **worth))
    home.told(moment(0, 13, 2), 100.07, last=done, **worth)  # half of that minute was in it
    home.told(moment(0, 14), 100.5, last=done, **worth)
    day = home.book.recent[0]
    assert day.deliberate == pytest.approx(0.05 + 0.01)
    assert day.money == pytest.approx(0.06 * 0.2)
    assert day.carbon_kg == pytest.approx(0.06 * 0.25)
    assert home.book.marks.money == pytest.approx(day.money)
    assert [(line.reason, line.kwh) for line in day.sessions] == [("headroom_used_up", 0.07)]


def test_the_first_step_after_a_long_rest_is_of_the_session(home: Home) -> None:
    running = session(moment(0, 15))
    home.told(moment(0, 15, 2), 100.05, session=running)  # the meter had rested since noon
    assert home.book.recent[0].deliberate == pytest.approx(0.05)


def test_a_session_that_ends_twice_is_there_once(home: Home) -> None:
    done = over(session(moment(0, 13)), moment(0, 13, 30))
    later = over(session(moment(0, 13)), moment(0, 13, 40), exported_kwh=1.0)
    for each in (done, later):
        home.book = ended(home.book, each, home.look(moment(0, 13, 45)))
    (line,) = home.book.recent[0].sessions
    assert line.kwh == 1.0


def test_a_session_over_midnight_is_of_the_day_it_began_in(home: Home) -> None:
    done = over(session(moment(0, 23, 50)), moment(1, 0, 5))
    home.told(moment(1, 0, 4), 100.0)
    home.book = ended(home.book, done, home.look(moment(1, 0, 5)))
    assert [len(day.sessions) for day in home.book.recent] == [1, 0]


def test_a_charge_costs_what_is_paid_then(home: Home) -> None:
    worth = {"carbon": 100.0, "import_price": 0.1}
    home.told(moment(0, 13), 100.0, session=charge(moment(0, 13), 0.0), **worth)
    home.told(moment(0, 13, 5), session=charge(moment(0, 13), 0.5), **worth)
    done = over(charge(moment(0, 13), 0.6), moment(0, 13, 6))
    home.book = ended(home.book, done, home.look(moment(0, 13, 6), last=done, **worth))
    again = charge(moment(0, 14), 0.2)
    home.told(moment(0, 14), session=again, **worth)
    day = home.book.recent[0]
    assert day.charged == pytest.approx(0.8)
    assert day.money == pytest.approx(-0.08)
    assert home.book.marks.carbon_kg == pytest.approx(-0.08)
    assert day.sessions[0].kwh == pytest.approx(0.6)
    assert day.deliberate == 0.0


# What else is written


def test_refusals_are_counted_by_reason_with_first_and_last(home: Home) -> None:
    for minute, reason in ((1, "no_headroom"), (2, "stale_data"), (5, "no_headroom")):
        home.book = refused(home.book, reason, moment(0, 13, minute))
    lines = {each.reason: each for each in home.book.recent[0].refusals}
    assert lines["no_headroom"].count == 2
    assert lines["no_headroom"].first == moment(0, 13, 1)
    assert lines["no_headroom"].last == moment(0, 13, 5)
    assert lines["stale_data"].count == 1


def test_an_empty_book_takes_no_refusal_and_no_breach() -> None:
    assert refused(Book(), "no_data", NOON) == Book()
    assert breached(Book(), NOON, jumped=False, running=False) == (Book(), None)


def test_the_day_keeps_the_least_and_the_last_allowance_and_the_peak(home: Home) -> None:
    for minute, allowance, watts in ((1, 9.5, 500.0), (2, 7.0, 3600.0), (3, 8.0, -200.0)):
        home.decision = replace(DECISION, allowance=allowance, contract=allowance + 0.5)
        home.told(moment(0, 12, minute), export_w=watts)
    day = home.book.recent[0]
    assert (day.allowance, day.least_allowance, day.peak_w) == (8.0, 7.0, 3600.0)
    assert (day.contract, day.highest_contract) == (8.5, 10.0)
    home.decision = None
    home.told(moment(0, 12, 4))
    assert home.book.recent[0].allowance == 8.0


def test_slack_is_the_least_that_was_left_in_a_discharge(home: Home) -> None:
    for minute, left in ((1, 3.0), (2, 0.4), (3, 0.7)):
        home.decision = replace(DECISION, export_left=left)
        home.told(moment(0, 12, minute), session=session(moment(0, 12)))
    home.decision = replace(DECISION, export_left=0.0)
    home.told(moment(0, 12, 4))
    assert home.book.recent[0].slack == 0.4


def test_time_without_looks_is_known(home: Home) -> None:
    home.watched(moment(0, 12), moment(0, 13), 100.0)
    home.told(moment(0, 20), 100.0)
    assert home.book.recent[0].unwatched_min == pytest.approx(24 * 60 - 60, abs=1)


def test_hours_show_when_it_flowed(home: Home) -> None:
    home.told(moment(0, 12, 1), 100.1)
    home.told(moment(0, 15, 1), 100.4)
    day = home.book.recent[0]
    assert day.exported_by_hour[12] == pytest.approx(0.1)
    assert day.exported_by_hour[15] == pytest.approx(0.3)
    assert sum(day.exported_by_hour) == pytest.approx(day.exported)
    assert day.allowance_by_hour == (9.5,) * 16


# Breaches


@pytest.mark.parametrize(
    ("facts", "jumped", "running", "cause"),
    [
        ({"deliberate": 2.0}, True, True, Cause.METER_LATE),
        ({"deliberate": 0.0}, False, False, Cause.SUN_ALONE),
        ({"deliberate": 2.0, "highest_contract": 12.0}, False, True, Cause.FORECAST_FELL),
        (
            {"deliberate": 2.0, "highest_contract": 12.0, "basis": "fixed"},
            False,
            False,
            Cause.LIMIT_LOWERED,
        ),
        ({"deliberate": 2.0}, False, False, Cause.LOAD_CHANGED),
        ({"deliberate": 2.0, "highest_contract": 10.4}, False, True, Cause.MARGIN_TOO_SMALL),
    ],
)
def test_a_breach_has_the_likeliest_cause(
    facts: dict[str, float], jumped: bool, running: bool, cause: Cause
) -> None:
    day = Day(
        FIRST,
        MIDNIGHT,
        24,
        **{"contract": 10.0, "basis": "forecast", "margin": 0.5, **facts},  # type: ignore[arg-type]
    )
    assert cause_of(day, jumped=jumped, running=running) is cause


def test_a_stop_that_fails_is_the_cause_whatever_else_there_is() -> None:
    day = Day(FIRST, MIDNIGHT, 24, contract=10.0, highest_contract=12.0)
    assert cause_of(day, jumped=True, running=True, unstopped=True) is Cause.NOT_STOPPED


def test_a_breach_is_written_with_what_stood_then(home: Home) -> None:
    home.told(moment(0, 13), 109.0)
    home.told(moment(0, 14), 110.5)
    book, cause = breached(home.book, moment(0, 14), jumped=False, running=False)
    (line,) = book.recent[0].breaches
    assert cause is Cause.SUN_ALONE
    assert (line.exported, line.contract, line.cause) == (10.5, 10.0, "sun_alone")
    assert book.recent[0].is_over


# In little space


def test_days_go_into_text_and_come_back(home: Home) -> None:
    done = over(session(moment(0, 13)), moment(0, 13, 30), exported_kwh=1.25)
    home.told(moment(0, 13, 30), 101.25, 1002.0, carbon=200.0, export_price=0.15)
    home.book = ended(home.book, done, home.look(moment(0, 13, 31)))
    home.book = refused(home.book, "no_headroom", moment(0, 13, 32))
    home.book, _ = breached(home.book, moment(0, 13, 33), jumped=True, running=False)
    home.told(moment(1), 101.26)
    day = home.book.recent[0]
    assert len(pack(day)) < 500
    back = unpack(Day, pack(day))
    assert replace(back, exported_by_hour=()) == replace(
        unpack(Day, pack(back)), exported_by_hour=()
    )
    assert back.sessions == day.sessions
    assert back.refusals == day.refusals
    assert back.breaches == day.breaches
    assert back.corrections[0].at == day.corrections[0].at
    assert back.exported == pytest.approx(day.exported, abs=1e-4)
    assert unpack(Marks, pack(home.book.marks)).export is not None


def test_days_of_other_versions_are_understood() -> None:
    day = unpack(Day, f'["{FIRST}",{MIDNIGHT.timestamp()},24,1.5]')
    assert (day.exported, day.sessions, day.contract) == (1.5, (), None)
    assert not pack(day).endswith("[]]")
    full = pack(replace(day, allowance_by_hour=(1.0,)))
    assert unpack(Day, full.removesuffix("]") + ',"later"]').allowance_by_hour == (1.0,)


@pytest.mark.parametrize("text", ["", "{}", "[1,2]", '["a",{},24]', '["a",1,24,null]', "[[]]"])
def test_what_is_no_day_is_refused(text: str) -> None:
    with pytest.raises((TypeError, ValueError)):
        unpack(Day, text)


def test_old_days_become_text_and_one_that_is_spoilt_is_missing(home: Home) -> None:
    for number in range(1, 7):
        home.told(moment(number, 12), 100.0 + number)
    assert len(home.book.recent) == 3
    texts = list(home.book.archive)
    assert len(texts) == 4
    texts[1] = "spoilt"
    found = kept(replace(home.book, archive=tuple(texts)), None, None)
    assert found.missing == (SECOND,)
    assert len(found.days) == 6
    part = kept(home.book, found.start + timedelta(days=1), found.start + timedelta(days=2))
    assert [day.date for day in part.days] == [SECOND, THIRD]


def test_the_newest_days_that_are_over_are_found(home: Home) -> None:
    for number in range(1, 7):
        home.told(moment(number, 12), 100.0 + number)
    book = replace(home.book, archive=(*home.book.archive, "spoilt"))
    assert [day.date[-2:] for day in lately(book, 3, "2026-06-27")] == ["23", "24", "25", "26"]
    assert lately(book, 2, "2026-06-27") == lately(book, 2, "2026-06-27")


def test_an_empty_book_has_no_days() -> None:
    assert kept(Book(), None, None).days == ()


def test_looking_costs_little_of_the_book(home: Home) -> None:
    home.told(moment(1, 12), 100.0)
    archive = home.book.archive
    again = take(home.book, home.look(moment(1, 12, 1)))
    assert again.archive is archive
