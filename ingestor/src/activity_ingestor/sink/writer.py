"""Takes events from a lane of the spool to the database: in order, all of them, for ever."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime

import structlog

from activity_ingestor.backoff import Backoff
from activity_ingestor.circuit import CircuitBreaker
from activity_ingestor.clock import MICROSECONDS, Clock
from activity_ingestor.errors import POLICIES, SLOW_RETRY_S, Category, Policy, categorise, in_words
from activity_ingestor.sink.base import Refusal, RefusedError, Sink, WriteResult
from activity_ingestor.sink.dead_letters import DeadLetter, DeadLetters
from activity_ingestor.sink.sizing import BatchSize
from activity_ingestor.spool import Record, Spool

_log = structlog.get_logger(__name__)

# So many lines refused and none stored: is it the lines, or the database?
SUSPECT = 64
_BASE_S, _CAP_S = 0.5, 30.0
_BURIALS = 5


@dataclass(slots=True)
class WriterReport:
    """Totals and the last figures for the metrics."""

    stored: int = 0
    batches: int = 0
    retries: int = 0
    dead: int = 0
    raw_bytes: int = 0
    sent_bytes: int = 0
    errors: Counter[Category] = field(default_factory=Counter)
    last_error: str = ""
    last_stored_at: float = float("-inf")
    last_latency_s: float = 0.0


class Writer:
    """One lane's way to the database."""

    def __init__(  # noqa: PLR0913 - it joins what is built apart
        self,
        name: str,
        spool: Spool,
        sink: Sink,
        *,
        breaker: CircuitBreaker,
        dead_letters: DeadLetters,
        clock: Clock,
        batch_size: int = 5000,
        batch_s: float = 10.0,
        on_batch: Callable[[int, WriteResult], None] = lambda _count, _result: None,
    ) -> None:
        """Take the lane's name; the breaker may be shared with the other lane's writer."""
        self.name = name
        self._spool = spool
        self._sink = sink
        self._breaker = breaker
        self._dead_letters = dead_letters
        self._clock = clock
        self._batch_s = batch_s
        self._on_batch = on_batch
        self.size = BatchSize(batch_size)
        self.report = WriterReport()
        self._backoff = Backoff(base_s=_BASE_S, cap_s=_CAP_S)
        self._hurry = asyncio.Event()
        self._batch_number = 0

    def hurry(self) -> None:
        """Send without gathering from now on: the process is about to end."""
        self._hurry.set()

    async def run(self) -> None:
        """Send batches until cancelled; whatever was not acknowledged is sent by the next run."""
        self._spool.lanes[self.name].rewind()
        while True:
            records = await self._gather()
            if records:
                await self._deliver(records)
                await self._spool.acknowledge(self.name, records)

    async def _gather(self) -> list[Record]:
        """Return a batch: full, or what came within the batch time after its first event."""
        limit = self.size.current
        records: list[Record] = []
        deadline = float("inf")
        while len(records) < limit:
            arrival = self._spool.arrival
            found = await self._spool.read(self.name, limit - len(records))
            records += found
            if records and deadline == float("inf"):
                deadline = self._clock.monotonic() + self._batch_s
            left = deadline - self._clock.monotonic()
            if records and (left <= 0 or self._hurry.is_set()):
                break
            if not found:
                await self._wait(arrival, left)
        return records

    async def _wait(self, arrival: asyncio.Event, seconds: float) -> None:
        waiting: list[asyncio.Future[object]] = [
            asyncio.ensure_future(arrival.wait()),
            asyncio.ensure_future(self._hurry.wait()),
        ]
        if self._hurry.is_set():
            waiting.pop().cancel()
        if seconds != float("inf"):
            waiting.append(asyncio.ensure_future(self._clock.sleep(seconds)))
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()

    # Delivering

    async def _deliver(self, records: list[Record]) -> None:
        """Bring every record of a batch to the database or to the dead letters, in order."""
        self._batch_number += 1
        todo = [records]
        rejected: list[tuple[Record, RefusedError]] = []
        stored = 0
        while todo:
            part = todo.pop()
            try:
                await self._write(part)
            except RefusedError as error:
                if len(part) > 1:
                    middle = len(part) // 2
                    todo += [part[middle:], part[:middle]]  # the first half is popped first
                    continue
                rejected.append((part[0], error))
                if stored == 0 and len(rejected) % SUSPECT == 0:
                    await self._write([], canary=True)
            else:
                stored += len(part)
        if rejected:
            await self._bury(rejected)
        self._log_batch(records, stored)

    async def _write(self, records: list[Record], *, canary: bool = False) -> None:
        """Write until it is stored; raises RefusedError only for lines that never will be."""
        lines = [record.line for record in records] or [self._sink.canary()]
        while True:
            permit = self._breaker.permit()
            if permit is None:
                await self._clock.sleep(max(0.05, self._breaker.seconds_until_trial()))
                continue
            try:
                result = await self._sink.write(lines)
            except RefusedError as error:
                self._note(error)
                if error.refusal is not Refusal.TRY_AGAIN and not canary:
                    # It answers, and about these lines: no fault of the connection.
                    self._breaker.succeeded(permit)
                    if error.refusal is Refusal.TOO_LARGE:
                        self.size.failed()
                    raise
                self._breaker.failed(permit)
                await self._pause(error)
            except Exception as error:  # noqa: BLE001 - whatever it is, the events are kept
                self._breaker.failed(permit)
                self._note(error)
                await self._pause(error)
            except BaseException:
                self._breaker.released(permit)
                raise
            else:
                self._breaker.succeeded(permit)
                self._stored(len(records), result)
                return

    async def _pause(self, error: Exception) -> None:
        self.report.retries += 1
        self.size.failed()
        delay = self._backoff.next_delay_s(self._clock.monotonic())
        if POLICIES[categorise(error)] in (Policy.RETRY_SLOWLY, Policy.STOP):
            delay = max(delay, SLOW_RETRY_S / 2)
        if isinstance(error, RefusedError):
            delay = max(delay, min(error.retry_after_s, SLOW_RETRY_S))
        await self._clock.sleep(delay)

    def _note(self, error: Exception) -> None:
        category = categorise(error)
        self.report.errors[category] += 1
        text = in_words(error)
        if text != self.report.last_error:
            _log.warning("write failed", lane=self.name, category=category, error=text)
        self.report.last_error = text

    def _stored(self, count: int, result: WriteResult) -> None:
        now = self._clock.monotonic()
        self._backoff.connected(now)
        self.size.stored(result.latency_s)
        report = self.report
        if report.last_error and not report.errors[Category.DATA]:
            _log.info("writes succeed again", lane=self.name)
        report.last_error = ""
        report.stored += count
        report.batches += 1
        report.raw_bytes += result.raw_bytes
        report.sent_bytes += result.sent_bytes
        report.last_stored_at = now
        report.last_latency_s = result.latency_s
        self._on_batch(count, result)

    async def _bury(self, rejected: list[tuple[Record, RefusedError]]) -> None:
        now = datetime.fromtimestamp(self._clock.wall_us() / MICROSECONDS, UTC).isoformat()
        letters = [
            DeadLetter(
                f"{self.name}-{record.sequence}",
                record.session_id,
                now,
                error.status,
                in_words(error),
                record.line.decode("utf-8", "replace"),
            )
            for record, error in rejected
        ]
        for _ in range(_BURIALS):
            try:
                await asyncio.to_thread(self._dead_letters.append, letters)
            except OSError as error:
                self._note(error)
                await self._pause(error)
            else:
                break
        else:
            # A full disk gets room only if the writer goes on; the log is the last place for them.
            for letter in letters:
                _log.error("a dead letter that no disk takes", **asdict(letter))
        self.report.dead += len(letters)
        _log.error(
            "the database refuses events for good: kept as dead letters",
            events=len(letters),
            said=letters[0].said,
            first=letters[0].correlation_id,
            file=str(self._dead_letters.path),
        )

    def _log_batch(self, records: list[Record], stored: int) -> None:
        sessions = sorted({record.session_id for record in records if record.session_id})
        with suppress(IndexError):
            _log.debug(
                "batch stored",
                batch=f"{self.name}-batch-{self._batch_number}",
                first=f"{self.name}-{records[0].sequence}",
                last=f"{self.name}-{records[-1].sequence}",
                events=stored,
                sessions=sessions,
                latency_ms=round(self.report.last_latency_s * 1000, 1),
            )
