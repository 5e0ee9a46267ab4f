"""The one door into the spool: everything that a source reads passes here, and is looked at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol

import structlog

from activity_ingestor.errors import Category, in_words
from activity_ingestor.events import Event, EventClass, Source
from activity_ingestor.shapes import (
    ACTIVITY_EVENT,
    HEARTBEAT_EVENT,
    Activity,
    Heartbeat,
    Json,
    activity_of,
    heartbeat_of,
)
from activity_ingestor.spool import Receipt, Spool, Status

_log = structlog.get_logger(__name__)


class Watcher(Protocol):
    """Who wants to know what the export monitor says."""

    def heard_heartbeat(self, heartbeat: Heartbeat) -> None:
        """Take a heartbeat."""

    def heard_activity(self, activity: Activity) -> None:
        """Take an activity."""


class Intake:
    """Puts events into the spool and tells the watchers about the export monitor's."""

    def __init__(self, spool: Spool) -> None:
        """Take the spool."""
        self._spool = spool
        self._watchers: list[Watcher] = []
        self.errors: Counter[tuple[Source, Category]] = Counter()
        self.last_error = ""

    def add_watcher(self, watcher: Watcher) -> None:
        """Tell this one, too."""
        self._watchers.append(watcher)

    async def room(self) -> None:
        """Wait until the spool takes more."""
        await self._spool.room()

    def record(self, event: Event) -> Receipt | None:
        """Put an event into the spool; None where it is no event that could be recorded."""
        try:
            receipt = self._spool.put(event)
        except ValueError as error:
            self.refused(event.source, error)
            return None
        if event.event_class is EventClass.SAFETY and receipt.status is Status.RECORDED:
            _log.info(
                "event",
                correlation_id=receipt.correlation_id,
                session_id=event.session_id or None,
                what=event.measurement,
                **dict(event.tags),
            )
        return receipt

    def record_from(self, source: Source, make: Callable[[], Event | None]) -> Receipt | None:
        """Record what `make` returns; a message that it cannot read is counted and left."""
        try:
            event = make()
        except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
            self.refused(source, error)
            return None
        return self.record(event) if event is not None else None

    def look_at(self, source: Source, event_type: str, data: Json) -> None:
        """Tell the watchers about a heartbeat or an activity."""
        try:
            if event_type == HEARTBEAT_EVENT:
                heartbeat = heartbeat_of(data)
                for watcher in self._watchers:
                    watcher.heard_heartbeat(heartbeat)
            elif event_type == ACTIVITY_EVENT:
                activity = activity_of(data)
                for watcher in self._watchers:
                    watcher.heard_activity(activity)
        except ValueError as error:
            self.refused(source, error)

    def refused(self, source: Source, error: Exception) -> None:
        """Count a message that made no sense; the first of its kind is logged."""
        self.errors[source, Category.DATA] += 1
        text = in_words(error)
        if text != self.last_error:
            _log.warning("a message could not be recorded", source=source, error=text)
        self.last_error = text
