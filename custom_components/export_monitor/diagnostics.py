"""The diagnostics download: everything a bug report needs, nothing that names the household."""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant

from . import const
from .coordinator import ExportMonitorConfigEntry
from .inputs.wiring import entity_ids
from .settings import merged, settings_of
from .storage import encode

# The note is what somebody typed as the reason of a stop.
TO_REDACT = {"title", "unique_id", "latitude", "longitude", "note"}

type Document = dict[str, Any]


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: ExportMonitorConfigEntry
) -> dict[str, Any]:
    """Return the entry's configuration, readings, state machine, errors and circuits."""
    del hass
    coordinator = entry.runtime_data.coordinator
    control = coordinator.control
    settings = asdict(settings_of(merged(entry)))
    settings["timezone"] = str(settings["timezone"])
    found = {
        "entry": entry.as_dict(),
        "settings": settings,
        "health": coordinator.get_system_health().value,
        "data_age_seconds": coordinator.get_data_age(),
        "readings": encode(control.readings),
        "state": encode(control.state),
        "errors": encode(control.errors),
        "circuits": {
            name: circuit.as_dict() for name, circuit in coordinator.resilience.circuits.items()
        },
        "operations": coordinator.resilience.operations,
        "resilience": coordinator.resilience.report(),
        "source_ages": dict(coordinator.staleness.source_ages),
    }
    redacted: Document = _anonymous(async_redact_data(found, TO_REDACT), _people(entry))
    return redacted


def _people(entry: ExportMonitorConfigEntry) -> Mapping[str, str]:
    """Return what stands for each notify target, which is often named after a person."""
    targets = entity_ids(merged(entry), const.CONF_NOTIFY_TARGETS)
    names = {name.partition(".")[2]: f"target_{i}" for i, name in enumerate(targets, 1)}
    return dict(sorted(names.items(), key=lambda each: -len(each[0])))  # the longest name first


def _anonymous(value: Any, people: Mapping[str, str]) -> Any:  # noqa: ANN401 - any JSON
    """Return a document in which no notify target is named, whether in a key or in a text."""
    if isinstance(value, str):
        for name, number in people.items():
            value = value.replace(name, number)
        return value
    if isinstance(value, Mapping):
        return {_anonymous(key, people): _anonymous(each, people) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_anonymous(each, people) for each in value]
    return value
