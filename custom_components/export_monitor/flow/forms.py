"""The forms that the flows show: fields made of the tables of `schema`.

Only labels and kinds of input are said to the frontend. What an entity must be, and the range of
a number, are judged by `answers`: a selector refuses in English sentences of a schema.
"""

from collections.abc import Iterable

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
    SENSORS,
    Number,
    Role,
)

CONF_NAME = "name"


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


def _choice(key: str, options: Iterable[str]) -> SelectSelector:
    """Return a choice whose options are translated under its key."""
    return SelectSelector(
        SelectSelectorConfig(
            options=list(options), translation_key=key, mode=SelectSelectorMode.DROPDOWN
        )
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
    return vol.Schema({vol.Optional(const.CONF_NOTIFY_TARGETS): choice})
