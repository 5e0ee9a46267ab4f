"""Carrying a plan out: which session to ask for now, and what became of every window.

A step function like the session machine, so that the same one runs in Home Assistant and in the
simulated year: `conduct` looks and wishes, `answered` takes the answer to a start. It never guards:
the machine ends a session by itself at its energy and at its window's end.

A plan is made anew while its window runs, and always speaks of what is still to come. So a window
is followed by its overlap with the one of the plan before, not by its start.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from ..models import Blocker, EndReason, ErrorState, Kind, Origin, Session
from .models import Plan, Window

RETRY = timedelta(seconds=60)
AFTER_FAILURE = timedelta(minutes=5)
MOST_FAILURES = 3
SHORTEST = timedelta(minutes=5)
"""A new plan drops what is left of a window when that is less."""
NEAR = timedelta(minutes=10)
"""A session is not stopped for a window that begins so soon."""
LEAST_TIME = timedelta(seconds=60)
OVERDUE = timedelta(seconds=30)
LEAST_AGAIN_KWH = 0.1
REVISED_KWH = 0.05
REVISED_TIME = timedelta(seconds=60)


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


@dataclass(frozen=True, slots=True)
class Execution:
    """What is remembered from one look to the next."""

    run: Run | None = None
    upcoming: tuple[Window, ...] = ()
    """Windows that have not begun under any plan."""
    looked: datetime | None = None


@dataclass(slots=True)
class _Turn:
    """One look in the making."""

    look: Look
    run: Run | None
    wishes: list[Wish]
    outcomes: list[Outcome]

    def tell(
        self,
        fate: Fate,
        window: Window,
        reason: str | None,
        energy_kwh: float = 0.0,
        session_id: str | None = None,
    ) -> None:
        self.outcomes.append(Outcome(fate, window, self.look.now, reason, energy_kwh, session_id))


def conduct(
    execution: Execution, plan: Plan | None, look: Look
) -> tuple[Execution, tuple[Wish, ...], tuple[Outcome, ...]]:
    """Return what is to be remembered, what is wished now, and what became of windows.

    `plan` None: there is none at present; what runs goes on to its own end.
    """
    turn = _Turn(look, execution.run, [], [])
    _tell_missed(turn, execution)
    _notice_end(turn)
    _follow(turn, plan)
    if look.session is not None:
        _oversee(turn, look.session, plan)
    else:
        _pursue(turn)
    if plan is None:
        upcoming = tuple(window for window in execution.upcoming if window.end > look.now)
    else:
        upcoming = tuple(window for window in plan.windows if window.start > look.now)
    remembered = Execution(turn.run, upcoming, look.now)
    return remembered, tuple(turn.wishes), tuple(turn.outcomes)


def answered(
    execution: Execution, replied: Replied, now: datetime
) -> tuple[Execution, tuple[Outcome, ...]]:
    """Take the answer to the start that was wished last."""
    run = execution.run
    if run is None or not run.asked:
        return execution, ()
    run = replace(run, asked=False)
    if replied.session_id is not None:
        run = replace(run, session_id=replied.session_id, sessions=run.sessions + 1, told=None)
        outcome = Outcome(Fate.STARTED, run.window, now, session_id=replied.session_id)
        return replace(execution, run=run), (outcome,)
    if replied.cancelled:
        run = replace(run, closed_until=run.window.end, told=EndReason.START_CANCELLED)
        outcome = Outcome(Fate.SKIPPED, run.window, now, EndReason.START_CANCELLED)
        return replace(execution, run=run), (outcome,)
    if replied.blocker is not None:
        before, reason = run.told, replied.blocker
        quiet = reason in BRIEF or reason == before
        run = replace(run, told=before if reason in BRIEF else reason, not_before=now + RETRY)
        refused = () if quiet else (Outcome(Fate.REFUSED, run.window, now, reason),)
        return replace(execution, run=run), refused
    error = replied.error or ErrorState.START_FAILED
    run = _failed(run, error, now)
    return replace(execution, run=run), (Outcome(Fate.FAILED, run.window, now, error),)


def resumed(execution: Execution) -> Execution:
    """Return a stored execution as it goes on after a restart: no start is answered any more."""
    run = execution.run
    return execution if run is None else replace(execution, run=replace(run, asked=False))


def delivered(session: Session) -> float:
    """Return what a session has exported, or charged from the grid, so far (kWh)."""
    return session.charged_kwh if session.kind is Kind.CHARGE else session.exported_kwh


def next_look(execution: Execution, plan: Plan | None, now: datetime) -> datetime | None:
    """Return the next moment at which `conduct` may have something to say by itself."""
    moments = [moment for moment in _moments(execution, plan) if moment > now]
    return min(moments, default=None)


def _moments(execution: Execution, plan: Plan | None) -> Iterator[datetime]:
    for window in (*execution.upcoming, *(() if plan is None else plan.windows)):
        yield window.start
        yield window.end
    run = execution.run
    if run is not None:
        yield run.window.end
        if run.session_id is not None:
            yield run.window.end + OVERDUE
        for moment in (run.not_before, run.closed_until):
            if moment is not None:
                yield moment


def _tell_missed(turn: _Turn, execution: Execution) -> None:
    looked = execution.looked
    for window in execution.upcoming:
        if window.end <= turn.look.now and turn.look.enabled(window.kind):
            seen = looked is not None and looked >= window.start
            turn.tell(Fate.MISSED, window, NO_PLAN if seen else NOT_LOOKED)


def _notice_end(turn: _Turn) -> None:
    """Take note that the session has ended, and decide whether its window gets another."""
    run, look = turn.run, turn.look
    if run is None or run.session_id is None:
        return
    if look.session is not None and look.session.id == run.session_id:
        return
    last = look.last if look.last is not None and look.last.id == run.session_id else None
    energy, reason = (0.0, None) if last is None else (delivered(last), _reason(last))
    fate = Fate.FAILED if reason in FAILURES else Fate.ENDED
    turn.tell(fate, run.window, reason, energy, run.session_id)
    run = replace(run, session_id=None, counted_kwh=run.counted_kwh + energy, plan_after=look.now)
    if reason == SWITCHED_OFF:
        run = replace(run, told=SWITCHED_OFF)
    elif reason in BY_SOMEBODY:
        run = replace(run, closed_until=run.window.end)
    elif reason in FAILURES:
        run = _failed(run, str(reason), look.now)
    turn.run = run


def _reason(session: Session) -> str | None:
    """Return why a session ended; the switch that stopped it may be turned on again."""
    return SWITCHED_OFF if session.note == SWITCHED_OFF else session.reason


def _failed(run: Run, reason: str, now: datetime) -> Run:
    """Return the run after a failure: tried again, but not for ever."""
    failures = run.failures + 1
    return replace(
        run,
        failures=failures,
        told=reason,
        not_before=now + AFTER_FAILURE * failures,
        closed_until=run.window.end if failures >= MOST_FAILURES else run.closed_until,
    )


def _follow(turn: _Turn, plan: Plan | None) -> None:
    """Find the window that is due, and tell whether it is the one of the look before."""
    run, look = turn.run, turn.look
    if run is not None and (run.asked or run.session_id is not None):
        due = _continued(plan, run, look.now)
        turn.run = run if due is None else _renewed(run, due, look)
        return
    due = _due(plan, look.now)
    if run is not None and due is not None and _same(run, due):
        turn.run = _renewed(run, due, look)
        return
    if run is not None and plan is None and look.now < run.window.end:
        return  # a plan may come back
    if run is not None and run.sessions == 0 and run.told in AGAINST:
        turn.tell(Fate.MISSED, run.window, run.told)
    turn.run = None if due is None else Run(due, look.planned_at)


def _due(plan: Plan | None, now: datetime) -> Window | None:
    """Return the window of a plan that it is time for."""
    windows = () if plan is None else plan.windows
    return next((window for window in windows if window.start <= now < window.end), None)


def _continued(plan: Plan | None, run: Run, now: datetime) -> Window | None:
    """Return the window of a plan that a running session goes on in."""
    for window in () if plan is None else plan.windows:
        if window.kind is not run.window.kind or now >= window.end:
            continue
        if window.start <= now or (now < run.window.end and window.start - NEAR <= now):
            return window
    return None


def _same(run: Run, due: Window) -> bool:
    return due.kind is run.window.kind and due.start <= run.window.end


def _renewed(run: Run, due: Window, look: Look) -> Run:
    if run.planned_at == look.planned_at:
        return replace(run, window=due)
    done = run.counted_kwh
    if look.session is not None and look.session.id == run.session_id:
        done += delivered(look.session)
    return replace(run, window=due, planned_at=look.planned_at, base_kwh=done)


def _oversee(turn: _Turn, session: Session, plan: Plan | None) -> None:
    """Deal with the session that there is: ours is revised or stopped, others are let be."""
    run, look = turn.run, turn.look
    if session.origin is not Origin.AUTOMATIC:
        if run is not None and not run.asked and run.session_id is None:
            _skip(turn, run, MANUAL_SESSION, run.window.end)
        return
    if look.stopping:
        return
    if not look.enabled(session.kind):
        turn.wishes.append(Stop(EndReason.USER, SWITCHED_OFF))
        return
    if run is not None and run.session_id is None and not run.asked:
        run = _taken_up(turn, run, session)
    due = None if run is None else _continued(plan, run, look.now)
    if run is None or due is None:
        _outrun(turn, session, plan)
    elif run.session_id == session.id and _differs(run, due, session):
        turn.wishes.append(Revise(_delivered_before(run) + due.energy_kwh, due.end))


def _delivered_before(run: Run) -> float:
    """Return what the running session had delivered when the newest plan was made."""
    return max(0.0, run.base_kwh - run.counted_kwh)


def _taken_up(turn: _Turn, run: Run, session: Session) -> Run | None:
    """Go on with an automatic session of before a restart, if this is its window."""
    if run.window.kind is not session.kind:
        return None
    base = run.counted_kwh + delivered(session)
    turn.run = replace(run, session_id=session.id, sessions=run.sessions + 1, base_kwh=base)
    return turn.run


def _differs(run: Run, due: Window, session: Session) -> bool:
    """Whether the newest plan wants another energy or end than the session has."""
    limit, end = session.energy_limit_kwh, session.window_end
    wanted = _delivered_before(run) + due.energy_kwh
    if limit is None or abs(wanted - limit) > REVISED_KWH:
        return True
    return end is None or abs(end - due.end) > REVISED_TIME


def _outrun(turn: _Turn, session: Session, plan: Plan | None) -> None:
    """Stop a session whose window the new plan no longer has, or whose window has passed."""
    now, end = turn.look.now, session.window_end
    dropped = plan is not None and (end is None or end - now > SHORTEST)
    if dropped or (end is not None and now >= end + OVERDUE):
        turn.wishes.append(Stop(EndReason.WINDOW_END))


def _skip(turn: _Turn, run: Run, reason: str, until: datetime | None) -> None:
    fate = Fate.WOULD_HAVE_STARTED if reason == DRY_RUN else Fate.SKIPPED
    if run.told != reason:
        turn.tell(fate, run.window, reason)
    turn.run = replace(run, told=reason, closed_until=until)


def _pursue(turn: _Turn) -> None:
    """Wish for the session of the window that is due, unless something speaks against it."""
    run, look = turn.run, turn.look
    if run is None or run.asked or run.session_id is not None:
        return
    now, window = look.now, run.window
    if not window.start <= now < window.end - LEAST_TIME:
        return
    if any(moment is not None and now < moment for moment in (run.closed_until, run.not_before)):
        return
    if not look.enabled(window.kind):
        _skip(turn, run, SWITCHED_OFF, None)
        return
    if look.dry_run:
        _skip(turn, run, DRY_RUN, None)
        return
    if run.plan_after is not None and (look.planned_at is None or look.planned_at < run.plan_after):
        return
    left = window.energy_kwh - (run.counted_kwh - run.base_kwh)
    if left <= 0 or (run.sessions > 0 and left < _worth_again(window)):
        return
    turn.wishes.append(Start(window, left, window.end))
    turn.run = replace(run, asked=True)


def _worth_again(window: Window) -> float:
    """Return the least energy (kWh) for which a window is taken up again."""
    return max(LEAST_AGAIN_KWH, window.power_w * SHORTEST.total_seconds() / 3.6e6)
