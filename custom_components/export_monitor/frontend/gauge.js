// How much of the allowance is used, what is left for the battery, and what is not.

import { h } from "./dom.js";

const KEPT_KWH = 0.1; // less is the meter lagging behind

const percent = (part, whole) => (whole > 0 ? Math.min(100, Math.max(0, (part / whole) * 100)) : 0);

/** Return figures of the gauge; `undefined` while the data behind them is incomplete. */
export function allowance(facts) {
  const allowed = facts.number("sensor.export_allowed");
  const headroom = facts.number("sensor.export_headroom");
  const exported = facts.number("sensor.exported_today");
  if ([allowed, headroom, exported].includes(undefined)) return undefined;
  return { allowed, headroom, exported };
}

function part(kind, label, value, format) {
  return h(
    "div",
    { class: "part" },
    h("dt", {}, h("i", { class: kind, "aria-hidden": "true" }), label),
    h("dd", {}, format.energy(value)),
  );
}

/** Return the elements of the section. */
export function gauge(figures, format) {
  if (!figures) {
    return [h("h3", {}, format.t("gauge")), h("p", { class: "quiet" }, format.t("gauge_none"))];
  }
  const { allowed, headroom, exported } = figures;
  const kept = Math.max(0, allowed - exported - headroom);
  const used = percent(exported, allowed);
  const free = Math.min(100 - used, percent(headroom, allowed));
  const said = format.t("gauge_left", {
    energy: format.energy(headroom),
    allowed: format.energy(allowed),
  });
  return [
    h("h3", {}, format.t("gauge"), h("span", { class: "said" }, said)),
    h(
      "div",
      {
        class: "bar",
        role: "meter",
        "aria-label": format.t("gauge"),
        "aria-valuemin": 0,
        "aria-valuemax": Math.max(allowed, 0),
        "aria-valuenow": Math.min(Math.max(headroom, 0), Math.max(allowed, 0)),
        "aria-valuetext": said,
      },
      h("span", { class: "exported", style: `width:${used}%` }),
      h("span", { class: "headroom", style: `width:${free}%` }),
    ),
    h(
      "dl",
      { class: "parts" },
      part("exported", format.t("gauge_exported"), exported, format),
      part("headroom", format.t("gauge_headroom"), headroom, format),
      kept >= KEPT_KWH ? part("kept", format.t("gauge_kept"), kept, format) : null,
    ),
  ];
}
