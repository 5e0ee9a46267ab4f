"""The demo: a simulated house, a real Home Assistant, and the integration set up in it.

`scripts/demo` runs this. With `--check` nobody needs to look: it asks the calendar for tomorrow's
windows, discharges once as planned and once as asked, holds what the integration did against the
plant's truth and its reasons against what a person would write, and exits 0 only if all was right.
"""

from __future__ import annotations

import argparse
import asyncio
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
import signal
import sys
import tempfile
import time
from typing import Any
from zoneinfo import ZoneInfo

from simulator.ha_client import HomeAssistantError
from simulator.launch import (
    ROOT,
    HomeAssistantProcess,
    ProcessFailedError,
    SimulatorProcess,
    time_zone_at,
)

HOUR = 20.5  # no sun left: what is exported is what the battery was told to export
POWER_W = 5000.0
ALLOWANCE_KWH = 0.1  # lasts about a minute and a quarter
MARGIN_KWH = 1.0
METER_STEP_KWH = 0.01
LEAST_USED = 0.80  # of 0.1 kWh; the share grows with the allowance (docs/evidence.md)
DAY_KWH = 50.0  # a day's allowance with room beside the midsummer sun of tomorrow, for plans
AUTO_MIN = 40  # the export window: it reaches into the next half hour, whenever the demo starts
AUTO_USED_KWH = 0.03
DISPATCH_START = 0x0880
STATUS = "sensor.export_monitor_discharge_status"
AUTO_SWITCH = "switch.export_monitor_enable_auto_discharge"
PLAN = "sensor.export_monitor_discharge_plan_today"
CALENDAR = "calendar.export_monitor_plan"
ACTIVITY = "event.export_monitor_activity"
LEAST_SPACES = 4  # of a sentence
DOMAIN = "export_monitor"
LIFETIME_EXPORT = "sensor.alphaess_total_energy_feed_to_grid_meter"
DAILY_COUNTERS = (
    "sensor.alphaess_today_s_energy_feed_to_grid_meter",
    "sensor.alphaess_today_s_energy_from_pv",
)
ANSWERS: dict[str, object] = {
    # The day's own counters know what was exported before the demo began.
    "grid_feed_today": DAILY_COUNTERS[0],
    "pv_energy_today": [DAILY_COUNTERS[1]],
    "basis": "fixed",
    "safety_margin": MARGIN_KWH,
    "target_export": POWER_W,
    "house_load": "sensor.alphaess_current_house_load",
}


class CheckFailedError(RuntimeError):
    """What the integration did was not right; says what."""


class Timeline:
    """Prints what happens, with the seconds since the start."""

    def __init__(self) -> None:
        """Start the clock."""
        self._began = time.monotonic()

    def say(self, text: str) -> None:
        """Print one line."""
        print(f"[{time.monotonic() - self._began:6.1f} s] {text}", flush=True)


def _accept(step: dict[str, Any], **changes: object) -> dict[str, Any]:
    """Return a form's own proposals, with changes to those fields that it has."""
    return _accepted(step["data_schema"], changes)


def _accepted(fields: list[dict[str, Any]], changes: dict[str, object]) -> dict[str, Any]:
    answers: dict[str, Any] = {}
    for field in fields:
        if field.get("type") == "expandable":  # a section of the form
            answers[field["name"]] = _accepted(field["schema"], changes)
            continue
        suggested = (field.get("description") or {}).get("suggested_value")
        value = changes.get(
            field["name"], suggested if suggested is not None else field.get("default")
        )
        if value is not None:
            answers[field["name"]] = value
    return answers


async def set_up(hass: HomeAssistantProcess, **changes: object) -> str:
    """Go through the integration's own config flow, taking what it proposes; return the entry."""
    step = await hass.client.start_flow(DOMAIN)
    while step["type"] == "form":
        if step.get("errors"):
            raise CheckFailedError(f"the flow refuses: {step['step_id']}: {step['errors']}")
        answers = _accept(step, **{**ANSWERS, **changes})
        step = await hass.client.answer_flow(step["flow_id"], answers)
    if step["type"] != "create_entry":
        raise CheckFailedError(f"the flow ended with {step['type']}: {step.get('reason')}")
    entry_id: str = step["result"]["entry_id"]
    return entry_id


async def reconfigure(
    hass: HomeAssistantProcess, entry_id: str, group: str, **changes: object
) -> None:
    """Change some settings of one group in the options, and leave the rest of it as it is."""
    step = await hass.client.start_options_flow(entry_id)
    step = await hass.client.answer_options_flow(step["flow_id"], {"next_step_id": group})
    step = await hass.client.answer_options_flow(step["flow_id"], _accept(step, **changes))
    if step["type"] != "create_entry":
        raise CheckFailedError(f"the options refuse: {step.get('errors')}")


async def ready(hass: HomeAssistantProcess, timeline: Timeline) -> float:
    """Wait for the battery's readings, set the battery up as its owner would; return the export."""
    client = hass.client
    await client.wait_for(LIFETIME_EXPORT, lambda s: s.state.replace(".", "").isdigit(), 90)
    # A day's meter of a new installation has neither value nor unit until its source is seen to
    # change, and after sunset that can take the whole evening: let the source come back once.
    await client.call("modbus", "reload")
    exported = await client.wait_for(
        DAILY_COUNTERS[0], lambda s: s.state.replace(".", "").isdigit(), 60
    )
    await client.call(
        "input_select",
        "select_option",
        entity_id="input_select.alphaess_helper_inverter_ac_limit",
        option="5",
    )
    timeline.say(f"the inverter answers; exported today {exported.number:.2f} kWh")
    return exported.number


async def plan_ahead(hass: HomeAssistantProcess, entry_id: str, objective: str = "carbon") -> None:
    """Let it plan, and wait for the plan; nothing starts by itself yet."""
    before = await hass.client.state(PLAN)
    made = None if before is None else before.attributes.get("made_at")
    await reconfigure(
        hass, entry_id, "planning", enable_ci_planning=True, planning_objective=objective
    )
    await hass.client.wait_for(PLAN, lambda s: s.attributes.get("made_at") not in (None, made), 75)


async def _planned(hass: HomeAssistantProcess, zone: str, timeline: Timeline) -> None:
    """Print the calendar once it has something for tomorrow, when the grid is at its dirtiest."""
    tomorrow = datetime.now(ZoneInfo(zone)).date() + timedelta(days=1)
    deadline = time.monotonic() + 75
    while True:
        now = datetime.now(ZoneInfo(zone))
        answer = await hass.client.call(
            "calendar",
            "get_events",
            answer=True,
            entity_id=CALENDAR,
            start_date_time=now.isoformat(),
            end_date_time=datetime.combine(
                tomorrow + timedelta(days=1), datetime.min.time(), ZoneInfo(zone)
            ).isoformat(),
        )
        events = answer[CALENDAR]["events"]
        if any(datetime.fromisoformat(event["start"]).date() == tomorrow for event in events):
            break
        if time.monotonic() > deadline:
            plan = await hass.client.state("sensor.export_monitor_discharge_plan_tomorrow")
            raise CheckFailedError(f"the calendar has no window for tomorrow: {plan}")
        await asyncio.sleep(1)
    for event in events:
        start, end = (datetime.fromisoformat(event[side]) for side in ("start", "end"))
        timeline.say(f"planned for {start:%d %b %H:%M}-{end:%H:%M}: {event['summary']}")
        timeline.say(f"  because: {_readable(event['description'])}")


def _readable(text: str) -> str:
    """Return a reason as it is, if it is a sentence and no key, placeholder or empty text."""
    plain = not set("_{}") & set(text) and text[:1].isupper() and text.count(" ") >= LEAST_SPACES
    if not plain:
        raise CheckFailedError(f"nobody would write that: {text!r}")
    return text


async def _automatic(
    hass: HomeAssistantProcess,
    house: SimulatorProcess,
    entry_id: str,
    zone: str,
    timeline: Timeline,
) -> None:
    """Let a planned window begin by itself, then switch that off, and hold both to the plant."""
    client = hass.client
    before = await house.truth()
    now = datetime.now(ZoneInfo(zone))
    await reconfigure(
        hass,
        entry_id,
        "planning",
        enable_auto_discharge=True,
        export_window_start=f"{now:%H:%M}:00",
        export_window_end=f"{now + timedelta(minutes=AUTO_MIN):%H:%M}:00",
    )
    timeline.say(f"auto-discharge is on, the export window is the {AUTO_MIN} minutes from now")
    status = await client.wait_for(STATUS, "Active", 90)
    if status.attributes["origin"] != "automatic":
        raise CheckFailedError(f"it was started by somebody: {status.attributes['origin']}")
    timeline.say("a planned discharge has begun by itself")
    began = await client.wait_for(ACTIVITY, lambda s: s.attributes["event_type"] == "started", 10)
    timeline.say(f"  activity: {_readable(began.attributes['words'])}")
    running = await client.wait_for(CALENDAR, "on", 10)
    timeline.say(f"  the calendar is on: {running.attributes['message']}")
    deadline = time.monotonic() + 90
    while (await house.truth())["exported_kwh"] < before["exported_kwh"] + AUTO_USED_KWH:
        if time.monotonic() > deadline:
            raise CheckFailedError("the planned discharge exports nothing")
        await asyncio.sleep(0.5)
    truth = await house.truth()
    timeline.say(f"battery {truth['battery_w']:.0f} W, grid {truth['grid_w']:.0f} W")
    await client.call("switch", "turn_off", entity_id=AUTO_SWITCH)
    await client.wait_for(STATUS, lambda s: s.state != "Active", 30)
    if (await house.truth())["dispatch_active"]:
        raise CheckFailedError("auto-discharge is off, the inverter's dispatch is still armed")
    ended = await client.wait_for(ACTIVITY, lambda s: s.attributes["event_type"] == "ended", 10)
    timeline.say(f"auto-discharge is off again; activity: {_readable(ended.attributes['words'])}")


async def _leave(hass: HomeAssistantProcess, entry_id: str) -> None:
    """Lower the limit so that a minute and a quarter of discharging is left."""
    exported = await hass.client.state("sensor.export_monitor_exported_today")
    limit = MARGIN_KWH + 1.0 + (0.0 if exported is None else exported.number)
    for _ in range(2):  # the first limit is below what the battery holds, the second is exact
        await reconfigure(hass, entry_id, "limits", fixed_limit=round(limit, 2))
        plan = await hass.client.call(DOMAIN, "calculate_discharge", answer=True)
        limit -= plan["headroom_kwh"] - ALLOWANCE_KWH


async def _check(hass: HomeAssistantProcess, house: SimulatorProcess, timeline: Timeline) -> None:
    """Discharge once and hold the outcome against the plant."""
    client = hass.client
    before = await house.truth()
    plan = await client.call(DOMAIN, "calculate_discharge", answer=True)
    timeline.say(
        f"headroom {plan['headroom_kwh']:.3f} kWh"
        f" of an allowance of {plan['allowance_kwh']:.3f} kWh,"
        f" {plan['duration_minutes']:.1f} min at {plan['power_w']:.0f} W"
    )
    session = await client.call(DOMAIN, "start_discharge", answer=True)
    timeline.say(f"discharge {session['session_id']} is running")
    written = await _dispatch_written(house)
    timeline.say(f"the inverter's dispatch registers were written: {written}")
    first = (await client.state(DAILY_COUNTERS[0])) or before
    await _watch(hass, house, timeline, before["exported_kwh"])
    status = await client.wait_for(STATUS, "Complete", 20)
    timeline.say(
        f"stopped by itself: {status.attributes['reason']}, proof: {status.attributes['proof']}"
    )
    after = await house.truth()
    _judge(before, after, plan, status.attributes, timeline)
    last = await client.wait_for(
        DAILY_COUNTERS[0], lambda s: s.number > getattr(first, "number", 0.0), 75
    )
    timeline.say(f"the export counter has risen to {last.number:.2f} kWh")
    health = await client.wait_for("sensor.export_monitor_system_health", "Healthy", 30)
    timeline.say(f"system health: {health.state}")


async def _dispatch_written(house: SimulatorProcess) -> list[int]:
    """Return the registers of the dispatch once it is armed; the package may take some seconds."""
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for write in await house.writes():
            values: list[int] = write["values"]
            if write["address"] == DISPATCH_START and values[0] == 1:
                return values
        await asyncio.sleep(0.1)
    raise CheckFailedError("no dispatch was written to the inverter")


async def _watch(
    hass: HomeAssistantProcess, house: SimulatorProcess, timeline: Timeline, start_kwh: float
) -> None:
    """Print the plant's truth every ten seconds until the session has ended."""
    deadline = time.monotonic() + 240
    shown = 0.0
    while time.monotonic() < deadline:
        status = await hass.client.state(STATUS)
        if status is not None and status.state != "Active":
            return
        if time.monotonic() - shown >= 10:  # noqa: PLR2004
            shown = time.monotonic()
            truth = await house.truth()
            timeline.say(
                f"battery {truth['battery_w']:5.0f} W, grid {truth['grid_w']:6.0f} W,"
                f" exported {truth['exported_kwh'] - start_kwh:.3f} kWh, SOC {truth['soc']:.1f} %"
            )
        await asyncio.sleep(0.5)
    raise CheckFailedError("the discharge did not end within four minutes")


def _judge(
    before: dict[str, Any],
    after: dict[str, Any],
    plan: dict[str, Any],
    session: dict[str, Any],
    timeline: Timeline,
) -> None:
    if session["reason"] != "headroom_used_up":
        raise CheckFailedError(f"it ended for another reason: {session['reason']}")
    if after["dispatch_active"]:
        raise CheckFailedError("the inverter's dispatch is still armed")
    used = after["exported_kwh"] - before["exported_kwh"]
    headroom = plan["headroom_kwh"]
    timeline.say(f"exported {used:.4f} kWh of {headroom:.4f} kWh headroom, by the plant's truth")
    if used > headroom + METER_STEP_KWH:
        raise CheckFailedError(f"over the allowance by {(used - headroom) * 1000:.1f} Wh")
    if used < LEAST_USED * headroom:
        raise CheckFailedError(f"only {used / headroom:.0%} of the headroom was used")


async def run(args: argparse.Namespace) -> None:
    """Start everything, set the integration up, then check or wait."""
    timeline = Timeline()
    folder = args.folder or Path(tempfile.mkdtemp(prefix="export-monitor-demo-"))
    zone, hour = time_zone_at(HOUR)
    timeline.say("starting the simulated house")
    simulator_python = ROOT / ".venv" / "simulator" / "bin" / "python"
    house = SimulatorProcess(simulator_python, folder, "--hour", f"{hour:.3f}", "--soc", "80")
    async with house:
        timeline.say(f"the house: {house.url}")
        timeline.say("starting Home Assistant (about 10 s)")
        hass = HomeAssistantProcess(
            Path(sys.executable), folder / "config", simulator=house, port=args.port, time_zone=zone
        )
        async with hass:
            timeline.say(f"Home Assistant is running after {hass.boot_s:.1f} s")
            exported = await ready(hass, timeline)
            limit = round(exported + MARGIN_KWH + DAY_KWH, 2)
            entry_id = await set_up(hass, fixed_limit=limit)
            timeline.say("the integration is set up through its config flow")
            await hass.client.wait_for("sensor.export_monitor_system_health", "Healthy", 150)
            timeline.say("system health: Healthy")
            if args.check:
                for objective in ("price", "carbon"):
                    await plan_ahead(hass, entry_id, objective)
                    timeline.say(f"the plan by {objective}:")
                    await _planned(hass, zone, timeline)
                await _automatic(hass, house, entry_id, zone, timeline)
                await _leave(hass, entry_id)
                await _check(hass, house, timeline)
                timeline.say("check passed")
            else:
                await plan_ahead(hass, entry_id)
                await _wait(hass, house, limit)


async def _wait(hass: HomeAssistantProcess, house: SimulatorProcess, limit: float) -> None:
    print(
        f"""
  Home Assistant   {hass.url}/export-monitor/discharge   (no login)
  The house        {house.url}   (the plant's truth, and faults to switch on)

  To try:
    1. On the dashboard press Start: the battery discharges at 5 kW. In the options, under
       "Limits", lower the fixed limit to 1 kWh: it stops by itself. Set it back to {limit:g} kWh.
    2. Press Stop in mid-discharge; set the target to 0 W and press Start: it says why not.
    3. Look at the calendar "Plan": windows, and why they stand there. In the options, under
       "Planning", let the export window begin now and end in {AUTO_MIN} minutes, and switch
       "Enable auto discharge" on: a discharge begins by itself within a minute. With "Price" as
       what is planned for, the windows follow the Octopus tariff instead of the carbon intensity.
    4. On the house's page switch on "hang" or "drop" in mid-discharge and watch the health.
  Ctrl-C ends everything.
""",
        flush=True,
    )
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    await over.wait()


def main() -> int:
    """Run the demo; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/demo", description=__doc__)
    parser.add_argument("--check", action="store_true", help="unattended: discharge once and judge")
    parser.add_argument("--port", type=int, default=0, help="Home Assistant's port; 0: a free one")
    parser.add_argument("--folder", type=Path, help="where state and logs go; else a new one")
    args = parser.parse_args()
    try:
        with suppress(KeyboardInterrupt):
            asyncio.run(run(args))
    except (CheckFailedError, ProcessFailedError, HomeAssistantError, TimeoutError) as error:
        print(f"demo: FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
