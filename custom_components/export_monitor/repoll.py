"""Asks for what is polled slowly as soon as its device answers again.

Home Assistant's Modbus polls energy counters once a minute: after a lost link the powers are back
within seconds, but a counter that has missed a poll stays unavailable for up to a minute more.
"""

from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
import logging

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval

from .error_handler import Outcome, SafeServiceCall

_LOGGER = logging.getLogger(__name__)

DOMAIN, SERVICE = "homeassistant", "update_entity"
LOOK = timedelta(seconds=5)
LOOKS_APART = 12  # so once a minute at most, as often as it is polled anyway
TIMEOUT_S = 10.0  # a bus that has just come back has a queue


class Repoll:
    """Looks every few seconds for what is overdue and has Home Assistant poll it."""

    def __init__(
        self, hass: HomeAssistant, call: SafeServiceCall, overdue: Callable[[], Sequence[str]]
    ) -> None:
        """`overdue` returns the entities that are unavailable though their device answers."""
        self._hass = hass
        self._call = call
        self._overdue = overdue
        self._pause = 0
        """Looks until it may be asked again."""
        self._failed = False

    @callback
    def start(self) -> Callable[[], None]:
        """Begin to look; returns how to end that."""
        return async_track_time_interval(self._hass, self._look, LOOK, cancel_on_shutdown=True)

    @callback
    def _look(self, now: datetime) -> None:
        del now
        self._pause = max(0, self._pause - 1)
        overdue = self._overdue()
        if not overdue:
            self._failed = False
        elif self._may_ask():
            self._pause = LOOKS_APART
            self._hass.async_create_background_task(self._ask(overdue), "export_monitor repoll")

    def _may_ask(self) -> bool:
        there = self._hass.services.has_service(DOMAIN, SERVICE)
        return there and not self._pause and not self._failed

    async def _ask(self, entity_ids: Sequence[str]) -> None:
        """Ask once; where that fails, the entities' own polls are waited for, as without us."""
        result = await self._call.call_bypassing(
            DOMAIN, SERVICE, {"entity_id": list(entity_ids)}, timeout_s=TIMEOUT_S
        )
        # They were unavailable when asked for, and that is what the result then says.
        if result.outcome not in (Outcome.OK, Outcome.UNAVAILABLE):
            self._failed = True
            _LOGGER.warning("%s could not be polled: %s", ", ".join(entity_ids), result.detail)
