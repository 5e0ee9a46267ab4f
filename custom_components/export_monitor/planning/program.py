"""A linear program being written down, and HiGHS solving it. Knows nothing of batteries."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types import ModuleType

    import highspy

type Term = tuple[int, float]
"""A column and its coefficient."""


class SolverMissingError(ImportError):
    """HiGHS is not installed, or does not load on this machine."""


class NoSolutionError(RuntimeError):
    """There is no solution."""


class DeadlineError(NoSolutionError):
    """Time was up before there was one."""


@dataclass(frozen=True, slots=True)
class Solution:
    """Values of all columns, and what they earn."""

    values: Sequence[float]
    objective: float


class Program:
    """Columns, rows and a value to be made as large as possible."""

    def __init__(self) -> None:
        self.worth: list[float] = []
        self.lower: list[float] = []
        self.upper: list[float] = []
        self.offset = 0.0
        self.row_lower: list[float] = []
        self.row_upper: list[float] = []
        self.starts: list[int] = [0]
        self.indices: list[int] = []
        self.coefficients: list[float] = []
        self.binaries: list[int] = []

    def column(self, worth: float = 0.0, lower: float = 0.0, upper: float = inf) -> int:
        """Add a column and return its index."""
        self.worth.append(worth)
        self.lower.append(lower)
        self.upper.append(upper)
        return len(self.worth) - 1

    def binary(self) -> int:
        """Add a column that is 0 or 1 where the program is solved exactly."""
        index = self.column(upper=1.0)
        self.binaries.append(index)
        return index

    def row(self, terms: Iterable[Term], lower: float = -inf, upper: float = inf) -> None:
        """Add a row."""
        for column, coefficient in terms:
            self.indices.append(column)
            self.coefficients.append(coefficient)
        self.starts.append(len(self.indices))
        self.row_lower.append(lower)
        self.row_upper.append(upper)


class Solver:
    """One program inside HiGHS: solved again and again with some binaries fixed.

    Raises SolverMissingError. Deterministic: one thread, HiGHS's own fixed seed. `deadline` (s) is
    for all solving together.
    """

    def __init__(self, program: Program, deadline: float) -> None:
        self._program = program
        self._library = _highs()
        self._engine = self._library.Highs()
        for option, setting in (
            ("output_flag", False),
            ("threads", 1),
            ("parallel", "off"),
            # For programs this small and in units this even, preparing costs more than it saves.
            ("presolve", "off"),
            ("simplex_scale_strategy", 0),
        ):
            self._engine.setOptionValue(option, setting)
        self._deadline = deadline
        self._bound: tuple[int, ...] = ()
        self._engine.passModel(self._lp())

    def solve(self, bounds: Mapping[int, tuple[float, float]]) -> Solution:
        """Solve with some columns bound otherwise than in the program.

        Starts where the solution before ended. Raises NoSolutionError, DeadlineError.
        """
        program, engine = self._program, self._engine
        changed = {column: (program.lower[column], program.upper[column]) for column in self._bound}
        changed.update(bounds)
        self._bound = tuple(bounds)
        if changed:
            pairs = changed.values()
            lower, upper = [low for low, _ in pairs], [high for _, high in pairs]
            engine.changeColsBounds(len(changed), list(changed), lower, upper)
        # The engine's own clock runs on from one solution to the next, its limit does not.
        left = self._deadline - engine.getRunTime()
        if left <= 0:
            raise DeadlineError
        engine.setOptionValue("time_limit", left)
        engine.run()
        status, known = engine.getModelStatus(), self._library.HighsModelStatus
        if status == known.kTimeLimit:
            raise DeadlineError
        if status != known.kOptimal:
            raise NoSolutionError(engine.modelStatusToString(status))
        objective = engine.getInfo().objective_function_value
        return Solution(engine.getSolution().col_value, objective)

    def _lp(self) -> "highspy.HighsLp":
        program = self._program
        lp: highspy.HighsLp = self._library.HighsLp()
        lp.sense_ = self._library.ObjSense.kMaximize
        lp.offset_ = program.offset
        lp.num_col_, lp.num_row_ = len(program.worth), len(program.row_lower)
        lp.col_cost_ = program.worth
        lp.col_lower_, lp.col_upper_ = program.lower, program.upper
        lp.row_lower_, lp.row_upper_ = program.row_lower, program.row_upper
        lp.a_matrix_.format_ = self._library.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = program.starts
        lp.a_matrix_.index_ = program.indices
        lp.a_matrix_.value_ = program.coefficients
        return lp


def _highs() -> "ModuleType":
    """Return the solver's package, which Home Assistant fetches only when planning is enabled."""
    try:
        import highspy  # noqa: PLC0415
    except ImportError as error:  # not installed, or no build for this machine
        raise SolverMissingError(str(error)) from error
    return highspy
