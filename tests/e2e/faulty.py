"""What the scenarios with a fault share: the words of an alarm, and the way back to health."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
import re
import time

from aiohttp import ClientError
import pytest

from simulator.ha_client import HomeAssistantError
from tests.e2e.world import DOMAIN, ERROR, HEALTH, STATUS, Facts, World

WELL_AGAIN_S = 120.0  # specification page 3
LOOK_S = 0.25


@asynccontextmanager
async def observed(world: World, entity_id: str) -> AsyncIterator[list[str]]:
    """Return the states that an entity shows meanwhile, each change once."""
    shown: list[str] = []

    async def look() -> None:
        while True:
            with suppress(ClientError, HomeAssistantError):
                state = await world.client.state(entity_id)
                if state is not None and shown[-1:] != [state.state]:
                    shown.append(state.state)
            await asyncio.sleep(LOOK_S)

    task = asyncio.create_task(look())
    try:
        yield shown
        await asyncio.sleep(2 * LOOK_S)
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def notice(world: World, name: str, title: str, *words: str) -> None:
    """Check that a notification has what a frightened person needs."""
    told = (await world.notifications())[f"{DOMAIN}_{name}"]
    text: str = told["message"]
    world.timeline.say(f"{told['title']}: {text}")
    assert told["title"] == title
    assert not re.search(r"[{}]|\bNone\b|\(-\)", text), "something is left open"
    steps = [int(number) for number in re.findall(r"^(\d+)\. ", text, re.MULTILINE)]
    assert len(steps) >= 3
    assert steps == list(range(1, len(steps) + 1))
    assert [each for each in words if each not in text] == []


async def refusal(world: World) -> str:
    """Return the sentence with which a start is refused."""
    with pytest.raises(HomeAssistantError) as caught:
        await world.act("start_discharge")
    said = caught.value.text
    world.timeline.say(said)
    assert "translation_key" in said
    return said


async def well_again(world: World, cleared: float) -> None:
    """Wait until all is well without any help; raises where that takes more than two minutes."""
    left = WELL_AGAIN_S - (time.monotonic() - cleared)
    try:
        await world.client.wait_for(HEALTH, "Healthy", left)
    finally:
        health = await world.client.state(HEALTH)
        shown = "gone" if health is None else health.state
        world.timeline.say(f"{shown} {time.monotonic() - cleared:.1f} s after the fault was over")
    assert (await world.client.wait_for(ERROR, lambda _: True)).state == "none"
    assert await world.notifications() == {}
    assert await world.repairs() == {}


async def ended(world: World, session: str, timeout_s: float = 30) -> Facts:
    """Return the record of a session once its end is proven; the plant must agree."""
    status = await world.client.wait_for(
        STATUS, lambda s: s.state not in ("Active", "Error", "unavailable"), timeout_s
    )
    record: Facts = status.attributes
    world.timeline.say(f"ended: {record['reason']}, proof: {record['proof']}")
    assert record["session_id"] == session
    assert record["ended"] is not None
    assert record["proof"] in ("dispatch", "battery_power")
    assert not (await world.simulator.truth())["dispatch_active"]
    return record
