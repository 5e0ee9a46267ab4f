"""What can be broken in the plant while it runs, one switch each."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final


class Fault(StrEnum):
    """A fault by the name that the API uses."""

    DROP = "drop"
    """The link is gone: connections are cut and refused."""
    HANG = "hang"
    """The inverter accepts everything and never answers."""
    IGNORE_WRITES = "ignore_writes"
    """Every write is acknowledged and has no effect."""
    IGNORE_STOP = "ignore_stop"
    """The lying stop: resets are acknowledged without effect, `times` of them or, without a
    number, all until a full reset."""
    FREEZE_COUNTERS = "freeze_counters"
    """Energy counters go on reporting the value they had."""
    GARBAGE_SOC = "garbage_soc"
    """The state of charge reads `value` %, by default 150."""
    GARBAGE_GRID = "garbage_grid"
    """The grid power reads `value` W, by default 2147483647."""
    GARBAGE_FEED_IN = "garbage_feed_in"
    """The feed-in counter reads `value` kWh too much, by default 15."""
    ZERO_FEED_IN = "zero_feed_in"
    """The feed-in counter reads 0."""
    FORECAST_DOWN = "forecast_down"
    """The forecast service answers 429, too many requests."""
    CARBON_DOWN = "carbon_down"
    """The carbon service answers 503."""


DEFAULT_VALUE: Final = {
    Fault.GARBAGE_SOC: 150.0,
    Fault.GARBAGE_GRID: 2147483647.0,
    Fault.GARBAGE_FEED_IN: 15.0,
}


@dataclass(frozen=True, slots=True)
class FaultSetting:
    """One standing fault: its number, how often it still strikes, when it ends by itself."""

    value: float | None = None
    times: int | None = None
    until_s: float | None = None


@dataclass(slots=True)
class Faults:
    """The faults that stand; times are seconds since the plant began."""

    standing: dict[Fault, FaultSetting] = field(default_factory=dict)

    def on(
        self,
        fault: Fault,
        *,
        value: float | None = None,
        times: int | None = None,
        until_s: float | None = None,
    ) -> None:
        """Raise a fault, or change the one that stands."""
        if value is None:
            value = DEFAULT_VALUE.get(fault)
        self.standing[fault] = FaultSetting(value, times, until_s)

    def off(self, fault: Fault) -> None:
        """Clear a fault; one that does not stand is clear already."""
        self.standing.pop(fault, None)

    def clear(self) -> None:
        """Clear every fault."""
        self.standing.clear()

    def active(self, fault: Fault) -> bool:
        """Return whether a fault stands."""
        return fault in self.standing

    def value(self, fault: Fault) -> float | None:
        """Return the number of a standing fault, None where it does not stand."""
        setting = self.standing.get(fault)
        return None if setting is None else setting.value

    def swallows_stop(self, *, full_reset: bool) -> bool:
        """Return whether this stop goes unheard, and count it."""
        setting = self.standing.get(Fault.IGNORE_STOP)
        if setting is None:
            return False
        if setting.times is None:
            if full_reset:
                self.off(Fault.IGNORE_STOP)
            return not full_reset
        left = setting.times - 1
        if left > 0:
            self.standing[Fault.IGNORE_STOP] = FaultSetting(None, left, setting.until_s)
        else:
            self.off(Fault.IGNORE_STOP)
        return True

    def expire(self, now_s: float) -> None:
        """Clear the faults whose time is over."""
        for fault, setting in list(self.standing.items()):
            if setting.until_s is not None and now_s >= setting.until_s:
                self.off(fault)
