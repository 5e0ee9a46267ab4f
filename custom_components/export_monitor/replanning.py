"""Whether a plan still stands on what it was made from. Pure, as the simulated year asks it too."""

from itertools import pairwise
from typing import Final

from .engine.headroom import PERCENTILE, energy_to_come
from .models import Basis, Readings
from .outlook import Known, next_half_hour
from .planning import Plan

OFF_KWH: Final = 0.1
OFF_SHARE: Final = 0.05
OFF_SOC: Final = 5.0


def outlived(plan: Plan, before: Known, known: Known) -> bool:
    """Tell whether what a plan was made from (`before`) has changed materially since."""
    return (
        known.now >= next_half_hour(before.now)
        or known.now < before.now
        or known.last_session != before.last_session
        or (known.planning, known.settings) != (before.planning, before.settings)
        or _sources(known.readings) != _sources(before.readings)
        or _off_allowance(before, known)
        or _off_soc(plan, known)
    )


def _sources(readings: Readings) -> tuple[object, ...]:
    """Return what is published from time to time and planned with."""
    forecast, carbon = readings.forecast, readings.carbon
    export, bought = readings.export_price, readings.import_price
    return (
        None if forecast is None else forecast.slots,
        None if carbon is None else carbon.slots,
        None if export is None else export.slots,
        None if bought is None else bought.slots,
        readings.load_profile,
    )


def _off_allowance(before: Known, known: Known) -> bool:
    """Whether the allowance is another than the one that was planned for."""
    planned, now = before.decision, known.decision
    if planned is None or now is None:
        return False
    if planned.basis is not now.basis:
        return True
    expected = planned.contract
    forecast = before.readings.forecast
    if planned.basis is Basis.GENERATED and forecast is not None:
        percentile = PERCENTILE.get(planned.basis, 50)
        expected += energy_to_come(forecast.slots, before.now, known.now, percentile) or 0.0
    return abs(now.contract - expected) > max(OFF_KWH, OFF_SHARE * expected)


def _off_soc(plan: Plan, known: Known) -> bool:
    """Whether the battery is not where the plan has it."""
    soc = known.readings.soc
    if not soc.usable or soc.value is None:
        return False
    for (start, first), (end, second) in pairwise(plan.soc):
        if start <= known.now < end:
            planned = first + (second - first) * ((known.now - start) / (end - start))
            return abs(soc.value - planned) > OFF_SOC
    return False
