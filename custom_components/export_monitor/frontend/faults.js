// What is wrong, what it means and what to do, in plain words.

import { nameOf } from "./entities.js";
import { h } from "./dom.js";

const CRITICAL = ["discharge_stop_failed", "charge_stop_failed", "over_export"];
// Errors that mean the same to the person who reads them.
const SAME = {
  discharge_power_set_failed: "set_failed",
  discharge_cutoff_set_failed: "set_failed",
  discharge_duration_set_failed: "set_failed",
  discharge_start_failed: "start_failed",
  charge_start_failed: "start_failed",
};

/** Return the faults that stand: `{key, state, critical, entity, since, detail}`, worst first. */
export function faultsOf(facts) {
  const found = [];
  const error = facts.state("sensor.error_state");
  if (error && error !== "none") {
    const { entity_id: entity, since, detail } = facts.attributes("sensor.error_state");
    const key = SAME[error] ?? error;
    found.push({ key, state: error, critical: CRITICAL.includes(error), entity, since, detail });
  }
  const health = facts.state("sensor.system_health");
  if (health === "Circuit Breaker Open") found.push({ key: "circuit_open", state: health });
  else if (health === "Stale Data" && !found.length) found.push({ key: "stale_data", state: health });
  if (!found.length && facts.state("binary_sensor.data_problem") === "on") {
    const { entity_id: entity, problem } = facts.attributes("binary_sensor.data_problem");
    if (entity) found.push({ key: "no_data", state: "no_data", entity, detail: problem });
  }
  return found;
}

// Every installation is without it for its first days, so it is nothing to speak of.
const USUAL = ["load_profile"];

/** Return whether something works less well than it could; the entity's attributes say what. */
export const isDegraded = (facts) =>
  (facts.attributes("binary_sensor.data_problem").degraded ?? []).some(
    (each) => !USUAL.includes(each.what),
  );

function about(fault, hass, format, moreInfo) {
  const since = fault.since && format.t("fault_since", { time: format.time(fault.since) });
  if (!fault.entity) return since ? h("p", { class: "about" }, since) : null;
  const [before, after] = format.t("fault_entity", { entity: "\u0000" }).split("\u0000");
  const link = h(
    "button",
    { class: "link", type: "button", onclick: () => moreInfo(fault.entity) },
    nameOf(hass, fault.entity),
  );
  return h("p", { class: "about" }, before, link, after, since ? `, ${since}` : "");
}

/** Return a fault as a box: its first line says what it means, the others are what to do. */
export function faultBox(fault, hass, format, moreInfo) {
  const known = format.t(`fault_${fault.key}`) ? fault.key : "unknown";
  const [meaning, ...todo] = format.t(`fault_${known}_text`).split("\n");
  return h(
    "section",
    { class: `fault${fault.critical ? " critical" : ""}` },
    h("h3", {}, format.t(`fault_${known}`, { state: fault.state })),
    h("p", {}, meaning),
    todo.length > 1 ? h("ol", {}, todo.map((step) => h("li", {}, step))) : h("p", {}, todo.join("")),
    about(fault, hass, format, moreInfo),
  );
}
