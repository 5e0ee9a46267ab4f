"""Makes the documentation's pictures: config flow, card and dashboard, in a real browser.

`scripts/screenshots` runs this. The house and Home Assistant are the demo's; what the pictures
show has really happened, some minutes of it.
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
from typing import TYPE_CHECKING

from PIL import Image
from playwright.async_api import async_playwright

from simulator.demo import (
    DOMAIN,
    HOUR,
    MARGIN_KWH,
    CheckFailedError,
    Timeline,
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

    from simulator.ha_client import HomeAssistantClient

DESKTOP = (1280, 1000)
TALL = (1280, 1500)
LOW = (1280, 560)
PHONE = (390, 844)
COLOURS = 256  # what a picture of a user interface gets by with
MARGIN = 24
TITLE = 96  # of a dialog, and a little of what is above it
LIMIT_KWH = 17.0  # more than the battery holds: the gauge shows what is kept
TARGET_W = 3000.0
CLOUDY = 0.25  # the sun of a fine day alone would use the whole limit, and leave nothing to plan
MID_S = 60.0
METER_S = 62.0  # the package reads its meters once a minute
ALARM_MS = 60_000
SLOW_MS = 30_000
CARD = "export-monitor-card"
CARD_PATH = "export-card"
STRATEGY_PATH = "export-auto"
STATUS = "sensor.export_monitor_discharge_status"
EXPORTED = "sensor.export_monitor_exported_today"
PLANS = (
    "sensor.export_monitor_discharge_plan_tomorrow",
    "sensor.export_monitor_next_charge_session",
)
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


async def make_dashboards(client: HomeAssistantClient) -> None:
    """Make one dashboard with the card alone, and one by the strategy."""
    section = {"type": "grid", "cards": [{"type": f"custom:{CARD}"}]}
    view = {"title": "Card", "type": "sections", "sections": [section]}
    for path, title, config in (
        (CARD_PATH, "Card", {"views": [view]}),
        (STRATEGY_PATH, "Battery", {"strategy": {"type": "custom:export-monitor"}}),
    ):
        await client.command(
            "lovelace/dashboards/create",
            url_path=path,
            title=title,
            mode="storage",
            require_admin=False,
            show_in_sidebar=True,
        )
        await client.command("lovelace/config/save", url_path=path, config=config)


class Album:
    """One Home Assistant in a browser, and where its pictures go."""

    def __init__(self, hass: HomeAssistantProcess, browser: Browser, folder: Path) -> None:
        """Take a Home Assistant that runs; no page is open yet."""
        self._hass = hass
        self._browser = browser
        self._folder = folder

    async def page(
        self, path: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False, scale: int = 1
    ) -> Page:
        """Open a page of the frontend in a fresh profile."""
        context = await self._browser.new_context(
            viewport={"width": size[0] // scale, "height": size[1]},
            device_scale_factor=scale,
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        page = await context.new_page()
        await page.goto(self._hass.url + path)
        return page

    async def card(self, *, phone: bool = False, dark: bool = False) -> Locator:
        """Return the card on a page of its own, once it shows a state and its timeline."""
        page = await self.page(f"/{CARD_PATH}/0", size=PHONE if phone else DESKTOP, dark=dark)
        card = page.locator(CARD).first
        await card.locator(".chip").filter(has_text=re.compile(r"\w")).wait_for(timeout=SLOW_MS)
        await card.locator(".plot").wait_for(timeout=SLOW_MS)
        await page.wait_for_timeout(500)
        return card

    async def keep_card(self, name: str, card: Locator) -> None:
        """Take a picture of the card alone and close its page."""
        await card.page.set_viewport_size(
            {"width": await card.page.evaluate("innerWidth"), "height": 2000}
        )
        await card.page.wait_for_timeout(500)
        await _save(card.page, self._folder / f"{name}.png", await card.bounding_box())
        await card.page.context.close()

    async def view(
        self,
        name: str,
        view: str,
        shows: str,
        *,
        size: tuple[int, int] = DESKTOP,
        dark: bool = False,
    ) -> None:
        """Take a picture of a view that the strategy has built."""
        page = await self.page(f"/{STRATEGY_PATH}/{view}", size=size, dark=dark)
        await page.locator(shows).first.wait_for(timeout=SLOW_MS)
        await page.wait_for_timeout(4000)  # the graphs are drawn when their history has come in
        await _save(page, self._folder / f"{name}.png")
        await page.context.close()

    async def question(self, name: str) -> None:
        """Take a picture of what the card asks before a start, on a phone."""
        card = await self.card(phone=True)
        await card.get_by_role("button", name="Start discharge").click()
        await card.get_by_role("dialog").wait_for()
        await _save(card.page, self._folder / f"{name}.png")
        await card.page.context.close()

    async def unproven_stop(self, name: str) -> None:
        """Stop a battery that does not listen, and take a picture of the alarm."""
        card = await self.card(phone=True)
        await card.get_by_role("button", name="Stop").click()
        await card.get_by_role("dialog").get_by_role("button", name="Stop").click()
        alarm = card.get_by_role("alert").filter(has_text="may still be discharging")
        await alarm.wait_for(timeout=ALARM_MS)
        await self.keep_card(name, card)

    async def config_flow(self) -> None:
        """Go through the user's flow with what it proposes, and take a picture of each form."""
        path = f"/config/integrations/dashboard/add?domain={DOMAIN}"
        page = await self.page(path, size=(DESKTOP[0], 2600), scale=2)
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
            "width": DESKTOP[0] / 2,
            "height": button["y"] + button["height"] + 2 * MARGIN - top,
        }
        await _save(page, self._folder / f"{name}.png", clip)


async def _begin(hass: HomeAssistantProcess, house: SimulatorProcess, timeline: Timeline) -> None:
    """Set the house up with a plan for the next day."""
    await house.set_plant(forecast_factor=CLOUDY)
    exported = await ready(hass, timeline)
    limit = round(exported + MARGIN_KWH + LIMIT_KWH, 2)
    entry_id = await set_up(hass, fixed_limit=limit, target_export=TARGET_W)
    await hass.client.wait_for("sensor.export_monitor_system_health", "Healthy", 150)
    await reconfigure(
        hass, entry_id, "planning", enable_ci_planning=True, enable_charge_planning=True
    )
    for plan in PLANS:
        await hass.client.wait_for(plan, lambda state: "kWh" in state.state, 90)
    await hass.client.wait_for(STATUS, "Needed", 30)
    await make_dashboards(hass.client)


async def _discharge(hass: HomeAssistantProcess, house: SimulatorProcess, album: Album) -> None:
    """Start, look at it in mid-discharge, and stop it, which the battery does not hear at first."""
    exported = await hass.client.state(EXPORTED)
    await hass.client.call(DOMAIN, "start_discharge")
    await asyncio.sleep(MID_S)
    before = 0.0 if exported is None else exported.number
    await hass.client.wait_for(EXPORTED, lambda state: state.number > before, METER_S)
    await album.keep_card("card-discharging-dark", await album.card(dark=True))
    await album.view("dashboard-overview", "overview", CARD, size=TALL)
    await album.view("dashboard-phone", "overview", CARD, size=PHONE, dark=True)
    await house.fault("ignore_writes")
    await album.unproven_stop("card-fault")
    await house.clear_faults()
    await hass.client.wait_for(STATUS, "Complete", 90)


async def _pictures(
    hass: HomeAssistantProcess,
    house: SimulatorProcess,
    browser: Browser,
    folder: Path,
    timeline: Timeline,
) -> None:
    """Take all of them: a discharge, a charge, then the flow that sets it up.

    In this order, so that no figure of a second entry is in the graphs.
    """
    album = Album(hass, browser, folder)
    await _begin(hass, house, timeline)
    await album.keep_card("card-plan", await album.card())
    await album.keep_card("card-plan-phone-dark", await album.card(phone=True, dark=True))
    await album.question("card-start")
    timeline.say("the plan is in the pictures")
    await _discharge(hass, house, album)
    timeline.say("the discharge is in the pictures")
    await hass.client.call(DOMAIN, "start_charge")
    await asyncio.sleep(MID_S)
    await album.keep_card("card-charging", await album.card())
    await hass.client.call(DOMAIN, "stop_charge")
    await album.view("dashboard-plan", "plan", "hui-calendar-card", dark=True)
    await album.view("dashboard-settings", "settings", "hui-entities-card", size=LOW)
    timeline.say("the charge is in the pictures")
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
                await _pictures(hass, house, browser, folder, timeline)
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
