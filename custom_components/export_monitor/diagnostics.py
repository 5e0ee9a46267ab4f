"""The diagnostics download: everything a bug report needs, nothing that names the household."""

from dataclasses import asdict
from typing import Any

from homeassistant.components.diagnostics import async_redact_data
from homeassistant.core import HomeAssistant

from .coordinator import ExportMonitorConfigEntry
from .settings import merged, settings_of
from .storage import encode

TO_REDACT = {"title", "unique_id", "latitude", "longitude"}


async def async_get_config_entry_diagnostics(
    hass: HomeAssistant, entry: ExportMonitorConfigEntry
) -> dict[str, Any]:
    """Return the entry's configuration, readings, state machine, errors and circuits."""
    del hass
    coordinator = entry.runtime_data.coordinator
    control = coordinator.control
    settings = asdict(settings_of(merged(entry)))
    settings["timezone"] = str(settings["timezone"])
    return {
        "entry": async_redact_data(entry.as_dict(), TO_REDACT),
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
