"""What a home knows at a moment of the simulated year, as the integration's own readings.

The planner's question is then made of them by the product's own `outlook`.
"""

from bisect import bisect_right
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np

from custom_components.export_monitor.models import (
    Basis,
    Forecast,
    LoadProfile,
    LoadSource,
    Rate,
    Rates as Readable,
)
from custom_components.export_monitor.planning import (
    ALL_DAY,
    Objective,
    PlanInput,
    PlanSettings,
)

from .forecasts import Forecaster
from .weather import SLOTS_PER_DAY, Floats, House, Span

PUBLISHED_AT = 16  # local hour at which tomorrow's prices are known
STATISTICS_DAYS = 28
FAR = timedelta(hours=48)


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """How the house is run. Powers W, energies kWh."""

    basis: Basis = Basis.FORECAST
    objective: Objective = Objective.PRICE
    margin_kwh: float = 0.5
    target_w: float = 4000.0
    fixed_kwh: float = 8.0
    perfect: bool = False
    """PV, load and prices are known for two days."""
    linear: bool = True

    def planning(self, house: House) -> PlanSettings:
        """Return the options of planning."""
        return PlanSettings(
            discharge=True,
            auto_discharge=True,
            objective=self.objective,
            export_window=ALL_DAY,
            round_trip_efficiency=house.efficiency,
        )


class Prospect:
    """Everything that is known ahead, asked moment by moment."""

    def __init__(self, span: Span, house: House, choices: Choices, forecaster: Forecaster) -> None:
        """Prepare what every look needs."""
        self.span, self.house, self.choices = span, house, choices
        self.forecaster = forecaster
        self._starts = [begin for begin, _ in span.days]
        self._load = span.mean(span.load_w)
        local = (span.moment_of(n).astimezone(span.zone) for n in range(len(self._load)))
        self._index = np.array([LoadProfile.index(moment) for moment in local])
        self._usual: tuple[int, LoadProfile] | None = None
        self._priced: tuple[tuple[datetime, datetime], tuple[Readable, Readable]] | None = None
        self._issued: tuple[tuple[int, int], Forecast] | None = None

    def day_of(self, moment: datetime) -> int:
        """Return which local day holds a moment."""
        return bisect_right(self._starts, moment) - 1

    def forecast(self, now: datetime) -> Forecast:
        """Return the PV forecast of today and tomorrow as it stands."""
        return self.forecaster.forecast(now, self.span.days[self.day_of(now) + 1][1])

    def rates(self, now: datetime) -> tuple[Readable, Readable]:
        """Return what exporting earns and importing costs, as far as it has been published."""
        today = self.day_of(now)
        begin, end = self.span.days[today][0], self._published_until(now, today)
        if self._priced is None or self._priced[0] != (begin, end):
            span = self.span
            carbon = self.choices.objective is Objective.CARBON
            export = span.carbon if carbon else span.export_price
            cost = span.carbon if carbon else span.import_price
            self._priced = (
                (begin, end),
                (self._readable(export, begin, end), self._readable(cost, begin, end)),
            )
        return self._priced[1]

    def _readable(self, values: Floats, begin: datetime, end: datetime) -> Readable:
        span = self.span
        numbers = range(span.slot_of(begin), span.slot_of(end))
        return Readable(
            tuple(Rate(span.moment_of(n), span.moment_of(n + 1), float(values[n])) for n in numbers)
        )

    def _published_until(self, now: datetime, today: int) -> datetime:
        choices, days = self.choices, self.span.days
        if choices.perfect or choices.objective is Objective.CARBON:  # 48 h, once a day is enough
            return days[today + 2][1]
        published = now.astimezone(self.span.zone).hour >= PUBLISHED_AT
        return days[today + published][1]

    def load_profile(self, now: datetime) -> LoadProfile:
        """Return the house's mean load by half hour, as the recorder has it by this midnight."""
        today = self.day_of(now)
        if self._usual is None or self._usual[0] != today:
            last = self.span.slot_of(self.span.days[today][0])
            first = max(0, last - STATISTICS_DAYS * SLOTS_PER_DAY)
            self._usual = (today, self._learnt(first, last))
        return self._usual[1]

    def _learnt(self, first: int, last: int) -> LoadProfile:
        if last == first:
            return LoadProfile.flat(self.house.load_kwh_per_day)
        index, load = self._index[first:last], self._load[first:last]
        means = tuple(float(load[index == n].mean()) for n in range(SLOTS_PER_DAY))
        return LoadProfile(means, means, LoadSource.STATISTICS)

    def foreseen(self, given: PlanInput) -> PlanInput:
        """Return the planner's question with the load that will be, where that is known."""
        if not self.choices.perfect:
            return given
        slots = (
            replace(slot, load_w=float(self._load[self.span.slot_of(slot.start)]))
            for slot in given.slots
        )
        return replace(given, slots=tuple(slots))
