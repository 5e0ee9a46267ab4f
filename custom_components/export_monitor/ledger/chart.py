"""Charts of the printable page, as SVG: one of all days, and one of each."""

from collections.abc import Callable, Sequence
from datetime import datetime, tzinfo
from html import escape
from itertools import accumulate

from .days import HOUR_S, Day

WIDTH, HEIGHT = 340.0, 132.0
LEFT, RIGHT, TOP, BOTTOM = 34.0, 6.0, 8.0, 18.0
WIDE = 700.0
LEAST_KWH = 0.1
NICE = (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0)
DENSE = 16
"""More dates than that beside each other cannot be read."""

type Number = Callable[[float, int], str]
"""A figure with so many digits, as the reader writes it."""


def _ceiling(value: float) -> float:
    """Return a round figure at or above a value."""
    size = 0.001
    while size * NICE[-1] < value:
        size *= 10
    return next(size * each for each in NICE if size * each >= value)


class Frame:
    """Where values stand in a chart: `most` kWh high, `long` units wide."""

    def __init__(self, width: float, most: float, long: float, number: Number) -> None:
        """Choose a scale with a round figure at its top."""
        self.width = width
        self._number = number
        self.top = _ceiling(max(most, LEAST_KWH))
        self._long = long

    def x(self, value: float) -> float:
        """Return where a place on the axis of time is."""
        return LEFT + value / self._long * (self.width - LEFT - RIGHT)

    def y(self, kwh: float) -> float:
        """Return where an energy is."""
        return HEIGHT - BOTTOM - min(1.0, max(0.0, kwh / self.top)) * (HEIGHT - TOP - BOTTOM)

    def axes(self) -> str:
        """Return the lines of 0, half and all, with their figures."""
        parts = []
        for kwh in (0.0, self.top / 2, self.top):
            y, digits = self.y(kwh), len(f"{kwh:g}".partition(".")[2])
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{self.width - RIGHT}" y1="{y:.1f}" '
                f'y2="{y:.1f}"/><text class="axis" text-anchor="end" x="{LEFT - 4}" '
                f'y="{y + 3:.1f}">{escape(self._number(kwh, digits))}</text>'
            )
        unit = f'<text class="axis" x="{LEFT}" y="{TOP - 4}">kWh</text>'
        return "".join((*parts, unit))

    def svg(self, label: str, inside: str) -> str:
        """Return the whole, named for those who do not see it."""
        kind = ' class="wide"' if self.width == WIDE else ""
        return (
            f'<svg{kind} role="img" aria-label="{escape(label)}" '
            f'viewBox="0 0 {self.width:g} {HEIGHT:g}">{self.axes()}{inside}</svg>'
        )


def of_day(day: Day, zone: tzinfo, label: str, number: Number) -> str:
    """Return what a day exported hour by hour, summed up, under what was allowed."""
    summed = list(accumulate(day.exported_by_hour))
    most = max([*summed, *day.allowance_by_hour, day.contract or 0.0])
    frame = Frame(WIDTH, most, day.hours, number)
    parts = [_session(frame, day, each.started, each.ended) for each in day.sessions]
    seen = max(len(summed), len(day.allowance_by_hour))
    summed += [day.exported] * (seen - len(summed))
    points = [(0.0, 0.0), *((n + 1.0, kwh) for n, kwh in enumerate(summed))]
    if summed:
        line = " ".join(f"{frame.x(x):.1f},{frame.y(kwh):.1f}" for x, kwh in points)
        ends = f"{frame.x(points[-1][0]):.1f},{frame.y(0):.1f} {frame.x(0):.1f},{frame.y(0):.1f}"
        parts.append(f'<polygon class="area" points="{line} {ends}"/>')
        parts.append(f'<polyline class="export" points="{line}"/>')
    parts.append(_steps(frame, day.allowance_by_hour))
    if day.contract is not None:
        y = frame.y(day.contract)
        parts.append(
            f'<line class="contract" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    for each in day.breaches:
        x = frame.x(_hours(day, each.at))
        parts.append(
            f'<line class="breach" x1="{x:.1f}" x2="{x:.1f}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>'
        )
    parts.extend(_clock(frame, day, zone))
    return frame.svg(label, "".join(parts))


def _hours(day: Day, moment: datetime) -> float:
    return min(max((moment - day.start).total_seconds() / HOUR_S, 0.0), float(day.hours))


def _session(frame: Frame, day: Day, started: datetime, ended: datetime) -> str:
    left, right = frame.x(_hours(day, started)), frame.x(_hours(day, ended))
    return (
        f'<rect class="session" x="{left:.1f}" width="{max(1.0, right - left):.1f}" '
        f'y="{TOP}" height="{HEIGHT - TOP - BOTTOM:.1f}"/>'
    )


def _steps(frame: Frame, by_hour: Sequence[float]) -> str:
    if not by_hour:
        return ""
    points = []
    for n, kwh in enumerate(by_hour):
        points += [
            f"{frame.x(n):.1f},{frame.y(kwh):.1f}",
            f"{frame.x(n + 1):.1f},{frame.y(kwh):.1f}",
        ]
    return f'<polyline class="allowance" points="{" ".join(points)}"/>'


def _clock(frame: Frame, day: Day, zone: tzinfo) -> list[str]:
    """Return the hours below; a day with a clock change has its own."""
    parts = []
    for n in range(0, day.hours + 1, 6):
        moment = datetime.fromtimestamp(day.start.timestamp() + n * HOUR_S, zone)
        anchor = "end" if n + 1 >= day.hours else "middle"
        parts.append(
            f'<text class="axis" text-anchor="{anchor}" x="{frame.x(n):.1f}" '
            f'y="{HEIGHT - 5}">{moment:%H:%M}</text>'
        )
    return parts


def of_days(days: Sequence[Day], label: str, number: Number) -> str:
    """Return what each day exported, beside what its contract let out."""
    most = max((max(day.exported, day.contract or 0.0) for day in days), default=0.0)
    frame = Frame(WIDE, most, max(1, len(days)), number)
    every = -(-len(days) // DENSE)
    parts = []
    for n, day in enumerate(days):
        left, width = frame.x(n + 0.15), frame.x(n + 0.85) - frame.x(n + 0.15)
        kind = "bar over" if day.is_over else "bar"
        y = frame.y(day.exported)
        parts.append(
            f'<rect class="{kind}" x="{left:.1f}" width="{width:.1f}" y="{y:.1f}" '
            f'height="{frame.y(0) - y:.1f}"/>'
        )
        if day.contract is not None:
            y = frame.y(day.contract)
            parts.append(
                f'<line class="contract" x1="{frame.x(n):.1f}" x2="{frame.x(n + 1):.1f}" '
                f'y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        if n % every == 0:
            # A phone shows half of them.
            kind = "axis date" if n // every % 2 == 0 else "axis date other"
            parts.append(
                f'<text class="{kind}" text-anchor="middle" x="{frame.x(n + 0.5):.1f}" '
                f'y="{HEIGHT - 5}">{escape(day.date[5:])}</text>'
            )
    return frame.svg(label, "".join(parts))
