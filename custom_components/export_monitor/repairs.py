"""Mends a configuration from its repair issue: adopts a new id, or asks for another entity."""

from collections.abc import Mapping
from typing import Any

from homeassistant.components.repairs import ConfirmRepairFlow, RepairsFlow
from homeassistant.config_entries import ConfigEntry, ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import FlowResult
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.selector import (
    EntitySelector,
    EntitySelectorConfig,
    SelectSelector,
    SelectSelectorConfig,
    SelectSelectorMode,
)
from homeassistant.helpers.translation import async_get_translations
import voluptuous as vol

from . import const
from .flow.answers import (
    FORECAST_BASES,
    may_share,
    notify_targets,
    refused_charge,
    refused_entities,
    sign_contradicted,
)
from .flow.schema import Refusal
from .flow.words import ROLES, role_name
from .inputs.wiring import entity_ids
from .settings import merged, preset_of

CONF_ENTITY = "entity"

type Data = dict[str, str | int | float | None]
type Result = FlowResult[Any, Any]
type Answers = Mapping[str, Any]


async def async_create_fix_flow(
    hass: HomeAssistant, issue_id: str, data: Data | None
) -> RepairsFlow:
    """Return the flow that mends one issue."""
    facts = {key: str(value) for key, value in (data or {}).items()}
    if facts.get("notice"):
        return ConfirmRepairFlow()
    if facts.get("new_id"):
        return AdoptNewName(facts)
    if facts.get("role") == const.CONF_NOTIFY_TARGETS:
        return ChooseAnotherTarget(facts)
    return ChooseAnother(facts)


class MendingFlow(RepairsFlow):
    """A flow about one entity in one role of one entry."""

    def __init__(self, facts: Mapping[str, str]) -> None:
        """Take what the issue says."""
        self._facts = facts
        self._role = facts.get("role", "")
        self._old_id = facts.get("entity_id", "")

    @property
    def _entry(self) -> ConfigEntry | None:
        return self.hass.config_entries.async_get_entry(self._facts.get("entry_id", ""))

    def _words(self) -> dict[str, str]:
        """Return the issue's own placeholders."""
        issue = ir.async_get(self.hass).async_get_issue(const.DOMAIN, self.issue_id)
        return dict((issue.translation_placeholders if issue else None) or {})


class AdoptNewName(MendingFlow):
    """Asks whether the entry shall follow an entity that was renamed."""

    async def async_step_init(self, user_input: Answers | None = None) -> Result:
        """Go to the only question; what the frontend sends along here is no answer."""
        return await self.async_step_confirm()

    async def async_step_confirm(self, user_input: Answers | None = None) -> Result:
        """Follow the entity when the user says so."""
        entry = self._entry
        if entry is None:
            return self.async_abort(reason="entry_gone")
        if user_input is None:
            return self.async_show_form(
                step_id="confirm",
                data_schema=vol.Schema({}),  # type: ignore[arg-type]  # the newest end aliases it
                description_placeholders=self._words(),
            )
        rewire(self.hass, entry, self._role, self._old_id, self._facts["new_id"])
        return self.async_create_entry(data={})


class ChooseAnother(MendingFlow):
    """Asks for an entity that takes the place of one that cannot be used any more."""

    async def async_step_init(self, user_input: Answers | None = None) -> Result:
        """Go to the only question; what the frontend sends along here is no answer."""
        return await self.async_step_replace()

    async def async_step_replace(self, user_input: Answers | None = None) -> Result:
        """Ask for the entity and judge it as the config flow does; left empty it is dropped."""
        entry = self._entry
        if entry is None or self._role not in ROLES:
            return self.async_abort(reason="entry_gone")
        errors: dict[str, str] = {}
        words = self._words()
        if user_input is not None:
            chosen = str(user_input.get(CONF_ENTITY) or "")
            refusal = _refused(self.hass, entry, self._role, self._old_id, chosen)
            if refusal is None:
                rewire(self.hass, entry, self._role, self._old_id, chosen)
                return self.async_create_entry(data={})
            errors[CONF_ENTITY] = "refused"
            words["reason"] = await _reason(self.hass, refusal)
        domains = list(ROLES[self._role].kind.domains)
        field = EntitySelector(EntitySelectorConfig(filter=[{"domain": domains}]))
        return self.async_show_form(
            step_id="replace",
            data_schema=vol.Schema(  # type: ignore[arg-type]  # the newest end aliases it
                {vol.Optional(CONF_ENTITY): field}
            ),
            errors=errors,
            description_placeholders=words | {"role": role_name(self.hass, self._role)},
        )


class ChooseAnotherTarget(MendingFlow):
    """Asks who is told of alarms instead of somebody who cannot be told any more."""

    async def async_step_init(self, user_input: Answers | None = None) -> Result:
        """Go to the only question; what the frontend sends along here is no answer."""
        return await self.async_step_replace()

    async def async_step_replace(self, user_input: Answers | None = None) -> Result:
        """Ask for one of those that can be told now; left empty, nobody takes the place."""
        entry = self._entry
        if entry is None:
            return self.async_abort(reason="entry_gone")
        if user_input is not None:
            chosen = str(user_input.get(CONF_ENTITY) or "")
            rewire(self.hass, entry, self._role, self._old_id, chosen)
            return self.async_create_entry(data={})
        told = entity_ids(merged(entry), self._role)
        others = [each for each in notify_targets(self.hass) if each["value"] not in told]
        field = SelectSelector(
            SelectSelectorConfig(options=others, mode=SelectSelectorMode.DROPDOWN)
        )
        return self.async_show_form(
            step_id="replace",
            data_schema=vol.Schema(  # type: ignore[arg-type]  # the newest end aliases it
                {vol.Optional(CONF_ENTITY): field}
            ),
            description_placeholders=self._words(),
        )


def _refused(
    hass: HomeAssistant, entry: ConfigEntry, key: str, old_id: str, chosen: str
) -> str | None:
    """Return why an entity may not take a role, None where it may; the checks of the flow."""
    config = merged(entry)
    after = {**config, key: _replaced(config.get(key), old_id, chosen)}
    role = ROLES[key]
    if not chosen:
        return _refused_without(after, key)
    taken = {
        entity_id
        for other in ROLES
        if not may_share(other, key)
        for entity_id in entity_ids(config, other)
        if entity_id != old_id
    }
    refusal = refused_entities(hass, (role,), {key: chosen}, taken).get(key)
    if refusal is not None:
        return refusal
    if key == const.CONF_DISCHARGE_SWITCH and _claimed(hass, entry, chosen):
        return Refusal.DUPLICATE
    sign = key == const.CONF_BATTERY_POWER and sign_contradicted(hass, after)
    return Refusal.SIGN_CONTRADICTED if sign else None


def _refused_without(after: Mapping[str, object], key: str) -> str | None:
    """Return why a role may not be left empty, None where the entry can do without."""
    if entity_ids(after, key):  # others of the same role remain
        return None
    if ROLES[key].required:
        return Refusal.REQUIRED
    if key == const.CONF_FALLBACK_STOP and preset_of(after).fallback_required:
        return Refusal.FALLBACK_REQUIRED
    if key in refused_charge(after):
        return Refusal.CHARGE_INCOMPLETE
    if key == const.CONF_RESERVE_SOC and after.get(const.CONF_OBSERVE_RESERVE):
        return Refusal.RESERVE_REQUIRED
    if key == const.CONF_FORECAST_TODAY and after.get(const.CONF_BASIS) in FORECAST_BASES:
        return Refusal.FORECAST_IN_USE
    return None


def _claimed(hass: HomeAssistant, entry: ConfigEntry, switch: str) -> bool:
    """Tell whether another entry commands a battery with this switch."""
    return any(
        merged(other).get(const.CONF_DISCHARGE_SWITCH) == switch
        for other in hass.config_entries.async_entries(const.DOMAIN)
        if other.entry_id != entry.entry_id
    )


async def _reason(hass: HomeAssistant, refusal: str) -> str:
    """Return the config flow's words for a refusal."""
    texts = await async_get_translations(hass, hass.config.language, "config", [const.DOMAIN])
    return texts.get(f"component.{const.DOMAIN}.config.error.{refusal}", refusal)


def _replaced(value: object, old_id: str, new_id: str) -> object:
    """Return a role's value with one entity replaced; with an empty new id it is left out."""
    if isinstance(value, list | tuple):
        ids = [new_id if each == old_id else each for each in value]
        if new_id and new_id not in ids:
            ids.append(new_id)
        return [each for each in ids if each]
    return new_id if value in (None, "", old_id) else value


@callback
def rewire(hass: HomeAssistant, entry: ConfigEntry, key: str, old_id: str, new_id: str) -> None:
    """Put an entity in the place of another; the entry's own update listener reloads it.

    1.x kept wiring in options too, where it wins.
    """
    options, data = dict(entry.options), dict(entry.data)
    kept_in = options if key in options else data
    value = _replaced(kept_in.get(key), old_id, new_id)
    if value:
        kept_in[key] = value
    else:
        kept_in.pop(key, None)
    moved = key == const.CONF_DISCHARGE_SWITCH and entry.unique_id is not None
    heard = entry.state is ConfigEntryState.LOADED  # asked before: the listener may be quick
    hass.config_entries.async_update_entry(
        entry, data=data, options=options, unique_id=new_id if moved else entry.unique_id
    )
    if not heard:
        hass.config_entries.async_schedule_reload(entry.entry_id)
