"""Finds a battery and its entities among those of the house, by a preset's patterns."""

from collections.abc import Collection, Iterable, Iterator
import re

from homeassistant.core import HomeAssistant
from homeassistant.helpers import entity_registry as er

from .. import const
from ..presets import FORECASTS, GENERIC, PRESETS, Preset
from .schema import Role

CLOUD_PLATFORM = "alphaess"  # the cloud integration; the Modbus package has no platform of its own
WHICH = "which"  # the group of a pattern that names the battery
NOBODY = ""  # all batteries of a kind have an entry already
# What tells batteries apart. A brand without a switch is known by its state of charge.
ANCHORS = (const.CONF_DISCHARGE_SWITCH, const.CONF_SOC)


def detected(hass: HomeAssistant, claimed: Collection[str]) -> Preset:
    """Return the preset whose battery is here; `claimed` are entities of other entries.

    One that can be switched goes before one that can only be read.
    """
    known = _candidates(hass)
    for anchor in ANCHORS:
        for preset in PRESETS.values():
            if any(each not in claimed for each, _ in _matches(preset, anchor, known)):
                return preset
    return GENERIC


def proposals(
    hass: HomeAssistant,
    preset: Preset,
    roles: Iterable[Role],
    *,
    near: Iterable[str] = (),
    claimed: Collection[str] = (),
) -> dict[str, object]:
    """Return what a preset's patterns find for roles among the entities there are.

    `near` are entities of the battery that is meant, `claimed` those of other entries' batteries.
    """
    known = _candidates(hass)
    battery = _battery(preset, known, near, claimed)
    patterns = {**FORECASTS, **preset.patterns}
    found: dict[str, object] = {}
    for role in roles:
        matches = [
            [each for each, name in _matched(pattern, known) if name in (None, battery)]
            for pattern in patterns.get(role.key, ())
        ]
        if role.key == const.CONF_CONFLICTING_MODES:
            chosen = sorted({entity_id for each in matches for entity_id in each})
        else:
            chosen = next((each for each in matches if each), [])
        if chosen:
            found[role.key] = chosen if role.multiple else chosen[0]
    return found


def _battery(
    preset: Preset, known: Iterable[str], near: Iterable[str], claimed: Collection[str]
) -> str:
    """Return what the patterns call the battery that is meant, else the first that is free."""
    near, known = list(near), list(known)
    for anchor in ANCHORS:
        for ids, taken in ((near, ()), (known, claimed)):
            named = [name for each, name in _matches(preset, anchor, ids) if each not in taken]
            names = [name for name in named if name is not None]
            if names:
                return min(names, key=lambda name: (len(name), name))
    return NOBODY


def _matches(
    preset: Preset, key: str, entity_ids: Iterable[str]
) -> Iterator[tuple[str, str | None]]:
    """Yield the entities that fit a role, with what names their battery."""
    ids = list(entity_ids)
    for pattern in preset.patterns.get(key, ()):
        yield from _matched(pattern, ids)


def _matched(pattern: str, entity_ids: Iterable[str]) -> Iterator[tuple[str, str | None]]:
    for entity_id in entity_ids:
        match = re.fullmatch(pattern, entity_id)
        if match is not None:
            yield entity_id, match.groupdict().get(WHICH)


def _candidates(hass: HomeAssistant) -> list[str]:
    """Return all entities but disabled ones and those of the cloud integration."""
    registry = er.async_get(hass)
    live = {e.entity_id for e in registry.entities.values() if e.disabled_by is None}
    known = live | set(hass.states.async_entity_ids())
    return sorted(entity_id for entity_id in known if not of_cloud(registry, entity_id))


def of_cloud(registry: er.EntityRegistry, entity_id: str) -> bool:
    """Tell whether an entity belongs to the AlphaESS cloud, which cannot force a discharge."""
    entry = registry.async_get(entity_id)
    return entry is not None and entry.platform == CLOUD_PLATFORM
