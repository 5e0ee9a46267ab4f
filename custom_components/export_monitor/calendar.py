"""A calendar of planned windows; those of the last two days stay with what became of them."""

from datetime import datetime
from typing import override

from homeassistant.components.calendar import (
    CalendarEntity,
    CalendarEntityDescription,
    CalendarEvent,
)
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from . import phrases
from .coordinator import ExportMonitorConfigEntry
from .entity import ExportMonitorEntity
from .planning.diary import Entry, diary
from .planning.fates import Fate, Outcome

PARALLEL_UPDATES = 0
PLAN = CalendarEntityDescription(key="plan", translation_key="plan")


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the calendar of one entry."""
    del hass
    async_add_entities([PlanCalendar(entry)])


class PlanCalendar(ExportMonitorEntity, CalendarEntity):
    """Shows windows as appointments."""

    def __init__(self, entry: ExportMonitorConfigEntry) -> None:
        """Bind the plans, and what became of their windows."""
        super().__init__(entry, "calendar", PLAN)
        self._runtime = entry.runtime_data

    def _entries(self) -> tuple[Entry, ...]:
        runtime = self._runtime
        now = runtime.control.now().utc
        return diary(runtime.autopilot.outcomes, runtime.plans.plan, now)

    @property
    @override
    def event(self) -> CalendarEvent | None:
        """Return the window that runs, else the next one."""
        now = self._runtime.control.now().utc
        coming = (entry for entry in self._entries() if entry.end > now)
        entry = next(coming, None)
        return None if entry is None else self._appointment(entry)

    @override
    async def async_get_events(
        self, hass: HomeAssistant, start_date: datetime, end_date: datetime
    ) -> list[CalendarEvent]:
        """Return the windows that touch an interval."""
        del hass
        return [
            self._appointment(entry)
            for entry in self._entries()
            if entry.start < end_date and entry.end > start_date
        ]

    def _appointment(self, entry: Entry) -> CalendarEvent:
        hass, objective = self.hass, self._runtime.plans.planning.objective
        lines = [phrases.why(hass, entry.window, objective)]
        # Of what runs the plan is shown; what has become of the rest is told first.
        energy = entry.window.energy_kwh
        if entry.fate is not None and entry.fate is not Fate.STARTED:
            told = Outcome(entry.fate, entry.window, entry.end, entry.reason, entry.energy_kwh)
            lines.insert(0, phrases.words(hass, told, objective))
            energy = entry.energy_kwh if entry.fate is Fate.ENDED else energy
        return CalendarEvent(
            start=dt_util.as_local(entry.start),
            end=dt_util.as_local(max(entry.end, entry.start)),
            summary=phrases.summary(hass, entry.window, energy),
            description="\n".join(dict.fromkeys(lines)),
            uid=f"{entry.kind}-{entry.start.isoformat()}",
        )

    @override
    def facts(self) -> object:
        return self.event
