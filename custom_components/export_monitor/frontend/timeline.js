// The next 36 hours: carbon intensity or price, and over it the windows of the plan.

import { glyph, h, svg } from "./dom.js";

const HOUR = 3_600_000;
const HALF_HOUR = HOUR / 2;
const SPAN = 36 * HOUR;
const LABEL_HOURS = 3;
const SHOWN_PAST = 2;
const SHOWN = 4;
const CURVES = { carbon: 0, export_price: 2, import_price: 2 }; // digits

const over = (window, now) => window.end <= now;

/** Return what to draw from the outlook: moments as numbers, and only what lies ahead. */
export function horizon(outlook, session, now) {
  const start = Math.floor(now / HALF_HOUR) * HALF_HOUR;
  const end = start + SPAN;
  const ahead = (each) => each.end > start && each.start < end;
  const curves = (outlook?.rates ?? [])
    .map(({ kind, unit, slots }) => ({
      kind,
      unit,
      slots: slots
        .map((slot) => ({ start: Date.parse(slot[0]), end: Date.parse(slot[1]), value: slot[2] }))
        .filter(ahead),
    }))
    .filter((curve) => curve.slots.length);
  const windows = (outlook?.windows ?? [])
    .map((window) => ({
      ...window,
      start: Date.parse(window.start),
      end: Date.parse(window.end),
    }))
    .filter((window) => window.start < end)
    .sort((a, b) => a.end - b.end);
  const running = session && {
    kind: session.kind,
    start: Math.max(start, session.start),
    end: Math.max(session.end ?? now, now + HOUR / 4),
  };
  const past = windows.filter((each) => over(each, now));
  return { start, end, now, curves, past, windows: windows.slice(past.length), running };
}

const share = (view, moment) =>
  Math.min(100, Math.max(0, ((moment - view.start) / SPAN) * 100));

/** Return the bars of a curve as one path, in a box of 100 by 100 with its top at the highest. */
function bars(view, curve, range) {
  const y = (value) => 100 - ((value - range.low) / (range.high - range.low)) * 92;
  return curve.slots
    .map((slot) => {
      const [left, right] = [share(view, slot.start), share(view, slot.end)];
      return `M${left} ${y(0)}V${y(slot.value)}H${right}V${y(0)}Z`;
    })
    .join("");
}

/** Return a curve as a line of steps, for the price that stands in second place. */
function steps(view, curve, range) {
  const y = (value) => 100 - ((value - range.low) / (range.high - range.low)) * 92;
  return curve.slots
    .map((slot, index) => {
      const gap = index === 0 || curve.slots[index - 1].end !== slot.start;
      const [left, right] = [share(view, slot.start), share(view, slot.end)];
      return `${gap ? "M" : "L"}${left} ${y(slot.value)}H${right}`;
    })
    .join("");
}

/** Return lowest and highest value of curves that share a scale; 0 is always on it. */
function rangeOf(curves) {
  const values = curves.flatMap((curve) => curve.slots.map((slot) => slot.value));
  const low = Math.min(0, ...values);
  return { low, high: Math.max(low + 1e-6, ...values) };
}

function grid(view, format) {
  const marks = [];
  for (let at = Math.ceil((view.start + 1) / HOUR) * HOUR; at < view.end; at += HOUR) {
    const hour = format.hour(at);
    if (hour % LABEL_HOURS) continue;
    const kind = hour === 0 ? "midnight" : hour % 6 ? "minor" : "major";
    const edge = share(view, at) < 4 || share(view, at) > 96; // there half of it would be cut off
    const label = hour === 0 ? format.weekday.format(new Date(at)) : format.fullHour(at);
    marks.push(
      h("div", { class: `mark ${kind}`, style: `left:${share(view, at)}%` }, edge ? null : h("span", {}, label)),
    );
  }
  return marks;
}

function block(view, format, window, running) {
  const [left, right] = [share(view, window.start), share(view, window.end)];
  const name = running ? format.t("running") : format.t(window.kind);
  return h(
    "div",
    {
      class: `block ${window.kind}${running ? " running" : ""}`,
      style: `left:${left}%;width:${Math.max(0.8, right - left)}%`,
      title: `${name} ${format.time(window.start)} – ${format.time(window.end)}`,
    },
    right - left > 3 ? glyph(window.kind) : null,
  );
}

function inWords(curve, format, view) {
  const digits = CURVES[curve.kind];
  const show = (slot) => (slot ? format.number(slot.value, digits) : "–");
  const when = (slot) => `${format.day(slot.start, view.now)} ${format.time(slot.start)}`;
  const now = curve.slots.find((slot) => slot.start <= view.now && view.now < slot.end);
  const low = curve.slots.reduce((best, slot) => (slot.value < best.value ? slot : best));
  const high = curve.slots.reduce((best, slot) => (slot.value > best.value ? slot : best));
  const values = {
    now: show(now),
    low: show(low),
    low_at: when(low),
    high: show(high),
    high_at: when(high),
  };
  return `${format.t(`curve_${curve.kind}`)} (${curve.unit}): ${format.t("curve_summary", values)}`;
}

/** Return the curves that are drawn: two only where both are prices, as one scale has one unit. */
function drawn([first, ...others]) {
  return [first, others.find((curve) => curve.unit === first.unit)].filter(Boolean);
}

/** Return the picture; what it says stands in words below it, so it is hidden from readers. */
function picture(view, format) {
  const curves = drawn(view.curves);
  const [first, second] = curves;
  const range = first && rangeOf(curves);
  const shapes = svg(
    "svg",
    { viewBox: "0 0 100 100", preserveAspectRatio: "none", class: "curve" },
    first && svg("path", { class: "bars", d: bars(view, first, range) }),
    second && svg("path", { class: "steps", d: steps(view, second, range) }),
  );
  const digits = first ? CURVES[first.kind] : 0;
  return h(
    "div",
    { class: "picture", "aria-hidden": "true" },
    h(
      "div",
      { class: "plot" },
      shapes,
      first && h("span", { class: "top" }, `${format.number(range.high, digits)} ${first.unit}`),
      view.windows.map((window) =>
        h("div", {
          class: `band ${window.kind}`,
          style: `left:${share(view, window.start)}%;width:${share(view, window.end) - share(view, window.start)}%`,
        }),
      ),
      grid(view, format),
      h("div", { class: "now", style: `left:${share(view, view.now)}%` }),
    ),
    h(
      "div",
      { class: "lane" },
      view.windows.map((window) => block(view, format, window, false)),
      view.running && block(view, format, view.running, true),
    ),
  );
}

/** Return why something was not done, in the words that the card has for it anyway. */
function because(reason, format) {
  const keys = [`end_${reason}`, `reason_${reason}`, `blocker_${reason}`, `fault_${reason}`];
  return reason && keys.map((key) => format.t(key)).find(Boolean);
}

function row(window, format, now) {
  const { fate, reason } = window;
  const done = fate && format.t(`fate_${fate}`, { energy: format.energy(window.delivered_kwh) });
  const planned = [format.energy(window.energy_kwh), format.power(window.power_w), format.t(`why_${window.why}`)];
  const told = [done, because(reason, format)].filter(Boolean);
  const facts = over(window, now) ? told : [...told, ...planned];
  const when = `${format.day(window.start, now)} ${format.time(window.start)} – ${format.time(window.end)}`;
  return h(
    "li",
    {},
    h("span", { class: `dot ${over(window, now) ? "past" : window.kind}` }, glyph(window.kind)),
    h(
      "div",
      {},
      h("strong", {}, `${format.t(window.kind)}, ${when}`),
      h("span", { class: "facts" }, facts.filter(Boolean).join(" · ")),
    ),
  );
}

const list = (windows, view, format) =>
  h("ul", { class: "plan" }, windows.map((window) => row(window, format, view.now)));

/** Return the elements of the section; `absent` says why there is no plan. */
export function timeline(view, format, absent) {
  const legend = drawn(view.curves).map((curve, index) =>
    h("p", { class: `legend${index ? " second" : ""}` }, inWords(curve, format, view)),
  );
  const listed = [...view.past.slice(-SHOWN_PAST), ...view.windows];
  const many = listed.length > SHOWN + 1; // one more takes no more room than the line that hides it
  const [first, more] = many ? [listed.slice(0, SHOWN), listed.slice(SHOWN)] : [listed, []];
  return [
    h("h3", {}, format.t("timeline")),
    picture(view, format),
    ...(legend.length ? legend : [h("p", { class: "legend none" }, format.t("curve_none"))]),
    listed.length ? list(first, view, format) : null,
    more.length
      ? h("details", {}, h("summary", {}, format.t("plan_more", { count: more.length })), list(more, view, format))
      : null,
    view.windows.length
      ? null
      : h("p", { class: "quiet" }, format.t(`plan_${absent ?? "none"}`) ?? format.t("plan_none")),
  ];
}
