"""uvicorn inside our own event loop, with our own signal handling."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import FastAPI
import uvicorn


class _Server(uvicorn.Server):
    """A server that leaves signals alone: SIGTERM drains the spool first."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class WebServer:
    """Serves until stopped."""

    def __init__(self, api: FastAPI, host: str, port: int) -> None:
        """Take the address; port 0 takes a free one."""
        self._server = _Server(
            uvicorn.Config(
                api,
                host=host,
                port=port,
                log_config=None,
                access_log=False,
                lifespan="off",
                timeout_graceful_shutdown=1,
            )
        )

    async def run(self) -> None:
        """Serve; raises OSError where the address is taken."""
        try:
            await self._server.serve()
        except SystemExit as error:  # uvicorn's way to say that it could not bind
            raise OSError("the HTTP address cannot be used (is the port taken?)") from error

    async def port(self) -> int:
        """Wait until it listens, and return the port."""
        while not self._server.started:  # noqa: ASYNC110 - uvicorn sets a flag, no event
            await asyncio.sleep(0.01)
        return int(self._server.servers[0].sockets[0].getsockname()[1])

    def stop(self) -> None:
        """Let `run` return soon."""
        self._server.should_exit = True
