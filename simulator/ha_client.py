"""A thin client of a local Home Assistant: REST, and WebSocket where REST does not reach."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import aiohttp

if TYPE_CHECKING:
    from collections.abc import Callable

_UNAUTHORIZED = 401
_NOT_FOUND = 404
_POLL_S = 0.1

type Json = Any
"""What a JSON document holds; its shape is the other side's affair."""


class HomeAssistantError(RuntimeError):
    """Home Assistant refused a request; the text is its own."""

    def __init__(self, status: int, text: str) -> None:
        """Keep the HTTP status (0 for the WebSocket) and what was said."""
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text


@dataclass(frozen=True, slots=True)
class EntityState:
    """A state as the REST API gives it."""

    entity_id: str
    state: str
    attributes: dict[str, Any]
    last_changed: datetime
    last_reported: datetime

    @property
    def number(self) -> float:
        """Return the state as a number; raises ValueError where it is none."""
        return float(self.state)


class HomeAssistantClient:
    """Logs in by the trusted network whenever it has to; keeps no token anywhere."""

    def __init__(self, url: str) -> None:
        """Take the base address, without a slash at the end."""
        self.url = url
        self._session: aiohttp.ClientSession | None = None
        self._token: str | None = None

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    # Getting in

    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60))
        return self._session

    async def token(self) -> str:
        """Return an access token, fetched at run time; good for half an hour."""
        if self._token is None:
            self._token = await self._log_in()
        return self._token

    async def _log_in(self) -> str:
        here = f"{self.url}/"
        flow = {"client_id": here, "handler": ["trusted_networks", None], "redirect_uri": here}
        async with self._http().post(f"{self.url}/auth/login_flow", json=flow) as response:
            await _raise_for_status(response)
            code = (await response.json())["result"]
        grant = {"client_id": here, "grant_type": "authorization_code", "code": code}
        async with self._http().post(f"{self.url}/auth/token", data=grant) as response:
            await _raise_for_status(response)
            token: str = (await response.json())["access_token"]
            return token

    async def request(self, method: str, path: str, body: object = None) -> Json:
        """Send a request below `/api` and return its JSON; raises HomeAssistantError."""
        for attempt in (1, 2):
            headers = {"Authorization": f"Bearer {await self.token()}"}
            async with self._http().request(
                method, f"{self.url}/api{path}", json=body, headers=headers
            ) as response:
                if response.status == _UNAUTHORIZED and attempt == 1:
                    self._token = None  # it expired, or Home Assistant was started anew
                    continue
                await _raise_for_status(response)
                if response.content_type == "application/json":
                    return await response.json()
                return await response.text()
        return None

    async def is_running(self) -> bool:
        """Return whether Home Assistant has finished starting; False while nobody answers."""
        try:
            config = await self.request("GET", "/config")
        except (aiohttp.ClientError, TimeoutError, HomeAssistantError, ValueError, KeyError):
            return False
        return bool(config["state"] == "RUNNING")

    # States and actions

    async def state(self, entity_id: str) -> EntityState | None:
        """Return an entity's state, None where it does not exist."""
        try:
            row = await self.request("GET", f"/states/{entity_id}")
        except HomeAssistantError as error:
            if error.status == _NOT_FOUND:
                return None
            raise
        return _entity_state(row)

    async def states(self) -> dict[str, EntityState]:
        """Return every state by entity id."""
        rows = await self.request("GET", "/states")
        return {row["entity_id"]: _entity_state(row) for row in rows}

    async def wait_for(
        self, entity_id: str, wanted: str | Callable[[EntityState], bool], timeout_s: float = 30.0
    ) -> EntityState:
        """Return an entity's state once it is as wanted; raises TimeoutError with the last one."""
        found: EntityState | None = None
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    found = await self.state(entity_id)
                    if found is not None and _matches(found, wanted):
                        return found
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            last = "missing" if found is None else repr(found.state)
            raise TimeoutError(f"{entity_id} is {last} after {timeout_s} s") from error

    async def call(
        self, domain: str, service: str, *, answer: bool = False, **data: object
    ) -> Json:
        """Call an action; with `answer` its response is returned, else the changed states."""
        query = "?return_response" if answer else ""
        result = await self.request("POST", f"/services/{domain}/{service}{query}", data)
        return result["service_response"] if answer else result

    # Config entries

    async def start_flow(self, domain: str, **context: object) -> dict[str, Any]:
        """Begin a config flow as the user interface does; `entry_id` makes it a reconfigure."""
        body = {"handler": domain, "show_advanced_options": False} | context
        step: dict[str, Any] = await self.request("POST", "/config/config_entries/flow", body)
        return step

    async def answer_flow(self, flow_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        """Answer a config flow's form; a refusal is a form again, with `errors`."""
        path = f"/config/config_entries/flow/{flow_id}"
        step: dict[str, Any] = await self.request("POST", path, answers)
        return step

    async def run_flow(self, domain: str, *answers: dict[str, Any]) -> dict[str, Any]:
        """Go through a config flow with one set of answers a form; returns the last step."""
        step = await self.start_flow(domain)
        for given in answers:
            step = await self.answer_flow(step["flow_id"], given)
        return step

    async def start_options_flow(self, entry_id: str) -> dict[str, Any]:
        """Begin an entry's options flow."""
        path = "/config/config_entries/options/flow"
        step: dict[str, Any] = await self.request("POST", path, {"handler": entry_id})
        return step

    async def answer_options_flow(self, flow_id: str, answers: dict[str, Any]) -> dict[str, Any]:
        """Answer an options flow's form or menu."""
        path = f"/config/config_entries/options/flow/{flow_id}"
        step: dict[str, Any] = await self.request("POST", path, answers)
        return step

    async def run_options_flow(self, entry_id: str, *answers: dict[str, Any]) -> dict[str, Any]:
        """Go through an options flow with one set of answers a form; returns the last step."""
        step = await self.start_options_flow(entry_id)
        for given in answers:
            step = await self.answer_options_flow(step["flow_id"], given)
        return step

    async def entries(self, domain: str) -> list[dict[str, Any]]:
        """Return an integration's entries; `entry_id` and `state` are among the keys."""
        path = f"/config/config_entries/entry?domain={domain}"
        rows: list[dict[str, Any]] = await self.request("GET", path)
        return rows

    async def reload_entry(self, entry_id: str) -> None:
        """Reload an entry."""
        await self.request("POST", f"/config/config_entries/entry/{entry_id}/reload")

    async def remove_entry(self, entry_id: str) -> None:
        """Remove an entry."""
        await self.request("DELETE", f"/config/config_entries/entry/{entry_id}")

    async def disable_entry(self, entry_id: str, *, disabled: bool = True) -> None:
        """Disable or enable an entry."""
        await self.command(
            "config_entries/disable", entry_id=entry_id, disabled_by="user" if disabled else None
        )

    # WebSocket

    async def command(self, kind: str, **fields: object) -> Json:
        """Send one WebSocket command on a connection of its own and return its result."""
        async with self._http().ws_connect(f"{self.url}/api/websocket") as socket:
            await socket.receive_json()
            await socket.send_json({"type": "auth", "access_token": await self.token()})
            if (hello := await socket.receive_json())["type"] != "auth_ok":
                raise HomeAssistantError(0, str(hello))
            await socket.send_json({"id": 1, "type": kind, **fields})
            while (message := await socket.receive_json()).get("type") != "result":
                pass
        if not message["success"]:
            raise HomeAssistantError(0, str(message["error"]))
        return message["result"]


def _matches(found: EntityState, wanted: str | Callable[[EntityState], bool]) -> bool:
    return found.state == wanted if isinstance(wanted, str) else wanted(found)


def _entity_state(row: dict[str, Any]) -> EntityState:
    return EntityState(
        row["entity_id"],
        row["state"],
        row["attributes"],
        datetime.fromisoformat(row["last_changed"]),
        datetime.fromisoformat(row["last_reported"]),
    )


async def _raise_for_status(response: aiohttp.ClientResponse) -> None:
    if not response.ok:
        raise HomeAssistantError(response.status, await response.text())
