"""Reasons in plain English, and what kept a plan from doing more."""

from ..models import Kind
from .horizon import Horizon, Leg
from .models import Limit, Reason, Window
from .policy import Orders, Walk

NEAR_KWH = 0.05
NEARLY = 0.98

SENTENCES = {
    Reason.BEST_OF_DAY: "The best hours of the day: {value} {unit} against {average} on average",
    Reason.GOOD_VALUE: "Worth more than most of the day: {value} {unit} against {average}",
    Reason.MAKES_ROOM: "Makes room for {saved} kWh of sun that would find the battery full",
    Reason.BETTER_THAN_KEEPING: "{value} {unit} is more than the energy would be worth later",
    Reason.CHEAP: "Cheap hours: {value} {unit} against {average} on average",
    Reason.PAID_TO_TAKE: "The grid pays for taking energy: {value} {unit}",
}


def sentence(window: Window, unit: str, digits: int = 3) -> str:
    """Return why a window stands there, in English; `unit` is that of a value per kWh."""
    why = window.why
    return SENTENCES[why.reason].format(
        value=f"{why.value:.{digits}f}",
        average=f"{why.average:.{digits}f}",
        saved=f"{why.saved_kwh:.1f}",
        unit=unit,
    )


def limit_of_day(horizon: Horizon, orders: Orders, outcome: Walk, day: int) -> Limit:
    """Return what kept a day's discharge from being more."""
    numbers = [number for number, leg in enumerate(horizon.legs) if leg.day == day]
    exported = sum(outcome.passages[number].exported for number in numbers)
    bounds = horizon.days[day]
    left = max(0.0, bounds.left)
    if bounds.accrues:
        left += sum(horizon.legs[number].pv * horizon.legs[number].hours for number in numbers)
    if exported >= left - NEAR_KWH:
        return Limit.ALLOWANCE
    planned = [n for n in numbers if n in orders and orders[n].kind is Kind.DISCHARGE]
    permitted = [n for n in numbers if horizon.legs[n].out > 0]
    if not permitted:
        return Limit.WINDOW
    if not planned:
        return _without_windows(horizon, outcome, permitted)
    held = min(outcome.passages[number].stored for number in numbers if number >= planned[0])
    if held <= horizon.session_floor + NEAR_KWH:
        return Limit.BATTERY
    if all(n in orders and _is_full(horizon.legs[n], orders[n].hours) for n in permitted):
        return Limit.WINDOW if len(permitted) < len(numbers) else Limit.POWER
    dearest = [n for n in planned if _is_full(horizon.legs[n], orders[n].hours)]
    return Limit.POWER if dearest else Limit.VALUE


def _without_windows(horizon: Horizon, outcome: Walk, permitted: list[int]) -> Limit:
    most = max(
        outcome.passages[number - 1].stored if number else horizon.stored for number in permitted
    )
    return Limit.BATTERY if most <= horizon.session_floor + NEAR_KWH else Limit.VALUE


def _is_full(leg: Leg, hours: float) -> bool:
    return hours >= NEARLY * leg.hours
