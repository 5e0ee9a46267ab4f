"""Fixtures of all tests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import aiohttp
import pytest
import structlog

from activity_ingestor.intake import Intake
from activity_ingestor.spool import Spool
from tests.support.clock import FakeClock
from tests.support.servers import InfluxDB, Mosquitto, VictoriaMetrics, program


@pytest.fixture(autouse=True)
def _quiet_logs() -> Iterator[None]:
    structlog.configure(processors=[structlog.testing.LogCapture()])
    yield
    structlog.reset_defaults()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
async def spool(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Spool]:
    spool = Spool(tmp_path / "spool", clock)
    await spool.open()
    yield spool
    await spool.close()


@pytest.fixture
def intake(spool: Spool) -> Intake:
    return Intake(spool)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


def need(name: str) -> None:
    """Skip a test whose server is not to be had, and say so."""
    if program(name) is None:
        pytest.skip(f"{name} is not on this machine: scripts/servers could not fetch it")


@pytest.fixture
def mosquitto(tmp_path: Path) -> Iterator[Mosquitto]:
    need("mosquitto")
    with Mosquitto(tmp_path) as server:
        yield server


@pytest.fixture
def influxdb(tmp_path: Path) -> Iterator[InfluxDB]:
    need("influxd")
    with InfluxDB(tmp_path) as server:
        server.create("house")
        yield server


@pytest.fixture
def victoria_metrics(tmp_path: Path) -> Iterator[VictoriaMetrics]:
    need("victoria-metrics")
    with VictoriaMetrics(tmp_path) as server:
        yield server
