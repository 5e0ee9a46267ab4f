"""The frozen values that travel between the rooms; free of Home Assistant.

Energies are kWh, powers W, SOC %, times aware UTC. A power is positive in the direction its
name says: `grid` import, `battery` discharge.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum


class Basis(StrEnum):
    """What the contract's figure is made of."""

    FORECAST = "forecast"
    CONSERVATIVE = "conservative"
    GENERATED = "generated"
    FIXED = "fixed"


class ErrorState(StrEnum):
    """States of `sensor.export_monitor_error_state`, from the least to the most severe."""

    NONE = "none"
    MODE_CONFLICT = "mode_conflict"
    STALE_DATA = "stale_data"
    NO_DATA = "no_data"
    SOC_READ_FAILED = "soc_read_failed"
    POWER_SET_FAILED = "discharge_power_set_failed"
    CUTOFF_SET_FAILED = "discharge_cutoff_set_failed"
    DURATION_SET_FAILED = "discharge_duration_set_failed"
    START_FAILED = "discharge_start_failed"
    BATTERY_NOT_RESPONDING = "battery_not_responding"
    OVER_EXPORT = "over_export"
    STOP_FAILED = "discharge_stop_failed"


class EndReason(StrEnum):
    """Why a discharge session ended."""

    TARGET_REACHED = "target_reached"
    HEADROOM_USED_UP = "headroom_used_up"
    SOC_FLOOR = "soc_floor"
    RESERVE_SOC = "reserve_soc"
    PLANNED_END = "planned_end"
    USER = "user"
    EXTERNAL = "external"
    BLIND_LIMIT = "blind_limit"
    BATTERY_NOT_FOLLOWING = "battery_not_following"
    OVER_EXPORT = "over_export"
    RENEWAL_FAILED = "renewal_failed"
    UNLOAD = "unload"
    START_FAILED = "start_failed"
    START_CANCELLED = "start_cancelled"


class Origin(StrEnum):
    """Who asked for a session."""

    MANUAL = "manual"
    AUTOMATIC = "automatic"
    ADOPTED = "adopted"


@dataclass(frozen=True, slots=True)
class Instant:
    """One moment on both clocks: wall time for people and reports, monotonic for durations."""

    utc: datetime
    mono: float


@dataclass(frozen=True, slots=True)
class Reading:
    """A validated measurement. `problem` says why it must not be used; None means it may."""

    value: float | None
    reported: datetime | None = None
    problem: str | None = None

    @property
    def usable(self) -> bool:
        """Whether a decision may rest on the value."""
        return self.problem is None and self.value is not None


@dataclass(frozen=True, slots=True)
class Degraded:
    """Something that works worse than it could, and what is done instead."""

    what: str
    """The role as the configuration names it, "basis" or "guard"."""
    why: str
    instead: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SwitchReading:
    """The battery's discharge switch as it reads now; `on` is None while it cannot be read."""

    on: bool | None
    reported: datetime | None = None


@dataclass(frozen=True, slots=True)
class Slot:
    """Mean PV power (W) forecast for one interval at the 10th, 50th and 90th percentile."""

    start: datetime
    end: datetime
    p10_w: float
    p50_w: float
    p90_w: float

    def watts(self, percentile: int) -> float:
        """Return the power at percentile 10, 50 or 90."""
        if percentile == 10:  # noqa: PLR2004 - percentiles name themselves
            return self.p10_w
        return self.p90_w if percentile == 90 else self.p50_w  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Quantiles:
    """An energy (kWh) at three percentiles."""

    p10: float
    p50: float
    p90: float

    def at(self, percentile: int) -> float:
        """Return the energy at percentile 10, 50 or 90."""
        if percentile == 10:  # noqa: PLR2004
            return self.p10
        return self.p90 if percentile == 90 else self.p50  # noqa: PLR2004


@dataclass(frozen=True, slots=True)
class Rate:
    """A value that holds for an interval: carbon intensity (g CO2/kWh) or price (currency/kWh)."""

    start: datetime
    end: datetime
    value: float
    index: str | None = None
    """What the source calls it: "low", "very high"."""


@dataclass(frozen=True, slots=True)
class Rates:
    """What an optional source of rates says: slots in order without overlap."""

    slots: tuple[Rate, ...]
    index: str | None = None
    """The present index of a source that says no more than that."""
    cached_since: datetime | None = None
    """When the source was lost; None while it is live."""


@dataclass(frozen=True, slots=True)
class Forecast:
    """PV to come: slots in order and without overlap, totals of one local day."""

    slots: tuple[Slot, ...] = ()
    total_today: Quantiles | None = None
    remaining_today: Quantiles | None = None
    valid_from: datetime | None = None
    """Start of the local day that the totals speak of."""
    cached_since: datetime | None = None
    """When the source was lost; None while it is live."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything the sources say at one moment. An optional role is None when not configured."""

    soc: Reading
    export_counter: Reading
    pv_counters: tuple[Reading, ...]
    switch: SwitchReading
    grid_power: Reading | None = None
    battery_power: Reading | None = None
    pv_power: Reading | None = None
    house_load: Reading | None = None
    dispatch_start: Reading | None = None
    reserve_soc: Reading | None = None
    forecast: Forecast | None = None
    carbon: Rates | None = None
    conflicts: tuple[str, ...] = ()
    """Names of battery modes other than forced discharge that are on."""
    modes_known: bool = True
    """Every other mode can be read: one that cannot may be on."""
    sun_up: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of an entry in the engine's units."""

    target_export_w: float = 0.0
    min_soc: float = 20.0
    safety_margin_kwh: float = 0.5
    basis: Basis = Basis.FORECAST
    fixed_limit_kwh: float = 0.0
    site_export_limit_w: float = 0.0
    inverter_limit_w: float = 0.0
    pv_peak_w: float = 5000.0
    battery_capacity_kwh: float = 10.0
    house_load_kwh_per_day: float = 8.0
    hardware_lease_min: float = 30.0
    blind_limit_min: float = 15.0
    duration_step_min: float = 5.0
    meter_step_kwh: float = 0.01
    daily_export_counter: bool = True
    daily_pv_counters: tuple[bool, ...] = (True,)
    fallback_stop: bool = False
    timezone: tzinfo = UTC


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at the world: what the session machine decides on."""

    now: Instant
    readings: Readings
    settings: Settings
    battery_circuit_open: bool = False
    update_circuit_open: bool = False
    data_stale: bool = False
    """The coordinator's own data is older than its limit."""


class Blocker(StrEnum):
    """Why a start is refused, in the order in which it is checked."""

    TARGET_ZERO = "target_zero"
    CIRCUIT_OPEN = "circuit_open"
    NO_DATA = "no_data"
    STALE_DATA = "stale_data"
    SOC_MISSING = "soc_missing"
    COUNTER_NOT_SEEN = "counter_not_seen"
    COUNTER_UNKNOWN = "counter_unknown"
    SOC_AT_FLOOR = "soc_at_floor"
    SOC_AT_RESERVE = "soc_at_reserve"
    NO_HEADROOM = "no_headroom"
    MODE_CONFLICT = "mode_conflict"
    ALREADY_RUNNING = "already_running"
    STOP_IN_PROGRESS = "stop_in_progress"


@dataclass(frozen=True, slots=True)
class Decision:
    """How much may still be exported, and what stands in the way. Energies kWh."""

    basis: Basis
    """The basis really used: `generated` where a forecast is asked for but none is known."""
    contract: float
    allowance: float
    exported: float
    counted: float
    """Export so far as the upper bound that decisions use, between meter ticks too."""
    generated: float
    natural: float
    """PV export to come by itself if the battery is left alone."""
    natural_known: bool
    headroom: float
    export_left: float
    """Headroom if the battery were bottomless (kWh): what the contract alone leaves."""
    floor_soc: float
    power_w: float
    duration_min: float
    fault: Blocker | None = None
    """What is wrong with the data; None when it is complete, fresh and valid."""
    blocker: Blocker | None = None
    """The first reason why a start would be refused now."""


@dataclass(frozen=True, slots=True)
class MeterMark:
    """Where the export meter stood at a moment, on its own endless scales (kWh)."""

    reading: float = 0.0
    """The upper bound: the counter and the part between its ticks."""
    counter: float = 0.0
    flowed: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """One deliberate discharge, from the request to the proven end."""

    id: str
    origin: Origin
    started: datetime
    power_w: float
    cutoff_soc: float
    meter_at_start: MeterMark
    energy_limit_kwh: float | None = None
    planned_end: datetime | None = None
    exported_kwh: float = 0.0
    ended: datetime | None = None
    reason: EndReason | None = None
    note: str | None = None
    """What the person who stopped it gave as the reason."""
    proof: str | None = None
    """What proved the stop: `dispatch`, `battery_power` or `switch`."""


@dataclass(frozen=True, slots=True)
class StandingError:
    """An error that has been raised and not cleared."""

    state: ErrorState
    since: datetime
    detail: str = ""
    entity_id: str | None = None
    occurrences: int = 1


@dataclass(frozen=True, slots=True)
class PastError:
    """One line of the error history."""

    state: ErrorState
    at: datetime
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Errors:
    """All errors that stand, and the last ones raised (newest last)."""

    standing: tuple[StandingError, ...] = ()
    history: tuple[PastError, ...] = field(default=())
