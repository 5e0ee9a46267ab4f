"""Makes the documentation's pictures: the config flow and the demo's dashboard, in a real browser.

`scripts/screenshots` runs this. The house and Home Assistant are the demo's; what the pictures
show has really happened, two minutes of it.
"""

from __future__ import annotations

import argparse
import asyncio
from io import BytesIO
from pathlib import Path
import re
import shutil
import sys
import tempfile
import time
from typing import TYPE_CHECKING

from PIL import Image
from playwright.async_api import async_playwright

from simulator.demo import (
    ALLOWANCE_KWH,
    DAY_KWH,
    DOMAIN,
    HOUR,
    MARGIN_KWH,
    METER_STEP_KWH,
    POWER_W,
    CheckFailedError,
    Timeline,
    plan_ahead,
    ready,
    reconfigure,
    set_up,
)
from simulator.launch import (
    ROOT,
    HomeAssistantProcess,
    ProcessFailedError,
    SimulatorProcess,
    time_zone_at,
)

if TYPE_CHECKING:
    from playwright.async_api import Browser, FloatRect, Locator, Page

WIDTH = 1280
COLOURS = 256  # what a picture of a user interface gets by with
MARGIN = 24
TITLE = 96  # of a dialog, and a little of what is above it
MID_S = 60.0
METER_S = 62.0  # the package reads its meters once a minute
HISTORY_S = 30.0  # for the graphs of a house at rest
# Seconds of a minute: before the first the graphs cut the label of that minute off; a discharge
# that starts at the second is in its middle when they do not.
LABELS_FIT_S = 36.0
START_S = 28.0
STATUS = "sensor.export_monitor_discharge_status"
EXPORTED = "sensor.export_monitor_exported_today"
PLAN = "sensor.export_monitor_discharge_plan_tomorrow"
TARGET = "number.export_monitor_target_export"
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
# What keeps a browser on a machine without display, graphics and network quiet.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
STEPS = ("user", "battery", "sensors", "forecast", "check", "limits")


def browser_path() -> str:
    """Return the browser on this machine; raises CheckFailedError with what to do without one."""
    for name in BROWSERS:
        if (path := shutil.which(name)) is not None:
            return path
    raise CheckFailedError(
        "no browser found: install Chromium (Debian: apt-get install chromium) or Google Chrome"
    )


async def _save(page: Page, path: Path, clip: FloatRect | None = None) -> None:
    """Store a picture of a page, or of a part of it, as a small PNG."""
    shot = await page.screenshot(clip=clip, animations="disabled")
    image = Image.open(BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, optimize=True)


class Album:
    """One Home Assistant in a browser, and where its pictures go."""

    def __init__(self, hass: HomeAssistantProcess, browser: Browser, folder: Path) -> None:
        """Take a Home Assistant that runs; no page is open yet."""
        self._hass = hass
        self._browser = browser
        self._folder = folder

    async def page(self, path: str, *, height: int, dark: bool = False, scale: int = 1) -> Page:
        """Open a page of the frontend in a fresh profile."""
        context = await self._browser.new_context(
            viewport={"width": WIDTH // scale, "height": height},
            device_scale_factor=scale,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        page = await context.new_page()
        await page.goto(self._hass.url + path)
        return page

    async def config_flow(self) -> None:
        """Go through the user's flow with what it proposes, and take a picture of each form."""
        path = f"/config/integrations/dashboard/add?domain={DOMAIN}"
        page = await self.page(path, height=2600, scale=2)
        await page.locator("dialog-box").get_by_role("button", name="OK").click()
        buttons = page.locator("dialog-data-entry-flow")
        for number, step in enumerate(STEPS, start=1):
            await self._arrive_at(page, step)
            onwards = buttons.get_by_role("button", name=re.compile("Next|Submit"))
            await self._dialog(page, onwards, f"config-flow-{number}-{step}")
            await onwards.click()
        await page.locator("step-flow-create-entry").wait_for()
        await page.wait_for_timeout(500)
        finish = buttons.get_by_role("button", name=re.compile("Skip and finish|Finish"))
        await self._dialog(page, finish, "config-flow-7-created")
        await page.context.close()

    async def _arrive_at(self, page: Page, step: str) -> None:
        """Return once a step's form stands still."""
        await page.locator("step-flow-form").wait_for()
        await page.wait_for_function(
            """step => {
                const find = (root) => {
                    const own = root.querySelector('step-flow-form');
                    if (own) return own;
                    for (const each of root.querySelectorAll('*'))
                        if (each.shadowRoot) { const f = find(each.shadowRoot); if (f) return f; }
                };
                return find(document)?.step?.step_id === step;
            }""",
            arg=step,
        )
        await page.wait_for_timeout(1500)  # names and icons of the entities come in

    async def _dialog(self, page: Page, last: Locator, name: str) -> None:
        """Take a picture of a dialog from its title down to its last button."""
        form = await page.locator("step-flow-form, step-flow-create-entry").bounding_box()
        button = await last.bounding_box()
        if form is None or button is None:
            raise CheckFailedError(f"{name}: no dialog to be seen")
        top = max(0.0, form["y"] - TITLE)
        clip: FloatRect = {
            "x": 0,
            "y": top,
            "width": WIDTH / 2,
            "height": button["y"] + button["height"] + 2 * MARGIN - top,
        }
        await _save(page, self._folder / f"{name}.png", clip)

    async def dashboard(self, name: str, *, dark: bool = False) -> None:
        """Take a picture of the demo's dashboard as it is now."""
        page = await self.page("/export-monitor/discharge", height=1100, dark=dark)
        await page.locator("hui-history-graph-card").first.wait_for()
        await page.wait_for_timeout(4000)  # the graphs are drawn when their history has come in
        await _save(page, self._folder / f"{name}.png")
        await page.context.close()

    async def planning(self) -> None:
        """Take a picture of the calendar's plan, and one of a window that says why."""
        page = await self.page("/calendar", height=900)
        await page.locator(".fc-event").first.wait_for()
        await page.wait_for_timeout(2000)
        await _save(page, self._folder / "plan-calendar.png")
        await page.locator(".fc-event").first.click()
        await page.wait_for_timeout(2000)
        await _save(page, self._folder / "plan-window.png")
        await page.context.close()


async def _until_second(second: float) -> None:
    """Wait for a second of the minute."""
    await asyncio.sleep((second - time.time()) % 60.0)


async def _target(hass: HomeAssistantProcess, watts: float, status: str) -> None:
    await hass.client.call("number", "set_value", entity_id=TARGET, value=watts)
    await hass.client.wait_for(STATUS, status, 30)


async def _pictures(
    hass: HomeAssistantProcess, browser: Browser, folder: Path, timeline: Timeline
) -> None:
    """Take all of them: a discharge from beginning to end, then the flow that sets it up.

    In this order, so that no figure of a second entry is in the graphs.
    """
    exported = await ready(hass, timeline)
    album = Album(hass, browser, folder)
    limit = exported + MARGIN_KWH + ALLOWANCE_KWH + METER_STEP_KWH
    entry_id = await set_up(hass, fixed_limit=round(limit, 2))
    await hass.client.wait_for("sensor.export_monitor_system_health", "Healthy", 150)
    await _target(hass, 0, "Idle")
    await asyncio.sleep(HISTORY_S)
    await _until_second(LABELS_FIT_S)
    await album.dashboard("dashboard-idle")
    await _target(hass, POWER_W, "Needed")
    await _until_second(START_S)
    await hass.client.call(DOMAIN, "start_discharge")
    timeline.say("a discharge runs")
    await asyncio.sleep(MID_S)
    await hass.client.wait_for(EXPORTED, lambda state: state.number > exported, METER_S)
    await album.dashboard("dashboard-discharging")
    await album.dashboard("dashboard-discharging-dark", dark=True)
    await hass.client.wait_for(STATUS, "Complete", 180)
    await asyncio.sleep(METER_S)  # then the export counter shows all of it
    await _until_second(LABELS_FIT_S)
    await album.dashboard("dashboard-complete")
    await album.dashboard("dashboard-complete-dark", dark=True)
    timeline.say("the discharge is in the pictures")
    await reconfigure(hass, entry_id, "limits", fixed_limit=DAY_KWH)
    await plan_ahead(hass, entry_id)
    await hass.client.wait_for(PLAN, lambda state: "kWh" in state.state, 75)
    await album.planning()
    timeline.say("the plan is in the pictures")
    for entry in await hass.client.entries(DOMAIN):
        await hass.client.remove_entry(entry["entry_id"])
    await album.config_flow()


async def run(folder: Path) -> None:
    """Start house, Home Assistant and browser, and fill the folder with pictures."""
    path = browser_path()
    timeline = Timeline()
    zone, hour = time_zone_at(HOUR)
    with tempfile.TemporaryDirectory(prefix="export-monitor-screenshots-") as scratch:
        state = Path(scratch)
        python = ROOT / ".venv" / "simulator" / "bin" / "python"
        async with (
            SimulatorProcess(python, state, "--hour", f"{hour:.3f}", "--soc", "80") as house,
            HomeAssistantProcess(
                Path(sys.executable), state / "config", simulator=house, time_zone=zone
            ) as hass,
            async_playwright() as playwright,
        ):
            browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
            try:
                await _pictures(hass, browser, folder, timeline)
            finally:
                await browser.close()


def main() -> int:
    """Make the pictures; return the exit code."""
    parser = argparse.ArgumentParser(prog="scripts/screenshots", description=__doc__)
    parser.add_argument("--folder", type=Path, default=ROOT / "docs" / "images")
    args = parser.parse_args()
    try:
        asyncio.run(run(args.folder))
        for picture in sorted(args.folder.glob("*.png")):
            print(f"{picture.name}: {picture.stat().st_size // 1024} KB")
    except (CheckFailedError, ProcessFailedError) as error:
        print(f"screenshots: FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
