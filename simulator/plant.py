"""The plant: sun, house, battery, inverter and meter under simulated time.

Pure and deterministic: time passes only in `Plant.advance`, in steps that end exactly where
something changes (a timer, a meter tick, a full or empty battery), so nothing is smeared.
"""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

from simulator import registers as reg
from simulator.dispatch import MICROSECONDS, Dispatch
from simulator.faults import Fault, Faults
from simulator.meters import WH_US_PER_KWH, Energies, Flow, Meters
from simulator.settings import (
    AtCutoff,
    IllegalAddressError,
    LinkDownError,
    LinkHangError,
    PlantSettings,
    RegisterWrite,
    Truth,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_WEATHER_US = 5 * MICROSECONDS  # sun and house stand still for this long
_RAMP_STEP_US = MICROSECONDS // 10
_SNAP_KWH = 1e-9  # a µs at 5 kW is 1.4e-9 kWh: nearer to full or empty there is no step to take


class Plant:
    """A house with PV, a battery and an Alpha ESS inverter.

    `pv_w` and `load_w` replace the sun and the house while they are set (W). `faults` break it.
    `writes` keeps the last thousand register writes.
    """

    def __init__(self, settings: PlantSettings | None = None) -> None:
        """Start at the settings' wall clock with nothing dispatched."""
        self.settings = settings or PlantSettings()
        self.faults = Faults()
        self.writes: deque[RegisterWrite] = deque(maxlen=1000)
        self._start_utc = self.settings.start.astimezone(UTC)
        self._zone = self.settings.start.tzinfo
        self._now_us = 0
        self._stored_kwh = self.settings.capacity_kwh * self.settings.soc / 100
        self._meters = Meters(self.settings)
        self._dispatch = Dispatch(self.settings)
        self._pv_w: float | None = None
        self._load_w: float | None = None
        self._weather_slot = -1
        self._weather = (0.0, 0.0)
        self._flash = dict.fromkeys(reg.FLASH_BACKED, 100)
        self._blocks = self._register_blocks()
        self._battery_w = 0.0
        self._known_flow: Flow | None = None
        self._battery_w = self._flow().battery
        self._known_flow = None

    # What can be asked and set

    @property
    def elapsed_s(self) -> float:
        """Return the seconds since the plant began."""
        return self._now_us / MICROSECONDS

    @property
    def now(self) -> datetime:
        """The plant's wall clock, in the zone of its settings, right across a DST change.

        Setting it moves the sun and the house; timers and meters go on as they were.
        """
        return (self._start_utc + timedelta(seconds=self.elapsed_s)).astimezone(self._zone)

    @now.setter
    def now(self, moment: datetime) -> None:
        self._start_utc = moment.astimezone(UTC) - timedelta(seconds=self.elapsed_s)
        self._weather_slot = -1
        self._known_flow = None

    @property
    def soc(self) -> float:
        """State of charge, %; settable."""
        return self._stored_kwh / self.settings.capacity_kwh * 100

    @soc.setter
    def soc(self, percent: float) -> None:
        self._stored_kwh = self.settings.capacity_kwh * min(max(percent, 0.0), 100.0) / 100
        self._known_flow = None

    @property
    def pv_w(self) -> float | None:
        """PV power that replaces the sun, W; None gives the sun back."""
        return self._pv_w

    @pv_w.setter
    def pv_w(self, watts: float | None) -> None:
        self._pv_w = watts
        self._weather_slot = -1
        self._known_flow = None

    @property
    def load_w(self) -> float | None:
        """House load that replaces the profile, W; None gives the profile back."""
        return self._load_w

    @load_w.setter
    def load_w(self, watts: float | None) -> None:
        self._load_w = watts
        self._weather_slot = -1
        self._known_flow = None

    def truth(self) -> Truth:
        """Return what really happens at this moment."""
        flow, meters, dispatch = self._flow(), self._meters.energies, self._dispatch
        remaining = None
        if dispatch.deadline_us is not None:
            remaining = (dispatch.deadline_us - self._now_us) / MICROSECONDS
        return Truth(
            time=self.now,
            elapsed_s=self.elapsed_s,
            soc=self.soc,
            pv_w=flow.pv,
            load_w=flow.load,
            battery_w=flow.battery,
            grid_w=flow.grid,
            exported_kwh=meters.exported,
            imported_kwh=meters.imported,
            generated_kwh=meters.generated,
            consumed_kwh=meters.consumed,
            charged_kwh=meters.charged,
            discharged_kwh=meters.discharged,
            dispatch_active=dispatch.started,
            dispatch_power_w=dispatch.order.power_w if dispatch.order else 0.0,
            dispatch_remaining_s=remaining,
        )

    # Time

    def advance(self, dt_s: float) -> None:
        """Let seconds pass, to the microsecond."""
        until = self._now_us + round(dt_s * MICROSECONDS)
        self._settle()
        while self._now_us < until:
            flow = self._flow()
            step = min(until, self._next_change_us(flow)) - self._now_us
            self._integrate(flow, step)
            self._now_us += step
            self._settle()

    def _settle(self) -> None:
        """Let happen what is due now."""
        self._known_flow = None
        self._dispatch.settle(self._now_us)
        self.faults.expire(self.elapsed_s)
        self._meters.settle(self._now_us, frozen=self.faults.active(Fault.FREEZE_COUNTERS))

    def _next_change_us(self, flow: Flow) -> int:
        """Return the next moment at which the flow may change by itself."""
        now = self._now_us
        changes = [now - now % _WEATHER_US + _WEATHER_US]
        if (event := self._dispatch.next_event_us()) is not None:
            changes.append(event)
        if self._meters.next_tick_us is not None:
            changes.append(self._meters.next_tick_us)
        if (expiry := self._next_fault_end_us()) is not None:
            changes.append(expiry)
        ramps = self.settings.ramp_w_per_s is not None
        if ramps and flow.battery != self._wanted_w(flow.pv, flow.load):
            changes.append(now + _RAMP_STEP_US)
        if (edge := self._battery_edge_us(flow.battery)) is not None:
            changes.append(now + edge)
        return max(min(changes), now + 1)

    def _next_fault_end_us(self) -> int | None:
        ends = [s.until_s for s in self.faults.standing.values() if s.until_s is not None]
        return round(min(ends) * MICROSECONDS) if ends else None

    def _battery_edge_us(self, battery_w: float) -> int | None:
        """Return how long until the battery is full, at its floor or at a cutoff."""
        rate = self._storage_rate(battery_w)
        if rate == 0.0:
            return None
        settings = self.settings
        levels = [100.0 if rate > 0 else 0.0]
        if rate < 0:
            levels.append(settings.soc_floor)
        if (cutoff := self._dispatch.cutoff_ahead) is not None:
            levels.append(cutoff)
        gaps = [settings.capacity_kwh * level / 100 - self._stored_kwh for level in levels]
        times = [gap / rate for gap in gaps if gap * rate > 0 and abs(gap) > _SNAP_KWH]
        return int(min(times)) + 1 if times else None

    # Physics

    def _storage_rate(self, battery_w: float) -> float:
        """Return how fast the cells fill, kWh per µs, for a power at the AC side."""
        if battery_w > 0:
            return -battery_w / self.settings.discharge_efficiency / WH_US_PER_KWH
        return -battery_w * self.settings.charge_efficiency / WH_US_PER_KWH

    def _sun_and_house(self) -> tuple[float, float]:
        slot = self._now_us // _WEATHER_US
        if slot != self._weather_slot:
            self._weather_slot = slot
            moment, settings = self.now, self.settings
            self._weather = (
                settings.sun.power_w(moment) if self._pv_w is None else self._pv_w,
                settings.house.power_w(moment) if self._load_w is None else self._load_w,
            )
        return self._weather

    def _flow(self) -> Flow:
        """Return the powers of this moment, worked out once for all that read them."""
        if self._known_flow is None:
            self._known_flow = self._work_out_flow()
        return self._known_flow

    def _work_out_flow(self) -> Flow:
        """Work the powers out; PV that finds no way out is clipped."""
        pv, load = self._sun_and_house()
        battery = self._bounded(self._ramped(self._wanted_w(pv, load)), pv, 0.0)
        pv = min(pv, self.settings.inverter_limit_w - battery)
        return Flow(pv, load, battery, load - pv - battery)

    def _ramped(self, wanted_w: float) -> float:
        if self.settings.ramp_w_per_s is None:
            return wanted_w
        reach = self.settings.ramp_w_per_s * _RAMP_STEP_US / MICROSECONDS
        return min(max(wanted_w, self._battery_w - reach), self._battery_w + reach)

    def _wanted_w(self, pv_w: float, load_w: float) -> float:
        """Return the battery power that dispatch or self-use asks for, inside every limit."""
        order = self._dispatch.order
        if order is not None and not self._dispatch.cut_off(self.soc):
            return self._bounded(order.power_w, pv_w, 0.0)
        if order is not None and self.settings.at_cutoff is AtCutoff.HOLD:
            return 0.0
        return self._bounded(load_w - pv_w, pv_w, self.settings.soc_floor)

    def _bounded(self, watts: float, pv_w: float, floor: float) -> float:
        """Cut a battery power to what cells, battery and inverter can do."""
        settings = self.settings
        if watts > 0:
            if self._stored_kwh <= settings.capacity_kwh * floor / 100 + _SNAP_KWH:
                return 0.0
            return max(min(watts, settings.discharge_limit_w, settings.inverter_limit_w - pv_w), 0)
        if self._stored_kwh >= settings.capacity_kwh - _SNAP_KWH:
            return 0.0
        return max(watts, -settings.charge_limit_w, -settings.inverter_limit_w - pv_w)

    def _integrate(self, flow: Flow, step_us: int) -> None:
        """Add a step's energies."""
        self._meters.add(flow, step_us / WH_US_PER_KWH)
        stored = self._stored_kwh + self._storage_rate(flow.battery) * step_us
        self._stored_kwh = min(max(stored, 0.0), self.settings.capacity_kwh)
        self._battery_w = flow.battery

    # Registers

    def read(self, address: int, count: int) -> list[int]:
        """Return words as a Modbus client sees them.

        Raises LinkDownError, LinkHangError (the faults), IllegalAddressError.
        """
        self._check_link()
        block = self._blocks.get(address)
        if block is not None and len(words := block()) == count:
            return words
        offset = address - reg.DISPATCH
        if 0 <= offset <= reg.DISPATCH_LENGTH - count:
            return list(self._dispatch.words[offset : offset + count])
        image = self.image()
        try:
            return [image[at] for at in range(address, address + count)]
        except KeyError as error:
            raise IllegalAddressError(address, count) from error

    def write(self, address: int, values: Sequence[int]) -> None:
        """Take words as from a Modbus client. Raises what `read` raises."""
        self._check_link()
        offset = address - reg.DISPATCH
        in_block = offset >= 0 and offset + len(values) <= reg.DISPATCH_LENGTH
        if not in_block and not (len(values) == 1 and address in self._flash):
            raise IllegalAddressError(address, len(values))
        obeyed = not self.faults.active(Fault.IGNORE_WRITES)
        if obeyed and offset == reg.START and values[0] == 0:
            # Our own package opens a full reset by clearing the start register alone.
            obeyed = not self.faults.swallows_stop(full_reset=len(values) == 1)
        self.writes.append(RegisterWrite(self.elapsed_s, address, tuple(values), obeyed))
        if obeyed and in_block:
            self._dispatch.write(offset, values, self._now_us)
        elif obeyed:
            self._flash[address] = values[0]
        self._known_flow = None

    def _check_link(self) -> None:
        if self.faults.active(Fault.DROP):
            raise LinkDownError
        if self.faults.active(Fault.HANG):
            raise LinkHangError

    def image(self) -> dict[int, int]:
        """Return every register by its address, garbage included, link or no link."""
        words = ((base, block()) for base, block in self._blocks.items())
        return {base + i: word for base, block in words for i, word in enumerate(block)}

    def _register_blocks(self) -> dict[int, Callable[[], list[int]]]:
        """Return what stands at each address that something begins at."""
        blocks: dict[int, Callable[[], list[int]]] = {
            reg.FEED_IN: lambda: reg.u32(reg.truncated(self._exported_kwh(), 0.01)),
            reg.CONSUMED: lambda: reg.u32(reg.truncated(self._imported_kwh(), 0.01)),
            reg.GRID_POWER: lambda: reg.i32(self._grid_w()),
            reg.PV_METER_ENERGY: lambda: reg.u32(reg.truncated(self._generated_kwh(), 0.01)),
            reg.PV_METER_POWER: lambda: reg.i32(round(self._flow().pv)),
            reg.SOC: lambda: reg.u16(reg.truncated(self._soc_percent(), 0.1)),
            reg.BATTERY_POWER: lambda: reg.i16(round(self._flow().battery)),
            reg.PV_ENERGY: lambda: reg.u32(reg.truncated(self._generated_kwh(), 0.1)),
            reg.DISPATCH: lambda: list(self._dispatch.words),
        }
        for number, address in enumerate(reg.PV_STRINGS):
            blocks[address] = partial(self._string, number)
        for address in reg.FLASH_BACKED:
            blocks[address] = partial(self._flash_word, address)
        return blocks

    def _grid_w(self) -> float:
        garbage = self.faults.value(Fault.GARBAGE_GRID)
        return round(self._flow().grid) if garbage is None else garbage

    def _soc_percent(self) -> float:
        garbage = self.faults.value(Fault.GARBAGE_SOC)
        return self.soc if garbage is None else garbage

    def _string(self, number: int) -> list[int]:
        """Return a PV input's power; two strings share the sun, the other two are empty."""
        pv = round(self._flow().pv)
        return reg.u32((pv // 2, pv - pv // 2, 0, 0)[number])

    def _flash_word(self, address: int) -> list[int]:
        return [self._flash[address]]

    def _exported_kwh(self) -> float:
        """Return lifetime export as its counter has it."""
        if self.faults.active(Fault.ZERO_FEED_IN):
            return 0.0
        surplus = self.faults.value(Fault.GARBAGE_FEED_IN) or 0.0
        return self._counted().exported + self.settings.lifetime_exported_kwh + surplus

    def _imported_kwh(self) -> float:
        return self._counted().imported + self.settings.lifetime_imported_kwh

    def _generated_kwh(self) -> float:
        return self._counted().generated + self.settings.lifetime_generated_kwh

    def _counted(self) -> Energies:
        return self._meters.counted(frozen=self.faults.active(Fault.FREEZE_COUNTERS))
