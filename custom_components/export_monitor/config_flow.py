"""Asks for the wiring and the first settings of an entry, and for the wiring anew later."""

from collections.abc import Collection, Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
)
from homeassistant.core import callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.util import slugify
import voluptuous as vol

from . import const
from .flow.answers import (
    FORECAST_BASES,
    Errors,
    chosen_limits,
    limit_errors,
    needs_whole_day,
    refused_charge,
    refused_entities,
    refused_market,
    sign_contradicted,
    without_half_a_charge,
)
from .flow.finding import detected, proposals
from .flow.forms import (
    CONF_NAME,
    CONF_VERDICT,
    Verdict,
    check_schema,
    entity_fields,
    flat,
    forecast_schema,
    limits_schema,
    sensors_schema,
    show_form,
    user_schema,
)
from .flow.live import looks, rendered
from .flow.schema import (
    BATTERY,
    EXPORT_COUNTER,
    FIRST_SETTINGS,
    FORECAST,
    SENSORS,
    WIRING,
    Refusal,
    Role,
)
from .inputs.nord_pool import DOMAIN as NORD_POOL
from .inputs.wiring import entity_ids
from .models import Basis
from .options_flow import ExportMonitorOptionsFlow
from .presets import GENERIC, PRESETS, Preset
from .settings import merged, preset_of

DEVICES = (
    "https://github.com/export-monitor/energy-export-monitor/blob/main/docs/supported-devices.md"
)

type Answers = Mapping[str, Any]


class ExportMonitorConfigFlow(ConfigFlow, domain=const.DOMAIN):
    """Makes an entry, or wires an existing one anew, in the same steps."""

    VERSION = 1
    MINOR_VERSION = 2  # 1.x wrote 1.1; a higher minor version lets the user go back

    def __init__(self) -> None:
        """Start without any wiring."""
        self._preset: Preset = GENERIC
        self._title = const.NAME
        self._before: Mapping[str, object] = {}
        self._wiring: dict[str, object] = {}
        self._settings: dict[str, Any] = {}

    @staticmethod
    @callback
    @override
    def async_get_options_flow(config_entry: ConfigEntry) -> ExportMonitorOptionsFlow:
        """Return the flow behind the entry's Configure button."""
        return ExportMonitorOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the kind of battery, and for a name from the second entry on."""
        entries = self._async_current_entries()
        preset = detected(self.hass, self._claimed())
        schema = user_schema(preset.key, named=bool(entries))
        errors: Errors = {}
        if user_input is not None:
            name = str(user_input.get(CONF_NAME, "")).strip()
            if entries and not name:
                errors[CONF_NAME] = Refusal.NAME_REQUIRED
            elif slugify(name) in {slugify(entry.title) for entry in entries}:
                errors[CONF_NAME] = Refusal.NAME_TAKEN
            else:
                self._preset = PRESETS[user_input[const.CONF_PRESET]]
                self._title = name or const.NAME
                if not self._preset.verified:
                    return await self.async_step_unverified()
                return await self.async_step_battery()
        return show_form(self, "user", schema, user_input or {}, errors)

    async def async_step_unverified(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say what is not known of this brand, and what its user has to bring."""
        if user_input is None:
            words = {"devices": DEVICES}
            return show_form(self, "unverified", vol.Schema({}), {}, words=words)
        return await self.async_step_battery()

    async def async_step_reconfigure(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Take the entry's wiring as the proposal for its own."""
        config = merged(self._get_reconfigure_entry())
        self._preset = preset_of(config)
        self._before = config
        return await self.async_step_battery()

    async def async_step_battery(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for what commands the battery."""
        schema = vol.Schema(entity_fields(BATTERY))
        if user_input is None:
            return show_form(self, "battery", schema, self._proposed(BATTERY))
        user_input = flat(user_input)
        errors = self._refused(BATTERY, user_input)
        if self._preset.fallback_required and not user_input.get(const.CONF_FALLBACK_STOP):
            errors.setdefault(const.CONF_FALLBACK_STOP, Refusal.FALLBACK_REQUIRED)
        errors = refused_charge(user_input) | errors
        if errors:
            return show_form(self, "battery", schema, user_input, errors)
        await self._claim(user_input[const.CONF_DISCHARGE_SWITCH])
        self._take(schema, user_input)
        return await self.async_step_sensors()

    async def async_step_sensors(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for what measures the house."""
        schema = sensors_schema()
        sign, observe = const.CONF_BATTERY_POWER_SIGN, const.CONF_OBSERVE_RESERVE
        if user_input is None:
            known: Answers = {sign: self._preset.battery_power_sign, **self._before}
            kept = {key: known[key] for key in (sign, observe) if key in known}
            return show_form(self, "sensors", schema, self._proposed(SENSORS) | kept)
        user_input = flat(user_input)
        errors = self._refused(SENSORS, user_input)
        if user_input[observe] and not user_input.get(const.CONF_RESERVE_SOC):
            errors[const.CONF_RESERVE_SOC] = Refusal.RESERVE_REQUIRED
        if not errors and sign_contradicted(self.hass, user_input):
            errors[sign] = Refusal.SIGN_CONTRADICTED
        if errors:
            return show_form(self, "sensors", schema, user_input, errors)
        self._take(schema, user_input)
        return await self.async_step_forecast()

    async def async_step_forecast(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the PV forecast, which only some bases need, and for what planning needs."""
        own = self._before.get(const.CONF_NORD_POOL)
        schema = forecast_schema(
            market=bool(own or self.hass.config_entries.async_entries(NORD_POOL))
        )
        if user_input is None:
            shown = self._proposed(FORECAST) | ({const.CONF_NORD_POOL: own} if own else {})
            return show_form(self, "forecast", schema, shown)
        user_input = flat(user_input)
        errors = self._refused(FORECAST, user_input) | refused_market(self.hass, user_input)
        in_use = self._before.get(const.CONF_BASIS) in FORECAST_BASES
        if in_use and not user_input.get(const.CONF_FORECAST_TODAY):
            errors[const.CONF_FORECAST_TODAY] = Refusal.FORECAST_IN_USE
        if errors:
            return show_form(self, "forecast", schema, user_input, errors)
        self._take(schema, user_input)
        return await self.async_step_check()

    async def async_step_check(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Show what all chosen entities say at this moment, and ask whether that is right."""
        verdict = Verdict.AGAIN if user_input is None else Verdict(user_input[CONF_VERDICT])
        again = self.source == SOURCE_RECONFIGURE
        match verdict:
            case Verdict.RIGHT:
                return self._rewire() if again else await self.async_step_limits()
            case Verdict.AGAIN:
                found = looks(self.hass, self._wiring)
                words = {
                    "values": await rendered(self.hass, found),
                    "doubtful": str(sum(look.doubtful for look in found)),
                }
                return show_form(self, "check", check_schema(), {}, last=again, words=words)
            case Verdict.BATTERY:
                self._come_back()
                return await self.async_step_battery()
            case Verdict.SENSORS:
                self._come_back()
                return await self.async_step_sensors()
            case _:
                self._come_back()
                return await self.async_step_forecast()

    async def async_step_limits(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the first settings and make the entry."""
        if user_input is None:
            first: dict[str, object] = {**const.DEFAULTS, **FIRST_SETTINGS}
            if const.CONF_FORECAST_TODAY not in self._wiring:
                first[const.CONF_BASIS] = Basis.GENERATED
            return show_form(self, "limits", limits_schema(), first, last=True)
        user_input = flat(user_input)
        errors = limit_errors(self.hass, self._wiring, user_input)
        if errors:
            return show_form(self, "limits", limits_schema(), user_input, errors, last=True)
        self._settings = chosen_limits(user_input)
        if needs_whole_day({**self._wiring, **self._settings}):
            return await self.async_step_first_day()
        return self._create()

    async def async_step_first_day(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that nothing starts before midnight, while another counter can still be chosen."""
        schema = vol.Schema(entity_fields((EXPORT_COUNTER,)))
        if user_input is None:
            return show_form(self, "first_day", schema, self._wiring, last=True)
        errors = self._refused((EXPORT_COUNTER,), user_input)
        if errors:
            return show_form(self, "first_day", schema, user_input, errors, last=True)
        self._take(schema, user_input)
        return self._create()

    def _proposed(self, roles: tuple[Role, ...]) -> dict[str, object]:
        """Return what roles begin with: the entry's own entities, else what the patterns find.

        An entry of ours that leaves a role empty means it; one of 1.x never heard of the role.
        """
        ids = {role.key: entity_ids(self._before, role.key) for role in roles}
        own: dict[str, object] = {
            role.key: ids[role.key] if role.multiple else ids[role.key][0]
            for role in roles
            if ids[role.key]
        }
        if const.CONF_PRESET in self._before and const.CONF_UPGRADED not in self._before:
            return own
        switch = self._wiring.get(const.CONF_DISCHARGE_SWITCH)
        known = self._wiring if switch else self._before
        found = proposals(
            self.hass,
            self._preset,
            roles,
            near=entity_ids(known, const.CONF_DISCHARGE_SWITCH),
            claimed=self._claimed(),
        )
        return without_half_a_charge(found, own) | own

    def _refused(self, roles: tuple[Role, ...], answers: Answers) -> Errors:
        own = {role.key for role in roles}
        others = [key for key in self._wiring if key not in own]
        taken = [each for key in others for each in entity_ids(self._wiring, key)]
        return refused_entities(self.hass, roles, answers, taken)

    def _take(self, schema: vol.Schema, answers: Answers) -> None:
        """Keep a form's answers; what was left empty is not stored, whatever was there before."""
        asked = {str(marker) for marker in schema.schema}
        kept = {key: value for key, value in self._wiring.items() if key not in asked}
        self._wiring = kept | {k: value for k, value in answers.items() if value not in ("", [])}

    def _come_back(self) -> None:
        """Let the forms show what was chosen, not what was found."""
        kept = {key: value for key, value in self._before.items() if key not in WIRING}
        self._before = {**kept, const.CONF_PRESET: self._preset.key, **self._wiring}

    def _others(self) -> list[ConfigEntry]:
        """Return the entries of other batteries."""
        own = self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None
        return [entry for entry in self._async_current_entries() if entry is not own]

    def _claimed(self) -> Collection[str]:
        """Return what tells the batteries of other entries apart from this one."""
        keys = (const.CONF_DISCHARGE_SWITCH, const.CONF_SOC)
        return {
            each
            for entry in self._others()
            for key in keys
            for each in entity_ids(merged(entry), key)
        }

    def _create(self) -> ConfigFlowResult:
        return self.async_create_entry(
            title=self._title,
            data={const.CONF_PRESET: self._preset.key, **self._wiring},
            options=self._settings,
            description="careful_start",
        )

    async def _claim(self, switch: str) -> None:
        """Abort where another entry commands the same battery; those of 1.x have no unique id."""
        for entry in self._others():
            if merged(entry).get(const.CONF_DISCHARGE_SWITCH) == switch:
                raise AbortFlow("already_configured")
        if self.source != SOURCE_RECONFIGURE:
            await self.async_set_unique_id(switch)

    def _rewire(self) -> ConfigFlowResult:
        """Store the new wiring; the entry's own update listener reloads it.

        1.x kept wiring in options too, where it would win over the new one.
        """
        entry = self._get_reconfigure_entry()
        kept = {key: value for key, value in entry.data.items() if key not in WIRING}
        heard = entry.state is ConfigEntryState.LOADED  # asked before: the listener may be quick
        self.hass.config_entries.async_update_entry(
            entry,
            unique_id=str(self._wiring[const.CONF_DISCHARGE_SWITCH]),
            data={**kept, const.CONF_PRESET: self._preset.key, **self._wiring},
            options={key: value for key, value in entry.options.items() if key not in WIRING},
        )
        if not heard:
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_abort(reason="reconfigure_successful")
