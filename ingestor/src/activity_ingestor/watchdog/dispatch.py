"""Carries notices to every channel at once, each behind its own breaker, until they arrive."""

from __future__ import annotations

import asyncio
from collections import Counter, deque

import structlog

from activity_ingestor.backoff import Backoff
from activity_ingestor.circuit import CircuitBreaker, CircuitRules
from activity_ingestor.clock import Clock
from activity_ingestor.errors import in_words
from activity_ingestor.watchdog.channels import SEND_S, Channel
from activity_ingestor.watchdog.machine import Notice, NoticeKind

_log = structlog.get_logger(__name__)

RULES = CircuitRules(failures=3, reset_s=30.0, half_open_calls=2, successes_to_close=2)
_WAITING = 100


class _Lane:
    """One channel with what it still has to deliver."""

    def __init__(self, channel: Channel, breaker: CircuitBreaker, clock: Clock) -> None:
        self.channel = channel
        self.breaker = breaker
        self.delivered = 0
        self.failed = 0
        self.last_error = ""
        self._clock = clock
        self._waiting: deque[Notice] = deque(maxlen=_WAITING)
        self._wake = asyncio.Event()
        self._backoff = Backoff(base_s=0.5, cap_s=10.0)

    def add(self, notice: Notice) -> None:
        """Queue a notice; what it makes pointless goes."""
        key = (notice.alarm.kind, notice.alarm.entry_id)
        if notice.kind is not NoticeKind.RAISED:
            older = [n for n in self._waiting if (n.alarm.kind, n.alarm.entry_id) == key]
            for stale in older:
                if stale.kind is NoticeKind.STANDING:
                    self._waiting.remove(stale)
        self._waiting.append(notice)
        self._wake.set()

    async def run(self) -> None:
        """Deliver for ever."""
        while True:
            while self._waiting:
                notice = self._waiting[0]
                await self._deliver(notice)
                if self._waiting and self._waiting[0] is notice:
                    self._waiting.popleft()
            self._wake.clear()
            await self._wake.wait()

    async def _deliver(self, notice: Notice) -> None:
        # The first attempt of a new alarm is made whatever the breaker says: it may be the channel
        # that has just come back, and 30 s are too long.
        first = notice.kind is NoticeKind.RAISED
        while True:
            permit = self.breaker.permit()
            if permit is None and not first:
                await self._clock.sleep(max(0.05, self.breaker.seconds_until_trial()))
                continue
            first = False
            try:
                async with asyncio.timeout(SEND_S):
                    await self.channel.send(notice.as_json())
            except Exception as error:  # noqa: BLE001 - whatever it is, the next attempt follows
                if permit is not None:
                    self.breaker.failed(permit)
                self._note(error)
                await self._clock.sleep(self._backoff.next_delay_s(self._clock.monotonic()))
            else:
                if permit is not None:
                    self.breaker.succeeded(permit)
                self.delivered += 1
                self.last_error = ""
                self._backoff.connected(self._clock.monotonic())
                return

    def _note(self, error: Exception) -> None:
        self.failed += 1
        text = in_words(error)
        if text != self.last_error:
            _log.warning("an alarm could not be sent", channel=self.channel.name, error=text)
        self.last_error = text


class Dispatcher:
    """All channels."""

    def __init__(self, channels: list[Channel], clock: Clock) -> None:
        """Take the channels; none is allowed, and then alarms are only logged and recorded."""
        self.lanes = [
            _Lane(c, CircuitBreaker(f"alarm.{c.name}", RULES, clock.monotonic), clock)
            for c in channels
        ]
        self.sent: Counter[tuple[str, str]] = Counter()

    def tell(self, notice: Notice) -> None:
        """Send a notice by every channel; returns at once."""
        self.sent[notice.alarm.kind, notice.kind] += 1
        for lane in self.lanes:
            lane.add(notice)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            for lane in self.lanes:
                tasks.create_task(lane.run())
