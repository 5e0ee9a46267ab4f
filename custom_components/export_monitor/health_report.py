"""The daily report: how the integration does and what yesterday came to, in a few plain lines."""

from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
import logging

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_change
from homeassistant.util import dt as dt_util

from . import const, phrases
from .coordinator import ExportMonitorConfigEntry, SystemHealth
from .error_handler import BreakerState
from .ledger import Day
from .ledger.report import status
from .settings import merged, option_flag, option_time

_LOGGER = logging.getLogger(__name__)

LATELY = timedelta(hours=24)


class HealthReport:
    """Tells once a day, at a local time, whoever is told of alarms."""

    def __init__(self, hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> None:
        """Tell nothing yet."""
        self._hass = hass
        self._entry = entry

    @callback
    def start(self) -> Callable[[], None]:
        """Wait for the time, if a report is wanted; returns how to end that."""
        config = merged(self._entry)
        if not option_flag(config, const.CONF_DAILY_REPORT):
            return lambda: None
        at = option_time(config, const.CONF_DAILY_REPORT_TIME)
        return async_track_time_change(
            self._hass, self._tell, hour=at.hour, minute=at.minute, second=at.second
        )

    @callback
    def _tell(self, now: datetime) -> None:
        del now
        self._entry.async_create_background_task(
            self._hass, self._send(), "export_monitor daily report"
        )

    async def _send(self) -> None:
        title = phrases.report_word(self._hass, "daily_title", name=self._entry.title)
        delivery = await self._entry.runtime_data.alerts.daily(title, self.text())
        _LOGGER.debug("Daily report: %s", delivery)

    def text(self) -> str:
        """Return the report as it would be sent now."""
        return "\n".join(f"- {line}" for line in self._lines() if line)

    def _lines(self) -> Iterable[str]:
        runtime = self._entry.runtime_data
        yield self._health()
        yield self._yesterday(runtime.compliance.yesterday)
        yield self._margin()
        yield self._errors()
        yield self._degraded()

    def _say(self, name: str, **facts: str) -> str:
        return phrases.report_word(self._hass, name, **facts)

    def _number(self, value: float, digits: int = 2) -> str:
        return phrases.number(self._hass, value, digits)

    def _health(self) -> str:
        coordinator = self._entry.runtime_data.coordinator
        health = coordinator.get_system_health()
        if health is SystemHealth.HEALTHY:
            return self._say("daily_healthy")
        if health is SystemHealth.CIRCUIT_BREAKER_OPEN:
            return self._say("daily_circuit")
        if health is SystemHealth.STALE_DATA:
            return self._say("daily_stale")
        error = phrases.reason_of(self._hass, coordinator.get_error_state().value)
        return self._say("daily_error", error=error)

    def _yesterday(self, day: Day | None) -> str:
        if day is None:
            return self._say("daily_no_record")
        facts = {
            "exported": self._number(day.exported),
            "generated": self._number(day.generated),
            "contract": self._number(day.contract or 0.0),
            "over": self._number(max(0.0, day.over)),
            "deliberate": self._number(day.deliberate),
            "sessions": str(len(day.sessions)),
        }
        said = self._say(f"daily_{status(day)}", **facts)
        causes = (phrases.breach(self._hass, each.cause) for each in day.breaches)
        return " ".join((said, *causes))

    def _margin(self) -> str:
        advice = self._entry.runtime_data.compliance.advice
        if advice.needed is None or advice.suggestion <= advice.margin:
            return ""
        return self._say(
            "daily_margin",
            margin=self._number(advice.margin, 1),
            suggestion=self._number(advice.suggestion, 1),
            days=str(advice.days_over),
            cost=self._number(advice.lost_kwh, 1),
        )

    def _errors(self) -> str:
        since = dt_util.utcnow() - LATELY
        history = self._entry.runtime_data.control.errors.history
        found = dict.fromkeys(past.state.value for past in history if past.at >= since)
        if not found:
            return self._say("daily_no_errors")
        named = ", ".join(phrases.reason_of(self._hass, each) for each in found)
        return self._say("daily_errors", errors=named)

    def _degraded(self) -> str:
        """Return what works worse than it could, and the circuits that are open."""
        coordinator = self._entry.runtime_data.coordinator
        circuits = coordinator.resilience.circuits.values()
        count = len({each.what for each in coordinator.data.degraded})
        count += sum(circuit.state is not BreakerState.CLOSED for circuit in circuits)
        return self._say("daily_degraded", count=str(count)) if count else ""
