"""Real processes on loopback: one simulated house and one Home Assistant for each module."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from pytest_socket import enable_socket

from tests.e2e.world import World, keep_plant_log, open_world

_TAIL = 60  # lines of each log that a failure shows


# Home Assistant's test plugin watches a hass inside the test's own loop. Here it is a process, and
# the loop lives as long as its module: what it holds between two tests is no leak.
@pytest.fixture
def verify_cleanup() -> None:
    """Let connections and tasks outlive a test."""


@pytest.fixture
def enable_event_loop_debug() -> None:
    """Leave the loop as it is."""


@pytest.fixture(scope="module", autouse=True)
def _loopback_for_fixtures() -> None:
    """Let the module's own fixtures open sockets, which the plugin forbids before each test."""
    enable_socket()


@pytest.fixture(autouse=True)
def _loopback() -> None:
    """Let the test itself open sockets."""
    enable_socket()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[World]:
    """Return the module's world, whatever state the test before has left it in."""
    folder = tmp_path_factory.mktemp(request.module.__name__.rpartition(".")[2])
    async with open_world(folder) as world:
        yield world


@pytest_asyncio.fixture(loop_scope="module")
async def world(running: World) -> World:
    """Return the module's world at rest: linked, Healthy, nothing discharging."""
    await running.settle()
    return running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Iterator[pytest.TestReport]:
    """Show the ends of the logs with a failure."""
    report = yield
    if report.failed and isinstance(item, pytest.Function):
        for folder in _folders(item.funcargs):
            for log in sorted([*folder.rglob("console.log"), *folder.rglob("plant.log")]):
                lines = log.read_text(errors="replace").splitlines()[-_TAIL:]
                report.sections.append((f"end of {log}", "\n".join(lines)))
    return report


def _folders(arguments: dict[str, object]) -> set[Path]:
    """Return where the logs of a test's worlds are."""
    worlds = [each for each in arguments.values() if isinstance(each, World)]
    for world in worlds:
        keep_plant_log(world)
    own = arguments.get("tmp_path")
    folders = {world.simulator.log.parent for world in worlds}
    return folders | ({own} if isinstance(own, Path) else set())
