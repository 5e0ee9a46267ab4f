"""The figures as Markdown."""

from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
import platform

from .forecasts import Skill
from .verdict import Common, Row
from .yardsticks import Foresight

HEAD = (
    "| | gain | of the best | exported of the contract | days over (most) "
    "| planned / not there, a day | days worse (worst) |\n|---|---|---|---|---|---|---|"
)
DETAILS = (
    "| | sessions a day | ends | forecast fell | cured by a margin of | books apart | errors "
    "| times real time |\n|---|---|---|---|---|---|---|---|"
)
PACKAGES = ("highspy", "scipy", "numpy")


def table(rows: Sequence[Row], days: int, unit: str) -> str:
    """Return the main table; energies are kWh."""
    return "\n".join([HEAD, *(_line(row, days, unit) for row in rows)])


def _line(row: Row, days: int, unit: str) -> str:
    over = "0" if not row.days_over else f"{row.days_over} ({row.most_over:.2f} kWh)"
    if row.days_over and row.days_over_alone is not None:
        over += f", {row.days_over_alone} by the sun alone"
    planned = "" if not row.planned else f"{row.planned / days:.2f} / {row.undelivered / days:.2f}"
    worse = ""
    if row.worse_days is not None and row.worst_day is not None:
        worse = f"{row.worse_days} ({min(0.0, row.worst_day):.1%})"
    used = row.exported / row.contract if row.contract else 0.0
    return (
        f"| {row.name} | {row.gain:.2f} {unit} | {row.share:.1%} | {used:.0%} | {over} "
        f"| {planned} | {worse} |"
    )


def details(rows: Sequence[Row], days: int) -> str:
    """Return what there is to say of the runs of the engine."""
    lines = [DETAILS]
    for row in rows:
        if row.worse_days is None:
            continue
        ends = ", ".join(f"{reason} {count}" for reason, count in row.ends.most_common())
        fell = "" if row.fell is None else f"{row.fell} days"
        errors = ", ".join(f"{error} {count}" for error, count in row.faults.items()) or "none"
        lines.append(
            f"| {row.name} | {row.sessions / days:.1f} | {ends} | {fell} | {row.cured_by:.2f} kWh "
            f"| {row.books_apart * 1000:.1f} Wh | {errors} | {row.ratio:,.0f} |"
        )
    return "\n".join(lines)


def heading(base: Common, best: Foresight, days: int, unit: str, skill: Skill) -> str:
    """Return what the table is to be read with."""
    total = base.saved_by_nothing + best.gain
    return (
        f"{days} days. Left alone, PV and battery earn {base.saved_by_nothing:.2f} {unit} "
        f"({base.saved_by_nothing / total:.0%} of the most that can be earned) and export "
        f"{base.nothing_exported:.0f} kWh. "
        f"No plan can gain more than {best.bound:.2f} {unit} (relaxed program).\n"
        f"Forecasts: a day ahead wrong by {skill.day_ahead:.0%} of a day's energy, half hours by "
        f"{skill.rmse:.0%} RMS ({skill.rmse_near:.0%} within three hours); between 10th and 90th "
        f"percentile {skill.covered:.0%}, a day ahead {skill.covered_ahead:.0%}."
    )


def versions() -> str:
    """Return what it was run with."""
    found = []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"without {name}")
    return f"Python {platform.python_version()}, {', '.join(found)}"
