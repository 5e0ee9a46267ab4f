"""One lane of the spool: segment files that are appended to, read in order, and deleted once sent.

All methods that touch the disk run in the spool's one thread, so nothing here is locked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
import os
from pathlib import Path
from zlib import crc32

from activity_ingestor.events import EventClass
from activity_ingestor.identities import WINDOW
from activity_ingestor.spool.records import LARGEST_PAYLOAD, Record, decode

SEGMENT_BYTES = 4 << 20
_READ_BYTES = 512 << 10
_ALL = 1 << 62
_MOST_KEPT = 100
_POSITION = "position"


@dataclass(slots=True)
class _Segment:
    first: int
    """No record in it has a lower sequence number."""
    path: Path
    size: int


def write_all(descriptor: int, data: bytes) -> None:
    """Write everything, or raise OSError: the kernel may take less than it is given."""
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _stretch(path: Path, offset: int, size: int) -> bytes:
    """Return part of a file; nothing where someone else has deleted it."""
    try:
        with path.open("rb") as file:
            file.seek(offset)
            return file.read(size)
    except FileNotFoundError:
        return b""


class Lane:
    """An ordered queue of records on disk with one reader."""

    def __init__(self, name: str, folder: Path, *, segment_bytes: int = SEGMENT_BYTES) -> None:
        """Take the folder; `open` recovers what is in it."""
        self.name = name
        self._folder = folder
        self._segment_bytes = segment_bytes
        self._segments: list[_Segment] = []
        self._descriptor = -1
        self._next = 0
        self._position = 0
        self._cursor = (0, 0)  # first sequence of the segment being read, offset in it
        self.depth = 0
        """Records that are on disk and not yet acknowledged (after damage: at most)."""
        self.bytes_on_disk = 0
        self.damaged_bytes = 0

    # Recovery

    def open(self) -> None:
        """Recover the lane: cut a torn tail off, find the first record that was not sent."""
        self._folder.mkdir(parents=True, exist_ok=True)
        self._segments = [
            _Segment(int(path.stem), path, path.stat().st_size)
            for path in sorted(self._folder.glob("*.seg"))
        ]
        position = self._read_position()
        if self._segments:
            self._recover_tail(self._segments[-1])
            position = max(position, self._segments[0].first)
        # Never below the position: a new record must not pass for one that was sent.
        self._next = max(self._next, position)
        self._position = position
        self.depth = self._next - position
        self._seek(position)
        self.bytes_on_disk = sum(segment.size for segment in self._segments)
        if not self._segments or self._next > self._segments[-1].first:
            self._start_segment()
        else:
            self._descriptor = os.open(self._segments[-1].path, os.O_WRONLY | os.O_APPEND)

    def _recover_tail(self, segment: _Segment) -> None:
        data = segment.path.read_bytes()
        found = decode(data, limit=_ALL, final=True)
        self._next = found.records[-1].sequence + 1 if found.records else segment.first
        if found.last_end < len(data):
            os.truncate(segment.path, found.last_end)
        self.damaged_bytes += found.damaged
        segment.size = found.last_end

    def _read_position(self) -> int:
        with suppress(OSError, ValueError):
            number, check = (self._folder / _POSITION).read_text().split()
            if crc32(number.encode()) == int(check):
                return int(number)
        return 0  # sent again from the oldest: the database stores the same points once

    def _seek(self, position: int) -> None:
        reached = [segment for segment in self._segments if segment.first <= position]
        self._cursor = (reached[-1].first if reached else position, 0)

    def recent(self, count: int) -> list[Record]:
        """Return the newest records on disk, sent or not, oldest first."""
        records: list[Record] = []
        for segment in reversed(self._segments):
            found = decode(segment.path.read_bytes(), limit=_ALL, final=True).records
            records = found + records
            if len(records) >= count:
                break
        return records[-count:]

    # Appending

    def reserve(self) -> int:
        """Return the sequence number of the next record. The only method of the event loop."""
        self._next += 1
        return self._next - 1

    @property
    def next_sequence(self) -> int:
        """Return the number that the next record will get."""
        return self._next

    def commit(self, frames: Sequence[bytes], first: int) -> None:
        """Put records on disk and wait until they are safe there; raises OSError.

        After an error the segment is as it was before: all or nothing.
        """
        if self._segments[-1].size >= self._segment_bytes:
            self._start_segment(first)
        segment = self._segments[-1]
        data = b"".join(frames)
        try:
            write_all(self._descriptor, data)
            os.fdatasync(self._descriptor)
        except OSError:
            with suppress(OSError):
                os.ftruncate(self._descriptor, segment.size)
            raise
        segment.size += len(data)
        self.bytes_on_disk += len(data)
        self.depth += len(frames)

    def _start_segment(self, first: int | None = None) -> None:
        first = self._next if first is None else first
        path = self._folder / f"{first:020d}.seg"
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
        try:
            sync_folder(self._folder)
        except OSError:
            os.close(descriptor)
            raise
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = descriptor
        self._segments.append(_Segment(first, path, 0))

    # Reading

    def read(self, limit: int) -> list[Record]:
        """Return the next records that were not read yet, in order, at most `limit`."""
        records: list[Record] = []
        while len(records) < limit:
            segment = self._segment_of_cursor()
            found = self._read_from(segment, limit - len(records))
            records.extend(record for record in found if record.sequence >= self._position)
            if not found and not self._next_segment(segment):
                break
        return records

    def _segment_of_cursor(self) -> _Segment:
        first, _ = self._cursor
        for segment in self._segments:
            if segment.first == first:
                return segment
            if segment.first > first:
                break
        else:
            segment = self._segments[-1]
        # The cursor's own segment was shed: go on with the oldest that is left.
        self._cursor = (segment.first, 0)
        return segment

    def _read_from(self, segment: _Segment, limit: int) -> list[Record]:
        first, offset = self._cursor
        rest = segment.size - offset
        for size in (_READ_BYTES, LARGEST_PAYLOAD + _READ_BYTES):
            data = _stretch(segment.path, offset, min(size, rest))
            # Shorter than its size says: the file was cut by someone else. Nothing more will come.
            found = decode(data, limit=limit, final=len(data) < size)
            self.damaged_bytes += found.damaged
            offset += found.used
            rest -= found.used
            self._cursor = (first, offset)
            if found.records or rest <= 0:
                return found.records
        return []

    def _next_segment(self, segment: _Segment) -> bool:
        later = [s for s in self._segments if s.first > segment.first]
        if not later:
            return False
        self._cursor = (later[0].first, 0)
        return True

    def rewind(self) -> None:
        """Read again from the first record that was not acknowledged."""
        self._seek(self._position)

    # Letting go

    def acknowledge(self, position: int, count: int) -> None:
        """Note that everything below `position` is stored, and delete what holds nothing else.

        Losing this note in a power cut costs a repetition and no event, so it is not synced.
        """
        self._position = max(self._position, position)
        self.depth = max(0, self.depth - count)
        # On a full disk the note fails, and what makes room is exactly what follows.
        with suppress(OSError):
            text = str(self._position)
            temporary = self._folder / f"{_POSITION}.new"
            temporary.write_text(f"{text} {crc32(text.encode())}\n")
            temporary.replace(self._folder / _POSITION)
        while self._oldest_is_done_with():
            self._delete_oldest()

    def _oldest_is_done_with(self) -> bool:
        """Return whether the oldest segment is sent, and no restart has anything to learn from it.

        A restart knows repetitions by what is still on disk, and each begins a segment of its own:
        so not so many segments are kept, but so many records.
        """
        if len(self._segments) <= 2 or self._segments[1].first > self._position:  # noqa: PLR2004
            return False
        left_bytes = self.bytes_on_disk - self._segments[0].size
        return (
            self._next - self._segments[1].first >= WINDOW
            or left_bytes >= 2 * self._segment_bytes
            or len(self._segments) > _MOST_KEPT
        )

    def _delete_oldest(self) -> None:
        segment = self._segments.pop(0)
        segment.path.unlink(missing_ok=True)
        self.bytes_on_disk -= segment.size

    def shed_oldest(self) -> Counter[EventClass] | None:
        """Delete the oldest full segment; return what was lost, or None where none is left."""
        if len(self._segments) < 2:  # noqa: PLR2004 - the last one is being written
            return None
        segment = self._segments[0]
        found = decode(segment.path.read_bytes(), limit=_ALL, final=True).records
        lost = Counter(r.event_class for r in found if r.sequence >= self._position)
        self._delete_oldest()
        self._position = max(self._position, self._segments[0].first)
        self.depth = max(0, self.depth - lost.total())
        return lost

    def close(self) -> None:
        """Close the file; everything in it is on disk already."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
