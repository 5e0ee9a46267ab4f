"""What kind of plant it is: sizes, limits, and the answers real hardware still owes us."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum

from simulator.profiles import House, Sun


class AtCutoff(StrEnum):
    """What a forced discharge does once the cutoff SOC is reached, until its time is over."""

    HOLD = "hold"
    SELF_USE = "self_use"


class TimeZero(StrEnum):
    """What a dispatch of 0 seconds means."""

    ENDS = "ends"
    ENDLESS = "endless"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlantSettings:
    """Sizes and habits of a plant; every one can differ on real hardware.

    Powers are W at the AC side, energies kWh, efficiencies one-way shares, SOC %.
    """

    start: datetime = datetime(2026, 6, 21, tzinfo=UTC)
    """The plant's wall clock at its beginning; its zone decides where its days begin."""

    soc: float = 50.0
    capacity_kwh: float = 10.0
    charge_limit_w: float = 5000.0
    discharge_limit_w: float = 5000.0
    charge_efficiency: float = 0.95
    discharge_efficiency: float = 0.95
    inverter_limit_w: float = 5000.0
    soc_floor: float = 4.0
    """Self-use leaves the battery alone below this; a dispatch goes down to its own cutoff."""

    sun: Sun = field(default_factory=Sun)
    house: House = field(default_factory=House)

    latency_s: float = 0.0
    """From a register write to the battery's first move (the inverter's own timer has none)."""
    ramp_w_per_s: float | None = None
    """How fast the battery's power moves; None is at once."""

    counter_tick_s: float = 60.0
    """Counters move in ticks of this length; 0 reads them live."""
    counter_phase_s: float = 0.0
    """When, after the plant's beginning, the first tick falls; 0 is one whole tick later."""
    lifetime_exported_kwh: float = 1500.0
    lifetime_imported_kwh: float = 2400.0
    lifetime_generated_kwh: float = 9000.0

    at_cutoff: AtCutoff = AtCutoff.HOLD
    rearms_on_time_write: bool = True
    """Whether writing the time of a running dispatch starts its timer anew."""
    time_zero: TimeZero = TimeZero.ENDS
    clears_start_at_end: bool = True
    """Whether the start register falls to 0 when the dispatch ends by its own timer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Truth:
    """What really happens in the plant, past every meter's resolution and every fault.

    Powers are W, energies kWh since the plant began, not the counters' lifetime sums.
    """

    time: datetime
    elapsed_s: float
    soc: float
    pv_w: float
    load_w: float
    battery_w: float
    """Positive is discharge."""
    grid_w: float
    """Positive is import."""
    exported_kwh: float
    imported_kwh: float
    generated_kwh: float
    consumed_kwh: float
    charged_kwh: float
    """At the AC side, before losses."""
    discharged_kwh: float
    dispatch_active: bool
    dispatch_power_w: float
    dispatch_remaining_s: float | None
    """None without a dispatch, and for one without an end."""


@dataclass(frozen=True, slots=True)
class RegisterWrite:
    """A write as it reached the inverter: seconds since the plant began, and what became of it."""

    at_s: float
    address: int
    values: tuple[int, ...]
    obeyed: bool


class LinkDownError(ConnectionError):
    """The inverter cannot be reached."""


class LinkHangError(TimeoutError):
    """The inverter took the request and never answered."""


class IllegalAddressError(LookupError):
    """No such register."""
