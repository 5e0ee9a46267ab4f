"""Why more was exported than the contract lets out: what the record can know of it."""

from enum import StrEnum

from ..models import Basis
from .days import Day

NOTICEABLE_KWH = 0.05


class Cause(StrEnum):
    """The likeliest cause of a breach; each has a sentence and an advice in the translations."""

    NOT_STOPPED = "not_stopped"
    METER_LATE = "meter_late"
    FORECAST_FELL = "forecast_fell"
    LIMIT_LOWERED = "limit_lowered"
    SUN_ALONE = "sun_alone"
    LOAD_CHANGED = "load_changed"
    MARGIN_TOO_SMALL = "margin_too_small"


def cause_of(day: Day, *, jumped: bool, running: bool, unstopped: bool = False) -> Cause:
    """Name the cause of a breach, from what is certain to what is left over.

    `jumped`: the counter has gone beyond what could have flowed as far as anybody saw.
    `running`: a discharge runs, or its stop is being followed; `unstopped`: that stop takes longer
    than a battery that obeys.
    """
    fell = (day.highest_contract or 0.0) - (day.contract or 0.0)
    if unstopped:
        return Cause.NOT_STOPPED
    if jumped:
        return Cause.METER_LATE
    if day.deliberate < NOTICEABLE_KWH and not running:
        return Cause.SUN_ALONE
    if fell > max(NOTICEABLE_KWH, day.margin):
        # The margin is there for small falls; a figure that nobody forecasts was set.
        return Cause.LIMIT_LOWERED if day.basis == Basis.FIXED else Cause.FORECAST_FELL
    return Cause.MARGIN_TOO_SMALL if running else Cause.LOAD_CHANGED
