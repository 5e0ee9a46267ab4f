"""How much the contract lets out, and how much of it the battery may still use.

Every formula is of specification page 1. Energies are kWh, powers W.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from ..models import Basis, Forecast, Settings, Slot
from .period import Period

SECONDS_PER_DAY = 86_400.0
WH = 1000.0
PERCENTILE = {Basis.FORECAST: 50, Basis.CONSERVATIVE: 10, Basis.FIXED: 90}


@dataclass(frozen=True, slots=True)
class Contract:
    """The period's contract figure (kWh), with the basis that was really used."""

    basis: Basis
    kwh: float


@dataclass(frozen=True, slots=True)
class NaturalExport:
    """PV export that comes by itself until the period's end (kWh).

    `untouched`: with the battery left alone. `emptied`: with all that may leave it gone.
    The truth for any discharge D between is max(emptied, untouched - D): in a walk without losses
    a kWh less in the battery takes at most one kWh off the overflow, and only while the battery
    would still have filled.
    """

    untouched: float
    emptied: float
    known: bool


def energy_to_come(
    slots: Iterable[Slot], now: datetime, end: datetime, percentile: int
) -> float | None:
    """Return the PV energy of the slots between two moments (kWh), None without any such slot."""
    total = 0.0
    found = False
    for slot in slots:
        seconds = (min(slot.end, end) - max(slot.start, now)).total_seconds()
        if seconds > 0:
            found = True
            total += slot.watts(percentile) * seconds
    return total / 3.6e6 if found else None


def contract(
    settings: Settings, forecast: Forecast | None, generated: float, now: datetime, period: Period
) -> Contract:
    """Return what the contract lets the period export in all.

    Without a usable forecast the figure falls back to what has been generated: never more.
    """
    if settings.basis is Basis.FIXED:
        return Contract(Basis.FIXED, settings.fixed_limit_kwh)
    if settings.basis is Basis.GENERATED or forecast is None:
        return Contract(Basis.GENERATED, generated)
    percentile = PERCENTILE[settings.basis]
    remaining = energy_to_come(forecast.slots, now, period.end, percentile)
    if remaining is not None:
        return Contract(settings.basis, generated + remaining)
    if forecast.valid_from is None or forecast.valid_from != period.start:
        return Contract(Basis.GENERATED, generated)  # totals of another day
    if forecast.remaining_today is not None:
        return Contract(settings.basis, generated + forecast.remaining_today.at(percentile))
    if forecast.total_today is not None:
        return Contract(settings.basis, max(generated, forecast.total_today.at(percentile)))
    return Contract(Basis.GENERATED, generated)


def natural_export(
    settings: Settings,
    forecast: Forecast | None,
    soc: float,
    floor: float,
    now: datetime,
    period: Period,
) -> NaturalExport:
    """Walk the remaining slots under the inverter's own policy: PV to house, battery, grid.

    Losses and the battery's charging limit are left out, so the battery fills sooner and the
    overflow is never understated. `soc` and `floor` are %.
    """
    if settings.basis is Basis.GENERATED:
        return NaturalExport(0.0, 0.0, known=True)  # later PV brings its own allowance
    course = natural_course(settings, forecast, soc, floor, now, period)
    return course[-1][1] if course else NaturalExport(0.0, 0.0, known=False)


def natural_course(
    settings: Settings,
    forecast: Forecast | None,
    soc: float,
    floor: float,
    now: datetime,
    period: Period,
) -> list[tuple[datetime, NaturalExport]]:
    """Return, for each interval from now on, its start and what has come by itself at its end.

    Empty without a battery's capacity or a forecast.
    """
    slots = forecast.slots if forecast is not None else ()
    capacity = settings.battery_capacity_kwh
    if capacity <= 0 or not any(slot.end > now for slot in slots):
        return []
    lowest = min(floor, soc) / 100 * capacity
    flows = list(_net_flows(settings, slots, now, period))
    nets = [net for _, net in flows]
    untouched = _overflow(nets, soc / 100 * capacity, lowest, capacity)
    emptied = _overflow(nets, lowest, lowest, capacity)
    return [(now, NaturalExport(0.0, 0.0, known=True))] + [
        (start, NaturalExport(left, drained, known=True))
        for (start, _), left, drained in zip(flows, untouched, emptied, strict=True)
    ]


def _net_flows(
    settings: Settings, slots: tuple[Slot, ...], now: datetime, period: Period
) -> Iterable[tuple[datetime, float]]:
    """Yield start and PV minus house load (kWh) of each interval until the period's end."""
    percentile = PERCENTILE.get(settings.basis, 50)
    load_per_second = settings.house_load_kwh_per_day / SECONDS_PER_DAY
    at = now
    for slot in slots:
        if slot.end <= now or slot.start >= period.end:
            continue
        start, end = max(slot.start, now), min(slot.end, period.end)
        if start > at:  # no forecast for this stretch: only the house draws
            yield at, -load_per_second * (start - at).total_seconds()
        seconds = (end - start).total_seconds()
        yield start, seconds * (slot.watts(percentile) / 3.6e6 - load_per_second)
        at = end


def _overflow(nets: list[float], stored: float, lowest: float, capacity: float) -> Iterator[float]:
    """Yield what has overflowed by the end of each interval (kWh)."""
    overflow = 0.0
    for net in nets:
        stored += net
        if stored > capacity:
            overflow += stored - capacity
            stored = capacity
        elif stored < lowest:
            stored = lowest  # the grid feeds the house
        yield overflow


def headroom(allowance: float, exported: float, natural: NaturalExport, available: float) -> float:
    """Return the largest D with exported + D + natural(D) <= allowance (kWh).

    `available` is what the battery holds above its floor.
    """
    return min(available, export_left(allowance, exported, natural, available))


def export_left(
    allowance: float, exported: float, natural: NaturalExport, available: float
) -> float:
    """Return the headroom if the battery were bottomless (kWh): what the contract alone leaves."""
    if exported + natural.untouched > allowance:
        return 0.0
    return max(0.0, allowance - exported - max(natural.emptied, natural.untouched - available))


def duration_minutes(headroom_kwh: float, power_w: float) -> float:
    """Return how long the headroom lasts at a power (min); 0 at no power."""
    return headroom_kwh * WH / power_w * 60 if power_w > 0 else 0.0
