"""Changes the settings of an entry, in groups; nothing needs a restart."""

from collections.abc import Mapping
from typing import Any

from homeassistant.config_entries import ConfigEntryState, ConfigFlowResult, OptionsFlow
from homeassistant.util import dt as dt_util
import voluptuous as vol

from . import const
from .coordinator import Runtime
from .flow.answers import (
    Errors,
    chosen_limits,
    chosen_targets,
    figures,
    limit_errors,
    needs_whole_day,
    notify_targets,
    refused_numbers,
    refused_planning,
    refused_targets,
    refused_timing,
)
from .flow.forms import (
    alerts_schema,
    flat,
    limits_schema,
    number_fields,
    planning_schema,
    show_form,
)
from .flow.schema import PLANNING, PLANNING_SWITCHES, PLANNING_TIMES, TIMING
from .settings import merged, option_flag, option_time

MENU = ["limits", "planning", "timing", "alerts"]

type Answers = Mapping[str, Any]


def _planning(answers: Answers) -> dict[str, Any]:
    """Return the options of planning; a price left empty is none."""
    chosen = (const.CONF_OBJECTIVE, *PLANNING_SWITCHES, *PLANNING_TIMES)
    return {key: answers[key] for key in chosen} | figures(PLANNING, answers)


def _planned(config: Answers) -> dict[str, object]:
    """Return the options of planning as a form shows them, however 1.x wrote them."""
    return {
        **config,
        **{key: option_flag(config, key) for key in PLANNING_SWITCHES},
        **{key: option_time(config, key).isoformat() for key in PLANNING_TIMES},
    }


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
            user_input = flat(user_input)
            errors = limit_errors(self.hass, config, user_input)
            if not errors:
                self._settings = chosen_limits(user_input)
                if self._makes_wait(config):
                    return await self.async_step_first_day()
                return self._store()
        return show_form(self, "limits", limits_schema(), user_input or config, errors, last=True)

    async def async_step_first_day(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Say that with the new basis nothing starts before midnight."""
        if user_input is None:
            return show_form(self, "first_day", vol.Schema({}), {}, last=True)
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
                self._settings = figures(TIMING, user_input)
                return self._store()
        schema = vol.Schema(number_fields(TIMING))
        return show_form(self, "timing", schema, user_input or config, errors, last=True)

    async def async_step_planning(
        self, user_input: dict[str, Any] | None = None
    ) -> ConfigFlowResult:
        """Change what is planned, and what may start by itself."""
        config = merged(self.config_entry)
        errors: Errors = {}
        if user_input is not None:
            user_input = flat(user_input)
            errors = refused_numbers(PLANNING, user_input)
            if not errors:
                self._settings = _planning(user_input)
                errors = refused_planning(self.hass, {**config, **self._settings})
            if not errors:
                return self._store()
        shown = _planned(config) if user_input is None else user_input
        return show_form(self, "planning", planning_schema(), shown, errors, last=True)

    async def async_step_alerts(self, user_input: dict[str, Any] | None = None) -> ConfigFlowResult:
        """Change who is told of what must not be missed."""
        errors: Errors = {}
        if user_input is not None:
            errors = refused_targets(user_input)
            if not errors:
                self._settings = {
                    **user_input,
                    const.CONF_NOTIFY_TARGETS: chosen_targets(user_input),
                }
                return self._store()
        schema = alerts_schema(notify_targets(self.hass))
        shown = merged(self.config_entry) if user_input is None else user_input
        return show_form(self, "alerts", schema, shown, errors, last=True)

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
