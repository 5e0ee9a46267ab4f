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


class PeriodKind(StrEnum):
    """What time the contract's figure is of."""

    LOCAL_DAY = "local_day"
    ROLLING_24H = "rolling_24h"
    """The last 24 hours; only with the bases `generated` and `fixed`."""


class Kind(StrEnum):
    """What a session, or a window of the plan, does."""

    DISCHARGE = "discharge"
    CHARGE = "charge"


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
    CHARGE_START_FAILED = "charge_start_failed"
    BATTERY_NOT_RESPONDING = "battery_not_responding"
    OVER_EXPORT = "over_export"
    CHARGE_STOP_FAILED = "charge_stop_failed"
    STOP_FAILED = "discharge_stop_failed"


class EndReason(StrEnum):
    """Why a session ended."""

    TARGET_REACHED = "target_reached"
    HEADROOM_USED_UP = "headroom_used_up"
    SOC_FLOOR = "soc_floor"
    RESERVE_SOC = "reserve_soc"
    FULL = "full"
    PLANNED_END = "planned_end"
    WINDOW_END = "window_end"
    USER = "user"
    EXTERNAL = "external"
    BLIND_LIMIT = "blind_limit"
    BATTERY_NOT_FOLLOWING = "battery_not_following"
    OVER_EXPORT = "over_export"
    PV_COVERS_TARGET = "pv_covers_target"
    """The sun alone exports what is wanted: the battery would add to it, and not be charged."""
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
    """The role as the configuration names it, or "basis", "guard", "plan", "planner"."""
    why: str
    instead: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class SwitchReading:
    """A switch of the battery as it reads now; `on` is None while it cannot be read."""

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


class LoadSource(StrEnum):
    """What a load profile is made of."""

    STATISTICS = "statistics"
    CONFIGURED = "configured"


HALF_HOURS = 48
SATURDAY = 5


def is_weekend(local: datetime) -> bool:
    """Tell Saturday and Sunday from the workdays."""
    return local.weekday() >= SATURDAY


@dataclass(frozen=True, slots=True)
class LoadProfile:
    """The mean power (W) that the house draws in each half hour of the local day."""

    workday: tuple[float, ...]
    weekend: tuple[float, ...]
    source: LoadSource

    @classmethod
    def flat(cls, kwh_per_day: float) -> "LoadProfile":
        """Return a profile in which every half hour is the same."""
        day = (max(0.0, kwh_per_day) * 1000 / 24,) * HALF_HOURS
        return cls(day, day, LoadSource.CONFIGURED)

    @staticmethod
    def index(local: datetime) -> int:
        """Return which half hour of its day a local moment is in."""
        return 2 * local.hour + local.minute // 30

    def watts(self, local: datetime) -> float:
        """Return the power (W) at a local moment."""
        day = self.weekend if is_weekend(local) else self.workday
        return day[self.index(local)]


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything the sources say at one moment. An optional role is None when not configured."""

    soc: Reading
    export_counter: Reading
    pv_counters: tuple[Reading, ...]
    switch: SwitchReading
    charge_switch: SwitchReading | None = None
    """None where the controls of a charge are not all configured."""
    grid_power: Reading | None = None
    battery_power: Reading | None = None
    pv_power: Reading | None = None
    house_load: Reading | None = None
    dispatch_start: Reading | None = None
    reserve_soc: Reading | None = None
    forecast: Forecast | None = None
    carbon: Rates | None = None
    export_price: Rates | None = None
    import_price: Rates | None = None
    load_profile: LoadProfile | None = None
    """Learnt from statistics; None where only the configured figure is known."""
    conflicts: tuple[str, ...] = ()
    """Names of battery modes that are on, other than the two that we can command."""
    modes_known: bool = True
    """Every one of those modes can be read: one that cannot may be on."""
    sun_up: bool = True
    export_source: str | None = None
    """Which entity the export counter is, whatever its name; None where nobody knows yet."""
    pv_sources: tuple[str | None, ...] = ()
    """The same of the PV counters, in their order."""


@dataclass(frozen=True, slots=True)
class Settings:
    """The options of an entry in the engine's units."""

    target_export_w: float = 0.0
    min_soc: float = 20.0
    safety_margin_kwh: float = 0.5
    basis: Basis = Basis.FORECAST
    period: PeriodKind = PeriodKind.LOCAL_DAY
    fixed_limit_kwh: float = 0.0
    site_export_limit_w: float = 0.0
    inverter_limit_w: float = 0.0
    pv_peak_w: float = 5000.0
    battery_capacity_kwh: float = 10.0
    house_load_kwh_per_day: float = 8.0
    hardware_lease_min: float = 30.0
    blind_limit_min: float = 15.0
    duration_step_min: float = 5.0
    charge_duration_step_min: float = 5.0
    power_step_w: float = 100.0
    """What the battery's power can be set by."""
    most_power_w: float = 0.0
    """The largest power that it can be set to; 0 where that is unknown."""
    meter_step_kwh: float = 0.01
    daily_export_counter: bool = True
    daily_pv_counters: tuple[bool, ...] = (True,)
    fallback_stop: bool = False
    charge_power_w: float = 3680.0
    dry_run: bool = False
    """Decide and record, start nothing; stops always act."""
    timezone: tzinfo = UTC

    def lease_step_min(self, kind: Kind) -> float:
        """Return the step (min) of the battery's own timer for a kind of session."""
        charges = kind is Kind.CHARGE
        return self.charge_duration_step_min if charges else self.duration_step_min


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
    NO_CHARGE_CONTROL = "no_charge_control"
    SOC_FULL = "soc_full"
    COOLDOWN = "cooldown"
    SOC_NEAR_FLOOR = "soc_near_floor"
    DRY_RUN = "dry_run"


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
    over_kwh: float = 0.0
    """Counted export beyond the contract, as far as it is beyond doubt; negative below it."""
    charge_blocker: Blocker | None = Blocker.NO_CHARGE_CONTROL
    """The first reason why a charge up to full would be refused now."""


@dataclass(frozen=True, slots=True)
class MeterMark:
    """Where the export meter stood at a moment, on its own endless scales (kWh)."""

    reading: float = 0.0
    """The upper bound: the counter and the part between its ticks."""
    counter: float = 0.0
    flowed: float = 0.0


@dataclass(frozen=True, slots=True)
class Session:
    """One deliberate discharge or charge, from the request to the proven end."""

    id: str
    origin: Origin
    started: datetime
    power_w: float
    cutoff_soc: float
    """Where the battery itself ends it: the floor of a discharge, the target of a charge (%)."""
    meter_at_start: MeterMark
    target_w: float | None = None
    """Power wanted at the grid, which the battery's follows; None where nothing is followed."""
    energy_limit_kwh: float | None = None
    planned_end: datetime | None = None
    exported_kwh: float = 0.0
    charged_kwh: float = 0.0
    """What the battery has taken from the grid in a charge."""
    ended: datetime | None = None
    reason: EndReason | None = None
    note: str | None = None
    """What the person who stopped it gave as the reason."""
    kind: Kind = Kind.DISCHARGE
    window_end: datetime | None = None
    """End of the plan's window that it runs in, None where nobody planned it."""
    proof: str | None = None
    """What proved the stop: `dispatch`, `battery_power` or `switch`."""

    @property
    def last_moment(self) -> datetime | None:
        """When it ends at the latest: as asked for, or with its window."""
        ends = [end for end in (self.planned_end, self.window_end) if end is not None]
        return min(ends, default=None)


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
