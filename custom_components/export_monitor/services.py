"""The services: registered once, whatever entries there are."""

from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import config_validation as cv
import voluptuous as vol

from . import actions
from .const import DOMAIN
from .coordinator import ExportMonitorConfigEntry, Runtime

ATTR_CONFIG_ENTRY_ID = "config_entry_id"
ATTR_POWER = "power_w"
ATTR_ENERGY = "energy_kwh"
ATTR_DURATION = "duration_minutes"
ATTR_REASON = "reason"

_ENTRY = {vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}
# Far above any battery, and small enough to reckon with.
_POSITIVE = vol.All(vol.Coerce(float), vol.Range(min=0, max=1e6, min_included=False))
START_SCHEMA = vol.Schema(
    {
        **_ENTRY,
        vol.Optional(ATTR_POWER): _POSITIVE,
        vol.Optional(ATTR_ENERGY): _POSITIVE,
        vol.Optional(ATTR_DURATION): _POSITIVE,
    }
)
STOP_SCHEMA = vol.Schema({**_ENTRY, vol.Optional(ATTR_REASON): cv.string})
CALCULATE_SCHEMA = vol.Schema(_ENTRY)


def _error(key: str, **placeholders: str) -> ServiceValidationError:
    return ServiceValidationError(
        translation_domain=DOMAIN, translation_key=key, translation_placeholders=placeholders
    )


def _runtime(call: ServiceCall) -> Runtime:
    """Return the entry that a call means; without an id it must be the only one."""
    entries: list[ExportMonitorConfigEntry] = call.hass.config_entries.async_entries(DOMAIN)
    entry_id = call.data.get(ATTR_CONFIG_ENTRY_ID)
    if entry_id is not None:
        entries = [entry for entry in entries if entry.entry_id == entry_id]
    if not entries:
        raise _error("entry_not_found")
    if len(entries) > 1:
        raise _error("entry_required")
    entry = entries[0]
    if entry.state is not ConfigEntryState.LOADED:
        raise _error("entry_not_loaded", entry=entry.title)
    return entry.runtime_data


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the services."""

    async def start_discharge(call: ServiceCall) -> ServiceResponse:
        return await actions.start(
            _runtime(call),
            power_w=call.data.get(ATTR_POWER),
            energy_kwh=call.data.get(ATTR_ENERGY),
            duration_min=call.data.get(ATTR_DURATION),
        )

    async def stop_discharge(call: ServiceCall) -> ServiceResponse:
        return await actions.stop(_runtime(call), note=call.data.get(ATTR_REASON))

    async def calculate_discharge(call: ServiceCall) -> ServiceResponse:
        return await actions.calculate(_runtime(call))

    for name, handler, schema, response in (
        ("start_discharge", start_discharge, START_SCHEMA, SupportsResponse.OPTIONAL),
        ("stop_discharge", stop_discharge, STOP_SCHEMA, SupportsResponse.OPTIONAL),
        ("calculate_discharge", calculate_discharge, CALCULATE_SCHEMA, SupportsResponse.ONLY),
    ):
        hass.services.async_register(
            DOMAIN,
            name,
            handler,
            schema=schema,  # type: ignore[arg-type]  # the newest end aliases voluptuous
            supports_response=response,
        )
