"""One question in, one plan out: the linear planner, or the greedy one where it cannot."""

from datetime import datetime

from ..models import Kind
from .greedy import propose_greedily
from .horizon import Horizon, horizon
from .linear import DEADLINE_S, propose
from .models import (
    DayPlan,
    Fallback,
    Limit,
    Plan,
    PlanInput,
    Planner,
    Status,
    Window,
)
from .policy import SNAP_OVER_KWH, Orders, Proposal, Walk, idle, walk
from .program import NoSolutionError, SolverMissingError
from .reasons import limit_of_day
from .windows import settled, windows


def plan(given: PlanInput, deadline: float = DEADLINE_S, *, linear: bool = True) -> Plan:
    """Return when to discharge and charge. Takes at most about `deadline` seconds of one core.

    `linear` False asks for the greedy planner.
    """
    ahead = horizon(given)
    if not ahead.legs:
        return Plan((), (), Planner.GREEDY, Status.EMPTY, 0.0, 0.0, None, Limit.WINDOW, ())
    fallback: Fallback | None = None
    if linear:
        try:
            return _plan(given, ahead, propose(ahead, deadline), Planner.LINEAR, None)
        except SolverMissingError:
            fallback = Fallback.SOLVER_MISSING
        except NoSolutionError:
            fallback = Fallback.DEADLINE
    return _plan(given, ahead, propose_greedily(ahead), Planner.GREEDY, fallback)


def _plan(
    given: PlanInput,
    ahead: Horizon,
    proposal: Proposal,
    planner: Planner,
    fallback: Fallback | None,
) -> Plan:
    orders = settled(ahead, proposal.orders)
    outcome = walk(ahead, orders)
    alone = idle(ahead)
    if outcome.score < alone.score:  # what was too short to run carried the rest
        orders, outcome = {}, alone
    found = windows(ahead, orders, outcome)
    days = tuple(_day(ahead, orders, outcome, found, number) for number in range(len(ahead.days)))
    bound = proposal.bound
    if bound is not None:  # the solver counts the penalty of what PV alone breaks
        bound = max(outcome.value, bound + ahead.penalty * sum(proposal.walk.over))
    return Plan(
        windows=found,
        days=days,
        planner=planner,
        status=proposal.status,
        objective=outcome.value,
        baseline=alone.value,
        bound=bound,
        limited_by=_limit(days),
        soc=_soc(given, ahead, outcome),
        fallback=fallback,
    )


def _day(
    ahead: Horizon, orders: Orders, outcome: Walk, found: tuple[Window, ...], number: int
) -> DayPlan:
    day = ahead.days[number]
    passages = [
        (passage, orders.get(index))
        for index, (leg, passage) in enumerate(zip(ahead.legs, outcome.passages, strict=True))
        if leg.day == number
    ]

    def forced(kind: Kind) -> float:
        return sum(
            passage.forced_grid
            for passage, order in passages
            if order is not None and order.kind is kind
        )

    return DayPlan(
        start=day.start,
        end=day.end,
        discharge_kwh=forced(Kind.DISCHARGE),
        charge_kwh=forced(Kind.CHARGE),
        exported_kwh=sum(passage.exported for passage, _ in passages),
        over_kwh=outcome.over[number] if outcome.over[number] > SNAP_OVER_KWH else 0.0,
        limited_by=limit_of_day(ahead, orders, outcome, number),
    )


def _limit(days: tuple[DayPlan, ...]) -> Limit:
    """Return what limits the first day that discharges, else the first."""
    discharging = [day for day in days if day.discharge_kwh > 0]
    return next((day.limited_by for day in (*discharging, *days)), Limit.WINDOW)


def _soc(given: PlanInput, ahead: Horizon, outcome: Walk) -> tuple[tuple[datetime, float], ...]:
    capacity = given.battery.capacity_kwh
    if capacity <= 0:
        return ()
    first = (ahead.legs[0].start, ahead.stored / capacity * 100)
    return (
        first,
        *(
            (leg.end, passage.stored / capacity * 100)
            for leg, passage in zip(ahead.legs, outcome.passages, strict=True)
        ),
    )
