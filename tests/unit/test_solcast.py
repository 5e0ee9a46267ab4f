"""PV forecasts as Solcast publishes them, each attribute switchable, and in bad shape."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
import itertools
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import given, strategies as st
import numpy as np
import pytest

from custom_components.export_monitor.inputs.formats import (
    as_moment,
    as_number,
    solcast_slots,
    solcast_total,
)
from custom_components.export_monitor.models import Quantiles, Slot

HALF = timedelta(minutes=30)
HOUR = timedelta(hours=1)
LONDON = ZoneInfo("Europe/London")
DAY = datetime(2026, 6, 21, tzinfo=LONDON)

type Row = dict[str, Any]


def row(start: object, kw: object, low: object = None, high: object = None) -> Row:
    return {"period_start": start, "pv_estimate": kw, "pv_estimate10": low, "pv_estimate90": high}


def day(first: datetime, kw: Callable[[int], float], step: timedelta = HALF) -> list[Row]:
    """Return a day's rows in local time, as Solcast has them."""
    count = timedelta(days=1) // step
    return [
        row((first.astimezone(UTC) + n * step).astimezone(LONDON), kw(n), kw(n) / 2, kw(n) * 2)
        for n in range(count)
    ]


def test_three_days_of_three_entities_make_one_row_of_half_hours() -> None:
    sources = [
        {"detailedForecast": day(DAY + timedelta(days=n), lambda _, n=n: 1.0 + n), "estimate": 9.0}
        for n in range(3)
    ]
    slots = solcast_slots(sources)
    assert len(slots) == 3 * 48
    assert slots[0] == Slot(DAY.astimezone(UTC), DAY.astimezone(UTC) + HALF, 500.0, 1000.0, 2000.0)
    assert slots[0].start.tzinfo is UTC
    assert slots[-1].p50_w == 3000.0
    assert all(a.end == b.start for a, b in itertools.pairwise(slots))


def test_the_night_of_summer_time_has_no_hole_and_no_double() -> None:
    before = datetime(2026, 3, 28, tzinfo=LONDON)
    rows = day(before, lambda _: 1.0) + day(datetime(2026, 3, 29, tzinfo=LONDON), lambda _: 1.0)
    slots = solcast_slots([{"detailedForecast": rows}])
    assert len(slots) == 96
    assert all(a.end == b.start for a, b in itertools.pairwise(slots))


def test_hours_alone_serve_in_halves() -> None:
    slots = solcast_slots([{"detailedHourly": day(DAY, float, HOUR)}])
    assert [slot.p50_w for slot in slots[:5]] == [0.0, 0.0, 1000.0, 1000.0, 2000.0]
    assert slots[-1].end == slots[0].start + timedelta(days=1)


def test_an_hour_tells_a_half_hour_that_is_missing() -> None:
    halves = [each for n, each in enumerate(day(DAY, lambda _: 2.0)) if n not in {5, 8, 9}]
    source = {"detailedForecast": halves, "detailedHourly": day(DAY, lambda _: 1.5, HOUR)}
    slots = solcast_slots([source])
    assert len(slots) == 48
    assert {n for n, slot in enumerate(slots) if slot.p50_w == 1500.0} == {5, 8, 9}


def test_a_missing_half_hour_is_a_gap_and_never_a_guess() -> None:
    rows = [each for n, each in enumerate(day(DAY, lambda _: 2.0)) if n != 5]
    slots = solcast_slots([{"detailedForecast": rows}])
    assert len(slots) == 47
    assert slots[5].start - slots[4].end == HALF


def test_doubled_unordered_and_overlapping_rows_come_out_in_order() -> None:
    start = DAY.astimezone(UTC)
    rows = [
        row(start + 2 * HALF, 3.0),
        row(start, 1.0),
        row(start + HALF, 2.0),
        row(start, 1.5),
        row(start + timedelta(minutes=15), 9.0),
    ]
    slots = solcast_slots([{"detailedForecast": rows}])
    assert [slot.p50_w for slot in slots] == [1500.0, 2000.0, 3000.0], "the last said counts"


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (None, None, (0.0, 1000.0, 1000.0)),
        (0, 1.4, (0.0, 1000.0, 1400.0)),
        (1.2, 0.8, (1000.0, 1000.0, 1000.0)),
        (-0.1, 1.4, (0.0, 1000.0, 1400.0)),
        ("0.4", "1.4", (400.0, 1000.0, 1400.0)),
        (float("nan"), float("inf"), (0.0, 1000.0, 1000.0)),
    ],
    ids=["switched off", "zero", "crossed", "negative", "texts", "not finite"],
)
def test_percentiles_never_cross_and_a_missing_one_is_the_careful_guess(
    low: object, high: object, expected: tuple[float, float, float]
) -> None:
    [slot] = solcast_slots([{"detailedForecast": [row(DAY, 1.0, low, high)]}])
    assert (slot.p10_w, slot.p50_w, slot.p90_w) == expected


def test_numbers_of_numpy_and_times_as_text_count() -> None:
    text = "2026-06-21T00:00:00+01:00"
    rows = [row(text, np.float64(1.25), np.float32(0.5), np.int64(2))]
    [slot] = solcast_slots([{"detailedForecast": tuple(rows)}])
    assert slot == Slot(DAY.astimezone(UTC), DAY.astimezone(UTC) + HALF, 500.0, 1250.0, 2000.0)
    assert all(type(value) is float for value in (slot.p10_w, slot.p50_w, slot.p90_w))


@pytest.mark.parametrize("value", [None, True, "much", "", [1], {}, 1e400, "nan"])
def test_what_is_no_number_is_none(value: object) -> None:
    assert as_number(value) is None


@pytest.mark.parametrize(
    "value",
    [None, 17, "", "noon", "2026-06-21", "2026-06-21T12:00:00", np.datetime64("2026-06-21")],
)
def test_a_time_without_a_zone_is_none(value: object) -> None:
    assert as_moment(value) is None


def test_a_total_has_percentiles_that_do_not_cross() -> None:
    assert solcast_total(8.0, {"estimate10": 5.0, "estimate90": 11.0}) == Quantiles(5.0, 8.0, 11.0)
    assert solcast_total(8.0, {}) == Quantiles(0.0, 8.0, 8.0)
    assert solcast_total(8.0, {"estimate10": 9.0, "estimate90": 7.0}) == Quantiles(8.0, 8.0, 8.0)


@given(
    st.lists(st.tuples(st.integers(0, 96), st.floats(0, 9)), max_size=60),
    st.lists(st.tuples(st.integers(0, 48), st.floats(0, 9)), max_size=30),
)
def test_any_rows_come_out_in_order_without_overlap(
    halves: list[tuple[int, float]], hours: list[tuple[int, float]]
) -> None:
    start = DAY.astimezone(UTC)
    source = {
        "detailedForecast": [row(start + n * timedelta(minutes=20), kw) for n, kw in halves],
        "detailedHourly": [row(start + n * HOUR, kw) for n, kw in hours],
    }
    slots = solcast_slots([source])
    assert bool(slots) == bool(halves or hours)
    for earlier, later in itertools.pairwise(slots):
        assert earlier.end <= later.start
