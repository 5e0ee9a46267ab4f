"""The best plan, by linear programming (HiGHS): how the program of `formulation` is solved.

The relaxation comes first; it is the bound. Its orders walk through the policy, which says which
regimes really come, and with those fixed the program is solved again until nothing improves. Only
where that stays short of the bound is it solved exactly, from there: with negative prices that pay
for charging and discharging at once, or where PV would better be sold than stored, or the house
better be fed by the grid than by the battery.
"""

from collections.abc import Sequence
from dataclasses import dataclass
import heapq

from ..models import Kind
from .branching import FIXED_1, Bounds, Wrong, both, stretches, worst
from .formulation import Columns, Model, formulate
from .horizon import PENALTY, Horizon, Leg
from .models import Status
from .policy import SNAP_KWH, Order, Orders, Proposal, Walk, keeps_limits, trimmed, walk
from .program import DeadlineError, NoSolutionError, Solution, Solver

DEADLINE_S = 2.0
TOLERANCE = 4e-4  # of what the plan earns
LEAST_SCALE = 0.02  # of a full battery at the dearest kWh, where a plan earns next to nothing
ROUNDS = 6
NEARLY_KWH = 0.3  # with less wrong than this, the walk says what is right
SNAP_H = 1e-6


@dataclass(frozen=True, slots=True)
class _Candidate:
    orders: Orders
    walk: Walk
    score: float
    """Minus infinity where a limit is not kept."""


def propose(horizon: Horizon, deadline: float = DEADLINE_S) -> Proposal:
    """Return the best orders. Raises SolverMissingError, NoSolutionError."""
    model = formulate(horizon)
    search = Search(model, Solver(model.program, deadline))
    search.run()
    best = search.best
    status = Status.OPTIMAL if search.bound - best.score <= search.tolerance else Status.FEASIBLE
    return Proposal(best.orders, best.walk, search.bound, status)


type _Case = tuple[float, int, Bounds, Wrong | None]
"""What it earns at most (negated, for the heap), its number, its bounds, what is wrong in it."""


class Search:
    """Branch and bound: the case with the highest bound is looked at next."""

    def __init__(self, model: Model, solver: Solver) -> None:
        self.model = model
        self._solver = solver
        self._nights = stretches(model)
        nothing = walk(model.horizon, {})
        self.best = _Candidate({}, nothing, nothing.score)
        self.solved = 0
        self._closed = self.best.score
        """The highest bound of the cases that need no further look."""
        self._polished: set[frozenset[int]] = set()
        self._open: list[_Case] = []

    @property
    def bound(self) -> float:
        """No plan earns more."""
        return max(self.best.score, self._closed, *(-case[0] for case in self._open[:1]))

    @property
    def tolerance(self) -> float:
        """How near to the bound a plan is good enough."""
        horizon = self.model.horizon
        dearest = horizon.penalty / PENALTY
        least = LEAST_SCALE * dearest * (horizon.full - horizon.house_floor)
        return TOLERANCE * max(abs(self.best.score), least)

    def run(self) -> None:
        """Search until the best is near enough to the bound, or time is up."""
        first = self._look({})
        if first is not None:
            self._open.append(first)
        try:
            while self._open and -self._open[0][0] - self.best.score > self.tolerance:
                self._dive(heapq.heappop(self._open))
        except DeadlineError:
            return

    def _dive(self, case: _Case) -> None:
        """Split a case, and the better half of it again, until it holds nothing better."""
        following: _Case | None = case
        while following is not None:
            case = following
            if case[3] is None:  # nothing wrong, yet the walk may earn less: numbers too near
                self._closed = max(self._closed, -case[0])
                return
            try:
                halves = [self._look(both(case[2], more)) for more in case[3][1:]]
            except DeadlineError:
                heapq.heappush(self._open, case)
                raise
            worth = sorted(half for half in halves if half is not None)
            following = worth[0] if worth else None
            for other in worth[1:]:
                heapq.heappush(self._open, other)

    def _look(self, bounds: Bounds | None) -> _Case | None:
        """Solve a case, and let its orders walk; return it if it may hold something better."""
        if bounds is None:
            return None
        try:
            solution = self._solver.solve(bounds)
        except DeadlineError:
            raise
        except NoSolutionError:
            return None
        self.solved += 1
        wrong: Wrong | None = None
        if solution.objective > self.best.score + self.tolerance:
            wrong = worst(self.model, self._nights, solution.values, bounds)
            if self.solved == 1 or wrong is None or wrong[0] <= NEARLY_KWH:
                self._polish(self._walked(solution))
        if solution.objective <= self.best.score + self.tolerance:
            self._closed = max(self._closed, solution.objective)
            return None
        return (-solution.objective, self.solved, bounds, wrong)

    def _polish(self, found: _Candidate) -> None:
        """Solve with the regimes of a walk fixed, until that brings nothing more."""
        for _ in range(ROUNDS):
            regimes = _regimes(self.model, found)
            known = frozenset(column for column, value in regimes.items() if value == FIXED_1)
            if known in self._polished:
                return
            self._polished.add(known)
            try:
                solution = self._solver.solve(regimes)
            except DeadlineError:
                raise
            except NoSolutionError:
                return
            found = self._walked(solution)

    def _walked(self, solution: Solution) -> _Candidate:
        """Let orders walk, and keep the best."""
        found = _walked(self.model, solution)
        if found.score > self.best.score:
            self.best = found
        return found


def _walked(model: Model, solution: Solution) -> _Candidate:
    asked = dict(_orders(model, solution.values))
    orders, outcome = trimmed(asked, walk(model.horizon, asked))
    kept = keeps_limits(model.horizon, orders, outcome)
    return _Candidate(orders, outcome, outcome.score if kept else -float("inf"))


def _orders(model: Model, values: Sequence[float]) -> list[tuple[int, Order]]:
    found = []
    for number, (leg, columns) in enumerate(zip(model.horizon.legs, model.legs, strict=True)):
        chosen = [
            order
            for order in (_discharge(leg, columns, values), _charge(leg, columns, values))
            if order is not None
        ]
        if chosen:  # a relaxation may ask for both
            found.append((number, max(chosen, key=lambda order: order.hours)))
    return found


def _discharge(leg: Leg, columns: Columns, values: Sequence[float]) -> Order | None:
    """Return a leg's discharge: in a deficit, where any power would do, as short as it can be."""
    if columns.out is None or values[columns.out] <= SNAP_KWH:
        return None
    energy = values[columns.out]
    if columns.out_hours is None:
        return Order(Kind.DISCHARGE, min(leg.hours, energy / leg.out), leg.out)
    hours = min(leg.hours, max(values[columns.out_hours], energy / leg.out))
    return Order(Kind.DISCHARGE, hours, energy / hours)


def _charge(leg: Leg, columns: Columns, values: Sequence[float]) -> Order | None:
    if columns.into is None or values[columns.into] <= SNAP_KWH:
        return None
    energy = values[columns.into]
    if columns.into_hours is None:
        return Order(Kind.CHARGE, min(leg.hours, energy / leg.into), leg.into)
    hours = min(leg.hours, max(values[columns.into_hours], energy / leg.into))
    return Order(Kind.CHARGE, hours, energy / hours)


def _regimes(model: Model, candidate: _Candidate) -> Bounds:
    """Return every binary as a walk has it."""
    orders, outcome, horizon = candidate.orders, candidate.walk, model.horizon
    found: dict[int, float] = {}
    for number, (columns, passage) in enumerate(zip(model.legs, outcome.passages, strict=True)):
        order = orders.get(number)
        if columns.at_limit is not None:
            limit = horizon.full if horizon.legs[number].in_surplus else horizon.house_floor
            reached = abs(passage.stored - limit) <= SNAP_KWH and passage.clipped > SNAP_H
            found[columns.at_limit] = float(reached)
        if columns.above is not None:
            begins = outcome.passages[number - 1].stored if number else horizon.stored
            found[columns.above] = float(begins >= horizon.session_floor)
        discharges = order is not None and order.kind is Kind.DISCHARGE
        if columns.discharges is not None:
            found[columns.discharges] = float(discharges)
        if columns.counted is not None:
            found[columns.counted] = float(discharges)
    for day, column in model.broken.items():
        lower = model.program.lower[column]
        found[column] = max(lower, float(outcome.over[day] > SNAP_KWH))
    return {column: (value, value) for column, value in found.items()}
