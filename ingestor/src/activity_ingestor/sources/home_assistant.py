"""Home Assistant as a source: subscribed again after each reconnect, gaps recorded and filled."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import aiohttp
import structlog

from activity_ingestor.backoff import Backoff
from activity_ingestor.clock import MICROSECONDS, Clock
from activity_ingestor.errors import (
    SLOW_RETRY_S,
    Category,
    IngestorError,
    Policy,
    in_words,
    policy,
)
from activity_ingestor.events import Event, Source
from activity_ingestor.intake import Intake
from activity_ingestor.links import Link
from activity_ingestor.recording import (
    Selection,
    bus_event,
    gap_event,
    service_called,
    state_changed,
    state_of,
)
from activity_ingestor.shapes import Json
from activity_ingestor.sources.backfill import fill_from_history
from activity_ingestor.sources.ha_connection import CommandFailedError, HaConnection

_log = structlog.get_logger(__name__)

STATE_CHANGED, CALL_SERVICE = "state_changed", "call_service"
# Heartbeats do not go over the bus, where the recorder would keep each of them. The command exists
# once the integration is loaded, which may be long after Home Assistant lets us in.
HEARTBEATS, COMPONENT_LOADED, INTEGRATION = (
    "export_monitor/heartbeat",
    "component_loaded",
    "export_monitor",
)
_UNKNOWN_COMMAND = "unknown_command"
# A ceiling this low keeps "subscribed again within 2 s"; one client on a home network harms nobody.
_BASE_S, _CAP_S = 0.25, 1.0


@dataclass(frozen=True, slots=True)
class HomeAssistantRules:
    """How the connection is kept; seconds unless said otherwise."""

    url: str
    """WebSocket address, with its path."""
    event_types: tuple[str, ...]
    """Besides `state_changed` and `call_service`."""
    ping_interval_s: float = 2.0
    ping_deadline_s: float = 5.0
    backfill_limit_s: float = 86_400.0


class LinkWatcher(Protocol):
    """Who wants to know how the connection is."""

    def heard_pong(self, latency_s: float) -> None:
        """Take a pong."""

    def link_changed(self, *, up: bool) -> None:
        """Take a change between connected and not."""


@dataclass(slots=True)
class GapReport:
    """Totals for the metrics."""

    gaps: int = 0
    seconds: float = 0.0
    backfilled: int = 0
    unfilled: int = 0
    """Gaps for which Home Assistant's history could not be read."""


class HomeAssistantSource:
    """Reads Home Assistant for ever."""

    def __init__(  # noqa: PLR0913 - it joins what is built apart
        self,
        rules: HomeAssistantRules,
        selection: Selection,
        *,
        token: Callable[[], Awaitable[str]],
        session: aiohttp.ClientSession,
        intake: Intake,
        watcher: LinkWatcher,
        clock: Clock,
        last_heard_us: int | None = None,
    ) -> None:
        """Take `last_heard_us` from an earlier process: its end until now is a gap, too."""
        self._rules = rules
        self._selection = selection
        self._token = token
        self._session = session
        self._intake = intake
        self._watcher = watcher
        self._clock = clock
        self.link = Link("home_assistant", clock)
        self.gaps = GapReport()
        self.last_heard_us = last_heard_us
        self._unfilled_since_us: int | None = last_heard_us
        self.version = ""
        self._backoff = Backoff(base_s=_BASE_S, cap_s=_CAP_S)
        self._integration_loaded = asyncio.Event()

    @property
    def resume_from_us(self) -> int | None:
        """Return from when on events would be missing if this process ended now."""
        return self._unfilled_since_us or self.last_heard_us

    async def run(self) -> None:
        """Connect, read, and connect again, until cancelled."""
        while True:
            try:
                await self._one_connection()
            except Exception as error:  # noqa: BLE001 - whatever ended it, the next attempt follows
                delay_s = self._lost(_cause(error))
                await self._clock.sleep(delay_s)

    def _lost(self, error: BaseException) -> float:
        if self.link.connected:
            _log.warning("Home Assistant lost", error=in_words(error))
            self._watcher.link_changed(up=False)
        elif in_words(error) != self.link.last_error:
            _log.warning("Home Assistant cannot be reached", error=in_words(error))
        self.link.down(error)
        delay_s = self._backoff.next_delay_s(self._clock.monotonic())
        if policy(error) is Policy.RETRY_SLOWLY:
            delay_s = max(delay_s, SLOW_RETRY_S)
        return delay_s

    async def _one_connection(self) -> None:
        token = await self._token()
        connection = await HaConnection.open(
            self._session, self._rules.url, self._clock, self.link, self._event
        )
        try:
            await connection.authenticate(token)
            self.version = connection.version
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(connection.read())
                await self._subscribe(connection)
                tasks.create_task(self._hear_heartbeats(connection))
                tasks.create_task(
                    connection.ping_forever(
                        self._rules.ping_interval_s, self._rules.ping_deadline_s, self._pong
                    )
                )
                await self._catch_up(connection)
        finally:
            await connection.close()

    async def _subscribe(self, connection: HaConnection) -> None:
        """Subscribe to everything anew: a new connection has no subscriptions."""
        with suppress(CommandFailedError):  # older than 2022.12: one frame a message, then
            await connection.command(
                {"type": "supported_features", "features": {"coalesce_messages": 1}}
            )
        wanted = (COMPONENT_LOADED, CALL_SERVICE, *self._rules.event_types, STATE_CHANGED)
        for event_type in wanted:
            await connection.command({"type": "subscribe_events", "event_type": event_type})
        self.link.up()
        self._backoff.connected(self._clock.monotonic())
        self._watcher.link_changed(up=True)
        _log.info("subscribed to Home Assistant", version=connection.version)

    async def _hear_heartbeats(self, connection: HaConnection) -> None:
        """Subscribe to the integration's heartbeats now, or as soon as it is loaded."""
        while True:
            self._integration_loaded.clear()
            try:
                await connection.command({"type": HEARTBEATS})
            except CommandFailedError as error:
                if error.code != _UNKNOWN_COMMAND:
                    raise
                _log.info("the export monitor is not loaded yet: no heartbeats until it is")
            else:
                return
            await self._integration_loaded.wait()

    def _pong(self, latency_s: float) -> None:
        self.last_heard_us = self._clock.wall_us()
        self._watcher.heard_pong(latency_s)

    # Events

    async def _event(self, event: Json) -> None:
        self.last_heard_us = self._clock.wall_us()
        await self._intake.room()
        self._intake.record_from(Source.HOME_ASSISTANT, lambda: self._read(event))

    def _read(self, event: Json) -> Event | None:
        event_type, data = event["event_type"], event.get("data")
        if event_type == COMPONENT_LOADED:
            if isinstance(data, dict) and data.get("component") == INTEGRATION:
                self._integration_loaded.set()
            return None
        if event_type == STATE_CHANGED:
            return state_changed(event, self._selection)
        if event_type == CALL_SERVICE:
            return service_called(event)
        if isinstance(data, dict):
            self._intake.look_at(Source.HOME_ASSISTANT, str(event_type), data)
        return bus_event(event)

    # The gap

    async def _catch_up(self, connection: HaConnection) -> None:
        """Record what was missed: first what stands now, then what was between."""
        now_us = self._clock.wall_us()
        since_us = self._unfilled_since_us
        states = await connection.states()
        selected = [s for s in states if str(s.get("entity_id", "")) in self._selection.entities]
        for state in selected:
            await self._intake.room()
            self._record_state(state, since_us)
        if since_us is not None:
            self._note_gap(since_us, now_us)
            bounded_us = max(since_us, now_us - round(self._rules.backfill_limit_s * MICROSECONDS))
            await self._fill(connection, [str(s["entity_id"]) for s in selected], bounded_us)
        # From here on only what comes after the last sign of life can be missed.
        self._unfilled_since_us = None
        while True:
            await self._clock.sleep(1.0)
            self._unfilled_since_us = self.last_heard_us

    def _record_state(self, state: Json, since_us: int | None) -> None:
        def make() -> Event | None:
            event = state_of(state, self._selection)
            return event if since_us is None or event.time_us >= since_us else None

        receipt = self._intake.record_from(Source.HOME_ASSISTANT, make)
        if receipt is not None and receipt.correlation_id:
            self.gaps.backfilled += 1

    def _note_gap(self, since_us: int, now_us: int) -> None:
        seconds = max(0.0, (now_us - since_us) / MICROSECONDS)
        self.gaps.gaps += 1
        self.gaps.seconds += seconds
        why = self.link.last_error or "reconnected"
        self._intake.record(gap_event(Source.HOME_ASSISTANT, since_us, now_us, why))
        _log.info("gap in Home Assistant's events", seconds=round(seconds, 1))

    async def _fill(self, connection: HaConnection, entities: list[str], since_us: int) -> None:
        def take(entity_id: str, event: Event) -> None:
            if entity_id in self._selection.entities:
                receipt = self._intake.record(event)
                if receipt is not None and receipt.correlation_id:
                    self.gaps.backfilled += 1

        try:
            await fill_from_history(
                connection, self._clock, entities, since_us, self._selection, self._intake, take
            )
        except CommandFailedError as error:
            self.gaps.unfilled += 1
            _log.warning("the gap could not be filled from history", error=in_words(error))


def _cause(error: BaseException) -> BaseException:
    """Return what ended a connection: the first of several errors of a task group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, KeyError | TypeError | AttributeError):
        return IngestorError(Category.PROTOCOL, f"unexpected answer: {in_words(error)}")
    return error
