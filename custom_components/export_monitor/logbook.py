"""Lines of the logbook: what happened to the battery, and why, in Home Assistant's language."""

from collections.abc import Callable, Mapping
from typing import Any

from homeassistant.components.logbook.const import (
    LOGBOOK_ENTRY_ENTITY_ID,
    LOGBOOK_ENTRY_ICON,
    LOGBOOK_ENTRY_MESSAGE,
    LOGBOOK_ENTRY_NAME,
)
from homeassistant.core import Event, HomeAssistant, callback
from homeassistant.helpers import entity_registry as er
from homeassistant.helpers.translation import async_get_cached_translations

from . import const
from .alerts import NOTICES
from .models import ErrorState, Kind
from .pulse import ACTIVITY_EVENT

ICONS = {
    "session_started": "mdi:battery-arrow-down",
    "charge_session_started": "mdi:battery-arrow-up",
    "error_raised": "mdi:alert-circle",
    "error_cleared": "mdi:check-circle",
    "start_refused": "mdi:cancel",
    "command": "mdi:tune",
}
ICON = "mdi:battery"

type Facts = Mapping[str, Any]
type Describe = Callable[[str, str, Callable[[Event], dict[str, str]]], None]


@callback
def async_describe_events(hass: HomeAssistant, async_describe_event: Describe) -> None:
    """Describe the events of `pulse`."""

    @callback
    def describe(event: Event) -> dict[str, str]:
        facts: Facts = event.data
        entry = hass.config_entries.async_get_entry(str(facts.get("entry_id")))
        what = _activity(facts)
        line = {
            LOGBOOK_ENTRY_NAME: const.NAME if entry is None else entry.title,
            LOGBOOK_ENTRY_MESSAGE: message(hass, facts),
            LOGBOOK_ENTRY_ICON: ICONS.get(what, ICON),
        }
        status = er.async_get(hass).async_get_entity_id(
            "sensor", const.DOMAIN, f"{facts.get('entry_id')}_discharge_status"
        )
        return line if status is None else {**line, LOGBOOK_ENTRY_ENTITY_ID: status}

    async_describe_event(const.DOMAIN, ACTIVITY_EVENT, describe)


def _activity(facts: Facts) -> str:
    """Return which text an event has: those of a charge have their own."""
    what = str(facts.get("type", ""))
    of_session = what.startswith(("session_", "stop_"))
    return f"charge_{what}" if of_session and facts.get("session_kind") == Kind.CHARGE else what


def message(hass: HomeAssistant, facts: Facts) -> str:
    """Return an event in words: what happened, and what its own facts add."""
    what = _activity(facts)
    text = _words(hass, "selector", f"activity.options.{what}", what)
    if what == "start_refused":
        return _refusal(hass, str(facts.get("reason", ""))) or text
    details = [each for each in (_detail(hass, facts), _energy(facts)) if each]
    return ": ".join((text, ", ".join(details))) if details else text


def _detail(hass: HomeAssistant, facts: Facts) -> str:
    """Return why something happened, or what was commanded."""
    match facts.get("type"):
        case "session_ended" | "stop_requested":
            reason = str(facts.get("reason", ""))
            return _words(hass, "selector", f"end_reason.options.{reason}", reason)
        case "error_raised" | "error_cleared":
            return _error(hass, str(facts.get("error", "")))
        case "command":
            value = facts.get("value")
            return f"{facts.get('command')}{'' if value is None else f' {value:g}'}"
        case _:
            return ""


def _refusal(hass: HomeAssistant, reason: str) -> str:
    """Return the first sentence of what its caller was told, empty where there is none."""
    return _words(hass, "exceptions", f"refused_{reason}.message", reason).partition(". ")[0]


def _error(hass: HomeAssistant, error: str) -> str:
    """Return an error by the title of its notification; one without has its own name."""
    notice = NOTICES.get(ErrorState(error)) if error in set(ErrorState) else None
    return error if notice is None else _words(hass, "issues", f"{notice.name}.title", error)


def _energy(facts: Facts) -> str:
    """Return what a session has exported, or charged, in all (kWh)."""
    charged = facts.get("session_kind") == Kind.CHARGE
    energy = facts.get("session_charged_kwh" if charged else "session_exported_kwh")
    ended = facts.get("type") == "session_ended"
    return f"{energy:.2f} kWh" if ended and isinstance(energy, float | int) else ""


def _words(hass: HomeAssistant, category: str, key: str, otherwise: str) -> str:
    """Return a text in Home Assistant's language; one with a placeholder tells nothing here."""
    texts = async_get_cached_translations(hass, hass.config.language, category, const.DOMAIN)
    text = texts.get(f"component.{const.DOMAIN}.{category}.{key}", otherwise)
    return otherwise if "{" in text else text
