"""Stops the battery without the session machine, for when that one fails itself."""

from collections.abc import Callable
from datetime import datetime

from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_call_later

from .engine.state import WriteKind
from .models import Kind

EVERY_S = 30.0
FALLBACK_AFTER_S = 3.0  # AlphaESS drops a trigger within 2 s of another


class Failsafe:
    """Switches off, then presses the fallback; again while the machine goes on failing."""

    def __init__(
        self,
        hass: HomeAssistant,
        write: Callable[[WriteKind, Kind], None],
        clock: Callable[[], float],
    ) -> None:
        """Take the way to the battery; nothing is written yet."""
        self._hass = hass
        self._write = write
        self._clock = clock
        self._stopped_at = -EVERY_S

    @callback
    def stop(self, kind: Kind, *, asked: bool) -> bool:
        """Stop, unless that was done just now and nobody asks; tell whether anything was done.

        `kind` says whose switch goes off.
        """
        now = self._clock()
        if not asked and now - self._stopped_at < EVERY_S:
            return False
        self._stopped_at = now
        self._write(WriteKind.SWITCH_OFF, kind)

        @callback  # anything else would run in a thread
        def fall_back(now: datetime) -> None:
            del now
            self._write(WriteKind.FALLBACK_STOP, kind)

        async_call_later(self._hass, FALLBACK_AFTER_S, fall_back)
        return True
