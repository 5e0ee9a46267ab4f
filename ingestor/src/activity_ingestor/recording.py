"""Turns what Home Assistant and MQTT say into events of the record."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import translate
import re

import orjson

from activity_ingestor.events import Event, EventClass, FieldValue, Source
from activity_ingestor.line_protocol import LONGEST_TEXT
from activity_ingestor.shapes import (
    ACTIVITY_EVENT,
    HEARTBEAT_EVENT,
    Json,
    iso_of,
    number_of,
    text_of,
    time_us_of,
)

# Keys of service data whose values open doors; the record says only that they were there.
_SECRET = re.compile(
    r"(?:^|_)(?:code|pin|password|passwd|token|secret|api_key)(?:$|_)", re.IGNORECASE
)
_SWITCHED = {"on": 1.0, "off": 0.0}


class Globs:
    """Whether a name matches any of some shell patterns; each name is looked up once."""

    def __init__(self, include: Sequence[str], exclude: Sequence[str] = ()) -> None:
        """Take the patterns; an exclusion wins."""
        self._include = re.compile("|".join(map(translate, include)) or r"(?!)")
        self._exclude = re.compile("|".join(map(translate, exclude)) or r"(?!)")
        self._known: dict[str, bool] = {}

    def __contains__(self, name: str) -> bool:
        """Return whether the name is meant."""
        known = self._known.get(name)
        if known is None:
            known = bool(self._include.match(name)) and not self._exclude.match(name)
            # Names are entities and topics of one house, but a publisher may invent them for ever.
            if len(self._known) > 10_000:  # noqa: PLR2004
                self._known.clear()
            self._known[name] = known
        return known


@dataclass(frozen=True, slots=True)
class Selection:
    """What of Home Assistant is recorded."""

    entities: Globs
    attributes_of: Globs
    """Entities whose attributes are recorded, too."""
    safety_entities: Globs
    """Entities whose states are kept as long as commands and sessions are."""


def json_text(value: object) -> str:
    """Return JSON with sorted keys: the same for equal values."""
    return orjson.dumps(
        value, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS, default=str
    ).decode()


def redacted(value: object) -> object:
    """Return a copy without the values of keys that name secrets."""
    if isinstance(value, Mapping):
        return {
            key: "***" if _SECRET.search(str(key)) else redacted(inner)
            for key, inner in value.items()
        }
    if isinstance(value, list):
        return [redacted(inner) for inner in value]
    return value


def flat_fields(data: Json) -> tuple[tuple[str, FieldValue], ...]:
    """Return an object's members as fields: numbers as they are, deeper ones as JSON."""
    fields: list[tuple[str, FieldValue]] = []
    for key, value in data.items():
        if isinstance(value, bool | str):
            fields.append((key, value))
        elif isinstance(value, int | float):
            fields.append((key, float(value)))
        elif value is not None:
            fields.append((key, json_text(value)))
    return tuple(fields)


def _number(state: str) -> float | None:
    if state in _SWITCHED:
        return _SWITCHED[state]
    return number_of({"state": state}, "state")


def state_event(
    entity_id: str, state: str, attributes: Json, time_us: int, selection: Selection
) -> Event:
    """Return the event of a state, the same whether read live, from states, or from history."""
    fields: list[tuple[str, FieldValue]] = [("state", state)]
    number = _number(state)
    if number is not None:
        fields.append(("value", number))
    if entity_id in selection.attributes_of and attributes:
        fields.append(("attributes", json_text(attributes)[:LONGEST_TEXT]))
    is_safety = entity_id in selection.safety_entities
    return Event(
        source=Source.HOME_ASSISTANT,
        event_class=EventClass.SAFETY if is_safety else EventClass.STATE,
        measurement="state",
        tags=(("domain", entity_id.partition(".")[0]), ("entity_id", entity_id)),
        fields=tuple(fields),
        time_us=time_us,
        sameness=f"{time_us}|{state}",
    )


def state_changed(event: Json, selection: Selection) -> Event | None:
    """Return the event of a `state_changed`, or None where it is not selected."""
    data = event["data"]
    if not isinstance(data, dict):
        raise TypeError("state_changed without data")
    entity_id = str(data["entity_id"])
    if entity_id not in selection.entities:
        return None
    new = data.get("new_state")
    if new is None:
        time_us = time_us_of(str(event["time_fired"]))
        return state_event(entity_id, "removed", {}, time_us, selection)
    return state_of(new, selection)


def state_of(state: Json, selection: Selection) -> Event:
    """Return the event of a state object, as in `get_states` and in `new_state`."""
    attributes = state.get("attributes")
    return state_event(
        str(state["entity_id"]),
        str(state["state"]),
        attributes if isinstance(attributes, dict) else {},
        time_us_of(str(state["last_updated"])),
        selection,
    )


def service_called(event: Json) -> Event:
    """Return the event of a `call_service`."""
    data = event["data"]
    if not isinstance(data, dict):
        raise TypeError("call_service without data")
    said = json_text(redacted(data.get("service_data") or {}))
    context = event.get("context")
    context_id = text_of(context, "id") if isinstance(context, dict) else ""
    user_id = text_of(context, "user_id") if isinstance(context, dict) else ""
    fields: list[tuple[str, FieldValue]] = [("data", said), ("context_id", context_id)]
    if user_id:
        fields.append(("user_id", user_id))
    time_fired = str(event["time_fired"])
    return Event(
        source=Source.HOME_ASSISTANT,
        event_class=EventClass.COMMAND,
        measurement="call_service",
        tags=(("domain", text_of(data, "domain")), ("service", text_of(data, "service"))),
        fields=tuple(fields),
        time_us=time_us_of(time_fired),
        sameness=f"{time_fired}|{context_id}|{said}",
    )


def bus_event(event: Json) -> Event:
    """Return the event of any other event type on the bus, the export monitor's among them."""
    data = event.get("data")
    members: Json = data if isinstance(data, dict) else {}
    event_type = str(event["event_type"])
    time_fired = str(event["time_fired"])
    return monitor_event(
        Source.HOME_ASSISTANT,
        event_type,
        members,
        time_us_of(time_fired),
        f"{time_fired}|{json_text(members)}",
    )


def monitor_event(
    source: Source, event_type: str, data: Json, time_us: int, sameness: str
) -> Event:
    """Return the event of a heartbeat or an activity, from the bus or from MQTT."""
    is_heartbeat = event_type == HEARTBEAT_EVENT
    fields = flat_fields(data) or (("fired", True),)
    tags = [("entry_id", text_of(data, "entry_id"))]
    if event_type == ACTIVITY_EVENT:
        tags.append(("type", text_of(data, "type")))
    named = {name for name, _ in tags}
    return Event(
        source=source,
        event_class=EventClass.HEARTBEAT if is_heartbeat else EventClass.SAFETY,
        measurement=event_type,
        tags=tuple(tags),
        # A field of a tag's name would hide it in queries.
        fields=tuple(f for f in fields if f[0] not in named) or (("fired", True),),
        time_us=time_us,
        sameness=sameness,
        session_id=text_of(data, "session_id"),
    )


def gap_event(source: Source, start_us: int, end_us: int, why: str) -> Event:
    """Return the event that says: from here to there this record was deaf."""
    return Event(
        source=Source.INGESTOR,
        event_class=EventClass.SAFETY,
        measurement="ingestor_gap",
        tags=(("source", source),),
        fields=(
            ("seconds", max(0.0, (end_us - start_us) / 1e6)),
            ("start", iso_of(start_us)),
            ("end", iso_of(end_us)),
            ("why", why),
        ),
        time_us=end_us,
        sameness=f"{start_us}|{end_us}",
    )


def alarm_event(message: Json, time_us: int) -> Event:
    """Return the event of a notice that the watchdog sent."""
    tags = ("alarm", "state", "severity", "entry_id")
    return Event(
        source=Source.INGESTOR,
        event_class=EventClass.SAFETY,
        measurement="ingestor_alarm",
        tags=tuple((name, text_of(message, name)) for name in tags),
        fields=tuple(f for f in flat_fields(message) if f[0] not in tags),
        time_us=time_us,
        sameness=json_text(message),
        session_id=text_of(message, "session_id"),
    )
