"""Asks for the wiring and the settings of an entry, and changes them later."""

from collections.abc import Iterable, Mapping
from typing import Any, override

from homeassistant.config_entries import (
    SOURCE_RECONFIGURE,
    ConfigEntry,
    ConfigEntryState,
    ConfigFlow,
    ConfigFlowResult,
    OptionsFlow,
)
from homeassistant.core import HomeAssistant, callback
from homeassistant.data_entry_flow import AbortFlow
from homeassistant.util import dt as dt_util, slugify
import voluptuous as vol

from . import const
from .coordinator import Runtime
from .flow.answers import (
    FORECAST_BASES,
    Errors,
    chosen_targets,
    needs_whole_day,
    notify_targets,
    proposals,
    refused_charge,
    refused_entities,
    refused_limits,
    refused_market,
    refused_numbers,
    refused_planning,
    refused_targets,
    refused_timing,
    sign_contradicted,
    without_half_a_charge,
)
from .flow.forms import (
    CONF_NAME,
    alerts_schema,
    entity_fields,
    forecast_schema,
    limits_schema,
    number_fields,
    planning_schema,
    sensors_schema,
    user_schema,
)
from .flow.schema import (
    BATTERY,
    EXPORT_COUNTER,
    FIRST_SETTINGS,
    FORECAST,
    LIMITS,
    PLANNING,
    PLANNING_SWITCHES,
    PLANNING_TIMES,
    SENSORS,
    TIMING,
    WIRING,
    Number,
    Refusal,
    Role,
)
from .inputs.nord_pool import DOMAIN as NORD_POOL
from .inputs.wiring import entity_ids
from .models import Basis
from .presets import ALPHAESS, GENERIC, PRESETS, Preset
from .settings import merged, option_flag, option_time, preset_of

MENU = ["limits", "planning", "timing", "alerts"]

type Answers = Mapping[str, Any]


def _limits(answers: Answers) -> dict[str, Any]:
    """Return the limits; an optional one left empty is none."""
    chosen = {key: answers[key] for key in (const.CONF_BASIS, const.CONF_PERIOD)}
    return chosen | _figures(LIMITS, answers)


def _figures(numbers: Iterable[Number], answers: Answers) -> dict[str, Any]:
    return {each.key: answers.get(each.key, const.DEFAULTS.get(each.key)) for each in numbers}


def _planning(answers: Answers) -> dict[str, Any]:
    """Return the options of planning; a price left empty is none."""
    chosen = (const.CONF_OBJECTIVE, *PLANNING_SWITCHES, *PLANNING_TIMES)
    return {key: answers[key] for key in chosen} | _figures(PLANNING, answers)


def _planned(config: Answers) -> dict[str, object]:
    """Return the options of planning as a form shows them, however 1.x wrote them."""
    return {
        **config,
        **{key: option_flag(config, key) for key in PLANNING_SWITCHES},
        **{key: option_time(config, key).isoformat() for key in PLANNING_TIMES},
    }


def _limit_errors(hass: HomeAssistant, config: Mapping[str, object], answers: Answers) -> Errors:
    return refused_numbers(LIMITS, answers) or refused_limits(hass, {**config, **_limits(answers)})


def _form(
    flow: ConfigFlow | OptionsFlow,
    step_id: str,
    schema: vol.Schema,
    shown: Mapping[str, object],
    errors: Errors | None = None,
    *,
    last: bool = False,
) -> ConfigFlowResult:
    """Show a form, filled with what is proposed or was typed; the button tells the last one."""
    filled = flow.add_suggested_values_to_schema(
        schema,  # type: ignore[arg-type]  # the newest end aliases voluptuous
        shown,
    )
    return flow.async_show_form(step_id=step_id, data_schema=filled, errors=errors, last_step=last)


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
    def async_get_options_flow(config_entry: ConfigEntry) -> "ExportMonitorOptionsFlow":
        """Return the flow behind the entry's Configure button."""
        return ExportMonitorOptionsFlow()

    @override
    async def async_step_user(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the kind of battery, and for a name from the second entry on."""
        entries = self._async_current_entries()
        found = proposals(self.hass, ALPHAESS, BATTERY[:1])
        schema = user_schema((ALPHAESS if found else GENERIC).key, named=bool(entries))
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
                return await self.async_step_battery()
        return _form(self, "user", schema, user_input or {}, errors)

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
            return _form(self, "battery", schema, self._proposed(BATTERY))
        errors = self._refused(BATTERY, user_input)
        if self._preset.fallback_required and not user_input.get(const.CONF_FALLBACK_STOP):
            errors.setdefault(const.CONF_FALLBACK_STOP, Refusal.FALLBACK_REQUIRED)
        errors = refused_charge(user_input) | errors
        if errors:
            return _form(self, "battery", schema, user_input, errors)
        await self._claim(user_input[const.CONF_DISCHARGE_SWITCH])
        self._take(user_input)
        return await self.async_step_sensors()

    async def async_step_sensors(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for what measures the house."""
        schema = sensors_schema()
        sign, observe = const.CONF_BATTERY_POWER_SIGN, const.CONF_OBSERVE_RESERVE
        if user_input is None:
            kept = {key: self._before[key] for key in (sign, observe) if key in self._before}
            return _form(self, "sensors", schema, self._proposed(SENSORS) | kept)
        errors = self._refused(SENSORS, user_input)
        if user_input[observe] and not user_input.get(const.CONF_RESERVE_SOC):
            errors[const.CONF_RESERVE_SOC] = Refusal.RESERVE_REQUIRED
        if not errors and sign_contradicted(self.hass, user_input):
            errors[sign] = Refusal.SIGN_CONTRADICTED
        if errors:
            return _form(self, "sensors", schema, user_input, errors)
        self._take(user_input)
        return await self.async_step_forecast()

    async def async_step_forecast(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Ask for the PV forecast, which only some bases need, and for what planning needs."""
        own = self._before.get(const.CONF_NORD_POOL)
        schema = forecast_schema(
            market=bool(own or self.hass.config_entries.async_entries(NORD_POOL))
        )
        last = self.source == SOURCE_RECONFIGURE
        if user_input is None:
            shown = self._proposed(FORECAST) | ({const.CONF_NORD_POOL: own} if own else {})
            return _form(self, "forecast", schema, shown, last=last)
        errors = self._refused(FORECAST, user_input) | refused_market(self.hass, user_input)
        in_use = self._before.get(const.CONF_BASIS) in FORECAST_BASES
        if in_use and not user_input.get(const.CONF_FORECAST_TODAY):
            errors[const.CONF_FORECAST_TODAY] = Refusal.FORECAST_IN_USE
        if errors:
            return _form(self, "forecast", schema, user_input, errors, last=last)
        self._take(user_input)
        if last:
            return self._rewire()
        return await self.async_step_limits()

    async def async_step_limits(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Ask for the first settings and make the entry."""
        if user_input is None:
            first: dict[str, object] = {**const.DEFAULTS, **FIRST_SETTINGS}
            if const.CONF_FORECAST_TODAY not in self._wiring:
                first[const.CONF_BASIS] = Basis.GENERATED
            return _form(self, "limits", limits_schema(), first, last=True)
        errors = _limit_errors(self.hass, self._wiring, user_input)
        if errors:
            return _form(self, "limits", limits_schema(), user_input, errors, last=True)
        self._settings = _limits(user_input)
        if needs_whole_day({**self._wiring, **self._settings}):
            return await self.async_step_first_day()
        return self._create()

    async def async_step_first_day(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that nothing starts before midnight, while another counter can still be chosen."""
        schema = vol.Schema(entity_fields((EXPORT_COUNTER,)))
        if user_input is None:
            return _form(self, "first_day", schema, self._wiring, last=True)
        errors = self._refused((EXPORT_COUNTER,), user_input)
        if errors:
            return _form(self, "first_day", schema, user_input, errors, last=True)
        self._take(user_input)
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
        return without_half_a_charge(proposals(self.hass, self._preset, roles), own) | own

    def _refused(self, roles: tuple[Role, ...], answers: Answers) -> Errors:
        own = {role.key for role in roles}
        others = [key for key in self._wiring if key not in own]
        taken = [each for key in others for each in entity_ids(self._wiring, key)]
        return refused_entities(self.hass, roles, answers, taken)

    def _take(self, answers: Answers) -> None:
        """Keep a form's answers; what was left empty is not stored."""
        self._wiring |= {key: value for key, value in answers.items() if value not in ("", [])}

    def _create(self) -> ConfigFlowResult:
        return self.async_create_entry(
            title=self._title,
            data={const.CONF_PRESET: self._preset.key, **self._wiring},
            options=self._settings,
        )

    async def _claim(self, switch: str) -> None:
        """Abort where another entry commands the same battery; those of 1.x have no unique id."""
        own = self._get_reconfigure_entry() if self.source == SOURCE_RECONFIGURE else None
        for entry in self._async_current_entries():
            if entry is not own and merged(entry).get(const.CONF_DISCHARGE_SWITCH) == switch:
                raise AbortFlow("already_configured")
        if own is None:
            await self.async_set_unique_id(switch)

    def _rewire(self) -> ConfigFlowResult:
        """Store the new wiring; the entry's own update listener reloads it.

        1.x kept wiring in options too, where it would win over the new one.
        """
        entry = self._get_reconfigure_entry()
        kept = {key: value for key, value in entry.data.items() if key not in WIRING}
        self.hass.config_entries.async_update_entry(
            entry,
            unique_id=str(self._wiring[const.CONF_DISCHARGE_SWITCH]),
            data={**kept, const.CONF_PRESET: self._preset.key, **self._wiring},
            options={key: value for key, value in entry.options.items() if key not in WIRING},
        )
        if entry.state is not ConfigEntryState.LOADED:  # then nobody listens
            self.hass.config_entries.async_schedule_reload(entry.entry_id)
        return self.async_abort(reason="reconfigure_successful")


class ExportMonitorOptionsFlow(OptionsFlow):
    """Changes settings; the entry's update listener applies them."""

    def __init__(self) -> None:
        """Start without any answer."""
        self._settings: dict[str, Any] = {}

    async def async_step_init(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Offer the groups of settings."""
        return self.async_show_menu(step_id="init", menu_options=MENU)

    async def async_step_limits(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change what may be exported."""
        config = merged(self.config_entry)
        errors: Errors = {}
        if user_input is not None:
            errors = _limit_errors(self.hass, config, user_input)
            if not errors:
                self._settings = _limits(user_input)
                if self._makes_wait(config):
                    return await self.async_step_first_day()
                return self._store()
        return _form(self, "limits", limits_schema(), user_input or config, errors, last=True)

    async def async_step_first_day(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that with the new basis nothing starts before midnight."""
        if user_input is None:
            return _form(self, "first_day", vol.Schema({}), {}, last=True)
        return self._store()

    async def async_step_timing(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change how often to look, how long to wait, and how long a discharge may run alone."""
        config = merged(self.config_entry)
        errors: Errors = {}
        if user_input is not None:
            errors = refused_numbers(TIMING, user_input) or refused_timing(
                self.hass, {**config, **user_input}
            )
            if not errors:
                self._settings = _figures(TIMING, user_input)
                return self._store()
        schema = vol.Schema(number_fields(TIMING))
        return _form(self, "timing", schema, user_input or config, errors, last=True)

    async def async_step_planning(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change what is planned, and what may start by itself."""
        config = merged(self.config_entry)
        errors: Errors = {}
        if user_input is not None:
            errors = refused_numbers(PLANNING, user_input)
            if not errors:
                self._settings = _planning(user_input)
                errors = refused_planning(self.hass, {**config, **self._settings})
            if not errors:
                return self._store()
        shown = _planned(config) if user_input is None else user_input
        return _form(self, "planning", planning_schema(), shown, errors, last=True)

    async def async_step_alerts(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change who is told of what must not be missed."""
        errors: Errors = {}
        if user_input is not None:
            errors = refused_targets(user_input)
            if not errors:
                self._settings = {const.CONF_NOTIFY_TARGETS: chosen_targets(user_input)}
                return self._store()
        schema = alerts_schema(notify_targets(self.hass))
        shown = merged(self.config_entry) if user_input is None else user_input
        return _form(self, "alerts", schema, shown, errors, last=True)

    def _makes_wait(self, config: Answers) -> bool:
        """Tell whether the new limits need a morning that the export counter has not seen."""
        entry = self.config_entry
        if needs_whole_day(config) or not needs_whole_day({**config, **self._settings}):
            return False
        if entry.state is not ConfigEntryState.LOADED:
            return False
        runtime: Runtime = entry.runtime_data
        return runtime.control.state.meter.counter.partial(dt_util.utcnow())

    def _store(self) -> ConfigFlowResult:
        return self.async_create_entry(data={**self.config_entry.options, **self._settings})
