"""One run, from its choices to its rows and pictures; several of them side by side."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import date, timedelta
from multiprocessing import get_context
from multiprocessing.sharedctypes import Synchronized
import time

from .ahead import Choices, Prospect
from .forecasts import Forecaster, Skill, skill
from .pictures import of_day, of_year
from .record import Audit, Recorded, audit
from .verdict import Common, Row, common, row_of_life, row_of_track
from .weather import House, Span, span
from .yardsticks import (
    Foresight,
    Limits,
    Minutes,
    Rates,
    foresight,
    greedy,
    nothing,
    truth_of,
)

GREEDY_MARGIN_KWH = 0.5
SHOWN_EVERY_S = 0.5


@dataclass(frozen=True, slots=True)
class Job:
    """Which days, and how they are run."""

    first: date
    days: int
    seed: int
    choices: Choices
    house: House = field(default_factory=House)
    steady: bool = False
    pictured: int | None = None
    """The day to draw, counted from the first."""
    lifetime: bool = False
    """The meters count on for ever, and do not begin anew at midnight."""

    @property
    def name(self) -> str:
        """What the table calls it."""
        how = "perfect" if self.choices.perfect else "realistic"
        return f"ours, {self.choices.basis}, {how} forecast, margin {self.choices.margin_kwh:g}"

    def span(self) -> Span:
        """Return the truth of its days."""
        return span(self.first, self.days, self.seed, self.house, steady=self.steady)


@dataclass(frozen=True, slots=True)
class Result:
    """What a run of the engine came to."""

    job: Job
    row: Row
    day: str | None
    year: str
    audit: Audit


@dataclass(frozen=True, slots=True)
class Measure:
    """What all runs of the same days and objective are measured against."""

    base: Common
    rows: tuple[Row, ...]
    best: Foresight
    skill: Skill


def live(job: Job, tick: Callable[[float], None] | None = None) -> tuple[Recorded, float]:
    """Run the engine through a job's days; return how many times faster than real time, too."""
    days = job.span()
    forecaster = Forecaster.of(days, job.seed, perfect=job.choices.perfect)
    prospect = Prospect(days, job.house, job.choices, forecaster)
    life = Recorded(days, job.house, job.choices, prospect, lifetime=job.lifetime)
    life.pictured, life.tick = job.pictured, tick
    began = time.perf_counter()
    life.run()
    return life, (days.end - days.start).total_seconds() / (time.perf_counter() - began)


def best_of(job: Job, days: Span, rates: Rates) -> Foresight:
    """Return what perfect foresight makes of the true contract of a job."""
    choices = job.choices
    return foresight(
        truth_of(days, job.house, rates, Limits(choices.basis, choices.target_w, choices.fixed_kwh))
    )


def judged(job: Job, tick: Callable[[float], None] | None = None) -> Result:
    """Run a job and judge it."""
    life, ratio = live(job, tick)
    days, house, choices = life.span, job.house, job.choices
    rates, minutes = Rates.of(days, choices.objective), Minutes.of(days)
    base = common(days, house, minutes, rates, nothing(days, house, minutes))
    row = row_of_life(job.name, life, (base, rates, best_of(job, days, rates).gain), ratio)
    picture = None
    if life.minutes and job.pictured is not None:
        begin, end = (days.slot_of(moment) for moment in days.days[job.pictured])
        picture = of_day(life, tuple(rates.value[begin:end]))
    return Result(job, row, picture, of_year(life), audit(life))


def measured(job: Job) -> Measure:
    """Return the yardsticks of a job's days and objective, by the contract of generation."""
    days, house = job.span(), job.house
    choices = Choices(objective=job.choices.objective, target_w=job.choices.target_w)
    rates, minutes = Rates.of(days, choices.objective), Minutes.of(days)
    forecaster = Forecaster.of(days, job.seed, perfect=False)
    alone = nothing(days, house, minutes)
    base = common(days, house, minutes, rates, alone)
    plain = greedy(
        days,
        house,
        minutes,
        rates,
        forecaster,
        margin_kwh=GREEDY_MARGIN_KWH,
        target_w=choices.target_w,
    )
    best = best_of(Job(job.first, job.days, job.seed, choices, house), days, rates)
    against = (base, rates, best.gain)
    rows = (
        row_of_track("doing nothing", days, house, minutes, alone, choices, against),
        row_of_track("plain greedy", days, house, minutes, plain, choices, against),
    )
    bound = Row(
        "perfect foresight", best.gain, best.gain, best.exported, rows[0].contract, 0, 0.0, 0.0, 0.0
    )
    return Measure(base, (*rows, bound), best, skill(forecaster))


_done: "Synchronized[float] | None" = None


def _begin(done: "Synchronized[float]") -> None:
    global _done  # noqa: PLW0603 - a worker's own
    _done = done


def _count(seconds: float) -> None:
    if _done is not None:
        with _done.get_lock():
            _done.value += seconds


def _work(job: Job) -> Result:
    return judged(job, _count)


def all_judged(
    jobs: Sequence[Job], workers: int, progress: Callable[[float], None]
) -> Iterator[Result]:
    """Run jobs side by side, each whole in one process, and yield them as they end.

    `progress` is told the share that is done.
    """
    context = get_context("fork")  # a worker need not import Home Assistant again
    done: Synchronized[float] = context.Value("d", 0.0)
    total = sum(job.days for job in jobs) * 86_400.0
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_begin, initargs=(done,)
    ) as pool:
        waiting: set[Future[Result]] = {pool.submit(_work, job) for job in jobs}
        while waiting:
            ended, waiting = wait(waiting, SHOWN_EVERY_S, FIRST_COMPLETED)
            progress(min(1.0, done.value / total))
            for future in ended:
                yield future.result()


def brightest(first: date, days: int) -> int:
    """Return the day to draw: one of June where there is one, else one in the middle."""
    for number in range(days):
        here = first + timedelta(days=number)
        if (here.month, here.day) == (6, 12):
            return number
    return days // 2
