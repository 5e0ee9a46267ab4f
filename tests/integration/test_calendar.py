"""The calendar of planned windows."""

from datetime import timedelta
from typing import Any

from homeassistant.core import HomeAssistant
import pytest

from custom_components.export_monitor import const
from tests.integration.conftest import Build
from tests.integration.house import EVENING, House
from tests.integration.test_autopilot import AUTO, to_window
from tests.integration.test_plans import plan_in

CALENDAR = "calendar.export_monitor_plan"


@pytest.fixture
def house(build: Build) -> House:
    """Return a house four minutes before half past nine, when windows begin here."""
    return build(start=EVENING + timedelta(minutes=26))


async def events(hass: HomeAssistant, hours: int = 48) -> list[dict[str, Any]]:
    """Return what the calendar shows, from a day ago on."""
    response = await hass.services.async_call(
        "calendar",
        "get_events",
        {
            "entity_id": CALENDAR,
            "start_date_time": (EVENING - timedelta(days=1)).isoformat(),
            "end_date_time": (EVENING + timedelta(hours=hours)).isoformat(),
        },
        blocking=True,
        return_response=True,
    )
    assert response is not None
    found = response[CALENDAR]
    assert isinstance(found, dict)
    return list(found["events"])  # type: ignore[arg-type]


async def test_windows_of_today_and_tomorrow_are_appointments(house: House) -> None:
    await plan_in(house, 100, 320, *[100] * 38, 300, **{const.CONF_HOUSE_LOAD_DAY: 1})
    shown = await events(house.hass)
    assert [event["start"] for event in shown] == [
        "2026-06-21T22:00:00+00:00",
        "2026-06-22T17:30:00+00:00",
    ]
    assert shown[0]["summary"].startswith("Discharge 1.0 kWh")
    assert shown[0]["description"].startswith("The grid is at its dirtiest then: 320 g CO2/kWh")
    state = house.hass.states.get(CALENDAR)
    assert state is not None
    assert state.state == "off"
    assert state.attributes["message"] == shown[0]["summary"]


async def test_the_window_that_runs_is_on_and_one_appointment(house: House) -> None:
    await to_window(house)
    state = house.hass.states.get(CALENDAR)
    assert state is not None
    assert state.state == "on"
    (event,) = await events(house.hass, hours=2)
    assert event["start"] == "2026-06-21T21:30:00+00:00"


async def test_what_has_run_stays_with_its_outcome(house: House) -> None:
    await to_window(house)
    await house.call("stop_discharge")
    await house.advance(10)
    (event,) = await events(house.hass, hours=1)
    assert event["description"].startswith("Discharge ended after 0.0")
    assert "somebody asked for it" in event["description"]


async def test_in_german_the_calendar_is_german_and_its_id_is_not(house: House) -> None:
    house.hass.config.language = "de"
    await plan_in(house, 100, 320, **AUTO)
    (event, *_) = await events(house.hass)
    assert event["summary"] == "Entladung 1,0 kWh"
