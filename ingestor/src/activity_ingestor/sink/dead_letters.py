"""Lines that the database will never take, kept with its words."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
import os
from pathlib import Path

import orjson

from activity_ingestor.spool.lane import write_all

_FILES = 4
_FILE_BYTES = 16 << 20
_NAME = "dead-letters.jsonl"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One refused line."""

    correlation_id: str
    session_id: str
    refused_at: str
    status: int
    said: str
    line: str


class DeadLetters:
    """Appends to `dead-letters.jsonl`; at most four files of 16 MiB, the oldest goes first."""

    def __init__(self, folder: Path, file_bytes: int = _FILE_BYTES) -> None:
        """Take the folder."""
        self._path = folder / _NAME
        self._file_bytes = file_bytes

    @property
    def path(self) -> Path:
        """Return the file that is written to."""
        return self._path

    def append(self, letters: Sequence[DeadLetter]) -> None:
        """Write letters and wait until they are on disk; raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        data = b"".join(orjson.dumps(asdict(letter)) + b"\n" for letter in letters)
        self._rotate(len(data))
        descriptor = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o640)
        try:
            write_all(descriptor, data)
            os.fdatasync(descriptor)
        finally:
            os.close(descriptor)

    def _rotate(self, coming: int) -> None:
        with suppress(FileNotFoundError):
            if self._path.stat().st_size + coming <= self._file_bytes:
                return
            for number in range(_FILES - 1, 0, -1):
                older = self._path.with_suffix(f".jsonl.{number - 1}") if number > 1 else self._path
                with suppress(FileNotFoundError):
                    older.replace(self._path.with_suffix(f".jsonl.{number}"))
