"""The recorder itself makes long-term statistics of the record's sensors."""

from datetime import timedelta
from typing import Any

from homeassistant.components.recorder import Recorder
from homeassistant.core import HomeAssistant
import pytest
from pytest_homeassistant_custom_component.components.recorder.common import (
    async_recorder_block_till_done,
    async_wait_recording_done,
    do_adhoc_statistics,
    statistics_during_period,
)

from custom_components.export_monitor import const
from tests.integration.conftest import Build
from tests.integration.house import House

OWN = "sensor.export_monitor_"
SUMS = ("exported_today", "generated_today", "deliberate_export_today", "export_earnings")
MEANS = ("export_headroom", "export_allowed", "peak_export_today")
SPAN = timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _custom_integrations(recorder_mock: Recorder, enable_custom_integrations: None) -> None:
    """Look for custom integrations, with a recorder: it must be there before Home Assistant."""


async def _compiled(hass: HomeAssistant, count: int) -> dict[str, list[dict[str, Any]]]:
    """Return what the recorder makes of the first spans of the evening."""
    await async_wait_recording_done(hass)
    for number in range(count):
        do_adhoc_statistics(hass, start=House.EVENING + number * SPAN)
        await async_recorder_block_till_done(hass)
    found: dict[str, list[dict[str, Any]]] = await hass.async_add_executor_job(
        lambda: statistics_during_period(hass, House.EVENING, period="5minute")
    )
    return found


async def test_sums_grow_with_the_plant_and_levels_have_their_mean(build: Build) -> None:
    house = build(pv_w=1500.0)
    await house.set_up(export_price=0.2, wiring={const.CONF_CARBON: ["sensor.carbon"]})
    await house.advance(70)
    before = house.plant.truth()
    await house.discharge(120)
    await house.call("stop_discharge")
    await house.advance(300)
    shown = {name: float(house.entity(name)) for name in (*SUMS, *MEANS)}
    true = house.plant.truth()
    found = await _compiled(house.hass, 1 + int(house.plant.elapsed_s // SPAN.total_seconds()))
    for name in SUMS:
        rows = found[OWN + name]
        assert rows[-1]["state"] == pytest.approx(shown[name], abs=0.06)
        assert rows[-1]["sum"] > 0
    grown = found[f"{OWN}deliberate_export_today"][-1]["sum"]
    assert grown == pytest.approx(true.exported_kwh - before.exported_kwh, abs=0.1)
    for name in MEANS:
        row = found[OWN + name][-1]
        assert row["min"] <= row["mean"] <= row["max"]
    assert f"{OWN}carbon_saved" in found


async def test_midnight_takes_nothing_off_a_sum(build: Build) -> None:
    house = build(start=House.LATE, load_w=0.0, pv_w=3600.0, soc=100.0)
    await house.set_up()
    await house.advance(180)
    await async_wait_recording_done(house.hass)
    last = House.LATE.replace(minute=55, second=0)
    for start in (last, last + SPAN):
        do_adhoc_statistics(house.hass, start=start)
        await async_recorder_block_till_done(house.hass)
    found = await house.hass.async_add_executor_job(
        lambda: statistics_during_period(house.hass, last, period="5minute")
    )
    sums = [row["sum"] for row in found[f"{OWN}generated_today"]]
    assert len(sums) == 2
    assert sums[1] > sums[0] >= 0
