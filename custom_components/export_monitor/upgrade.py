"""Takes over what 1.x has left behind: its entry, its entities and their history.

Only the minor version rises, and no key of 1.x is changed, so that going back works. All else is
looked at in every set-up: whoever goes back to 1.x and returns is taken over again.
"""

from collections.abc import Iterator, Mapping
import re

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import (
    device_registry as dr,
    entity_registry as er,
    issue_registry as ir,
)
from homeassistant.helpers.start import async_at_started

from . import const
from .flow.answers import may_share, refused_entities
from .flow.finding import proposals
from .flow.schema import BATTERY, FORECAST, SENSORS, Role
from .flow.words import role_name
from .inputs.wiring import entity_ids
from .presets import ALPHAESS, Preset
from .settings import merged, option_number, preset_of

VERSION = 1
MINOR_VERSION = 2

# What of 1.x nothing of ours continues; the changelog says what replaces each.
RETIRED = re.compile(
    r"discharge_complete|current_slot_\w+|diag_\w+|auto_control_summary|last_auto_action"
    r"|service_call_stats|window_parse_errors|reset_auto_stats"
    r"|discharge_plan(_energy|_windows)?|charge_plan_(today|tomorrow)"
)
# 1.x had these without a source, too, and then never with a value.
FROM_CARBON = frozenset({"current_ci_value", "current_ci_index"})
# What 1.x asked for: where that was left empty, its user meant it.
ASKED_BY_1X = frozenset(
    {
        const.CONF_DISCHARGE_SWITCH,
        const.CONF_DISCHARGE_POWER,
        const.CONF_DISCHARGE_CUTOFF,
        const.CONF_CHARGE_SWITCH,
        const.CONF_CHARGE_POWER,
        const.CONF_CHARGE_DURATION,
        const.CONF_CHARGE_CUTOFF,
        const.CONF_SOC,
        const.CONF_PV_ENERGY,
        const.CONF_EXPORT_ENERGY,
        const.CONF_FORECAST_TODAY,
        const.CONF_FORECAST_TOMORROW,
        const.CONF_RESERVE_SOC,
        const.CONF_CARBON,
    }
)
ROLES = tuple(role for role in (*BATTERY, *SENSORS, *FORECAST) if role.key not in ASKED_BY_1X)
NEEDED = (const.CONF_DISCHARGE_DURATION, const.CONF_FALLBACK_STOP)


@callback
def migrate(hass: HomeAssistant, entry: ConfigEntry) -> bool:
    """Raise the minor version; False for an entry of a version that is still to come."""
    if entry.version > VERSION:
        return False
    if entry.minor_version < MINOR_VERSION:
        hass.config_entries.async_update_entry(entry, minor_version=MINOR_VERSION)
    return True


@callback
def take_over(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Make an entry of 1.x one of ours; nothing happens to one that is ours already.

    What 1.x never asked for is looked for once Home Assistant runs: only then are all entities
    there that it could be found among.
    """
    _retire(hass, entry)
    config = merged(entry)
    if const.CONF_PRESET not in config:
        data = {
            **entry.data,
            const.CONF_PRESET: _preset(config).key,
            const.CONF_UPGRADED: True,
        }
        options = dict(entry.options)
        if config[const.CONF_AUTO_DISCHARGE] or config[const.CONF_AUTO_CHARGE]:
            # It decides by other formulas than the day before: its owner looks on first.
            options.setdefault(const.CONF_DRY_RUN, True)
        hass.config_entries.async_update_entry(entry, data=data, options=options)
    if const.CONF_UPGRADED in entry.data:

        @callback
        def complete(hass: HomeAssistant) -> None:
            _complete(hass, entry)

        entry.async_on_unload(async_at_started(hass, complete))


@callback
def forget(hass: HomeAssistant, entry_id: str) -> None:
    """Take the notice back: its entry was removed."""
    ir.async_delete_issue(hass, const.DOMAIN, _issue_id(entry_id))


def _issue_id(entry_id: str) -> str:
    return f"{const.CONF_UPGRADED}_{entry_id}"


def _preset(config: Mapping[str, object]) -> Preset:
    """Return the preset that the names of an entry's controls tell."""
    controls = (
        const.CONF_DISCHARGE_SWITCH,
        const.CONF_DISCHARGE_POWER,
        const.CONF_DISCHARGE_CUTOFF,
    )
    named = any("alphaess" in each for key in controls for each in entity_ids(config, key))
    return ALPHAESS if named else preset_of(config)


def _retire(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take the entities out of the registry that nothing provides any more."""
    registry = er.async_get(hass)
    unfed = FROM_CARBON if not entity_ids(merged(entry), const.CONF_CARBON) else frozenset()
    for each in er.async_entries_for_config_entry(registry, entry.entry_id):
        key = each.unique_id.removeprefix(f"{entry.entry_id}_")
        if RETIRED.fullmatch(key) or key in unfed:
            registry.async_remove(each.entity_id)
    devices = dr.async_get(hass)
    for device in dr.async_entries_for_config_entry(devices, entry.entry_id):
        if device.model is not None:  # 1.x called itself model "v1"
            devices.async_update_device(device.id, manufacturer=None, model=None)


def _complete(hass: HomeAssistant, entry: ConfigEntry) -> None:
    """Take what 1.x never asked for from the entities there are, and say so once.

    What an entry cannot do without is looked for at every start until it is there; all else once,
    because its user may have left it out since.
    """
    first = bool(entry.data[const.CONF_UPGRADED])
    config = merged(entry)
    roles = [
        role for role in ROLES if (first or role.key in NEEDED) and not entity_ids(config, role.key)
    ]
    found = dict(_found(hass, entry, roles))
    data = {**entry.data, **found, const.CONF_UPGRADED: False}
    if data != entry.data:
        hass.config_entries.async_update_entry(entry, data=data)
    if first:
        _tell(hass, entry, found)


def _found(
    hass: HomeAssistant, entry: ConfigEntry, roles: list[Role]
) -> Iterator[tuple[str, object]]:
    """Yield what is found for roles: only what fits, and what nothing else has a use for."""
    config = merged(entry)
    taken = set(_used(config, (*BATTERY, *SENSORS, *FORECAST)))
    for other in hass.config_entries.async_entries(const.DOMAIN):
        if other.entry_id != entry.entry_id:
            taken.update(_used(merged(other), BATTERY))
    for role in roles:
        # 1.x wrote to the package's duration helper whatever the battery's other controls were.
        named = role.key == const.CONF_DISCHARGE_DURATION
        preset = ALPHAESS if named else preset_of(config)
        own = entity_ids(config, const.CONF_DISCHARGE_SWITCH)
        proposed = proposals(hass, preset, (role,), near=own)
        shared = {
            each for key in config if may_share(key, role.key) for each in entity_ids(config, key)
        }
        ids = [
            each
            for each in entity_ids(proposed, role.key)
            if not refused_entities(hass, (role,), {role.key: each}, taken - shared)
        ]
        taken.update(ids)
        if ids:
            yield role.key, ids if role.multiple else ids[0]


def _used(config: Mapping[str, object], roles: tuple[Role, ...]) -> Iterator[str]:
    charging = (const.CONF_CHARGE_SWITCH, const.CONF_CHARGE_POWER, const.CONF_CHARGE_DURATION)
    for key in (*(role.key for role in roles), *charging, const.CONF_CHARGE_CUTOFF):
        yield from entity_ids(config, key)


def _tell(hass: HomeAssistant, entry: ConfigEntry, found: Mapping[str, object]) -> None:
    """Say what works differently from 1.x; it stays until it is confirmed."""
    margin = option_number(merged(entry), const.CONF_SAFETY_MARGIN)
    lines = [
        f"- {role_name(hass, key)}: {', '.join(entity_ids(found, key))}" for key in sorted(found)
    ]
    ir.async_create_issue(
        hass,
        const.DOMAIN,
        _issue_id(entry.entry_id),
        data={"entry_id": entry.entry_id, "notice": True},
        is_fixable=True,
        is_persistent=True,
        severity=ir.IssueSeverity.WARNING,
        translation_key="upgraded_from_1x",
        translation_placeholders={
            "entry": entry.title,
            "margin": f"{margin:g}",
            "found": "\n".join(lines) or "-",
        },
    )
