"""What only the user can mend: told when it is certain, mended in a form, gone by itself."""

from typing import Any

from homeassistant.config_entries import ConfigEntryDisabler, ConfigEntryState
from homeassistant.const import EVENT_HOMEASSISTANT_STARTED
from homeassistant.core import CoreState
from homeassistant.data_entry_flow import FlowResultType
from homeassistant.helpers import entity_registry as er, issue_registry as ir
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.inspection import SETTLED_S, FaultKind
from custom_components.export_monitor.repairs import async_create_fix_flow
from tests.integration.conftest import Build
from tests.integration.house import DISCHARGING, FORECAST, RESET_FULL, WIRING, House

SOC = WIRING[const.CONF_SOC]
OTHER_SOC = "sensor.other_soc"
PERCENT = {"unit_of_measurement": "%"}


@pytest.fixture(autouse=True)
async def _repairs(house: House) -> None:
    assert await async_setup_component(house.hass, "repairs", {})


def _issues(house: House) -> dict[str, ir.IssueEntry]:
    """Return the issues of the configuration by translation key."""
    return {
        str(issue.translation_key): issue
        for (domain, _), issue in ir.async_get(house.hass).issues.items()
        if domain == const.DOMAIN and issue.active and issue.translation_key in set(FaultKind)
    }


async def _remove(house: House, entity_id: str) -> None:
    house.silence(entity_id)
    house.hass.states.async_remove(entity_id)
    await house.advance(SETTLED_S + 70)


async def _begin(house: House, issue: ir.IssueEntry) -> Any:  # noqa: ANN401
    """Open an issue's fix flow as the frontend does."""
    flows = house.hass.data["repairs"]["flow_manager"]
    return await flows.async_init(
        const.DOMAIN, context={"issue_id": issue.issue_id}, data={"issue_id": issue.issue_id}
    )


async def _answer(house: House, flow: Any, **answers: object) -> Any:  # noqa: ANN401
    flows = house.hass.data["repairs"]["flow_manager"]
    result = await flows.async_configure(flow["flow_id"], answers)
    await house.settle()
    await house.hass.async_block_till_done()  # a reload that is under way, on a busy machine
    return result


def _show(house: House, entity_id: str, state: str = "80", **facts: object) -> None:
    house.hass.states.async_set(entity_id, state, facts or PERCENT)


def _register(house: House, entity_id: str) -> er.RegistryEntry:
    domain, name = entity_id.split(".")
    before = house.hass.states.get(entity_id)
    house.hass.states.async_remove(entity_id)  # or its id would be taken
    registry = er.async_get(house.hass)
    entry = registry.async_get_or_create(domain, "test", name, suggested_object_id=name)
    assert entry.entity_id == entity_id
    if before is not None:
        house.hass.states.async_set(entity_id, before.state, before.attributes)
    return entry


# Removed


async def test_a_removed_entity_is_told_after_minutes_and_replaced_in_a_form(ready: House) -> None:
    house = ready
    house.silence(SOC)
    house.hass.states.async_remove(SOC)
    await house.advance(SETTLED_S - 60)
    assert _issues(house) == {}
    await house.advance(130)
    issue = _issues(house)["entity_removed"]
    assert issue.is_fixable
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["entity"] == SOC
    assert issue.translation_placeholders["role"] == "Battery SOC"
    form = await _begin(house, issue)
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "replace")
    assert form["description_placeholders"]["entity"] == SOC
    _show(house, OTHER_SOC)
    result = await _answer(house, form, entity=OTHER_SOC)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert house.entry.data[const.CONF_SOC] == OTHER_SOC
    for _ in range(12):
        _show(house, OTHER_SOC, "79")
        await house.advance(1)
    assert house.runtime.control.readings is not None
    assert house.runtime.control.readings.soc.value == 79
    assert _issues(house) == {}


async def test_an_entity_that_comes_back_takes_its_issue_back(ready: House) -> None:
    await _remove(ready, SOC)
    assert "entity_removed" in _issues(ready)
    ready.show()
    await ready.advance(70)
    assert _issues(ready) == {}


async def test_an_entity_that_is_away_for_a_while_is_no_matter_for_its_user(ready: House) -> None:
    ready.silence(SOC)
    ready.hass.states.async_remove(SOC)
    await ready.advance(SETTLED_S - 70)
    ready.show()
    await ready.advance(70)
    ready.silence(SOC)
    ready.hass.states.async_remove(SOC)
    await ready.advance(SETTLED_S - 70)
    assert _issues(ready) == {}


async def test_an_entity_in_the_registry_is_not_removed_without_a_state(ready: House) -> None:
    _register(ready, SOC)
    await _remove(ready, SOC)
    assert _issues(ready) == {}


async def test_nothing_is_missed_while_home_assistant_starts(house: House) -> None:
    house.hass.set_state(CoreState.starting)
    for entity_id in house.home.states():
        house.silence(entity_id)
        house.hass.states.async_remove(entity_id)
    await house.set_up()
    await house.advance(SETTLED_S * 2)
    assert _issues(house) == {}
    house.hass.set_state(CoreState.running)
    house.hass.bus.async_fire(EVENT_HOMEASSISTANT_STARTED)
    await house.advance(SETTLED_S - 70)
    assert _issues(house) == {}
    await house.advance(200)
    assert "entity_removed" in _issues(house)


async def test_an_issue_stays_through_a_reload_and_goes_with_the_entry(ready: House) -> None:
    await _remove(ready, SOC)
    assert await ready.hass.config_entries.async_reload(ready.entry.entry_id)
    await ready.settle()
    assert "entity_removed" in _issues(ready)
    await ready.hass.config_entries.async_remove(ready.entry.entry_id)
    assert _issues(ready) == {}


async def test_an_issue_goes_when_the_entry_is_disabled(ready: House) -> None:
    await _remove(ready, SOC)
    await ready.hass.config_entries.async_set_disabled_by(
        ready.entry.entry_id, ConfigEntryDisabler.USER
    )
    await ready.settle()
    assert _issues(ready) == {}


async def test_a_running_discharge_goes_on_through_the_mending(running: House) -> None:
    house = running
    grid = WIRING[const.CONF_GRID_POWER]
    house.silence(grid)
    house.hass.states.async_remove(grid)
    house.options(min_soc=5)
    await house.advance(SETTLED_S + 70, until=lambda: "entity_removed" in _issues(house))
    assert house.discharging
    form = await _begin(house, _issues(house)["entity_removed"])
    _show(house, "sensor.other_grid", "0", unit_of_measurement="W")
    await _answer(house, form, entity="sensor.other_grid")
    await house.advance(20)
    assert house.state.phase is Phase.ACTIVE
    assert house.discharging
    assert not house.asked("turn_off", "press")


# The form refuses what the config flow would


@pytest.mark.parametrize(
    ("entity_id", "facts", "says"),
    [
        ("sensor.energy", {"unit_of_measurement": "kWh"}, "does not show a state of charge"),
        ("sensor.nowhere", None, "does not exist"),
        ("light.lamp", {}, "no sensor"),
        (WIRING[const.CONF_GRID_POWER], None, "chosen for something else"),
        (None, None, "needed"),
    ],
)
async def test_a_replacement_that_does_not_fit_is_refused_in_words(
    ready: House, entity_id: str | None, facts: dict[str, Any] | None, says: str
) -> None:
    house = ready
    await _remove(house, SOC)
    form = await _begin(house, _issues(house)["entity_removed"])
    if facts is not None and entity_id is not None:
        house.hass.states.async_set(entity_id, "1", facts)
    answers = {} if entity_id is None else {"entity": entity_id}
    again = await _answer(house, form, **answers)
    assert again["type"] is FlowResultType.FORM
    assert again["errors"] == {"entity": "refused"}
    assert says in again["description_placeholders"]["reason"]
    assert house.entry.data[const.CONF_SOC] == SOC


@pytest.mark.parametrize(
    ("key", "options"),
    [
        (const.CONF_FALLBACK_STOP, {}),
        (const.CONF_RESERVE_SOC, {const.CONF_OBSERVE_RESERVE: True}),
        (const.CONF_FORECAST_TODAY, {const.CONF_BASIS: "forecast"}),
    ],
)
async def test_what_a_setting_rests_on_cannot_be_left_empty(
    house: House, key: str, options: dict[str, Any]
) -> None:
    wiring = {**FORECAST, const.CONF_RESERVE_SOC: "sensor.reserve"}
    await house.set_up(wiring=wiring, **options)
    for entity_id in (RESET_FULL, "sensor.reserve", FORECAST[const.CONF_FORECAST_TODAY]):
        house.silence(entity_id)
        house.hass.states.async_remove(entity_id)
    await house.advance(SETTLED_S + 70)
    issue = next(
        issue
        for (_, name), issue in ir.async_get(house.hass).issues.items()
        if name.startswith("entity_removed") and (issue.data or {})["role"] == key
    )
    form = await _begin(house, issue)
    again = await _answer(house, form)
    assert again["errors"] == {"entity": "refused"}


async def test_an_optional_entity_can_be_done_without(ready: House) -> None:
    load = WIRING[const.CONF_HOUSE_LOAD]
    await _remove(ready, load)
    form = await _begin(ready, _issues(ready)["entity_removed"])
    result = await _answer(ready, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert const.CONF_HOUSE_LOAD not in ready.entry.data


async def test_one_of_several_is_replaced_or_dropped_and_the_others_stay(ready: House) -> None:
    charging, export = WIRING[const.CONF_CONFLICTING_MODES]
    await _remove(ready, charging)
    form = await _begin(ready, _issues(ready)["entity_removed"])
    ready.hass.states.async_set("switch.boost", "off")
    await _answer(ready, form, entity="switch.boost")
    assert ready.entry.data[const.CONF_CONFLICTING_MODES] == ["switch.boost", export]
    await _remove(ready, export)
    form = await _begin(ready, _issues(ready)["entity_removed"])
    await _answer(ready, form)
    assert ready.entry.data[const.CONF_CONFLICTING_MODES] == ["switch.boost"]


async def test_the_switch_of_another_entry_is_refused_and_a_new_one_is_claimed(
    ready: House,
) -> None:
    house = ready
    house.hass.config_entries.async_update_entry(house.entry, unique_id=DISCHARGING)
    await house.settle()
    other = MockConfigEntry(
        domain=const.DOMAIN, title="Garage", data={const.CONF_DISCHARGE_SWITCH: "switch.garage"}
    )
    other.add_to_hass(house.hass)
    await _remove(house, DISCHARGING)
    form = await _begin(house, _issues(house)["entity_removed"])
    for entity_id in ("switch.garage", "switch.mine"):
        house.hass.states.async_set(entity_id, "off")
    again = await _answer(house, form, entity="switch.garage")
    assert again["errors"] == {"entity": "refused"}
    await _answer(house, again, entity="switch.mine")
    assert house.entry.data[const.CONF_DISCHARGE_SWITCH] == "switch.mine"
    assert house.entry.unique_id == "switch.mine"


async def test_a_battery_power_of_the_wrong_sign_is_refused(build: Build) -> None:
    house = build(load_w=2000)
    assert await async_setup_component(house.hass, "repairs", {})
    await house.set_up()
    await house.advance(70)
    battery = WIRING[const.CONF_BATTERY_POWER]
    value = float(house.hass.states.get(battery).state)  # type: ignore[union-attr]
    assert value > 500
    await _remove(house, battery)
    form = await _begin(house, _issues(house)["entity_removed"])
    _show(house, "sensor.turned", str(-value), unit_of_measurement="W")
    again = await _answer(house, form, entity="sensor.turned")
    assert "other sign" in again["description_placeholders"]["reason"]


async def test_1x_options_that_win_are_mended_where_they_are(ready: House) -> None:
    ready.options(**{const.CONF_SOC: "sensor.of_1x"})
    await ready.advance(SETTLED_S + 70)
    form = await _begin(ready, _issues(ready)["entity_removed"])
    ready.show()
    await _answer(ready, form, entity=SOC)
    assert ready.entry.options[const.CONF_SOC] == SOC


# Renamed


async def test_a_renamed_entity_is_told_at_once_and_followed_when_confirmed(ready: House) -> None:
    house = ready
    _register(house, SOC)
    er.async_get(house.hass).async_update_entity(SOC, new_entity_id=OTHER_SOC)
    house.silence(SOC)
    house.hass.states.async_remove(SOC)
    _show(house, OTHER_SOC)
    await house.advance(4)
    issue = _issues(house)["entity_renamed"]
    assert issue.is_persistent
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["new"] == OTHER_SOC
    form = await _begin(house, issue)
    assert form["step_id"] == "confirm"
    result = await _answer(house, form)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert house.entry.data[const.CONF_SOC] == OTHER_SOC
    await house.advance(SETTLED_S + 70)
    assert _issues(house) == {}


async def test_a_rename_taken_back_or_done_twice_is_followed(ready: House) -> None:
    house = ready
    registry = er.async_get(house.hass)
    _register(house, SOC)
    house.silence(SOC)
    registry.async_update_entity(SOC, new_entity_id=OTHER_SOC)
    house.hass.states.async_remove(SOC)
    await house.advance(61)
    registry.async_update_entity(OTHER_SOC, new_entity_id="sensor.third")
    await house.settle()
    issue = _issues(house)["entity_renamed"]
    assert (issue.data or {})["new_id"] == "sensor.third"
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.advance(61)
    assert "entity_renamed" in _issues(house)  # told once, remembered in the issue itself
    registry.async_update_entity("sensor.third", new_entity_id=SOC)
    await house.settle()
    assert _issues(house) == {}


async def test_a_renamed_entity_that_was_then_removed_is_removed(ready: House) -> None:
    house = ready
    _register(house, SOC)
    house.silence(SOC)
    registry = er.async_get(house.hass)
    registry.async_update_entity(SOC, new_entity_id=OTHER_SOC)
    house.hass.states.async_remove(SOC)
    registry.async_remove(OTHER_SOC)
    await house.advance(SETTLED_S + 130)
    assert set(_issues(house)) == {"entity_removed"}


async def test_other_entities_may_be_renamed_without_a_word(ready: House) -> None:
    _register(ready, "sensor.somebody")
    er.async_get(ready.hass).async_update_entity(
        "sensor.somebody", new_entity_id="sensor.somebody_else"
    )
    await ready.settle()
    assert _issues(ready) == {}


async def test_an_entry_that_is_gone_ends_its_flows(ready: House) -> None:
    for facts in (
        {"entry_id": "gone", "role": const.CONF_SOC, "entity_id": SOC, "new_id": OTHER_SOC},
        {"entry_id": "gone", "role": const.CONF_SOC, "entity_id": SOC, "new_id": ""},
        {"entry_id": "gone", "role": const.CONF_NOTIFY_TARGETS, "entity_id": "x", "new_id": ""},
        None,
    ):
        flow = await async_create_fix_flow(ready.hass, "x", dict(facts) if facts else None)
        flow.hass = ready.hass
        flow.handler, flow.flow_id, flow.context = const.DOMAIN, "x", {"issue_id": "x"}  # type: ignore[typeddict-unknown-key]
        flow.issue_id = "x"
        result = await flow.async_step_init()  # type: ignore[attr-defined]
        assert result["reason"] == "entry_gone"


# Units, disabled entities, what was never chosen


async def test_a_unit_that_cannot_be_reckoned_with_is_told(ready: House) -> None:
    ready.silence(SOC)
    ready.hass.states.async_set(SOC, "4.2", {"unit_of_measurement": "kWh"})
    await ready.advance(SETTLED_S + 70)
    issue = _issues(ready)["wrong_unit"]
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["unit"] == "kWh"
    ready.show()
    await ready.advance(61)
    assert _issues(ready) == {}


async def test_a_unit_that_works_is_no_fault_though_no_form_would_offer_it(ready: House) -> None:
    ready.silence(SOC)
    ready.hass.states.async_set(SOC, "80", {})
    await ready.advance(SETTLED_S + 70)
    assert _issues(ready) == {}


async def test_a_disabled_entity_is_told_and_mended_by_enabling_it(ready: House) -> None:
    _register(ready, SOC)
    registry = er.async_get(ready.hass)
    registry.async_update_entity(SOC, disabled_by=er.RegistryEntryDisabler.USER)
    await _remove(ready, SOC)
    assert "entity_disabled" in _issues(ready)
    registry.async_update_entity(SOC, disabled_by=None)
    await ready.settle()
    assert _issues(ready) == {}


@pytest.mark.parametrize(
    ("key", "name"),
    [
        (const.CONF_FALLBACK_STOP, "Fallback stop"),
        (const.CONF_DISCHARGE_DURATION, "Discharge duration"),
    ],
)
async def test_an_entry_of_1x_is_told_at_once_what_it_lacks(
    house: House, key: str, name: str
) -> None:
    await house.set_up(without=(key,))
    issue = _issues(house)["entity_needed"]
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["role"] == name
    form = await _begin(house, issue)
    result = await _answer(house, form, entity=WIRING[key])
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert house.entry.data[key] == WIRING[key]
    assert _issues(house) == {}


async def test_a_list_that_is_empty_is_filled(house: House) -> None:
    await house.set_up(wiring={const.CONF_PV_ENERGY: []})
    form = await _begin(house, _issues(house)["entity_needed"])
    (counter,) = WIRING[const.CONF_PV_ENERGY]
    await _answer(house, form, entity=counter)
    assert house.entry.data[const.CONF_PV_ENERGY] == [counter]


async def test_an_entry_that_is_not_loaded_is_started_by_the_mending(house: House) -> None:
    await house.set_up(without=(const.CONF_FALLBACK_STOP,))
    form = await _begin(house, _issues(house)["entity_needed"])
    assert await house.hass.config_entries.async_unload(house.entry.entry_id)
    await _answer(house, form, entity=RESET_FULL)
    await house.advance(2)
    assert house.entry.state is ConfigEntryState.LOADED
    assert house.entity("system_health") != "unavailable"


async def test_another_battery_needs_no_fallback(house: House) -> None:
    await house.set_up(wiring={const.CONF_PRESET: "generic"}, without=(const.CONF_FALLBACK_STOP,))
    assert _issues(house) == {}


# The automation behind the fallback stop


async def _automations(house: House, *configs: dict[str, Any]) -> None:
    assert await async_setup_component(house.hass, "automation", {"automation": list(configs)})
    await house.hass.async_block_till_done()


def _pressed(name: str, trigger: dict[str, Any]) -> dict[str, Any]:
    return {"id": name, "alias": name, "triggers": [trigger], "actions": []}


BY_NAME = {"trigger": "event", "event_type": "nothing"}
BY_BUTTON = {"trigger": "state", "entity_id": RESET_FULL}
OTHER = {"trigger": "state", "entity_id": f"{RESET_FULL}_2"}


@pytest.mark.parametrize(
    "automation",
    [_pressed("AlphaESS - full reset", BY_NAME), _pressed("my own reset", BY_BUTTON)],
    ids=["by its name", "by the button it names"],
)
async def test_an_automation_that_is_off_is_told_until_it_is_on(
    ready: House, automation: dict[str, Any]
) -> None:
    house = ready
    await _automations(house, automation)
    await house.advance(SETTLED_S + 70)
    assert _issues(house) == {}
    (entity_id,) = house.hass.states.async_entity_ids("automation")
    await house.hass.services.async_call(
        "automation", "turn_off", {"entity_id": entity_id}, blocking=True
    )
    await house.advance(SETTLED_S + 70)
    issue = _issues(house)["fallback_automation_off"]
    assert not issue.is_fixable
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["entity"] == entity_id
    await house.hass.services.async_call(
        "automation", "turn_on", {"entity_id": entity_id}, blocking=True
    )
    await house.advance(61)
    assert _issues(house) == {}


async def test_a_button_that_nothing_answers_is_told(ready: House) -> None:
    await _automations(ready, _pressed("lights", BY_NAME))
    await ready.advance(SETTLED_S + 70)
    issue = _issues(ready)["fallback_automation_missing"]
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["entity"] == RESET_FULL


PRESS = {"action": "input_button.press", "target": {"entity_id": RESET_FULL}}
NIGHTLY = {**_pressed("nightly reset", BY_NAME), "actions": [PRESS]}


async def test_an_automation_that_presses_the_button_does_not_answer_it(ready: House) -> None:
    waits = {"condition": "state", "entity_id": RESET_FULL, "state": "unknown"}
    await _automations(
        ready, NIGHTLY, {**_pressed("waits", BY_NAME), "conditions": [waits]}, _pressed("x", OTHER)
    )
    await ready.advance(SETTLED_S + 70)
    assert set(_issues(ready)) == {"fallback_automation_missing"}


async def test_the_packages_own_automation_is_judged_alone(ready: House) -> None:
    house = ready
    own = _pressed("my own log of presses", BY_BUTTON)
    await _automations(house, _pressed("AlphaESS - full reset", BY_BUTTON), NIGHTLY, own)
    (theirs,) = (
        each for each in house.hass.states.async_entity_ids("automation") if "full_reset" in each
    )
    await house.hass.services.async_call(
        "automation", "turn_off", {"entity_id": theirs}, blocking=True
    )
    await house.advance(SETTLED_S + 70)
    issue = _issues(house)["fallback_automation_off"]
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["entity"] == theirs


@pytest.mark.parametrize(
    "trigger",
    [
        {"trigger": "state", "entity_id": ["input_button.other", RESET_FULL]},
        {"trigger": "template", "value_template": f"{{{{ states('{RESET_FULL}') != 'x' }}}}"},
        {"triggers": [{"trigger": "state", "entity_id": RESET_FULL}]},
    ],
    ids=["one of several", "in a template", "nested"],
)
async def test_every_trigger_that_names_the_button_answers_it(
    ready: House, trigger: dict[str, Any]
) -> None:
    await _automations(ready, _pressed("my own reset", trigger), NIGHTLY)
    await ready.advance(SETTLED_S + 70)
    assert _issues(ready) == {}


async def test_a_trigger_that_is_switched_off_answers_nothing(ready: House) -> None:
    await _automations(ready, _pressed("my own reset", {**BY_BUTTON, "enabled": False}))
    await ready.advance(SETTLED_S + 70)
    assert set(_issues(ready)) == {"fallback_automation_missing"}


async def test_an_automation_in_the_old_style_answers_too(ready: House) -> None:
    old = {"platform": "state", "entity_id": RESET_FULL}
    await _automations(ready, {"id": "old", "alias": "old", "trigger": old, "action": []})
    await ready.advance(SETTLED_S + 70)
    assert _issues(ready) == {}


async def test_the_packages_automation_that_left_only_its_name_is_missing(ready: House) -> None:
    _register(ready, "automation.alphaess_full_reset")
    await _automations(ready, NIGHTLY)
    await ready.advance(SETTLED_S + 70)
    assert set(_issues(ready)) == {"fallback_automation_missing"}


# Notify targets


async def test_a_target_that_is_gone_is_told_until_it_is_back(house: House) -> None:
    await house.set_up(notify_targets=["notify.mobile_app_anna"])
    await house.advance(SETTLED_S + 70)
    issue = _issues(house)["notify_target_gone"]
    assert issue.is_fixable
    assert issue.translation_placeholders is not None
    assert issue.translation_placeholders["entity"] == "notify.mobile_app_anna"

    async def take(call: object) -> None:
        del call

    house.hass.services.async_register("notify", "mobile_app_anna", take)
    await house.advance(61)
    assert _issues(house) == {}


async def _take_messages(house: House, *names: str) -> None:
    async def take(call: object) -> None:
        del call

    for name in names:
        house.hass.services.async_register("notify", name, take)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ({"entity": "notify.mobile_app_new"}, ["notify.mobile_app_new", "notify.pushover"]),
        ({}, ["notify.pushover"]),
    ],
    ids=["another", "nobody"],
)
async def test_a_target_that_is_gone_is_replaced_or_taken_off_in_a_form(
    house: House, answers: dict[str, str], told: list[str]
) -> None:
    await _take_messages(house, "pushover", "mobile_app_new")
    await house.set_up(notify_targets=["notify.mobile_app_anna", "notify.pushover"])
    await house.advance(SETTLED_S + 70)
    form = await _begin(house, _issues(house)["notify_target_gone"])
    assert (form["type"], form["step_id"]) == (FlowResultType.FORM, "replace")
    assert form["description_placeholders"]["entity"] == "notify.mobile_app_anna"
    offered = {each["value"] for each in form["data_schema"].schema["entity"].config["options"]}
    assert offered == {"notify.mobile_app_new"}, "who is told already is no replacement"
    result = await _answer(house, form, **answers)
    assert result["type"] is FlowResultType.CREATE_ENTRY
    assert house.entry.options[const.CONF_NOTIFY_TARGETS] == told
    await house.advance(70)
    assert _issues(house) == {}


async def test_the_last_target_that_is_gone_leaves_nobody_to_tell(house: House) -> None:
    await house.set_up(notify_targets=["notify.mobile_app_anna"])
    await house.advance(SETTLED_S + 70)
    form = await _begin(house, _issues(house)["notify_target_gone"])
    await _answer(house, form)
    assert const.CONF_NOTIFY_TARGETS not in house.entry.options
    await house.advance(70)
    assert _issues(house) == {}


async def test_a_renamed_target_is_followed(house: House) -> None:
    _register(house, "notify.kitchen")
    await house.set_up(notify_targets=["notify.kitchen"])
    await house.settle()
    er.async_get(house.hass).async_update_entity("notify.kitchen", new_entity_id="notify.cellar")
    await house.settle()
    form = await _begin(house, _issues(house)["entity_renamed"])
    await _answer(house, form)
    assert house.entry.options[const.CONF_NOTIFY_TARGETS] == ["notify.cellar"]
    assert _issues(house) == {}


# The market


async def test_a_market_that_is_not_there_is_told_until_one_that_is_is_chosen(house: House) -> None:
    await house.set_up(wiring={const.CONF_NORD_POOL: "gone"})
    await house.advance(SETTLED_S + 70)
    issue = _issues(house)["nord_pool_gone"]
    assert not issue.is_fixable
    assert issue.severity is ir.IssueSeverity.WARNING
    pool = MockConfigEntry(domain="nordpool")
    pool.add_to_hass(house.hass)
    data = {**house.entry.data, const.CONF_NORD_POOL: pool.entry_id}
    house.hass.config_entries.async_update_entry(house.entry, data=data)
    await house.settle()
    await house.advance(SETTLED_S + 70)
    assert _issues(house) == {}
