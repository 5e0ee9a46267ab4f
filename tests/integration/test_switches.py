"""The switches are options of the entry: set from either side, and in force at once."""

from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.settings import merged, plan_settings_of
from simulator.alphaess_home import number, switch
from tests.integration.house import House

CHARGE = {
    const.CONF_CHARGE_SWITCH: switch("charging"),
    const.CONF_CHARGE_POWER: number("charging", "power"),
    const.CONF_CHARGE_DURATION: number("charging", "duration"),
    const.CONF_CHARGE_CUTOFF: number("charging", "cutoff_soc"),
}
KEYS = ("enable_auto_discharge", "enable_auto_charge", "dry_run")


def state(house: House, name: str) -> str:
    found = house.hass.states.get(f"switch.export_monitor_{name}")
    assert found is not None, name
    return found.state


async def turn(house: House, name: str, to: str) -> None:
    target = {"entity_id": f"switch.export_monitor_{name}"}
    await house.hass.services.async_call("switch", f"turn_{to}", target, blocking=True)
    await house.settle()


async def test_there_are_three_all_off_under_the_ids_of_1x(house: House) -> None:
    await house.set_up()
    entries = er.async_entries_for_config_entry(er.async_get(house.hass), house.entry.entry_id)
    found = {e.entity_id: e for e in entries if e.domain == "switch"}
    assert set(found) == {f"switch.export_monitor_{key}" for key in KEYS}
    for key in KEYS:
        entry = found[f"switch.export_monitor_{key}"]
        assert entry.unique_id == f"{house.entry.entry_id}_{key}"
        assert entry.translation_key == key
        assert state(house, key) == "off"
    assert found["switch.export_monitor_dry_run"].entity_category == "config"


@pytest.mark.parametrize("key", KEYS)
async def test_a_switch_sets_its_option_without_a_reload_and_follows_it(
    house: House, key: str
) -> None:
    await house.set_up(wiring=CHARGE)
    runtime = house.runtime
    await turn(house, key, "on")
    assert house.entry.options[key] is True
    assert state(house, key) == "on"
    house.options(**{key: False})
    await house.settle()
    assert state(house, key) == "off"
    await turn(house, key, "on")
    await turn(house, key, "off")
    assert house.entry.options[key] is False
    assert house.runtime is runtime, "no reload: a session would have to be taken up again"


async def test_discharging_by_itself_means_planning_and_leaves_the_choice_of_planning_alone(
    house: House,
) -> None:
    await house.set_up()
    await turn(house, "enable_auto_discharge", "on")
    plan = plan_settings_of(merged(house.entry))
    assert (plan.discharge, plan.auto_discharge, plan.charge) == (True, True, False)
    await turn(house, "enable_auto_discharge", "off")
    plan = plan_settings_of(merged(house.entry))
    assert (plan.discharge, plan.auto_discharge) == (False, False)


async def test_charging_by_itself_is_refused_without_all_charge_controls(house: House) -> None:
    half = {key: value for key, value in CHARGE.items() if key != const.CONF_CHARGE_DURATION}
    await house.set_up(wiring=half)
    with pytest.raises(ServiceValidationError) as refused:
        await turn(house, "enable_auto_charge", "on")
    assert refused.value.translation_key == "auto_charge_without_control"
    assert state(house, "enable_auto_charge") == "off"
    await turn(house, "enable_auto_charge", "off")  # whoever upgraded with it on gets it off


async def test_what_1x_left_in_the_entrys_data_is_in_force_until_it_is_changed(
    house: House,
) -> None:
    await house.set_up(wiring={const.CONF_DRY_RUN: "on"})
    assert state(house, "dry_run") == "on"
    assert house.runtime.control.lookout._settings().dry_run
    await turn(house, "dry_run", "off")
    assert state(house, "dry_run") == "off"
    assert not house.runtime.control.lookout._settings().dry_run
