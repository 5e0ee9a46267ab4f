"""Puts the parts together, keeps them running, and ends them in order."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass

import aiohttp
from prometheus_client import CollectorRegistry
import structlog

from activity_ingestor import __version__, memory_file
from activity_ingestor.backoff import Backoff
from activity_ingestor.clock import Clock, SystemClock
from activity_ingestor.errors import Category, in_words
from activity_ingestor.events import Source
from activity_ingestor.health import Dependency
from activity_ingestor.metrics import Histograms
from activity_ingestor.parts import Parts, build
from activity_ingestor.pool import Pool
from activity_ingestor.recording import alarm_event
from activity_ingestor.settings import Settings
from activity_ingestor.watchdog import AlarmKind, Notice, NoticeKind
from activity_ingestor.web import WebServer, make_api
from activity_ingestor.web.api import Alive

_log = structlog.get_logger(__name__)

TICK_S = 0.25
_SAVE_S = 1.0
_DEAD_TICK_S = 5.0
# SIGTERM to exit in 10 s: the rest is for closing connections.
DRAIN_S = 6.0


@dataclass(slots=True)
class _Life:
    """When the process began, and when its watchdog last ticked; monotonic seconds."""

    started_at: float
    ticked_at: float


class App:
    """The running service."""

    def __init__(
        self,
        settings: Settings,
        *,
        clock: Clock | None = None,
        token: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """Take the settings; `token` replaces the configured one, as the demo's log-in does."""
        self._settings = settings
        self._clock = clock or SystemClock()
        self._token = token
        self._registry = CollectorRegistry()
        self._histograms = Histograms(self._registry)
        now = self._clock.monotonic()
        self._life = _Life(now, now)
        self._stop = asyncio.Event()
        self._parts: Parts | None = None
        self.port = 0

    def stop(self) -> None:
        """End in order: sources first, then what is in the spool is written, within 10 s."""
        self._stop.set()

    async def run(self) -> None:
        """Run until `stop`; raises OSError where the data folder or the address cannot be used."""
        pool = Pool(self._clock, self._registry)
        async with pool.open() as session:
            parts = await self._build(session, pool)
            self._parts = parts
            await parts.spool.open()
            web = WebServer(
                make_api(self.alive, self.dependencies, self._registry),
                self._settings.http_host,
                self._settings.http_port,
            )
            serving = asyncio.create_task(web.run())
            try:
                self.port = await self._listening(web, serving)
                _log.info("running", version=__version__, port=self.port)
                await self._work(parts)
            finally:
                web.stop()
                with suppress(TimeoutError, OSError):
                    await asyncio.wait_for(serving, 2.0)
                await parts.spool.close()
        _log.info("ended")

    async def _build(self, session: aiohttp.ClientSession, pool: Pool) -> Parts:
        path = self._settings.data_folder / "memory.json"
        self._settings.data_folder.mkdir(parents=True, exist_ok=True)
        remembered = await asyncio.to_thread(memory_file.load, path)
        return build(
            self._settings,
            self._clock,
            session,
            pool.report,
            self._registry,
            self._histograms,
            remembered=remembered,
            token=self._token,
        )

    @staticmethod
    async def _listening(web: WebServer, serving: asyncio.Task[None]) -> int:
        asking = asyncio.create_task(web.port())
        await asyncio.wait((asking, serving), return_when=asyncio.FIRST_COMPLETED)
        if not asking.done():
            asking.cancel()
            await serving
            raise OSError("the HTTP server ended at once")
        return asking.result()

    async def _work(self, parts: Parts) -> None:
        sources = [self._forever(name, run) for name, run in parts.sources]
        services = [
            self._forever("spool", parts.spool.run),
            self._forever("alarms", parts.dispatcher.run),
            self._forever("watchdog", self._watch),
            *(self._forever(name, run) for name, run in parts.services),
        ]
        writers = [self._forever(f"writer.{w.name}", w.run) for w in parts.writers]
        try:
            await self._stop.wait()
            _log.info("stopping")
            await _cancel(sources)
            await parts.spool.commit()
            await self._drain(parts)
        finally:
            await _cancel(sources + services + writers)

    async def _drain(self, parts: Parts) -> None:
        for writer in parts.writers:
            writer.hurry()
        deadline = self._clock.monotonic() + DRAIN_S
        while any(lane.depth for lane in parts.spool.lanes.values()):
            if self._clock.monotonic() > deadline:
                left = sum(lane.depth for lane in parts.spool.lanes.values())
                _log.warning("events stay in the spool for the next start", events=left)
                return
            await self._clock.sleep(0.05)

    def _forever(self, name: str, run: Callable[[], Awaitable[None]]) -> asyncio.Task[None]:
        return asyncio.create_task(self._restarting(name, run), name=name)

    async def _restarting(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run a part again whenever it fails: an error nobody thought of must not end the rest."""
        backoff = Backoff(base_s=0.5, cap_s=30.0)
        while True:
            backoff.connected(self._clock.monotonic())
            try:
                await run()
            except Exception as error:  # noqa: BLE001 - whatever it is, the part starts again
                _log.exception("a part failed and is started again", part=name)
                if self._parts is not None:
                    self._parts.intake.errors[Source.INGESTOR, Category.INTERNAL] += 1
                    self._parts.intake.last_error = in_words(error)
            await self._clock.sleep(backoff.next_delay_s(self._clock.monotonic()))

    # Watching

    async def _watch(self) -> None:
        saved_at = self._clock.monotonic()
        while True:
            before = self._clock.monotonic()
            await self._clock.sleep(TICK_S)
            now = self._clock.monotonic()
            lag = now - before - TICK_S
            self._histograms.lag_s = max(lag, self._histograms.lag_s * 0.9)
            self._life.ticked_at = now
            parts = self._parts
            if parts is None:
                continue
            for notice in parts.watchdog.tick():
                self._tell(parts, notice)
            if now - saved_at >= _SAVE_S:
                saved_at = now
                await self._save(parts)

    def _tell(self, parts: Parts, notice: Notice) -> None:
        alarm = notice.alarm
        log = _log.info if notice.kind is NoticeKind.CLEARED else _log.error
        log(
            "alarm",
            alarm=alarm.kind,
            state=notice.kind,
            session_id=alarm.session_id or None,
            text=alarm.text,
        )
        parts.dispatcher.tell(notice)
        parts.intake.record(alarm_event(notice.as_json(), notice.at_us))
        is_unguarded = alarm.kind is AlarmKind.SESSION_UNGUARDED
        if is_unguarded and notice.kind is NoticeKind.RAISED and parts.stopper is not None:
            parts.stopper.tell(notice)

    async def _save(self, parts: Parts) -> None:
        data = {
            "entries": parts.watchdog.remembered(),
            "last_heard_us": parts.last_heard_us(),
        }
        path = self._settings.data_folder / "memory.json"
        with suppress(OSError):  # a full disk: the spool says so already
            await asyncio.to_thread(memory_file.save, path, data)

    # Answers

    def alive(self) -> Alive:
        """Return whether the loop runs and the watchdog ticks."""
        now = self._clock.monotonic()
        return Alive(
            now - self._life.ticked_at < _DEAD_TICK_S,
            __version__,
            round(now - self._life.started_at, 1),
            round(self._histograms.lag_s, 4),
        )

    def dependencies(self) -> list[Dependency]:
        """Return every enabled dependency."""
        return self._parts.dependencies() if self._parts is not None else []


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
