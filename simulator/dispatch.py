"""The inverter's dispatch: nine registers, a timer of its own, a latched cutoff."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator import registers as reg
from simulator.settings import TimeZero

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.settings import PlantSettings

MICROSECONDS = 1_000_000
_AT_CUTOFF = 1e-6  # %; nearer than a step of 1 µs can aim
_CUTOFF_RELEASE = 1.0  # % above the cutoff before a cut-off discharge may go on; no chatter


@dataclass(frozen=True, slots=True)
class Order:
    """What the battery is told: W (+ discharge) down, or up, to a SOC in %."""

    power_w: float
    cutoff_soc: float | None


class Dispatch:
    """Register block 0x0880 and what it makes the inverter do; times in µs of plant time."""

    def __init__(self, settings: PlantSettings) -> None:
        """Start with nothing dispatched."""
        self._settings = settings
        self.words = list(reg.RESET_BLOCK)
        self.order: Order | None = None
        self.deadline_us: int | None = None
        self._effective_us: int | None = None
        self._standing: Order | None = None
        self._cut_off = False

    @property
    def started(self) -> bool:
        """Return whether the inverter holds a dispatch, obeyed by the battery yet or not."""
        return self._standing is not None

    def write(self, offset: int, values: Sequence[int], now_us: int) -> None:
        """Take words at an offset of the block, and act on what they say."""
        was_started = self.started
        self.words[offset : offset + len(values)] = values
        touched = range(offset, offset + len(values))
        if self.words[reg.START] == 0:
            if was_started:
                self._give(None, now_us)
            return
        if not was_started and reg.START not in touched:
            return
        if not was_started or (reg.TIME + 1 in touched and self._settings.rearms_on_time_write):
            self._arm(now_us)
        self._give(self._read_order(), now_us)

    def _arm(self, now_us: int) -> None:
        """Set the inverter's own timer from the time registers."""
        seconds = reg.from_u32(self.words[reg.TIME : reg.TIME + 2])
        endless = seconds == 0 and self._settings.time_zero is TimeZero.ENDLESS
        self.deadline_us = None if endless else now_us + seconds * MICROSECONDS

    def _read_order(self) -> Order:
        power = reg.from_u32(self.words[reg.POWER : reg.POWER + 2]) - reg.POWER_ZERO
        by_soc = self.words[reg.MODE] == reg.MODE_SOC_CONTROL
        return Order(power, self.words[reg.CUTOFF] * reg.CUTOFF_STEP if by_soc else None)

    def _give(self, order: Order | None, now_us: int) -> None:
        """Make an order stand; the battery hears of it after the latency."""
        self._standing = order
        if order is None:
            self.deadline_us = None
        self._effective_us = now_us + round(self._settings.latency_s * MICROSECONDS)
        self.settle(now_us)

    def settle(self, now_us: int) -> None:
        """Let through what has come due: an order after its latency, the end of the timer."""
        if self.deadline_us is not None and now_us >= self.deadline_us:
            if self._settings.clears_start_at_end:
                self.words[reg.START] = 0
            self._standing = self.deadline_us = None
            self._effective_us = now_us
        if self._effective_us is not None and now_us >= self._effective_us:
            if self.order != self._standing:
                self._cut_off = False
            self.order = self._standing
            self._effective_us = None

    def next_event_us(self) -> int | None:
        """Return when something comes due by itself."""
        due = [at for at in (self.deadline_us, self._effective_us) if at is not None]
        return min(due, default=None)

    def cut_off(self, soc: float) -> bool:
        """Return whether the order has reached its cutoff, with hysteresis."""
        order = self.order
        if order is None or order.cutoff_soc is None or order.power_w == 0:
            return False
        left = (soc - order.cutoff_soc) * (1 if order.power_w > 0 else -1)
        self._cut_off = left <= _AT_CUTOFF or (self._cut_off and left < _CUTOFF_RELEASE)
        return self._cut_off

    @property
    def cutoff_ahead(self) -> float | None:
        """Return the SOC (%) at which the running order must stop, None without one."""
        return None if self.order is None or self._cut_off else self.order.cutoff_soc
