"""Tells people: persistent notifications, phones, and repair issues for what must not be missed."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
import logging

from homeassistant.components import persistent_notification
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.translation import async_get_translations

from .channels import Channels, Message
from .const import DOMAIN
from .error_handler import BreakerState, CircuitBreaker, Outcome
from .models import ErrorState

_LOGGER = logging.getLogger(__name__)

EMERGENCY = "emergency_alert"
DAILY = "daily_report"
BATTERY_CIRCUIT = "battery_commands"
CONTROL_CIRCUITS = ("export_monitor_update", BATTERY_CIRCUIT)
HERE = "persistent_notification"
OUTAGE_S = 300.0  # page 3: a circuit behind which nothing has worked for so long is reported


@dataclass(frozen=True, slots=True)
class Notice:
    """How one error is announced. Text: translations under `issues`, by `name`."""

    name: str
    critical: bool = False
    """It is a repair issue too: the battery may be doing what it must not."""
    all_clear: str | None = None
    """What phones are told when it clears; those without are not worth waking anybody."""


NOTICES: Mapping[ErrorState, Notice] = {
    ErrorState.SOC_READ_FAILED: Notice("soc_read_failed"),
    ErrorState.STALE_DATA: Notice("stale_data"),
    ErrorState.NO_DATA: Notice("no_data"),
    ErrorState.POWER_SET_FAILED: Notice("discharge_power_failed"),
    ErrorState.CUTOFF_SET_FAILED: Notice("discharge_cutoff_failed"),
    ErrorState.DURATION_SET_FAILED: Notice("discharge_duration_failed"),
    ErrorState.START_FAILED: Notice("discharge_start_failed"),
    ErrorState.STOP_FAILED: Notice(
        "discharge_stop_failed", critical=True, all_clear="discharge_stop_proven"
    ),
    ErrorState.CHARGE_START_FAILED: Notice("charge_start_failed"),
    ErrorState.CHARGE_STOP_FAILED: Notice(
        "charge_stop_failed", critical=True, all_clear="charge_stop_proven"
    ),
    ErrorState.BATTERY_NOT_RESPONDING: Notice("battery_not_responding"),
    ErrorState.OVER_EXPORT: Notice("over_export", all_clear="over_export_ended"),
}


class Alerts:
    """Announces one entry's errors and takes each announcement back when its error clears."""

    def __init__(
        self,
        hass: HomeAssistant,
        prefix: str,
        entry_id: str,
        fallback: str,
        channels: Channels,
    ) -> None:
        """`prefix` starts every notification id: the domain, with a slug from the second entry.

        `fallback` is the entity of the fallback stop, empty where there is none.
        """
        self._fallback = fallback
        self._hass = hass
        self._prefix = prefix
        self._entry_id = entry_id
        self._channels = channels
        self._texts: dict[str, str] = {}
        self.explain: Callable[[ErrorState], str] = lambda _: ""
        """Says in the user's words what is known of an error beyond its detail."""

    async def prepare(self) -> None:
        """Load the texts in the language of this Home Assistant, before any error needs them."""
        language = self._hass.config.language
        self._texts = await async_get_translations(self._hass, language, "issues", [DOMAIN])

    def announce(
        self, error: ErrorState, entity_id: str | None, detail: str, *, again: bool = False
    ) -> None:
        """Show the notification of an error; some go to phones, and to the repair issues too.

        After a reload or a restart it is shown `again`; phones are told once more only of what is
        critical, as nobody knows whether the first message has reached them.
        """
        notice = NOTICES.get(error)
        if notice is None:
            return
        _LOGGER.error("%s: %s %s", error.value, entity_id or "", detail)
        known = (detail, self.explain(error).removesuffix("."))
        facts = {
            "entity": entity_id or "-",
            "detail": ". ".join(each for each in known if each) or "-",
            "fallback": self._fallback or "-",
        }
        message = self._message(notice.name, notice.name, facts)
        self._show(message)
        if notice.all_clear is not None and (notice.critical or not again):
            self._channels.alarm(message)
        if notice.critical:
            ir.async_create_issue(
                self._hass,
                DOMAIN,
                self._issue_id(notice),
                is_fixable=False,
                severity=ir.IssueSeverity.CRITICAL,
                translation_key=notice.name,
                translation_placeholders=facts,
            )

    def withdraw(self, error: ErrorState, *, all_clear: bool = True) -> None:
        """Take back whatever announced an error, and tell those who were alarmed."""
        notice = NOTICES.get(error)
        if notice is None:
            return
        self._take_back(notice)
        if notice.all_clear is not None and all_clear:
            self._channels.all_clear(self._message(notice.all_clear, notice.name, {}))

    def hush(self) -> None:
        """Try no longer to reach phones: whoever follows says anew what still holds."""
        self._channels.hush()

    def withdraw_all(self) -> None:
        """Take everything back without an all-clear: the entry goes, the errors may not."""
        self.hush()
        for notice in NOTICES.values():
            self._take_back(notice)

    async def emergency(self, message: str, severity: str) -> Mapping[str, str]:
        """Show and send a message of the user's own; return what came of it by channel.

        A `critical` one gets through a muted phone.
        """
        facts = {"severity": severity, "message": message}
        said = self._message(EMERGENCY, EMERGENCY, facts, urgent=severity == "critical")
        self._show(said)
        return {HERE: Outcome.OK.value, **await self._channels.tell(said)}

    async def daily(self, title: str, text: str) -> Mapping[str, str]:
        """Send the daily report; where there is no channel, it is shown here. Wakes nobody."""
        message = Message(f"{self._prefix}_{DAILY}", title, text, urgent=False)
        delivery = await self._channels.tell(message)
        if not delivery:
            self._show(message)
            return {HERE: Outcome.OK.value}
        return {target: outcome.value for target, outcome in delivery.items()}

    def _show(self, message: Message) -> None:
        persistent_notification.async_create(self._hass, message.text, message.title, message.tag)

    def _take_back(self, notice: Notice) -> None:
        persistent_notification.async_dismiss(self._hass, f"{self._prefix}_{notice.name}")
        if notice.critical:
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(notice))

    def _issue_id(self, notice: Notice) -> str:
        return f"{notice.name}_{self._entry_id}"

    def _message(
        self, text: str, about: str, facts: Mapping[str, str], *, urgent: bool = True
    ) -> Message:
        """Return a text with its facts; what is `about` the same replaces each other."""
        return Message(
            f"{self._prefix}_{about}",
            self._text(text, "title", facts),
            self._text(text, "description", facts),
            urgent=urgent,
        )

    def _text(self, name: str, part: str, facts: Mapping[str, str]) -> str:
        text = self._texts.get(f"component.{DOMAIN}.issues.{name}.{part}", name)
        for key, value in facts.items():
            text = text.replace(f"{{{key}}}", value)
        return text


class Outages:
    """Reports each circuit that stays open for long, and takes that back when it works again."""

    def __init__(
        self, hass: HomeAssistant, entry_id: str, circuits: Mapping[str, CircuitBreaker]
    ) -> None:
        """Take the circuits to look at."""
        self._hass = hass
        self._entry_id = entry_id
        self._circuits = circuits
        self._reported: set[str] = set()

    @callback
    def look(self) -> None:
        """Report what has failed for five minutes, trials in between or not."""
        for name, circuit in self._circuits.items():
            if not circuit.outage_s or _waits_for_a_start(circuit):
                self._withdraw(name)
            elif name not in self._reported and circuit.outage_s >= OUTAGE_S:
                self._report(name)

    @callback
    def withdraw_all(self) -> None:
        """Take everything back: the entry is going away."""
        for name in tuple(self._reported):
            self._withdraw(name)

    def _report(self, name: str) -> None:
        self._reported.add(name)
        _LOGGER.warning("Circuit %s has failed for %.0f minutes", name, OUTAGE_S / 60)
        ir.async_create_issue(
            self._hass,
            DOMAIN,
            self._issue_id(name),
            is_fixable=False,
            severity=ir.IssueSeverity.WARNING,
            translation_key=_words_of(name),
            translation_placeholders={"circuit": name},
        )

    def _withdraw(self, name: str) -> None:
        if name in self._reported:
            self._reported.discard(name)
            ir.async_delete_issue(self._hass, DOMAIN, self._issue_id(name))

    def _issue_id(self, name: str) -> str:
        return f"circuit_open_{name}_{self._entry_id}"


def _waits_for_a_start(circuit: CircuitBreaker) -> bool:
    """Tell whether the next start would be tried: nobody else tries the battery meanwhile."""
    return circuit.name == BATTERY_CIRCUIT and circuit.state is BreakerState.HALF_OPEN


def _words_of(circuit: str) -> str:
    """Return which of the texts says what an open circuit means."""
    if circuit.startswith("notify."):
        return "channel_open"
    return "circuit_open" if circuit in CONTROL_CIRCUITS else "source_open"
