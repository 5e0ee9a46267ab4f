from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.engine.period import local_day


@pytest.mark.parametrize(
    ("zone", "moment", "hours"),
    [
        ("Europe/London", datetime(2026, 6, 15, 12, tzinfo=UTC), 24),
        ("Europe/London", datetime(2026, 3, 29, 12, tzinfo=UTC), 23),
        ("Europe/London", datetime(2026, 10, 25, 12, tzinfo=UTC), 25),
        ("America/New_York", datetime(2026, 3, 8, 16, tzinfo=UTC), 23),
        ("America/New_York", datetime(2026, 11, 1, 16, tzinfo=UTC), 25),
        ("America/Havana", datetime(2026, 3, 8, 16, tzinfo=UTC), 23),  # begins at 1 o'clock
        ("Asia/Kolkata", datetime(2026, 1, 1, tzinfo=UTC), 24),
    ],
)
def test_a_period_is_the_local_day_as_long_as_it_is(
    zone: str, moment: datetime, hours: int
) -> None:
    period = local_day(moment, ZoneInfo(zone))
    assert period.end - period.start == timedelta(hours=hours)
    assert period.start <= moment < period.end
    assert period.start.tzinfo is UTC


def test_days_follow_each_other_without_a_gap_through_a_year() -> None:
    zone = ZoneInfo("Europe/London")
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    for _ in range(366):
        period = local_day(moment, zone)
        assert local_day(period.end, zone).start == period.end
        assert local_day(period.end - timedelta(seconds=1), zone) == period
        moment = period.end
