"""Who has to mend something is told which entity it is."""

import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, PV_TODAY, House

PROBLEM = "binary_sensor.export_monitor_data_problem"
RESERVE = "sensor.reserve"
PERCENT = {"unit_of_measurement": "%"}


def _named(house: House) -> tuple[str, object, object]:
    """Return whether data is a problem, and the entity and the problem that are named."""
    state = house.hass.states.get(PROBLEM)
    assert state is not None
    return state.state, state.attributes["entity_id"], state.attributes["problem"]


async def test_a_lost_reserve_is_named_by_the_error_its_notification_and_the_data_problem(
    build: Build,
) -> None:
    house = build()
    house.hass.states.async_set(RESERVE, "30", PERCENT)
    await house.set_up(wiring={const.CONF_RESERVE_SOC: RESERVE}, observe_reserve_soc=True)
    await house.advance(75)
    assert _named(house) == ("off", None, None)
    house.hass.states.async_set(RESERVE, "unavailable")
    await house.advance(400, until=lambda: house.entity("error_state") == "stale_data")
    assert house.attributes("error_state")["entity_id"] == RESERVE
    assert house.attributes("error_state")["detail"] == "unavailable"
    text = house.notification("stale_data")
    assert text is not None
    assert RESERVE in text
    assert _named(house) == ("on", RESERVE, "unavailable")


async def test_under_a_fixed_limit_no_pv_counter_is_to_blame(build: Build) -> None:
    house = build()
    house.hass.states.async_set(RESERVE, "30", PERCENT)
    await house.set_up(wiring={const.CONF_RESERVE_SOC: RESERVE}, observe_reserve_soc=True)
    await house.advance(75)
    house.hide(PV_TODAY)
    await house.advance(15)
    assert _named(house) == ("off", None, None), "it is not needed"
    house.hass.states.async_set(RESERVE, "unavailable")
    await house.advance(15)
    assert _named(house) == ("on", RESERVE, "unavailable")


async def test_where_pv_decides_its_counter_is_named(build: Build) -> None:
    house = build()
    await house.set_up(basis="generated")
    await house.advance(75)
    house.hide(PV_TODAY)
    await house.advance(15)
    assert _named(house) == ("on", PV_TODAY, "unavailable")


async def test_a_frozen_export_counter_is_named(running: House) -> None:
    house = running
    house.frozen[FEED_IN_TODAY] = house.hass.states.get(FEED_IN_TODAY).state
    await house.advance(600, until=lambda: _named(house)[0] == "on")
    assert house.state.phase is Phase.ACTIVE
    assert _named(house) == ("on", FEED_IN_TODAY, "frozen")


@pytest.mark.parametrize(
    ("entity_id", "basis"), [(FEED_IN_TODAY, "fixed"), (PV_TODAY, "generated")]
)
async def test_a_counter_whose_step_is_held_back_is_named(
    build: Build, entity_id: str, basis: str
) -> None:
    house = build()
    await house.set_up(basis=basis)
    await house.advance(75)
    house.hass.states.async_set(entity_id, "400", {"unit_of_measurement": "kWh"})
    await house.advance(15)
    assert _named(house) == ("on", entity_id, "held_back")
    assert house.entity("circuit_breaker_status") == "Closed", "it is read well"
