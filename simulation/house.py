"""A house with sun, battery and meters, fast enough for a year.

The simulator's plant keeps time to the microsecond for the sake of faults and registers. This one
knows only what a year needs: exact energies between moments at which nothing changes, counters
that tick once a minute in coarse steps, and the battery's own timer and cutoff.
"""

from dataclasses import dataclass, field
from math import floor, sqrt

from custom_components.export_monitor.models import Kind

from .weather import House

JOULES_PER_KWH = 3.6e6
TINY_KWH = 1e-12
EXPORT_STEP_KWH = 0.01
PV_STEP_KWH = 0.1


@dataclass(slots=True)
class Energies:
    """Sums since the beginning (kWh), past every resolution."""

    exported: float = 0.0
    imported: float = 0.0
    generated: float = 0.0
    consumed: float = 0.0
    charged: float = 0.0
    discharged: float = 0.0
    lost: float = 0.0


@dataclass(slots=True)
class Dispatch:
    """What the battery has been told to do, until its own timer ends it."""

    kind: Kind
    power_w: float
    until_s: float
    cutoff_soc: float


@dataclass(slots=True)
class Plant:
    """Powers (W) of the present moment, the battery, and all sums."""

    house: House
    stored_kwh: float
    now_s: float = 0.0
    pv_w: float = 0.0
    load_w: float = 0.0
    sums: Energies = field(default_factory=Energies)
    dispatch: Dispatch | None = None
    battery_w: float = 0.0
    grid_w: float = 0.0
    _way: float = 0.0

    @classmethod
    def of(cls, house: House) -> "Plant":
        """Return the house at its beginning."""
        return cls(house, house.capacity_kwh * house.first_soc / 100, _way=sqrt(house.efficiency))

    @property
    def soc(self) -> float:
        """State of charge (%)."""
        return self.stored_kwh / self.house.capacity_kwh * 100

    def weather(self, pv_w: float, load_w: float) -> None:
        """Let sun and house take other powers."""
        self.pv_w, self.load_w = pv_w, load_w
        self._flow()

    def tell(self, dispatch: Dispatch | None) -> None:
        """Begin, change or end a dispatch."""
        self.dispatch = dispatch
        self._flow()

    def advance(self, seconds: float) -> None:
        """Let time pass, in steps that end where the flow changes by itself."""
        left = seconds
        while left > 0:
            self._flow()
            step = min(left, self._edge())
            self._integrate(step)
            left -= step
            self.now_s += step
        self._flow()

    def _flow(self) -> None:
        dispatch, house = self.dispatch, self.house
        if dispatch is not None and self.now_s >= dispatch.until_s - 1e-9:
            self.dispatch = dispatch = None
        wanted = self.load_w - self.pv_w
        if dispatch is not None:
            wanted = self._ordered(dispatch)
        lowest = house.floor_soc if dispatch is None else 0.0
        room = max(0.0, house.inverter_w - self.pv_w)
        if wanted > 0:
            empty = self.stored_kwh <= house.capacity_kwh * lowest / 100 + TINY_KWH
            self.battery_w = 0.0 if empty else min(wanted, house.battery_w, room)
        else:
            full = self.stored_kwh >= house.capacity_kwh - TINY_KWH
            self.battery_w = 0.0 if full else max(wanted, -house.battery_w)
        self.grid_w = self.load_w - self.pv_w - self.battery_w

    def _ordered(self, dispatch: Dispatch) -> float:
        """Return what a dispatch asks for; at its cutoff the battery holds."""
        held = self.stored_kwh / self.house.capacity_kwh * 100
        if dispatch.kind is Kind.DISCHARGE:
            return dispatch.power_w if held > dispatch.cutoff_soc + 1e-9 else 0.0
        sun = max(0.0, self.pv_w - self.load_w)
        return -(dispatch.power_w + sun) if held < dispatch.cutoff_soc - 1e-9 else 0.0

    def _edge(self) -> float:
        """Return how long (s) the present flow can last at most."""
        longest = 3600.0
        dispatch, capacity = self.dispatch, self.house.capacity_kwh
        if dispatch is not None:
            longest = max(1e-6, dispatch.until_s - self.now_s)
        if self.battery_w == 0:
            return longest
        if self.battery_w > 0:
            rate = self.battery_w / self._way
            level = self.house.floor_soc if dispatch is None else dispatch.cutoff_soc
            gap = self.stored_kwh - capacity * level / 100
        else:
            rate = -self.battery_w * self._way
            level = 100.0 if dispatch is None else dispatch.cutoff_soc
            gap = capacity * (level if dispatch and dispatch.kind is Kind.CHARGE else 100) / 100
            gap -= self.stored_kwh
        return min(longest, max(gap * JOULES_PER_KWH / rate, 1e-6))

    def _integrate(self, seconds: float) -> None:
        kwh = seconds / JOULES_PER_KWH
        sums = self.sums
        sums.generated += self.pv_w * kwh
        sums.consumed += self.load_w * kwh
        if self.grid_w > 0:
            sums.imported += self.grid_w * kwh
        else:
            sums.exported -= self.grid_w * kwh
        moved = self.battery_w * kwh
        if moved > 0:
            sums.discharged += moved
            self.stored_kwh -= moved / self._way
            sums.lost += moved / self._way - moved
        elif moved < 0:
            sums.charged -= moved
            self.stored_kwh -= moved * self._way
            sums.lost -= moved * (1 - self._way)


@dataclass(slots=True)
class Counter:
    """A daily energy counter: truncated to its step, told once a minute, 0 at midnight."""

    step_kwh: float
    shown: float = 0.0
    _base: float = 0.0

    def tick(self, total: float) -> None:
        """Show what has passed since midnight."""
        self.shown = floor((total - self._base) / self.step_kwh + 1e-9) * self.step_kwh

    def reset(self, total: float) -> None:
        """Begin a day."""
        self._base = total
        self.shown = 0.0
