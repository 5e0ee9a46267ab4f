"""Tells the outside that this integration lives, and what it does: events for the ingestor.

What happens goes over Home Assistant's bus: the recorder keeps it, and the logbook lives on that.
The heartbeat does not: 1,500 rows a day and 1,200 an hour of discharge would wear an SD card out
for nothing. It goes to those who subscribe to it over the WebSocket, and to nobody else.
"""

from collections.abc import Callable
from datetime import datetime
import logging
from typing import Final

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.dispatcher import async_dispatcher_connect, async_dispatcher_send
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util
from homeassistant.util.signal_type import SignalType

from .coordinator import ExportMonitorCoordinator
from .engine.state import Answer, Clear, Command, Ended, Phase, Raise, Reply, State, Write
from .models import Session

_LOGGER = logging.getLogger(__name__)

type Facts = dict[str, object]

ACTIVITY_EVENT = "export_monitor_event"
HEARTBEAT: Final[SignalType[Facts]] = SignalType("export_monitor_heartbeat")
BEAT_NOW: Final[SignalType[()]] = SignalType("export_monitor_beat_now")
"""Who has just subscribed asks how things are, and does not wait for a minute."""
VERSION = 1
IN_SESSION_S = 3.0
AT_REST_S = 60.0


class Pulse:
    """Beats every 3 s in a session, every 60 s otherwise, and tells of everything that happens."""

    def __init__(
        self, hass: HomeAssistant, entry_id: str, coordinator: ExportMonitorCoordinator
    ) -> None:
        """Say nothing yet."""
        self._hass = hass
        self._entry_id = entry_id
        self._coordinator = coordinator
        self._control = coordinator.control
        self._sequence = 0
        self._job = HassJob(self._beat, cancel_on_shutdown=True)
        self._active = False
        self._timer: CALLBACK_TYPE | None = None
        self._ended = False

    @callback
    def start(self) -> Callable[[], None]:
        """Begin to beat; returns how to end that. What a guard does alone is told still."""
        self._control.witness(self._tell)
        leave = async_dispatcher_connect(self._hass, BEAT_NOW, self._beat)
        self._beat()

        @callback
        def stop() -> None:
            self._ended = True
            leave()
            if self._timer is not None:
                self._timer()
                self._timer = None

        return stop

    @callback
    def _beat(self, now: datetime | None = None) -> None:
        del now
        if self._timer is not None:
            self._timer()
        state, coordinator = self._control.state, self._coordinator
        session, decision = state.session, state.decision
        self._active = state.phase is not Phase.IDLE
        interval_s = IN_SESSION_S if self._active else AT_REST_S
        beat = self._facts(session) | {
            "sequence": self._sequence,
            "interval_seconds": interval_s,
            "discharge_active": coordinator.discharge_active,
            "session_exported_kwh": None if session is None else session.exported_kwh,
            "exported_today_kwh": None if decision is None else decision.exported,
            "export_headroom_kwh": None if decision is None else decision.headroom,
            "system_health": coordinator.get_system_health().value,
            "data_age_seconds": coordinator.get_data_age(),
        }
        async_dispatcher_send(self._hass, HEARTBEAT, beat)
        self._sequence += 1
        self._timer = None if self._ended else async_call_later(self._hass, interval_s, self._job)

    @callback
    def _tell(self, command: Command | None, before: State, after: State) -> None:
        """Tell of a command, or of the step itself where there is none."""
        try:
            self._say(command, before, after)
        except Exception:  # telling must never disturb the guard
            _LOGGER.exception("An event for the record could not be sent")

    def _say(self, command: Command | None, before: State, after: State) -> None:
        session = after.session or before.session
        match command:
            case Write(kind=kind, value=value):
                self._activity("command", session, command=kind.value, value=value)
            case Raise(error, detail):
                self._activity("error_raised", session, error=error.value, detail=detail)
            case Clear(error):
                self._activity("error_cleared", session, error=error.value)
            case Reply(answer=Answer.REFUSED, blocker=blocker):
                self._activity("start_refused", session, reason=str(blocker or ""))
            case Ended(ended):
                reason = str(ended.reason or "")
                self._activity("stop_proven", ended, reason=reason, proof=ended.proof)
                self._activity("session_ended", ended, reason=reason)
            case None:
                self._changed(before, after)
            case _:  # other answers are for those who asked
                pass

    def _changed(self, before: State, after: State) -> None:
        if after.phase is before.phase:
            return
        if after.phase is Phase.ACTIVE:
            self._activity("session_started", after.session)
        elif after.phase is Phase.STOPPING and after.stopping is not None:
            reason = str(after.stopping.reason)
            self._activity("stop_requested", after.session, reason=reason)
        if (after.phase is not Phase.IDLE) is not self._active:
            self._beat()

    def _activity(self, kind: str, session: Session | None, **facts: object) -> None:
        exported = None if session is None else session.exported_kwh
        told = self._facts(session) | {"type": kind, "session_exported_kwh": exported} | facts
        self._hass.bus.async_fire(ACTIVITY_EVENT, told)

    def _facts(self, session: Session | None) -> Facts:
        """Return what both kinds of message have in common."""
        return {
            "version": VERSION,
            "entry_id": self._entry_id,
            "session_id": None if session is None else session.id,
            "session_kind": None if session is None else session.kind.value,
            "session_charged_kwh": None if session is None else session.charged_kwh,
            "error_state": self._coordinator.get_error_state().value,
            "sent_at": dt_util.utcnow().isoformat(),
        }
