"""What became of the windows of the past, and what is planned: one list in order of time."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from ..models import Kind
from .fates import Fate, Outcome
from .models import Plan, Window

OVER = frozenset({Fate.ENDED, Fate.FAILED})


@dataclass(frozen=True, slots=True)
class Entry:
    """One window, through all its plans and sessions."""

    window: Window
    """As the newest plan had it: its reason stands for the whole."""
    start: datetime
    end: datetime
    fate: Fate | None = None
    """The last that became of it; None while it is still to come."""
    reason: str | None = None
    energy_kwh: float = 0.0
    """What its sessions have delivered."""

    @property
    def kind(self) -> Kind:
        """Whether it is a discharge or a charge."""
        return self.window.kind


def diary(outcomes: Iterable[Outcome], plan: Plan | None, now: datetime) -> tuple[Entry, ...]:
    """Return windows past, present and to come. A window that runs is one entry, plan or not."""
    entries: list[Entry] = []
    for outcome in outcomes:
        place = _place(entries, outcome.window)
        if place is None:
            window = outcome.window
            entries.append(_told(Entry(window, window.start, window.end), outcome))
        else:
            entries[place] = _told(entries[place], outcome)
    for window in () if plan is None else plan.windows:
        if window.end <= now:
            continue
        place = _place(entries, window)
        if place is None:
            entries.append(Entry(window, window.start, window.end))
        else:
            entries[place] = replace(entries[place], window=window, end=window.end)
    return tuple(sorted(entries, key=lambda entry: entry.start))


def _place(entries: list[Entry], window: Window) -> int | None:
    """Return which entry a window is another part of."""
    for place in reversed(range(len(entries))):
        entry = entries[place]
        planned_end = max(entry.end, entry.window.end)
        together = window.start <= planned_end and entry.start <= window.end
        if entry.kind is window.kind and together:
            return place
    return None


def _told(entry: Entry, outcome: Outcome) -> Entry:
    if outcome.fate is Fate.MISSED and entry.energy_kwh > 0:
        return entry
    return replace(
        entry,
        window=outcome.window,
        end=outcome.at if outcome.fate in OVER else max(entry.end, outcome.window.end),
        fate=outcome.fate,
        reason=outcome.reason,
        energy_kwh=entry.energy_kwh + outcome.energy_kwh,
    )
