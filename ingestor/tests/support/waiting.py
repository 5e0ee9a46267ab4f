"""Waiting for what another process or thread is about to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
import time

_POLL_S = 0.02


async def until(condition: Callable[[], bool], timeout_s: float = 20.0) -> None:
    """Return as soon as the condition holds; raises TimeoutError where it never does."""
    async with asyncio.timeout(timeout_s):
        while not condition():  # noqa: ASYNC110 - the other side is another process
            await asyncio.sleep(_POLL_S)


def wait_until(condition: Callable[[], bool], timeout_s: float = 30.0) -> float:
    """Return how long it took until the condition held, in seconds; raises TimeoutError."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > timeout_s:
            raise TimeoutError("it never came true")
        time.sleep(_POLL_S)
    return time.monotonic() - started
