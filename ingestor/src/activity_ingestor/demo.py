"""Logs in to the demo's Home Assistant, which trusts its own machine; no token is kept."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import aiohttp

from activity_ingestor.errors import Category, IngestorError

_LOGIN_S = 5.0


def demo_token(url: str) -> Callable[[], Awaitable[str]]:
    """Return a function that logs in by the trusted network; its tokens live half an hour."""
    base = url.rstrip("/")

    async def token() -> str:
        timeout = aiohttp.ClientTimeout(total=_LOGIN_S)
        async with aiohttp.ClientSession(timeout=timeout, raise_for_status=True) as session:
            try:
                return await _log_in(session, base)
            except (KeyError, TypeError) as error:
                raise IngestorError(
                    Category.AUTHENTICATION, "this Home Assistant does not trust this machine"
                ) from error

    return token


async def _log_in(session: aiohttp.ClientSession, base: str) -> str:
    here = f"{base}/"
    flow = {"client_id": here, "handler": ["trusted_networks", None], "redirect_uri": here}
    async with session.post(f"{base}/auth/login_flow", json=flow) as response:
        answer = await response.json()
    if answer.get("type") != "create_entry":
        async with session.post(
            f"{base}/auth/login_flow/{answer['flow_id']}", json={"client_id": here}
        ) as response:
            answer = await response.json()
    form = {"grant_type": "authorization_code", "code": answer["result"], "client_id": here}
    async with session.post(f"{base}/auth/token", data=form) as response:
        return str((await response.json())["access_token"])
