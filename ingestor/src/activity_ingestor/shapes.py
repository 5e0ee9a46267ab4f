"""The messages of the export monitor that this service understands, field by field.

The integration fires two events on Home Assistant's bus. `README.md` shows both in full.

`export_monitor_heartbeat`, every 3 s in a session and every 60 s otherwise: `Heartbeat`.
`export_monitor_event`, when something happens: `Activity`.

The same JSON objects are understood on MQTT, on the topics that the settings name. Unknown fields
are recorded and otherwise ignored; a missing one that has a default takes it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
import math
from typing import TypeAlias

HEARTBEAT_EVENT = "export_monitor_heartbeat"
ACTIVITY_EVENT = "export_monitor_event"
NO_ERROR = "none"

# Types of `export_monitor_event` that change what the watchdog does; any other type is recorded.
SESSION_STARTED = "session_started"
SESSION_ENDED = "session_ended"
ERROR_RAISED = "error_raised"
ERROR_CLEARED = "error_cleared"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)

Json: TypeAlias = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """The integration is alive: not only Home Assistant's event loop."""

    entry_id: str
    """Which entry of the integration; each is watched apart."""
    sequence: int
    """Counts up by one, from 0 at each set-up of the entry."""
    interval_seconds: float
    """When to expect the next one."""
    discharge_active: bool
    session_id: str
    """Empty where no session runs."""
    session_exported_kwh: float | None
    """Exported deliberately since the session's start."""
    exported_today_kwh: float | None
    export_headroom_kwh: float | None
    error_state: str
    system_health: str
    data_age_seconds: float | None

    @property
    def in_session(self) -> bool:
        """Return whether a battery is being discharged under this entry's guard."""
        return self.discharge_active or bool(self.session_id)


@dataclass(frozen=True, slots=True)
class Activity:
    """Something that the integration did or found."""

    type: str
    """`session_started`, `session_ended`, `stop_requested`, `stop_proven`, `start_refused`,
    `command`, `error_raised`, `error_cleared`, or a later one."""
    entry_id: str
    session_id: str
    error_state: str
    """The state that stands after this event: `none`, or one of the integration's error states."""
    reason: str
    session_exported_kwh: float | None


def text_of(data: Json, key: str, default: str = "") -> str:
    """Return a text; null counts as missing, and a number is written out."""
    value = data.get(key)
    return default if value is None else str(value)


def number_of(data: Json, key: str) -> float | None:
    """Return a finite number, or None where there is none."""
    value = data.get(key)
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except ValueError:
        return None
    return number if math.isfinite(number) else None


def heartbeat_of(data: Json) -> Heartbeat:
    """Return a heartbeat; raises ValueError where what makes it one is missing."""
    interval = number_of(data, "interval_seconds")
    active = data.get("discharge_active")
    if interval is None or interval <= 0 or not isinstance(active, bool):
        raise ValueError("a heartbeat has interval_seconds above 0 and discharge_active")
    return Heartbeat(
        entry_id=text_of(data, "entry_id"),
        sequence=int(number_of(data, "sequence") or 0),
        interval_seconds=interval,
        discharge_active=active,
        session_id=text_of(data, "session_id"),
        session_exported_kwh=number_of(data, "session_exported_kwh"),
        exported_today_kwh=number_of(data, "exported_today_kwh"),
        export_headroom_kwh=number_of(data, "export_headroom_kwh"),
        error_state=text_of(data, "error_state", NO_ERROR),
        system_health=text_of(data, "system_health"),
        data_age_seconds=number_of(data, "data_age_seconds"),
    )


def activity_of(data: Json) -> Activity:
    """Return an activity; raises ValueError where it has no type."""
    kind = text_of(data, "type")
    if not kind:
        raise ValueError("an export_monitor_event has a type")
    return Activity(
        type=kind,
        entry_id=text_of(data, "entry_id"),
        session_id=text_of(data, "session_id"),
        error_state=text_of(data, "error_state", NO_ERROR),
        reason=text_of(data, "reason"),
        session_exported_kwh=number_of(data, "session_exported_kwh"),
    )


def time_us_of(text: str) -> int:
    """Return microseconds since the epoch of an ISO time with zone; raises ValueError."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without zone: {text}")
    return (moment - _EPOCH) // _MICROSECOND


def time_us_of_seconds(seconds: float) -> int:
    """Return microseconds since the epoch, rounded as Home Assistant rounds its own timestamps.

    Multiplying by a million would miss the microsecond of one in eight: a float has none to spare
    there, and the same state would be recorded twice.
    """
    return (datetime.fromtimestamp(seconds, UTC) - _EPOCH) // _MICROSECOND


def iso_of(time_us: int) -> str:
    """Return an ISO time in UTC."""
    return (_EPOCH + time_us * _MICROSECOND).isoformat()
