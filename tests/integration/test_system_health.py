"""The system information page: what it says of one entry, of two, and of none."""

import json
from pathlib import Path
from typing import Any

from homeassistant.components.system_health import get_info
from homeassistant.setup import async_setup_component
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.export_monitor import const
from custom_components.export_monitor.models import ErrorState
from tests.integration.house import House

PACKAGE = Path(const.__file__).parent


async def information(house: House) -> dict[str, Any]:
    info: dict[str, Any] = (await get_info(house.hass))[const.DOMAIN]
    return info


@pytest.fixture(autouse=True)
async def _page(house: House) -> None:
    assert await async_setup_component(house.hass, "system_health", {})


async def test_all_is_well(ready: House) -> None:
    info = await information(ready)
    words = json.loads((PACKAGE / "translations" / "en.json").read_text("utf-8"))
    assert set(info) == set(words["system_health"]["info"])
    manifest = json.loads((PACKAGE / "manifest.json").read_text("utf-8"))
    assert info["version"] == manifest["version"]
    assert info["entries"] == "1/1"
    assert (info["health"], info["error_state"], info["open_circuits"]) == ("Healthy", "none", "-")
    assert info["planner"] == "-", "nothing is planned"


async def test_what_is_wrong_is_said(ready: House) -> None:
    for _ in range(5):
        ready.runtime.coordinator.circuits[1].record_failure()
    ready.runtime.coordinator.set_error_state(ErrorState.START_FAILED)
    info = await information(ready)
    assert info["health"] == "Circuit Breaker Open"
    assert info["error_state"] == "discharge_start_failed"
    assert info["open_circuits"] == "battery_commands"


async def test_several_entries_are_told_apart_and_those_not_loaded_are_counted(
    ready: House,
) -> None:
    garage = House(ready.hass, ready.freezer).entry
    garage.add_to_hass(ready.hass)
    switch = {const.CONF_PRESET: "generic", const.CONF_DISCHARGE_SWITCH: "switch.garage"}
    ready.hass.config_entries.async_update_entry(garage, title="Garage", data=switch)
    assert await ready.hass.config_entries.async_setup(garage.entry_id)
    MockConfigEntry(domain=const.DOMAIN, title="Shed").add_to_hass(ready.hass)
    info = await information(ready)
    assert info["entries"] == "2/3"
    assert info["health"] == "Export Monitor: Healthy; Garage: Stale Data"
    assert await ready.hass.config_entries.async_unload(garage.entry_id)


async def test_without_a_loaded_entry_it_says_so(ready: House) -> None:
    assert await ready.hass.config_entries.async_unload(ready.entry.entry_id)
    info = await information(ready)
    assert info["entries"] == "0/1"
    assert info["health"] == ""
