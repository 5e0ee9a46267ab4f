"""Sun and house: power over the day, seeded, without any state."""

from __future__ import annotations

from dataclasses import dataclass
from math import cos, exp, pi, sin
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

_SOLSTICE_DAY = 172
_NODE_S = 300  # clouds and kettles change over minutes; between two nodes the line is straight


def _unit_noise(seed: int, node: int) -> float:
    """Return a number in [0, 1) that depends on nothing but its arguments (splitmix64)."""
    word = (seed * 0x9E3779B97F4A7C15 + node * 0xBF58476D1CE4E5B9) & 0xFFFFFFFFFFFFFFFF
    word ^= word >> 30
    word = word * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
    word ^= word >> 27
    word = word * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
    word ^= word >> 31
    return word / 2**64


def _smooth_noise(seed: int, moment: datetime) -> float:
    """Return noise in [0, 1) that moves in straight lines between five-minute nodes."""
    second = moment.hour * 3600 + moment.minute * 60 + moment.second
    second += moment.toordinal() * 86400
    node, rest = divmod(second, _NODE_S)
    share = rest / _NODE_S
    return _unit_noise(seed, node) * (1 - share) + _unit_noise(seed, node + 1) * share


def hour_of_day(moment: datetime) -> float:
    """Return the wall clock's hour, 0 to 24."""
    return moment.hour + moment.minute / 60 + (moment.second + moment.microsecond / 1e6) / 3600


def _season(moment: datetime) -> float:
    """Return 1 at midsummer, -1 at midwinter (northern half of the world)."""
    return cos(2 * pi * (moment.timetuple().tm_yday - _SOLSTICE_DAY) / 365.25)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sun:
    """A half-sine of PV power over the day, the longer and higher the nearer to midsummer.

    `peak_w` is reached at solar noon of midsummer under a clear sky; clouds take at most the
    share `cloudiness` (0 to 1) of what a clear sky would give.
    """

    peak_w: float = 4000.0
    cloudiness: float = 0.35
    noon_hour: float = 13.0
    seed: int = 1

    def clear_w(self, moment: datetime) -> float:
        """Return the power (W) of a cloudless sky at a local time."""
        season = _season(moment)
        day_length = 12.0 + 4.5 * season
        since_sunrise = hour_of_day(moment) - (self.noon_hour - day_length / 2)
        if not 0.0 < since_sunrise < day_length:
            return 0.0
        return self.peak_w * (0.65 + 0.35 * season) * sin(pi * since_sunrise / day_length)

    def power_w(self, moment: datetime) -> float:
        """Return the power (W) under today's clouds at a local time."""
        clear = self.clear_w(moment)
        if clear == 0.0 or self.cloudiness == 0.0:
            return clear
        return clear * (1.0 - self.cloudiness * _smooth_noise(self.seed, moment))


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """House load with a hump at breakfast and one at supper; `mean_w` scales the whole."""

    mean_w: float = 450.0
    seed: int = 2

    def power_w(self, moment: datetime) -> float:
        """Return the load (W) at a local time."""
        hour = hour_of_day(moment)
        humps = 1.1 * exp(-(((hour - 7.5) / 1.2) ** 2)) + 1.8 * exp(-(((hour - 19.0) / 1.8) ** 2))
        return self.mean_w * (0.45 + humps + 0.5 * _smooth_noise(self.seed, moment))
