// Start and stop, each with a question; none before a stop while something is wrong.

import { glyph, h } from "./dom.js";
import { whyNot } from "./situation.js";

const DOMAIN = "export_monitor";
const UNPROVEN = ["discharge_stop_failed", "charge_stop_failed"];

export class Controls {
  /** `card` gives `hass`, `format`, `facts()`, `situation()`; buttons are made once and stay. */
  constructor(card) {
    this._card = card;
    this._outcome = h("p", { class: "outcome", role: "status" });
    this._stop = this._button("stop", "stop", () => this._askToStop());
    this._start = this._button("start", "discharge", () => this._ask("discharge"));
    this._charge = this._button("start", "charge", () => this._ask("charge"));
    this.buttons = h("div", { class: "buttons" }, this._stop, this._start, this._charge);
    this.outcome = this._outcome;
    this.dialog = h("dialog", { "aria-labelledby": "question" });
  }

  _button(kind, picture, press) {
    const label = h("span");
    const button = h("button", { class: `action ${kind}`, type: "button", onclick: press }, glyph(picture), label);
    button.label = label;
    return button;
  }

  /** Name the buttons and show those that there are. */
  show(situation) {
    const { format } = this._card;
    this._stop.label.textContent = format.t("stop");
    this._start.label.textContent = format.t("start");
    this._charge.label.textContent = format.t("start_charge");
    this._start.hidden = situation.running;
    this._charge.hidden = situation.running || !this._card.facts().id("button.start_charge");
    this.buttons.classList.toggle("running", situation.running);
    const alarm = situation.running || situation.mode === "offline" || situation.mode === "error";
    this.buttons.classList.toggle("urgent", alarm);
  }

  /** Show what came of a press; `failed` makes it an alarm. */
  say(message, failed = false) {
    this._unproven = false;
    this._outcome.classList.toggle("failed", failed);
    this._outcome.setAttribute("role", failed ? "alert" : "status");
    this._outcome.textContent = message;
  }

  /** Leave it to the alarm to say that a stop is not proven: two red boxes are no clearer. */
  giveWay({ faults }) {
    if (this._unproven && faults.some((fault) => UNPROVEN.includes(fault.state))) this.say("");
  }

  async _call(service) {
    const { hass, system } = this._card;
    await hass.callService(DOMAIN, service, { config_entry_id: system.entryId }, undefined, false);
  }

  /** Ask, as a wall tablet is touched by mistake; never while there is something wrong. */
  _askToStop() {
    const { asksBeforeStop, hass, format } = this._card;
    const { mode, faults } = this._card.situation();
    const wrong = hass.connected === false || mode === "stopping" || faults.length > 0;
    if (!asksBeforeStop || wrong) return this._stopNow();
    const stop = () => {
      this.dialog.close();
      this._stopNow();
    };
    const words = [format.t("confirm_stop"), format.t("confirm_stop_text")];
    return this._question(...words, this._choice(format.t("stop"), "halt", stop));
  }

  /** Stop at once, whatever runs; a second press is welcome and never in the way. */
  async _stopNow() {
    const { hass, format } = this._card;
    if (hass.connected === false) return this.say(format.t("call_offline"), true);
    const { session } = this._card.situation();
    this.say(format.t("stop_sent"));
    const charging = session?.kind === "charge" && hass.services?.[DOMAIN]?.stop_charge;
    return this._settle(charging ? "stop_charge" : "stop_discharge", "stop_proven");
  }

  async _settle(service, done) {
    const { format } = this._card;
    try {
      await this._call(service);
      this.say(format.t(done));
    } catch (error) {
      this.say(format.t("call_failed", { message: error?.message ?? String(error) }), true);
      this._unproven = service.startsWith("stop_");
      this.giveWay(this._card.situation());
    }
  }

  _ask(kind) {
    const { format } = this._card;
    const refusal = whyNot(this._card.facts(), format, kind);
    const title = format.t(refusal ? "cannot_start" : `confirm_${kind}`);
    const start = () => {
      this.dialog.close();
      this.say(`${format.t("starting")} …`);
      this._settle(`start_${kind}`, "start_done");
    };
    const label = format.t(kind === "charge" ? "start_charge" : "start");
    this._question(title, refusal ?? this._promise(kind), refusal ? null : this._choice(label, "go", start));
  }

  /** Show a question; without an answer to choose it is a message to be read and closed. */
  _question(title, words, answer) {
    const leave = this._card.format.t(answer ? "cancel" : "close");
    this.dialog.replaceChildren(
      h("h2", { id: "question" }, title),
      h("p", {}, words),
      h("div", { class: "choices" }, this._choice(leave, "", () => this.dialog.close()), answer),
    );
    this.dialog.showModal();
  }

  _choice(label, look, press) {
    return h("button", { class: `action ${look}`, type: "button", onclick: press }, label);
  }

  _promise(kind) {
    const { format } = this._card;
    const facts = this._card.facts();
    return format.t(`confirm_${kind}_text`, {
      power: format.power(facts.number("number.target_export") ?? 0),
      energy: format.energy(facts.number("sensor.export_headroom") ?? 0),
      duration: format.duration(facts.number("sensor.calculated_duration") ?? 0),
      floor: `${format.number(facts.number("number.minimum_soc") ?? 0)} %`,
    });
  }
}
