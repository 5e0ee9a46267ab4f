"""Where a relaxed solution is not what the inverter does, and which two cases to look at instead.

Binaries one by one would take thousands of cases. But a night is one choice: in it the battery
runs empty, or it does not; and if it does, by when.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from .formulation import Columns, Model
from .policy import SNAP_KWH

type Bounds = Mapping[int, tuple[float, float]]
"""By column."""

SNAP_H = 1e-6
FIXED_0 = (0.0, 0.0)
FIXED_1 = (1.0, 1.0)


def both(bounds: Bounds, more: Bounds) -> Bounds | None:
    """Return what keeps both, None where nothing can."""
    found = dict(bounds)
    for column, (low, high) in more.items():
        if column in found:
            low, high = max(low, found[column][0]), min(high, found[column][1])  # noqa: PLW2901
        if low > high:
            return None
        found[column] = (low, high)
    return found


@dataclass(frozen=True, slots=True)
class Stretch:
    """Legs of which each is in deficit and none can be charged by force: what is empty stays so."""

    legs: tuple[int, ...]


def stretches(model: Model) -> tuple[Stretch, ...]:
    """Return all stretches, in order."""
    found: list[list[int]] = []
    previous = -2
    for number, (leg, columns) in enumerate(zip(model.horizon.legs, model.legs, strict=True)):
        if leg.in_surplus or columns.at_limit is None:
            continue
        if number != previous + 1 or columns.into is not None:
            found.append([])
        found[-1].append(number)
        previous = number
    return tuple(Stretch(tuple(legs)) for legs in found)


type Wrong = tuple[float, Bounds, Bounds]
"""How much is wrong (kWh), and two cases that together leave out just that."""


def worst(
    model: Model, nights: Sequence[Stretch], values: Sequence[float], bounds: Bounds
) -> Wrong | None:
    """Return what a solution does most wrong; None where it is what the inverter does."""
    return max(_wrongs(model, nights, values, bounds), key=lambda wrong: wrong[0], default=None)


def _wrongs(
    model: Model, nights: Sequence[Stretch], values: Sequence[float], bounds: Bounds
) -> Iterator[Wrong]:
    for night in nights:
        if (wrong := _emptied(model, night, values, bounds)) is not None:
            yield wrong
        if (wrong := _below_floor(model, night, values, bounds)) is not None:
            yield wrong
    for number, columns in enumerate(model.legs):
        yield from _in_leg(model, number, columns, values)
    for column in model.broken.values():
        if SNAP_KWH < values[column] < 1 - SNAP_KWH:
            amount = min(values[column], 1 - values[column])
            yield amount, {column: FIXED_0}, {column: FIXED_1}


def _in_leg(
    model: Model, number: int, columns: Columns, values: Sequence[float]
) -> Iterator[Wrong]:
    leg, horizon = model.horizon.legs[number], model.horizon
    if leg.in_surplus and columns.at_limit is not None and columns.clipped is not None:
        spilt = values[columns.clipped] * leg.feed
        room = horizon.full - values[columns.end]
        if min(spilt, room) > SNAP_KWH:
            full = {columns.at_limit: FIXED_1, columns.end: (horizon.full, horizon.full)}
            yield min(spilt, room), {columns.at_limit: FIXED_0, columns.clipped: FIXED_0}, full
    if leg.in_surplus and columns.above is not None and columns.out is not None:
        begins = _begins(model, number, values)
        left = begins - values[columns.out] / horizon.efficiency
        short = min(values[columns.out], horizon.session_floor - left)
        if short > SNAP_KWH:
            yield short, {columns.above: FIXED_0, columns.out: FIXED_0}, {columns.above: FIXED_1}
    for column in (columns.discharges, columns.counted):
        if column is not None and SNAP_KWH < values[column] < 1 - SNAP_KWH:
            moved = sum(values[c] for c in (columns.out, columns.into) if c is not None)
            if moved > SNAP_KWH:
                yield moved, {column: FIXED_0}, {column: FIXED_1}


def _begins(model: Model, number: int, values: Sequence[float]) -> float:
    """Return what the battery holds at a leg's beginning."""
    return values[model.legs[number - 1].end] if number else model.horizon.stored


def _emptied(model: Model, night: Stretch, values: Sequence[float], bounds: Bounds) -> Wrong | None:
    """The house is fed by the grid before the battery is empty."""
    floor = model.horizon.house_floor
    held = 0.0
    parts: list[tuple[int, float]] = []
    for number in night.legs:
        columns, leg = model.legs[number], model.horizon.legs[number]
        if columns.clipped is None:
            continue
        wrong = min(values[columns.clipped] * leg.feed, values[columns.end] - floor)
        if wrong > SNAP_KWH:
            held += wrong
            parts.append((number, wrong))
    if not parts:
        return None
    last = night.legs[-1]
    at_last = model.legs[last].at_limit
    at = last
    if at_last is not None and bounds.get(at_last) == FIXED_1:  # it is known to run empty
        so_far = 0.0
        for number, wrong in parts:
            at = number
            so_far += wrong
            if so_far >= held / 2:
                break
    return held, _never_until(model, night, at), _empty_from(model, night, at)


def _never_until(model: Model, night: Stretch, at: int) -> Bounds:
    found: dict[int, tuple[float, float]] = {}
    for number in night.legs:
        columns = model.legs[number]
        if number <= at and columns.at_limit is not None and columns.clipped is not None:
            found[columns.at_limit] = found[columns.clipped] = FIXED_0
    return found


def _empty_from(model: Model, night: Stretch, at: int) -> Bounds:
    found: dict[int, tuple[float, float]] = {}
    floor = model.horizon.house_floor
    for number in night.legs:
        columns = model.legs[number]
        if number < at or columns.at_limit is None or columns.clipped is None:
            continue
        found[columns.at_limit] = FIXED_1
        found[columns.end] = (floor, floor)
        if number > at:
            hours = model.horizon.legs[number].hours
            found[columns.clipped] = (hours, hours)
    return found


def _below_floor(
    model: Model, night: Stretch, values: Sequence[float], bounds: Bounds
) -> Wrong | None:
    """Energy is sold from below the session's floor."""
    horizon = model.horizon
    for position, number in enumerate(night.legs):
        columns, leg = model.legs[number], horizon.legs[number]
        if columns.above is None or columns.out is None:
            continue
        sold = values[columns.out]
        begins = _begins(model, number, values)
        left = begins - sold * (1 + leg.deficit / leg.out) / horizon.efficiency
        short = min(sold, horizon.session_floor - left)
        if short <= SNAP_KWH:
            continue
        level = model.legs[number - 1].end if number else None
        settled = level is None or bounds.get(level, (0.0, 0.0))[0] >= horizon.session_floor
        if level is None or settled or position == 0:
            return short, {columns.above: FIXED_0, columns.out: FIXED_0}, {columns.above: FIXED_1}
        over: dict[int, tuple[float, float]] = {level: (horizon.session_floor, horizon.full)}
        under: dict[int, tuple[float, float]] = {
            level: (horizon.house_floor, horizon.session_floor)
        }
        for other in night.legs[:position]:
            if (above := model.legs[other].above) is not None:
                over[above] = FIXED_1
        for other in night.legs[position:]:
            chosen = model.legs[other]
            if chosen.above is not None and chosen.out is not None:
                under[chosen.above] = under[chosen.out] = FIXED_0
        return short, over, under
    return None
