"""InfluxDB's line protocol: https://docs.influxdata.com/influxdb/v1/write_protocols/line_protocol_reference/."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
import math

from activity_ingestor.events import Event, FieldValue

# A backslash before a separator would escape it, and one at the end of a value escapes the next
# one; the protocol has no escape for the backslash itself, so a look-alike takes its place.
_TAG = str.maketrans({",": r"\,", "=": r"\=", " ": r"\ ", "\n": " ", "\r": " ", "\\": "/"})
_STRING = str.maketrans({'"': r"\"", "\\": r"\\", "\n": r"\n", "\r": r"\r"})
# InfluxDB 1.x refuses tags and fields above 64 KiB; nothing that is worth recording is that long.
LONGEST_TEXT = 16_000
NANOSECONDS = 1000


@lru_cache(maxsize=8192)
def _key(text: str) -> str:
    """Return a measurement, tag or field key, or a tag value, escaped."""
    return text.translate(_TAG)


def _value(value: FieldValue) -> str:
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, str):
        return f'"{value[:LONGEST_TEXT].translate(_STRING)}"'
    return repr(float(value))


def _fields(event: Event) -> str:
    """Return the field set; NaN and infinity have no place in the protocol."""
    return ",".join(
        f"{_key(name)}={_value(value)}"
        for name, value in event.fields
        if isinstance(value, str) or math.isfinite(value)
    )


def series_of(event: Event) -> str:
    """Return measurement and tags; a tag without a value is no tag."""
    tags = "".join(f",{_key(name)}={_key(value)}" for name, value in event.tags if value)
    return _key(event.measurement) + tags


def identity_of(series: str, event: Event) -> int:
    """Return 64 bits that are the same whenever this very event is read again.

    The series is part of it, so that equal values of different tags stay different events, and the
    time is part of `sameness` where the source tells it, so that A, B, A are three.
    """
    text = f"{series}\0{event.sameness}".encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big")


def timestamp_ns(time_us: int, identity: int) -> int:
    """Return a point's time. Sources tell microseconds; the rest tells events of one apart."""
    return time_us * NANOSECONDS + identity % NANOSECONDS


def line_of(series: str, event: Event, time_ns: int, sequence: int) -> tuple[bytes, int]:
    """Return the line, and how many of its bytes name the series without the sequence tag.

    Raises ValueError for an event without any field that can be stored.
    """
    fields = _fields(event)
    if not fields:
        raise ValueError(f"{event.measurement}: nothing to store")
    # Tags may stand in any order; this one last, and only where two events would be one point.
    tag = f",seq={sequence}" if sequence else ""
    head = series.encode("utf-8", "replace")
    return head + f"{tag} {fields} {time_ns}".encode("utf-8", "replace"), len(head)
