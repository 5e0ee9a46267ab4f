"""Plans and what became of them, in sentences of Home Assistant's language."""

from typing import Final

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations
from homeassistant.util import dt as dt_util

from . import const
from .alerts import NOTICES
from .ledger import Cause
from .ledger.page import Speech
from .models import Basis, Blocker, EndReason, ErrorState
from .planning import Objective, Reason, Window
from .planning.fates import Fate, Outcome

CARBON_UNIT: Final = "g CO2/kWh"
EVEN: Final = 0.005
"""Up to this share apart, a window's value and the day's average are the same to a person."""
ANY_TIME: Final = "any_time"
COMMA_LANGUAGES: Final = ("de", "fr", "es", "it", "pt", "nl", "pl")
ABOUT_VALUES: Final = frozenset({Reason.BEST_OF_DAY, Reason.GOOD_VALUE})


def why(hass: HomeAssistant, window: Window, objective: Objective) -> str:
    """Return why a window stands where it stands."""
    reason, carbon = window.why, objective is Objective.CARBON
    digits = 0 if carbon else 3
    even = abs(reason.value - reason.average) <= EVEN * abs(reason.average)
    key = reason.reason.value
    if reason.reason in ABOUT_VALUES and even:
        key = ANY_TIME
    elif reason.reason is not Reason.MAKES_ROOM:
        key = f"{objective.value}_{key}"
    return _filled(
        _words(hass, "selector", f"window_why.options.{key}", reason.reason.value),
        value=number(hass, reason.value, digits),
        average=number(hass, reason.average, digits),
        saved=number(hass, reason.saved_kwh, 1),
        unit=CARBON_UNIT if carbon else f"{hass.config.currency}/kWh",
    )


def words(hass: HomeAssistant, outcome: Outcome, objective: Objective) -> str:
    """Return what became of a window, and why."""
    if outcome.fate is Fate.REFUSED:
        refusal = _refusal(hass, str(outcome.reason))
        if refusal:
            return f"{refusal}."
    text = _words(hass, "selector", f"window_fate.options.{outcome.fate}", outcome.fate.value)
    return _filled(
        text,
        what=kind(hass, outcome.window),
        energy=number(hass, outcome.energy_kwh, 2),
        reason=reason_of(hass, outcome.reason),
        why=why(hass, outcome.window, objective),
    )


def kind(hass: HomeAssistant, window: Window) -> str:
    """Return "Discharge" or "Charge"."""
    return _words(hass, "selector", f"window_kind.options.{window.kind}", window.kind.value)


def summary(hass: HomeAssistant, window: Window, energy_kwh: float) -> str:
    """Return a window in a few words: "Discharge 3.2 kWh"."""
    return f"{kind(hass, window)} {number(hass, energy_kwh, 1)} kWh"


def reason_of(hass: HomeAssistant, reason: str | None) -> str:
    """Return why a window was skipped, or a session ended, in a few words."""
    if reason is None:
        return "?"
    for branch in ("window_reason", "end_reason"):
        text = _words(hass, "selector", f"{branch}.options.{reason}", "")
        if text:
            return text
    if reason in set(ErrorState):
        notice = NOTICES.get(ErrorState(reason))
        if notice is not None:
            return _words(hass, "issues", f"{notice.name}.title", reason)
    return _refusal(hass, reason).partition(": ")[2] or reason


def breach(hass: HomeAssistant, cause: str) -> str:
    """Return why more was exported than allowed, and what follows from it."""
    said = (
        _words(hass, "selector", f"{branch}.options.{cause}", "")
        for branch in ("breach_cause", "breach_advice")
    )
    return " ".join(each for each in said if each)


def report_word(hass: HomeAssistant, word: str, **facts: str) -> str:
    """Return a text of the record or of the daily report."""
    return _filled(_words(hass, "selector", f"report.options.{word}", word), **facts)


def speech(hass: HomeAssistant) -> Speech:
    """Return how the printable page says what it says, ready for another thread."""
    prefix = f"component.{const.DOMAIN}.selector.report.options."
    texts = {
        key.removeprefix(prefix): text
        for key, text in async_get_cached_translations(
            hass, hass.config.language, "selector", const.DOMAIN
        ).items()
        if key.startswith(prefix)
    }
    causes = {each: breach(hass, each) for each in Cause}
    reasons = {each: reason_of(hass, each) for each in (*EndReason, *Blocker, *ErrorState)}
    reasons |= {each: _words(hass, "selector", f"basis.options.{each}", each) for each in Basis}

    def reason(kind: str, name: str) -> str:
        if kind == "cause":
            return causes.get(Cause(name), name) if name in set(Cause) else name
        return texts.get(f"why_{name}", name) if kind == "why" else reasons.get(name, name)

    return Speech(
        language=hass.config.language,
        word=lambda name: texts.get(name, name),
        number=lambda value, digits: number(hass, value + 0.0, digits),
        reason=reason,
        zone=dt_util.get_default_time_zone(),
        currency=hass.config.currency,
    )


def _refusal(hass: HomeAssistant, blocker: str) -> str:
    """Return the first sentence of what somebody who is refused is told."""
    text = _words(hass, "exceptions", f"refused_{blocker}.message", "")
    return "" if "{" in text else text.partition(". ")[0].removesuffix(".")


def number(hass: HomeAssistant, value: float, digits: int) -> str:
    """Return a figure with its decimal mark."""
    text = f"{value:.{digits}f}"
    return text.replace(".", ",") if decimal_comma(hass) else text


def decimal_comma(hass: HomeAssistant) -> bool:
    """Return whether decimals are written with a comma here."""
    return hass.config.language[:2] in COMMA_LANGUAGES


def _filled(text: str, **facts: str) -> str:
    for key, value in facts.items():
        text = text.replace(f"{{{key}}}", value)
    return text


def _words(hass: HomeAssistant, category: str, key: str, otherwise: str) -> str:
    texts = async_get_cached_translations(hass, hass.config.language, category, const.DOMAIN)
    return texts.get(f"component.{const.DOMAIN}.{category}.{key}", otherwise)
