"""What stands and what does not, without I/O: fed with signs of life, asked at each tick.

A pong proves Home Assistant's event loop, a heartbeat proves the integration; in a session both
have to come.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum

from activity_ingestor.clock import Clock
from activity_ingestor.shapes import (
    NO_ERROR,
    SESSION_ENDED,
    SESSION_STARTED,
    Activity,
    Heartbeat,
    Json,
    iso_of,
    number_of,
    text_of,
)


class AlarmKind(StrEnum):
    """What is wrong."""

    SESSION_UNGUARDED = "session_unguarded"
    """A battery discharges, and heartbeat or pong stay away."""
    CRITICAL_ERROR = "critical_error"
    HOME_ASSISTANT_AWAY = "home_assistant_away"
    INTEGRATION_SILENT = "integration_silent"


class Severity(StrEnum):
    """How much it matters."""

    CRITICAL = "critical"
    WARNING = "warning"


class NoticeKind(StrEnum):
    """Why a notice is sent."""

    RAISED = "raised"
    STANDING = "standing"
    CLEARED = "cleared"


@dataclass(frozen=True, slots=True)
class WatchdogRules:
    """Deadlines in seconds, and which error states are critical."""

    sign_of_life_s: float = 8.0
    """In a session. Two beats of 3 s may be lost; a hang is told at most 8 s after it began."""
    away_s: float = 180.0
    """Longer than a planned restart takes."""
    silent_beats: float = 2.5
    """Outside a session: so many intervals without a heartbeat."""
    remind_s: float = 600.0
    critical_errors: frozenset[str] = frozenset(
        {"discharge_stop_failed", "charge_stop_failed", "over_export", "battery_not_responding"}
    )
    watch_pings: bool = True
    """False where Home Assistant's WebSocket is not configured."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Something that stands."""

    kind: AlarmKind
    severity: Severity
    entry_id: str
    session_id: str
    session_exported_kwh: float | None
    text: str
    raised_us: int
    failed: tuple[str, ...] = ()
    """`heartbeat`, `ping`, or an error state."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What the channels are told."""

    kind: NoticeKind
    alarm: Alarm
    at_us: int

    def as_json(self) -> Json:
        """Return the message as MQTT and webhook carry it."""
        alarm = self.alarm
        return {
            "service": "activity_ingestor",
            "state": self.kind,
            "alarm": alarm.kind,
            "severity": alarm.severity,
            "entry_id": alarm.entry_id,
            "session_id": alarm.session_id,
            "session_exported_kwh": alarm.session_exported_kwh,
            "failed": list(alarm.failed),
            "text": alarm.text,
            "raised_at": iso_of(alarm.raised_us),
            "sent_at": iso_of(self.at_us),
        }


@dataclass(slots=True)
class _Entry:
    """What is known of one entry of the integration."""

    heard_at: float
    interval_s: float = 60.0
    session_id: str = ""
    in_session: bool = False
    exported_kwh: float | None = None
    error_state: str = NO_ERROR


@dataclass(slots=True)
class _Standing:
    alarm: Alarm
    reminded_at: float


@dataclass(slots=True)
class Watchdog:
    """Takes signs of life; `tick` returns what has to be told."""

    rules: WatchdogRules
    clock: Clock
    sessions: int = 0
    """Sessions seen to begin."""
    _entries: dict[str, _Entry] = field(default_factory=dict)
    _standing: dict[tuple[AlarmKind, str], _Standing] = field(default_factory=dict)
    _pong_at: float = field(init=False)
    _ticked_at: float = field(init=False)

    def __post_init__(self) -> None:
        """Begin now: whoever was never heard is away from this moment on."""
        self._pong_at = self._ticked_at = self.clock.monotonic()

    # Signs of life

    def heard_pong(self, _latency_s: float) -> None:
        """Take a pong."""
        self._pong_at = self.clock.monotonic()

    def link_changed(self, *, up: bool) -> None:
        """Take a new connection as a sign of life; a lost one is noticed by what stays away."""
        if up:
            self._pong_at = self.clock.monotonic()

    def heard_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""
        entry = self._entry(heartbeat.entry_id)
        self._session(entry, heartbeat.session_id, active=heartbeat.in_session)
        entry.heard_at = self.clock.monotonic()
        entry.interval_s = heartbeat.interval_seconds
        entry.error_state = heartbeat.error_state
        if heartbeat.session_exported_kwh is not None:
            entry.exported_kwh = heartbeat.session_exported_kwh

    def heard_activity(self, activity: Activity) -> None:
        """Take an activity: it proves the integration as a heartbeat does."""
        entry = self._entry(activity.entry_id)
        if activity.type == SESSION_STARTED:
            self._session(entry, activity.session_id, active=True)
        elif activity.type == SESSION_ENDED:
            self._session(entry, "", active=False)
        entry.heard_at = self.clock.monotonic()
        entry.error_state = activity.error_state
        if activity.session_exported_kwh is not None and entry.in_session:
            entry.exported_kwh = activity.session_exported_kwh

    def _entry(self, entry_id: str) -> _Entry:
        return self._entries.setdefault(entry_id, _Entry(self.clock.monotonic()))

    def _session(self, entry: _Entry, session_id: str, *, active: bool) -> None:
        if active and (not entry.in_session or (session_id and entry.session_id != session_id)):
            self.sessions += 1
            entry.exported_kwh = None
        entry.in_session = active
        entry.session_id = session_id if active else ""

    # Asked

    @property
    def in_session(self) -> bool:
        """Return whether any entry's session runs, as far as is known."""
        return any(entry.in_session for entry in self._entries.values())

    @property
    def standing(self) -> tuple[Alarm, ...]:
        """Return the alarms that stand."""
        return tuple(standing.alarm for standing in self._standing.values())

    def heartbeat_age_s(self) -> float | None:
        """Return the age of the oldest entry's last heartbeat; None before the first."""
        now = self.clock.monotonic()
        return max((now - entry.heard_at for entry in self._entries.values()), default=None)

    def tick(self) -> tuple[Notice, ...]:
        """Return what changed since the last tick, and reminders; call it four times a second."""
        now = self.clock.monotonic()
        self._forgive_own_stall(now)
        found = self._findings(now)
        notices = [self._raise(key, alarm, now) for key, alarm in found.items()]
        for key in [key for key in self._standing if key not in found]:
            alarm = self._standing.pop(key).alarm
            notices.append(Notice(NoticeKind.CLEARED, alarm, self.clock.wall_us()))
        return tuple(notice for notice in notices if notice is not None)

    def _forgive_own_stall(self, now: float) -> None:
        """Take the time in which we ourselves did not run out of everyone's age."""
        stall = now - self._ticked_at - 1.0
        self._ticked_at = now
        if stall <= self.rules.sign_of_life_s / 4:
            return
        self._pong_at += stall
        for entry in self._entries.values():
            entry.heard_at += stall

    def _raise(self, key: tuple[AlarmKind, str], alarm: Alarm, now: float) -> Notice | None:
        standing = self._standing.get(key)
        if standing is None:
            self._standing[key] = _Standing(alarm, now)
            return Notice(NoticeKind.RAISED, alarm, self.clock.wall_us())
        standing.alarm = replace(alarm, raised_us=standing.alarm.raised_us)
        if now - standing.reminded_at < self.rules.remind_s:
            return None
        standing.reminded_at = now
        return Notice(NoticeKind.STANDING, standing.alarm, self.clock.wall_us())

    def _findings(self, now: float) -> dict[tuple[AlarmKind, str], Alarm]:
        found: dict[tuple[AlarmKind, str], Alarm] = {}
        ping_age = now - self._pong_at if self.rules.watch_pings else 0.0
        if ping_age > self.rules.away_s:
            text = f"Home Assistant has not answered for {ping_age:.0f} s"
            found[AlarmKind.HOME_ASSISTANT_AWAY, ""] = self._alarm(
                AlarmKind.HOME_ASSISTANT_AWAY, Severity.WARNING, "", None, text, ("ping",)
            )
        for entry_id, entry in self._entries.items():
            for alarm in self._entry_findings(entry_id, entry, now - entry.heard_at, ping_age):
                found[alarm.kind, entry_id] = alarm
        return found

    def _entry_findings(
        self, entry_id: str, entry: _Entry, age: float, ping_age: float
    ) -> list[Alarm]:
        found: list[Alarm] = []
        limit = self.rules.sign_of_life_s
        failed = [name for name, a in (("heartbeat", age), ("ping", ping_age)) if a > limit]
        if entry.in_session and failed:
            kwh = "unknown" if entry.exported_kwh is None else f"{entry.exported_kwh:.3f} kWh"
            text = (
                f"Nobody guards the discharge: no {' and no '.join(failed)} for more than"
                f" {limit:g} s. Session {entry.session_id or 'unknown'}, exported so far: {kwh}."
                " Check the battery, and stop it by hand if it discharges."
            )
            found.append(
                self._alarm(
                    AlarmKind.SESSION_UNGUARDED, Severity.CRITICAL, entry_id, entry, text, failed
                )
            )
        if entry.error_state in self.rules.critical_errors:
            text = f"The export monitor reports {entry.error_state}"
            failed = [entry.error_state]
            found.append(
                self._alarm(
                    AlarmKind.CRITICAL_ERROR, Severity.CRITICAL, entry_id, entry, text, failed
                )
            )
        is_silent = age > self.rules.silent_beats * max(entry.interval_s, limit)
        if is_silent and not entry.in_session and ping_age <= limit:
            text = f"Home Assistant answers, but the export monitor has been silent for {age:.0f} s"
            found.append(
                self._alarm(
                    AlarmKind.INTEGRATION_SILENT,
                    Severity.WARNING,
                    entry_id,
                    entry,
                    text,
                    ("heartbeat",),
                )
            )
        return found

    def _alarm(
        self,
        kind: AlarmKind,
        severity: Severity,
        entry_id: str,
        entry: _Entry | None,
        text: str,
        failed: list[str] | tuple[str, ...],
    ) -> Alarm:
        return Alarm(
            kind,
            severity,
            entry_id,
            entry.session_id if entry is not None else "",
            entry.exported_kwh if entry is not None else None,
            text,
            self.clock.wall_us(),
            tuple(failed),
        )

    # What survives a restart of this service

    def remembered(self) -> Json:
        """Return the running sessions: a restarted watchdog must not forget a discharge."""
        return {
            entry_id: {
                "session_id": entry.session_id,
                "session_exported_kwh": entry.exported_kwh,
                "error_state": entry.error_state,
                "interval_seconds": entry.interval_s,
            }
            for entry_id, entry in self._entries.items()
            if entry.in_session or entry.error_state in self.rules.critical_errors
        }

    def remember(self, entries: Json) -> None:
        """Take over what an earlier process knew; the deadlines run from now."""
        for entry_id, known in entries.items():
            if not isinstance(known, dict):
                continue
            entry = self._entry(entry_id)
            entry.session_id = text_of(known, "session_id")
            entry.in_session = bool(entry.session_id)
            entry.exported_kwh = number_of(known, "session_exported_kwh")
            entry.error_state = text_of(known, "error_state", NO_ERROR)
            entry.interval_s = number_of(known, "interval_seconds") or entry.interval_s
