"""A stand-in for Home Assistant's WebSocket API, with the faults of the real one at will."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any, Self

from aiohttp import WSMsgType, web

from tests.support.servers import HOST, free_port

TOKEN = "right"
HEARTBEATS = "export_monitor/heartbeat"


class FakeHomeAssistant:
    def __init__(self) -> None:
        self.port = free_port()
        self.sockets: list[web.WebSocketResponse] = []
        self.subscriptions: list[str] = []
        self.states: list[dict[str, object]] = []
        self.history: dict[str, list[dict[str, object]]] = {}
        self.history_asked: list[dict[str, Any]] = []
        self.connections = 0
        self.logins_refused = 0
        self.answers_pings = True
        self.greets = True
        self.coalesces = True
        self.is_loaded = True
        """Whether the export monitor is."""
        self.refusal = "unknown_command"
        self._subscribed: dict[str, list[tuple[web.WebSocketResponse, int]]] = {}
        self._runner: web.AppRunner | None = None

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def start(self) -> None:
        app = web.Application()
        app.router.add_get("/api/websocket", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, HOST, self.port).start()

    async def stop(self) -> None:
        await self.drop()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def drop(self) -> None:
        """Cut every connection."""
        sockets, self.sockets = self.sockets, []
        self._subscribed = {}
        for socket in sockets:
            await socket.close()

    async def _serve(self, request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        self.connections += 1
        self.sockets.append(socket)
        if not self.greets:
            await socket.receive()
            return socket
        await socket.send_json({"type": "auth_required", "ha_version": "2026.10.4"})
        async for message in socket:
            if message.type is not WSMsgType.TEXT:
                break
            await self._answer(socket, message.json())
        return socket

    async def _answer(self, socket: web.WebSocketResponse, message: dict[str, Any]) -> None:
        kind = message["type"]
        if kind == "auth":
            if message["access_token"] != TOKEN:
                self.logins_refused += 1
                await socket.send_json({"type": "auth_invalid", "message": "Invalid access token"})
                await socket.close()
                return
            await socket.send_json({"type": "auth_ok", "ha_version": "2026.10.4"})
            return
        if kind == "ping":
            if self.answers_pings:
                await socket.send_json({"id": message["id"], "type": "pong"})
            return
        if kind == HEARTBEATS and not self.is_loaded:
            error = {"code": self.refusal, "message": "no"}
            answer = {"id": message["id"], "type": "result", "success": False, "error": error}
            await socket.send_json(answer)
            return
        result: object = None
        if kind == HEARTBEATS:
            self.subscriptions.append(kind)
            self._subscribed.setdefault(kind, []).append((socket, message["id"]))
        elif kind == "subscribe_events":
            self.subscriptions.append(message["event_type"])
            rows = self._subscribed.setdefault(message["event_type"], [])
            rows.append((socket, message["id"]))
        elif kind == "get_states":
            result = self.states
        elif kind == "history/history_during_period":
            self.history_asked.append(message)
            wanted = message["entity_ids"]
            result = {e: rows for e, rows in self.history.items() if e in wanted}
        await socket.send_json(
            {"id": message["id"], "type": "result", "success": True, "result": result}
        )

    async def fire(
        self, event_type: str, data: dict[str, object], at: datetime | None = None
    ) -> None:
        """Send an event to everyone who is subscribed now."""
        event = {
            "event_type": event_type,
            "data": data,
            "origin": "LOCAL",
            "time_fired": (at or datetime.now(UTC)).isoformat(),
            "context": {"id": "c", "parent_id": None, "user_id": None},
        }
        # The integration's heartbeats do not pass the bus.
        kind = HEARTBEATS if event_type == "export_monitor_heartbeat" else event_type
        for socket, number in self._subscribed.get(kind, []):
            message: object = {"id": number, "type": "event", "event": event}
            await socket.send_json([message] if self.coalesces else message)

    async def change(self, entity_id: str, state: str, at: datetime | None = None) -> None:
        """Send a state."""
        at = at or datetime.now(UTC)
        await self.fire(
            "state_changed",
            {"entity_id": entity_id, "new_state": state_of(entity_id, state, at)},
            at,
        )

    def subscribers(self, event_type: str) -> int:
        return len(self._subscribed.get(event_type, []))


def state_of(entity_id: str, state: str, at: datetime) -> dict[str, object]:
    return {
        "entity_id": entity_id,
        "state": state,
        "attributes": {"unit_of_measurement": "W"},
        "last_changed": at.isoformat(),
        "last_updated": at.isoformat(),
    }


def heartbeat(**changes: object) -> dict[str, object]:
    """Return a heartbeat as the integration fires it in mid-discharge."""
    return {
        "version": 1,
        "entry_id": "entry",
        "sequence": 7,
        "interval_seconds": 3,
        "session_id": "session-1",
        "discharge_active": True,
        "session_exported_kwh": 1.25,
        "exported_today_kwh": 4.5,
        "export_headroom_kwh": 0.75,
        "error_state": "none",
        "system_health": "Healthy",
        "data_age_seconds": 1.5,
        **changes,
    }


async def wait_for_subscription(home: FakeHomeAssistant) -> None:
    last = HEARTBEATS if home.is_loaded else "state_changed"
    async with asyncio.timeout(10):
        while not home.subscribers(last):  # noqa: ASYNC110 - a real socket
            await asyncio.sleep(0.01)
