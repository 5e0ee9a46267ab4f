"""The house's usual load by half hour, learnt from hourly means."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta, tzinfo
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.inputs.load import HouseLoad, profile_of
from custom_components.export_monitor.models import LoadProfile, LoadSource

HOUR = timedelta(hours=1)
LONDON = ZoneInfo("Europe/London")
# A Monday; the clock goes back on Sunday the 25th.
MONDAY = datetime(2026, 10, 5, tzinfo=LONDON)


def hours(
    watts: Callable[[datetime], float], zone: tzinfo = LONDON, start: datetime = MONDAY
) -> Iterator[tuple[datetime, float]]:
    """Yield the hourly means of a house from a moment on."""
    moment = start.astimezone(UTC)
    while True:
        yield moment, watts(moment.astimezone(zone))
        moment += HOUR


def test_four_weeks_tell_the_hours_and_the_weekend() -> None:
    def house(local: datetime) -> float:
        return 1000.0 + 10 * local.hour if local.weekday() >= 5 else 100.0 + 10 * local.hour

    profile = profile_of(islice(hours(house), 28 * 24), LONDON)
    assert profile is not None
    assert profile.source is LoadSource.STATISTICS
    thursday, saturday = MONDAY + timedelta(days=3), MONDAY + timedelta(days=5)
    for hour in range(24):
        for minute in (0, 29, 30, 59):
            at = thursday.replace(hour=hour, minute=minute)
            assert profile.watts(at) == pytest.approx(100 + 10 * hour)
            at = saturday.replace(hour=hour, minute=minute)
            assert profile.watts(at) == pytest.approx(1000 + 10 * hour)


def test_under_two_weeks_every_day_is_the_same() -> None:
    def house(local: datetime) -> float:
        return 700.0 if local.weekday() >= 5 else 0.0

    profile = profile_of(islice(hours(house), 7 * 24), LONDON)
    assert profile is not None
    assert profile.workday == profile.weekend
    assert profile.watts(MONDAY) == pytest.approx(200)


@pytest.mark.parametrize(("count", "known"), [(0, False), (71, False), (72, True)])
def test_fewer_than_three_days_say_nothing(count: int, *, known: bool) -> None:
    assert (profile_of(islice(hours(lambda _: 400.0), count), LONDON) is not None) is known


def test_a_half_hour_that_was_never_seen_has_the_mean_of_the_house() -> None:
    def evening(local: datetime) -> bool:
        return local.hour >= 12

    means = (each for each in hours(lambda _: 600.0) if evening(each[0].astimezone(LONDON)))
    profile = profile_of(islice(means, 12 * 20), LONDON)
    assert profile is not None
    assert profile.watts(MONDAY.replace(hour=3)) == pytest.approx(600)


def test_a_weekend_that_was_never_seen_is_like_the_other_days() -> None:
    means = (
        each for each in hours(lambda local: 10.0 * local.hour)
        if each[0].astimezone(LONDON).weekday() < 5
    )  # fmt: skip
    profile = profile_of(islice(means, 24 * 16), LONDON)
    assert profile is not None
    assert profile.weekend == pytest.approx(profile.workday)


def test_garbage_in_the_statistics_is_left_out() -> None:
    good = list(islice(hours(lambda _: 400.0), 96))
    bad = [(good[0][0], value) for value in (-5.0, 2147483647.0, float("nan"), float("inf"))]
    profile = profile_of([*bad, *good], LONDON)
    assert profile is not None
    assert profile.workday == pytest.approx((400.0,) * 48)


@pytest.mark.parametrize("name", ["Asia/Kolkata", "Asia/Kathmandu", "Australia/Eucla"])
def test_zones_off_by_parts_of_an_hour_lose_no_half_hour(name: str) -> None:
    zone = ZoneInfo(name)
    profile = profile_of(islice(hours(lambda local: 10.0 * local.hour, zone), 20 * 24), zone)
    assert profile is not None
    # The statistics' hours are cut elsewhere than the local ones: one hour's blur at the edges.
    for hour in range(1, 23):
        local = datetime(2026, 10, 7, hour, 15, tzinfo=zone)
        assert profile.watts(local) == pytest.approx(10 * hour, abs=10)


def test_a_configured_day_is_flat_and_never_negative() -> None:
    profile = LoadProfile.flat(8.4)
    assert profile.source is LoadSource.CONFIGURED
    assert profile.watts(MONDAY) == profile.watts(MONDAY + 30 * HOUR) == pytest.approx(350)
    assert LoadProfile.flat(-1).watts(MONDAY) == 0


def test_nothing_is_known_before_the_first_look() -> None:
    load = HouseLoad("sensor.load")
    assert load.profile is None
    assert not load.looked
