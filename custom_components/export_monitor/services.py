"""The services: registered once, whatever entries there are."""

from homeassistant.auth.permissions.const import POLICY_CONTROL
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import (
    HomeAssistant,
    ServiceCall,
    ServiceResponse,
    SupportsResponse,
    callback,
)
from homeassistant.exceptions import ServiceValidationError, Unauthorized, UnknownUser
from homeassistant.helpers import config_validation as cv, entity_registry as er
import voluptuous as vol

from . import actions
from .const import DOMAIN
from .coordinator import ExportMonitorConfigEntry, Runtime
from .inputs.formats import as_number
from .models import Kind
from .report_view import links

ATTR_CONFIG_ENTRY_ID = "config_entry_id"
ATTR_POWER = "power_w"
ATTR_ENERGY = "energy_kwh"
ATTR_DURATION = "duration_minutes"
ATTR_REASON = "reason"
ATTR_CIRCUIT = "circuit_name"
ATTR_MESSAGE = "message"
ATTR_SEVERITY = "severity"

ATTR_START = "start"
ATTR_END = "end"
ATTR_FORMAT = "format"

SEVERITIES = ("info", "warning", "critical")

_ENTRY: dict[vol.Marker, object] = {vol.Optional(ATTR_CONFIG_ENTRY_ID): cv.string}
LONGEST_REASON = 255
"""Characters that are kept of it: anybody may stop, so it is cut, and the stop is not refused."""
LARGEST = 1e6  # far above any battery, and small enough to reckon with
START_SCHEMA = vol.Schema(
    {
        **_ENTRY,
        # Judged in `_limit`, whose refusals are translated.
        vol.Optional(ATTR_POWER): object,
        vol.Optional(ATTR_ENERGY): object,
        vol.Optional(ATTR_DURATION): object,
    }
)
STOP_SCHEMA = vol.Schema({**_ENTRY, vol.Optional(ATTR_REASON): cv.string})
CALCULATE_SCHEMA = vol.Schema(_ENTRY)
STATISTICS_SCHEMA = vol.Schema(_ENTRY)
RESET_SCHEMA = vol.Schema(
    {**_ENTRY, vol.Optional(ATTR_CIRCUIT, default=actions.ALL_CIRCUITS): cv.string}
)
_ALERT: dict[vol.Marker, object] = {
    **_ENTRY,
    vol.Required(ATTR_MESSAGE): cv.string,
    vol.Optional(ATTR_SEVERITY, default="critical"): vol.In(SEVERITIES),
}
ALERT_SCHEMA = vol.Schema(_ALERT)
REPORT_SCHEMA = vol.Schema(
    {
        **_ENTRY,
        vol.Optional(ATTR_START): cv.date,
        vol.Optional(ATTR_END): cv.date,
        vol.Optional(ATTR_FORMAT, default=actions.ReportFormat.SUMMARY): vol.In(
            [each.value for each in actions.ReportFormat]
        ),
    }
)


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


async def _permitted(call: ServiceCall) -> Runtime:
    """Return the entry that a call means, where its caller may control the start button.

    Home Assistant asks this for entities only. What is happening now is open to all, and so is a
    stop; not so the record, which says for years when nobody was at home.
    """
    runtime = _runtime(call)
    user_id = call.context.user_id
    if user_id is None:  # an automation, or Home Assistant itself
        return runtime
    user = await call.hass.auth.async_get_user(user_id)
    if user is None:
        raise UnknownUser(context=call.context)
    unique_id = f"{runtime.coordinator.config_entry.entry_id}_start_discharge"
    button = er.async_get(call.hass).async_get_entity_id("button", DOMAIN, unique_id)
    if not user.permissions.check_entity(str(button), POLICY_CONTROL):
        raise Unauthorized(context=call.context, entity_id=button, permission=POLICY_CONTROL)
    return runtime


def _kind(call: ServiceCall) -> Kind:
    """Return what a service starts or stops: its name says so."""
    return Kind(call.service.partition("_")[2])


def _limit(call: ServiceCall, field: str) -> float | None:
    """Return a limit that the caller gives; it must be a number above 0."""
    given = call.data.get(field)
    if given is None:
        return None
    value = as_number(given)
    if value is None or not 0 < value <= LARGEST:
        raise _error("invalid_limit", field=field, value=str(given))
    return value


@callback
def async_setup_services(hass: HomeAssistant) -> None:
    """Register the services."""

    async def start(call: ServiceCall) -> ServiceResponse:
        return await actions.start(
            await _permitted(call),
            kind=_kind(call),
            power_w=_limit(call, ATTR_POWER),
            energy_kwh=_limit(call, ATTR_ENERGY),
            duration_min=_limit(call, ATTR_DURATION),
        )

    async def stop(call: ServiceCall) -> ServiceResponse:
        note = call.data.get(ATTR_REASON)
        if note is not None:
            note = note[:LONGEST_REASON]
        return await actions.stop(_runtime(call), kind=_kind(call), note=note)

    async def calculate_discharge(call: ServiceCall) -> ServiceResponse:
        return await actions.calculate(_runtime(call))

    async def get_statistics(call: ServiceCall) -> ServiceResponse:
        return await actions.statistics(_runtime(call))

    async def reset_circuit_breaker(call: ServiceCall) -> ServiceResponse:
        await actions.reset_circuits(await _permitted(call), call.data[ATTR_CIRCUIT])
        return None

    async def emergency_alert(call: ServiceCall) -> ServiceResponse:
        return await actions.emergency_alert(
            await _permitted(call),
            message=call.data[ATTR_MESSAGE],
            severity=call.data[ATTR_SEVERITY],
        )

    async def get_report(call: ServiceCall) -> ServiceResponse:
        runtime, span = (
            await _permitted(call),
            [call.data.get(key) for key in (ATTR_START, ATTR_END)],
        )
        answer = await actions.report(
            hass, runtime, span[0], span[1], actions.ReportFormat(call.data[ATTR_FORMAT])
        )
        return {**answer, **links(hass, runtime.coordinator.config_entry.entry_id, *span)}

    for name, handler, schema, response in (
        ("start_discharge", start, START_SCHEMA, SupportsResponse.OPTIONAL),
        ("stop_discharge", stop, STOP_SCHEMA, SupportsResponse.OPTIONAL),
        ("start_charge", start, START_SCHEMA, SupportsResponse.OPTIONAL),
        ("stop_charge", stop, STOP_SCHEMA, SupportsResponse.OPTIONAL),
        ("calculate_discharge", calculate_discharge, CALCULATE_SCHEMA, SupportsResponse.ONLY),
        ("get_statistics", get_statistics, STATISTICS_SCHEMA, SupportsResponse.ONLY),
        ("get_report", get_report, REPORT_SCHEMA, SupportsResponse.ONLY),
        ("reset_circuit_breaker", reset_circuit_breaker, RESET_SCHEMA, SupportsResponse.NONE),
        ("emergency_alert", emergency_alert, ALERT_SCHEMA, SupportsResponse.OPTIONAL),
    ):
        hass.services.async_register(
            DOMAIN,
            name,
            handler,
            schema=schema,  # type: ignore[arg-type]  # the newest end aliases voluptuous
            supports_response=response,
        )
