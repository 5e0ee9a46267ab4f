"""Parsers for what forecast integrations publish (specification page 4)."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import isfinite

from ..models import Quantiles, Slot

WATTS_PER_KW = 1000.0
LATEST = datetime(9000, 1, 1, tzinfo=UTC)  # beyond it a slot would have no end
HALF_HOUR = timedelta(minutes=30)
HALF_HOURS, HOURS = "detailedForecast", "detailedHourly"


def as_number(value: object) -> float | None:
    """Return a finite number, None for anything else (booleans are no numbers)."""
    if value is None or isinstance(value, bool):
        return None
    try:
        number = float(value)  # type: ignore[arg-type]  # whatever it is, float() says so
    except (TypeError, ValueError, OverflowError):
        return None
    return number if isfinite(number) else None


def as_moment(value: object) -> datetime | None:
    """Return an aware UTC time from a datetime or an ISO text, None for anything else."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime) or value.tzinfo is None:
        return None
    try:
        return value.astimezone(UTC)
    except OverflowError:  # the first or last day there is
        return None


def solcast_slots(attributes: Iterable[Mapping[str, object]]) -> tuple[Slot, ...]:
    """Return the slots (W) of one or more Solcast entities, ordered, each moment once.

    Entries are {period_start, pv_estimate, pv_estimate10, pv_estimate90} in kW. The percentiles
    can be switched off by the user: then the low one counts as 0 and the high one as the middle.
    An hour tells a half hour that is missing.
    """
    halves: dict[datetime, Slot] = {}
    hours: dict[datetime, Slot] = {}
    for source in attributes:
        halves |= {slot.start: slot for slot in _solcast_rows(source, HALF_HOURS)}
        for slot in _solcast_rows(source, HOURS):
            start, end = slot.end, slot.end + HALF_HOUR
            hours |= {slot.start: slot, start: replace(slot, start=start, end=end)}
    found = hours | halves
    return _without_overlap(found[start] for start in sorted(found))


def _solcast_rows(source: Mapping[str, object], name: str) -> Iterator[Slot]:
    rows = source.get(name)
    for row in rows if isinstance(rows, list | tuple) else ():
        slot = _solcast_slot(row)
        if slot is not None:
            yield slot


def _solcast_slot(row: object) -> Slot | None:
    """Return a row's power from its start on, for half an hour."""
    if not isinstance(row, Mapping):
        return None
    start = as_moment(row.get("period_start"))
    middle = as_number(row.get("pv_estimate"))
    if start is None or middle is None or middle < 0 or start > LATEST:
        return None
    low = as_number(row.get("pv_estimate10"))
    high = as_number(row.get("pv_estimate90"))
    return Slot(
        start,
        start + HALF_HOUR,
        WATTS_PER_KW * (min(low, middle) if low is not None and low >= 0 else 0.0),
        WATTS_PER_KW * middle,
        WATTS_PER_KW * (max(high, middle) if high is not None else middle),
    )


def _without_overlap(slots: Iterable[Slot]) -> tuple[Slot, ...]:
    kept: list[Slot] = []
    for slot in slots:
        if not kept or slot.start >= kept[-1].end:
            kept.append(slot)
    return tuple(kept)


def solcast_total(middle: float, attributes: Mapping[str, object]) -> Quantiles:
    """Return a Solcast energy (kWh) with its percentiles; a missing low one counts as 0."""
    low = as_number(attributes.get("estimate10"))
    high = as_number(attributes.get("estimate90"))
    return Quantiles(
        min(low, middle) if low is not None and low >= 0 else 0.0,
        middle,
        max(high, middle) if high is not None else middle,
    )
