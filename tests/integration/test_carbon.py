"""The carbon intensity that holds now, live or from the cache, where a source is configured."""

from datetime import timedelta

from homeassistant.helpers import entity_registry as er

from custom_components.export_monitor import const
from tests.integration.house import House

SOURCE = "sensor.carbon_intensity_uk"


def _show(house: House, hours: int = 3) -> None:
    rows = [
        {
            "from": house.plant.now + timedelta(hours=n),
            "to": house.plant.now + timedelta(hours=n + 1),
            "intensity": 150 + n,
            "index": "moderate",
        }
        for n in range(hours)
    ]
    house.hass.states.async_set(SOURCE, "moderate", {"forecast": rows})


async def test_the_intensity_and_its_index_are_shown_and_cached(house: House) -> None:
    await house.set_up(wiring={const.CONF_CARBON: [SOURCE]})
    _show(house)
    await house.advance(45)  # its circuit may have opened before the source was there
    assert house.entity("current_carbon_intensity") == "150.0"
    assert house.entity("current_carbon_intensity_index") == "moderate"
    assert house.attributes("current_carbon_intensity")["cached_since"] is None
    house.hass.states.async_set(SOURCE, "unavailable")
    await house.advance(20)
    assert house.entity("current_carbon_intensity") == "150.0"
    assert house.attributes("current_carbon_intensity")["cached_since"] is not None
    assert house.entity("system_health") == "Healthy"


async def test_a_source_of_the_present_level_alone_is_displayed(house: House) -> None:
    await house.set_up(wiring={const.CONF_CARBON: [SOURCE]})
    house.hass.states.async_set(SOURCE, "very high")
    await house.advance(45)
    assert house.entity("current_carbon_intensity_index") == "very high"
    assert house.entity("current_carbon_intensity") == "unavailable"


async def test_without_a_source_there_are_no_such_sensors(house: House) -> None:
    await house.set_up()
    known = er.async_get(house.hass).entities
    assert not [entity_id for entity_id in known if "carbon" in entity_id]
