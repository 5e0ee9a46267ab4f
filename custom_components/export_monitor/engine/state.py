"""What the session machine is, what it is told, and what it asks for."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from ..models import (
    Blocker,
    Decision,
    EndReason,
    ErrorState,
    Instant,
    Kind,
    Observation,
    Origin,
    Session,
)
from .counter import CounterSum
from .metering import ExportMeter
from .rolling import Rolling


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
    """Smallest power, and a cutoff that leaves nothing to do: the last resort where there is no
    fallback stop."""


# --- Commands: what the machine asks for ---


@dataclass(frozen=True, slots=True)
class Write:
    """A battery command. `value` is W, % or min by kind."""

    id: int
    epoch: int
    kind: WriteKind
    value: float = 0.0
    mode: Kind = Kind.DISCHARGE
    """Whose controls are meant: those of the discharge, or those of the charge."""

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
    """Somebody asks for a session; every limit given only lowers what is allowed."""

    observation: Observation
    request_id: str
    origin: Origin = Origin.MANUAL
    power_w: float | None = None
    energy_kwh: float | None = None
    duration_min: float | None = None
    kind: Kind = Kind.DISCHARGE
    until: datetime | None = None
    """End of the window that the plan starts it for."""
    soc: float | None = None
    """SOC (%) at which a charge is to end; None: full."""


@dataclass(frozen=True, slots=True)
class StopRequested:
    """Somebody asks for a stop, whether or not anything runs."""

    observation: Observation
    reason: EndReason = EndReason.USER
    request_id: str | None = None
    note: str | None = None
    kind: Kind = Kind.DISCHARGE
    """What to switch off where nothing of ours runs; what runs is stopped in any case."""


@dataclass(frozen=True, slots=True)
class Revised:
    """A new plan gives the running automatic session other limits; no start, so no reply."""

    observation: Observation
    energy_kwh: float
    """Of the whole session."""
    until: datetime
    """End of its window."""


@dataclass(frozen=True, slots=True)
class Answered:
    """The verified result of a write."""

    now: Instant
    write: Write
    ok: bool
    detail: str = ""


Event = Observed | StartRequested | StopRequested | Revised | Answered


# --- State ---


@dataclass(frozen=True, slots=True)
class Renewal:
    """A renewal under way: the write that is waited for, and what it will have armed."""

    write_id: int
    minutes: float
    asked: Instant


APART_S = 3.0  # AlphaESS drops a trigger within 2 s of another
REARM_S = 2.0  # a changed number was seen to reach the inverter after up to 1.7 s


@dataclass(frozen=True, slots=True)
class Lease:
    """The battery's own dead-man timer as last armed."""

    minutes: float
    armed: Instant
    renewal: Renewal | None = None
    rearmed: Instant | None = None
    """A power written meanwhile may have started the battery's own timer anew, not the package's:
    AlphaESS writes all registers of a dispatch at once."""

    @property
    def renew_at(self) -> float:
        """Monotonic time of the renewal: half the lease."""
        return self.armed.mono + self.minutes * 30

    @property
    def expires_at(self) -> float:
        """Monotonic time at which the battery stops by itself, at the earliest."""
        return self.armed.mono + self.minutes * 60

    @property
    def latest_end_utc(self) -> datetime:
        """Wall time by which the battery has stopped by itself, whatever was under way."""
        ends = [self.armed.utc + timedelta(minutes=self.minutes)]
        if self.renewal is not None:
            ends.append(self.renewal.asked.utc + timedelta(minutes=self.renewal.minutes))
        if self.rearmed is not None:
            ends.append(self.rearmed.utc + timedelta(minutes=self.minutes, seconds=REARM_S))
        return max(ends)

    @property
    def latest_end(self) -> float:
        """Monotonic time by which the battery has stopped by itself."""
        if self.rearmed is None:
            return self.expires_at
        return max(self.armed.mono, self.rearmed.mono + REARM_S) + self.minutes * 60


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
class Modulation:
    """How the power of a running session is being moved.

    What the battery has been told is between `least_w` and the session's own power: they differ
    while a write is under way, and after one that failed.
    """

    least_w: float | None = None
    write_id: int | None = None
    """The write that is waited for."""
    wanted_w: float = 0.0
    asked_at: float | None = None
    """Monotonic time of the last write."""
    answered_at: float | None = None
    must: bool = False
    """It is to bring down what the grid sees: without it the session cannot go on."""
    retry_at: float = 0.0
    """Not before then, in no hurry: a write has failed (monotonic s)."""
    over_site: float | None = None
    """Since when the grid sees more than the site may export (monotonic s)."""
    over_target: float | None = None
    """Since when it sees more than is wanted although the battery gives its least."""

    def raises(self, write_id: int) -> bool:
        """Whether a write that is waited for may give the battery more power than before."""
        before = self.least_w
        return write_id == self.write_id and before is not None and self.wanted_w > before

    def busy(self, mono: float) -> bool:
        """Whether another write would meet the last one (monotonic s)."""
        last = self.asked_at if self.answered_at is None else self.answered_at
        return self.write_id is not None or (last is not None and mono - last < APART_S)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the battery has shown since a stop was due, in reports newer than the command."""

    dispatch_reports: int = 0
    """Newest reports in a row that say 0; -1 when the newest says armed."""
    dispatch_at: datetime | None = None
    quiet_reports: int = 0
    """Newest reports in a row that show nothing but what the battery does by itself."""
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
    kind: Kind = Kind.DISCHARGE
    attempts: int = 0
    last_attempt: float = 0.0
    deaf: bool = False
    """Nothing was heard from the battery around the last attempt."""
    seen_off: bool = False
    """The switch has read off since the last attempt: on again is somebody's, and new."""
    alarmed: bool = False
    evidence: Evidence = Evidence()
    requests: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Intake:
    """What a charge draws from the grid (W), and when that was seen (monotonic s)."""

    at: float
    grid_w: float


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
    intake: Intake | None = None
    last: Session | None = None
    starting: Starting | None = None
    lease: Lease | None = None
    stopping: Stopping | None = None
    modulation: Modulation = Modulation()
    rolling: Rolling | None = None
    """The last 24 hours, where the period is those."""
    watch: Watch = Watch()
    faults: frozenset[ErrorState] = frozenset()
    over_export_period: datetime | None = None
    cooldown_until: float = 0.0
    unbidden: int = 0
    """Reports in a row of a discharge that nobody here asked for."""
    unbidden_at: datetime | None = None
    aftermath_until: float = 0.0
    """Until then what shows up is the late effect of what was stopped."""
    aftermath_of: Kind = Kind.DISCHARGE
    cut_start: bool = False
    """It was a start that was stopped: its command to switch on may still arrive."""

    @property
    def kind(self) -> Kind:
        """What runs or is being stopped: a discharge where nothing is."""
        if self.session is not None:
            return self.session.kind
        return Kind.DISCHARGE if self.stopping is None else self.stopping.kind
