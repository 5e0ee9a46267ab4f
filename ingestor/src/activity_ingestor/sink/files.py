"""A sink without a server: line protocol in one file a day, as the demo uses it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
import os
from pathlib import Path

from activity_ingestor.clock import MICROSECONDS, Clock
from activity_ingestor.errors import Category, in_words
from activity_ingestor.sink.base import RefusedError, WriteResult
from activity_ingestor.spool.lane import write_all


class FileSink:
    """Appends lines to `YYYY-MM-DD.lp` (by the day of writing, UTC)."""

    def __init__(self, folder: Path, clock: Clock) -> None:
        """Take the folder; it is made when first written to."""
        self._folder = folder
        self._clock = clock

    async def write(self, lines: Sequence[bytes]) -> WriteResult:
        """Append lines and wait until they are on disk; raises RefusedError."""
        started = self._clock.monotonic()
        data = b"\n".join(lines) + b"\n"
        try:
            await asyncio.to_thread(self._append, data)
        except OSError as error:
            raise RefusedError(Category.STORAGE, in_words(error)) from error
        return WriteResult(len(data), len(data), self._clock.monotonic() - started)

    def _append(self, data: bytes) -> None:
        day = datetime.fromtimestamp(self._clock.wall_us() / MICROSECONDS, UTC).date()
        self._folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(
            self._folder / f"{day.isoformat()}.lp", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640
        )
        try:
            write_all(descriptor, data)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    async def probe(self) -> str:
        """Return the folder; raises OSError where it cannot be written to."""
        await asyncio.to_thread(self._try_it)
        return f"files in {self._folder}"

    def _try_it(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        probe = self._folder / ".check"
        probe.write_bytes(b"ok")
        probe.unlink()

    def canary(self) -> bytes:
        """Return a line that is always taken."""
        return b"ingestor_canary ok=true"
