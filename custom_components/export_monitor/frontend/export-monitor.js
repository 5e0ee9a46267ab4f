// Energy Export Monitor for Home Assistant's dashboards: a card and a dashboard strategy. No build
// step and no dependency: what you read here is what the browser runs.

import { ExportMonitorCard } from "./card.js";
import { ExportMonitorStrategy } from "./strategy.js";
import { languageOf, loadTexts, text } from "./texts.js";

const DOCUMENTATION =
  "https://github.com/export-monitor/energy-export-monitor/blob/main/docs/dashboard.md";

/** Return a text in the language that the page has by now: it is asked for when it is shown. */
function said(key) {
  const language =
    languageOf(document.querySelector("home-assistant")?.hass) || document.documentElement.lang;
  return text(language, key);
}

function define(tag, element) {
  if (!customElements.get(tag)) customElements.define(tag, element);
}

loadTexts(document.documentElement.lang);
define("export-monitor-card", ExportMonitorCard);
define("ll-strategy-dashboard-export-monitor", ExportMonitorStrategy);

window.customCards ??= [];
window.customCards.push({
  type: "export-monitor-card",
  get name() {
    return said("card_name");
  },
  get description() {
    return said("card_description");
  },
  preview: true,
  documentationURL: DOCUMENTATION,
});

window.customStrategies ??= [];
window.customStrategies.push({
  type: "export-monitor",
  strategyType: "dashboard",
  get name() {
    return said("card_name");
  },
  get description() {
    return said("strategy_description");
  },
  documentationURL: DOCUMENTATION,
});
