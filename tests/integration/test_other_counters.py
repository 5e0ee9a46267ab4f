"""Another export sensor in the midst of a day, and the same one under another name."""

from datetime import UTC, datetime

from homeassistant.helpers import entity_registry as er
import pytest

from custom_components.export_monitor import const
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, House

OTHER_FEED_IN = "sensor.other_feed_in_today"


def _show_feed_in(house: House, entity_id: str, kwh: float) -> None:
    facts = {"unit_of_measurement": "kWh", "device_class": "energy"}
    house.hass.states.async_set(entity_id, str(kwh), facts, force_update=True)


async def test_the_right_export_sensor_brings_its_day_along(build: Build) -> None:
    house = build()
    _show_feed_in(house, OTHER_FEED_IN, 0.0)
    house.plant.pv_w = 4500.0
    house.plant.advance(3600)
    house.plant.pv_w = 0.0
    await house.set_up(wiring={const.CONF_EXPORT_ENERGY: OTHER_FEED_IN}, fixed_limit=8.0)
    for _ in range(3):
        _show_feed_in(house, OTHER_FEED_IN, 0.0)
        await house.advance(61)
    decision = house.state.decision
    assert decision is not None
    assert decision.exported < 0.1
    rewired = {**house.entry.data, const.CONF_EXPORT_ENERGY: FEED_IN_TODAY}
    house.hass.config_entries.async_update_entry(house.entry, data=rewired)
    await house.advance(240)
    decision = house.state.decision
    assert decision is not None
    assert decision.exported == pytest.approx(house.plant.truth().exported_kwh, abs=0.1)
    assert decision.exported > 1.5


async def test_a_renamed_lifetime_counter_keeps_the_day(build: Build) -> None:
    old, new = "sensor.feed_in_total", "sensor.feed_in_of_the_meter"
    house = build(start=datetime(2026, 6, 21, 0, 1, tzinfo=UTC))
    registry = er.async_get(house.hass)
    registry.async_get_or_create("sensor", "meter", "1", suggested_object_id="feed_in_total")
    _show_feed_in(house, old, 500.0)
    await house.set_up(wiring={const.CONF_EXPORT_ENERGY: old}, fixed_limit=8.0)
    for minute in range(40):
        _show_feed_in(house, old, 500.0 + minute / 100)
        await house.advance(60)
    registry.async_update_entity(old, new_entity_id=new)
    house.hass.states.async_remove(old)
    _show_feed_in(house, new, 500.4)
    await house.advance(30)
    rewired = {**house.entry.data, const.CONF_EXPORT_ENERGY: new}
    house.hass.config_entries.async_update_entry(house.entry, data=rewired)
    for _ in range(4):
        await house.advance(60)
        _show_feed_in(house, new, 500.4)
    await house.advance(2)
    decision = house.state.decision
    assert decision is not None
    assert decision.exported == pytest.approx(0.4, abs=0.02)
    assert decision.fault is None
