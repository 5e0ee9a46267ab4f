"""The config flow in a real browser: from "Add integration" to working entities, and afterwards.

With `PICTURES` set to a folder, every dialog is kept there to be looked at.
"""

from collections.abc import AsyncIterator
import os
from pathlib import Path
import re
import sys

import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="the floor has no browser")

from playwright.async_api import Locator, Page, expect

from simulator import demo
from simulator.launch import ROOT, HomeAssistantProcess, SimulatorProcess, time_zone_at
from tests.e2e.browser import DESKTOP, PHONE, Surfer, surfing
from tests.e2e.world import DOMAIN, EVENING, HEALTH, LOAD_W, Facts

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

SLOW = 30_000  # ms: two cores run house, Home Assistant and browser
ADD = f"config/integrations/dashboard/add?domain={DOMAIN}"
PAGE = f"config/integrations/integration/{DOMAIN}"
PICTURES = os.environ.get("PICTURES")
# Which step a form shows; it stands in the element's property alone.
STEP = """() => {
  const find = (root) => {
    const own = root.querySelector("step-flow-form");
    if (own) return own;
    for (const each of root.querySelectorAll("*"))
      if (each.shadowRoot) { const found = find(each.shadowRoot); if (found) return found; }
  };
  return find(document)?.step?.step_id;
}"""

# Home Assistant's own list of entities does not shorten a long name, whoever's form it is in.
OVER_THE_EDGE = """form => {
  const within = (each) => each.localName === "ha-entities-picker" ? null : each.shadowRoot;
  const all = (root) => [...root.querySelectorAll("*")].flatMap((each) =>
    [each, ...(within(each) ? all(within(each)) : [])]);
  return all(form.shadowRoot)
    .filter((each) => each.getBoundingClientRect().right > window.innerWidth + 1)
    .map((each) => each.outerHTML.slice(0, 200));
}"""


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def hass(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[HomeAssistantProcess]:
    """Return a Home Assistant beside an inverter that answers; the integration is only there."""
    folder = tmp_path_factory.mktemp("flow")
    zone, hour = time_zone_at(EVENING)
    house = ("--hour", f"{hour:.3f}", "--soc", "80", "--pv", "0", "--load", f"{LOAD_W:.0f}")
    python = ROOT / ".venv" / "simulator" / "bin" / "python"
    async with (
        SimulatorProcess(python, folder, *house) as simulator,
        HomeAssistantProcess(
            Path(sys.executable), folder / "config", simulator=simulator, time_zone=zone
        ) as running,
    ):
        await demo.ready(running, demo.Timeline())
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(hass: HomeAssistantProcess) -> AsyncIterator[Surfer]:
    async with surfing(hass.url) as surfer:
        yield surfer


@pytest_asyncio.fixture(loop_scope="module")
async def surfer(browser: Surfer) -> AsyncIterator[Surfer]:
    """Return a browser whose pages have nothing to complain of, the whole test through."""
    yield browser
    said = await browser.close()
    # This page shows the logos of all integrations, and those of others are not on this machine.
    assert [each for each in said if "/api/brands/" not in each or DOMAIN in each] == []


def dialog(page: Page) -> Locator:
    return page.locator("dialog-data-entry-flow")


async def arrive_at(page: Page, step: str) -> Locator:
    """Return the dialog once it shows a step."""
    await page.locator("step-flow-form").wait_for(timeout=SLOW)
    await page.wait_for_function(f"step => ({STEP})() === step", arg=step, timeout=SLOW)
    await page.wait_for_timeout(700)  # names and icons of the entities come in
    return dialog(page)


async def keep(page: Page, name: str) -> None:
    if PICTURES:
        await page.screenshot(path=Path(PICTURES) / f"{name}.png", animations="disabled")


async def go_on(page: Page, name: str = "Next|Submit") -> None:
    await dialog(page).get_by_role("button", name=re.compile(name)).click()


async def nothing_sticks_out(page: Page) -> None:
    """Check that no part of the form reaches over the window's edge, the live values above all."""
    assert await page.locator("step-flow-form").evaluate(OVER_THE_EDGE) == []


async def entry_of(hass: HomeAssistantProcess) -> Facts:
    [entry] = await hass.client.entries(DOMAIN)
    found: Facts = entry
    return found


async def correct_a_section(page: Page) -> None:
    """Answer the sensors once with a mistake in a section that is closed."""
    form = await arrive_at(page, "sensors")
    await keep(page, "3-sensors")
    reserve = form.locator("ha-form-expandable", has_text="Reserve for a power cut")
    await reserve.locator("ha-expansion-panel").get_by_role("button").first.click()
    await reserve.get_by_role("switch").press("Space")
    await go_on(page)
    await expect(form).to_contain_text("To keep the reserve, its sensor is needed", timeout=SLOW)
    await keep(page, "3-sensors-refused")
    await reserve.get_by_role("switch").press("Space")
    await go_on(page)


async def look_at_values(page: Page) -> None:
    """Compare the live values with the house, look again, go back once, and find them right."""
    form = await arrive_at(page, "check")
    await expect(form).to_contain_text("Is this right?")
    rows = form.get_by_role("listitem")
    soc = rows.filter(has_text="sensor.alphaess_soc_battery")
    await expect(soc).to_contain_text(re.compile(r"Battery SOC: (79|80)(\.\d+)? % · \d+ s ·"))
    await expect(rows.filter(has_text="sensor.alphaess_power_battery")).to_contain_text(
        "discharging"
    )
    for entity_id in ("sensor.alphaess_power_grid", "input_boolean.alphaess_helper_force_export"):
        await expect(rows.filter(has_text=entity_id)).to_have_count(1)  # those of sections, too
    await expect(form).to_contain_text("marked ⚠️: 0.")
    await keep(page, "5-check")
    await form.get_by_role("radio", name="Look again").click()
    await go_on(page)
    form = await arrive_at(page, "check")
    await form.get_by_role("radio", name="Choose other controls").click()
    await go_on(page)
    for step in ("battery", "sensors", "forecast", "check"):
        await arrive_at(page, step)
        await go_on(page)


# In this order: each test needs what the one before has set up.


async def test_from_add_integration_to_working_entities(
    hass: HomeAssistantProcess, surfer: Surfer
) -> None:
    page = await surfer.open(ADD, size=(DESKTOP[0], 1800))
    await page.locator("dialog-box").get_by_role("button", name="OK").click()
    form = await arrive_at(page, "user")
    await expect(form).to_contain_text("AlphaESS (Modbus package)")
    await keep(page, "1-user")
    await go_on(page)

    await arrive_at(page, "battery")
    await keep(page, "2-battery")
    await go_on(page)

    await correct_a_section(page)

    await arrive_at(page, "forecast")
    await keep(page, "4-forecast")
    await go_on(page)

    await look_at_values(page)
    form = await arrive_at(page, "limits")
    await expect(form).to_contain_text("Careful start")
    await keep(page, "6-limits")
    await go_on(page)

    await page.locator("step-flow-create-entry").wait_for(timeout=SLOW)
    await expect(dialog(page)).to_contain_text("exports nothing yet")
    await expect(dialog(page)).to_contain_text("Dry run of the automatic")
    await keep(page, "7-created")
    await go_on(page, "Skip and finish|Finish")
    await hass.client.wait_for(HEALTH, "Healthy", 90)
    headroom = await hass.client.wait_for(
        "sensor.export_monitor_export_headroom", lambda s: s.state != "unavailable", 60
    )
    assert headroom.number >= 0
    target = await hass.client.state("number.export_monitor_target_export")
    assert target is not None
    assert target.number == 0, "a careful start exports nothing"


async def test_options_are_changed_in_groups_and_hold_at_once(
    hass: HomeAssistantProcess, surfer: Surfer
) -> None:
    page = await surfer.open(PAGE, size=(DESKTOP[0], 1800))
    await page.get_by_role("button", name="Configure").first.click()
    await dialog(page).get_by_text("Limits: what may be exported").wait_for(timeout=SLOW)
    await keep(page, "8-options")
    await dialog(page).get_by_text("Limits: what may be exported").click()
    form = await arrive_at(page, "limits")
    field = form.locator("ha-selector-number", has_text="Target export").locator("input")
    await field.fill("99999")
    await go_on(page)
    await expect(form).to_contain_text("outside the range", timeout=SLOW)
    await keep(page, "9-refused")
    await field.fill("750")
    await go_on(page)
    await hass.client.wait_for("number.export_monitor_target_export", "750.0", 20)
    page = await surfer.open(PAGE, size=(DESKTOP[0], 1800))
    await page.get_by_role("button", name="Configure").first.click()
    await dialog(page).get_by_text("Planning: when to discharge").click()
    form = await arrive_at(page, "planning")
    await expect(form).to_contain_text("Times of day")
    await keep(page, "9-planning")
    await go_on(page)
    await expect(dialog(page)).to_contain_text("Options successfully saved", timeout=SLOW)


async def test_reconfiguring_on_a_phone_shows_the_wiring_and_its_live_values(
    hass: HomeAssistantProcess, surfer: Surfer
) -> None:
    before = await entry_of(hass)
    page = await surfer.open(PAGE, size=PHONE)
    row = page.locator("ha-config-entry-row")
    await row.locator("ha-dropdown").first.get_by_role("button").click()
    await row.get_by_role("menuitem", name="Reconfigure").first.click()
    for step in ("battery", "sensors", "forecast"):
        await arrive_at(page, step)
        await keep(page, f"10-{step}-phone")
        await nothing_sticks_out(page)
        await go_on(page)
    await arrive_at(page, "check")
    await nothing_sticks_out(page)
    await keep(page, "10-check-phone")
    await go_on(page)
    await expect(dialog(page)).to_contain_text("The new wiring is stored", timeout=SLOW)
    await hass.client.wait_for(HEALTH, "Healthy", 90)
    assert (await entry_of(hass))["entry_id"] == before["entry_id"]
