"""Shrinks a failing schedule with Hypothesis to the least that still breaks the same invariant."""

from dataclasses import fields, replace
from typing import Any

from hypothesis import HealthCheck, Phase, Verbosity, find, settings, strategies as st

from .campaign import play
from .schedule import CALENDAR_KINDS, Fault, Schedule, Settings

PLAIN = Settings()
# What a fault of the calendar falls on is the beginning, and what the day had goes with the basis.
MOVABLE = tuple(
    f.name
    for f in fields(Settings)
    if f.name not in ("begin", "basis", "contract_kwh", "generated_before", "resets_s")
)
EXAMPLES = 400


@st.composite
def lesser(draw: st.DrawFn, schedule: Schedule) -> Schedule:
    """Draw schedules with some of the faults, for shorter, in a house more like the plain one."""
    kept = tuple(
        _shorter(draw, fault)
        for fault in schedule.faults
        if fault.kind in CALENDAR_KINDS or draw(st.booleans())
    )
    plain = {
        name: getattr(PLAIN, name)
        for name in MOVABLE
        if getattr(schedule.settings, name) != getattr(PLAIN, name) and not draw(st.booleans())
    }
    limits: dict[str, Any] = {
        name: getattr(schedule, name) if draw(st.booleans()) else None
        for name in ("energy_kwh", "duration_min", "stop_at")
        if getattr(schedule, name) is not None
    }
    tries = draw(st.integers(1, schedule.start_tries))
    house = replace(schedule.settings, **plain)
    return replace(schedule, faults=kept, settings=house, start_tries=tries, **limits)


def _shorter(draw: st.DrawFn, fault: Fault) -> Fault:
    least = min(fault.duration, 1)
    return replace(fault, duration=draw(st.integers(least, fault.duration)))


def shrink(schedule: Schedule) -> Schedule:
    """Return the least schedule that breaks an invariant which this one breaks."""
    broken = {violation.invariant for violation in play(schedule).violations}

    def fails(candidate: Schedule) -> bool:
        return any(v.invariant in broken for v in play(candidate).violations)

    plainly = settings(
        max_examples=EXAMPLES,
        database=None,
        deadline=None,
        derandomize=True,
        verbosity=Verbosity.quiet,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    try:
        return find(lesser(schedule), fails, settings=plainly)
    except Exception:  # noqa: BLE001 - nothing lesser was found: the whole is the least
        return schedule
