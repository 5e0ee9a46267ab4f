"""What comes in: readings told from rubbish, fresh ones from stale (specification page 3).

Part of error_handler, which is where the rest of the package imports it from.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
import logging
import math
import re
import sys
from types import MappingProxyType
from typing import Final, NamedTuple

from homeassistant.const import STATE_UNAVAILABLE, STATE_UNKNOWN, UnitOfEnergy, UnitOfPower
from homeassistant.util.unit_conversion import EnergyConverter, PowerConverter

Clock = Callable[[], float]  # monotonic seconds
_LOGGER = logging.getLogger(__name__)


class SourceKind(StrEnum):
    """What a source measures; decides its canonical unit and its range."""

    SOC = "soc"
    ENERGY_DAILY = "energy_daily"
    ENERGY_TOTAL = "energy_total"
    POWER = "power"
    CARBON = "carbon"
    PRICE = "price"
    FLAG = "flag"


class Problem(StrEnum):
    """Why a reading may not enter a calculation."""

    MISSING = "missing"
    UNAVAILABLE = "unavailable"
    NOT_A_NUMBER = "not_a_number"
    OUT_OF_RANGE = "out_of_range"
    UNIT = "unit"
    STALE = "stale"
    FROZEN = "frozen"
    HELD_BACK = "held_back"
    AWAITING_REPORT = "awaiting_report"


@dataclass(frozen=True, slots=True)
class Validated:
    """A reading in %, kWh, W or g/kWh; value is None exactly where there is a problem."""

    value: float | None
    problem: Problem | None
    raw: str


class _Range(NamedTuple):
    low: float
    high: float
    text: str


_RANGES: Final[Mapping[SourceKind, _Range]] = MappingProxyType(
    {
        SourceKind.SOC: _Range(0, 100, "0 to 100 %"),
        SourceKind.ENERGY_DAILY: _Range(0, 1000, "0 to 1000 kWh"),
        SourceKind.ENERGY_TOTAL: _Range(0, sys.float_info.max, "at least 0 kWh"),
        SourceKind.POWER: _Range(-50_000, 50_000, "-50 to 50 kW"),
        SourceKind.CARBON: _Range(0, 2000, "0 to 2000 g/kWh"),
        SourceKind.PRICE: _Range(-sys.float_info.max, sys.float_info.max, "any finite number"),
        SourceKind.FLAG: _Range(0, 65_535, "an integer from 0 to 65535"),
    }
)
# An inverter draws some ten watts at night. Far more below zero is a reversed sign, and counting
# that as 0 would hide PV from the worst case.
_PV_POWER: Final = _Range(-200, 50_000, "-0.2 to 50 kW")
_LONGEST_STATE: Final = 255
_AS_IT_IS: Final[Mapping[SourceKind, tuple[str, ...]]] = MappingProxyType(
    {SourceKind.SOC: ("", "%"), SourceKind.CARBON: ("",), SourceKind.FLAG: ("",)}
)
_CARBON_UNIT: Final = re.compile(r"(?P<kilo>k?)g(co[2₂])?-?(eq?)?/kwh")


def _canonical(kind: SourceKind, value: float, unit: str) -> float | None:
    """Convert to the kind's canonical unit; None where the unit cannot be converted."""
    # Currency and quantity of a price differ by market: they are its reader's matter.
    if kind is SourceKind.PRICE or unit in _AS_IT_IS.get(kind, ()):
        return value
    match kind:
        case SourceKind.POWER if unit in PowerConverter.VALID_UNITS:
            return PowerConverter.convert(value, unit, UnitOfPower.WATT)
        case SourceKind.ENERGY_DAILY | SourceKind.ENERGY_TOTAL if (
            unit in EnergyConverter.VALID_UNITS
        ):
            return EnergyConverter.convert(value, unit, UnitOfEnergy.KILO_WATT_HOUR)
        case SourceKind.CARBON if spelling := _CARBON_UNIT.fullmatch(unit.replace(" ", "").lower()):
            return value * (1000 if spelling["kilo"] else 1)
    return None


def _judge(kind: SourceKind, text: str, unit: str, bounds: _Range) -> float | Problem:
    """Return the value in canonical units, or what is wrong with it."""
    if text in (STATE_UNAVAILABLE, STATE_UNKNOWN):
        return Problem.UNAVAILABLE
    try:
        number = float(text)
    except ValueError:
        return Problem.NOT_A_NUMBER
    if not math.isfinite(number) or "_" in text:  # 1_000 is Python's notation, no meter's
        return Problem.NOT_A_NUMBER
    value = _canonical(kind, number, unit)
    if value is None:
        return Problem.UNIT
    whole = kind is not SourceKind.FLAG or value.is_integer()
    return value if whole and bounds.low <= value <= bounds.high else Problem.OUT_OF_RANGE


@dataclass(eq=False)
class SensorValidation:
    """Tells readings from rubbish by number, unit and range; one for each config entry.

    A source that turns bad is logged once, with its range, and once when it is good again.
    All counts are by source; being unavailable does not count as invalid. While a source is out,
    each answer from the cache is a hit, and each that the cache no longer has a miss.
    """

    read_counts: Counter[str] = field(default_factory=Counter)
    invalid_counts: Counter[str] = field(default_factory=Counter)
    cache_hits: Counter[str] = field(default_factory=Counter)
    cache_misses: Counter[str] = field(default_factory=Counter)
    _bad: dict[str, bool] = field(default_factory=dict, init=False)  # True: logged as invalid

    def check(
        self,
        source: str,
        kind: SourceKind,
        raw: object,
        unit: str | None,
        *,
        floor_at_zero: bool = False,
    ) -> Validated:
        """Return the reading in canonical units, or the problem with it.

        raw is a state or an attribute's value. floor_at_zero is for PV power, whose small
        negatives at night count as 0 W.
        """
        self.read_counts[source] += 1
        text = "" if raw is None else str(raw)[:_LONGEST_STATE]
        floored = floor_at_zero and kind is SourceKind.POWER
        bounds = _PV_POWER if floored else _RANGES[kind]
        judged = Problem.MISSING if raw is None else _judge(kind, text, unit or "", bounds)
        if not isinstance(judged, Problem):
            self._accept(source)
            return Validated(max(0.0, judged) if floored else judged, None, text)
        if judged not in (Problem.MISSING, Problem.UNAVAILABLE):
            self._refuse(source, source, f"{text!r} {unit or ''}".rstrip(), bounds.text)
        elif source not in self._bad:
            self._bad[source] = False
            _LOGGER.info("%s is %s", source, judged.value)
        return Validated(None, judged, text)

    def judge_step(self, source: str, held_back_kwh: float | None) -> None:
        """Log and count a counter value that is held back; None says that it steps well again.

        Whether a step is possible is judged by the engine's metering, which knows the time and
        the power behind it.
        """
        step = f"{source} (counter step)"
        if held_back_kwh is None:
            self._accept(step)
        else:
            self._refuse(source, step, f"{held_back_kwh:.3f} kWh", "a step that has flowed")

    def judge_rows(self, source: str, kind: SourceKind, refused: Sequence[object]) -> None:
        """Count one reading of a list of values; log and count it as invalid with any refused."""
        self.read_counts[source] += 1
        if not refused:
            self._accept(source)
            return
        try:
            text = str(refused[0])[:_LONGEST_STATE]
        except ValueError:  # an integer of more digits than Python writes
            text = "a number without end"
        self._refuse(source, source, repr(text), _RANGES[kind].text)

    @staticmethod
    def in_range(kind: SourceKind, value: float) -> bool:
        """Tell whether a value in the kind's canonical unit can be true."""
        bounds = _RANGES[kind]
        return bounds.low <= value <= bounds.high

    def count_outage(self, source: str, *, cached: bool) -> None:
        """Count a read of a source that is out: from the cache, or in vain."""
        (self.cache_hits if cached else self.cache_misses)[source] += 1

    @staticmethod
    def takes(kind: SourceKind, unit: str) -> bool:
        """Tell whether a kind of source may come in a unit."""
        return _canonical(kind, 1.0, unit) is not None

    def _accept(self, subject: str) -> None:
        if self._bad.pop(subject, None) is not None:
            _LOGGER.info("%s is valid again", subject)

    def _refuse(self, source: str, subject: str, shown: str, expected: str) -> None:
        self.invalid_counts[source] += 1
        if not self._bad.get(subject):
            self._bad[subject] = True
            _LOGGER.error("Invalid reading of %s: %s (expected %s)", subject, shown, expected)


@dataclass(eq=False)
class StaleDataDetector:
    """Two clocks: the coordinator's last good update (limit in s), and each source's last report.

    stale_counts is by source.
    """

    clock: Clock
    limit_s: float
    stale_counts: Counter[str] = field(default_factory=Counter, kw_only=True)
    _updated_at: float | None = field(default=None, init=False)
    _seen: dict[str, tuple[float, float]] = field(default_factory=dict, init=False)

    def mark_update(self) -> None:
        """Note a good coordinator update."""
        self._updated_at = self.clock()

    def age(self) -> float | None:
        """Return seconds since the last good update, None before the first."""
        return None if self._updated_at is None else self.clock() - self._updated_at

    def is_stale(self) -> bool:
        """Tell whether the data is older than the limit; before the first update it is."""
        age = self.age()
        return age is None or age > self.limit_s

    def source_problem(
        self,
        source: str,
        *,
        age_s: float,
        limit_s: float | None,
        sibling_age_s: float | None = None,
    ) -> Problem | None:
        """Return STALE, and count it, where a source's last report is older than its limit.

        A limit of None lets the source rest. Entities derived from an unchanged value do not
        report again, so one is fresh while a sibling of the same device reports.
        """
        self._seen[source] = (age_s, self.clock())
        if limit_s is None:
            return None
        # An age far below zero is a wall clock set back: unknown until the next report.
        if abs(age_s) <= limit_s or (sibling_age_s is not None and abs(sibling_age_s) <= limit_s):
            return None
        self.stale_counts[source] += 1
        return Problem.STALE

    @property
    def source_ages(self) -> Mapping[str, float]:
        """Seconds since each source's last report, as of now."""
        now = self.clock()
        return {source: age_s + now - seen_at for source, (age_s, seen_at) in self._seen.items()}
