"""What is seen, wished and remembered when a plan is carried out, and what became of its windows.

The words of `execution`, shared with all that shows them.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from ..models import Blocker, EndReason, ErrorState, Kind, Session
from .models import Window

LEAST_ADDED_W = 300.0  # the planner's slowest discharge (`models.BatteryState.least_w`)


class Fate(StrEnum):
    """What became of a window; the types of the activity event."""

    STARTED = "started"
    ENDED = "ended"
    SKIPPED = "skipped"
    REFUSED = "refused"
    FAILED = "failed"
    MISSED = "missed"
    WOULD_HAVE_STARTED = "would_have_started"


SWITCHED_OFF = "switched_off"
DRY_RUN = "dry_run"
MANUAL_SESSION = "manual_session"
NOT_LOOKED = "not_running"
"""Nobody looked while the window passed: Home Assistant was down."""
NO_PLAN = "no_plan"
"""There was no plan when the window's time came: what it is made from was gone."""
SUN_ENOUGH = "sun_enough"
"""The sun alone gives what is to be exported, so the session would end at once."""

# What passes by itself within minutes is not worth an event.
BRIEF = frozenset({Blocker.COOLDOWN, Blocker.STOP_IN_PROGRESS})
BY_SOMEBODY = frozenset({EndReason.USER, EndReason.EXTERNAL, EndReason.START_CANCELLED})
AGAINST = frozenset({*Blocker, *ErrorState} - {Blocker.DRY_RUN})
FAILURES = frozenset(
    {
        EndReason.START_FAILED,
        EndReason.BATTERY_NOT_FOLLOWING,
        EndReason.RENEWAL_FAILED,
        EndReason.BLIND_LIMIT,
        EndReason.OVER_EXPORT,
    }
)


@dataclass(frozen=True, slots=True)
class Look:
    """What is known at one moment. Times are aware UTC."""

    now: datetime
    planned_at: datetime | None = None
    """When the plan was made."""
    session: Session | None = None
    """The session that is being started, runs, or is being stopped."""
    stopping: bool = False
    last: Session | None = None
    """The session that ended last."""
    auto_discharge: bool = False
    auto_charge: bool = False
    dry_run: bool = False
    surplus_w: float | None = None
    """PV beyond the house's load now; None while that cannot be seen."""
    target_w: float = 0.0
    """The power at which export is wanted."""

    @property
    def sun_suffices(self) -> bool:
        """Whether a discharge would find next to nothing to add to the sun."""
        if self.surplus_w is None or self.target_w <= 0:
            return False
        return self.surplus_w > max(self.target_w / 2, self.target_w - LEAST_ADDED_W)

    def enabled(self, kind: Kind) -> bool:
        """Whether windows of a kind are to be carried out."""
        return self.auto_discharge if kind is Kind.DISCHARGE else self.auto_charge


@dataclass(frozen=True, slots=True)
class Start:
    """Wish: a session (origin automatic) for a window. It is to be answered with `answered`."""

    window: Window
    energy_kwh: float
    """What is left of the window's energy."""
    until: datetime
    """The window's end."""

    @property
    def kind(self) -> Kind:
        """Whether to discharge or to charge."""
        return self.window.kind


@dataclass(frozen=True, slots=True)
class Stop:
    """Wish: end the running session, which is an automatic one. `note` says more."""

    reason: EndReason
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Revise:
    """Wish: let the running session go on to other limits, as the new plan has them."""

    energy_kwh: float
    """Of the whole session, what it has delivered included."""
    until: datetime


type Wish = Start | Stop | Revise


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a window."""

    fate: Fate
    window: Window
    at: datetime
    reason: str | None = None
    """A `Blocker`, `EndReason` or `ErrorState`, or one of the words of this module."""
    energy_kwh: float = 0.0
    """What the session has delivered."""
    session_id: str | None = None


@dataclass(frozen=True, slots=True)
class Replied:
    """The answer to a start: it runs, or was refused by a blocker, or has failed."""

    session_id: str | None = None
    """Of the session that runs now."""
    blocker: Blocker | None = None
    error: ErrorState | None = None
    cancelled: bool = False
    """Somebody stopped it before it ran."""


@dataclass(frozen=True, slots=True)
class Run:
    """The window that is due, through all its plans and attempts. Energies kWh."""

    window: Window
    """As the newest plan has it."""
    planned_at: datetime | None
    counted_kwh: float = 0.0
    """Delivered by sessions that have ended."""
    base_kwh: float = 0.0
    """Delivered when the newest plan was made: its energy is on top of it."""
    asked: bool = False
    """A start is being answered."""
    session_id: str | None = None
    sessions: int = 0
    failures: int = 0
    told: str | None = None
    """The last reason against a start."""
    not_before: datetime | None = None
    """When to try again."""
    plan_after: datetime | None = None
    """Only a plan that was made later knows whether there is more to do."""
    closed_until: datetime | None = None
    """The rest of the window as it stood when it was given up."""
    stopped: bool = False
    """Somebody gave it up: it stays closed, too, for as long as new plans stretch it."""
    day_end: datetime | None = None
    """End of the local day, at which what somebody wanted ends at the latest."""
    brief: str | None = None
    """The last reason against a start that was not worth telling."""
    resumed_at: datetime | None = None
    """When it was taken up after a restart of Home Assistant."""


@dataclass(frozen=True, slots=True)
class Execution:
    """What is remembered from one look to the next."""

    run: Run | None = None
    upcoming: tuple[Window, ...] = ()
    """Windows that have not begun under any plan."""
    looked: datetime | None = None
