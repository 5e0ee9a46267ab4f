"""A real browser on a real frontend: pages that note every complaint, and who can read them."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from playwright.async_api import Browser, ConsoleMessage, Page, async_playwright

from simulator.screenshots import FLAGS, browser_path

PHONE = (390, 844)
DESKTOP = (1280, 900)
LEAST_CONTRAST = 4.5  # WCAG AA for ordinary text

# Every text of the card, with the contrast of its colour against what is painted behind it. The
# canvas turns whatever a style sheet calls a colour into bytes.
CONTRASTS = """card => {
  const pen = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
  const bytes = (css) => {
    pen.clearRect(0, 0, 1, 1);
    pen.fillStyle = css;
    pen.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = pen.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const over = (top, below) => top.slice(0, 3).map((c, i) => c * top[3] + below[i] * (1 - top[3]));
  const parent = (node) => node.assignedSlot ?? node.parentElement ?? node.getRootNode().host;
  const backdrop = (node) => {
    const layers = [];
    for (let each = node; each; each = parent(each))
      layers.unshift(bytes(getComputedStyle(each).backgroundColor));
    return layers.reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const light = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) =>
      c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const found = [];
  const walker = document.createTreeWalker(card.shadowRoot, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    if (!text || node.tagName === "STYLE" || !node.checkVisibility()) continue;
    const below = backdrop(node);
    const [a, b] = [over(bytes(getComputedStyle(node).color), below), below].map(light);
    found.push([text, (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05)]);
  }
  return found;
}"""

# What can be operated or is announced, but has no name for those who do not see it.
NAMELESS = """card => {
  const named = (node) => (node.getAttribute("aria-label") ?? node.textContent).trim() !== ""
    || node.getRootNode().getElementById(node.getAttribute("aria-labelledby"))?.textContent.trim();
  const kinds = "button, a, input, summary, [role=meter], [role=img], [tabindex], dialog[open]";
  return [...card.shadowRoot.querySelectorAll(kinds)]
    .filter((node) => node.checkVisibility() && !named(node))
    .map((node) => node.outerHTML);
}"""

# What does not fit: a part of the card that reaches over its edge.
OVERFLOWING = """card => {
  const edge = card.getBoundingClientRect();
  return [...card.shadowRoot.querySelectorAll(".body *:not(.picture *)")]
    .filter((node) => node.checkVisibility() && node.getBoundingClientRect().right > edge.right + 1)
    .map((node) => node.outerHTML.slice(0, 200));
}"""


@dataclass
class Window:
    """A page and what its console complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)

    def listen(self) -> None:
        """Note errors and warnings from now on."""

        def said(message: ConsoleMessage) -> None:
            if message.type in ("error", "warning"):
                place = message.location.get("url", "")
                self.complaints.append(f"{message.type}: {message.text} {place}".rstrip())

        self.page.on("console", said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"uncaught: {error}"))


@dataclass
class Surfer:
    """Opens pages of one Home Assistant, each in a fresh profile."""

    browser: Browser
    url: str
    windows: list[Window] = field(default_factory=list)

    async def open(self, path: str, *, size: tuple[int, int] = DESKTOP, dark: bool = False) -> Page:
        """Open a page and wait until there is a card on it."""
        context = await self.browser.new_context(
            viewport={"width": size[0], "height": size[1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        window = Window(await context.new_page())
        window.listen()
        self.windows.append(window)
        await window.page.goto(f"{self.url}/{path}")
        return window.page

    async def close(self) -> list[str]:
        """Close every page and return what their consoles complained of."""
        complaints = [each for window in self.windows for each in window.complaints]
        for window in self.windows:
            await window.page.context.close()
        self.windows.clear()
        return complaints


@asynccontextmanager
async def surfing(url: str) -> AsyncIterator[Surfer]:
    """Start the machine's own Chromium."""
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path(), args=list(FLAGS))
        try:
            yield Surfer(browser, url)
        finally:
            await browser.close()
