"""The planner's solver: fetched when planning is first enabled; done without where that fails.

The manifest requires nothing, so that a controller never needs a package index at boot.
"""

from collections.abc import Callable
from datetime import datetime, timedelta
import importlib
import logging
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.requirements import async_clear_install_history, async_process_requirements
from homeassistant.util.hass_dict import HassKey

from . import const

_LOGGER = logging.getLogger(__name__)

# With wheels for musl on x86_64 and aarch64, which Home Assistant's own image runs on.
REQUIREMENT: Final = "highspy==1.15.1"
AGAIN: Final = timedelta(hours=24)
ISSUE: Final = "solver_missing"
PRESENT: HassKey[bool] = HassKey(f"{const.DOMAIN}_solver")


def _loads() -> bool:
    """Tell whether the solver can be imported; for an executor, as it takes a while."""
    importlib.invalidate_caches()  # it may have been installed since the last look
    try:
        importlib.import_module("highspy")
    except ImportError as error:
        _LOGGER.debug("HiGHS does not load: %s", error)
        return False
    return True


class Solver:
    """Sees to it that an entry's plans are made with HiGHS, once it plans at all."""

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry, found: Callable[[], None]) -> None:
        """Fetch nothing yet; `found` is called when the solver has become available."""
        self._hass = hass
        self._entry = entry
        self._found = found
        self._asked = False

    @property
    def available(self) -> bool:
        """Whether plans are made with the solver."""
        return self._hass.data.get(PRESENT, False)

    @callback
    def need(self) -> None:
        """Fetch it in the background, and try again daily where that fails."""
        if self._asked:
            return
        self._asked = True
        self._fetch_soon(None)
        self._entry.async_on_unload(
            async_track_time_interval(self._hass, self._fetch_soon, AGAIN, cancel_on_shutdown=True)
        )

    @callback
    def spare(self) -> None:
        """Take back what was said of it: nothing is planned any more."""
        ir.async_delete_issue(self._hass, const.DOMAIN, self._issue_id)

    @property
    def _issue_id(self) -> str:
        return f"{ISSUE}_{self._entry.entry_id}"

    @callback
    def _fetch_soon(self, now: datetime | None) -> None:
        del now
        if not self.available:
            self._entry.async_create_background_task(
                self._hass, self._fetch(), "export_monitor solver"
            )

    async def _fetch(self) -> None:
        present = await self._hass.async_add_executor_job(_loads)
        if not present:
            present = await self._installed()
        if present:
            self._hass.data[PRESENT] = True
            ir.async_delete_issue(self._hass, const.DOMAIN, self._issue_id)
            self._found()
            return
        _LOGGER.warning("Plans are made without the solver (%s cannot be had)", REQUIREMENT)
        ir.async_create_issue(
            self._hass,
            const.DOMAIN,
            self._issue_id,
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key="solver_missing",
            translation_placeholders={"requirement": REQUIREMENT},
        )

    async def _installed(self) -> bool:
        """Install it as Home Assistant installs what integrations require."""
        if self._hass.config.skip_pip:  # told to install nothing
            return False
        async_clear_install_history(self._hass)  # or it would not be tried a second time
        try:
            await async_process_requirements(self._hass, const.DOMAIN, [REQUIREMENT])
        except Exception as error:  # noqa: BLE001 - no network, no build, no disk: all the same
            _LOGGER.debug("%s was not installed: %r", REQUIREMENT, error)
            return False
        return await self._hass.async_add_executor_job(_loads)
