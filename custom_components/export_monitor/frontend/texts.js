// Words, numbers and times in the user's own language and format.

import english from "./texts/en.js";

// Between a figure and its unit: neither begins a line without the other.
const JOIN = "\u00a0";
const LANGUAGES = ["en", "de", "fr", "es", "it", "nl", "pt", "pl"];
const loaded = { en: english };

/** Return which of our languages serves a code like "pt-BR"; English where none does. */
function serving(code) {
  const language = String(code || "en").toLowerCase().split("-")[0];
  return LANGUAGES.includes(language) ? language : "en";
}

/** Load a language; without its file, the texts are English and nobody is left without words. */
export async function loadTexts(code) {
  const language = serving(code);
  if (loaded[language]) return;
  try {
    loaded[language] = (await import(`./texts/${language}.js`)).default;
  } catch {
    loaded[language] = english;
  }
}

export const textsReady = (code) => serving(code) in loaded;

/** Return a text with its {placeholders} filled; `undefined` where there is no such key. */
export function text(code, key, values = {}) {
  const words = loaded[serving(code)] ?? english;
  const found = words[key] ?? english[key];
  return found?.replace(/\{(\w+)\}/g, (_, name) => values[name] ?? "");
}

export const languageOf = (hass) => hass?.locale?.language ?? hass?.language ?? "en";

const NUMBER_LOCALES = {
  comma_decimal: ["en-US", "en"],
  decimal_comma: ["de", "es", "it"],
  space_comma: ["fr", "sv", "cs"],
  quote_decimal: ["de-CH"],
  system: undefined,
};

/** Formats as the user's profile wants them: `hass.locale` and, for times, the chosen zone. */
export class Format {
  constructor(hass) {
    this.language = languageOf(hass);
    this.locale = hass?.locale ?? {};
    const zone = this.locale.time_zone === "server" ? hass?.config?.time_zone : undefined;
    const hour12 = { 12: true, 24: false }[this.locale.time_format];
    const here = this.locale.time_format === "system" ? undefined : this.language;
    this.clock = new Intl.DateTimeFormat(here, {
      hour: "numeric",
      minute: "2-digit",
      timeZone: zone,
      ...(hour12 === undefined ? {} : { hour12 }),
    });
    this.short = this.clock.resolvedOptions().hour12
      ? new Intl.DateTimeFormat(here, { hour: "numeric", timeZone: zone, hour12: true })
      : this.clock;
    this.weekday = new Intl.DateTimeFormat(this.language, { weekday: "short", timeZone: zone });
    this.dayKey = new Intl.DateTimeFormat("en-CA", { timeZone: zone, dateStyle: "short" });
    this.hourOfDay = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", timeZone: zone });
    this.relative = new Intl.RelativeTimeFormat(this.language, { numeric: "auto" });
  }

  t(key, values) {
    return text(this.language, key, values);
  }

  number(value, digits = 0) {
    const style = this.locale.number_format;
    const locale = style in NUMBER_LOCALES ? NUMBER_LOCALES[style] : this.language;
    const options = { minimumFractionDigits: digits, maximumFractionDigits: digits };
    if (style === "none") return new Intl.NumberFormat("en", { ...options, useGrouping: false }).format(value);
    return new Intl.NumberFormat(locale, options).format(value);
  }

  energy(kwh) {
    return `${this.number(kwh, 2)}${JOIN}kWh`;
  }

  power(watts) {
    return Math.abs(watts) < 1000 ? `${this.number(watts)}${JOIN}W` : `${this.number(watts / 1000, 1)}${JOIN}kW`;
  }

  duration(minutes) {
    const whole = Math.max(1, Math.round(minutes));
    const [hours, rest] = [Math.floor(whole / 60), whole % 60];
    if (whole < 90) return `${whole}${JOIN}min`;
    return (rest ? [hours, "h", rest, "min"] : [hours, "h"]).join(JOIN);
  }

  time(moment) {
    return this.clock.format(new Date(moment));
  }

  /** Return a full hour as briefly as the user's clock allows: "6 AM", "06:00". */
  fullHour(moment) {
    return this.short.format(new Date(moment));
  }

  /** Return the hour (0-23) of a moment on the user's clock. */
  hour(moment) {
    return Number(this.hourOfDay.format(new Date(moment))) % 24;
  }

  /** Return "today", "tomorrow" or the weekday. */
  day(moment, now) {
    const [then, today, tomorrow] = [moment, now, now + 86_400_000].map((each) =>
      this.dayKey.format(new Date(each)),
    );
    if (then === today) return this.relative.format(0, "day");
    if (then === tomorrow) return this.relative.format(1, "day");
    return this.weekday.format(new Date(moment));
  }
}
