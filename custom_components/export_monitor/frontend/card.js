// The card. Home Assistant hands over a new `hass` at every change of any entity; nothing is looked
// at, let alone drawn, unless something of ours is another object than before.

import { Controls } from "./controls.js";
import { h, renew, setText } from "./dom.js";
import { Facts, systemOf, systems } from "./entities.js";
import { faultBox, isDegraded } from "./faults.js";
import { allowance, gauge } from "./gauge.js";
import { openRecord } from "./record.js";
import { sentences, situationOf } from "./situation.js";
import { STYLES } from "./styles.js";
import { Format, languageOf, loadTexts, text, textsReady } from "./texts.js";
import { horizon, timeline } from "./timeline.js";

const MINUTE = 60_000;
const PARTS = ["controls", "allowance", "timeline"]; // each can be switched off
const ALARMS = ["error", "off", "offline", "stopping"];

export class ExportMonitorCard extends HTMLElement {
  static getConfigForm() {
    const language = () => languageOf(document.querySelector("home-assistant")?.hass);
    return {
      schema: [
        { name: "device_id", selector: { device: { integration: "export_monitor" } } },
        { name: "title", selector: { text: {} } },
        ...PARTS.map((name) => ({ name, default: true, selector: { boolean: {} } })),
        { name: "confirm_stop", default: true, selector: { boolean: {} } },
      ],
      computeLabel: (field) => text(language(), `editor_${field.name}`),
      computeHelper: (field) => (field.name === "device_id" ? text(language(), "editor_device_id_help") : undefined),
    };
  }

  static getStubConfig(hass) {
    const found = systems(hass);
    return found.length > 1 ? { device_id: found[0].id } : {};
  }

  constructor() {
    super();
    this._config = {};
    this._seen = {};
    this._controls = new Controls(this);
    this._title = h("h2");
    // The state is announced; the sentence below it is not, as its figures change all the time.
    this._chip = h("span", { class: "chip", role: "status" });
    this._say = h("div", { class: "say" });
    this._faults = h("div", { class: "faults", role: "alert" });
    const why = () => this._moreInfo(this.facts().id("binary_sensor.data_problem"));
    this._degraded = h("button", { class: "link quiet", type: "button", onclick: why });
    this._gauge = h("section");
    this._record = h("button", { class: "link quiet", type: "button", onclick: () => this._openRecord() });
    this._timeline = h("section");
    const body = h(
      "div",
      { class: "body" },
      h("header", {}, this._title, this._chip),
      this._say,
      this._controls.buttons,
      this._controls.outcome,
      this._faults,
      this._gauge,
      this._timeline,
      h("footer", {}, this._degraded, this._record),
    );
    const root = this.attachShadow({ mode: "open" });
    root.append(h("style", {}, STYLES), h("ha-card", {}, body), this._controls.dialog);
  }

  setConfig(config) {
    this._config = config ?? {};
    this._seen = {};
    this._update();
  }

  getCardSize() {
    return this._shows("timeline") ? 9 : 5;
  }

  _shows(part) {
    return this._config[part] !== false;
  }

  getGridOptions() {
    return { columns: 12, min_columns: 6, rows: "auto" };
  }

  set hass(hass) {
    this._hass = hass;
    this._update();
  }

  get hass() {
    return this._hass;
  }

  connectedCallback() {
    this._clock = setInterval(() => this._draw(), MINUTE);
    this._update();
  }

  disconnectedCallback() {
    clearInterval(this._clock);
    this._leave();
  }

  get asksBeforeStop() {
    return this._config.confirm_stop !== false;
  }

  facts() {
    return new Facts(this._hass, this.system);
  }

  situation() {
    return situationOf(this.facts(), this._outlook);
  }

  /** Draw if anything that the card shows has changed. */
  _update() {
    const hass = this._hass;
    if (!hass) return;
    const language = languageOf(hass);
    if (!textsReady(language)) {
      loadTexts(language).then(() => this._update());
      return;
    }
    this.system = systemOf(hass, this._config);
    const seen = {
      locale: hass.locale,
      language,
      connected: hass.connected,
      dark: hass.themes?.darkMode,
      admin: hass.user?.is_admin,
      system: this.system,
    };
    for (const id of Object.values(this.system?.entities ?? {})) seen[id] = hass.states[id];
    const keys = new Set([...Object.keys(seen), ...Object.keys(this._seen)]);
    if ([...keys].every((key) => seen[key] === this._seen[key])) {
      this._follow();
      return;
    }
    if (seen.locale !== this._seen.locale || !this.format) this.format = new Format(hass);
    this._seen = seen;
    this.toggleAttribute("dark", Boolean(hass.themes?.darkMode));
    this._follow();
    this._draw();
  }

  /** Be told the outlook of the entry shown, as long as the card is on a page. */
  _follow() {
    const entryId = this.isConnected ? this.system?.entryId : undefined;
    if (this._followed === entryId) return;
    this._leave();
    this._followed = entryId;
    if (!entryId) return;
    const heard = (outlook) => {
      if (this._followed !== entryId) return;
      this._outlook = outlook;
      this._draw();
    };
    const message = { type: "export_monitor/outlook", config_entry_id: entryId };
    this._subscription = this._hass.connection
      .subscribeMessage(heard, message)
      .catch(() => undefined); // the integration is older than the page: no timeline, no harm
  }

  _leave() {
    this._followed = undefined;
    this._outlook = undefined;
    // A connection that is gone has forgotten the subscription by itself.
    this._subscription?.then((leave) => leave?.()).catch(() => undefined);
    this._subscription = undefined;
  }

  _draw() {
    if (!this.format || !this._hass) return;
    if (!this.system) this._drawNothing();
    else this._drawSystem();
  }

  _drawNothing() {
    const key = this._config.device_id || this._config.entry ? "say_gone" : "say_no_system";
    setText(this._title, this._config.title || this.format.t("card_name"));
    this._chip.hidden = true;
    this._controls.buttons.hidden = true;
    renew(this._say, key, () => h("p", {}, this.format.t(key)));
    for (const each of [this._faults, this._gauge, this._timeline]) renew(each, null, () => []);
    this._degraded.hidden = true;
    this._record.hidden = true;
  }

  _drawSystem() {
    const { format } = this;
    const [facts, situation] = [this.facts(), this.situation()];
    const language = format.locale;
    setText(this._title, this._config.title || this.system.name);
    this._chip.hidden = false;
    setText(this._chip, format.t(`state_${situation.mode}`));
    this._chip.className = `chip ${this._look(situation)}`;
    const words = sentences(facts, situation, format).filter(Boolean);
    renew(this._say, words, () => words.map((each) => h("p", {}, each)));
    this._controls.buttons.hidden = !this._shows("controls");
    this._controls.show(situation);
    this._controls.giveWay(situation);
    renew(this._faults, [situation.faults, language], () =>
      situation.faults.map((fault) => faultBox(fault, this._hass, format, (id) => this._moreInfo(id))),
    );
    const figures = allowance(facts);
    this._gauge.hidden = !this._shows("allowance");
    renew(this._gauge, [figures ?? null, language], () => gauge(figures, format));
    setText(this._record, format.t("record"));
    this._record.hidden = this._gauge.hidden || !this._hass.user?.is_admin;
    this._drawTimeline(facts, situation);
    setText(this._degraded, format.t("degraded"));
    this._degraded.hidden = !isDegraded(facts);
  }

  _drawTimeline(facts, situation) {
    this._timeline.hidden = !this._shows("timeline");
    if (this._timeline.hidden) return;
    const now = Math.floor(Date.now() / MINUTE) * MINUTE;
    const view = horizon(this._outlook, situation.session, now);
    const absent = this._outlook?.absent ?? null;
    renew(this._timeline, [view, absent, this.format.locale], () => timeline(view, this.format, absent));
  }

  async _openRecord() {
    try {
      await openRecord(this._hass, this.system.entryId);
    } catch (error) {
      this._controls.say(this.format.t("call_failed", { message: error?.message ?? String(error) }), true);
    }
  }

  _look({ mode, session }) {
    if (ALARMS.includes(mode)) return "alarm";
    return session?.kind ?? "";
  }

  _moreInfo(entityId) {
    const detail = { entityId };
    this.dispatchEvent(new CustomEvent("hass-more-info", { detail, bubbles: true, composed: true }));
  }
}
