"""One connection to Home Assistant's WebSocket API: https://developers.home-assistant.io/docs/api/websocket."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Self

import aiohttp
import orjson

from activity_ingestor.clock import Clock
from activity_ingestor.errors import Category, IngestorError
from activity_ingestor.links import Link
from activity_ingestor.shapes import Json, text_of

ANSWER_S = 5.0
"""A stopped Home Assistant still accepts connections: only an answer proves something."""
_STATES_S = 30.0  # thousands of states from a Raspberry Pi that has just booted
_CLOSED = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED)


class CommandFailedError(IngestorError):
    """Home Assistant refused a command; `code` is its own."""

    def __init__(self, command: str, code: str, text: str) -> None:
        """Keep its words."""
        category = Category.AUTHENTICATION if code == "unauthorized" else Category.PROTOCOL
        super().__init__(category, f"{command}: {code}: {text}")
        self.code = code


class HaConnection:
    """Speaks the protocol; knows nothing of what the events mean."""

    def __init__(
        self,
        socket: aiohttp.ClientWebSocketResponse,
        clock: Clock,
        link: Link,
        on_event: Callable[[Json], Awaitable[None]],
    ) -> None:
        """Take an open socket; `on_event` gets the bus events, in order."""
        self._socket = socket
        self._clock = clock
        self._link = link
        self._on_event = on_event
        self._last_id = 0
        self._waiting: dict[int, asyncio.Future[Json]] = {}
        self._busy_since: float | None = None
        self.version = ""

    @classmethod
    async def open(
        cls,
        session: aiohttp.ClientSession,
        url: str,
        clock: Clock,
        link: Link,
        on_event: Callable[[Json], Awaitable[None]],
    ) -> Self:
        """Connect; raises TimeoutError, aiohttp.ClientError or OSError."""
        async with asyncio.timeout(ANSWER_S):
            # max_msg_size=0: all states of a large house in one message pass aiohttp's 4 MiB.
            # No compression: it costs more than it saves inside a house.
            socket = await session.ws_connect(
                url, max_msg_size=0, compress=0, autoclose=True, timeout=_close_quickly()
            )
        return cls(socket, clock, link, on_event)

    async def authenticate(self, token: str) -> None:
        """Log in; raises IngestorError(authentication) for a wrong token."""
        async with asyncio.timeout(ANSWER_S):
            await self._receive_one("auth_required")
            await self._send({"type": "auth", "access_token": token})
            answer = await self._receive_one("auth_ok", "auth_invalid")
        if answer["type"] == "auth_invalid":
            said = text_of(answer, "message", "no reason given")
            raise IngestorError(
                Category.AUTHENTICATION,
                f"Home Assistant refuses the token ({said}): make a new long-lived access token in"
                " your user profile",
            )
        self.version = text_of(answer, "ha_version")

    async def _receive_one(self, *expected: str) -> Json:
        for message in await self._receive():
            if message.get("type") in expected:
                return message
        raise IngestorError(Category.PROTOCOL, f"not Home Assistant: no {expected[0]}")

    # Reading

    async def read(self) -> None:
        """Read until the connection ends, and raise what ended it."""
        try:
            while True:
                for message in await self._receive():
                    await self._take(message)
        finally:
            lost = ConnectionError("connection to Home Assistant lost")
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(lost)
                    future.exception()  # whoever waits sees it; nobody may be waiting any more

    async def _receive(self) -> list[Json]:
        message = await self._socket.receive()
        if message.type in _CLOSED:
            raise ConnectionError("Home Assistant closed the connection")
        if message.type is aiohttp.WSMsgType.ERROR:
            raise ConnectionError(f"the connection broke: {message.data}")
        if message.type not in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
            return []
        self._link.bytes_received += len(message.data)
        try:
            data = orjson.loads(message.data)
        except orjson.JSONDecodeError as error:
            raise IngestorError(Category.PROTOCOL, "not JSON from Home Assistant") from error
        # With coalesced messages one frame holds a list.
        messages = data if isinstance(data, list) else [data]
        return [m for m in messages if isinstance(m, dict)]

    async def _take(self, message: Json) -> None:
        if message.get("type") == "event":
            event = message.get("event")
            if isinstance(event, dict):
                self._link.received += 1
                self._busy_since = self._clock.monotonic()
                try:
                    await self._on_event(event)
                finally:
                    self._busy_since = None
            return
        number = message.get("id")
        future = self._waiting.pop(number, None) if isinstance(number, int) else None
        if future is not None and not future.done():
            future.set_result(message)

    # Commands

    async def _send(self, message: Json) -> None:
        await self._socket.send_str(orjson.dumps(message).decode())
        self._link.sent += 1

    async def command(self, message: Json, *, answer_s: float = ANSWER_S) -> object:
        """Send a command and return its result; raises CommandFailedError or TimeoutError."""
        answer = await self._ask(message, answer_s)
        if not answer.get("success"):
            error = answer.get("error")
            said: Json = error if isinstance(error, dict) else {}
            raise CommandFailedError(
                text_of(message, "type"), text_of(said, "code"), text_of(said, "message")
            )
        return answer.get("result")

    async def _ask(self, message: Json, answer_s: float | None) -> Json:
        self._last_id += 1
        number = self._last_id
        future: asyncio.Future[Json] = asyncio.get_running_loop().create_future()
        self._waiting[number] = future
        try:
            async with asyncio.timeout(answer_s):
                await self._send({"id": number, **message})
                return await future
        finally:
            self._waiting.pop(number, None)

    async def states(self) -> list[Json]:
        """Return all states."""
        result = await self.command({"type": "get_states"}, answer_s=_STATES_S)
        return [s for s in result if isinstance(s, dict)] if isinstance(result, list) else []

    async def ping_forever(
        self, interval_s: float, deadline_s: float, on_pong: Callable[[float], None]
    ) -> None:
        """Ping, wait for each pong, and raise TimeoutError when one does not come in time.

        A pong that waits behind events which we ourselves do not read (a slow disk) is not missing.
        """
        while True:
            sent_at = self._clock.monotonic()
            pong = asyncio.ensure_future(self._ask({"type": "ping"}, None))
            late = asyncio.ensure_future(self._until_late(deadline_s))
            try:
                await asyncio.wait((pong, late), return_when=asyncio.FIRST_COMPLETED)
                if not pong.done():
                    raise TimeoutError(f"no pong within {deadline_s:g} s")
                await pong
            finally:
                pong.cancel()
                late.cancel()
            latency_s = self._clock.monotonic() - sent_at
            self._link.latency_s = latency_s
            on_pong(latency_s)
            await self._clock.sleep(max(0.0, interval_s - latency_s))

    async def _until_late(self, deadline_s: float) -> None:
        await self._clock.sleep(deadline_s)
        while self._busy_since is not None:
            await self._clock.sleep(deadline_s / 10)

    async def close(self) -> None:
        """Close without waiting for a peer that may hang."""
        with suppress(TimeoutError, aiohttp.ClientError, OSError):
            async with asyncio.timeout(1.0):
                await self._socket.close()


def _close_quickly() -> aiohttp.ClientWSTimeout:
    return aiohttp.ClientWSTimeout(ws_close=0.5)
