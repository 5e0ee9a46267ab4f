"""Fills a gap from Home Assistant's history, in slices that neither side notices."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import structlog

from activity_ingestor.clock import MICROSECONDS, Clock
from activity_ingestor.events import Event
from activity_ingestor.intake import Intake
from activity_ingestor.recording import Selection, state_event
from activity_ingestor.shapes import Json, iso_of, time_us_of_seconds
from activity_ingestor.sources.ha_connection import CommandFailedError, HaConnection

_log = structlog.get_logger(__name__)

# The recorder commits every 5 s: asked earlier it would not know the newest states yet.
RECORDER_S = 10.0
_AFTER_START_S = 30.0  # history is set up late in Home Assistant's start
_ATTEMPTS = 20
_ENTITIES_AT_ONCE = 50
_SLICE_US = 3600 * MICROSECONDS
_ANSWER_S = 60.0


async def fill_from_history(  # noqa: PLR0913 - the quantities of one query
    connection: HaConnection,
    clock: Clock,
    entities: Sequence[str],
    since_us: int,
    selection: Selection,
    intake: Intake,
    take: Callable[[str, Event], None],
) -> None:
    """Give every state since `since_us` to `take`; raises CommandFailedError without history."""
    await clock.sleep(RECORDER_S)
    until_us = clock.wall_us()
    for start in range(0, len(entities), _ENTITIES_AT_ONCE):
        chosen = list(entities[start : start + _ENTITIES_AT_ONCE])
        for slice_us in range(since_us, until_us, _SLICE_US):
            end_us = min(slice_us + _SLICE_US, until_us)
            history = await _history(connection, clock, chosen, slice_us, end_us)
            for entity_id, rows in history.items():
                await intake.room()
                for event in events_of(entity_id, rows, selection):
                    take(entity_id, event)


async def _history(
    connection: HaConnection, clock: Clock, entities: list[str], start_us: int, end_us: int
) -> Mapping[str, object]:
    message: Json = {
        "type": "history/history_during_period",
        "start_time": iso_of(start_us),
        "end_time": iso_of(end_us),
        "entity_ids": entities,
        "include_start_time_state": False,
        "significant_changes_only": False,
        "minimal_response": False,
        "no_attributes": False,
    }
    for attempt in range(_ATTEMPTS):
        try:
            result = await connection.command(message, answer_s=_ANSWER_S)
        except CommandFailedError as error:
            if error.code != "unknown_command" or attempt == _ATTEMPTS - 1:
                raise
            await clock.sleep(_AFTER_START_S)
        else:
            return result if isinstance(result, dict) else {}
    return {}


def events_of(entity_id: str, rows: object, selection: Selection) -> list[Event]:
    """Return the events of Home Assistant's compressed states; rows without sense are left out.

    `lu` is the float that Home Assistant made `last_updated` from.
    """
    events: list[Event] = []
    for row in rows if isinstance(rows, list) else []:
        if not isinstance(row, dict):
            continue
        state, updated, attributes = row.get("s"), row.get("lu"), row.get("a")
        if isinstance(state, str) and isinstance(updated, int | float):
            members: Json = attributes if isinstance(attributes, dict) else {}
            time_us = time_us_of_seconds(updated)
            events.append(state_event(entity_id, state, members, time_us, selection))
    return events
