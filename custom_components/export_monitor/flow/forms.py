"""The forms that the flows show: fields made of the tables of `schema`.

Only labels and kinds of input are said to the frontend. What an entity must be, and the range of
a number, are judged by `answers`: a selector refuses in English sentences of a schema.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import Any

from homeassistant.config_entries import ConfigFlow, ConfigFlowResult, OptionsFlow
from homeassistant.data_entry_flow import section
from homeassistant.helpers.selector import (
    BooleanSelector,
    ConfigEntrySelector,
    ConfigEntrySelectorConfig,
    EntitySelector,
    EntitySelectorConfig,
    NumberSelector,
    NumberSelectorConfig,
    NumberSelectorMode,
    SelectOptionDict,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
    TextSelector,
    TimeSelector,
)
import voluptuous as vol

from .. import const
from ..inputs.nord_pool import DOMAIN as NORD_POOL
from ..models import Basis, PeriodKind
from ..planning import Objective
from ..presets import PRESETS
from .schema import (
    FORECAST,
    LIMITS,
    PLANNING,
    PLANNING_SWITCHES,
    PLANNING_TIMES,
    SECTIONS,
    SENSORS,
    Number,
    Role,
    Section,
)

CONF_NAME = "name"
CONF_VERDICT = "verdict"


class Verdict(StrEnum):
    """What to do after looking at the live values; but for the first two, a step to go back to."""

    RIGHT = "right"
    AGAIN = "again"
    BATTERY = "battery"
    SENSORS = "sensors"
    FORECAST = "forecast"


def show_form(  # noqa: PLR0913 - what a form is made of
    flow: ConfigFlow | OptionsFlow,
    step_id: str,
    schema: vol.Schema,
    shown: Mapping[str, object],
    errors: Mapping[str, str] | None = None,
    *,
    last: bool = False,
    words: Mapping[str, str] | None = None,
) -> ConfigFlowResult:
    """Show a form, filled with what is proposed or was typed; the button tells the last one.

    `words` fill the placeholders of its texts. Sections come and go here: see `flat`.
    """
    parts = SECTIONS.get(step_id, ())
    nested: dict[str, object] = {**shown}
    told = dict(errors or {})
    for part in parts:
        nested[part.key] = {key: shown[key] for key in part.fields if key in shown}
        wrong = [told[key] for key in part.fields if key in told]
        if wrong:  # within a section the frontend shows no field's error
            told.setdefault(part.key, wrong[0])
    filled = flow.add_suggested_values_to_schema(
        _sectioned(schema, parts, told),  # type: ignore[arg-type]  # the newest end aliases it
        nested,
    )
    return flow.async_show_form(
        step_id=step_id,
        data_schema=filled,
        errors=told,
        description_placeholders=words,
        last_step=last,
    )


def _sectioned(
    schema: vol.Schema, parts: Iterable[Section], errors: Mapping[str, str]
) -> vol.Schema:
    """Return a form with its fields in sections; one with an error is open."""
    fields = {str(marker): (marker, value) for marker, value in schema.schema.items()}
    sections: dict[vol.Marker, object] = {}
    for part in parts:
        own = dict(fields.pop(key) for key in part.fields if key in fields)
        collapsed = part.collapsed and part.key not in errors
        # Without a default: the frontend would show that instead of what the fields suggest.
        sections[vol.Required(part.key)] = section(
            vol.Schema(own),  # type: ignore[arg-type]  # the newest end aliases voluptuous
            {"collapsed": collapsed},
        )
    return vol.Schema({**dict(fields.values()), **sections})


def flat(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return a form's answers without its sections; no field's own value is a mapping."""
    found: dict[str, Any] = {}
    for key, value in answers.items():
        found |= value if isinstance(value, Mapping) else {key: value}
    return found


def entity_fields(roles: Iterable[Role]) -> dict[vol.Marker, object]:
    """Return the fields of roles; the filter narrows the choice and refuses nothing."""
    return {
        vol.Optional(role.key): EntitySelector(
            EntitySelectorConfig(
                filter=[{"domain": list(role.kind.domains)}],
                multiple=role.multiple,
            )
        )
        for role in roles
    }


def number_fields(numbers: Iterable[Number]) -> dict[vol.Marker, object]:
    """Return the fields of settings; their ranges are judged by `refused_numbers`."""
    return {
        vol.Optional(field.key): NumberSelector(
            NumberSelectorConfig(mode=NumberSelectorMode.BOX, step=field.step)
            | ({"unit_of_measurement": field.unit} if field.unit else {})
        )
        for field in numbers
    }


def _choice(
    key: str, options: Iterable[str], mode: SelectSelectorMode = SelectSelectorMode.DROPDOWN
) -> SelectSelector:
    """Return a choice whose options are translated under its key."""
    return SelectSelector(
        SelectSelectorConfig(options=list(options), translation_key=key, mode=mode)
    )


def _defaulted(key: str) -> vol.Required:
    """Return a field that is never empty."""
    return vol.Required(key, default=const.DEFAULTS[key])


def user_schema(preset: str, *, named: bool) -> vol.Schema:
    """Return the first form, with the kind of battery that is proposed."""
    fields: dict[vol.Marker, object] = {
        vol.Required(const.CONF_PRESET, default=preset): _choice(const.CONF_PRESET, PRESETS)
    }
    if named:
        fields[vol.Optional(CONF_NAME)] = TextSelector()
    return vol.Schema(fields)


def sensors_schema() -> vol.Schema:
    """Return the form of what measures; what belongs to a sensor stands right below it."""
    signs = (const.SIGN_DISCHARGE_POSITIVE, const.SIGN_CHARGE_POSITIVE)
    fields: dict[vol.Marker, object] = {}
    for role in SENSORS:
        fields |= entity_fields((role,))
        if role.key == const.CONF_BATTERY_POWER:
            sign = _defaulted(const.CONF_BATTERY_POWER_SIGN)
            fields[sign] = _choice(const.CONF_BATTERY_POWER_SIGN, signs)
        elif role.key == const.CONF_RESERVE_SOC:
            fields[_defaulted(const.CONF_OBSERVE_RESERVE)] = BooleanSelector()
    return vol.Schema(fields)


def limits_schema() -> vol.Schema:
    """Return the form of what may be exported."""
    choices: dict[vol.Marker, object] = {
        _defaulted(const.CONF_BASIS): _choice(const.CONF_BASIS, Basis),
        _defaulted(const.CONF_PERIOD): _choice(const.CONF_PERIOD, PeriodKind),
    }
    return vol.Schema({**choices, **number_fields(LIMITS)})


def forecast_schema(*, market: bool) -> vol.Schema:
    """Return the form of what tells the hours ahead; `market`: there is a Nord Pool to choose."""
    fields = entity_fields(FORECAST)
    if market:
        fields[vol.Optional(const.CONF_NORD_POOL)] = ConfigEntrySelector(
            ConfigEntrySelectorConfig(integration=NORD_POOL)
        )
    return vol.Schema(fields)


def planning_schema() -> vol.Schema:
    """Return the form of what is planned, and what may start by itself."""
    fields: dict[vol.Marker, object] = {
        _defaulted(const.CONF_OBJECTIVE): _choice(const.CONF_OBJECTIVE, Objective)
    }
    fields |= {_defaulted(key): BooleanSelector() for key in PLANNING_SWITCHES}
    fields |= {_defaulted(key): TimeSelector() for key in PLANNING_TIMES}
    return vol.Schema({**fields, **number_fields(PLANNING)})


def check_schema() -> vol.Schema:
    """Return the question below the live values."""
    choice = _choice("verdict", Verdict, SelectSelectorMode.LIST)
    return vol.Schema({vol.Required(CONF_VERDICT, default=Verdict.RIGHT): choice})


def alerts_schema(targets: Iterable[SelectOptionDict]) -> vol.Schema:
    """Return the form of who is told; a phone that is not there just now can be typed."""
    choice = SelectSelector(
        SelectSelectorConfig(
            options=list(targets),
            multiple=True,
            custom_value=True,
            mode=SelectSelectorMode.DROPDOWN,
        )
    )
    return vol.Schema(
        {
            vol.Optional(const.CONF_NOTIFY_TARGETS): choice,
            _defaulted(const.CONF_DAILY_REPORT): BooleanSelector(),
            _defaulted(const.CONF_DAILY_REPORT_TIME): TimeSelector(),
        }
    )
