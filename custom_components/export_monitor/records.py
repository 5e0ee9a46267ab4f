"""Decides when the controller's state is written, and survives a disk that refuses."""

from collections.abc import Callable
import logging

from homeassistant.core import HomeAssistant, callback
from homeassistant.exceptions import HomeAssistantError

from .engine.state import State
from .storage import UNREADABLE, Record, Storage, to_keep, urgent

_LOGGER = logging.getLogger(__name__)


class Records:
    """Keeps one controller's record; `present` returns what there is to keep now."""

    def __init__(
        self, hass: HomeAssistant, storage: Storage, present: Callable[[], Record]
    ) -> None:
        """Read and write nothing yet."""
        self._hass = hass
        self._storage = storage
        self._present = present
        self._forgotten = False

    async def load(self) -> Record | None:
        """Return the stored record; None where there is none, or none that can be understood."""
        try:
            return await self._storage.load()
        except UNREADABLE:
            # An unreadable record must not keep the guard from living.
            _LOGGER.exception("Stored state cannot be understood and is started anew")
            return None

    @callback
    def forget(self) -> None:
        """Keep no record any more: the entry was removed."""
        self._forgotten = True

    @callback
    def keep(self, before: State, after: State) -> None:
        """Write through what safety rests on; sums can wait some seconds."""
        if self._forgotten:
            return
        if urgent(before, after):
            self._hass.async_create_task(self.save(), "export_monitor record")
        elif to_keep(before, after):
            self._storage.save_soon(self._present())

    async def save(self) -> bool:
        """Write the record now; tell whether the disk took it."""
        try:
            await self._storage.save(self._present())
        except (OSError, HomeAssistantError):
            _LOGGER.exception("The record of the discharge could not be written")
            return False
        return True
