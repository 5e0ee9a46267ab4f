"""The whole service in one process, without any server: files as the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from activity_ingestor.app import App
from activity_ingestor.settings import load
from tests.support.home_assistant import TOKEN, FakeHomeAssistant, wait_for_subscription
from tests.support.servers import HOST
from tests.support.waiting import until


@asynccontextmanager
async def running(folder: Path, home: FakeHomeAssistant, **more: object) -> AsyncIterator[App]:
    app = App(
        load(
            home_assistant_url=home.url,
            home_assistant_token=TOKEN,
            sink="files",
            sink_folder=folder / "lines",
            data_folder=folder / "data",
            http_port=0,
            **more,
        )
    )
    task = asyncio.create_task(app.run())
    try:
        async with asyncio.timeout(10):
            while not app.port and not task.done():  # noqa: ASYNC110 - it has no event for that
                await asyncio.sleep(0.01)
        yield app
    finally:
        app.stop()
        async with asyncio.timeout(10):
            await task


async def ask(app: App, path: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://{HOST}:{app.port}{path}") as response,
    ):
        return response.status, await response.text()


async def until_async(condition: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(10):
        while not await condition():  # noqa: ASYNC110 - asked over HTTP
            await asyncio.sleep(0.02)


async def answers(app: App, path: str, status: int) -> bool:
    return (await ask(app, path))[0] == status


async def records_a_state(app: App) -> bool:
    _, text = await ask(app, "/metrics")
    return 'ingestor_events_total{class="state"' in text


def lines(folder: Path) -> str:
    return "".join(path.read_text() for path in (folder / "lines").glob("*.lp"))


async def test_endpoints_tell_alive_from_reliable(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home, running(tmp_path, home) as app:
        await wait_for_subscription(home)
        assert (await ask(app, "/health"))[0] == 200
        status, said = await ask(app, "/ready")
        assert (status, '"ready":true' in said) == (200, True)
        await home.stop()
        await until_async(lambda: answers(app, "/ready", 503))
        assert (await ask(app, "/health"))[0] == 200, "it lives, and cannot be relied on"
        _, said = await ask(app, "/health/dependencies")
        assert '"name":"home_assistant","ok":false' in said
        assert (await ask(app, "/metrics"))[0] == 200


async def test_a_stop_drains_what_was_read(tmp_path: Path) -> None:
    """Batches would gather for an hour; the end of the process does not wait for that."""
    async with FakeHomeAssistant() as home, running(tmp_path, home, batch_s=3600) as app:
        await wait_for_subscription(home)
        await home.change("sensor.power", "42")
        await until_async(lambda: records_a_state(app))
        assert "value=42" not in lines(tmp_path)
    assert "value=42.0" in lines(tmp_path)


async def test_no_secret_is_shown(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        more = {"alarm_webhook_url": "http://127.0.0.1:9/hidden-path"}
        async with running(tmp_path, home, **more) as app:
            await wait_for_subscription(home)
            shown = [(await ask(app, p))[1] for p in ("/ready", "/metrics", "/openapi.json")]
    assert not any("hidden-path" in text or f'"{TOKEN}"' in text for text in shown)


async def test_an_address_in_use_is_said(tmp_path: Path) -> None:
    async with FakeHomeAssistant() as home:
        settings = load(
            home_assistant_url=home.url, sink="files", data_folder=tmp_path, http_port=home.port
        )
        with pytest.raises(OSError, match="cannot be used"):
            await App(settings).run()


async def test_a_part_that_fails_is_started_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed = 0
    from activity_ingestor.watchdog import Dispatcher  # noqa: PLC0415

    async def fail_twice(_self: Dispatcher) -> None:
        nonlocal failed
        failed += 1
        if failed <= 2:
            raise RuntimeError("a bug of ours")
        await asyncio.Event().wait()

    monkeypatch.setattr(Dispatcher, "run", fail_twice)
    async with FakeHomeAssistant() as home, running(tmp_path, home) as app:
        await until(lambda: failed >= 3)
        _, said = await ask(app, "/metrics")
        assert 'ingestor_errors_total{category="internal",component="ingestor"} 2.0' in said
