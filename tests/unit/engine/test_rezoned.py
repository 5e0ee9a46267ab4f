"""Home Assistant's time zone is corrected in the midst of a day, also of a session."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter, Flow
from custom_components.export_monitor.engine.period import Period, local_day
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import Blocker
from tests.unit.engine.world import SETTINGS, World

NOON = datetime(2026, 6, 15, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
LONDON, BERLIN = ZoneInfo("Europe/London"), ZoneInfo("Europe/Berlin")
AUCKLAND, DENVER = ZoneInfo("Pacific/Auckland"), ZoneInfo("America/Denver")


def _day(at: datetime, zone: ZoneInfo | None = None) -> Period:
    return local_day(at, zone or UTC)


def _counter(
    raws: tuple[float, ...], *, daily: bool = True, credit: bool = False, at: datetime = NOON
) -> CounterSum:
    """Return a counter that reported every hour, up to a moment, in UTC days."""
    counter = CounterSum()
    for i, raw in enumerate(raws):
        then = at - (len(raws) - 1 - i) * HOUR
        counter = counter.observe(raw, then, _day(then), daily=daily, credit=credit)
    return counter


@pytest.mark.parametrize("zone", [LONDON, BERLIN, AUCKLAND, DENVER])
@pytest.mark.parametrize("daily", [True, False])
def test_a_session_ends_at_the_limit_though_the_zone_was_corrected_in_it(
    zone: ZoneInfo, *, daily: bool
) -> None:
    settings = replace(SETTINGS, fixed_limit_kwh=1.0, daily_export_counter=daily)
    world = World(settings, start=NOON if daily else NOON.replace(hour=0, minute=2))
    world.discharging()
    world.run_until(lambda w: w.state.decision is not None and w.state.decision.counted > 0.9)
    world.settings = replace(settings, timezone=zone)
    world.run_until(lambda w: w.phase is Phase.IDLE)
    assert 0.95 <= world.exported <= 1.01


@pytest.mark.parametrize("zone", [LONDON, BERLIN, AUCKLAND, DENVER])
def test_a_daily_counter_tells_the_day_in_any_zone(zone: ZoneInfo) -> None:
    moved = _counter((3.0, 3.5)).enter(_day(NOON, zone))
    assert moved.total == pytest.approx(3.5)
    assert not moved.partial(NOON)
    assert moved.enter(_day(NOON)).total == pytest.approx(3.5)  # and back


def test_a_daily_counter_tells_what_a_day_that_begins_earlier_has_exported() -> None:
    """At 20:00 in Denver the day in UTC is two hours old, the afternoon's export is the day's."""
    evening = datetime(2026, 6, 15, 2, tzinfo=UTC)
    counter = _counter((5.0, 5.0, 5.0, 5.2), at=evening)
    assert counter.total == pytest.approx(0.2)
    assert counter.enter(_day(evening, DENVER)).total == pytest.approx(5.2)


def test_a_lifetime_counter_does_not_know_the_hours_that_a_zone_adds() -> None:
    counter = _counter((500.0, 501.0), daily=False)
    counter = replace(counter, partial_until=None)
    moved = counter.enter(_day(NOON, BERLIN))
    assert moved.total == pytest.approx(1.0)
    assert moved.partial(NOON)
    assert not moved.partial(_day(NOON, BERLIN).end)


def test_no_start_on_a_sum_that_may_lack_some_hours() -> None:
    settings = replace(SETTINGS, daily_export_counter=False)
    world = World(settings, start=NOON.replace(hour=0, minute=2)).settle()
    assert world.state.decision is not None
    assert world.state.decision.blocker is None
    world.settings = replace(settings, timezone=BERLIN)
    world.run(1)
    assert world.state.decision.blocker is Blocker.COUNTER_UNKNOWN


def test_export_above_what_a_daily_counter_shows_stays_counted() -> None:
    """Something else has flowed today, before the counter began its own day."""
    counter = replace(_counter((3.0, 3.5)), base=-1.0)
    moved = counter.enter(_day(NOON, BERLIN))
    assert moved.total == pytest.approx(4.5)
    assert moved.partial(NOON)


@pytest.mark.parametrize(
    ("raws", "daily", "credited"),
    [((500.0, 505.0), False, 0.0), ((5.0, 0.2), True, 0.2), ((5.0, 5.0), True, 5.0)],
)
def test_pv_of_hours_that_are_not_in_the_new_day_is_no_credit(
    raws: tuple[float, float], credited: float, *, daily: bool
) -> None:
    """At 00:30 in Auckland the afternoon's PV is yesterday's; a daily counter tells its own day."""
    at = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
    counter = _counter((raws[0],), daily=daily, credit=True, at=at - HOUR)
    counter = replace(counter, raw=raws[1], reported=at, cumulative=5.0, base=0.0)
    assert counter.enter(_day(at, AUCKLAND), credit=True).total == pytest.approx(credited)


def test_pv_that_rests_since_the_evening_is_no_credit_of_a_day_that_began_since() -> None:
    at = datetime(2026, 6, 15, 12, 30, tzinfo=UTC)
    counter = _counter((5.0,), credit=True, at=at - 5 * HOUR)
    assert counter.enter(_day(at, AUCKLAND), credit=True).total == 0.0


def test_pv_of_a_day_that_began_earlier_stays_credited() -> None:
    counter = _counter((5.0, 5.5), daily=False, credit=True)
    assert counter.enter(_day(NOON, BERLIN), credit=True).total == pytest.approx(0.5)


def test_a_counter_not_read_in_the_new_day_is_unseen_in_it() -> None:
    counter = _counter((3.0,), at=NOON.replace(hour=5))
    moved = counter.enter(_day(NOON, DENVER))  # it begins at six
    assert not moved.seen
    assert moved.total == pytest.approx(3.0)
    assert moved.partial(NOON)


def test_the_midnight_after_a_correction_begins_a_new_day() -> None:
    moved = _counter((3.0, 3.5)).enter(_day(NOON, BERLIN))
    assert moved.enter(_day(NOON + 12 * HOUR, BERLIN)).total == 0.0


def test_a_zone_that_ends_the_same_day_later_takes_nothing_from_it() -> None:
    today = _day(NOON)
    moved = _counter((3.0, 3.5)).enter(Period(today.start, today.end + HOUR))
    assert moved.total == pytest.approx(3.5)
    assert moved.period_end == today.end + HOUR


def test_a_record_without_the_days_end_learns_it() -> None:
    old = replace(_counter((3.0,)), period_end=None)
    assert old.enter(_day(NOON)).period_end == _day(NOON).end


def test_what_a_counter_never_showed_is_not_forgotten_with_the_zone() -> None:
    meter = ExportMeter(counter=_counter((3.0, 3.5)), hidden=0.3)
    flow = Flow(0.0, measured=True)
    moved = meter.flowed(flow, 0.0, _day(NOON, BERLIN)).flowed(flow, 1.0, _day(NOON, AUCKLAND))
    assert moved.flowed(flow, 2.0, _day(NOON, BERLIN)).hidden == 0.3
    meter = meter.flowed(flow, 0.0, _day(NOON))
    assert meter.flowed(flow, 1.0, _day(NOON, BERLIN)).hidden == 0.3
    assert meter.flowed(flow, 1.0, _day(NOON + 24 * HOUR)).hidden == 0.0
