"""What the chosen entities show just now, for their owner to compare with the house.

Nothing is written here. A number helper lives in Home Assistant and takes every value of its
range; a number of a device may be flash memory, and on some batteries a write is a command. So it
is checked that an action exists to set each control, that the control is there, and that it stands
within its own range; that a write arrives is proven at every start, by reading it back.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    SERVICE_TURN_OFF,
    SERVICE_TURN_ON,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import HomeAssistant, State, split_entity_id
from homeassistant.helpers.translation import async_get_translations
from homeassistant.util import dt as dt_util

from .. import const
from ..error_handler import SensorValidation
from ..inputs.formats import as_number
from ..inputs.wiring import entity_ids
from .schema import (
    BATTERY,
    BUTTON,
    FORECAST,
    KINDS,
    MOMENT,
    NUMBERS,
    POWER_UNITS,
    RATES,
    SENSORS,
    Role,
    watts,
)
from .words import role_name

OLD_S = 300.0
QUIET_W = 50.0  # below that a direction may be the noise of a sensor
LONGEST = 40  # characters of a state
# Reported at any hour by whoever polls a battery; the sun's own sensors rest at night.
ALWAYS_REPORTED = frozenset(
    {
        const.CONF_SOC,
        const.CONF_EXPORT_ENERGY,
        const.CONF_GRID_POWER,
        const.CONF_BATTERY_POWER,
        const.CONF_HOUSE_LOAD,
        const.CONF_DISPATCH_START,
    }
)
ACTIONS: Mapping[str, tuple[str, ...]] = {
    "switch": (SERVICE_TURN_ON, SERVICE_TURN_OFF),
    "input_boolean": (SERVICE_TURN_ON, SERVICE_TURN_OFF),
    "button": ("press",),
    "input_button": ("press",),
    "number": ("set_value",),
    "input_number": ("set_value",),
}


class Note(StrEnum):
    """What is said of an entity beside its value: keys of the translations."""

    AWAY = "away"
    OLD = "old"
    IMPLAUSIBLE = "implausible"
    BEYOND_RANGE = "beyond_range"
    NO_ACTION = "no_action"
    UNDER_WAY = "under_way"
    CHARGING = "charging"
    DISCHARGING = "discharging"
    IMPORTING = "importing"
    EXPORTING = "exporting"


DIRECTIONS = frozenset({Note.CHARGING, Note.DISCHARGING, Note.IMPORTING, Note.EXPORTING})


@dataclass(frozen=True, slots=True)
class Look:
    """One chosen entity at this moment: its value with unit, and the age (s) of its report."""

    role: str
    entity_id: str
    value: str
    age_s: float | None
    notes: tuple[Note, ...]

    @property
    def doubtful(self) -> bool:
        """Tell whether its owner should look at it."""
        return any(note not in DIRECTIONS for note in self.notes)


def looks(hass: HomeAssistant, config: Mapping[str, object]) -> list[Look]:
    """Return what every chosen entity shows now, in the order of the forms."""
    return [
        _look(hass, config, role, entity_id)
        for role in (*BATTERY, *SENSORS, *FORECAST)
        for entity_id in entity_ids(config, role.key)
    ]


def _look(hass: HomeAssistant, config: Mapping[str, object], role: Role, entity_id: str) -> Look:
    state = hass.states.get(entity_id)
    notes = [*_of_action(hass, role, entity_id)]
    if state is None or state.state in _gone(role):
        return Look(role.key, entity_id, "", None, (Note.AWAY, *notes))
    if role.kind is BUTTON:  # when it was last pressed says nothing of the house
        return Look(role.key, entity_id, "", None, tuple(notes))
    unit = str(state.attributes.get(ATTR_UNIT_OF_MEASUREMENT, ""))
    age_s = (dt_util.utcnow() - state.last_reported).total_seconds()
    notes += _of_value(config, role, state, unit)
    if age_s > OLD_S and role.key in ALWAYS_REPORTED:
        notes.append(Note.OLD)
    return Look(role.key, entity_id, _value(role, state, unit), max(0.0, age_s), tuple(notes))


def _value(role: Role, state: State, unit: str) -> str:
    """Return a state as its owner reads it: a moment on the clock of the house."""
    moment = dt_util.parse_datetime(state.state) if role.kind in (MOMENT, RATES) else None
    if moment is not None:
        return f"{dt_util.as_local(moment):%Y-%m-%d %H:%M}"
    return f"{state.state[:LONGEST]} {unit}".rstrip()


def _gone(role: Role) -> tuple[str, ...]:
    """Return the states that say nothing; a button that was never pressed is unknown."""
    return (STATE_UNAVAILABLE,) if role.kind is BUTTON else (STATE_UNAVAILABLE, STATE_UNKNOWN)


def _of_action(hass: HomeAssistant, role: Role, entity_id: str) -> Iterator[Note]:
    domain = split_entity_id(entity_id)[0]
    commanded = role in BATTERY and role.key != const.CONF_CONFLICTING_MODES
    wanted = ACTIONS.get(domain, ()) if commanded else ()
    if not all(hass.services.has_service(domain, action) for action in wanted):
        yield Note.NO_ACTION


def _of_value(config: Mapping[str, object], role: Role, state: State, unit: str) -> Iterator[Note]:
    number = as_number(state.state)
    kind = KINDS.get(role.key)
    if kind is not None:
        read = SensorValidation().check(state.entity_id, kind, state.state, unit)
        if read.value is None:
            yield Note.IMPLAUSIBLE
        else:
            yield from _direction(config, role.key, state.state, unit)
    elif role.kind.domains == NUMBERS:
        low, high = (as_number(state.attributes.get(edge)) for edge in ("min", "max"))
        if number is None:
            yield Note.IMPLAUSIBLE
        elif (low is not None and number < low) or (high is not None and number > high):
            yield Note.BEYOND_RANGE
    elif role in BATTERY and state.state == STATE_ON:
        yield Note.UNDER_WAY


def _direction(config: Mapping[str, object], role: str, state: str, unit: str) -> Iterator[Note]:
    """Say in words which way a power flows: that is how a wrong sign is seen."""
    ways = {
        const.CONF_GRID_POWER: (Note.IMPORTING, Note.EXPORTING),
        const.CONF_BATTERY_POWER: (Note.DISCHARGING, Note.CHARGING),
    }.get(role)
    value = as_number(state)
    if ways is None or value is None or unit not in POWER_UNITS:
        return
    power = watts(value, unit)
    if config.get(const.CONF_BATTERY_POWER_SIGN) == const.SIGN_CHARGE_POSITIVE and (
        role == const.CONF_BATTERY_POWER
    ):
        power = -power
    if abs(power) > QUIET_W:
        yield ways[0] if power > 0 else ways[1]


async def rendered(hass: HomeAssistant, found: Iterable[Look]) -> str:
    """Return a list for a form, in the language of this Home Assistant."""
    language = hass.config.language
    await async_get_translations(hass, language, "config", [const.DOMAIN])  # for `role_name`
    texts = await async_get_translations(hass, language, "selector", [const.DOMAIN])
    words = {
        note: texts[f"component.{const.DOMAIN}.selector.live_note.options.{note}"] for note in Note
    }
    return "\n".join(_line(hass, look, words) for look in found)


def _line(hass: HomeAssistant, look: Look, words: Mapping[Note, str]) -> str:
    facts = [f"**{look.value}**"] if look.value else []
    facts += [words[note] for note in look.notes if note in DIRECTIONS]
    facts += [_age(look.age_s)] if look.age_s is not None else []
    doubts = [words[note] for note in look.notes if note not in DIRECTIONS]
    mark = "⚠️ " if doubts else ""
    head = f"- {mark}{role_name(hass, look.role)}: {' · '.join([*facts, f'`{look.entity_id}`'])}"
    return "\n".join([head, *(f"  - {doubt}" for doubt in doubts)])


def _age(seconds: float) -> str:
    """Return an age in the largest unit that it fills."""
    for size, unit in ((86_400, "d"), (3600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} s"
