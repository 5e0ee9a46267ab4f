"""What the spool promises, and what it answers."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from activity_ingestor.events import EventClass
from activity_ingestor.spool.lane import SEGMENT_BYTES


@dataclass(frozen=True, slots=True)
class Limits:
    """How much the spool may take, in bytes and seconds."""

    disk_bytes: int = 2 << 30
    free_bytes: int = 64 << 20
    """What stays free on the disk for others; below it only commands and safety are taken."""
    memory_bytes: int = 8 << 20
    """What may wait for the disk; above it the sources are not read."""
    linger_s: float = 0.010
    """How long ordinary events gather before one sync; far below the promised 100 ms."""
    segment_bytes: int = SEGMENT_BYTES


class Status(StrEnum):
    """What became of an event."""

    RECORDED = "recorded"
    REPEATED = "repeated"
    SHED = "shed"


@dataclass(frozen=True, slots=True)
class Receipt:
    """What a source gets for an event."""

    status: Status
    correlation_id: str
    """Lane and sequence number: the same from here to the write that stored it."""
    durable: asyncio.Future[bool]
    """True once it is on disk (or was shed on purpose and counted); False where it is not and the
    source should keep it."""


@dataclass(slots=True)
class SpoolReport:
    """Totals for the metrics."""

    recorded: Counter[tuple[str, EventClass]] = field(default_factory=Counter)
    repeated: int = 0
    shed: Counter[EventClass] = field(default_factory=Counter)
    refused: int = 0
    """Events that could not be turned into a record."""
    commits: int = 0
    full: bool = False
