"""The house's usual load comes from the recorder's long-term statistics, where there are any."""

from datetime import UTC, datetime, timedelta
from typing import Any, cast
from unittest.mock import patch

from homeassistant.components.recorder import Recorder
from homeassistant.components.recorder.models import StatisticMeanType, StatisticMetaData
from homeassistant.components.recorder.statistics import async_import_statistics
from homeassistant.core import HomeAssistant
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_wait_recording_done,
)

from custom_components.export_monitor import const
from custom_components.export_monitor.inputs.load import HouseLoad
from custom_components.export_monitor.models import LoadSource
from tests.conftest import Home

LOAD = "sensor.alphaess_current_house_load"
HOUR = timedelta(hours=1)


@pytest.fixture(autouse=True)
def _custom_integrations(recorder_mock: Recorder, enable_custom_integrations: None) -> None:
    """Look for custom integrations, with a recorder: it must be there before Home Assistant."""


def metadata(unit: str) -> StatisticMetaData:
    """Return what the recorder asks about statistics: only the newest want the kind of unit."""
    facts: dict[str, Any] = {
        "mean_type": StatisticMeanType.ARITHMETIC,
        "has_sum": False,
        "name": None,
        "source": "recorder",
        "statistic_id": LOAD,
        "unit_of_measurement": unit,
    }
    if "unit_class" in StatisticMetaData.__annotations__:
        facts["unit_class"] = "power"
    return cast("StatisticMetaData", facts)


async def remember(hass: HomeAssistant, hours: int, mean: float, unit: str) -> None:
    """Give the recorder hourly means up to now: twice as much from noon on."""
    now = dt_util.utcnow().replace(minute=0, second=0, microsecond=0)
    rows: Any = [
        {"start": start, "mean": mean * (2 if start.hour >= 12 else 1), "min": 0.0, "max": 9e3}
        for start in (now - n * HOUR for n in range(1, hours + 1))
    ]
    async_import_statistics(hass, metadata(unit), rows)
    await async_wait_recording_done(hass)


async def learn(hass: HomeAssistant) -> HouseLoad:
    await hass.config.async_set_time_zone("UTC")
    load = HouseLoad(LOAD)
    await load.learn(hass)
    return load


@pytest.mark.parametrize(("mean", "unit"), [(300.0, "W"), (0.3, "kW")])
async def test_the_profile_is_learnt_from_hourly_means_in_any_unit(
    hass: HomeAssistant, mean: float, unit: str
) -> None:
    await remember(hass, 96, mean, unit)
    profile = (await learn(hass)).profile
    assert profile is not None
    assert profile.source is LoadSource.STATISTICS
    assert profile.watts(datetime(2026, 6, 1, 9, tzinfo=UTC)) == pytest.approx(300)
    assert profile.watts(datetime(2026, 6, 1, 19, 30, tzinfo=UTC)) == pytest.approx(600)


async def test_what_is_older_than_four_weeks_does_not_count(hass: HomeAssistant) -> None:
    now = dt_util.utcnow().replace(minute=0, second=0, microsecond=0)
    rows: Any = [{"start": now - timedelta(days=30) - n * HOUR, "mean": 300.0} for n in range(200)]
    async_import_statistics(hass, metadata("W"), rows)
    await async_wait_recording_done(hass)
    load = await learn(hass)
    assert load.looked
    assert load.profile is None


async def test_a_database_that_fails_leaves_what_was_learnt(
    hass: HomeAssistant, caplog: pytest.LogCaptureFixture
) -> None:
    await remember(hass, 96, 300.0, "W")
    load = await learn(hass)
    before = load.profile
    assert before is not None
    with patch(
        "homeassistant.components.recorder.statistics.statistics_during_period",
        side_effect=RuntimeError("database is locked"),
    ):
        await load.learn(hass)
    assert load.profile is before
    assert "database is locked" in caplog.text


@pytest.mark.parametrize("hours", [96, 0])
async def test_an_entry_learns_at_its_set_up_and_says_where_it_could_not(
    hass: HomeAssistant, home: Home, hours: int
) -> None:
    if hours:
        await remember(hass, hours, 300.0, "W")
    options = {const.CONF_PLAN_DISCHARGE: True}
    entry = MockConfigEntry(domain=const.DOMAIN, data=home.wiring, options=options)
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done(wait_background_tasks=True)
    entry.runtime_data.control.observe()
    entry.runtime_data.coordinator.publish()
    readings = entry.runtime_data.control.readings
    state = hass.states.get("binary_sensor.export_monitor_data_problem")
    assert state is not None
    told = {each["what"]: each["instead"] for each in state.attributes["degraded"]}
    plan = hass.states.get("sensor.export_monitor_discharge_plan_today")
    assert plan is not None
    assert plan.attributes["house_load"] == ("statistics" if hours else "configured")
    if hours:
        assert readings.load_profile.source is LoadSource.STATISTICS
        assert "load_profile" not in told
    else:
        assert readings.load_profile is None
        assert told["load_profile"] == "house_load_per_day"
    assert await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
