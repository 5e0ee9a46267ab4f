"""Days of 23, 24 and 25 hours, and of half an hour more or less, to the minute."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.models import Basis, Forecast, PeriodKind, Slot
from tests.unit.engine.test_rolling import FIXED, Days

KW = 1000.0
MINUTE_KWH = KW / 60_000
DAYS = [
    ("Europe/London", date(2026, 6, 15), 24.0),
    ("Europe/London", date(2026, 3, 29), 23.0),
    ("Europe/London", date(2026, 10, 25), 25.0),
    ("Australia/Lord_Howe", date(2026, 10, 4), 23.5),
    ("Australia/Lord_Howe", date(2026, 4, 5), 24.5),
    ("America/Havana", date(2026, 3, 8), 23.0),  # it begins at one o'clock
]


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time.min, zone).astimezone(UTC)


@pytest.mark.parametrize(("name", "day", "hours"), DAYS)
@pytest.mark.parametrize("daily", [True, False])
def test_a_day_begins_and_ends_at_its_local_midnight(
    name: str, day: date, hours: float, *, daily: bool
) -> None:
    zone = ZoneInfo(name)
    begins, ends = _midnight(day, zone), _midnight(day + timedelta(days=1), zone)
    assert ends - begins == timedelta(hours=hours)
    settings = replace(
        FIXED, basis=Basis.FORECAST, period=PeriodKind.LOCAL_DAY, timezone=zone, fixed_limit_kwh=0.0
    )
    house = Days(settings, begins - timedelta(hours=2), daily=daily)
    sun = tuple(
        Slot(house.start + timedelta(hours=i), house.start + timedelta(hours=i + 1), KW, KW, KW)
        for i in range(54)
    )
    house.forecast = Forecast(sun)
    house.run(119, export_w=KW, pv_w=KW)
    if not daily:  # the evening before is a daily counter's whole sum, a lifetime's last two hours
        assert house.decision.exported == pytest.approx(119 * MINUTE_KWH, abs=0.03)
    for minute in range(int(hours * 60) + 30):
        house.run(1, export_w=KW, pv_w=KW)
        decision = house.decision
        since = house.now - (begins if house.now < ends else ends)
        in_day = since.total_seconds() / 3600
        # A report at midnight tells of the minute before it.
        assert in_day - 0.011 <= decision.exported <= in_day + MINUTE_KWH + 0.011, minute
        assert in_day - 0.11 <= decision.generated <= in_day + MINUTE_KWH + 0.11
        length = hours if house.now < ends else 24.0
        assert decision.contract == pytest.approx(length, abs=0.13)
    assert house.now > ends


@pytest.mark.parametrize(("name", "day", "hours"), DAYS)
def test_24_hours_are_24_hours_on_any_day(name: str, day: date, hours: float) -> None:
    zone = ZoneInfo(name)
    settings = replace(FIXED, fixed_limit_kwh=100.0, timezone=zone)
    house = Days(settings, _midnight(day, zone) - timedelta(hours=20))
    house.run(20 * 60).run(60, export_w=KW)
    house.run(23 * 60 - 1)
    assert house.decision.exported == pytest.approx(1.0)
    house.run(62)
    assert house.decision.exported == 0.0
    assert hours > 0
