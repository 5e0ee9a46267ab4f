"""The event that says why a planned window ran, was skipped or refused."""

from datetime import timedelta
from typing import Any

import pytest

from custom_components.export_monitor import const
from tests.integration.conftest import Build
from tests.integration.house import EVENING, House
from tests.integration.test_autopilot import AUTO, to_window
from tests.integration.test_plans import plan_in

ACTIVITY = "event.export_monitor_activity"


@pytest.fixture
def house(build: Build) -> House:
    """Return a house four minutes before half past nine, when windows begin here."""
    return build(start=EVENING + timedelta(minutes=26))


def told(house: House) -> dict[str, Any]:
    state = house.hass.states.get(ACTIVITY)
    assert state is not None
    return dict(state.attributes)


async def test_a_start_is_told_with_its_window_and_the_reason(house: House) -> None:
    await to_window(house)
    facts = told(house)
    assert facts["event_type"] == "started"
    assert facts["kind"] == "discharge"
    assert facts["start"] == "2026-06-21T21:30:00+00:00"
    assert facts["planned_kwh"] == pytest.approx(1.0, abs=0.06)
    assert facts["words"].startswith("Discharge started as planned. The grid is at its dirtiest")


async def test_an_end_is_told_with_what_was_exported(house: House) -> None:
    await to_window(house)
    await house.advance(60)
    await house.call("stop_discharge")
    await house.advance(5)
    facts = told(house)
    assert (facts["event_type"], facts["reason"]) == ("ended", "user")
    assert facts["energy_kwh"] > 0.01
    assert facts["words"].endswith("somebody asked for it.")


async def test_a_skipped_window_says_that_the_switch_is_off(house: House) -> None:
    await to_window(house, **{const.CONF_AUTO_DISCHARGE: False, const.CONF_PLAN_DISCHARGE: True})
    facts = told(house)
    assert facts["words"] == "Discharge skipped: starting it automatically is switched off."


async def test_a_refusal_is_told_in_the_words_of_a_refused_start(house: House) -> None:
    house.charge()
    await to_window(house)
    facts = told(house)
    assert (facts["event_type"], facts["reason"]) == ("refused", "mode_conflict")
    assert facts["words"].startswith("Not started: another battery mode is on")


async def test_dry_run_is_told_in_german_too(house: House) -> None:
    house.hass.config.language = "de"
    await to_window(house, **{const.CONF_DRY_RUN: True})
    assert told(house)["words"].startswith("Probelauf: Jetzt hätte")


async def test_what_was_missed_while_home_assistant_was_down_is_told_when_it_is_back(
    build: Build,
) -> None:
    house = build()
    await plan_in(house, 320, 100, **AUTO)
    house.freezer.tick(timedelta(hours=2))
    async with house.restarted():
        facts = told(house)
        assert (facts["event_type"], facts["reason"]) == ("missed", "not_running")
        assert facts["words"] == "Discharge missed: Home Assistant was not running then."
        assert await house.hass.config_entries.async_unload(house.entry.entry_id)


async def test_a_window_that_the_sun_makes_needless_says_so(build: Build) -> None:
    house = build(start=EVENING + timedelta(minutes=26), pv_w=4000.0)
    await to_window(house, 320, 310, fixed_limit=8.0)
    assert told(house)["words"] == (
        "Discharge skipped: the sun alone gives as much as is to be exported."
    )
