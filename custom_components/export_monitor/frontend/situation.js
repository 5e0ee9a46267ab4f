// What is going on, from the states of the entities and, where it says more, the outlook.

import { faultsOf } from "./faults.js";

/** Return the session that runs: `{kind, start, end, power, energy, origin}`, else undefined. */
function sessionOf(facts, outlook) {
  const status = facts.attributes("sensor.discharge_status");
  const live = status.session_id && !status.ended;
  const known = outlook?.session ?? {};
  // Any of the three may be the first to know, and a charge is no discharge that runs.
  if (!live && !known.kind && facts.state("binary_sensor.discharging") !== "on") return undefined;
  const shown = live ? status : {};
  const kind = known.kind ?? shown.kind ?? "discharge";
  const start = Date.parse(shown.started ?? known.start);
  return {
    kind,
    start: Number.isNaN(start) ? Date.now() : start,
    end: known.end ? Date.parse(known.end) : undefined,
    power: shown.power,
    energy: (kind === "charge" ? shown.charged : shown.exported) ?? 0,
    origin: shown.origin,
    stopping: known.phase === "stopping",
  };
}

function modeOf(facts, session, faults) {
  if (facts.hass.connected === false) return "offline";
  if (facts.state("sensor.system_health") === undefined) return "off";
  if (session?.stopping) return "stopping";
  if (session) return session.kind === "charge" ? "charging" : "discharging";
  const status = facts.state("sensor.discharge_status");
  if (status === "Error" || faults.some((fault) => fault.critical)) return "error";
  return { Needed: "ready", Complete: "complete" }[status] ?? "idle";
}

/** Return `{mode, session, faults, running}`. */
export function situationOf(facts, outlook) {
  const session = sessionOf(facts, outlook);
  const faults = facts.state("sensor.system_health") === undefined ? [] : faultsOf(facts);
  return { mode: modeOf(facts, session, faults), session, faults, running: Boolean(session) };
}

/** Return why a start would be refused now, as a text; `undefined` where it would not. */
export function whyNot(facts, format, kind = "discharge") {
  const told = facts.attributes("sensor.discharge_status");
  const blocker = kind === "charge" ? told.charge_blocker : told.blocker;
  if (!blocker) return undefined;
  return format.t(`blocker_${blocker}`) ?? format.t("blocker_unknown", { blocker });
}

function aboutSession(session, format) {
  const origin = session.origin && format.t(`origin_${session.origin}`);
  const end = session.end && format.t("planned_end", { time: format.time(session.end) });
  return [origin, end].filter(Boolean).join(" ");
}

/** Return the sentences below the title, the first one the most important. */
export function sentences(facts, situation, format) {
  const { mode, session } = situation;
  if (session && ["discharging", "charging"].includes(mode)) {
    const values = {
      power: format.power(session.power ?? 0),
      time: format.time(session.start),
      energy: format.energy(session.energy),
    };
    return [format.t(`say_${mode}`, values), aboutSession(session, format)];
  }
  if (mode === "ready") {
    const values = {
      energy: format.energy(facts.number("sensor.export_headroom") ?? 0),
      duration: format.duration(facts.number("sensor.calculated_duration") ?? 0),
      power: format.power(facts.number("number.target_export") ?? 0),
    };
    return [format.t("say_ready", values), whyNot(facts, format)];
  }
  if (mode === "complete") {
    const { ended, reason, kind, exported, charged } = facts.attributes("sensor.discharge_status");
    const energy = format.energy((kind === "charge" ? charged : exported) ?? 0);
    const values = { time: ended ? format.time(ended) : "–", energy };
    const because = reason && format.t(`end_${reason}`);
    const why = because && because[0].toLocaleUpperCase(format.language) + because.slice(1) + ".";
    return [format.t("say_complete", values), why, whyNot(facts, format)];
  }
  if (mode === "idle") return [format.t("say_idle"), whyNot(facts, format)];
  if (mode === "error") return [];
  return [format.t(`say_${mode}`)];
}
