"""Which safety margin would have kept every day of the record inside, and at what cost.

A larger margin ends a deliberate discharge that much earlier, as far as it was the allowance that
ended it: a day's `slack` is what was left of the allowance anyway. Nothing else is assumed; above
all, the sun goes on as it did. A suggestion only: nobody changes a margin but its owner.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from math import ceil

from .breaches import Cause
from .days import Day

STEP_KWH = 0.1  # of the option
ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Advice:
    """What the record says about the margin (kWh)."""

    days: int
    """Days with a deliberate discharge: only those say anything."""
    days_over: int
    """Days above the contract that a margin could have kept inside."""
    by_itself: int
    """Days above the contract with any margin: the sun alone was too much, or a stop failed."""
    margin: float
    """The margin in force on the newest day."""
    needed: float | None
    """What would have been enough on every day, to 0.1 kWh; None without such a day."""
    lost_kwh: float = 0.0
    """What would not have been exported with it, in all, beyond what the margins in force cost."""
    lost_money: float = 0.0
    """What that had earned; where prices were known."""
    lost_carbon_kg: float = 0.0

    @property
    def suggestion(self) -> float:
        """The margin to set: never less than the one in force."""
        return max(self.margin, self.needed or 0.0)


def advise(days: Iterable[Day]) -> Advice:
    """Judge the days, the oldest first."""
    known = [day for day in days if day.contract is not None]
    tried = [day for day in known if day.deliberate > 0 and day.slack is not None]
    over = [day for day in known if day.over > day.tolerance]
    curable = [day for day in over if _curable(day)]
    margin = known[-1].margin if known else 0.0
    if not tried:
        return Advice(0, 0, len(over), margin, None)
    enough = max((_needed(day) for day in tried if day not in over or _curable(day)), default=0.0)
    needed = ceil(enough / STEP_KWH - ROUNDING) * STEP_KWH
    lost = [(day, _lost(day, max(margin, needed))) for day in tried]
    return Advice(
        days=len(tried),
        days_over=len(curable),
        by_itself=len(over) - len(curable),
        margin=margin,
        needed=round(needed, 1),
        lost_kwh=sum(kwh for _, kwh in lost),
        lost_money=sum(kwh * _per_kwh(day.money, day.money_kwh) for day, kwh in lost),
        lost_carbon_kg=sum(kwh * _per_kwh(day.carbon_kg, day.carbon_kwh) for day, kwh in lost),
    )


def _curable(day: Day) -> bool:
    """Whether as much was exported deliberately as was too much, by a battery that obeyed."""
    if any(each.cause == Cause.NOT_STOPPED for each in day.breaches):
        return False
    return day.slack is not None and day.deliberate + ROUNDING >= day.over


def _needed(day: Day) -> float:
    """Return the margin (kWh) that keeps a day inside; for one that was, not more than it had."""
    more = (day.slack or 0.0) + day.over
    return max(0.0, day.margin + (more if day.over > day.tolerance else min(0.0, more)))


def _lost(day: Day, margin: float) -> float:
    """Return what a margin would have taken off a day's deliberate export (kWh)."""
    return min(day.deliberate, max(0.0, margin - day.margin - (day.slack or 0.0)))


def _per_kwh(worth: float, kwh: float) -> float:
    return worth / kwh if kwh > 0 else 0.0
