"""One local day of the record, and what is written down within it."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

HOUR_S = 3600.0


class Why(StrEnum):
    """Why a day's sums were changed after it was over, or by more than was watched."""

    LATE_METER = "late_meter"
    """The meter's last step of the day came after midnight."""
    UNWATCHED = "unwatched"
    """Nobody looked; what flowed meanwhile was shared out evenly by time."""


@dataclass(frozen=True, slots=True)
class Correction:
    """What has been added to a day afterwards (kWh); those of one kind are summed up."""

    why: Why
    at: datetime
    """When the last of it came."""
    exported: float = 0.0
    generated: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionLine:
    """One session that was ended and proven."""

    kind: str
    origin: str
    started: datetime
    ended: datetime
    power_w: float
    kwh: float
    """Exported or taken from the grid, as the controller counts: never too little."""
    reason: str


@dataclass(frozen=True, slots=True)
class Refusal:
    """Starts that were refused for one reason."""

    reason: str
    count: int
    first: datetime
    last: datetime


@dataclass(frozen=True, slots=True)
class Breach:
    """Export above the contract, as it stood when it was noticed (kWh)."""

    at: datetime
    exported: float
    contract: float
    cause: str
    sessions: int
    """Deliberate discharges of the day until then."""


@dataclass(frozen=True, slots=True)
class Day:
    """One local day.

    New fields go to the end, with a default: a day is stored by position.
    """

    date: str
    start: datetime
    hours: int
    """23, 24 or 25."""
    exported: float = 0.0
    generated: float = 0.0
    deliberate: float = 0.0
    """Export while a discharge of ours ran; the sun's part of it included."""
    charged: float = 0.0
    """Taken from the grid by charges of ours."""
    basis: str = ""
    period: str = ""
    contract: float | None = None
    """The last figure of the day; None while none was ever known."""
    highest_contract: float | None = None
    """The most that it promised in the course of the day."""
    allowance: float | None = None
    least_allowance: float | None = None
    headroom: float | None = None
    """What the battery might still have exported at the end."""
    margin: float = 0.0
    """The safety margin in force at the end."""
    tolerance: float = 0.0
    """How far the meters may be apart from the truth: less is no breach."""
    slack: float | None = None
    """The least that the contract, less the margin, left while a discharge ran."""
    peak_w: float | None = None
    """The largest export power seen by the grid sensor."""
    carbon_kg: float = 0.0
    """CO2 that deliberate export displaced at its time, less that of grid charges."""
    carbon_kwh: float = 0.0
    """The deliberate export for which the intensity was known."""
    money: float = 0.0
    """What deliberate export earned at its time, less what grid charges cost."""
    money_kwh: float = 0.0
    watched_s: float = 0.0
    sessions: tuple[SessionLine, ...] = ()
    refusals: tuple[Refusal, ...] = ()
    breaches: tuple[Breach, ...] = ()
    corrections: tuple[Correction, ...] = ()
    exported_by_hour: tuple[float, ...] = ()
    """Of each hour since the day's start; a trailing zero may be missing."""
    allowance_by_hour: tuple[float, ...] = ()
    """The last of each hour, from the day's start to the last hour that was looked at."""

    @property
    def over(self) -> float:
        """Export beyond the contract (kWh), negative below it; 0 where none was known."""
        return 0.0 if self.contract is None else self.exported - self.contract

    @property
    def is_over(self) -> bool:
        """Whether the day is over the contract by more than the meters may err."""
        return self.over > self.tolerance or bool(self.breaches)

    @property
    def unwatched_min(self) -> float:
        """Minutes of the whole day in which nobody looked."""
        return self.unwatched_until(None)

    def hour_of(self, at: datetime) -> int:
        """Return which of its hours holds a moment: the first or last where none does."""
        return min(max(int((at - self.start).total_seconds() // HOUR_S), 0), self.hours - 1)

    def unwatched_until(self, looked: datetime | None) -> float:
        """Return the minutes without a look, of a day that goes on only until the last one."""
        seconds = self.hours * HOUR_S
        if looked is not None:
            seconds = min(seconds, (looked - self.start).total_seconds())
        return max(0.0, (seconds - self.watched_s) / 60)

    @property
    def known_carbon_kg(self) -> float | None:
        """The carbon saved; None where no intensity was known for anything that ran."""
        return self.carbon_kg if self.carbon_kwh or self.carbon_kg else None

    @property
    def known_money(self) -> float | None:
        """The money gained; None where no price was known for anything that ran."""
        return self.money if self.money_kwh or self.money else None

    def corrected(self, quantity: str) -> float:
        """Return what was added afterwards to `exported` or `generated` (kWh)."""
        return float(sum(getattr(each, quantity) for each in self.corrections))
