"""Tells the outside that this integration lives, and what it does: events for the ingestor.

Home Assistant's recorder keeps every event of the bus that its user does not exclude: the logbook
lives on that, and a beat at rest comes once a minute only.
"""

from collections.abc import Callable
from datetime import datetime
import logging

from homeassistant.core import CALLBACK_TYPE, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import async_call_later
from homeassistant.util import dt as dt_util

from .coordinator import ExportMonitorCoordinator
from .engine.state import Answer, Clear, Command, Ended, Phase, Raise, Reply, State, Write
from .models import Session

_LOGGER = logging.getLogger(__name__)

HEARTBEAT_EVENT = "export_monitor_heartbeat"
ACTIVITY_EVENT = "export_monitor_event"
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
        self._beat()

        @callback
        def stop() -> None:
            self._ended = True
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
        self._fire(
            HEARTBEAT_EVENT,
            {
                "sequence": self._sequence,
                "interval_seconds": interval_s,
                "discharge_active": coordinator.discharge_active,
                "session_exported_kwh": None if session is None else session.exported_kwh,
                "exported_today_kwh": None if decision is None else decision.exported,
                "export_headroom_kwh": None if decision is None else decision.headroom,
                "system_health": coordinator.get_system_health().value,
                "data_age_seconds": coordinator.get_data_age(),
            },
            session,
        )
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
        self._fire(
            ACTIVITY_EVENT, {"type": kind, "session_exported_kwh": exported, **facts}, session
        )

    def _fire(self, event: str, facts: dict[str, object], session: Session | None) -> None:
        self._hass.bus.async_fire(
            event,
            {
                "version": VERSION,
                "entry_id": self._entry_id,
                "session_id": None if session is None else session.id,
                "session_kind": None if session is None else session.kind.value,
                "session_charged_kwh": None if session is None else session.charged_kwh,
                "error_state": self._coordinator.get_error_state().value,
                "sent_at": dt_util.utcnow().isoformat(),
                **facts,
            },
        )
