"""Schedules as data: one house, what its people do, and what breaks when.

A schedule is all that a run depends on, so that both drivers, the shrinker and a regression test
can replay it. Times are whole seconds since the integration was set up.
"""

from dataclasses import dataclass, fields
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from zoneinfo import ZoneInfo

from custom_components.export_monitor.models import Basis, Kind

ZONE = ZoneInfo("Europe/London")
RECOVERY_S = 135  # Healthy within two minutes after the last fault, and some looks beyond


class FaultKind(StrEnum):
    """Every fault that specification page 3 names for the campaign."""

    SENSOR_UNAVAILABLE = "sensor unavailable"
    SENSOR_UNKNOWN = "sensor unknown"
    SENSOR_MISSING = "sensor missing"
    SENSOR_GARBAGE = "sensor garbage"
    SENSOR_NAN = "sensor not a number"
    SENSOR_OUT_OF_RANGE = "sensor out of range"
    SENSOR_FROZEN = "sensor frozen"
    SENSOR_SILENT = "sensor silent"
    SENSOR_JUMPING = "sensor jumping"
    SENSOR_LATE = "sensor late"
    SERVICE_RAISES = "service raises"
    SERVICE_HANGS = "service hangs"
    SERVICE_IGNORED = "service without effect"
    SERVICE_SLOW = "service slow"
    LINK_DOWN = "link down"
    LINK_HANGS = "link hangs"
    WRITES_IGNORED = "inverter ignores writes"
    STOP_IGNORED = "inverter ignores stops"
    COUNTERS_FROZEN = "counters frozen"
    USER_SWITCHES_OFF = "user switches off"
    USER_SWITCHES_ON = "user switches on"
    OTHER_MODE = "other mode started"
    RESTART = "restart"
    RELOAD = "reload"
    KILL = "kill"
    CLOCK_JUMP = "clock jump"
    DST_NIGHT = "DST night"
    COUNTERS_RESET = "counters reset"
    FORECAST_COLLAPSES = "forecast collapses"
    STORAGE_FAILS = "storage fails"


SENSOR_KINDS = tuple(kind for kind in FaultKind if kind.name.startswith("SENSOR_"))
SERVICE_KINDS = tuple(kind for kind in FaultKind if kind.name.startswith("SERVICE_"))
INVERTER_KINDS = (
    FaultKind.LINK_DOWN,
    FaultKind.LINK_HANGS,
    FaultKind.WRITES_IGNORED,
    FaultKind.STOP_IGNORED,
)
# A battery that is not told, or does not listen, goes on: what it then exports no guard prevents.
COMMAND_KINDS = frozenset({*SERVICE_KINDS, *INVERTER_KINDS})
DOWN_KINDS = frozenset({FaultKind.RESTART, FaultKind.KILL})
CALENDAR_KINDS = frozenset({FaultKind.DST_NIGHT, FaultKind.COUNTERS_RESET})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that breaks for a while.

    `target` is a role (sensors), a service's entity role (services), or a mode; `value` is what
    the kind takes: seconds late or slow, a jump's size, the clock's step, the share of a forecast.
    """

    kind: FaultKind
    at: int
    duration: int = 0
    target: str = ""
    value: float = 0.0

    @property
    def until(self) -> int:
        """The second in which it is over."""
        return self.at + self.duration


@dataclass(frozen=True, slots=True)
class Settings:
    """A house as it is and as it is configured. Powers W, energies kWh, SOC %, times s or min."""

    begin: datetime = datetime(2026, 6, 21, 21, tzinfo=ZONE)
    kind: Kind = Kind.DISCHARGE
    """What people here ask for; the controls of a charge are configured where it is one."""
    soc: float = 80.0
    capacity_kwh: float = 10.0
    load_w: float = 500.0
    pv_w: float = 0.0
    generated_before: float = 0.0
    """PV energy that the day had before the integration was set up."""
    basis: Basis = Basis.FIXED
    contract_kwh: float = 0.8
    """What the day may export, when set up: the fixed figure, the PV so far, or with forecast."""
    margin_kwh: float = 0.5
    target_w: float = 4000.0
    site_limit_w: float = 0.0
    kettle_s: int = 0
    """How long a kettle is on, and off, in turn; 0: there is none."""
    min_soc: float = 20.0
    lease_min: float = 10.0
    lifetime_counters: bool = False
    absent: tuple[str, ...] = ()
    """Optional roles that are not configured."""
    service_s: int = 0
    write_s: float = 0.1
    reset_s: float = 0.3
    jitter_s: float = 0.0
    latency_s: float = 0.0
    ramp_w_per_s: float | None = None
    resets_s: tuple[float, float] = (0.0, 0.0)
    """How long after midnight the meters of export and of PV reset."""
    sells_itself_out: bool = True
    """Whether the battery holds at its cutoff instead of going back to self-use."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A whole run."""

    seed: int = 0
    settings: Settings = Settings()
    start_at: int = 75
    """First request for a session; repeated while nothing runs."""
    start_tries: int = 3
    retry_s: int = 45
    energy_kwh: float | None = None
    duration_min: float | None = None
    stop_at: int | None = None
    faults: tuple[Fault, ...] = ()
    length: int = 420
    """Seconds until everything is expected to be over; recovery comes on top."""

    @property
    def total(self) -> int:
        """Seconds of the whole run: the last fault is followed until all must be well."""
        return max(self.length, *(fault.until for fault in self.faults), 0) + RECOVERY_S

    def source(self) -> str:
        """Return the schedule as Python, with what differs from the defaults."""
        return _source(self)


def _source(value: object) -> str:
    if isinstance(value, FaultKind | Basis | Kind):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, datetime):
        return f'datetime.fromisoformat("{value.replace(tzinfo=None)}").replace(tzinfo=ZONE)'
    if isinstance(value, tuple):
        return "(" + "".join(f"{_source(item)}, " for item in value).rstrip(" ") + ")"
    if isinstance(value, Fault | Settings | Schedule):
        plain = type(value)(FaultKind.KILL, 0) if isinstance(value, Fault) else type(value)()
        given = [
            f"{f.name}={_source(getattr(value, f.name))}"
            for f in fields(value)
            if (isinstance(value, Fault) and f.name in ("kind", "at"))
            or getattr(value, f.name) != getattr(plain, f.name)
        ]
        return f"{type(value).__name__}({', '.join(given)})"
    return repr(value)


def begin_before(day: date, at: int, moment: time = time.min) -> datetime:
    """Return when to begin so that a wall clock's moment falls `at` seconds into the run."""
    there = datetime.combine(day, moment, ZONE)
    # Through UTC: wall time itself skips or repeats an hour in the nights that this is for.
    utc = there.astimezone(ZoneInfo("UTC")) - timedelta(seconds=at)
    return utc.astimezone(ZONE)
