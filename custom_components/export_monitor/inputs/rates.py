"""Parsers for carbon intensities and prices as integrations publish them (specification page 4).

Every layout comes out as rates in time order that do not overlap. Rows that cannot be understood
are left out: a gap is a time without a value, never a guess. Values that are no number, or out of
range, are put into `refused`, for those who log and count them.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
import json
from typing import Final

from ..error_handler import SensorValidation, SourceKind
from ..models import Rate
from .formats import LATEST, as_moment, as_number

STARTS: Final = ("from", "start", "valid_from")
ENDS: Final = ("to", "end", "valid_to")
CARBON_LISTS: Final = ("data", "forecast", "rates")
CARBON_VALUES: Final = ("intensity", "intensity_forecast", "forecast", "value")
PRICE_LISTS: Final = ("rates", "raw_today", "raw_tomorrow", "prices", "data")
PRICE_VALUES: Final = ("value_inc_vat", "value", "price", "price_per_kwh")
MAX_SLOT: Final = timedelta(hours=24)
DEEPEST: Final = 3  # {data: {data: [...]}} is what a REST sensor shows
KWH_PER_MWH: Final = 1000.0
CENTS: Final = 100.0

type Refused = list[object] | None


def carbon_rates(
    attributes: Iterable[Mapping[str, object]], refused: Refused = None
) -> tuple[Rate, ...]:
    """Return the carbon intensities (g CO2/kWh) of one or more entities' attributes.

    Understands the UK API as a REST sensor shows it, jfparis, BottlecapDave and Predbat.
    """
    rows = (row for source in attributes for row in _rows(source, CARBON_LISTS))
    rates = (_rate(row, CARBON_VALUES, SourceKind.CARBON, refused) for row in rows)
    return normalised(rate for rate in rates if rate is not None)


def carbon_document(text: str) -> Mapping[str, object]:
    """Return the attributes hidden in a state that is JSON, as 1.x accepted; else none."""
    if not text.startswith(("{", "[")):
        return {}
    try:
        document = json.loads(text)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {"data": document}


def price_rates(
    attributes: Iterable[Mapping[str, object]], refused: Refused = None
) -> tuple[Rate, ...]:
    """Return the prices (currency/kWh) of one or more entities' attributes.

    Understands Octopus Energy's event entities and Nord Pool of HACS, which says itself whether
    it counts in kWh or MWh and in cents, and whether tomorrow is known: what stands there before
    is yesterday's, or a placeholder.
    """
    rates = (
        _scaled(rate, _per_kwh(source))
        for source in attributes
        for row in _rows(source, _price_lists(source))
        if (rate := _price(row, refused)) is not None
    )
    return normalised(rates)


def nord_pool_rates(response: Mapping[str, object], refused: Refused = None) -> tuple[Rate, ...]:
    """Return the prices (currency/kWh) of core Nord Pool's action, which are per MWh, by area.

    Of several areas the first that has any counts: a house is in one.
    """
    for area in response.values():
        if not isinstance(area, list):
            continue
        rates = [_price(row, refused) for row in area]
        known = [_scaled(rate, 1 / KWH_PER_MWH) for rate in rates if rate is not None]
        if known:
            return normalised(known)
    return ()


def _price_lists(source: Mapping[str, object]) -> tuple[str, ...]:
    if source.get("tomorrow_valid") is not False:
        return PRICE_LISTS
    return tuple(name for name in PRICE_LISTS if name != "raw_tomorrow")


def normalised(rates: Iterable[Rate]) -> tuple[Rate, ...]:
    """Return rates in order without overlap: of two with one start the last said counts.

    Where one reaches into the next, the next begins: it is the finer or the newer one.
    """
    by_start = {rate.start: rate for rate in rates}
    kept: list[Rate] = []
    for start in sorted(by_start):
        if kept and kept[-1].end > start:
            kept[-1] = replace(kept[-1], end=start)
        kept.append(by_start[start])
    return tuple(kept)


def rate_at(rates: Iterable[Rate], moment: datetime) -> Rate | None:
    """Return the rate that holds at a moment, None in a gap."""
    return next((rate for rate in rates if rate.start <= moment < rate.end), None)


def _rows(
    source: Mapping[str, object], names: tuple[str, ...], depth: int = 0
) -> Iterator[Mapping[object, object]]:
    """Yield the rows of every list with one of the names, also where they are nested."""
    for name in names:
        found = source.get(name)
        if isinstance(found, Mapping) and depth < DEEPEST:
            yield from _rows(found, names, depth + 1)
        elif isinstance(found, list | tuple):
            for row in found:
                if not isinstance(row, Mapping):
                    continue
                if _first(row, STARTS) is None and depth < DEEPEST:
                    yield from _rows(row, names, depth + 1)  # regional: rows inside a region
                else:
                    yield row


def _price(row: object, refused: Refused) -> Rate | None:
    return _rate(row, PRICE_VALUES, SourceKind.PRICE, refused)


def _rate(row: object, values: tuple[str, ...], kind: SourceKind, refused: Refused) -> Rate | None:
    if not isinstance(row, Mapping):
        return None
    start, end = as_moment(_first(row, STARTS)), as_moment(_first(row, ENDS))
    found, index = _first(row, values), row.get("index")
    if isinstance(found, Mapping):  # {"forecast": 210, "actual": null, "index": "moderate"}
        inner: Mapping[str, object] = found
        found, index = inner.get("forecast"), inner.get("index")
    if found is None or start is None or end is None or start > LATEST:
        return None
    if not start < end <= start + MAX_SLOT:
        return None
    value = as_number(found)
    if value is None or not SensorValidation.in_range(kind, value):
        if refused is not None:
            refused.append(found)
        return None
    return Rate(start, end, value, index if isinstance(index, str) else None)


def _first(row: Mapping[object, object], names: tuple[str, ...]) -> object:
    return next((row[name] for name in names if row.get(name) is not None), None)


def _per_kwh(source: Mapping[str, object]) -> float:
    """Return what makes a price of this source one per kWh in whole currency."""
    unit = str(source.get("unit") or source.get("unit_of_measurement") or "").casefold()
    factor = 1 / KWH_PER_MWH if "mwh" in unit else 1.0
    return factor / CENTS if source.get("price_in_cents") else factor


def _scaled(rate: Rate, factor: float) -> Rate:
    return replace(rate, value=rate.value * factor)
