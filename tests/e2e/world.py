"""A simulated house and a real Home Assistant, as processes, with the integration set up in it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
import json
from pathlib import Path
import re
import sys
import time
from typing import Any
from urllib.request import urlopen

from simulator import demo
from simulator.ha_client import EntityState, HomeAssistantClient, HomeAssistantError
from simulator.launch import ROOT, HomeAssistantProcess, SimulatorProcess, time_zone_at

DOMAIN = demo.DOMAIN
EVENING = 22.0  # no sun
POWER_W = 5000.0
LOAD_W = 500.0
STATUS = "sensor.export_monitor_discharge_status"
HEALTH = "sensor.export_monitor_system_health"
ERROR = "sensor.export_monitor_error_state"
SWITCH = "input_boolean.alphaess_helper_force_discharging"
FULL_RESET = "input_button.alphaess_helper_dispatch_reset_full"
_RECORD = re.compile(r"^\d{4}-\d\d-\d\d [\d:.]+ (\w+) ")
_LOUD = ("WARNING", "ERROR", "CRITICAL")

type Facts = dict[str, Any]


@dataclass
class World:
    """Both processes; what a test does to them and asks of them."""

    simulator: SimulatorProcess
    hass: HomeAssistantProcess
    exported_kwh: float = 0.0
    """What the day's meter showed when the world began."""
    entry_id: str = ""
    setup: Facts = field(default_factory=dict)
    timeline: demo.Timeline = field(default_factory=demo.Timeline)
    """For what a person wants to read in the test's output: how long, how much."""

    @property
    def client(self) -> HomeAssistantClient:
        """Return the client of this Home Assistant."""
        return self.hass.client

    async def set_up(self, *, allowance_kwh: float, **answers: object) -> None:
        """Add the integration by its own flow, with so much to export deliberately."""
        limit = self.exported_kwh + demo.MARGIN_KWH + demo.METER_STEP_KWH + allowance_kwh
        self.setup = {"fixed_limit": round(limit, 2), "target_export": POWER_W, **answers}
        self.entry_id = await demo.set_up(self.hass, **self.setup)
        await self.client.wait_for(HEALTH, "Healthy", 90)
        # Home Assistant itself keeps a new entry in memory for a second.
        entries = self.hass.folder / ".storage" / "core.config_entries"

        async def stored() -> bool:
            return entries.exists() and self.entry_id in entries.read_text()

        await until(stored, bool, 10)

    async def settle(self) -> None:
        """Bring the world back to rest after whatever the test before has left behind."""
        await self.simulator.clear_faults()
        await self.simulator.set_plant(soc=80, pv_w=0, load_w=LOAD_W)
        if not self.hass.running:
            await self.hass.start()
        if not await self.client.entries(DOMAIN):
            self.entry_id = await demo.set_up(self.hass, **self.setup)
        await self.client.call(
            "number",
            "set_value",
            entity_id="number.export_monitor_target_export",
            value=self.setup["target_export"],
        )
        if (await self.simulator.truth())["dispatch_active"]:
            with suppress(HomeAssistantError):  # a stop that was late before is late now
                await self.client.call(DOMAIN, "stop_discharge")
            await self.until(lambda truth: not truth["dispatch_active"], 40)
        await self.package_rests()
        if not (await self.act("calculate_discharge"))["can_start"]:
            # After a lost link the meters are read at their next minute, and the circuit of the
            # updates stays open for another; that it heals by itself is shown by other tests.
            await self.client.call("modbus", "reload")
            await self.client.call(
                "button", "press", entity_id="button.export_monitor_reset_circuit_breakers"
            )
            await until(lambda: self.act("calculate_discharge"), lambda plan: plan["can_start"], 60)
        await self.client.wait_for(HEALTH, "Healthy", 30)

    async def allow(self, headroom_kwh: float) -> None:
        """Change the fixed limit, as its owner would, until so much may be exported."""

        async def change() -> float:
            plan = await self.act("calculate_discharge")
            lacking: float = headroom_kwh - plan["headroom_kwh"]
            if abs(lacking) > demo.METER_STEP_KWH:
                await self.change("limits", fixed_limit=self.setup["fixed_limit"] + lacking)
            return lacking

        await until(change, lambda lacking: abs(lacking) <= demo.METER_STEP_KWH, 20)

    async def change(self, group: str, **answers: object) -> None:
        """Change settings of one group in the options."""
        await demo.reconfigure(self.hass, self.entry_id, group, **answers)
        self.setup |= answers

    async def package_rests(self) -> None:
        """Wait until the package has dealt with the last change of a mode: it is deaf till then."""
        await until(self.client.states, _package_rests, 30)

    async def status(self) -> EntityState:
        """Return the discharge's status, with its session in the attributes."""
        return await self.client.wait_for(STATUS, lambda _: True, 5)

    async def discharge(self, **limits: float) -> str:
        """Start a discharge and return its session's id once the battery really gives its power."""
        answer = await self.client.call(DOMAIN, "start_discharge", answer=True, **limits)
        await self.until(lambda truth: truth["battery_w"] > 0.9 * POWER_W, 10)
        session_id: str = answer["session_id"]
        return session_id

    async def until(self, wanted: Callable[[Facts], bool], timeout_s: float) -> Facts:
        """Return the plant's truth once it is as wanted; raises TimeoutError with the last one."""
        return await until(self.simulator.truth, wanted, timeout_s)

    def record(self) -> Facts:
        """Return what the integration has on disk, nothing where it has no file."""
        path = self.hass.folder / ".storage" / f"{DOMAIN}.{self.entry_id}"
        stored: Facts = json.loads(path.read_text())["data"] if path.exists() else {}
        return stored

    async def notifications(self) -> dict[str, Facts]:
        """Return our persistent notifications by their ids."""
        rows = await self.client.command("persistent_notification/get")
        return {
            row["notification_id"]: row for row in rows if row["notification_id"].startswith(DOMAIN)
        }

    async def repairs(self) -> dict[str, Facts]:
        """Return the integration's open repair issues by their translation keys."""
        rows = (await self.client.command("repairs/list_issues"))["issues"]
        return {row["translation_key"]: row for row in rows if row["domain"] == DOMAIN}

    async def act(self, service: str, **data: object) -> Facts:
        """Call one of our actions as the frontend does, which gets a refusal in words."""
        result: Facts = await self.client.command(
            "call_service", domain=DOMAIN, service=service, service_data=data, return_response=True
        )
        answer: Facts = result["response"]
        return answer


def _package_rests(states: dict[str, EntityState]) -> bool:
    """Return whether none of the battery package's automations is at work."""
    return all(
        state.attributes["current"] == 0
        for entity_id, state in states.items()
        if entity_id.startswith("automation.alphaess")
    )


async def until[T](
    look: Callable[[], Awaitable[T]], wanted: Callable[[T], bool], timeout_s: float
) -> T:
    """Return what a look shows once it is as wanted; raises TimeoutError with the last one."""
    deadline = time.monotonic() + timeout_s
    while not wanted(found := await look()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {timeout_s} s: {found}")
        await asyncio.sleep(0.1)
    return found


@asynccontextmanager
async def open_world(
    folder: Path,
    *simulator_arguments: str,
    allowance_kwh: float = 3.0,
    hour: float = EVENING,
    language: str = "en",
    duration_step_min: int = 5,
    forecast_factor: float = 1.0,
    **answers: object,
) -> AsyncIterator[World]:
    """Start a house and the Home Assistant of the interpreter that runs the tests."""
    zone, hour = time_zone_at(hour)
    house = ("--hour", f"{hour:.3f}", "--soc", "80", "--pv", "0", "--load", f"{LOAD_W:.0f}")
    python = ROOT / ".venv" / "simulator" / "bin" / "python"
    async with SimulatorProcess(python, folder, *house, *simulator_arguments) as simulator:
        await simulator.set_plant(forecast_factor=forecast_factor)
        home_assistant = HomeAssistantProcess(
            Path(sys.executable),
            folder / "config",
            simulator=simulator,
            language=language,
            time_zone=zone,
            duration_step_min=duration_step_min,
        )
        async with home_assistant as hass:
            world = World(simulator, hass)
            try:
                world.exported_kwh = await demo.ready(hass, world.timeline)
                await world.set_up(allowance_kwh=allowance_kwh, **answers)
                yield world
            finally:
                keep_plant_log(world)


def keep_plant_log(world: World) -> None:
    """Write what reached the plant, and how it is now, into the world's folder."""
    with suppress(OSError):  # a simulator that is gone has nothing to say
        lines = []
        for path in ("/log", "/truth"):
            with urlopen(world.simulator.url + path, timeout=5) as answer:
                document = json.load(answer)
            rows = document if isinstance(document, list) else [document]
            lines += [json.dumps(row) for row in rows]
        world.simulator.log.with_name("plant.log").write_text("\n".join(lines))


def complaints(folder: Path) -> list[str]:
    """Return the loud log records of a configuration folder that concern the integration."""
    records: list[list[str]] = []
    for name in ("console.log", "home-assistant.log.1", "home-assistant.log"):
        path = folder / name
        for line in path.read_text().splitlines() if path.exists() else ():
            if _RECORD.match(line) or not records:
                records.append([])
            records[-1].append(line)
    texts = dict.fromkeys("\n".join(record) for record in records)
    return [
        text
        for text in texts
        if (kind := _RECORD.match(text)) is not None
        and kind[1] in _LOUD
        and ("export_monitor" in text or "Export Monitor" in text)
        and "has not been tested by Home Assistant" not in text  # said of every custom integration
        and "[homeassistant.components.websocket_api" not in text  # a refusal, for its user
    ]
