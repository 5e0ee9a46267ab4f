"""The printable page: HTML without a script, everything that is not ours escaped."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape

from .chart import of_day, of_days
from .days import Day
from .report import Figures, Kept, figures, summary

STYLE = """
:root { color-scheme: light; }
body { font: 14px/1.45 system-ui, sans-serif; color: #1d2733; max-width: 760px;
  margin: 2rem auto; padding: 0 1rem; background: #fff; }
h1 { font-size: 1.6rem; margin: 0; } h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p.said { color: #55606e; margin: .25rem 0 1rem; }
table { border-collapse: collapse; width: 100%; } td, th { padding: .2rem .4rem;
  border-bottom: 1px solid #dde3ea; text-align: left; vertical-align: top; font-weight: normal; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
section.day { break-inside: avoid; border: 1px solid #dde3ea; border-radius: 8px;
  padding: .8rem; margin: 0 0 .8rem; display: grid; grid-template-columns: 1fr 1fr; gap: .8rem;
  align-items: start; }
section.day > * { min-width: 0; } section.day h3 { grid-column: 1 / -1; }
section.over { border-color: #b3261e; }
.mark { border-radius: 4px; padding: 0 .4rem; font-size: .85rem; background: #e2f1e4;
  color: #1c5c28; } .mark.over { background: #fbe3e1; color: #8c1d18; }
.mark.none { background: #eceff3; color: #55606e; }
.notes { margin: .6rem 0 0; padding-left: 1.1rem; font-size: .9rem; }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: #e4e8ee; } .axis { font-size: 9px; fill: #55606e; }
.area { fill: #2f7fd133; } .export { fill: none; stroke: #2f7fd1; stroke-width: 1.8; }
.allowance { fill: none; stroke: #5d6b7a; stroke-dasharray: 4 3; }
.contract { stroke: #b3261e; stroke-width: 1.4; } .breach { stroke: #b3261e; stroke-width: 2.5; }
.session { fill: #f3c14b55; } .bar { fill: #2f7fd1; } .bar.over { fill: #b3261e; }
.legend span { margin-right: 1rem; white-space: nowrap; } .legend i { display: inline-block;
  width: 1.1rem; height: .55rem; margin-right: .35rem; }
footer { margin-top: 2rem; color: #55606e; font-size: .85rem; }
@media (max-width: 560px) { section.day { grid-template-columns: 1fr; } }
@media print { body { margin: 0; max-width: none; font-size: 11px; } h2 { break-after: avoid; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } }
"""
LEGEND = (
    ("export", "background:#2f7fd1"),
    ("allowance", "border-top:2px dashed #5d6b7a"),
    ("contract", "background:#b3261e"),
    ("session", "background:#f3c14b"),
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
MARKS = {"over": "over", "inside": "in", "no_contract": "none"}


@dataclass(frozen=True, slots=True)
class Speech:
    """How to say it: texts by name, a number with its digits, and reasons in words."""

    language: str
    word: Callable[[str], str]
    number: Callable[[float, int], str]
    reason: Callable[[str, str], str]
    """The words of a reason: which kind ("session", "refusal", "cause", "why"), and its name."""
    zone: tzinfo
    currency: str


def page(title: str, found: Kept, speech: Speech, made: datetime) -> str:
    """Return the page of a span of days."""
    whole = summary(found)
    word = speech.word
    head = escape(title)
    days = "".join(_day(day, speech) for day in reversed(found.days))
    gaps = "".join(f"<li>{escape(each)}</li>" for each in found.missing)
    missing = f"<h2>{_say(word, 'no_record')}</h2><ul>{gaps}</ul>" if gaps else ""
    return (
        f'<!doctype html><html lang="{escape(speech.language)}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width"><meta name="referrer" '
        f'content="no-referrer"><title>{_say(word, "title")}: {head}</title>'
        f"<style>{STYLE}</style></head><body>"
        f"<h1>{_say(word, 'title')}</h1>"
        f'<p class="said">{head}, {escape(found.start.isoformat())} &ndash; '
        f"{escape(found.end.isoformat())}</p>{_legend(word)}"
        f"{of_days(found.days, word('overview'))}"
        f"<h2>{_say(word, 'summary')}</h2>{_table(TOTALS, whole, speech)}"
        f"<h2>{_say(word, 'margin')}</h2><p>{escape(_margin(whole, speech))}</p>{missing}"
        f"<h2>{_say(word, 'days_heading')}</h2>{days}"
        f"<footer><p>{_say(word, 'notes')}</p>"
        f"<p>{_say(word, 'made')} {_moment(made, speech)}</p></footer></body></html>"
    )


def _say(word: Callable[[str], str], name: str) -> str:
    return escape(word(name))


def _legend(word: Callable[[str], str]) -> str:
    spans = "".join(
        f'<span><i style="{style}"></i>{_say(word, f"legend_{name}")}</span>'
        for name, style in LEGEND
    )
    return f'<p class="legend">{spans}</p>'


def _table(names: Iterable[str], values: Figures, speech: Speech) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_say(speech.word, name)}</th>'
        f'<td class="n">{escape(_shown(name, values.get(name), speech))}</td></tr>'
        for name in names
    )
    return f"<table>{rows}</table>"


def _shown(name: str, value: object, speech: Speech) -> str:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return "-"
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


def _day(day: Day, speech: Speech) -> str:
    values = figures(day)
    state = str(values["status"])
    over = " over" if day.is_over else ""
    mark = f'<span class="mark {MARKS[state]}">{_say(speech.word, state)}</span>'
    notes = "".join(f"<li>{escape(each)}</li>" for each in _notes(day, speech))
    listed = f'<ul class="notes">{notes}</ul>' if notes else ""
    chart = of_day(day, speech.zone, f"{speech.word('chart')} {day.date}")
    return (
        f'<section class="day{over}"><h3>{escape(day.date)} {mark}</h3>'
        f"<div>{chart}{listed}</div>{_table(ROWS, values, speech)}</section>"
    )


def _notes(day: Day, speech: Speech) -> Iterable[str]:
    """Yield sessions, refusals, breaches and corrections, one line each."""
    word, number = speech.word, speech.number
    for each in day.sessions:
        yield (
            f"{_time(each.started, speech)}-{_time(each.ended, speech)} {word(each.kind)}: "
            f"{number(each.kwh, 2)} kWh, {speech.reason('session', each.reason)}"
        )
    for refusal in day.refusals:
        yield (
            f"{word('refused')} {refusal.count}x, {_time(refusal.first, speech)}-"
            f"{_time(refusal.last, speech)}: {speech.reason('refusal', refusal.reason)}"
        )
    for breach in day.breaches:
        yield (
            f"{_time(breach.at, speech)} {number(breach.exported, 2)} > "
            f"{number(breach.contract, 2)} kWh: {speech.reason('cause', breach.cause)}"
        )
    for change in day.corrections:
        yield (
            f"{word('corrected')} {_moment(change.at, speech)}: "
            f"{number(change.exported, 3)} kWh {word('exported_kwh')}, "
            f"{number(change.generated, 3)} kWh {word('generated_kwh')} "
            f"({speech.reason('why', change.why.value)})"
        )
    if day.unwatched_min >= NOTICEABLE_MIN:
        yield f"{number(day.unwatched_min, 0)} {word('unwatched')}"


def _time(moment: datetime, speech: Speech) -> str:
    return f"{moment.astimezone(speech.zone):%H:%M}"


def _moment(moment: datetime, speech: Speech) -> str:
    return f"{moment.astimezone(speech.zone):%Y-%m-%d %H:%M}"
