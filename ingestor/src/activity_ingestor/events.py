"""What travels from a source to the spool, and its stable identity."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TypeAlias

FieldValue: TypeAlias = str | float | bool


class EventClass(IntEnum):
    """What an event is worth. On a full disk the highest number is shed first."""

    SAFETY = 0
    """Sessions, stops, alarms, errors of the export monitor; gaps in this record."""
    COMMAND = 1
    """Services called: who told the battery what."""
    HEARTBEAT = 2
    STATE = 3


class Source(StrEnum):
    """Where an event was read."""

    HOME_ASSISTANT = "home_assistant"
    MQTT = "mqtt"
    INGESTOR = "ingestor"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened, before it has a place in the spool.

    `sameness` tells a repetition of this very event from another one of the same series: an event
    delivered twice, or read live and again from history, has to give the same bytes.
    """

    source: Source
    event_class: EventClass
    measurement: str
    tags: tuple[tuple[str, str], ...]
    fields: tuple[tuple[str, FieldValue], ...]
    time_us: int
    """When it happened, by whoever reported it: microseconds since the epoch, UTC."""
    sameness: str
    session_id: str = ""
    may_repeat: bool = True
    """Whether `sameness` proves a repetition. Without a time of its own it does so only where the
    source itself says that it delivers again (MQTT's DUP flag): A, B, A are three events."""
