"""Random days to plan, by seed: sunny and dark, cheap and negative, whole and with holes."""

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from math import exp, pi, sin
from random import Random
from zoneinfo import ZoneInfo

from custom_components.export_monitor.planning import (
    ALL_DAY,
    BatteryState,
    DailyWindow,
    DayAllowance,
    PlanInput,
    PlanSlot,
    PowerLimits,
)

LONDON = ZoneInfo("Europe/London")
ORDINARY = datetime(2026, 6, 3)  # noqa: DTZ001 - local, the zone is added below
SHORT = datetime(2026, 3, 29)  # noqa: DTZ001
LONG = datetime(2026, 10, 25)  # noqa: DTZ001
TARIFFS = ("flat", "night", "agile", "negative", "carbon")
DAYS = ("ordinary", "short", "long", "tight", "broken", "holes", "empty", "accruing")


@dataclass(frozen=True)
class Case:
    """A day, and what kind of day it is."""

    given: PlanInput
    day: str
    tariff: str


def case(seed: int) -> Case:
    """Return the day of a seed: kinds in turn, everything else by chance."""
    rng = Random(seed)
    kind = DAYS[seed % len(DAYS)]
    tariff = TARIFFS[seed // len(DAYS) % len(TARIFFS)]
    naive = {"short": SHORT, "long": LONG}.get(kind, ORDINARY)
    midnight = naive.replace(tzinfo=LONDON).astimezone(UTC)
    end = (naive + timedelta(days=1)).replace(tzinfo=LONDON).astimezone(UTC)
    slots = tuple(_slots(rng, midnight, end, tariff, holes=kind == "holes"))
    sun = sum(s.pv[1] * (s.end - s.start).total_seconds() / 3.6e6 for s in slots)
    share = rng.uniform(0.05, 0.3) if kind in ("tight", "broken") else rng.uniform(0.5, 1.2)
    left = sun * share
    if kind == "broken":
        left = rng.choice([-1.0, 0.0, 0.3])
    if kind == "accruing":
        left = rng.uniform(-1.0, 2.0)
    capacity = rng.choice([4.0, 8.0, 13.5])
    floor = rng.choice([10.0, 20.0, 40.0])
    return Case(
        PlanInput(
            slots=slots,
            battery=BatteryState(
                capacity_kwh=capacity,
                soc=rng.uniform(2, floor) if kind == "empty" else rng.uniform(floor, 100),
                floor_soc=floor,
                house_floor_soc=rng.choice([None, None, 4.0]),
                full_soc=rng.choice([100.0, 95.0]),
                charge_limit_w=rng.choice([2500.0, 5000.0]),
                discharge_limit_w=rng.choice([2500.0, 5000.0]),
                round_trip_efficiency=rng.uniform(0.8, 0.97),
            ),
            days=(DayAllowance(midnight, end, left, accrues=kind == "accruing"),),
            limits=PowerLimits(
                site_export_w=rng.choice([3680.0, 5000.0, float("inf")]),
                inverter_w=rng.choice([5000.0, float("inf")]),
                target_export_w=rng.choice([3000.0, float("inf")]),
                charge_w=3680.0,
            ),
            export_window=rng.choice([ALL_DAY, DailyWindow(time(15), time(0, 30))]),
            charge_window=rng.choice([None, DailyWindow(time(23, 30), time(5))]),
            zone=LONDON,
            green_only=rng.random() < 0.7,
            wear_cost=rng.choice([0.0, 0.02]),
            terminal_value=rng.uniform(0.02, 0.2),
        ),
        kind,
        tariff,
    )


def _slots(
    rng: Random, start: datetime, end: datetime, tariff: str, *, holes: bool
) -> list[PlanSlot]:
    peak, load = rng.uniform(0.3, 6) * 1000, rng.uniform(0.15, 0.9) * 1000
    found: list[PlanSlot] = []
    at = start
    while at < end:
        minutes = rng.choice([60, 60, 60, 90, 30])
        to = min(at + timedelta(minutes=minutes), end)
        hour = (at - start).total_seconds() / 3600
        pv = max(0.0, peak * sin(pi * (hour - 6) / 14)) * rng.uniform(0.4, 1) * (6 < hour < 20)
        used = load * (
            0.45
            + 1.1 * exp(-(((hour - 7.5) / 1.2) ** 2))
            + 1.8 * exp(-(((hour - 19) / 1.8) ** 2))
            + 0.3 * rng.random()
        )
        value, cost = _rates(rng, tariff, hour)
        known = not holes or rng.random() > 0.15
        slot = PlanSlot(
            at,
            to,
            (pv * 0.5, pv, pv * 1.3),
            used,
            value if known else None,
            cost if known else None,
        )
        if not holes or not found or rng.random() > 0.15:
            found.append(slot)
        at = to
    return found


def _rates(rng: Random, tariff: str, hour: float) -> tuple[float, float]:
    if tariff == "flat":
        return 0.15, 0.28
    if tariff == "night":
        return 0.15, 0.07 if hour < 5 or hour >= 23.5 else 0.28
    wave = 0.1 + 0.06 * sin(hour / 12 * 2 * pi) + (0.15 if 16 <= hour < 19 else 0)
    wave += 0.05 * rng.random()
    if tariff == "carbon":
        return wave, wave
    if tariff == "negative":
        wave -= 0.25 if rng.random() < 0.2 else 0.05
        return wave, wave + rng.choice([0.0, 0.03, -0.02])
    return wave, 1.8 * wave + 0.02
