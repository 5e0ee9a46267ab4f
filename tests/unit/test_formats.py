"""Every format of carbon and prices, shaped like the real thing, whole and damaged alike.

The same hours, in the layout of each integration: as they should be, and with rows missing,
doubled, out of order, overlapping and of odd length. Whatever the layout, the same comes out.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
import json
from typing import Any

from homeassistant.core import State
import numpy as np
import pytest

from custom_components.export_monitor.error_handler import SensorValidation
from custom_components.export_monitor.inputs.carbon import LAYOUT as CARBON
from custom_components.export_monitor.inputs.prices import LAYOUT as PRICES
from custom_components.export_monitor.inputs.rate_source import Layout
from custom_components.export_monitor.inputs.rates import nord_pool_rates
from custom_components.export_monitor.models import Rate

T0 = datetime(2025, 10, 25, 22, 30, tzinfo=UTC)
"""In the night in which British and European clocks go back: local days of 25 hours."""
HALF = timedelta(minutes=30)
SUMMER = timezone(timedelta(hours=1))

type Row = tuple[datetime, datetime, float]
type Attributes = Mapping[str, Any]


def z(moment: datetime) -> str:
    """As the UK's API writes it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%MZ")


def uk_api(rows: list[Row]) -> list[Attributes]:
    data = [
        {
            "from": z(start),
            "to": z(end),
            "intensity": {"forecast": value, "actual": None, "index": "moderate"},
        }
        for start, end, value in rows
    ]
    return [{"data": data, "friendly_name": "Carbon intensity"}]


def uk_api_nested(rows: list[Row]) -> list[Attributes]:
    """As the regional address answers: a region, and the rows inside it."""
    (attributes,) = uk_api(rows)
    region = {"regionid": 13, "shortname": "London", "data": attributes["data"]}
    return [{"data": {"data": [region]}}]


def jfparis(rows: list[Row]) -> list[Attributes]:
    forecast = [
        {
            "from": start.astimezone(SUMMER),
            "to": end.astimezone(SUMMER),
            "intensity": np.float64(value),
            "index": "moderate",
            "optimal": False,
        }
        for start, end, value in rows
    ]
    return [{"current_period_forecast": 180, "unit": "gCO2/kWh", "forecast": forecast}]


def bottlecapdave(rows: list[Row]) -> list[Attributes]:
    """Two event entities, one for each day."""
    rates = [
        {
            "from": start.astimezone(SUMMER).isoformat(),
            "to": end.astimezone(SUMMER).isoformat(),
            "intensity_forecast": value,
            "generation_mix": [{"fuel": "wind", "perc": 40.1}],
        }
        for start, end, value in rows
    ]
    half = len(rates) // 2
    return [{"event_type": "current", "rates": rates[:half]}, {"rates": rates[half:]}]


def predbat(rows: list[Row]) -> list[Attributes]:
    forecast = [
        {
            "from": start.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "to": end.strftime("%Y-%m-%dT%H:%M:%S%z"),
            "intensity": value,
        }
        for start, end, value in rows
    ]
    return [{"forecast": forecast}]


def in_the_state(rows: list[Row]) -> list[Attributes]:
    """A JSON document as the state, as 1.x read it."""
    (attributes,) = predbat(rows)
    return [{"state": json.dumps(attributes)}]


def octopus(rows: list[Row]) -> list[Attributes]:
    rates = [
        {
            "start": start.astimezone(SUMMER),
            "end": end.astimezone(SUMMER),
            "value_inc_vat": value,
            "is_capped": False,
            "is_intelligent_adjusted": False,
        }
        for start, end, value in rows
    ]
    half = len(rates) // 2
    tariff = {"mpan": "2", "tariff_code": "E-1R-AGILE-OUTGOING-19-05-13-C", "is_export": True}
    return [{**tariff, "rates": rates[:half]}, {**tariff, "rates": rates[half:]}]


def nord_pool(rows: list[Row]) -> list[Attributes]:
    """HACS: per MWh and in cents, so that both have to be taken back."""
    raw = [
        {"start": start.astimezone(SUMMER), "end": end.astimezone(SUMMER), "value": value * 1e5}
        for start, end, value in rows
    ]
    half = len(raw) // 2
    facts = {"unit": "MWh", "price_in_cents": True, "tomorrow_valid": True, "region": "SE3"}
    return [{**facts, "raw_today": raw[:half], "raw_tomorrow": raw[half:]}]


def nord_pool_core(rows: list[Row]) -> list[Attributes]:
    prices = [
        {"start": start.isoformat(), "end": end.isoformat(), "price": value * 1000}
        for start, end, value in rows
    ]
    return [{"SE3": prices}]


def read(attributes: list[Attributes], layout: Layout) -> tuple[Rate, ...]:
    states = []
    for number, each in enumerate(attributes):
        facts = dict(each)
        state = facts.pop("state", "2025-10-25T22:30:00+00:00")
        states.append(_state(f"sensor.rates_{number}", state, facts))
    found = layout.parsed(states, SensorValidation())
    return () if found is None else tuple(found.slots)


def _state(entity_id: str, state: str, attributes: dict[str, Any]) -> State:
    shown = State(entity_id, "0", attributes)
    shown.state = state  # beyond 255 characters, which Home Assistant itself would not take
    return shown


@dataclass(frozen=True)
class Format:
    """A layout and the reader that understands it."""

    shape: Callable[[list[Row]], list[Attributes]]
    reader: Callable[[list[Attributes]], tuple[Rate, ...]]
    scale: float


def carbon(attributes: list[Attributes]) -> tuple[Rate, ...]:
    return read(attributes, CARBON)


def prices(attributes: list[Attributes]) -> tuple[Rate, ...]:
    return read(attributes, PRICES)


FORMATS = [
    *(Format(shape, carbon, 100.0) for shape in (uk_api, uk_api_nested, jfparis, bottlecapdave)),
    *(Format(shape, carbon, 100.0) for shape in (predbat, in_the_state)),
    *(Format(shape, prices, 0.1) for shape in (octopus, nord_pool)),
    Format(nord_pool_core, lambda attributes: nord_pool_rates(attributes[0]), 0.1),
]
every_format = pytest.mark.parametrize("layout", FORMATS, ids=lambda each: each.shape.__name__)


def row(start: float, end: float, value: float) -> Row:
    """Return a row by its half hours since T0."""
    return T0 + start * HALF, T0 + end * HALF, value


def outcome(layout: Format, rows: list[Row]) -> list[tuple[float, float, float]]:
    """Return what is read, in half hours since T0 and in the rows' own values."""
    scaled = [(start, end, value * layout.scale) for start, end, value in rows]
    return [
        (
            (rate.start - T0) / HALF,
            (rate.end - T0) / HALF,
            pytest.approx(rate.value / layout.scale),
        )
        for rate in layout.reader(layout.shape(scaled))
    ]


@every_format
def test_two_days_come_out_as_they_are(layout: Format) -> None:
    """Of which one has 25 hours: in UTC, every half hour is there once."""
    rows = [row(n, n + 1, 1 + n / 100) for n in range(98)]
    assert outcome(layout, rows) == [(n, n + 1, 1 + n / 100) for n in range(98)]


@every_format
def test_what_is_missing_stays_a_gap(layout: Format) -> None:
    assert outcome(layout, [row(0, 1, 1), row(1, 2, 2), row(5, 6, 3), row(6, 7, 4)]) == [
        (0, 1, 1),
        (1, 2, 2),
        (5, 6, 3),
        (6, 7, 4),
    ]


@every_format
def test_of_what_is_doubled_the_last_said_counts(layout: Format) -> None:
    rows = [row(0, 1, 1), row(1, 2, 2), row(1, 2, 2), row(0, 1, 3)]
    assert outcome(layout, rows) == [(0, 1, 3), (1, 2, 2)]


@every_format
def test_what_is_out_of_order_is_ordered(layout: Format) -> None:
    rows = [row(3, 4, 4), row(0, 1, 1), row(2, 3, 3), row(1, 2, 2)]
    assert outcome(layout, rows) == [(n, n + 1, n + 1) for n in range(4)]


@every_format
def test_where_two_overlap_the_later_begins(layout: Format) -> None:
    rows = [row(0, 4, 1), row(1, 2, 2), row(3, 5, 3), row(5, 6, 4)]
    assert outcome(layout, rows) == [(0, 1, 1), (1, 2, 2), (3, 5, 3), (5, 6, 4)]


@every_format
def test_odd_lengths_are_taken_as_they_are(layout: Format) -> None:
    """Nord Pool's quarter of an hour, a whole hour, and ten minutes after a change of tariff."""
    rows = [row(0, 0.5, 1), row(0.5, 1, 2), row(1, 3, 3), row(3, 3 + 1 / 3, 4)]
    assert outcome(layout, rows) == [
        (0, 0.5, 1),
        (0.5, 1, 2),
        (1, 3, 3),
        (3, pytest.approx(3 + 1 / 3, abs=0.04), 4),
    ]


@every_format
def test_a_row_without_length_or_end_is_left_out(layout: Format) -> None:
    rows = [row(0, 1, 1), row(1, 1, 2), row(3, 2, 3), row(3, 4, 4)]
    assert outcome(layout, rows) == [(0, 1, 1), (3, 4, 4)]


@every_format
def test_nothing_is_no_rate(layout: Format) -> None:
    assert outcome(layout, []) == []
