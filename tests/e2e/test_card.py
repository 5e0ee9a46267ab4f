"""The card and the dashboard strategy in a real browser, on a real Home Assistant."""

from collections.abc import AsyncIterator
import json
import re

import pytest
import pytest_asyncio

pytest.importorskip("playwright", reason="the floor has no browser")

from playwright.async_api import Locator, Page, expect

from custom_components.export_monitor.frontend_module import FOLDER
from simulator.screenshots import CARD, CARD_PATH, STRATEGY_PATH, make_dashboards
from tests.e2e.browser import (
    CONTRASTS,
    DESKTOP,
    LEAST_CONTRAST,
    NAMELESS,
    OVERFLOWING,
    PHONE,
    Surfer,
    surfing,
)
from tests.e2e.world import ERROR, POWER_W, World, open_world

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.browser,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(180),
]

SLOW = 30_000  # ms: two cores run house, Home Assistant and browser
ALARM = 40_000  # ms: a stop that is not proven is an alarm after 15 s
LANGUAGES = ("de", "fr", "es", "it", "nl", "pt", "pl")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[World]:
    async with open_world(tmp_path_factory.mktemp("card")) as world:
        await make_dashboards(world.client)
        yield world


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser(running: World) -> AsyncIterator[Surfer]:
    async with surfing(running.hass.url) as surfer:
        yield surfer


@pytest_asyncio.fixture(loop_scope="module")
async def surfer(world: World, browser: Surfer) -> AsyncIterator[Surfer]:
    """Return a browser whose pages have nothing to complain of, the whole test through."""
    yield browser
    assert await browser.close() == []


async def card_on(page: Page) -> Locator:
    """Return the page's card once it shows a state."""
    card = page.locator(CARD).first
    await expect(card.locator(".chip")).not_to_be_empty(timeout=SLOW)
    return card


async def shows(card: Locator, state: str, timeout_ms: float = SLOW) -> None:
    await expect(card.locator(".chip")).to_have_text(state, timeout=timeout_ms)


async def legible(card: Locator) -> None:
    """Check that every text can be read and heard, and that nothing sticks out."""
    contrasts = await card.evaluate(CONTRASTS)
    assert len(contrasts) > 5
    assert [each for each in contrasts if each[1] < LEAST_CONTRAST] == []
    assert await card.evaluate(NAMELESS) == []
    assert await card.evaluate(OVERFLOWING) == []


# What a discharge needs


async def test_a_start_asks_first_and_no_is_an_answer(world: World, surfer: Surfer) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    await shows(card, "Ready")
    await card.get_by_role("button", name="Start discharge").click()
    question = card.get_by_role("dialog")
    await expect(question).to_contain_text("Discharge the battery to the grid?")
    await expect(question).to_contain_text("5.0 kW")
    await expect(question).to_contain_text("at least 25 %")
    await legible(card)
    await question.get_by_role("button", name="Cancel").click()
    await expect(question).to_be_hidden()
    assert not (await world.simulator.truth())["dispatch_active"]
    await shows(card, "Ready")


async def _stop(card: Locator) -> None:
    await card.get_by_role("button", name="Stop").click()
    await card.get_by_role("dialog").get_by_role("button", name="Stop").click()


async def test_a_running_discharge_is_shown_and_stopped(world: World, surfer: Surfer) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    await card.get_by_role("button", name="Start discharge").click()
    await card.get_by_role("dialog").get_by_role("button", name="Start discharge").click()
    await shows(card, "Discharging")
    await expect(card).to_contain_text("It is running, and it is guarded.", timeout=SLOW)
    await expect(card).to_contain_text("has been discharging with 5.0 kW")
    await expect(card).to_contain_text("Started by hand.")
    await expect(card.get_by_role("button", name="Start discharge")).to_be_hidden()
    assert (await world.until(lambda truth: truth["battery_w"] > 0.9 * POWER_W, 10))[
        "dispatch_active"
    ]
    await _stop(card)
    await world.until(lambda truth: not truth["dispatch_active"], 10)
    await expect(card).to_contain_text("the battery has proven it", timeout=SLOW)
    await shows(card, "Finished")
    await expect(card).to_contain_text("Stopped by hand.")


async def test_a_stop_is_asked_about_unless_one_press_is_to_do(
    world: World, surfer: Surfer
) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    await world.discharge()
    await shows(card, "Discharging")
    await card.get_by_role("button", name="Stop").click()
    question = card.get_by_role("dialog")
    await expect(question).to_contain_text("Stop the battery now?")
    await legible(card)
    await question.get_by_role("button", name="Cancel").click()
    assert (await world.simulator.truth())["dispatch_active"]
    await card.evaluate("card => card.setConfig({confirm_stop: false})")
    await card.get_by_role("button", name="Stop").click()
    await world.until(lambda truth: not truth["dispatch_active"], 10)
    await expect(card).to_contain_text("the battery has proven it", timeout=SLOW)


async def test_a_discharge_needs_no_mouse(world: World, surfer: Surfer) -> None:
    page = await surfer.open(CARD_PATH)
    card = await card_on(page)
    await _tab_to(page, "Start discharge")
    await page.keyboard.press("Enter")
    await expect(card.get_by_role("dialog")).to_be_visible()
    await page.keyboard.press("Escape")
    await expect(card.get_by_role("dialog")).to_be_hidden()
    assert await _focused(page) == "Start discharge"
    await page.keyboard.press("Enter")
    await _tab_to(page, "Start discharge", inside="dialog")
    await page.keyboard.press("Enter")
    await shows(card, "Discharging")
    await _tab_to(page, "Stop")
    await page.keyboard.press("Space")
    await _tab_to(page, "Stop", inside="dialog")
    await page.keyboard.press("Enter")
    await world.until(lambda truth: not truth["dispatch_active"], 10)
    assert await _focused(page) == "Stop"  # and is still there while the card draws anew


async def test_a_charge_is_shown_as_one_and_the_same_stop_ends_it(
    world: World, surfer: Surfer
) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    await card.get_by_role("button", name="Start charge").click()
    question = card.get_by_role("dialog")
    await expect(question).to_contain_text("Charge the battery from the grid?")
    await question.get_by_role("button", name="Start charge").click()
    await shows(card, "Charging")
    await world.until(lambda truth: truth["battery_w"] < 0, 10)
    await expect(card).to_contain_text("has been charging from the grid")
    await _stop(card)
    await world.until(lambda truth: not truth["dispatch_active"], 10)
    await expect(card).to_contain_text("the battery has proven it", timeout=SLOW)


FOCUSED = """() => {
  let node = document.activeElement;
  while (node?.shadowRoot?.activeElement) node = node.shadowRoot.activeElement;
  return [node?.textContent.trim() ?? "", node?.closest("dialog") ? "dialog" : ""];
}"""


async def _focused(page: Page) -> str:
    name: str = (await page.evaluate(FOCUSED))[0]
    return name


async def _tab_to(page: Page, name: str, *, inside: str = "") -> None:
    for _ in range(60):
        await page.keyboard.press("Tab")
        if await page.evaluate(FOCUSED) == [name, inside]:
            return
    pytest.fail(f"{name} is out of the keyboard's reach")


# Faults


async def test_a_stop_that_is_not_proven_is_an_alarm_until_it_is(
    world: World, surfer: Surfer
) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    await world.discharge()
    await shows(card, "Discharging")
    await world.simulator.fault("ignore_writes")
    await _stop(card)
    await shows(card, "Stopping")
    alarm = card.get_by_role("alert").filter(has_text="The battery may still be discharging")
    await expect(alarm).to_be_visible(timeout=ALARM)
    await expect(alarm).to_contain_text("Press Stop once more.")
    await expect(alarm.get_by_role("listitem")).to_have_count(4)
    await expect(card.get_by_role("alert")).to_have_count(1, timeout=SLOW)  # it says it alone
    await expect(alarm.get_by_role("button", name="Force Discharging")).to_be_visible()
    await expect(card.get_by_role("button", name="Stop")).to_be_enabled()
    await legible(card)
    await world.simulator.clear_faults()
    await card.get_by_role("button", name="Stop").click()
    await expect(alarm).to_be_hidden(timeout=ALARM)
    await world.client.wait_for(ERROR, "none", 10)
    # What the browser notes of a stop that Home Assistant calls unproven is no fault of the card.
    await shows(card, "Finished")


async def test_a_start_that_would_be_refused_says_why_and_offers_none(
    world: World, surfer: Surfer
) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    number = "number.export_monitor_target_export"
    await world.client.call("number", "set_value", entity_id=number, value=0)
    await expect(card).to_contain_text("The target export is 0 W.", timeout=SLOW)
    await card.get_by_role("button", name="Start discharge").click()
    question = card.get_by_role("dialog")
    await expect(question).to_contain_text("It cannot start now")
    await expect(question.get_by_role("button")).to_have_text(["Close"])
    await question.get_by_role("button", name="Close").click()


async def test_the_dry_run_is_said_before_anything_is_started(world: World, surfer: Surfer) -> None:
    card = await card_on(await surfer.open(CARD_PATH))
    switch = "switch.export_monitor_dry_run"
    await world.client.call("switch", "turn_on", entity_id=switch)
    try:
        await expect(card.locator(".say")).to_contain_text("Dry run is on", timeout=SLOW)
        for name in ("Start discharge", "Start charge"):
            await card.get_by_role("button", name=name).click()
            question = card.get_by_role("dialog")
            await expect(question).to_contain_text("It cannot start now")
            await expect(question).to_contain_text("Dry run is on")
            await question.get_by_role("button", name="Close").click()
    finally:
        await world.client.call("switch", "turn_off", entity_id=switch)
    await expect(card.locator(".say")).not_to_contain_text("Dry run", timeout=SLOW)


async def test_a_lost_home_assistant_is_said(world: World, surfer: Surfer) -> None:
    page = await surfer.open(CARD_PATH)
    card = await card_on(page)
    drop = "document.querySelector('home-assistant').hass.connection.socket.close()"
    await page.route("**/api/websocket", lambda route: route.abort())
    await page.context.set_offline(offline=True)
    await page.evaluate(drop)
    await shows(card, "No connection")
    await card.get_by_role("button", name="Stop").click()
    await expect(card).to_contain_text("Stop the battery in the inverter's own app")
    await page.context.set_offline(offline=False)
    await page.unroute_all()
    await expect(card.locator(".chip")).not_to_have_text("No connection", timeout=60_000)
    # What pages of Home Assistant complain of while they cannot connect, with and without the card.
    lost = ("uncaught: Object", "ERR_INTERNET_DISCONNECTED", "dynamically imported module")
    for window in surfer.windows:
        window.complaints = [c for c in window.complaints if not any(each in c for each in lost)]


# The record


async def test_an_administrator_opens_the_record_and_others_are_not_offered_it(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(CARD_PATH)
    card = await card_on(page)
    link = card.get_by_role("button", name="The record, to print or save")
    async with page.context.expect_page() as opened:
        await link.click()
    record = await opened.value
    await expect(record.get_by_role("heading", level=1)).to_contain_text("Record", timeout=SLOW)
    offered = await card.evaluate(
        """card => [true, false].map((is_admin) => {
          card.hass = {...card.hass, user: {...card.hass.user, is_admin}};
          return [...card.shadowRoot.querySelectorAll("footer button")].some(
            (button) => button.checkVisibility() && button.textContent.startsWith("The record"));
        })"""
    )
    assert offered == [True, False]


# How it looks


@pytest.mark.parametrize("size", [PHONE, DESKTOP], ids=["phone", "desktop"])
@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_every_text_is_legible(
    world: World, surfer: Surfer, size: tuple[int, int], dark: bool
) -> None:
    card = await card_on(await surfer.open(CARD_PATH, size=size, dark=dark))
    await expect(card).to_contain_text("Carbon intensity", timeout=SLOW)
    await legible(card)
    meter = card.get_by_role("meter", name="Export allowance")
    await expect(meter).to_have_attribute("aria-valuetext", re.compile(r"[\d.]+\skWh left of "))


async def test_every_language_is_spoken_and_fits_on_a_phone(world: World, surfer: Surfer) -> None:
    """One page after the other: the language is the user's, on all devices."""
    look = await world.client.command("frontend/get_user_data", key="language")
    try:
        for language in LANGUAGES:
            chosen = {**look["value"], "language": language}
            await world.client.command("frontend/set_user_data", key="language", value=chosen)
            source = (FOLDER / f"texts/{language}.js").read_text("utf-8")
            texts = json.loads(source.removeprefix("export default ").removesuffix(";\n"))
            page = await surfer.open(CARD_PATH, size=PHONE)
            card = page.locator(CARD).first
            stop = card.get_by_role("button", name=texts["stop"], exact=True)
            await expect(stop).to_be_visible(timeout=SLOW)
            await expect(card).to_contain_text(texts["timeline"])
            assert await card.evaluate(OVERFLOWING) == []
            await page.context.close()
            surfer.windows.pop()
    finally:
        value = look["value"]
        await world.client.command("frontend/set_user_data", key="language", value=value)


async def test_a_name_is_shown_as_it_is_and_never_becomes_markup(
    world: World, surfer: Surfer
) -> None:
    evil = "<img src=x onerror=\"document.title='taken'\">"
    devices = await world.client.command("config/device_registry/list")
    device = next(d for d in devices if world.entry_id in d["config_entries"])
    rename = {"type": "config/device_registry/update", "device_id": device["id"]}
    kind = rename.pop("type")
    await world.client.command(kind, **rename, name_by_user=evil)
    try:
        page = await surfer.open(CARD_PATH)
        card = await card_on(page)
        await expect(card.get_by_role("heading", level=2)).to_have_text(evil)
        assert await card.locator("img").count() == 0
        assert await page.title() != "taken"
    finally:
        await world.client.command(kind, **rename, name_by_user=None)


# Making dashboards


async def test_the_strategy_builds_a_dashboard_with_nothing_typed(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(f"{STRATEGY_PATH}/overview")
    card = await card_on(page)
    await expect(card.get_by_role("button", name="Stop")).to_be_visible()
    await expect(page.locator("hui-gauge-card")).to_have_count(2)
    for path, holds in (
        ("plan", ("Carbon intensity", "Discharge plan today")),
        ("health", ("System health", "Error state", "Circuit breaker status")),
        ("settings", ("Target export", "Minimum SOC", "Safety margin", "Dry run")),
    ):
        page = await surfer.open(f"{STRATEGY_PATH}/{path}")
        for text in holds:
            await expect(page.get_by_text(text).first).to_be_visible(timeout=SLOW)
        await expect(page.locator("hui-error-card")).to_have_count(0)
    page = await surfer.open(f"{STRATEGY_PATH}/plan")
    await expect(page.locator("hui-calendar-card")).to_be_visible(timeout=SLOW)
    page = await surfer.open(f"{STRATEGY_PATH}/health")
    await expect(page.locator("hui-history-graph-card").first).to_be_visible(timeout=SLOW)


async def test_home_assistant_offers_the_strategy_for_a_new_dashboard(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open("config/lovelace/dashboards")
    await page.get_by_text("Add dashboard").first.click(timeout=SLOW)
    offer = page.locator("dashboard-card").filter(has_text="Export Monitor")
    await expect(offer).to_contain_text("made by itself", timeout=SLOW)


async def test_the_card_is_in_the_card_picker_with_a_form_that_edits_it(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(f"{CARD_PATH}/0?edit=1")
    await card_on(page)
    said = await page.evaluate(
        """() => {
          const {type, name, description, preview} =
            window.customCards.find((card) => card.type === "export-monitor-card");
          const element = customElements.get(type);
          const form = element.getConfigForm();
          const hass = document.querySelector("home-assistant").hass;
          return {
            name, description, preview,
            stub: element.getStubConfig(hass),
            labels: form.schema.map(form.computeLabel),
            strategy: window.customStrategies.map((each) => each.type),
          };
        }"""
    )
    assert said["name"] == "Export Monitor"
    assert said["description"].endswith("and stop.")
    assert said["preview"] is True
    assert said["stub"] == {}
    assert said["strategy"] == ["export-monitor"]
    assert said["labels"] == [
        "Which export monitor",
        "Title",
        "Show start and stop",
        "Show the allowance",
        "Show the next 36 hours",
        "Ask before stopping too",
    ]


async def test_what_does_not_concern_the_card_does_not_make_it_draw(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(CARD_PATH)
    card = await card_on(page)
    await expect(card).to_contain_text("Carbon intensity", timeout=SLOW)
    drawn = await card.evaluate(
        """card => {
          let drawn = 0;
          const draw = card._draw.bind(card);
          card._draw = () => { drawn += 1; draw(); };
          const hass = card.hass;
          const states = {...hass.states, "sensor.other": {entity_id: "sensor.other", state: "1"}};
          card.hass = {...hass, states};
          const first = drawn;
          const id = "sensor.export_monitor_export_headroom";
          card.hass = {...hass, states: {...states, [id]: {...states[id], state: "0.5"}}};
          return [first, drawn];
        }"""
    )
    assert drawn == [0, 1]


# Two batteries, and other people's habits: asked of the modules themselves, in the browser.

TWO = """async () => {
  const module = performance.getEntriesByType("resource").map((each) => each.name)
    .find((name) => name.endsWith("/strategy.js"));
  const {ExportMonitorStrategy} = await import(module);
  const {systemOf} = await import(module.replace("strategy", "entities"));
  const entities = {}, devices = {}, states = {};
  for (const [id, name, prefix] of [["d2", "Garage", "x_garage"], ["d1", "House", "x"]]) {
    devices[id] = {name, primary_config_entry: `entry-of-${id}`};
    for (const [key, value] of [["system_health", "Healthy"], ["export_headroom", "1"]]) {
      const entity_id = `sensor.${prefix}_${key}`;
      entities[entity_id] =
        {entity_id, device_id: id, platform: "export_monitor", translation_key: key};
      states[entity_id] = {state: value, attributes: {friendly_name: `${name} ${key}`}};
    }
  }
  const hass = {entities, devices, states, language: "en", locale: {language: "en"}};
  const {views} = await ExportMonitorStrategy.generate({}, hass);
  const cards = views[0].sections.flatMap((section) => section.cards);
  return {
    first: systemOf(hass, {}).name,
    chosen: systemOf(hass, {entry: "entry-of-d2"}).name,
    gone: systemOf(hass, {device_id: "d3"}) ?? null,
    devices: cards.filter((card) => card.type.startsWith("custom:")).map((card) => card.device_id),
    headings: cards.filter((card) => card.type === "heading").map((card) => card.heading),
    gauges: cards.filter((card) => card.type === "gauge").map((card) => card.name),
  };
}"""

DURATION = "2 h 15 min".replace(" ", "\N{NO-BREAK SPACE}")

FORMATS = """async () => {
  const module = performance.getEntriesByType("resource").map((each) => each.name)
    .find((name) => name.endsWith("/texts.js"));
  const {Format} = await import(module);
  const evening = Date.UTC(2026, 5, 21, 18, 30);
  return [["language", "language"], ["decimal_comma", "24"], ["none", "12"]].map(
    ([number_format, time_format]) => {
      const locale = {language: "en", number_format, time_format, time_zone: "server"};
      const format = new Format({locale, config: {time_zone: "Europe/Berlin"}});
      return [format.energy(1234.5), format.time(evening), format.hour(evening),
              format.duration(135), format.day(evening + 86_400_000, evening)];
    });
}"""


LEGENDS = """async () => {
  const module = performance.getEntriesByType("resource").map((each) => each.name)
    .find((name) => name.endsWith("/timeline.js"));
  const {horizon, timeline} = await import(module);
  const {Format} = await import(module.replace("timeline", "texts"));
  const format = new Format({locale: {language: "en", time_format: "24"}, config: {}});
  const now = Date.UTC(2026, 5, 21, 18);
  const [start, end] = [now, now + 3_600_000].map((each) => new Date(each).toISOString());
  const units = {carbon: "g", export_price: "GBP/kWh", import_price: "GBP/kWh"};
  const legends = (...kinds) => {
    const rates = kinds.map((kind) => ({kind, unit: units[kind], slots: [[start, end, 1]]}));
    const nodes = timeline(horizon({rates}, undefined, now), format, null);
    const host = document.createElement("div");
    host.append(...nodes.filter(Boolean));
    return [".legend:not(.none)", "path"].map((each) => host.querySelectorAll(each).length);
  };
  return [
    legends("carbon", "export_price", "import_price"),
    legends("export_price", "import_price"),
    legends(),
  ];
}"""


async def test_the_legend_names_the_curves_that_are_drawn_and_no_others(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(CARD_PATH)
    await card_on(page)
    drawn = await page.evaluate(LEGENDS)
    assert drawn == [[1, 1], [2, 2], [0, 0]]


async def test_two_batteries_have_a_card_each_and_headings_that_tell_them_apart(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(CARD_PATH)
    await card_on(page)
    assert await page.evaluate(TWO) == {
        "first": "House",
        "chosen": "Garage",
        "gone": None,
        "devices": ["d1", "d2"],
        "headings": ["House: Today", "Garage: Today"],
        "gauges": ["export_headroom", "export_headroom"],
    }


async def test_numbers_and_times_are_written_as_the_profile_says(
    world: World, surfer: Surfer
) -> None:
    page = await surfer.open(CARD_PATH)
    await card_on(page)
    found = [
        [each.replace("\u202f", " ") if isinstance(each, str) else each for each in row]
        for row in await page.evaluate(FORMATS)
    ]
    assert found == [
        ["1,234.50\N{NO-BREAK SPACE}kWh", "8:30 PM", 20, DURATION, "tomorrow"],
        ["1.234,50\N{NO-BREAK SPACE}kWh", "20:30", 20, DURATION, "tomorrow"],
        ["1234.50\N{NO-BREAK SPACE}kWh", "8:30 PM", 20, DURATION, "tomorrow"],
    ]
