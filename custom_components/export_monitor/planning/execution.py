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

from ..models import EndReason, ErrorState, Kind, Origin, Session
from .fates import (
    AGAINST,
    BRIEF,
    BY_SOMEBODY,
    DRY_RUN,
    FAILURES,
    MANUAL_SESSION,
    NO_PLAN,
    NOT_LOOKED,
    SUN_ENOUGH,
    SWITCHED_OFF,
    Execution,
    Fate,
    Look,
    Outcome,
    Replied,
    Revise,
    Run,
    Start,
    Stop,
    Wish,
)
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
SUN_GONE = timedelta(minutes=10)
"""For so long the sun must have been too little before the battery is to add to it."""
SUN_UNSEEN = timedelta(minutes=30)
"""The same where nothing shows how much sun there is: a slot of the forecast."""
RESETTING = timedelta(minutes=5)
"""For so long after a start an end from outside is taken for the battery's own reset."""
SET_BACK = timedelta(seconds=60)


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
    turn = _Turn(look, _timely(execution, look.now), [], [])
    _tell_missed(turn, execution)
    _notice_end(turn)
    _follow(turn, plan)
    if look.session is not None:
        _oversee(turn, look.session, plan)
    else:
        _pursue(turn, plan)
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
        run = _given_up(run, told=EndReason.START_CANCELLED)
        outcome = Outcome(Fate.SKIPPED, run.window, now, EndReason.START_CANCELLED)
        return replace(execution, run=run), (outcome,)
    if replied.blocker is not None:
        before, reason = run.told, replied.blocker
        quiet = reason in BRIEF or reason == before
        run = replace(run, told=before if reason in BRIEF else reason, not_before=now + RETRY)
        run = replace(run, brief=reason if reason in BRIEF else None)
        refused = () if quiet else (Outcome(Fate.REFUSED, run.window, now, reason),)
        return replace(execution, run=run), refused
    error = replied.error or ErrorState.START_FAILED
    run = _failed(run, error, now)
    return replace(execution, run=run), (Outcome(Fate.FAILED, run.window, now, error),)


def resumed(execution: Execution, restarted: datetime | None) -> Execution:
    """Return a stored execution as it goes on: no start is answered any more.

    `restarted`: when Home Assistant started; None where only the entry was loaded again.
    """
    run = execution.run
    if run is None:
        return execution
    return replace(execution, run=replace(run, asked=False, resumed_at=restarted))


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


def _timely(execution: Execution, now: datetime) -> Run | None:
    """Return the run; moments to wait for mean nothing after the clock was set back."""
    run, looked = execution.run, execution.looked
    if run is None or looked is None or looked - now < SET_BACK:
        return run
    return replace(run, not_before=None, plan_after=None)


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
    elif reason in BY_SOMEBODY and not _reset_by_battery(run, reason, look.now):
        run = _given_up(run, told=run.told)
    elif reason in FAILURES:
        run = _failed(run, str(reason), look.now)
    elif reason == EndReason.PV_COVERS_TARGET:
        rest = SUN_UNSEEN if look.surplus_w is None else SUN_GONE
        run = replace(run, told=reason, not_before=look.now + rest)
    turn.run = run


def _reset_by_battery(run: Run, reason: str | None, now: datetime) -> bool:
    """Whether nobody switched it off: AlphaESS resets its dispatch when Home Assistant starts."""
    if reason != EndReason.EXTERNAL or run.resumed_at is None:
        return False
    return now - run.resumed_at < RESETTING


def _given_up(run: Run, told: str | None) -> Run:
    """Return the run that somebody wants no more of."""
    return replace(run, closed_until=run.window.end, stopped=True, told=told)


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
        turn.run = run if due is None else _renewed(run, due, look, plan)
        return
    due = _due(plan, look.now)
    if run is not None and due is not None and _same(run, due):
        turn.run = _renewed(run, due, look, plan)
        return
    if run is not None and due is None and _remembered(run, plan, look.now):
        return
    if run is not None and run.sessions == 0:
        _tell_never_run(turn, run)
    turn.run = None if due is None else Run(due, look.planned_at, day_end=_day_end(plan, look.now))


def _remembered(run: Run, plan: Plan | None, now: datetime) -> bool:
    """Whether a window that is not due now may be again: a plan comes back, or puts it off."""
    if plan is None:
        return now < _last(run)
    return now < _last(run) and (run.sessions > 0 or run.told is not None)


def _last(run: Run) -> datetime:
    return run.window.end if run.closed_until is None else max(run.window.end, run.closed_until)


def _tell_never_run(turn: _Turn, run: Run) -> None:
    if run.told in AGAINST:
        turn.tell(Fate.MISSED, run.window, run.told)
    elif run.told is None and run.brief is not None:
        turn.tell(Fate.MISSED, run.window, run.brief)


def _day_end(plan: Plan | None, now: datetime) -> datetime | None:
    """Return the end of the local day."""
    days = () if plan is None else plan.days
    return next((day.end for day in days if day.start <= now < day.end), None)


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
    return due.kind is run.window.kind and due.start <= _last(run)


def _renewed(run: Run, due: Window, look: Look, plan: Plan | None) -> Run:
    run = replace(run, closed_until=_closed(run, due), day_end=_day_end(plan, look.now))
    if run.planned_at == look.planned_at:
        return replace(run, window=due)
    done = run.counted_kwh
    if look.session is not None and look.session.id == run.session_id:
        done += delivered(look.session)
    return replace(run, window=due, planned_at=look.planned_at, base_kwh=done)


def _closed(run: Run, due: Window) -> datetime | None:
    """Return until when nothing starts in a window that new plans may have stretched."""
    closed = run.closed_until
    if closed is None or not run.stopped or run.day_end is None:
        return closed
    return max(closed, min(due.end, run.day_end))


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


def _pursue(turn: _Turn, plan: Plan | None) -> None:
    """Wish for the session of the window that is due, unless something speaks against it."""
    run, look = turn.run, turn.look
    if run is None or run.asked or run.session_id is not None:
        return
    now, window = look.now, run.window
    if not window.start <= now < window.end - LEAST_TIME or not _wanted(plan, run, now):
        return
    if run.closed_until is not None and now < run.closed_until:
        return
    if not look.enabled(window.kind):
        _skip(turn, run, SWITCHED_OFF, None)
    elif look.dry_run:
        _skip(turn, run, DRY_RUN, None)
    elif window.kind is Kind.DISCHARGE and look.sun_suffices:
        _wait_for_less_sun(turn, run)
    else:
        _start(turn, run)


def _wanted(plan: Plan | None, run: Run, now: datetime) -> bool:
    """Whether the plan still has the window now; without a plan, what was planned counts."""
    due = _due(plan, now)
    return plan is None or (due is not None and due.kind is run.window.kind)


def _wait_for_less_sun(turn: _Turn, run: Run) -> None:
    """Start nothing; nor again before the sun was too little for minutes: clouds come and go."""
    if run.sessions == 0:
        _skip(turn, run, SUN_ENOUGH, None)
        return
    waits = turn.look.now + SUN_GONE
    later = waits if run.not_before is None else max(waits, run.not_before)
    turn.run = replace(run, not_before=later)


def _start(turn: _Turn, run: Run) -> None:
    look, window = turn.look, run.window
    if run.not_before is not None and look.now < run.not_before:
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
