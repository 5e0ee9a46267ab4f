"""What an update cycle, a set-up and a loaded entry cost. Figures, not limits in time."""

from collections.abc import Coroutine, Mapping
import tracemalloc
from typing import Any

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, HomeAssistant, callback
import pytest
from pytest_benchmark.fixture import BenchmarkFixture
from pytest_homeassistant_custom_component.common import MockConfigEntry

from custom_components.export_monitor import const
from tests.conftest import Home

MEMORY_LIMIT = 500_000
MOVING = (
    ("sensor.alphaess_power_grid", 500, "W"),
    ("sensor.alphaess_power_battery", 100, "W"),
    ("sensor.alphaess_current_house_load", 600, "W"),
    ("sensor.alphaess_total_energy_from_pv", 20_000, "kWh"),
)


def _drive(coroutine: Coroutine[Any, Any, object]) -> object:
    """Run a coroutine that never waits."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


async def _loaded(hass: HomeAssistant, home: Home) -> MockConfigEntry:
    """Return an entry in a house at rest, on real time: frozen time costs more than we measure.

    So does asyncio's debug mode, which the test plugin turns on and no house runs with.
    """
    hass.loop.set_debug(False)
    entry = MockConfigEntry(
        domain=const.DOMAIN,
        title="Export Monitor",
        data=home.wiring,
        options={const.CONF_TARGET_EXPORT: 3000},
    )
    entry.add_to_hass(hass)
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    return entry


def _cycle(entry: MockConfigEntry) -> None:
    coordinator = entry.runtime_data.coordinator
    before = coordinator.data
    coordinator.data = _drive(coordinator._async_update_data())
    if coordinator.data != before:  # as Home Assistant's coordinator does
        coordinator.async_update_listeners()


async def test_cycle_with_nothing_changed(
    hass: HomeAssistant, home: Home, benchmark: BenchmarkFixture
) -> None:
    entry = await _loaded(hass, home)
    _cycle(entry)
    ours: list[str] = []

    @callback
    def is_ours(data: Mapping[str, Any]) -> bool:
        return "export_monitor" in data["entity_id"]

    @callback
    def note(event: Event[Any]) -> None:
        ours.append(event.data["entity_id"])

    hass.bus.async_listen(EVENT_STATE_CHANGED, note, is_ours)
    hass.bus.async_listen(EVENT_STATE_REPORTED, note, is_ours)
    _cycle(entry)
    await hass.async_block_till_done()
    assert ours == []
    benchmark(_cycle, entry)


async def test_cycle_with_everything_changed(
    hass: HomeAssistant, home: Home, benchmark: BenchmarkFixture
) -> None:
    entry = await _loaded(hass, home)
    turn = 0

    def change() -> None:
        nonlocal turn
        turn += 1
        for entity_id, value, unit in MOVING:
            home.show(entity_id, value + turn, unit)
        hass.config_entries.async_update_entry(
            entry, options={**entry.options, "min_soc": 20 + turn % 7}
        )

    def changed_cycle() -> None:
        _cycle(entry)

    benchmark.pedantic(changed_cycle, setup=change, rounds=200)
    assert hass.states.get("number.export_monitor_minimum_soc").state != "20"


async def test_set_up_of_an_entry(hass: HomeAssistant, home: Home) -> None:
    """Time the package's own set-up, platforms included, once everything is imported."""
    entry = await _loaded(hass, home)
    times: list[float] = []
    for _ in range(15):
        await hass.config_entries.async_unload(entry.entry_id)
        await hass.async_block_till_done()
        started = _real_clock()
        assert await hass.config_entries.async_setup(entry.entry_id)
        await hass.async_block_till_done()
        times.append(_real_clock() - started)
    print(f"set-up of an entry: {sorted(times)[len(times) // 2] * 1000:.1f} ms (median of 15)")
    assert hass.states.get("sensor.export_monitor_system_health").state == "Healthy"


def _real_clock() -> float:
    """Return seconds that frozen time leaves alone."""
    import time  # noqa: PLC0415

    return time.clock_gettime(time.CLOCK_MONOTONIC)


async def test_memory_of_an_entry(hass: HomeAssistant, home: Home) -> None:
    entry = await _loaded(hass, home)
    await hass.config_entries.async_unload(entry.entry_id)
    await hass.async_block_till_done()
    tracemalloc.start()
    before, _ = tracemalloc.get_traced_memory()
    assert await hass.config_entries.async_setup(entry.entry_id)
    await hass.async_block_till_done()
    after, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert after - before <= MEMORY_LIMIT, after - before
    print(f"memory of an entry: {(after - before) / 1000:.0f} kB")


@pytest.fixture(autouse=True)
def _loadable(enable_custom_integrations: None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("ERROR")
