"""Reads and answers a form of a flow as if it had no sections."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigFlowResult
from homeassistant.core import HomeAssistant
from homeassistant.data_entry_flow import section
import voluptuous as vol

type Answers = dict[str, Any]


def _fields(result: ConfigFlowResult) -> dict[str, tuple[str | None, Any]]:
    """Return the fields by key: the section that each is in, and its marker."""
    schema = result["data_schema"]
    assert schema is not None
    found: dict[str, tuple[str | None, Any]] = {}
    for marker, value in schema.schema.items():
        if isinstance(value, section):
            assert isinstance(marker.default, vol.Undefined), "it would hide what is suggested"
            found |= {str(each): (str(marker), each) for each in value.schema.schema}
        else:
            found[str(marker)] = (None, marker)
    return found


def field_keys(result: ConfigFlowResult) -> list[str]:
    """Return the keys of all fields, those of sections too, in the form's order."""
    return list(_fields(result))


def shown(result: ConfigFlowResult) -> Answers:
    """Return what a form is filled with."""
    return {
        key: marker.description["suggested_value"]
        for key, (_, marker) in _fields(result).items()
        if marker.description and "suggested_value" in marker.description
    }


def nested(result: ConfigFlowResult, answers: Mapping[str, Any]) -> Answers:
    """Return answers as the frontend sends them: each in its section, and every section."""
    places = {key: place for key, (place, _) in _fields(result).items()}
    sent: Answers = {place: {} for place in places.values() if place is not None}
    for key, value in answers.items():
        place = places.get(key)
        if place is None:
            sent[key] = value
        else:
            sent[place][key] = value
    return sent


async def reply_to(
    hass: HomeAssistant, result: ConfigFlowResult, answers: Mapping[str, Any]
) -> ConfigFlowResult:
    """Answer a form of a config flow."""
    return await hass.config_entries.flow.async_configure(
        result["flow_id"], nested(result, answers)
    )


def errors_of(result: ConfigFlowResult) -> dict[str, str]:
    """Return the errors of fields; a section with one repeats it, for the frontend."""
    keys = field_keys(result)
    return {key: error for key, error in (result["errors"] or {}).items() if key in keys}
