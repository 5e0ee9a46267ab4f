"""The printable page: HTML without a script, everything that is not ours escaped."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape
from types import MappingProxyType

from .chart import of_day, of_days
from .days import Day
from .report import Figures, Kept, figures, summary

STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1d2733; max-width: 760px;
  margin: 2rem auto; padding: 0 1rem; background: #fff; }
h1 { font-size: 1.7em; line-height: 1.2; margin: 0; } h3 { font-size: 1.15em; margin: 0; }
h2 { font-size: 1.3em; margin: 1.6em 0 .4em; }
p.said { color: #55606e; margin: .25em 0 1em; }
nav { margin: 0 0 1em; } nav a { color: #1c5fa8; margin-right: 1.2em; white-space: nowrap; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .2em .4em;
  border-bottom: 1px solid #dde3ea; text-align: left; vertical-align: top; font-weight: normal; }
table.whole { max-width: 26em; } tr:last-child > * { border-bottom: 0; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
section.day { break-inside: avoid; border: 1px solid #dde3ea; border-radius: 8px;
  padding: .8em; margin: 0 0 .8em; display: grid; grid-template-columns: 1fr 1fr; gap: .6em .8em;
  align-items: start; }
section.day > * { min-width: 0; } section.day header { grid-column: 1 / -1; }
section.over { border-color: #b3261e; }
header h3 { display: inline; margin-right: .5em; } header .basis { color: #55606e; }
.mark { border-radius: 4px; padding: .1em .4em; margin-right: .5em; font-size: .85em;
  background: #e2f1e4; color: #1c5c28; } .mark.over { background: #fbe3e1; color: #8c1d18; }
.mark.none, .mark.today { background: #eceff3; color: #55606e; }
.notes { margin: .6em 0 0; padding-left: 1.2em; font-size: .93em; }
svg { width: 100%; height: auto; display: block; overflow: visible; }
.grid { stroke: #e4e8ee; } .axis { font-size: 9px; fill: #55606e; }
.area { fill: #2f7fd133; } .export { fill: none; stroke: #2f7fd1; stroke-width: 1.8; }
.allowance { fill: none; stroke: #5d6b7a; stroke-dasharray: 4 3; }
.contract { stroke: #b3261e; stroke-width: 1.6; } .breach { stroke: #b3261e; stroke-width: 2.5; }
.session { fill: #f3c14b66; } .bar { fill: #2f7fd1; } .bar.over { fill: #eba7a2; }
.legend span { margin-right: 1em; white-space: nowrap; } .legend i { display: inline-block;
  width: 1.3em; height: .6em; margin-right: .4em; vertical-align: middle; }
.legend i.line { height: 0; }
footer { margin-top: 2em; color: #55606e; font-size: .9em; }
@media (max-width: 560px) { section.day { grid-template-columns: 1fr; }
  .wide .axis { font-size: 17px; } .wide .date { transform: translateY(6px); }
  .wide .other { display: none; } }
@page { margin: 14mm; }
@media print { body { margin: 0; padding: 0; max-width: none; font-size: 11px; }
  nav { display: none; } h1, h2, header { break-after: avoid; } td, th { padding: .1em .4em; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
LEGEND = (
    ("export", "", "background:#2f7fd1"),
    ("allowance", "line", "border-top:2px dashed #5d6b7a"),
    ("contract", "line", "border-top:2px solid #b3261e"),
    ("session", "", "background:#f3c14b"),
)
ROWS = (
    "generated_kwh",
    "exported_kwh",
    "contract_kwh",
    "allowance_kwh",
    "least_allowance_kwh",
    "headroom_left_kwh",
    "deliberate_kwh",
    "charged_kwh",
    "peak_export_w",
    "carbon_saved_kg",
    "money_earned",
)
TOTALS = (
    "days",
    "days_over",
    "generated_kwh",
    "exported_kwh",
    "deliberate_kwh",
    "charged_kwh",
    "peak_export_w",
    "sessions",
    "refusals",
    "breaches",
    "carbon_saved_kg",
    "money_earned",
    "corrected_exported_kwh",
)
NOTICEABLE_MIN = 5
DASH, TIMES = "\N{EN DASH}", "\N{MULTIPLICATION SIGN}"
MARKS = {"over": "over", "inside": "in", "no_contract": "none"}


@dataclass(frozen=True, slots=True)
class Speech:
    """How to say it: texts by name, a number with its digits, and reasons in words."""

    language: str
    word: Callable[[str], str]
    number: Callable[[float, int], str]
    reason: Callable[[str, str], str]
    """The words of a reason: its kind ("session", "refusal", "cause", "why", "basis"), its name."""
    zone: tzinfo
    currency: str


def page(
    title: str,
    found: Kept,
    speech: Speech,
    made: datetime,
    links: Mapping[str, str] = MappingProxyType({}),
) -> str:
    """Return the page of a span of days, with the addresses that lead on from it by their names."""
    whole = summary(found)
    word = speech.word
    head = escape(title)
    days = "".join(_day(day, found, speech) for day in reversed(found.days))
    first, last = _recorded(found)
    gaps = "".join(f"<li>{escape(each)}</li>" for each in found.missing)
    missing = f"<h2>{_say(word, 'no_record')}</h2><ul>{gaps}</ul>" if gaps else ""
    return (
        f'<!doctype html><html lang="{escape(speech.language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" '
        f'content="no-referrer"><title>{_say(word, "title")}: {head}</title>'
        f"<style>{STYLE}</style></head><body>"
        f"<h1>{_say(word, 'title')}</h1>"
        f'<p class="said">{head}, {escape(first)} &ndash; {escape(last)}</p>'
        f"{_links(links, word)}{_legend(word)}"
        f"{of_days(found.days, word('overview'), speech.number)}"
        f"<h2>{_say(word, 'summary')}</h2>{_table('whole', TOTALS, whole, speech)}"
        f"<h2>{_say(word, 'margin')}</h2><p>{escape(_margin(whole, speech))}</p>{missing}"
        f"<h2>{_say(word, 'days_heading')}</h2>{days}"
        f"<footer><p>{_say(word, 'notes')}</p>"
        f"<p>{_say(word, 'made')} {_moment(made, speech)}</p></footer></body></html>"
    )


def _links(links: Mapping[str, str], word: Callable[[str], str]) -> str:
    """Return what leads on; not on paper, where an address that opens something has no place."""
    shown = (
        f'<a href="{escape(links[name])}">{_say(word, name)}</a>'
        for name in ("earlier", "all_days", "download")
        if name in links
    )
    return f"<nav>{' '.join(shown)}</nav>" if links else ""


def _recorded(found: Kept) -> tuple[str, str]:
    """Return the first and the last date that the record speaks of: what was before is no 0."""
    dates = sorted((*(day.date for day in found.days), *found.missing))
    if not dates:
        return found.start.isoformat(), found.end.isoformat()
    return dates[0], dates[-1]


def _say(word: Callable[[str], str], name: str) -> str:
    return escape(word(name))


def _legend(word: Callable[[str], str]) -> str:
    spans = "".join(
        f'<span><i class="{kind}" style="{style}"></i>{_say(word, f"legend_{name}")}</span>'
        for name, kind, style in LEGEND
    )
    return f'<p class="legend">{spans}</p>'


def _table(kind: str, names: Iterable[str], values: Figures, speech: Speech) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_say(speech.word, name)}</th>'
        f'<td class="n">{escape(_shown(name, values.get(name), speech))}</td></tr>'
        for name in names
    )
    return f'<table class="{kind}">{rows}</table>'


def _shown(name: str, value: object, speech: Speech) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return DASH
    for ending, digits, unit in (
        ("_kwh", 2, " kWh"),
        ("_w", 0, " W"),
        ("_kg", 1, " kg CO₂"),
        ("money_earned", 2, f" {speech.currency}"),
    ):
        if name.endswith(ending):
            return speech.number(float(value), digits) + unit
    return speech.number(float(value), 0)


def _margin(whole: Figures, speech: Speech) -> str:
    margin = whole["margin"]
    if not isinstance(margin, dict) or not isinstance(margin["enough_kwh"], int | float):
        return speech.word("margin_unknown")
    name = "margin_advice" if margin["suggested_kwh"] != margin["in_force_kwh"] else "margin_enough"
    facts: Mapping[str, str] = {
        "enough": speech.number(margin["enough_kwh"], 1),
        "days": str(margin["days_judged"]),
        "cost": _shown("_kwh", margin["would_cost_kwh"], speech),
        "money": _shown("money_earned", margin["would_cost_money"], speech),
    }
    text = speech.word(name)
    for key, value in facts.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def _day(day: Day, found: Kept, speech: Speech) -> str:
    values = figures(day, found.looked)
    state = str(values["status"])
    over = " over" if day.is_over else ""
    marks = f'<span class="mark {MARKS[state]}">{_say(speech.word, state)}</span>'
    if day.date == found.today:
        marks += f'<span class="mark today">{_say(speech.word, "today")}</span>'
    if day.basis:
        marks += f'<span class="basis">{escape(speech.reason("basis", day.basis))}</span>'
    notes = "".join(f"<li>{escape(each)}</li>" for each in _notes(day, found, speech))
    listed = f'<ul class="notes">{notes}</ul>' if notes else ""
    label = f"{speech.word('chart')} {day.date}"
    chart = of_day(day, speech.zone, label, speech.number)
    return (
        f'<section class="day{over}"><header><h3>{escape(day.date)}</h3>{marks}</header>'
        f"<div>{chart}{listed}</div>{_table('sums', ROWS, values, speech)}</section>"
    )


def _notes(day: Day, found: Kept, speech: Speech) -> Iterable[str]:
    """Yield sessions, refusals, breaches and corrections, one line each."""
    word, number = speech.word, speech.number
    for each in day.sessions:
        yield (
            f"{_time(each.started, speech)}{DASH}{_time(each.ended, speech)} {word(each.kind)}: "
            f"{number(each.kwh, 2)} kWh, {speech.reason('session', each.reason)}"
        )
    for refusal in day.refusals:
        yield (
            f"{word('refused')} {refusal.count}{TIMES}, {_time(refusal.first, speech)}{DASH}"
            f"{_time(refusal.last, speech)}: {speech.reason('refusal', refusal.reason)}"
        )
    for breach in day.breaches:
        yield (
            f"{_time(breach.at, speech)} {word('over')}: {number(breach.exported, 2)} > "
            f"{number(breach.contract, 2)} kWh. {speech.reason('cause', breach.cause)}"
        )
    for change in day.corrections:
        added = ", ".join(
            f"{word(f'{name}_kwh')} +{number(kwh, 3)} kWh"
            for name, kwh in (("exported", change.exported), ("generated", change.generated))
            if kwh > 0
        )
        yield (
            f"{word('corrected')} {_moment(change.at, speech)}: {added} "
            f"({speech.reason('why', change.why.value)})"
        )
    unwatched = day.unwatched_until(found.looked)
    if unwatched >= NOTICEABLE_MIN:
        yield f"{number(unwatched, 0)} {word('unwatched')}"


def _time(moment: datetime, speech: Speech) -> str:
    return f"{moment.astimezone(speech.zone):%H:%M}"


def _moment(moment: datetime, speech: Speech) -> str:
    return f"{moment.astimezone(speech.zone):%Y-%m-%d %H:%M}"
