"""What the session machine is, what it is told, and what it asks for."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from ..models import (
    Blocker,
    Decision,
    EndReason,
    ErrorState,
    Instant,
    Observation,
    Origin,
    Session,
)
from .metering import CounterSum, ExportMeter


class Phase(StrEnum):
    """Where a session stands."""

    IDLE = "idle"
    STARTING = "starting"
    ACTIVE = "active"
    STOPPING = "stopping"


class WriteKind(StrEnum):
    """What can be asked of a battery."""

    POWER = "power"
    CUTOFF = "cutoff"
    DURATION = "duration"
    SWITCH_ON = "switch_on"
    SWITCH_OFF = "switch_off"
    FALLBACK_STOP = "fallback_stop"
    SMOTHER = "smother"
    """Smallest power and cutoff 100 %: the last resort where there is no fallback stop."""


# --- Commands: what the machine asks for ---


@dataclass(frozen=True, slots=True)
class Write:
    """A battery command. `value` is W, % or min by kind."""

    id: int
    epoch: int
    kind: WriteKind
    value: float = 0.0

    @property
    def stops(self) -> bool:
        """Whether the write belongs to a stop, which nothing may hold up."""
        return self.kind in (WriteKind.SWITCH_OFF, WriteKind.FALLBACK_STOP, WriteKind.SMOTHER)


@dataclass(frozen=True, slots=True)
class Raise:
    """An error begins to stand."""

    error: ErrorState
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Clear:
    """An error no longer stands."""

    error: ErrorState


class Answer(StrEnum):
    """How a request ended."""

    STARTED = "started"
    REFUSED = "refused"
    FAILED = "failed"
    CANCELLED = "cancelled"
    STOPPED = "stopped"
    UNPROVEN = "unproven"


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request; `blocker` says why a start was refused."""

    request_id: str
    answer: Answer
    blocker: Blocker | None = None
    error: ErrorState | None = None
    detail: str = ""
    session: Session | None = None
    proof: str | None = None


@dataclass(frozen=True, slots=True)
class Ended:
    """A session's end is proven."""

    session: Session


Command = Write | Raise | Clear | Reply | Ended


# --- Events: what the machine is told ---


@dataclass(frozen=True, slots=True)
class Observed:
    """A look at the world: a poll, a state change, or the guard's own tick."""

    observation: Observation


@dataclass(frozen=True, slots=True)
class StartRequested:
    """Somebody asks for a discharge; every limit given only lowers what is allowed."""

    observation: Observation
    request_id: str
    origin: Origin = Origin.MANUAL
    power_w: float | None = None
    energy_kwh: float | None = None
    duration_min: float | None = None


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody asks for a stop, whether or not anything runs."""

    observation: Observation
    reason: EndReason = EndReason.USER
    request_id: str | None = None
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """The verified result of a write."""

    now: Instant
    write: Write
    ok: bool
    detail: str = ""


Event = Observed | StartRequested | StopRequested | Answered


# --- State ---


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal under way: the write that is waited for, and what it will have armed."""

    write_id: int
    minutes: float
    asked: Instant


@dataclass(frozen=True, slots=True)
class Lease:
    """The battery's own dead-man timer as last armed."""

    minutes: float
    armed: Instant
    renewal: Renewal | None = None

    @property
    def renew_at(self) -> float:
        """Monotonic time of the renewal: half the lease."""
        return self.armed.mono + self.minutes * 30

    @property
    def expires_at(self) -> float:
        """Monotonic time at which the battery stops by itself."""
        return self.armed.mono + self.minutes * 60


@dataclass(frozen=True, slots=True)
class Starting:
    """A start under way: what is still to be written, and the write that is waited for."""

    request_id: str
    since: Instant
    todo: tuple[tuple[WriteKind, float], ...]
    awaiting: int
    lease_min: float
    switched_at: Instant | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the battery has shown since a stop was due, in reports newer than the command."""

    dispatch_reports: int = 0
    """Newest reports in a row that say 0; -1 when the newest says armed."""
    dispatch_at: datetime | None = None
    quiet_reports: int = 0
    """Newest reports in a row that show no discharge beyond what the house takes."""
    power_at: datetime | None = None
    heard: float | None = None
    """Monotonic time of the newest report of either."""
    listening: float | None = None
    """Since when the battery's power is heard without a pause (monotonic s)."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """A stop that is followed until it is proven."""

    reason: EndReason
    since: Instant
    attempts: int = 0
    last_attempt: float = 0.0
    deaf: bool = False
    """Nothing was heard from the battery around the last attempt."""
    alarmed: bool = False
    evidence: Evidence = Evidence()
    requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Watch:
    """Since when a condition has lasted (monotonic s); None while it does not hold."""

    blind: float | None = None
    soc_lost: float | None = None
    lagging: float | None = None
    disarmed: float | None = None
    incomplete: float | None = None
    stale: float | None = None
    ever_complete: bool = False
    switched: bool = False
    """The switch has read on since the session began."""


@dataclass(frozen=True, slots=True)
class State:
    """The whole controller. Everything that guards a battery is in here."""

    phase: Phase = Phase.IDLE
    epoch: int = 0
    """Raised by every stop: a write of an older epoch must not be carried out."""
    sequence: int = 0
    meter: ExportMeter = field(default_factory=ExportMeter)
    generation: tuple[CounterSum, ...] = ()
    decision: Decision | None = None
    last_soc: float | None = None
    """The last SOC that could be read (%)."""
    last_reserve: float | None = None
    ends_at: float | None = None
    """Monotonic time at which the session ends as asked for: no clock set back extends it."""
    session: Session | None = None
    last: Session | None = None
    starting: Starting | None = None
    lease: Lease | None = None
    stopping: Stopping | None = None
    watch: Watch = Watch()
    faults: frozenset[ErrorState] = frozenset()
    over_export_period: datetime | None = None
    cooldown_until: float = 0.0
    unbidden: int = 0
    """Reports in a row of a discharge that nobody here asked for."""
    unbidden_at: datetime | None = None
    aftermath_until: float = 0.0
    """Until then a discharge that shows up is the late effect of what was stopped."""
