"""The diagnostics download: all that a bug report needs, and nothing of the household."""

import json

from homeassistant.const import __version__
from homeassistant.helpers.json import JSONEncoder

from custom_components.export_monitor.diagnostics import async_get_config_entry_diagnostics
from tests.integration.house import House


async def test_diagnostics_are_json_and_name_no_household(running: House) -> None:
    house = running
    house.hass.config.latitude, house.hass.config.longitude = 51.4769, -0.0005
    house.hass.config_entries.async_update_entry(
        house.entry, title="Rose Cottage, Mill Lane 3", unique_id="secret-serial"
    )
    await house.settle()
    found = await async_get_config_entry_diagnostics(house.hass, house.entry)
    text = json.dumps(found, cls=JSONEncoder)
    for secret in ("Rose Cottage", "Mill Lane", "secret-serial", "51.4769", "0.0005"):
        assert secret not in text
    again = json.loads(text)
    assert again["health"] == "Healthy"
    assert again["state"]["phase"] == "active"
    assert again["readings"]["soc"]["value"] > 0
    assert again["settings"]["timezone"] == "UTC"
    assert {"export_monitor_update", "battery_commands"} <= set(again["circuits"])
    assert again["operations"] == 5  # the start, and the power that follows the house
    assert again["resilience"]["services"]["input_boolean.turn_on"]["calls"] == 1
    assert __version__


async def test_nobody_is_named_by_notify_targets_or_by_what_was_typed(house: House) -> None:
    target = "notify.mobile_app_annas_phone"
    house.hass.services.async_register("notify", "mobile_app_annas_phone", lambda _call: None)
    await house.set_up(notify_targets=[target, "notify.anna"], fixed_limit=10)
    await house.advance(70)
    await house.discharge()
    await house.call("stop_discharge", reason="Anna needs the car")
    await house.call("emergency_alert", message="Hello Anna")
    found = await async_get_config_entry_diagnostics(house.hass, house.entry)
    text = json.dumps(found, cls=JSONEncoder)
    assert "anna" not in text.casefold()
    assert "notify.target_1" in found["circuits"]
    assert found["entry"]["options"]["notify_targets"] == ["notify.target_1", "notify.target_2"]


async def test_diagnostics_live_while_every_input_is_missing(house: House) -> None:
    house.hide(*house.home.states())
    await house.set_up()
    found = await async_get_config_entry_diagnostics(house.hass, house.entry)
    assert json.loads(json.dumps(found, cls=JSONEncoder))["health"]
