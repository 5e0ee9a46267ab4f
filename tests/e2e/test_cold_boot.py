"""A German Home Assistant that starts while nothing it needs is there."""

from pathlib import Path
import time

from homeassistant.components.modbus import modbus
import pytest

from tests.e2e.world import HEALTH, STATUS, World, open_world

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]

AWAY_S = 90.0
# Home Assistant 2025.4 tries once, at its start; its user has to reload the modbus integration.
MODBUS_TRIES_AGAIN = hasattr(modbus, "PRIMARY_RECONNECT_DELAY")
HEALTH_IDS = {
    HEALTH,
    "sensor.export_monitor_error_state",
    "sensor.export_monitor_data_staleness",
    "sensor.export_monitor_circuit_breaker_status",
}
LITERAL_IDS = HEALTH_IDS | {
    "sensor.export_monitor_export_headroom",
    "sensor.export_monitor_export_allowed",
    "sensor.export_monitor_exported_today",
    "sensor.export_monitor_discharge_needed",
    STATUS,
    "sensor.export_monitor_calculated_duration",
    "number.export_monitor_target_export",
    "number.export_monitor_minimum_soc",
    "number.export_monitor_safety_margin",
    "button.export_monitor_start_discharge",
    "button.export_monitor_stop_discharge",
    "button.export_monitor_calculate_discharge",
    "button.export_monitor_reset_circuit_breakers",
    "binary_sensor.export_monitor_discharging",
    "binary_sensor.export_monitor_data_problem",
    "binary_sensor.export_monitor_over_export",
}
INPUTS = ("sensor.alphaess_soc_battery", "sensor.alphaess_total_energy_feed_to_grid_meter")


async def test_a_german_cold_boot_with_every_input_missing_becomes_healthy_unaided(
    tmp_path: Path,
) -> None:
    async with open_world(tmp_path, language="de") as world:
        await world.hass.stop()
        await world.simulator.fault("drop", for_s=AWAY_S)
        gone = time.monotonic()
        await world.hass.start()
        states = await world.client.states()
        assert states.keys() >= LITERAL_IDS
        assert {states[each].attributes["friendly_name"] for each in HEALTH_IDS} >= {
            "Export Monitor Systemzustand"
        }
        assert time.monotonic() - gone < AWAY_S / 2
        missing = [each for each in INPUTS if states[each].state in ("unavailable", "unknown")]
        world.timeline.say(
            f"running {time.monotonic() - gone:.1f} s after the loss, without {missing}"
        )
        await _stays_honest(world, gone + AWAY_S)
        back = time.monotonic()
        if not MODBUS_TRIES_AGAIN:
            await world.client.call("modbus", "reload")
        await world.client.wait_for(HEALTH, "Healthy", 180)
        world.timeline.say(f"Healthy {time.monotonic() - back:.1f} s after the link was back")
        states = await world.client.states()
        lost = [
            each
            for each in LITERAL_IDS
            if states[each].state in ("unavailable", "unknown") and not each.startswith("button.")
        ]
        assert lost == []
        assert await world.notifications() == {}


async def _stays_honest(world: World, until: float) -> None:
    """Watch until then: health is always there, never says that all is well, and nothing starts.

    The battery's sensors may show what they showed before the restart, as if it were live.
    """
    shown: set[str] = set()
    allowed = []
    while time.monotonic() < until:
        for each in HEALTH_IDS:
            state = await world.client.state(each)
            assert state is not None
            assert state.state not in ("unavailable", "unknown"), each
            if each == HEALTH:
                shown.add(state.state)
        if (await world.act("calculate_discharge"))["can_start"]:
            allowed.append(round(AWAY_S - (until - time.monotonic()), 1))
    world.timeline.say(f"meanwhile {sorted(shown)}")
    assert allowed == [], "with the inverter away, a start was allowed (s after the loss)"
    assert "Healthy" not in shown
