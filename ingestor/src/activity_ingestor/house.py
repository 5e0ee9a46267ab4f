"""What the house is doing, as its last heartbeat and activity said."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from activity_ingestor.clock import Clock
from activity_ingestor.shapes import NO_ERROR, Activity, Heartbeat


@dataclass(slots=True)
class House:
    """The figures for the metrics, by entry of the integration."""

    clock: Clock
    heartbeats: dict[str, Heartbeat] = field(default_factory=dict)
    heard_at: dict[str, float] = field(default_factory=dict)
    error_states: dict[str, str] = field(default_factory=dict)
    activities: Counter[str] = field(default_factory=Counter)

    def heard_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""
        self.heartbeats[heartbeat.entry_id] = heartbeat
        self.heard_at[heartbeat.entry_id] = self.clock.monotonic()
        self.error_states[heartbeat.entry_id] = heartbeat.error_state

    def heard_activity(self, activity: Activity) -> None:
        """Take an activity."""
        self.activities[activity.type] += 1
        self.error_states[activity.entry_id] = activity.error_state or NO_ERROR
