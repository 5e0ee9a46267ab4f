// Builds a whole dashboard of what there is: nothing has to be typed, and nothing is kept.

import { systems } from "./entities.js";
import { languageOf, loadTexts, text } from "./texts.js";

const HOURS = 24;
const HEALTH = ["system_health", "error_state", "data_staleness", "circuit_breaker_status", "statistics"];
const FIGURES = ["discharge_plan_today", "discharge_plan_tomorrow", "next_charge_session"];
const PLANNED = ["plan_energy_today", "plan_windows_today", "plan_energy_tomorrow", "plan_windows_tomorrow"];
const TODAY = ["discharge_status", "export_allowed", "calculated_duration", "discharge_needed"];
const CARBON = ["current_carbon_intensity"];
const INDEX = ["current_carbon_intensity_index"];

const of = (system, domain, keys) =>
  keys.map((key) => system.entities[`${domain}.${key}`]).filter(Boolean);

const all = (system, domain) =>
  Object.entries(system.entities)
    .filter(([key]) => key.startsWith(`${domain}.`))
    .map(([, id]) => id);

/** Return an entity with its name, without that of the device that every one of them begins with. */
function named(hass, system, entity) {
  const name = hass.states[entity]?.attributes?.friendly_name ?? "";
  const device = `${system.name} `;
  return name.startsWith(device) ? { entity, name: name.slice(device.length) } : { entity };
}

const tiles = (hass, system, ids) => ids.map((id) => ({ type: "tile", ...named(hass, system, id) }));

/** Tiles with a row of their own, for a name or a state that is too long for half of one. */
const wideTiles = (hass, system, ids) =>
  tiles(hass, system, ids).map((tile) => ({ ...tile, grid_options: { columns: "full" } }));

const rows = (hass, system, ids) =>
  ids.length ? [{ type: "entities", entities: ids.map((id) => named(hass, system, id)) }] : [];

function graph(hass, system, ids) {
  const entities = ids.map((id) => named(hass, system, id));
  return ids.length
    ? [{ type: "history-graph", hours_to_show: HOURS, entities, grid_options: { columns: "full" } }]
    : [];
}

/** A section with a heading, left out where it would have nothing but that. */
function section(heading, cards, icon) {
  return cards.length
    ? [{ type: "grid", cards: [{ type: "heading", heading, icon, heading_style: "title" }, ...cards] }]
    : [];
}

function gauges(hass, system) {
  const [headroom] = of(system, "sensor", ["export_headroom"]);
  const [exported] = of(system, "sensor", ["exported_today"]);
  const allowed = Number(hass.states[system.entities["sensor.export_allowed"]]?.state);
  const max = Number.isFinite(allowed) && allowed > 0 ? Math.ceil(allowed) : 10;
  return [headroom, exported]
    .filter(Boolean)
    .map((id) => ({ type: "gauge", ...named(hass, system, id), min: 0, max, grid_options: { columns: 6 } }));
}

/** Return what makes a view's headings tell two systems apart. */
const titled = (system, several) => (heading) => (several ? `${system.name}: ${heading}` : heading);

function overview(hass, system, t, name) {
  const card = { type: "custom:export-monitor-card", device_id: system.id, grid_options: { columns: "full" } };
  const now = { type: "grid", column_span: 2, cards: [card] };
  const today = [
    ...gauges(hass, system),
    ...tiles(hass, system, [...of(system, "sensor", [...TODAY, ...CARBON]), ...of(system, "binary_sensor", ["over_export"])]),
    ...wideTiles(hass, system, of(system, "sensor", INDEX)),
  ];
  return [now, ...section(name(t("section_today")), today, "mdi:transmission-tower-export")];
}

function plan(hass, system, t, name) {
  const card = {
    type: "custom:export-monitor-card",
    device_id: system.id,
    controls: false,
    allowance: false,
    grid_options: { columns: "full" },
  };
  const calendars = all(system, "calendar");
  const calendar = calendars.length
    ? [{ type: "calendar", entities: calendars, initial_view: "listWeek", grid_options: { columns: "full" } }]
    : [];
  const figures = [
    ...wideTiles(hass, system, of(system, "sensor", FIGURES)),
    ...tiles(hass, system, of(system, "sensor", PLANNED)),
  ];
  return [
    ...section(name(t("view_plan")), [card], "mdi:chart-timeline"),
    ...section(name(t("section_calendar")), calendar, "mdi:calendar"),
    ...section(name(t("section_figures")), figures, "mdi:format-list-bulleted"),
  ];
}

function health(hass, system, t, name) {
  const states = [
    ...of(system, "sensor", HEALTH),
    ...of(system, "binary_sensor", ["data_problem", "over_export", "discharging"]),
    ...of(system, "event", ["activity"]),
  ];
  const graphs = [
    ...graph(hass, system, of(system, "sensor", ["export_headroom", "export_allowed", "exported_today"])),
    ...graph(hass, system, of(system, "sensor", ["discharge_needed"])),
    ...graph(hass, system, of(system, "sensor", ["discharge_status", "system_health", "error_state"])),
    ...graph(hass, system, of(system, "sensor", ["data_staleness"])),
  ];
  return [
    ...section(name(t("section_state")), tiles(hass, system, states), "mdi:heart-pulse"),
    ...section(name(t("section_last_day")), graphs, "mdi:chart-line"),
  ];
}

function settings(hass, system, t, name) {
  const buttons = of(system, "button", ["calculate_discharge", "reset_circuit_breakers"]);
  return [
    ...section(name(t("section_limits")), rows(hass, system, all(system, "number")), "mdi:tune"),
    ...section(name(t("section_automatic")), rows(hass, system, all(system, "switch")), "mdi:robot"),
    ...section(name(t("section_more")), rows(hass, system, buttons), "mdi:dots-horizontal"),
  ];
}

const VIEWS = [
  ["overview", "mdi:transmission-tower-export", overview],
  ["plan", "mdi:calendar-clock", plan],
  ["health", "mdi:heart-pulse", health],
  ["settings", "mdi:cog", settings],
];

export class ExportMonitorStrategy extends HTMLElement {
  static async generate(config, hass) {
    const language = languageOf(hass);
    await loadTexts(language);
    const t = (key) => text(language, key);
    const found = systems(hass);
    const title = t("card_name");
    if (!found.length) {
      const cards = [{ type: "markdown", content: t("say_no_system") }];
      return { title, views: [{ title: t("view_overview"), path: "overview", cards }] };
    }
    const views = VIEWS.map(([path, icon, build]) => ({
      title: t(`view_${path}`),
      path,
      icon,
      type: "sections",
      max_columns: 3,
      sections: found.flatMap((system) => build(hass, system, t, titled(system, found.length > 1))),
    }));
    return { title, views };
  }
}
