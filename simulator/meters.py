"""What flows, and the counters that sum it up in ticks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from simulator.dispatch import MICROSECONDS

if TYPE_CHECKING:
    from simulator.settings import PlantSettings

WH_US_PER_KWH = 3600.0 * MICROSECONDS * 1000.0  # W x microseconds to the kWh


class Flow(NamedTuple):
    """Powers that hold until the next step, W; battery + discharge, grid + import."""

    pv: float
    load: float
    battery: float
    grid: float


@dataclass(slots=True)
class Energies:
    """Energies since the plant began, kWh; charged and discharged at the AC side."""

    exported: float = 0.0
    imported: float = 0.0
    generated: float = 0.0
    consumed: float = 0.0
    charged: float = 0.0
    discharged: float = 0.0


class Meters:
    """True energies, and what the counters show of them; times in microseconds of plant time."""

    def __init__(self, settings: PlantSettings) -> None:
        """Start at 0; the first tick comes after the settings' phase."""
        self.energies = Energies()
        self.next_tick_us: int | None = None
        self._shown = Energies()
        self._tick_us = round(settings.counter_tick_s * MICROSECONDS)
        if self._tick_us > 0:
            first_s = settings.counter_phase_s or settings.counter_tick_s
            self.next_tick_us = round(first_s * MICROSECONDS)

    def add(self, flow: Flow, kwh_per_w: float) -> None:
        """Add what flowed during a step whose length is given in kWh for one W."""
        energies = self.energies
        energies.generated += flow.pv * kwh_per_w
        energies.consumed += flow.load * kwh_per_w
        energies.imported += max(flow.grid, 0.0) * kwh_per_w
        energies.exported += max(-flow.grid, 0.0) * kwh_per_w
        energies.discharged += max(flow.battery, 0.0) * kwh_per_w
        energies.charged += max(-flow.battery, 0.0) * kwh_per_w

    def settle(self, now_us: int, *, frozen: bool) -> None:
        """Tick when it is time; a frozen counter lets the tick pass."""
        if self.next_tick_us is None or now_us < self.next_tick_us:
            return
        self.next_tick_us += ((now_us - self.next_tick_us) // self._tick_us + 1) * self._tick_us
        if not frozen:
            self._shown = replace(self.energies)

    def counted(self, *, frozen: bool) -> Energies:
        """Return the energies as the counters show them, before their resolution."""
        if self.next_tick_us is None and not frozen:
            self._shown = replace(self.energies)
        return self._shown
