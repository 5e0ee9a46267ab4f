"""What a solar forecaster would have said: ten times a day, at three percentiles, getting better.

The truth's cloudiness is a standard normal number in two parts, the day's and the half hour's. Of
each the forecaster knows a share that grows as the time comes near. What it says is the mean of
what is left possible, so its percentiles are right by construction; the tests measure it.
"""

from bisect import bisect_right
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import numpy as np

from custom_components.export_monitor.models import Forecast, Slot

from .weather import DAY_SIGMA, SLOT_SIGMA, Floats, Span, clearness

ISSUED_AT = (0, 4, 6, 8, 9, 10, 11, 12, 14, 17)  # UTC: Solcast's free key has ten calls a day
Z10 = 1.2816
# Shares of the variance that nobody knows yet, by how far away (h) it is: the far ones, and how
# fast they are reached. Chosen for a day-ahead error of 20-25 % of a day's energy.
DAY_UNKNOWN, DAY_HOURS = 0.22, 9.0
SLOT_UNKNOWN, SLOT_HOURS = 0.8, 2.5
DAY_STAYS, SLOT_STAYS = 0.92, 0.75  # of an error, from one forecast to the next


@dataclass(frozen=True, slots=True)
class Issue:
    """One forecast: from its own half hour on."""

    at: datetime
    first: int
    p10_w: Floats
    p50_w: Floats
    p90_w: Floats


@dataclass(slots=True)
class Forecaster:
    """All forecasts of a span. `perfect`: the truth is told, at every percentile."""

    span: Span
    perfect: bool
    issues: list[Issue] = field(default_factory=list)
    _starts: list[datetime] = field(default_factory=list)

    @classmethod
    def of(cls, span: Span, seed: int, *, perfect: bool) -> "Forecaster":
        """Return the forecaster of a span."""
        found = cls(span, perfect)
        truth = span.mean(span.pv_w)
        if perfect:
            found.issues = [Issue(span.start, 0, truth, truth, truth)]
        else:
            found.issues = list(_issues(span, np.random.default_rng([seed, 77])))
        found._starts = [issue.at for issue in found.issues]
        return found

    def latest(self, now: datetime) -> Issue:
        """Return the forecast that stands at a moment."""
        return self.issues[max(0, bisect_right(self._starts, now) - 1)]

    def forecast(self, now: datetime, until: datetime) -> Forecast:
        """Return what a source would read at a moment: half hours from now to a day's end."""
        issue = self.latest(now)
        begin = self.span.slot_of(now)
        end = min(self.span.slot_of(until), issue.first + len(issue.p50_w))
        half_hour = timedelta(minutes=30)
        start = self.span.moment_of(begin)
        slots = []
        for number in range(begin - issue.first, end - issue.first):
            slots.append(
                Slot(
                    start,
                    start + half_hour,
                    float(issue.p10_w[number]),
                    float(issue.p50_w[number]),
                    float(issue.p90_w[number]),
                )
            )
            start += half_hour
        return Forecast(slots=tuple(slots))


def _issues(span: Span, rng: np.random.Generator) -> list[Issue]:
    slots = len(span.clear_w)
    day_of = _day_numbers(span)
    day_error = rng.standard_normal(len(span.days))
    slot_error = rng.standard_normal(slots)
    found = []
    for begin, _ in span.days[: span.counted_days + 1]:
        midnight = begin.replace(hour=0)
        for hour in ISSUED_AT:
            at = midnight + timedelta(hours=hour)
            at = max(at, span.start)
            first = span.slot_of(at)
            day_error = _moved(rng, day_error, DAY_STAYS)
            slot_error = _moved(rng, slot_error, SLOT_STAYS)
            reach = slice(first, min(slots, first + 4 * 48))
            hours = np.arange(reach.stop - first) / 2
            day_open = DAY_UNKNOWN * (1 - np.exp(-(hours + 1) / DAY_HOURS))
            slot_open = SLOT_UNKNOWN * (1 - np.exp(-(hours + 0.5) / SLOT_HOURS))
            told = _told(span.cloud_day[reach], day_error[day_of[reach]], day_open) * DAY_SIGMA
            told += _told(span.cloud_slot[reach], slot_error[reach], slot_open) * SLOT_SIGMA
            told += span.cloud_mean[reach]
            sigma = np.sqrt(day_open * DAY_SIGMA**2 + slot_open * SLOT_SIGMA**2)
            clear = span.clear_w[reach]
            found.append(
                Issue(
                    at,
                    first,
                    clear * clearness(told - Z10 * sigma),
                    clear * clearness(told),
                    clear * clearness(told + Z10 * sigma),
                )
            )
    return found


def _told(truth: Floats, error: Floats, unknown: Floats) -> Floats:
    """Return the mean of a standard normal number of which a share of the variance is unknown."""
    found: Floats = truth * (1 - unknown) + error * np.sqrt(unknown * (1 - unknown))
    return found


def _moved(rng: np.random.Generator, error: Floats, stays: float) -> Floats:
    found: Floats = stays * error + np.sqrt(1 - stays * stays) * rng.standard_normal(len(error))
    return found


def _day_numbers(span: Span) -> np.ndarray[tuple[int], np.dtype[np.int_]]:
    counts = [round((end - begin).total_seconds() / 1800) for begin, end in span.days]
    return np.repeat(np.arange(len(span.days)), counts)


@dataclass(frozen=True, slots=True)
class Skill:
    """How good forecasts were, by the truth."""

    day_ahead: float
    """Mean error of a day's energy at the evening before, as a share of the mean day."""
    rmse: float
    """Of half hours a day ahead, as a share of their mean by day."""
    rmse_near: float
    """The same within three hours."""
    covered: float
    """Share of half hours of daylight, all leads, between the 10th and the 90th percentile."""
    covered_ahead: float
    """The same a day ahead."""


def skill(forecaster: Forecaster) -> Skill:
    """Measure a forecaster."""
    span = forecaster.span
    truth = span.mean(span.pv_w)
    bright = span.clear_w > 150  # noqa: PLR2004 - W: daylight
    mean = truth[: span.slot_of(span.end)][bright[: span.slot_of(span.end)]].mean()
    apart, days, near, ahead = [], [], [], []
    inside, inside_ahead = [], []
    for issue in forecaster.issues:
        if issue.at >= span.end:
            break
        lit = bright[issue.first : issue.first + len(issue.p50_w)]
        true = truth[issue.first : issue.first + len(issue.p50_w)]
        covered = (issue.p10_w <= true) & (true <= issue.p90_w)
        wrong = issue.p50_w - true
        inside.append(covered[:48][lit[:48]])
        near.append(wrong[:6][lit[:6]])
        if issue.at.hour != ISSUED_AT[-1]:
            continue
        day = next(d for d in span.days if d[0] > issue.at)
        tomorrow = slice(span.slot_of(day[0]) - issue.first, span.slot_of(day[1]) - issue.first)
        apart.append(abs(wrong[tomorrow].sum()))
        days.append(true[tomorrow].sum())
        ahead.append(wrong[tomorrow][lit[tomorrow]])
        inside_ahead.append(covered[tomorrow][lit[tomorrow]])
    return Skill(
        float(np.mean(apart) / np.mean(days)),
        float(np.sqrt(np.mean(np.concatenate(ahead) ** 2)) / mean),
        float(np.sqrt(np.mean(np.concatenate(near) ** 2)) / mean),
        float(np.concatenate(inside).mean()),
        float(np.concatenate(inside_ahead).mean()),
    )
