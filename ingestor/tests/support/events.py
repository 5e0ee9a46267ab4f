"""Events for tests, and a writer around a fake database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from activity_ingestor.circuit import CircuitBreaker, CircuitRules
from activity_ingestor.events import Event, EventClass, Source
from activity_ingestor.sink import DeadLetters, Sink, Writer
from activity_ingestor.spool import Spool
from tests.support.clock import START_US, FakeClock


def event(
    number: int = 0,
    *,
    event_class: EventClass = EventClass.STATE,
    value: float | str | None = None,
    tag: str = "sensor.power",
    session_id: str = "",
    sameness: str | None = None,
) -> Event:
    time_us = START_US + number
    return Event(
        source=Source.HOME_ASSISTANT,
        event_class=event_class,
        measurement="state",
        tags=(("entity_id", tag),),
        fields=(("value", float(number) if value is None else value),),
        time_us=time_us,
        sameness=f"{time_us}" if sameness is None else sameness,
        session_id=session_id,
    )


async def put(spool: Spool, *events: Event) -> None:
    for one in events:
        spool.put(one)
    await spool.commit()


def make_writer(
    spool: Spool,
    sink: Sink,
    clock: FakeClock,
    folder: Path,
    *,
    lane: str = "bulk",
    batch: int = 100,
) -> Writer:
    breaker = CircuitBreaker("database", CircuitRules(reset_s=30.0), clock.monotonic)
    return Writer(
        lane,
        spool,
        sink,
        breaker=breaker,
        dead_letters=DeadLetters(folder),
        clock=clock,
        batch_size=batch,
        batch_s=0.1,
    )


@asynccontextmanager
async def running(writer: Writer) -> AsyncIterator[None]:
    """Run a writer for as long as the block lasts."""
    task = asyncio.create_task(writer.run())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def written(writer: Writer, spool: Spool, timeout_s: float = 10.0) -> None:
    """Wait until everything in the writer's lane is stored or a dead letter."""
    async with asyncio.timeout(timeout_s):
        while spool.lanes[writer.name].depth:  # noqa: ASYNC110 - the spool's thread is at work
            await asyncio.sleep(0.002)
