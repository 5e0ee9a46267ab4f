"""Finds what only the user can mend in an entry's configuration, and says so as repair issues."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
import re
import time

from homeassistant.components.automation import DATA_COMPONENT
from homeassistant.config_entries import ConfigEntry
from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, STATE_ON
from homeassistant.core import (
    CALLBACK_TYPE,
    CoreState,
    Event,
    HomeAssistant,
    callback,
    split_entity_id,
)
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.helpers.event import async_call_later, async_track_time_interval

from . import const
from .error_handler import SensorValidation
from .flow.answers import refused_entities, refused_market
from .flow.schema import KINDS, Refusal, Role
from .flow.words import ROLES, role_name
from .inputs.states import HassStates
from .inputs.wiring import entity_ids
from .settings import merged, preset_of

RENAMING_S = 3.0  # the old state goes a moment after the registry has told of the new id
LOOK_EVERY = timedelta(seconds=60)
# Longer than any integration takes to bring its entities back after a start or a reload.
SETTLED_S = 300.0
NOTIFY = "notify"
WRONG_UNITS = frozenset(
    {Refusal.UNIT_POWER, Refusal.UNIT_ENERGY, Refusal.UNIT_SOC, Refusal.UNIT_DURATION}
)


class FaultKind(StrEnum):
    """What can be wrong with a configuration: keys of the translations under `issues`."""

    ENTITY_REMOVED = "entity_removed"
    ENTITY_DISABLED = "entity_disabled"
    ENTITY_RENAMED = "entity_renamed"
    WRONG_UNIT = "wrong_unit"
    ENTITY_NEEDED = "entity_needed"
    FALLBACK_AUTOMATION_MISSING = "fallback_automation_missing"
    FALLBACK_AUTOMATION_OFF = "fallback_automation_off"
    NOTIFY_TARGET_GONE = "notify_target_gone"
    NORD_POOL_GONE = "nord_pool_gone"


FIXABLE = frozenset(
    {
        FaultKind.ENTITY_REMOVED,
        FaultKind.ENTITY_DISABLED,
        FaultKind.ENTITY_RENAMED,
        FaultKind.WRONG_UNIT,
        FaultKind.ENTITY_NEEDED,
        FaultKind.NOTIFY_TARGET_GONE,
    }
)
# Nothing has to come back for these to be seen: they stand in the entry itself.
CERTAIN_AT_ONCE = frozenset({FaultKind.ENTITY_RENAMED, FaultKind.ENTITY_NEEDED})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing to mend. `new_id` is what a renamed entity is called now."""

    kind: FaultKind
    role: str
    entity_id: str = ""
    new_id: str = ""

    def issue_id(self, entry_id: str) -> str:
        """Return the id of its repair issue."""
        return f"{self.kind}_{entry_id}_{self.entity_id or self.role}"


@callback
def forget_issues(hass: HomeAssistant, entry_id: str) -> None:
    """Take all issues of an entry's configuration back: it was removed or disabled."""
    for issue_id in _standing(hass, entry_id):
        ir.async_delete_issue(hass, const.DOMAIN, issue_id)


def _standing(hass: HomeAssistant, entry_id: str) -> dict[str, ir.IssueEntry]:
    """Return the issues that an inspection, or one before it, has raised for an entry."""
    starts = tuple(f"{kind}_{entry_id}_" for kind in FaultKind)
    return {
        issue_id: issue
        for (domain, issue_id), issue in ir.async_get(hass).issues.items()
        if domain == const.DOMAIN and issue.active and issue_id.startswith(starts)
    }


class Inspection:
    """Looks at an entry's configuration every minute, and when the registry changes.

    Entities that are merely not there yet are no fault: one counts when it was there at two looks
    five minutes apart, while Home Assistant was running.
    """

    def __init__(self, hass: HomeAssistant, entry: ConfigEntry) -> None:
        """Look at nothing yet."""
        self._hass = hass
        self._entry = entry
        self._states = HassStates(hass)
        self._seen_at: dict[Fault, float] = {}
        self._timer: CALLBACK_TYPE | None = None
        self._renamed = {
            str(issue.data["entity_id"]): str(issue.data["new_id"])
            for issue in _standing(hass, entry.entry_id).values()
            if issue.data is not None and issue.data.get("new_id")
        }

    @callback
    def start(self) -> Callable[[], None]:
        """Begin to look; returns how to end that. What was found stays until it is mended."""
        unsubscribe = (
            async_track_time_interval(self._hass, self._look, LOOK_EVERY, cancel_on_shutdown=True),
            self._hass.bus.async_listen(er.EVENT_ENTITY_REGISTRY_UPDATED, self._registry_updated),
        )
        self._look()

        @callback
        def stop() -> None:
            for each in unsubscribe:
                each()
            self._forget_timer()

        return stop

    @callback
    def _forget_timer(self) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None

    @callback
    def _registry_updated(self, event: Event[er.EventEntityRegistryUpdatedData]) -> None:
        """Note a rename, which is told only once; look again where it is about our entities."""
        new_id, old_id = event.data["entity_id"], str(event.data.get("old_entity_id") or "")
        ours = self._configured()
        for known, present in tuple(self._renamed.items()):
            if present == old_id:  # renamed once more
                self._renamed[known] = new_id
        if old_id in ours:
            self._renamed[old_id] = new_id
        if {new_id, old_id} & {*ours, *self._renamed.values()}:
            self._look()
            self._timer = async_call_later(self._hass, RENAMING_S, self._look)

    def _configured(self) -> set[str]:
        config = merged(self._entry)
        keys = (*ROLES, const.CONF_NOTIFY_TARGETS)
        return {entity_id for key in keys for entity_id in entity_ids(config, key)}

    @callback
    def _look(self, now: datetime | None = None) -> None:
        """Raise what has stood for long enough, take back what is mended."""
        del now
        self._forget_timer()
        if self._hass.state is not CoreState.running:
            return
        mono = time.monotonic()
        found = {fault: self._seen_at.get(fault, mono) for fault in self._faults()}
        self._seen_at = found
        standing = _standing(self._hass, self._entry.entry_id)
        wanted = {fault.issue_id(self._entry.entry_id): fault for fault in found}
        for issue_id, fault in wanted.items():
            certain = fault.kind in CERTAIN_AT_ONCE or mono - found[fault] >= SETTLED_S
            stale = issue_id in standing and _data(standing[issue_id]) != self._facts(fault)
            if stale or (certain and issue_id not in standing):
                self._raise(issue_id, fault)
        for issue_id in standing.keys() - wanted.keys():
            ir.async_delete_issue(self._hass, const.DOMAIN, issue_id)

    def _faults(self) -> Iterator[Fault]:
        config = merged(self._entry)
        needed = {role.key for role in ROLES.values() if role.required}
        if preset_of(config).fallback_required:
            needed.add(const.CONF_FALLBACK_STOP)
        for role in ROLES.values():
            ids = entity_ids(config, role.key)
            if not ids and role.key in needed:
                yield Fault(FaultKind.ENTITY_NEEDED, role.key)
            for entity_id in ids:
                fault = self._fault_of(role, entity_id)
                if fault is not None:
                    yield fault
        yield from self._unanswered_fallback(config)
        if refused_market(self._hass, config):
            yield Fault(FaultKind.NORD_POOL_GONE, const.CONF_NORD_POOL)
        for target in entity_ids(config, const.CONF_NOTIFY_TARGETS):
            if not self._can_tell(target):
                new_id = self._new_name(target)
                kind = FaultKind.ENTITY_RENAMED if new_id else FaultKind.NOTIFY_TARGET_GONE
                yield Fault(kind, const.CONF_NOTIFY_TARGETS, target, new_id)

    def _fault_of(self, role: Role, entity_id: str) -> Fault | None:
        refusal = refused_entities(self._hass, (role,), {role.key: entity_id}, ()).get(role.key)
        if refusal == Refusal.NOT_FOUND:
            new_id = self._new_name(entity_id)
            if new_id:
                return Fault(FaultKind.ENTITY_RENAMED, role.key, entity_id, new_id)
            return Fault(FaultKind.ENTITY_REMOVED, role.key, entity_id)
        if refusal == Refusal.DISABLED:
            return Fault(FaultKind.ENTITY_DISABLED, role.key, entity_id)
        kind, unit = KINDS.get(role.key), self._unit(entity_id)
        if refusal in WRONG_UNITS and not (kind and SensorValidation.takes(kind, unit)):
            return Fault(FaultKind.WRONG_UNIT, role.key, entity_id)
        return None

    def _unanswered_fallback(self, config: Mapping[str, object]) -> Iterator[Fault]:
        """Yield a fault where pressing the fallback stop would do nothing.

        An input button only does what an automation makes of it: the package's own, which the
        preset knows by name, or one that the button triggers. To press it, or to ask for its
        state, is no answer. Where the package's own is there, no other makes up for it: one that
        merely notes the presses would be taken for it.
        """
        role = const.CONF_FALLBACK_STOP
        button = next(iter(entity_ids(config, role)), "")
        patterns = preset_of(config).fallback_automations
        automations = self._hass.data.get(DATA_COMPONENT)
        if (
            not patterns
            or not button
            or split_entity_id(button)[0] != "input_button"
            or automations is None
        ):
            return
        there = tuple(automations.entities)  # the registry also knows those that were deleted
        found = [
            each.entity_id
            for each in there
            if any(re.fullmatch(pattern, each.entity_id) for pattern in patterns)
        ] or [each.entity_id for each in there if _triggered_by(each.raw_config, button)]
        if not found:
            yield Fault(FaultKind.FALLBACK_AUTOMATION_MISSING, role, button)
        elif not any(self._is_on(each) for each in found):
            yield Fault(FaultKind.FALLBACK_AUTOMATION_OFF, role, min(found))

    def _new_name(self, entity_id: str) -> str:
        """Return what an entity is called now, empty where it was not renamed or is gone."""
        new_id = self._renamed.get(entity_id, "")
        return new_id if new_id and self._exists(new_id) else ""

    def _is_on(self, entity_id: str) -> bool:
        state = self._states.get(entity_id)
        return state is not None and state.state == STATE_ON

    def _can_tell(self, target: str) -> bool:
        name = target.partition(".")[2]
        return self._hass.services.has_service(NOTIFY, name) or self._exists(target)

    def _exists(self, entity_id: str) -> bool:
        registered = er.async_get(self._hass).async_get(entity_id) is not None
        return registered or self._states.get(entity_id) is not None

    def _unit(self, entity_id: str) -> str:
        state = self._states.get(entity_id)
        if state is not None and ATTR_UNIT_OF_MEASUREMENT in state.attributes:
            return str(state.attributes[ATTR_UNIT_OF_MEASUREMENT])
        registered = er.async_get(self._hass).async_get(entity_id)
        return "" if registered is None else registered.unit_of_measurement or ""

    def _facts(self, fault: Fault) -> dict[str, str | int | float | None]:
        """Return what the fix flow needs to know."""
        return {
            "entry_id": self._entry.entry_id,
            "role": fault.role,
            "entity_id": fault.entity_id,
            "new_id": fault.new_id,
        }

    def _raise(self, issue_id: str, fault: Fault) -> None:
        ir.async_create_issue(
            self._hass,
            const.DOMAIN,
            issue_id,
            data=self._facts(fault),
            is_fixable=fault.kind in FIXABLE,
            # A rename is told once, and nothing could find it out again after a restart.
            is_persistent=fault.kind is FaultKind.ENTITY_RENAMED,
            severity=ir.IssueSeverity.ERROR
            if fault.role in ROLES and fault.kind is not FaultKind.ENTITY_RENAMED
            else ir.IssueSeverity.WARNING,
            translation_key=fault.kind.value,
            translation_placeholders={
                "entry": self._entry.title,
                "role": role_name(self._hass, fault.role),
                "entity": fault.entity_id or "-",
                "new": fault.new_id or "-",
                "unit": self._unit(fault.entity_id) or "-",
            },
        )


def _data(issue: ir.IssueEntry) -> Mapping[str, str | int | float | None]:
    return issue.data or {}


def _triggered_by(automation: Mapping[str, object] | None, entity_id: str) -> bool:
    """Tell whether a trigger of an automation, as it was written, names an entity."""
    if automation is None:
        return False
    name = re.compile(rf"(?<![\w.]){re.escape(entity_id)}(?!\w)")
    triggers = (automation.get(key) for key in ("triggers", "trigger"))
    return any(name.search(text) for each in triggers for text in _texts(each))


def _texts(trigger: object) -> Iterator[str]:
    """Yield what stands in triggers that are on, templates and nested ones included."""
    if isinstance(trigger, str):
        yield trigger
    elif isinstance(trigger, Mapping):
        if trigger.get("enabled") is not False:
            yield from _texts(list(trigger.values()))
    elif isinstance(trigger, list):
        for each in trigger:
            yield from _texts(each)
