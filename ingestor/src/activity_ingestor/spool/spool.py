"""The spool: two lanes, group commit, and what is given up first when the disk is full."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
import os
from pathlib import Path
from typing import ParamSpec, TypeVar

import structlog

from activity_ingestor.clock import Clock
from activity_ingestor.errors import in_words
from activity_ingestor.events import Event, EventClass
from activity_ingestor.identities import WINDOW, Identities
from activity_ingestor.line_protocol import identity_of, line_of, series_of, timestamp_ns
from activity_ingestor.spool.lane import Lane, sync_folder, write_all
from activity_ingestor.spool.records import Record, encode
from activity_ingestor.spool.terms import Limits, Receipt, SpoolReport, Status

_log = structlog.get_logger(__name__)

P = ParamSpec("P")
T = TypeVar("T")
VITAL, BULK = "vital", "bulk"
# Shares of the spool's size at which a class is no longer taken: states go first, safety last.
_SHARE = {
    EventClass.STATE: 0.80,
    EventClass.HEARTBEAT: 0.90,
    EventClass.COMMAND: 0.97,
    EventClass.SAFETY: 1.0,
}
_VITAL_CLASSES = (EventClass.SAFETY, EventClass.COMMAND)
_RESERVE = "reserve"
_RESERVE_BYTES = 1 << 20
_DISK_CHECK_S = 1.0


class _Group:
    """Events that reach the disk by one sync."""

    def __init__(self, opened_at: float, loop: asyncio.AbstractEventLoop) -> None:
        self.opened_at = opened_at
        self.durable: asyncio.Future[bool] = loop.create_future()
        self.records: dict[str, list[Record]] = {VITAL: [], BULK: []}
        self.frames: dict[str, list[bytes]] = {VITAL: [], BULK: []}
        self.bytes = 0


class Spool:
    """Takes events from the sources and hands batches to the writers."""

    def __init__(
        self,
        folder: Path,
        clock: Clock,
        limits: Limits | None = None,
        on_commit: Callable[[float, int], None] = lambda _seconds, _events: None,
    ) -> None:
        """Take the folder; `open` recovers it. `on_commit` gets seconds to disk and event count."""
        self._folder = folder
        self._clock = clock
        self._limits = limits or Limits()
        self._on_commit = on_commit
        size = self._limits.segment_bytes
        self.lanes = {name: Lane(name, folder / name, segment_bytes=size) for name in (VITAL, BULK)}
        self.report = SpoolReport()
        self._identities = Identities()
        # One thread: the lanes need no locks, and the disk gains nothing from two.
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="spool")
        self._group: _Group | None = None
        self._last: asyncio.Future[bool] | None = None
        self._committing = asyncio.Lock()
        self._wake = asyncio.Event()
        self._hurry = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()
        self._arrived = asyncio.Event()
        self._free_checked_at = float("-inf")
        self._low_on_disk = False
        self.last_error = ""

    async def open(self) -> None:
        """Recover what an earlier process left; raises OSError where the folder cannot be used."""
        await self._in_thread(self._open)

    def _open(self) -> None:
        for lane in self.lanes.values():
            lane.open()
            for record in lane.recent(WINDOW):
                self._identities.admit(record.identity, record.series, record.time_ns)
        self._reserve_space()

    async def _in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._disk, lambda: function(*args, **kwargs))

    # Taking events

    async def room(self) -> None:
        """Wait until the spool takes more: this is what slows a source down."""
        await self._room.wait()

    def put(self, event: Event) -> Receipt:
        """Take one event; raises ValueError for one that cannot be recorded at all."""
        series = series_of(event)
        identity = identity_of(series, event)
        if event.may_repeat and self._identities.time_of(identity) is not None:
            self.report.repeated += 1
            return Receipt(Status.REPEATED, "", self._last or self._done(stored=True))
        if self._must_shed(event.event_class):
            self.report.shed[event.event_class] += 1
            return Receipt(Status.SHED, "", self._done(stored=True))
        time_ns = timestamp_ns(event.time_us, identity)
        sequence_tag = self._identities.admit(identity, series.encode("utf-8", "replace"), time_ns)
        try:
            return self._admit(event, series, identity, time_ns, sequence_tag)
        except ValueError:
            self._identities.forget(identity)
            self.report.refused += 1
            raise

    def _admit(
        self, event: Event, series: str, identity: int, time_ns: int, sequence_tag: int
    ) -> Receipt:
        line, series_length = line_of(series, event, time_ns, sequence_tag)
        name = VITAL if event.event_class in _VITAL_CLASSES else BULK
        lane = self.lanes[name]
        record = Record(
            lane.next_sequence,
            event.event_class,
            event.session_id,
            series_length,
            identity,
            self._clock.wall_us(),
            line,
        )
        frame = encode(record)
        lane.reserve()
        group = self._open_group()
        group.records[name].append(record)
        group.frames[name].append(frame)
        group.bytes += len(frame)
        if group.bytes >= self._limits.memory_bytes:
            self._room.clear()
        if name == VITAL or not self._room.is_set():
            self._hurry.set()
        self._wake.set()
        self.report.recorded[event.source, event.event_class] += 1
        return Receipt(Status.RECORDED, f"{name}-{record.sequence}", group.durable)

    def _open_group(self) -> _Group:
        if self._group is None:
            loop = asyncio.get_running_loop()
            self._group = _Group(self._clock.monotonic(), loop)
            self._last = self._group.durable
        return self._group

    @staticmethod
    def _done(*, stored: bool) -> asyncio.Future[bool]:
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        future.set_result(stored)
        return future

    def _must_shed(self, event_class: EventClass) -> bool:
        if self._low_on_disk and event_class not in _VITAL_CLASSES:
            return True
        return self.bytes_on_disk > self._limits.disk_bytes * _SHARE[event_class]

    # Committing

    async def run(self) -> None:
        """Bring what was put to disk, group by group, until cancelled."""
        while True:
            await self._wake.wait()
            # What gathered while the last group was being written has waited long enough.
            age = self._clock.monotonic() - self._group.opened_at if self._group is not None else 0
            if not self._hurry.is_set() and age < self._limits.linger_s:
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._limits.linger_s - age):
                        await self._hurry.wait()
            await self.commit()

    async def commit(self) -> None:
        """Bring everything that was put so far to disk, also what another call is about to."""
        async with self._committing:
            await self._commit_group()

    async def _commit_group(self) -> None:
        group, self._group = self._group, None
        self._wake.clear()
        self._hurry.clear()
        if group is None:
            return
        stored = False
        try:
            stored = await asyncio.shield(self._in_thread(self._commit, group))
        finally:
            # Also after an error that nobody thought of: the source then delivers it again.
            self._settle(group, stored=stored)
        self.report.commits += 1
        self._room.set()
        arrived, self._arrived = self._arrived, asyncio.Event()
        arrived.set()
        count = sum(len(frames) for frames in group.frames.values())
        self._on_commit(self._clock.monotonic() - group.opened_at, count)

    def _settle(self, group: _Group, *, stored: bool) -> None:
        if not stored:
            for record in group.records[VITAL]:
                self._identities.forget(record.identity)
        if not group.durable.done():
            group.durable.set_result(stored)

    def _commit(self, group: _Group) -> bool:
        """Write a group; return whether the sources may forget it."""
        self._check_disk()
        vital_stored = self._commit_vital(group)
        if group.frames[BULK]:
            try:
                self.lanes[BULK].commit(group.frames[BULK], group.records[BULK][0].sequence)
                self._recovered()
            except OSError as error:
                self._failed(error)
                self._low_on_disk = True
                self.report.shed.update(r.event_class for r in group.records[BULK])
        return vital_stored

    def _commit_vital(self, group: _Group) -> bool:
        frames, records = group.frames[VITAL], group.records[VITAL]
        while frames:
            try:
                self.lanes[VITAL].commit(frames, records[0].sequence)
            except OSError as error:
                self._failed(error)
                if not self._make_room():
                    self.report.shed.update(r.event_class for r in records)
                    return False
            else:
                self._recovered()
                break
        return True

    def _make_room(self) -> bool:
        """Give the reserve up, then the oldest ordinary events; False when nothing is left."""
        reserve = self._folder / _RESERVE
        if reserve.exists():
            with suppress(OSError):
                reserve.unlink()
                return True
        with suppress(OSError):
            lost = self.lanes[BULK].shed_oldest()
            if lost is not None:
                self.report.shed.update(lost)
                return True
        return False

    def _reserve_space(self) -> None:
        reserve = self._folder / _RESERVE
        if reserve.exists():
            return
        with suppress(OSError):
            descriptor = os.open(reserve, os.O_WRONLY | os.O_CREAT, 0o640)
            try:
                write_all(descriptor, bytes(_RESERVE_BYTES))
                os.fdatasync(descriptor)
            except OSError:
                reserve.unlink(missing_ok=True)
                raise
            finally:
                os.close(descriptor)
            sync_folder(self._folder)

    def _check_disk(self) -> None:
        now = self._clock.monotonic()
        if now - self._free_checked_at < _DISK_CHECK_S:
            return
        self._free_checked_at = now
        with suppress(OSError):
            disk = os.statvfs(self._folder)
            self._low_on_disk = disk.f_bavail * disk.f_frsize < self._limits.free_bytes
        if not self._low_on_disk:
            self._reserve_space()
        vital_bytes = self._limits.disk_bytes * _SHARE[EventClass.HEARTBEAT]
        while self.bytes_on_disk > vital_bytes and self._evict_for_vital():
            pass
        self.report.full = self._must_shed(EventClass.STATE)

    def _evict_for_vital(self) -> bool:
        """Make room for vital events inside the size that the spool was given."""
        lost = self.lanes[BULK].shed_oldest()
        if lost is None:
            return False
        self.report.shed.update(lost)
        return True

    def _failed(self, error: OSError) -> None:
        text = in_words(error)
        if text != self.last_error:
            _log.error("the spool's disk refuses events", error=text)
        self.last_error = text

    def _recovered(self) -> None:
        if self.last_error:
            _log.info("the spool's disk takes events again")
        self.last_error = ""

    # Handing on

    @property
    def bytes_on_disk(self) -> int:
        """Return the size of all segments."""
        return sum(lane.bytes_on_disk for lane in self.lanes.values())

    @property
    def waiting_bytes(self) -> int:
        """Return what is in memory and not yet handed to the disk."""
        return self._group.bytes if self._group is not None else 0

    async def read(self, name: str, limit: int) -> list[Record]:
        """Return the next records of a lane; none where there are none at this moment."""
        return await self._in_thread(self.lanes[name].read, limit)

    @property
    def arrival(self) -> asyncio.Event:
        """Return what will be set by the next commit; take it before reading, wait on it after."""
        return self._arrived

    async def acknowledge(self, name: str, records: list[Record]) -> None:
        """Forget records that are stored elsewhere."""
        lane = self.lanes[name]
        await self._in_thread(lane.acknowledge, records[-1].sequence + 1, len(records))

    async def close(self) -> None:
        """Bring the rest to disk and close the files."""
        await self.commit()
        for lane in self.lanes.values():
            await self._in_thread(lane.close)
        self._disk.shutdown()
