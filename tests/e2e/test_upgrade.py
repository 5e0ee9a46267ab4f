"""A house that ran 1.x until yesterday, started as processes: its entry, its ids, its history."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import sys

import pytest
import pytest_asyncio

from simulator import demo
from simulator.ha_client import EntityState
from simulator.launch import ROOT, HomeAssistantProcess, SimulatorProcess, time_zone_at
from tests.e2e.world import DOMAIN, EVENING, LOAD_W, World, complaints, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.timeout(420),
    pytest.mark.asyncio(loop_scope="module"),
]

STORED = ROOT / "tests" / "integration" / "stored_1x" / "v1.9.17.json"
PREFIX = "energy_export_monitor"  # what 1.x called its device
HEADROOM = f"sensor.{PREFIX}_export_headroom"
RETIRED = f"sensor.{PREFIX}_discharge_complete"
MARGIN = f"number.{PREFIX}_safety_margin"
YESTERDAY = "4.2"
KEPT = [
    HEADROOM,
    MARGIN,
    *(
        f"sensor.{PREFIX}_{name}"
        for name in (
            "discharge_needed",
            "exported_today",
            "discharge_status",
            "calculated_duration",
            "system_health",
            "error_state",
            "data_staleness",
            "circuit_breaker_status",
        )
    ),
    f"number.{PREFIX}_target_export",
    f"number.{PREFIX}_minimum_soc",
    f"button.{PREFIX}_start_discharge",
    f"button.{PREFIX}_stop_discharge",
    f"button.{PREFIX}_calculate_discharge",
    f"switch.{PREFIX}_enable_auto_discharge",
    f"switch.{PREFIX}_enable_auto_charge",
]


def leave(folder: Path) -> str:
    """Put in place what 1.x and its Home Assistant had stored; return the entry's id.

    The house's own entities come from YAML, and register anew under the same ids.
    """
    document = json.loads(STORED.read_text("utf-8"))
    for key, stored in document.items():
        (folder / ".storage" / key).write_text(json.dumps(stored))
    entry_id: str = document["core.config_entries"]["data"]["entries"][0]["entry_id"]
    return entry_id


def ids() -> set[str]:
    """Return all entity ids of 1.x."""
    document = json.loads(STORED.read_text("utf-8"))
    return {each["entity_id"] for each in document["core.entity_registry"]["data"]["entities"]}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def upgraded(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    """Return a world whose Home Assistant was stopped with 1.x, and started with ours."""
    folder = tmp_path_factory.mktemp("upgrade")
    zone, hour = time_zone_at(EVENING)
    house = ("--hour", f"{hour:.3f}", "--soc", "80", "--pv", "0", "--load", f"{LOAD_W:.0f}")
    python = ROOT / ".venv" / "simulator" / "bin" / "python"
    async with SimulatorProcess(python, folder, *house) as simulator:
        hass = HomeAssistantProcess(
            Path(sys.executable),
            folder / "config",
            simulator=simulator,
            time_zone=zone,
            language="de",
        )
        async with hass:
            world = World(simulator, hass)
            world.exported_kwh = await demo.ready(hass, world.timeline)
            then = {"state": YESTERDAY, "attributes": {"unit_of_measurement": "kWh"}}
            await hass.client.request("POST", f"/states/{HEADROOM}", then)
            await asyncio.sleep(2)  # the recorder writes once a second
            await hass.stop()
            world.entry_id = leave(hass.folder)
            await hass.start()
            yield world


async def healthy(world: World) -> dict[str, EntityState]:
    await world.client.wait_for(f"sensor.{PREFIX}_system_health", "Healthy", 150)
    return await world.client.states()


async def test_ids_stay_and_retired_entities_leave(upgraded: World) -> None:
    states = await healthy(upgraded)
    shown = {each for each in states if each.partition(".")[2].startswith(PREFIX)}
    assert shown <= ids(), "nothing new under the old beginning"
    gone = ids() - shown
    assert RETIRED in gone
    assert f"button.{PREFIX}_reset_auto_stats" in gone
    for entity_id in KEPT:
        assert entity_id in shown
        assert not states[entity_id].attributes.get("restored"), entity_id
    assert states[MARGIN].number == 0.8
    assert "sensor.export_monitor_export_allowed" in states


async def test_history_goes_on_under_the_old_id(upgraded: World) -> None:
    await healthy(upgraded)
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat().replace("+", "%2B")
    path = f"/history/period/{since}?filter_entity_id={HEADROOM}"

    async def seen() -> list[str]:
        (history,) = await upgraded.client.request("GET", path)
        return [row["state"] for row in history]

    states = await until(seen, lambda values: values[-1] not in (YESTERDAY, "unavailable"), 30)
    assert YESTERDAY in states


async def test_the_house_is_known_and_a_discharge_starts_and_stops(upgraded: World) -> None:
    await healthy(upgraded)
    assert "entity_needed" not in await upgraded.repairs()
    limit = round(upgraded.exported_kwh + 8, 2)
    await demo.reconfigure(
        upgraded.hass, upgraded.entry_id, "limits", basis="fixed", fixed_limit=limit
    )
    await until(lambda: upgraded.act("calculate_discharge"), lambda plan: plan["can_start"], 60)
    await upgraded.act("start_discharge")
    await upgraded.until(lambda truth: truth["battery_w"] > 2700, 10)
    assert (await upgraded.act("stop_discharge"))["proof"]
    await upgraded.until(lambda truth: not truth["dispatch_active"], 5)


async def test_the_logbook_tells_of_it_in_the_language_of_the_house(upgraded: World) -> None:
    since = (datetime.now(UTC) - timedelta(hours=1)).isoformat()

    async def texts() -> list[str]:
        events = await upgraded.client.command("logbook/get_events", start_time=since)
        return [str(event.get("message")) for event in events]

    found = await until(texts, lambda told: any("Entladung beendet" in each for each in told), 20)
    assert "Entladung begonnen" in found


async def test_the_notice_is_shown_until_it_is_confirmed_and_never_again(
    upgraded: World,
) -> None:
    client = upgraded.client
    issue = (await upgraded.repairs())["upgraded_from_1x"]
    assert issue["translation_placeholders"]["margin"] == "0.8"
    about = {"handler": DOMAIN, "issue_id": issue["issue_id"]}
    form = await client.request("POST", "/repairs/issues/fix", about)
    assert form["step_id"] == "confirm"
    done = await client.request("POST", f"/repairs/issues/fix/{form['flow_id']}", {})
    assert done["type"] == "create_entry"
    assert "upgraded_from_1x" not in await upgraded.repairs()
    await upgraded.hass.restart()
    await healthy(upgraded)
    assert "upgraded_from_1x" not in await upgraded.repairs()


async def test_nothing_of_it_is_logged_as_a_fault(upgraded: World) -> None:
    assert complaints(upgraded.hass.folder) == []
