"""What a restart of this service needs to know, in one small file."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import orjson

from activity_ingestor.shapes import Json


def load(path: Path) -> Json:
    """Return what was saved; nothing where there is none, or where it is damaged."""
    with suppress(OSError, orjson.JSONDecodeError):
        data = orjson.loads(path.read_bytes())
        if isinstance(data, dict):
            return data
    return {}


def save(path: Path, data: Json) -> None:
    """Save; raises OSError. Not synced: the next one follows within seconds."""
    temporary = path.with_suffix(".new")
    temporary.write_bytes(orjson.dumps(data))
    temporary.replace(path)
