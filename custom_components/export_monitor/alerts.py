"""Tells people: persistent notifications, and repair issues for what must not be missed."""

from collections.abc import Mapping
from dataclasses import dataclass
import logging

from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations

from .const import DOMAIN
from .models import ErrorState

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Notice:
    """How one error is announced. Text: translations under `issues`, by `name`."""

    name: str
    critical: bool = False


NOTICES: Mapping[ErrorState, Notice] = {
    ErrorState.SOC_READ_FAILED: Notice("soc_read_failed"),
    ErrorState.STALE_DATA: Notice("stale_data"),
    ErrorState.NO_DATA: Notice("no_data"),
    ErrorState.POWER_SET_FAILED: Notice("discharge_power_failed"),
    ErrorState.CUTOFF_SET_FAILED: Notice("discharge_cutoff_failed"),
    ErrorState.DURATION_SET_FAILED: Notice("discharge_duration_failed"),
    ErrorState.START_FAILED: Notice("discharge_start_failed"),
    ErrorState.STOP_FAILED: Notice("discharge_stop_failed", critical=True),
    ErrorState.BATTERY_NOT_RESPONDING: Notice("battery_not_responding"),
    ErrorState.OVER_EXPORT: Notice("over_export"),
}


class Alerts:
    """Announces one entry's errors and takes each announcement back when its error clears."""

    def __init__(self, hass: HomeAssistant, prefix: str, entry_id: str, fallback: str) -> None:
        """`prefix` starts every notification id: the domain, with a slug from the second entry.

        `fallback` is the entity of the fallback stop, empty where there is none.
        """
        self._fallback = fallback
        self._hass = hass
        self._prefix = prefix
        self._entry_id = entry_id
        self._texts: dict[str, str] = {}

    async def prepare(self) -> None:
        """Load the texts in the language of this Home Assistant, before any error needs them."""
        language = self._hass.config.language
        self._texts = await async_get_translations(self._hass, language, "issues", [DOMAIN])

    def announce(self, error: ErrorState, entity_id: str | None, detail: str) -> None:
        """Show the notification of an error; a critical one is a repair issue too."""
        notice = NOTICES.get(error)
        if notice is None:
            return
        _LOGGER.error("%s: %s %s", error.value, entity_id or "", detail)
        facts = {
            "entity": entity_id or "-",
            "detail": detail or "-",
            "fallback": self._fallback or "-",
        }
        persistent_notification.async_create(
            self._hass,
            self._text(notice.name, "description", facts),
            self._text(notice.name, "title", facts),
            f"{self._prefix}_{notice.name}",
        )
        if notice.critical:
            ir.async_create_issue(
                self._hass,
                DOMAIN,
                self._issue_id(notice),
                is_fixable=False,
                severity=ir.IssueSeverity.CRITICAL,
                translation_key=notice.name,
                translation_placeholders=facts,
            )

    def withdraw(self, error: ErrorState) -> None:
        """Take back whatever announced an error."""
        notice = NOTICES.get(error)
        if notice is None:
            return
        persistent_notification.async_dismiss(self._hass, f"{self._prefix}_{notice.name}")
        if notice.critical:
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(notice))

    def withdraw_all(self) -> None:
        """Take everything back: the entry is going away."""
        for error in NOTICES:
            self.withdraw(error)

    def _issue_id(self, notice: Notice) -> str:
        return f"{notice.name}_{self._entry_id}"

    def _text(self, name: str, part: str, facts: Mapping[str, str]) -> str:
        text = self._texts.get(f"component.{DOMAIN}.issues.{name}.{part}", name)
        for key, value in facts.items():
            text = text.replace(f"{{{key}}}", value)
        return text
