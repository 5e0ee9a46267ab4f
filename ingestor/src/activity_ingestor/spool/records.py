"""How a record stands in a segment: magic, length, CRC, sequence number, payload."""

from __future__ import annotations

from dataclasses import dataclass
import struct
from zlib import crc32

from activity_ingestor.events import EventClass

MAGIC = b"\xa5EV1"
_HEADER = struct.Struct("<4sIIQ")
_SEQUENCE = struct.Struct("<Q")
_BODY = struct.Struct("<BBHQQ")
LARGEST_PAYLOAD = 1 << 20
_CLASSES = tuple(EventClass)


@dataclass(frozen=True, slots=True)
class Record:
    """An event in the spool: a line that is ready to be sent, and what is known about it."""

    sequence: int
    event_class: EventClass
    session_id: str
    series_length: int
    """Bytes of `line` that name the series, without the sequence tag."""
    identity: int
    received_us: int
    line: bytes

    @property
    def time_ns(self) -> int:
        """Return the point's time."""
        return int(self.line.rsplit(b" ", 1)[1])

    @property
    def series(self) -> bytes:
        """Return measurement and tags, without the sequence tag."""
        return self.line[: self.series_length]


@dataclass(frozen=True, slots=True)
class Decoded:
    """What a stretch of a segment holds."""

    records: list[Record]
    used: int
    """Bytes that need not be read again."""
    last_end: int
    """Where the last whole record ends."""
    damaged: int
    """Bytes that are no record: bit rot, or a torn write."""


def encode(record: Record) -> bytes:
    """Return a record's bytes; raises ValueError where it is too large."""
    session = record.session_id.encode()[:255]
    body = _BODY.pack(
        record.event_class, len(session), record.series_length, record.identity, record.received_us
    )
    payload = b"".join((body, session, record.line))
    if len(payload) > LARGEST_PAYLOAD:
        raise ValueError(f"an event of {len(payload)} bytes is too large to be recorded")
    check = crc32(payload, crc32(_SEQUENCE.pack(record.sequence)))
    return _HEADER.pack(MAGIC, len(payload), check, record.sequence) + payload


def _parse(sequence: int, payload: bytes) -> Record:
    event_class, session_length, series_length, identity, received_us = _BODY.unpack_from(payload)
    start = _BODY.size + session_length
    session = payload[_BODY.size : start].decode("utf-8", "replace") if session_length else ""
    line = payload[start:]
    return Record(
        sequence, _CLASSES[event_class], session, series_length, identity, received_us, line
    )


def _record_at(buffer: bytes, at: int) -> tuple[Record | None, int]:
    """Return the record at an offset and its end; no record and 0 where there is damage.

    No record and a positive end mean: it goes on beyond the buffer.
    """
    if at + _HEADER.size > len(buffer):
        return None, at + _HEADER.size
    magic, length, check, sequence = _HEADER.unpack_from(buffer, at)
    if magic != MAGIC or not _BODY.size <= length <= LARGEST_PAYLOAD:
        return None, 0
    start = at + _HEADER.size
    end = start + length
    if end > len(buffer):
        return None, end
    payload = buffer[start:end]
    if crc32(payload, crc32(_SEQUENCE.pack(sequence))) != check:
        return None, 0
    return _parse(sequence, payload), end


def decode(buffer: bytes, *, limit: int, final: bool) -> Decoded:
    """Return up to `limit` records from the start of a buffer.

    Damage is skipped up to the next record that is whole: one bad sector does not cost the rest.
    `final` says that nothing follows the buffer, so that half a record at its end is damage.
    """
    records: list[Record] = []
    at = last_end = damaged = 0
    size = len(buffer)
    while at < size and len(records) < limit:
        record, end = _record_at(buffer, at)
        if record is not None:
            records.append(record)
            at = last_end = end
            continue
        if end > size and not final:
            break
        found = buffer.find(MAGIC, at + 1)
        if found < 0:
            # The next magic may begin in the last three bytes.
            found = size if final else max(at + 1, size - len(MAGIC) + 1)
        damaged += found - at
        at = found
    return Decoded(records, at, last_end, damaged)
