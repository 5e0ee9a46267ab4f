"""Pictures as SVG by hand: nothing to install, and a browser shows them as sharp as it likes.

A day: PV and load, the grid, SOC, and export against contract and allowance, with what ran marked.
A year: each day's export against what the contract allowed.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from html import escape
from itertools import count

from .life import Life, Moment
from .verdict import limits_true
from .weather import Span

WIDTH, LEFT, RIGHT = 960, 64, 18
PANEL, GAP, TOP = 150, 34, 64
SUN, LOAD, GRID, BATTERY = "#e8a317", "#5b6c8f", "#0f7b6c", "#b0413e"
INK, FAINT, PAPER, MARK = "#2b2b2b", "#d9d9d6", "#ffffff", "#0f7b6c"
FONT = "font-family='system-ui, Segoe UI, Helvetica, Arial, sans-serif'"

type Points = Sequence[tuple[float, float]]


@dataclass(slots=True)
class Panel:
    """A frame with a vertical scale, `top` px down the picture."""

    top: float
    height: float
    low: float
    high: float
    unit: str
    across: float
    """What the horizontal axis spans."""
    parts: list[str] = field(default_factory=list)

    def x(self, value: float) -> float:
        """Return where a value of the horizontal axis is."""
        return LEFT + value / self.across * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        """Return where a value of the vertical axis is."""
        share = (min(max(value, self.low), self.high) - self.low) / (self.high - self.low)
        return self.top + self.height * (1 - share)

    def frame(self, title: str, ticks: Sequence[float]) -> None:
        """Draw scale and title."""
        for tick in ticks:
            y = self.y(tick)
            self.parts.append(
                f"<line x1='{LEFT}' x2='{WIDTH - RIGHT}' y1='{y:.1f}' y2='{y:.1f}' "
                f"stroke='{FAINT}'/>"
                f"<text x='{LEFT - 8}' y='{y + 4:.1f}' text-anchor='end' class='s'>{tick:g}</text>"
            )
        self.parts.append(
            f"<text x='{LEFT}' y='{self.top - 9:.1f}' class='t'>{escape(title)}"
            f"<tspan class='s' dx='6'>{escape(self.unit)}</tspan></text>"
        )

    def line(self, points: Points, colour: str, *, dashed: bool = False, wide: float = 1.6) -> None:
        """Draw a line."""
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        dash = " stroke-dasharray='5 4'" if dashed else ""
        self.parts.append(
            f"<polyline points='{path}' fill='none' stroke='{colour}' stroke-width='{wide}'{dash}/>"
        )

    def area(self, points: Points, colour: str, opacity: float = 0.25) -> None:
        """Fill between a line and zero."""
        zero = self.y(max(0.0, self.low))
        path = " ".join(f"{self.x(a):.1f},{self.y(b):.1f}" for a, b in points)
        first, last = self.x(points[0][0]), self.x(points[-1][0])
        self.parts.append(
            f"<polygon points='{first:.1f},{zero:.1f} {path} {last:.1f},{zero:.1f}' "
            f"fill='{colour}' fill-opacity='{opacity}'/>"
        )

    def band(self, start: float, end: float, colour: str) -> None:
        """Shade a time."""
        width = max(1.0, self.x(end) - self.x(start))
        self.parts.append(
            f"<rect x='{self.x(start):.1f}' y='{self.top:.1f}' width='{width:.1f}' "
            f"height='{self.height:.1f}' fill='{colour}' fill-opacity='0.13'/>"
        )

    def legend(self, entries: Sequence[tuple[str, str]]) -> None:
        """Name the lines, from the right."""
        words = "\u2003".join(
            f"<tspan fill='{colour}'>■</tspan> {escape(name)}" for name, colour in entries
        )
        self.parts.append(
            f"<text x='{WIDTH - RIGHT}' y='{self.top - 9:.1f}' text-anchor='end' class='s'>"
            f"{words}</text>"
        )


def _picture(title: str, subtitle: str, panels: Sequence[Panel], foot: Sequence[str]) -> str:
    height = max(panel.top + panel.height for panel in panels) + 36
    head = (
        f"<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {WIDTH} {height:.0f}' "
        f"width='{WIDTH}' height='{height:.0f}' {FONT}>"
        f"<style>text{{fill:{INK}}}.t{{font-size:13px;font-weight:600}}"
        ".s{font-size:11px;font-weight:400}.h{font-size:17px;font-weight:650}</style>"
        f"<rect width='100%' height='100%' fill='{PAPER}'/>"
        f"<text x='{LEFT}' y='24' class='h'>{escape(title)}</text>"
        f"<text x='{WIDTH - RIGHT}' y='24' text-anchor='end' class='s'>{escape(subtitle)}</text>"
    )
    return "".join((head, *("".join(panel.parts) for panel in panels), *foot, "</svg>"))


def _ticks(high: float, steps: int = 4) -> tuple[float, ...]:
    sizes = (s * 10**n for n in count() for s in (0.5, 1, 2, 2.5, 4, 5, 6, 7.5, 10, 20, 50, 100))
    size = next(size for size in sizes if size * steps >= high)
    return tuple(size * n for n in range(steps + 1))


def of_day(life: Life, rates: tuple[float, ...]) -> str:
    """Return the picture of the day whose minutes a run has kept.

    `rates` is what a kWh exported was worth in each half hour of it.
    """
    minutes = life.minutes
    start = minutes[0].at
    zone = life.span.zone

    def hours(moment: datetime) -> float:
        return (moment - start).total_seconds() / 3600

    across = max(hours(minutes[-1].at), 23.0)

    def series(value: Callable[[Moment], float]) -> Points:
        return [(hours(m.at), value(m)) for m in minutes]

    def panel(number: int, low: float, high: float, unit: str) -> Panel:
        made = Panel(TOP + number * (PANEL + GAP), PANEL, low, high, unit, across)
        for begin, end, _ in life.day_windows:
            made.band(hours(begin), hours(end), MARK)
        return made

    powers = panel(0, 0, 6, "kW")
    powers.frame("Sun and house", (0, 2, 4, 6))
    powers.area(series(lambda m: m.pv_w / 1000), SUN)
    powers.line(series(lambda m: m.pv_w / 1000), SUN)
    powers.line(series(lambda m: m.load_w / 1000), LOAD, wide=1.2)
    powers.legend((("PV", SUN), ("house", LOAD), ("session", MARK)))

    grid = panel(1, -6, 6, "kW, export up")
    grid.frame("Grid and battery", (-4, 0, 4))
    grid.area(series(lambda m: max(0.0, -m.grid_w / 1000)), GRID)
    grid.line(series(lambda m: -m.grid_w / 1000), GRID)
    grid.line(series(lambda m: m.battery_w / 1000), BATTERY, wide=1.2)
    grid.legend((("grid", GRID), ("battery, discharge up", BATTERY)))

    soc = panel(2, 0, 100, "%")
    soc.frame("SOC, and what a kWh is worth", (0, 25, 50, 75, 100))
    best = max(1e-9, *rates)
    steps = [(n / 2 + e, max(0.0, r) / best * 100) for n, r in enumerate(rates) for e in (0.0, 0.5)]
    soc.area(steps, FAINT, 0.8)
    soc.line(series(lambda m: m.soc), INK)
    soc.legend((("SOC", INK), (f"value, at most {best:.3f} per kWh", FAINT)))

    top = max(1.0, minutes[-1].exported_kwh, *(m.contract_kwh for m in minutes))
    ticks = _ticks(top)
    energy = panel(3, 0, ticks[-1], "kWh since midnight")
    energy.frame("Export against the allowance", ticks)
    energy.area(series(lambda m: m.exported_kwh), GRID)
    energy.line(series(lambda m: m.exported_kwh), GRID)
    energy.line(series(lambda m: m.contract_kwh), BATTERY)
    energy.line(series(lambda m: m.allowance_kwh), BATTERY, dashed=True)
    energy.legend((("export", GRID), ("contract; dashed: less the margin", BATTERY)))

    panels = (powers, grid, soc, energy)
    bottom = energy.top + energy.height
    foot = [_hour(energy, bottom, hour) for hour in range(0, int(across) + 2, 3)]
    title = f"{start.astimezone(zone):%A, %d %B %Y}"
    choices = life.choices
    how = "perfect" if choices.perfect else "realistic"
    subtitle = f"basis {choices.basis}, objective {choices.objective}, {how} forecast"
    return _picture(title, subtitle, panels, foot)


def _hour(panel: Panel, bottom: float, hour: int) -> str:
    return (
        f"<text x='{panel.x(min(hour, panel.across)):.1f}' y='{bottom + 18:.1f}' "
        f"text-anchor='middle' class='s'>{hour}:00</text>"
    )


def of_year(life: Life) -> str:
    """Return the picture of each day's export against what the contract allowed."""
    span = life.span
    limits = limits_true(span, life.choices)
    top = max(*limits, *(day.exported for day in life.days), 1.0)
    ticks = _ticks(top)
    panel = Panel(TOP, 300, 0, ticks[-1], "kWh a day", float(len(limits)))
    panel.frame("Export and contract", ticks)
    edges = [(n + e, limit) for n, limit in enumerate(limits) for e in (0.0, 1.0)]
    panel.line(edges, BATTERY, wide=1.0)
    for number, (day, limit) in enumerate(zip(life.days, limits, strict=True)):
        over = day.exported > limit + 0.01
        left, right = panel.x(number + 0.1), panel.x(number + 0.9)
        y = panel.y(day.exported)
        panel.parts.append(
            f"<rect x='{left:.2f}' y='{y:.1f}' width='{right - left:.2f}' "
            f"height='{panel.top + panel.height - y:.1f}' fill='{BATTERY if over else GRID}'/>"
        )
    panel.legend((("exported", GRID), ("contract, by the day's true PV", BATTERY)))
    foot = list(_months(span, panel))
    choices = life.choices
    how = "perfect" if choices.perfect else "realistic"
    subtitle = f"basis {choices.basis}, objective {choices.objective}, {how} forecast"
    title = f"{len(limits)} days from {span.start.astimezone(span.zone):%d %B %Y}"
    return _picture(title, subtitle, (panel,), foot)


def _months(span: Span, panel: Panel) -> list[str]:
    zone: tzinfo = span.zone
    found = []
    for number, (begin, _) in enumerate(span.days[: span.counted_days]):
        local = begin.astimezone(zone)
        if local.day == 1 or number == 0:
            found.append(
                f"<text x='{panel.x(number):.1f}' y='{panel.top + panel.height + 18:.1f}' "
                f"class='s'>{local:%b}</text>"
            )
    return found
