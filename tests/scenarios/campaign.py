"""Runs schedules and gathers what came of them."""

from dataclasses import dataclass

from .generate import generate
from .judge import Judge
from .machine import Machine
from .schedule import Schedule
from .verdict import Tally, Violation


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of one schedule."""

    schedule: Schedule
    violations: tuple[Violation, ...]
    tally: Tally


def play(schedule: Schedule) -> Outcome:
    """Run a schedule on the step machine."""
    judge = Judge(schedule)
    Machine(schedule, judge).run()
    return Outcome(schedule, tuple(judge.violations), judge.tally)


def play_seed(seed: int) -> Outcome:
    """Run the schedule of a seed; importable, since other processes are asked for it."""
    return play(generate(seed))
