"""What is pushed to those who ask: the heartbeat, and a timeline too long for attributes."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any, Final

from homeassistant.components.websocket_api import async_register_command
from homeassistant.components.websocket_api.connection import ActiveConnection
from homeassistant.components.websocket_api.const import ERR_NOT_FOUND
from homeassistant.components.websocket_api.decorators import require_admin, websocket_command
from homeassistant.components.websocket_api.messages import event_message
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect, async_dispatcher_send
import voluptuous as vol

from . import const
from .coordinator import ExportMonitorConfigEntry, Runtime
from .engine.state import State
from .models import Rates
from .planning import Objective
from .planning.diary import diary
from .pulse import BEAT_NOW, HEARTBEAT

OUTLOOK: Final = f"{const.DOMAIN}/outlook"
HEARTBEATS: Final = f"{const.DOMAIN}/heartbeat"
AHEAD: Final = timedelta(hours=37)  # the card shows 36, and some of the hour that runs
BEHIND: Final = timedelta(hours=12)
CARBON_UNIT: Final = "g CO₂/kWh"
DIGITS: Final = 4

type Document = dict[str, object]


@callback
def async_setup_websocket_api(hass: HomeAssistant) -> None:
    """Register the commands."""
    async_register_command(hass, ws_outlook)
    async_register_command(hass, ws_heartbeat)


@websocket_command(
    {  # the newest end aliases voluptuous
        vol.Required("type"): OUTLOOK,  # type: ignore[dict-item]
        vol.Required("config_entry_id"): str,  # type: ignore[dict-item]
    }
)
@callback
def ws_outlook(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Send an entry's outlook now and whenever it changes, over reloads too."""
    entry = hass.config_entries.async_get_entry(msg["config_entry_id"])
    if entry is None or entry.domain != const.DOMAIN:
        connection.send_error(msg["id"], ERR_NOT_FOUND, "no such entry")
        return
    message_id: int = msg["id"]

    @callback
    def send(document: Document) -> None:
        connection.send_message(event_message(message_id, document))

    connection.send_result(message_id)
    connection.subscriptions[message_id] = Watch(hass, entry, send).stop


@websocket_command({vol.Required("type"): HEARTBEATS})  # type: ignore[dict-item]
@require_admin
@callback
def ws_heartbeat(hass: HomeAssistant, connection: ActiveConnection, msg: dict[str, Any]) -> None:
    """Send every entry's heartbeats from now on, and a first one at once.

    They look like events of the bus, so that who understands those needs nothing new.
    """
    message_id: int = msg["id"]

    @callback
    def send(beat: Document) -> None:
        event = {"event_type": str(HEARTBEAT), "data": beat, "time_fired": beat["sent_at"]}
        connection.send_message(event_message(message_id, event))

    connection.send_result(message_id)
    connection.subscriptions[message_id] = async_dispatcher_connect(hass, HEARTBEAT, send)
    async_dispatcher_send(hass, BEAT_NOW)


class Watch:
    """One subscription: follows its entry from run to run, and says only what is new."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ExportMonitorConfigEntry,
        send: Callable[[Document], None],
    ) -> None:
        """Begin, with the present outlook as the first."""
        self._hass = hass
        self._entry = entry
        self._send = send
        self._sent: Document | None = None
        self._leave: Callable[[], None] | None = None
        self._forget = entry.async_on_state_change(self._attach)
        self._attach()

    @callback
    def _attach(self) -> None:
        self._detach()
        if self._entry.state is ConfigEntryState.LOADED:
            coordinator = self._entry.runtime_data.coordinator
            self._leave = coordinator.async_add_listener(self._tell)
        self._tell()

    @callback
    def _detach(self) -> None:
        if self._leave is not None:
            self._leave()
            self._leave = None

    @callback
    def _tell(self) -> None:
        document = outlook(self._hass, self._entry)
        if document != self._sent:
            self._sent = document
            self._send(document)

    @callback
    def stop(self) -> None:
        """End the subscription."""
        self._forget()
        self._detach()


def outlook(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> Document:
    """Return session, planned windows and rates ahead; `loaded` is false between two runs."""
    if entry.state is not ConfigEntryState.LOADED:
        return {"loaded": False, "session": None, "absent": None, "windows": [], "rates": []}
    runtime = entry.runtime_data
    return {
        "loaded": True,
        "session": _session(runtime.control.state),
        "absent": runtime.plans.absent,
        "windows": _windows(runtime),
        "rates": _curves(hass, entry),
    }


def _windows(runtime: Runtime) -> list[Document]:
    """Return what was done lately, runs and is to come, in order of time."""
    now = runtime.control.now().utc
    return [
        {
            "kind": each.kind.value,
            "start": each.start.isoformat(),
            "end": each.end.isoformat(),
            "energy_kwh": round(each.window.energy_kwh, DIGITS),
            "power_w": round(each.window.power_w),
            "why": each.window.why.reason.value,
            "fate": None if each.fate is None else each.fate.value,
            "reason": each.reason,
            "delivered_kwh": round(each.energy_kwh, DIGITS),
        }
        for each in diary(runtime.autopilot.outcomes, runtime.plans.plan, now)
        if each.end > now - BEHIND
    ]


def _session(state: State) -> Document | None:
    session = state.session
    if session is None:
        return None
    end = session.window_end or session.planned_end
    return {
        "phase": state.phase.value,
        "kind": session.kind.value,
        "start": session.started.isoformat(),
        "end": None if end is None else end.isoformat(),
    }


def _curves(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> list[Document]:
    """Return what is known of carbon and prices, that which the plan goes by first."""
    control = entry.runtime_data.control
    readings, now = control.readings, control.now().utc
    if readings is None:
        return []
    money = f"{hass.config.currency}/kWh"
    curves = [
        _curve("carbon", CARBON_UNIT, readings.carbon, now),
        _curve("export_price", money, readings.export_price, now),
        _curve("import_price", money, readings.import_price, now),
    ]
    if entry.runtime_data.plans.planning.objective is Objective.PRICE:
        curves = [*curves[1:], curves[0]]
    return [curve for curve in curves if curve["slots"]]


def _curve(kind: str, unit: str, rates: Rates | None, now: datetime) -> Document:
    slots = () if rates is None else rates.slots
    return {
        "kind": kind,
        "unit": unit,
        "slots": [
            [slot.start.isoformat(), slot.end.isoformat(), round(slot.value, DIGITS)]
            for slot in slots
            if slot.end > now and slot.start < now + AHEAD
        ],
    }
