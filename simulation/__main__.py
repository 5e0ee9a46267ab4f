"""A year of the real engine: scripts/simulate --days 365 --basis all --out docs/images."""

import argparse
from datetime import date
from itertools import product
import os
from pathlib import Path
import sys
import time

from custom_components.export_monitor.models import Basis
from custom_components.export_monitor.planning import Objective

from .ahead import Choices
from .table import details, heading, table, versions
from .year import Job, Result, all_judged, brightest, measured

BAR = 40
UNITS = {Objective.PRICE: "£", Objective.CARBON: "kg CO2"}


def main() -> int:
    """Run, print the table, draw the pictures.

    1 where `generated` was over by more than a step, or where a record is not the plant's truth.
    """
    options = _options()
    jobs = _jobs(options)
    measure = measured(jobs[0])
    began = time.monotonic()
    results = list(all_judged(jobs, options.jobs, _bar))
    took = time.monotonic() - began
    if sys.stderr.isatty():
        print(file=sys.stderr)
    results.sort(key=lambda result: jobs.index(result.job))
    unit = UNITS[Objective(options.objective)]
    rows = (*measure.rows, *(result.row for result in results))
    command = " ".join(("scripts/simulate", *sys.argv[1:]))
    text = "\n\n".join(
        (
            heading(measure.base, measure.best, options.days, unit, measure.skill),
            table(rows, options.days, unit),
            details(rows, options.days),
            "\n".join(result.audit.told(result.job.name) for result in results),
            f"`{command}`: {took:.0f} s; {versions()}, seed {options.seed}.",
        )
    )
    print(text)
    if options.out is not None:
        _write(options.out, results, text)
    broken = [r for r in results if r.job.choices.basis is Basis.GENERATED and r.row.days_over]
    for result in broken:
        print(f"FAILED: {result.job.name} was over by {result.row.most_over:.3f} kWh")
    untrue = [result for result in results if result.audit.faults]
    for result in untrue:
        print(f"FAILED: the record of {result.job.name}: {'; '.join(result.audit.faults)}")
    return int(bool(broken or untrue))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="scripts/simulate", description=__doc__)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--start", type=date.fromisoformat, default=date(2025, 1, 1))
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--basis", choices=[*map(str, Basis), "all"], default="forecast")
    parser.add_argument("--objective", choices=list(map(str, Objective)), default="price")
    parser.add_argument("--forecast", choices=("realistic", "perfect", "both"), default="realistic")
    parser.add_argument("--margin", type=float, nargs="+", default=[0.5], help="kWh held back")
    parser.add_argument("--target", type=float, default=4000.0, help="W at the grid")
    parser.add_argument("--fixed", type=float, default=8.0, help="kWh a day, for that basis")
    parser.add_argument("--steady", action="store_true", help="nothing changes within a half hour")
    parser.add_argument("--lifetime", action="store_true", help="meters that never begin anew")
    parser.add_argument("--without-solver", action="store_true", help="plan by the greedy planner")
    parser.add_argument("--picture", type=date.fromisoformat, help="the day to draw")
    parser.add_argument("--out", type=Path, help="folder for pictures and table")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    options = parser.parse_args()
    if options.days < 1:
        parser.error("--days: at least one")
    return options


def _jobs(options: argparse.Namespace) -> list[Job]:
    bases = list(Basis) if options.basis == "all" else [Basis(options.basis)]
    hows = {"both": (False, True), "perfect": (True,), "realistic": (False,)}[options.forecast]
    pictured = brightest(options.start, options.days)
    if options.picture is not None:
        pictured = (options.picture - options.start).days
    return [
        Job(
            options.start,
            options.days,
            options.seed,
            Choices(
                basis=basis,
                objective=Objective(options.objective),
                margin_kwh=margin,
                target_w=options.target,
                fixed_kwh=options.fixed,
                perfect=perfect,
                linear=not options.without_solver,
            ),
            steady=options.steady,
            pictured=pictured,
            lifetime=options.lifetime,
        )
        for perfect, basis, margin in product(hows, bases, options.margin)
    ]


def _bar(share: float) -> None:
    if sys.stderr.isatty():
        full = round(share * BAR)
        bar = "█" * full + "·" * (BAR - full)
        print(f"\r{bar} {share:4.0%}", end="", file=sys.stderr, flush=True)


def _write(folder: Path, results: list[Result], text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for result in results:
        choices = result.job.choices
        how = "perfect" if choices.perfect else "realistic"
        name = f"{choices.objective}-{choices.basis}-{how}-{choices.margin_kwh:g}"
        (folder / f"year-{name}.svg").write_text(result.year, encoding="utf-8")
        if result.day is not None:
            (folder / f"day-{name}.svg").write_text(result.day, encoding="utf-8")
    (folder / "table.md").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
