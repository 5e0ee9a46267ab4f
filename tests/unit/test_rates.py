"""Carbon intensities and prices in every layout that integrations publish, and in bad shape."""

from datetime import UTC, datetime, timedelta, timezone
import itertools
from typing import Any

from hypothesis import given, strategies as st
import numpy as np
import pytest

from custom_components.export_monitor.inputs.rates import (
    carbon_document,
    carbon_rates,
    nord_pool_rates,
    normalised,
    price_rates,
    rate_at,
)
from custom_components.export_monitor.models import Rate

HALF = timedelta(minutes=30)
HOUR = timedelta(hours=1)
T0 = datetime(2025, 10, 22, 23, 30, tzinfo=UTC)
SUMMER = timezone(HOUR)


def test_the_uk_api_through_a_rest_sensor() -> None:
    row = {
        "from": "2025-10-22T23:30Z",
        "to": "2025-10-23T00:00Z",
        "intensity": {"forecast": 87, "actual": None, "index": "low"},
    }
    expected = (Rate(T0, T0 + HALF, 87.0, "low"),)
    assert carbon_rates([{"data": [row]}]) == expected
    assert carbon_rates([{"data": {"data": [row]}}]) == expected
    assert carbon_rates([{"data": [{"regionid": 13, "data": [row]}]}]) == expected
    assert carbon_rates([{"data": {"regionid": 13, "data": [row]}}]) == expected


def test_the_rows_of_jfparis_are_hourly_from_a_half_hour_with_datetime_objects() -> None:
    rows = [
        {
            "from": (T0 + hour * HOUR).astimezone(SUMMER),
            "to": (T0 + (hour + 1) * HOUR).astimezone(SUMMER),
            "intensity": value,
            "index": "low",
            "optimal": hour == 1,
        }
        for hour, value in enumerate((120.0, 95))
    ]
    rates = carbon_rates([{"forecast": rows, "postcode": "SW1"}])
    assert rates == (
        Rate(T0, T0 + HOUR, 120.0, "low"),
        Rate(T0 + HOUR, T0 + 2 * HOUR, 95.0, "low"),
    )
    assert rates[0].start.tzinfo is UTC


def test_numbers_of_another_library_count() -> None:
    class Float64(float):
        """As numpy's, which is a float, too."""

    row = {"from": T0, "to": T0 + HOUR, "intensity": Float64(101.5)}
    assert carbon_rates([{"forecast": [row]}])[0].value == 101.5


def test_two_event_entities_of_bottlecapdave_make_one_row_of_rates() -> None:
    def day(first: datetime) -> dict[str, Any]:
        return {
            "rates": [
                {"from": first + n * HALF, "to": first + (n + 1) * HALF, "intensity_forecast": n}
                for n in range(48)
            ]
        }

    rates = carbon_rates([day(T0), day(T0 + 48 * HALF)])
    assert len(rates) == 96
    assert all(a.end == b.start for a, b in itertools.pairwise(rates))


def test_predbat_and_a_document_in_the_state() -> None:
    rows = '[{"from": "2025-10-22T23:30+00:00", "to": "2025-10-23T00:00+00:00", "intensity": 55}]'
    expected = (Rate(T0, T0 + HALF, 55.0),)
    assert carbon_rates([carbon_document(rows)]) == expected
    assert carbon_rates([carbon_document(f'{{"forecast": {rows}}}')]) == expected


@pytest.mark.parametrize("state", ["moderate", "", "{", "[1, 2", "123"])
def test_a_state_that_is_no_document_gives_nothing(state: str) -> None:
    assert carbon_rates([carbon_document(state)]) == ()


def test_a_sensor_with_the_current_index_alone_gives_nothing_to_plan_with() -> None:
    assert carbon_rates([{"index": "high", "intensity": 210}]) == ()


def test_octopus_prices_of_two_days() -> None:
    def row(start: datetime, price: float) -> dict[str, Any]:
        return {"start": start, "end": start + HALF, "value_inc_vat": price, "is_capped": False}

    today = {"rates": [row(T0, 0.1503), row(T0 + HALF, -0.02)]}
    tomorrow = {"rates": [row(T0 + 2 * HALF, 0.3)]}
    assert [rate.value for rate in price_rates([today, tomorrow])] == [0.1503, -0.02, 0.3]


@pytest.mark.parametrize(
    ("facts", "euro"),
    [
        ({"unit": "kWh"}, 0.25),
        ({"unit": "MWh"}, 0.00025),
        ({"unit": "kWh", "price_in_cents": True}, 0.0025),
        ({"unit_of_measurement": "EUR/kWh"}, 0.25),
    ],
)
def test_nord_pool_of_hacs_in_its_own_unit(facts: dict[str, object], euro: float) -> None:
    attributes = {
        "raw_today": [{"start": T0, "end": T0 + HOUR, "value": 0.25}],
        "raw_tomorrow": [],
        "tomorrow_valid": False,
        **facts,
    }
    assert price_rates([attributes])[0].value == pytest.approx(euro)


@pytest.mark.parametrize("placeholder", [0.0, 0.99, None, float("inf")])
def test_tomorrow_counts_only_from_the_moment_that_nord_pool_calls_it_valid(
    placeholder: float | None,
) -> None:
    def hours(first: datetime, value: float | None) -> list[dict[str, Any]]:
        return [
            {"start": first + n * HOUR, "end": first + (n + 1) * HOUR, "value": value}
            for n in range(24)
        ]

    attributes: dict[str, object] = {
        "raw_today": hours(T0, 0.25),
        "raw_tomorrow": hours(T0 + 24 * HOUR, placeholder),
        "tomorrow_valid": False,
    }
    rates = price_rates([attributes])
    assert len(rates) == 24
    assert {rate.value for rate in rates} == {0.25}
    attributes |= {"raw_tomorrow": hours(T0 + 24 * HOUR, 0.5), "tomorrow_valid": True}
    rates = price_rates([attributes])
    assert len(rates) == 48
    assert rates[-1] == Rate(T0 + 47 * HOUR, T0 + 48 * HOUR, 0.5)
    del attributes["tomorrow_valid"]  # other integrations use these names without the flag
    assert len(price_rates([attributes])) == 48


def test_quarter_hours_of_nord_pool_with_datetime_objects_and_numpy_numbers() -> None:
    quarter = timedelta(minutes=15)
    rows = [
        {
            "start": (T0 + n * quarter).astimezone(SUMMER),
            "end": (T0 + (n + 1) * quarter).astimezone(SUMMER),
            "value": np.float64(n) / 100,
        }
        for n in range(96)
    ]
    rates = price_rates([{"raw_today": rows}])
    assert len(rates) == 96
    assert all(a.end == b.start for a, b in itertools.pairwise(rates))
    assert rates[3] == Rate(T0 + 3 * quarter, T0 + 4 * quarter, pytest.approx(0.03))


def test_bad_rows_of_octopus_leave_gaps_and_the_rest_in_order() -> None:
    def row(n: float, value: object, length: timedelta = HALF) -> dict[str, Any]:
        return {"start": T0 + n * HALF, "end": T0 + n * HALF + length, "value_inc_vat": value}

    shown = [
        row(3, 0.4),
        row(0, 0.1),
        row(0, 0.12),
        row(1, None),
        row(4, 0.5, timedelta(minutes=47)),
        row(5, 0.6),
        {"start": T0, "value_inc_vat": 1.0},
        "rubbish",
    ]
    assert price_rates([{"rates": shown}]) == (
        Rate(T0, T0 + HALF, 0.12),
        Rate(T0 + 3 * HALF, T0 + 4 * HALF, 0.4),
        Rate(T0 + 4 * HALF, T0 + 5 * HALF, 0.5),
        Rate(T0 + 5 * HALF, T0 + 6 * HALF, 0.6),
    )


def test_of_two_areas_of_core_nord_pool_the_first_that_has_prices_counts() -> None:
    def row(price: float) -> dict[str, Any]:
        return {"start": T0.isoformat(), "end": (T0 + HOUR).isoformat(), "price": price}

    assert nord_pool_rates({"SE3": [row(100.0)], "SE4": [row(900.0)]})[0].value == 0.1
    assert nord_pool_rates({"SE3": [], "SE4": [row(900.0)]})[0].value == 0.9
    assert nord_pool_rates({"SE3": [], "SE4": []}) == ()


def test_prices_of_core_nord_pool_are_per_megawatt_hour() -> None:
    answer = {
        "SE3": [
            {
                "start": "2025-10-22T23:30:00+00:00",
                "end": "2025-10-23T00:30:00+00:00",
                "price": 330.5,
            }
        ]
    }
    assert nord_pool_rates(answer) == (Rate(T0, T0 + HOUR, 0.3305),)
    assert nord_pool_rates({"SE3": None}) == ()
    assert nord_pool_rates({"SE3": ["rubbish"]}) == ()


@pytest.mark.parametrize(
    "row",
    [
        None,
        17,
        {},
        {"from": T0, "to": T0 + HALF},
        {"from": T0, "to": T0, "intensity": 5},
        {"from": T0 + HALF, "to": T0, "intensity": 5},
        {"from": T0, "to": T0 + 3 * 24 * HOUR, "intensity": 5},
        {"from": "yesterday", "to": T0, "intensity": 5},
        {"from": T0.replace(tzinfo=None), "to": T0 + HALF, "intensity": 5},
        {"from": T0, "to": T0 + HALF, "intensity": "much"},
        {"from": T0, "to": T0 + HALF, "intensity": float("nan")},
        {"from": T0, "to": T0 + HALF, "intensity": True},
        {"from": T0, "to": T0 + HALF, "intensity": -1},
        {"from": T0, "to": T0 + HALF, "intensity": 2001},
        {"from": T0, "to": T0 + HALF, "intensity": {"actual": 5}},
        {
            "from": "9999-12-31T00:00:00+00:00",
            "to": "9999-12-31T01:00:00+00:00",
            "intensity": 5,
        },
    ],
)
def test_a_row_that_cannot_be_understood_is_left_out(row: object) -> None:
    good = {"from": T0 + HOUR, "to": T0 + 2 * HOUR, "intensity": 77}
    rates = carbon_rates([{"forecast": [row, good]}])
    assert rates == (Rate(T0 + HOUR, T0 + 2 * HOUR, 77.0),)


def test_a_document_that_nests_without_end_gives_nothing() -> None:
    endless: dict[str, object] = {}
    endless["data"] = endless
    assert carbon_rates([endless]) == ()
    in_a_list: dict[str, object] = {}
    in_a_list["data"] = [in_a_list]
    assert carbon_rates([in_a_list]) == ()


def test_of_two_that_start_together_the_last_said_counts() -> None:
    rates = normalised([Rate(T0, T0 + HALF, 1.0), Rate(T0, T0 + HOUR, 2.0)])
    assert rates == (Rate(T0, T0 + HOUR, 2.0),)


def test_where_one_reaches_into_the_next_the_next_begins() -> None:
    rates = normalised([Rate(T0 + HALF, T0 + HOUR, 2.0), Rate(T0, T0 + HOUR, 1.0)])
    assert rates == (Rate(T0, T0 + HALF, 1.0), Rate(T0 + HALF, T0 + HOUR, 2.0))


@given(
    st.lists(
        st.tuples(st.integers(0, 60), st.integers(1, 20), st.floats(-1, 1)),
        max_size=30,
    )
)
def test_any_rows_come_out_in_order_without_overlap(rows: list[tuple[int, int, float]]) -> None:
    minute = timedelta(minutes=1)
    given_rates = [Rate(T0 + s * minute, T0 + (s + n) * minute, v) for s, n, v in rows]
    rates = normalised(given_rates)
    assert {rate.start for rate in rates} == {rate.start for rate in given_rates}
    for rate in rates:
        assert rate.start < rate.end
    for earlier, later in itertools.pairwise(rates):
        assert earlier.end <= later.start


def test_what_holds_at_a_moment_and_what_does_not() -> None:
    rates = (Rate(T0, T0 + HALF, 1.0), Rate(T0 + HOUR, T0 + 2 * HOUR, 2.0))
    assert rate_at(rates, T0) == rates[0]
    assert rate_at(rates, T0 + HALF) is None
    assert rate_at(rates, T0 + HOUR) == rates[1]
    assert rate_at(rates, T0 + 2 * HOUR) is None
