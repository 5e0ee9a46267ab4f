"""Which step of a counter is believed, to the last report, and what the meter's bound adds up."""

from dataclasses import replace
from datetime import timedelta

import pytest

from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter, Flow
from custom_components.export_monitor.engine.period import local_day
from tests.unit.engine.world import NOON

TODAY = local_day(NOON, NOON.tzinfo)  # type: ignore[arg-type]
MIDNIGHT = TODAY.end
TOMORROW = local_day(MIDNIGHT, NOON.tzinfo)  # type: ignore[arg-type]
HOUR = timedelta(hours=1)


def _met(value: float = 5.0, *, daily: bool = True) -> CounterSum:
    return CounterSum().observe(value, NOON, TODAY, daily=daily)


# --- Steps ---


@pytest.mark.parametrize(("raw", "believed"), [(15.0, True), (15.01, False)])
def test_ten_kilowatt_hours_are_the_largest_step(raw: float, believed: bool) -> None:
    assert _met().observe(raw, NOON + 3 * HOUR, TODAY, daily=True).trusted is believed


@pytest.mark.parametrize(("raw", "believed"), [(7.1, True), (7.11, False)])
def test_a_step_may_exceed_what_can_flow_by_the_coarsest_resolution(
    raw: float, believed: bool
) -> None:
    counter = _met().observe(raw, NOON + HOUR, TODAY, daily=True, limit_w=2000.0)
    assert counter.trusted is believed


@pytest.mark.parametrize(("reports", "believed"), [(2, False), (3, True)])
def test_an_implausible_value_is_believed_at_its_third_report(reports: int, believed: bool) -> None:
    counter = _met()
    for i in range(reports):
        at = NOON + (i + 1) * HOUR
        counter = counter.observe(30.0, at, TODAY, daily=True, limit_w=2000.0)
    assert counter.trusted is believed
    assert counter.total == 5.0  # and is no energy


def test_the_same_implausible_report_seen_again_holds_nothing() -> None:
    counter = _met()
    for _ in range(5):
        counter = counter.observe(30.0, NOON + HOUR, TODAY, daily=True)
    assert not counter.trusted
    assert counter.suspect_reports == 1


def test_an_implausible_value_that_moves_back_begins_its_count_anew() -> None:
    counter = _met()
    for i, raw in enumerate((30.0, 30.0, 29.0, 29.0)):
        counter = counter.observe(raw, NOON + (i + 1) * HOUR, TODAY, daily=True)
    assert not counter.trusted


def test_a_fall_that_holds_away_from_midnight_adds_what_can_have_flowed() -> None:
    counter = _met(8.0)
    for i, raw in enumerate((1.0, 1.0, 1.25)):
        at = NOON + (i + 1) * HOUR
        counter = counter.observe(raw, at, TODAY, daily=True, fill_kwh=0.3)
    assert counter.trusted
    assert counter.total == pytest.approx(9.25)


def test_what_cannot_have_flowed_is_replaced_by_other_evidence() -> None:
    counter = _met(8.0)
    for second in (10, 20, 30):
        at = NOON + timedelta(seconds=second)
        counter = counter.observe(5.0, at, TODAY, daily=True, fill_kwh=0.3)
    assert counter.total == pytest.approx(8.3)


def _fallen(before: float, raw: float, *, credit: bool = False, midnight: bool = False) -> float:
    """Return what a counter of the day adds that fell after an hour's rest, and holds."""
    at = MIDNIGHT - 5 * HOUR if not midnight else MIDNIGHT + HOUR - timedelta(minutes=5)
    last = at - HOUR + timedelta(minutes=2)
    counter = replace(_met(before), reported=last).enter(
        local_day(at, NOON.tzinfo),  # type: ignore[arg-type]
        credit=credit,
    )
    held = counter
    for i in range(3):
        then = at + timedelta(minutes=i)
        held = held.observe(
            raw,
            then,
            local_day(then, NOON.tzinfo),  # type: ignore[arg-type]
            daily=True,
            credit=credit,
            fill_kwh=0.0 if credit else 0.01,
        )
    assert held.trusted
    assert held.raw == raw
    return held.cumulative - counter.cumulative


@pytest.mark.parametrize(
    ("before", "raw", "export", "pv"),
    [
        (8.0, 7.9, 0.01, 0.0),  # corrected
        (3.0, 2.99, 0.01, 0.0),
        (8.0, 4.01, 0.01, 0.0),
        (8.0, 4.0, 4.0, 0.0),  # begun anew, and what it shows may have flowed
        (8.0, 0.51, 0.51, 0.0),
        (8.0, 0.5, 0.5, 0.5),
        (0.6, 0.4, 0.01, 0.0),
    ],
)
def test_a_counter_that_is_corrected_downwards_adds_nothing_a_second_time(
    before: float, raw: float, export: float, pv: float
) -> None:
    assert _fallen(before, raw) == pytest.approx(export)
    assert _fallen(before, raw, credit=True) == pytest.approx(pv)


@pytest.mark.parametrize(
    ("before", "raw", "export", "pv"),
    [(8.0, 7.9, 7.9, 0.0), (8.0, 4.0, 4.0, 4.0), (8.0, 4.01, 4.01, 0.0), (8.0, 0.1, 0.1, 0.1)],
)
def test_over_midnight_a_fall_is_a_reset_and_counts_what_it_shows(
    before: float, raw: float, export: float, pv: float
) -> None:
    assert _fallen(before, raw, midnight=True) == pytest.approx(export)
    assert _fallen(before, raw, credit=True, midnight=True) == pytest.approx(pv)


def test_an_accepted_report_clears_every_doubt() -> None:
    counter = _met().observe(30.0, NOON + HOUR, TODAY, daily=True)
    counter = counter.observe(5.5, NOON + 2 * HOUR, TODAY, daily=True)
    assert counter.trusted
    assert (counter.suspect, counter.suspect_reports, counter.suspect_at) == (None, 0, None)
    assert counter.total == pytest.approx(5.5)


# --- Resets ---


@pytest.mark.parametrize(("minutes", "reset"), [(-15, True), (-16, False), (15, True), (16, False)])
def test_a_fall_is_a_reset_within_fifteen_minutes_of_midnight(minutes: int, reset: bool) -> None:
    at = MIDNIGHT + timedelta(minutes=minutes)
    before = replace(_met(8.0), reported=at - timedelta(minutes=1))
    counter = before.observe(0.0, at, local_day(at, NOON.tzinfo), daily=True)  # type: ignore[arg-type]
    assert counter.trusted is reset


@pytest.mark.parametrize(("raw", "reset"), [(0.5, True), (0.51, False)])
def test_a_reset_lands_near_zero(raw: float, reset: bool) -> None:
    before = replace(_met(8.0), reported=MIDNIGHT - timedelta(minutes=1))
    counter = before.observe(raw, MIDNIGHT + timedelta(minutes=1), TOMORROW, daily=True)
    assert counter.trusted is reset


def test_a_reset_adds_what_it_shows_or_what_flowed_whichever_is_more() -> None:
    before = replace(_met(8.0), reported=MIDNIGHT - timedelta(minutes=1))
    at = MIDNIGHT + timedelta(minutes=1)
    assert before.observe(0.2, at, TOMORROW, daily=True, fill_kwh=0.1).total == pytest.approx(0.2)
    assert before.observe(0.0, at, TOMORROW, daily=True, fill_kwh=0.1).total == pytest.approx(0.1)


@pytest.mark.parametrize(("minutes", "counted"), [(15, 0.0), (16, 3.0)])
def test_a_daily_counter_first_met_within_fifteen_minutes_of_midnight_may_show_yesterday(
    minutes: int, counted: float
) -> None:
    at = TODAY.start + timedelta(minutes=minutes)
    assert CounterSum().observe(3.0, at, TODAY, daily=True).total == counted


@pytest.mark.parametrize(("minutes", "partial"), [(15, False), (16, True)])
def test_a_lifetime_counter_first_met_near_midnight_has_seen_all_of_the_day(
    minutes: int, partial: bool
) -> None:
    at = TODAY.start + timedelta(minutes=minutes)
    assert CounterSum().observe(3.0, at, TODAY, daily=False).partial(at) is partial


def test_a_lifetime_counter_unseen_over_midnight_does_not_know_whose_the_step_is() -> None:
    before = replace(_met(5.0, daily=False), reported=MIDNIGHT - HOUR, partial_until=None)
    for seconds, known in ((-1, True), (0, True), (1, False)):
        at = MIDNIGHT + timedelta(seconds=seconds)
        late = before.observe(5.5, at, local_day(at, NOON.tzinfo), daily=False)  # type: ignore[arg-type]
        assert late.partial(MIDNIGHT + HOUR) is not known
        credited = before.observe(5.5, at, local_day(at, NOON.tzinfo), daily=False, credit=True)  # type: ignore[arg-type]
        assert credited.cumulative - before.cumulative == pytest.approx(0.5 if known else 0.0)


def test_a_clock_set_back_over_midnight_returns_to_the_day_it_left() -> None:
    counter = _met(8.0)
    tomorrow = counter.enter(TOMORROW)
    assert tomorrow.total == 0.0
    assert not tomorrow.seen
    assert tomorrow.enter(TODAY).total == pytest.approx(8.0)
    assert tomorrow.enter(TODAY).enter(TOMORROW).total == 0.0


def test_a_day_entered_again_by_a_wrong_clock_credits_no_pv_twice() -> None:
    late = _met(8.0).enter(TOMORROW, credit=True)
    more = late.observe(8.5, MIDNIGHT + timedelta(minutes=20), TOMORROW, daily=True, credit=True)
    assert more.total == pytest.approx(0.5)
    back = more.enter(TODAY, credit=True)
    assert back.total == pytest.approx(8.5)
    assert back.enter(TOMORROW, credit=True).total == 0.0
    assert back.enter(TOMORROW).total == pytest.approx(0.5)


# --- The bound ---


def _measured(export_w: float) -> Flow:
    return Flow(export_w, measured=True)


def _meter(**changes: object) -> ExportMeter:
    calm = ExportMeter(counter=_met(), at=1000.0, flow=_measured(0.0))
    return replace(calm, **changes)  # type: ignore[arg-type]


def test_between_two_measurements_the_mean_flows_and_beside_a_guess_the_worse() -> None:
    ramp = _meter(flow=_measured(1200.0)).flowed(_measured(3600.0), 1010.0, TODAY)
    assert ramp.ahead == pytest.approx(2400 * 10 / 3.6e6)
    guess = _meter(flow=_measured(1200.0)).flowed(Flow(3600.0, measured=False), 1010.0, TODAY)
    assert guess.ahead == pytest.approx(3600 * 10 / 3.6e6)
    for meter in (ramp, guess):
        assert meter.ahead == meter.since_report == meter.session_flow


def test_time_that_runs_backwards_lets_nothing_flow() -> None:
    assert _meter(flow=_measured(3600.0)).flowed(_measured(3600.0), 990.0, TODAY).ahead == 0.0


@pytest.mark.parametrize(("export_w", "hidden"), [(50.0, 0.0), (51.0, 51 * 60 / 3.6e6)])
def test_a_grid_sensors_own_noise_does_not_accuse_the_counter(
    export_w: float, hidden: float
) -> None:
    meter = _meter(flow=_measured(export_w)).flowed(_measured(export_w), 1060.0, TODAY)
    assert meter.since_step == pytest.approx(hidden)


@pytest.mark.parametrize(
    ("changes", "frozen"),
    [
        ({}, True),
        ({"since_step": 0.02}, False),
        ({"overdue_reports": 2}, False),
        ({"overdue_since": 880.1}, False),
        ({"overdue_since": None}, False),
        ({"at": None}, False),
    ],
)
def test_frozen_is_two_steps_hidden_for_three_reports_and_two_minutes(
    changes: dict[str, object], frozen: bool
) -> None:
    overdue = {"since_step": 0.021, "overdue_reports": 3, "overdue_since": 880.0}
    assert _meter(**{**overdue, **changes}).frozen(0.01) is frozen


def _report(meter: ExportMeter, raw: float, minutes: int = 1) -> ExportMeter:
    at = NOON + timedelta(minutes=minutes)
    return meter.report(raw, at, TODAY, daily=True, meter_step=0.01)


def test_a_first_sight_is_a_step_ahead() -> None:
    first = ExportMeter(ahead=3.0, since_report=2.0).report(
        5.0, NOON, TODAY, daily=True, meter_step=0.01
    )
    assert (first.ahead, first.since_report) == (0.01, 0.0)
    assert first.counted == pytest.approx(5.01)


def test_a_counter_that_rests_is_believed_only_where_nobody_knows_better() -> None:
    ahead = {"ahead": 0.5, "since_report": 0.2}
    assert _report(_meter(flow=Flow(0.0, measured=False), **ahead), 5.0).ahead == 0.01
    assert _report(_meter(**ahead), 5.0).ahead == 0.5  # the grid sensor knows
    assert (
        _report(_meter(flow=Flow(0.0, measured=False), deliberate=True, **ahead), 5.0).ahead == 0.5
    )
    assert _report(_meter(flow=None, **ahead), 5.0).ahead == 0.01


def test_a_report_without_a_step_ends_the_interval() -> None:
    meter = _report(_meter(since_report=0.2, ahead=0.2), 5.0)
    assert (meter.since_report, meter.last_interval) == (0.0, 0.2)
    unseen = _report(_meter(since_report=0.2, ahead=0.2, unconfirmed=True), 5.0)
    assert (unseen.since_report, unseen.unconfirmed) == (0.2, False)


def test_overdue_reports_are_counted_from_the_first_and_forgotten_at_a_step() -> None:
    meter = _meter(since_step=0.021)
    for i in (1, 2, 3):
        meter = _report(replace(meter, at=1000.0 + 60 * i), 5.0, i)
    assert (meter.overdue_reports, meter.overdue_since) == (3, 1060.0)
    meter = _report(meter, 5.02, 4)
    assert (meter.overdue_reports, meter.overdue_since, meter.since_step) == (0, None, 0.0)


def test_a_step_draws_the_bound_back_but_never_below_a_step() -> None:
    meter = _report(_meter(ahead=0.05, since_report=0.02), 5.02)
    assert meter.ahead == pytest.approx(0.03)
    assert meter.counted == pytest.approx(5.05)
    assert _report(_meter(ahead=0.021, since_report=0.02), 5.02).ahead == pytest.approx(0.01)


def test_what_may_be_ahead_is_what_flowed_since_the_last_report_and_a_step() -> None:
    assert _report(_meter(ahead=0.5, since_report=0.02), 5.02).ahead == pytest.approx(0.03)


def test_a_counter_that_outruns_the_bound_is_a_liar_on_the_other_side() -> None:
    lied = _report(_meter(ahead=0.01, since_report=0.01, deliberate=True), 5.05)
    assert lied.distrusted
    assert lied.ahead == pytest.approx(0.01 + 0.05)
    assert lied.lag == 1.0
    idle = _report(_meter(ahead=0.01, since_report=0.01), 5.05)
    assert not idle.distrusted
    assert idle.ahead == pytest.approx(0.02)
    nearly = _report(_meter(ahead=0.01, since_report=0.01, deliberate=True), 5.02)
    assert not nearly.distrusted


def test_distrust_lasts_until_the_session_is_over() -> None:
    lied = _report(_meter(ahead=0.01, since_report=0.01, deliberate=True), 5.05)
    honest = _report(replace(lied, since_report=0.01), 5.06, 2)
    assert honest.distrusted
    assert not honest.during(session=False).distrusted
    assert honest.during(session=True) is honest


def test_a_session_begins_with_what_may_not_have_shown_yet() -> None:
    begun = _meter(since_report=0.02, last_interval=0.03, session_gain=9.0, lag=0.2).during(
        session=True
    )
    assert begun.session_flow == pytest.approx(0.05)
    assert (begun.session_gain, begun.lag, begun.deliberate) == (0.0, 1.0, True)


def test_the_lag_is_learnt_from_what_a_session_shows_and_never_grows() -> None:
    meter = _meter(deliberate=True, ahead=0.1, since_report=0.05, session_flow=0.06)
    prompt = _report(meter, 5.05)
    assert prompt.lag == pytest.approx(0.02 / 0.05)
    assert prompt.session_gain == pytest.approx(0.05)
    later = replace(prompt, since_report=0.05, session_flow=0.5, ahead=0.1)
    assert _report(later, 5.1, 2).lag == prompt.lag
    assert _report(replace(meter, deliberate=False), 5.05).lag == 1.0
