"""The known weak points of services of this kind: one named test each."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import aiohttp
import pytest

from activity_ingestor.circuit import CircuitState
from activity_ingestor.errors import Category
from activity_ingestor.events import EventClass
from activity_ingestor.intake import Intake
from activity_ingestor.links import Link
from activity_ingestor.recording import Globs, Selection
from activity_ingestor.sink import RefusedError
from activity_ingestor.sources import HomeAssistantRules, HomeAssistantSource
from activity_ingestor.sources.ha_connection import HaConnection
from activity_ingestor.spool import Limits, Receipt, Spool, Status
from tests.support.clock import FakeClock, ImpatientClock, RushingClock, settle
from tests.support.database import FakeDatabase, bad_line, refusal, timed_out
from tests.support.events import event, make_writer, put, running, written
from tests.support.home_assistant import TOKEN, FakeHomeAssistant, wait_for_subscription
from tests.support.waiting import until

EVERYTHING = Selection(Globs(("*",)), Globs(()), Globs(()))


class Quiet:
    """A watcher that only counts."""

    def __init__(self) -> None:
        self.pongs = 0
        self.links: list[bool] = []

    def heard_pong(self, _latency_s: float) -> None:
        self.pongs += 1

    def link_changed(self, *, up: bool) -> None:
        self.links.append(up)


def source_for(
    home: FakeHomeAssistant,
    session: aiohttp.ClientSession,
    intake: Intake,
    clock: FakeClock,
    **rules: float,
) -> tuple[HomeAssistantSource, Quiet]:
    async def token() -> str:
        return TOKEN

    watcher = Quiet()
    source = HomeAssistantSource(
        HomeAssistantRules(
            f"ws://127.0.0.1:{home.port}/api/websocket", ("export_monitor_event",), **rules
        ),
        EVERYTHING,
        token=token,
        session=session,
        intake=intake,
        watcher=watcher,
        clock=clock,
    )
    return source, watcher


@pytest.mark.parametrize(
    "failure",
    [
        timed_out(),
        refusal(401),
        refusal(403),
        refusal(404),
        refusal(429),
        refusal(500),
        refusal(503),
        refusal(200, "<html>"),
        RefusedError(Category.NETWORK, "connection reset"),
        RuntimeError("a bug of ours"),
    ],
    ids=str,
)
async def test_breaker_opens_on_every_kind_of_failure(
    failure: Exception, spool: Spool, tmp_path: Path
) -> None:
    database = FakeDatabase(script=[failure] * 3)
    writer = make_writer(spool, database, RushingClock(), tmp_path)
    await put(spool, event(1))
    async with running(writer):
        await written(writer, spool)
    assert writer._breaker.counts.opened == 1
    assert len(database.lines) == 1, "and the event is stored in the end"


async def test_hears_again_after_a_reconnect(
    session: aiohttp.ClientSession, intake: Intake, spool: Spool
) -> None:
    async with FakeHomeAssistant() as home:
        source, _ = source_for(home, session, intake, ImpatientClock())
        task = asyncio.create_task(source.run())
        try:
            await wait_for_subscription(home)
            await home.change("sensor.power", "1")
            await until(lambda: source.link.received == 1)
            for round_number in range(2, 5):
                await home.drop()
                await wait_for_subscription(home)
                assert home.subscriptions[-5:] == [
                    "component_loaded",
                    "call_service",
                    "export_monitor_event",
                    "state_changed",
                    "export_monitor/heartbeat",
                ]
                await home.change("sensor.power", str(round_number))
                heard = partial(lambda n: source.link.received >= n, round_number)
                await until(heard)
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
    assert source.link.connects >= 4


async def test_a_hundred_failed_reconnects_are_not_the_last(
    session: aiohttp.ClientSession, intake: Intake
) -> None:
    home = FakeHomeAssistant()
    clock = ImpatientClock()
    source, _ = source_for(home, session, intake, clock)
    task = asyncio.create_task(source.run())
    try:
        await until(lambda: source.link.failed_attempts >= 100)
        # So short a ceiling that it is subscribed again in less than two seconds.
        assert max(clock.slept) <= 1.0
        await home.start()
        await wait_for_subscription(home)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await home.stop()
    assert source.link.connects == 1


async def test_a_pong_that_does_not_come_ends_the_connection(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock
) -> None:
    async with FakeHomeAssistant() as home:
        source, watcher = source_for(home, session, intake, clock)
        task = asyncio.create_task(source.run())
        try:
            await wait_for_subscription(home)
            await until(lambda: watcher.pongs == 1 and any(1.0 < s <= 2.0 for s in clock.slept))
            home.answers_pings = False
            await clock.advance(2.0)  # the next ping
            await until(lambda: clock.slept.count(5.0) == 2)
            await clock.advance(4.9)
            assert source.link.connected
            await clock.advance(0.2)
            await until(lambda: source.link.drops == 1)
            assert watcher.links[:2] == [True, False]
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_a_server_that_accepts_and_says_nothing_is_not_connected(
    session: aiohttp.ClientSession, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("activity_ingestor.sources.ha_connection.ANSWER_S", 0.05)

    async def ignore(_event: object) -> None:
        """Take nothing."""

    async with FakeHomeAssistant() as home:
        home.greets = False
        url = f"ws://127.0.0.1:{home.port}/api/websocket"
        connection = await HaConnection.open(session, url, clock, Link("x", clock), ignore)
        with pytest.raises(TimeoutError):
            await connection.authenticate(TOKEN)
        await connection.close()


async def test_a_value_that_returns_is_recorded_again(spool: Spool) -> None:
    """A, B, A: three events, also when they come within a microsecond's reach of each other."""
    receipts = [
        spool.put(event(0, value="A", sameness="0|A")),
        spool.put(event(1, value="B", sameness="1|B")),
        spool.put(event(2, value="A", sameness="2|A")),
    ]
    assert [r.status for r in receipts] == [Status.RECORDED] * 3


async def test_equal_values_of_different_tags_are_different_events(spool: Spool) -> None:
    first = spool.put(event(0, value=1.0, tag="sensor.a"))
    second = spool.put(event(0, value=1.0, tag="sensor.b"))
    assert (first.status, second.status) == (Status.RECORDED, Status.RECORDED)


async def test_the_very_same_event_is_recorded_once(spool: Spool) -> None:
    assert spool.put(event(5)).status is Status.RECORDED
    assert spool.put(event(5)).status is Status.REPEATED


async def test_two_events_of_one_nanosecond_become_two_points(spool: Spool) -> None:
    """Of ten thousand events in one microsecond some share their nanosecond; none may merge."""
    for number in range(10_000):
        spool.put(event(0, value=float(number), sameness=f"{number}"))
    await spool.commit()
    records = await spool.read("bulk", 20_000)
    keys = {(r.line.split(b" ")[0], r.line.rsplit(b" ", 1)[1]) for r in records}
    assert len(records) == len(keys) == 10_000
    assert any(b",seq=" in key for key, _ in keys)


async def test_a_batch_is_not_dropped_after_three_tries(spool: Spool, tmp_path: Path) -> None:
    clock = RushingClock()
    database = FakeDatabase(script=[refusal(503)] * 50)
    writer = make_writer(spool, database, clock, tmp_path)
    await put(spool, *(event(n) for n in range(500)))
    async with running(writer):
        await written(writer, spool)
    assert database.attempts >= 50
    assert [line.split(b"value=")[1].split()[0] for line in database.lines] == [
        f"{n}.0".encode() for n in range(500)
    ], "all of them, in order"
    assert writer.report.dead == 0


async def test_memory_is_bounded_while_the_database_is_away(
    tmp_path: Path, clock: FakeClock
) -> None:
    """Nothing is held but what waits for the disk; what is on disk stays there."""
    spool = Spool(tmp_path / "spool", clock, Limits(memory_bytes=50_000))
    await spool.open()
    try:
        most = 0
        for number in range(20_000):
            if not spool._room.is_set():
                await spool.commit()
            spool.put(event(number))
            most = max(most, spool.waiting_bytes)
        assert most < 51_000
        await spool.commit()
        assert spool.lanes["bulk"].depth == 20_000
    finally:
        await spool.close()


async def test_sources_wait_while_the_disk_is_slow(tmp_path: Path, clock: FakeClock) -> None:
    spool = Spool(tmp_path / "spool", clock, Limits(memory_bytes=1_000))
    await spool.open()
    try:
        while spool._room.is_set():
            spool.put(event(spool.lanes["bulk"].next_sequence))
        waiting = asyncio.create_task(spool.room())
        await settle()
        assert not waiting.done()
        await spool.commit()
        await waiting
    finally:
        await spool.close()


async def test_a_write_counts_only_when_the_database_has_said_so(
    spool: Spool, tmp_path: Path
) -> None:
    """Nothing asynchronous in between: until the answer came, the event stays in the spool."""
    clock = RushingClock()
    answer = asyncio.Event()

    class Slow(FakeDatabase):
        async def write(self, lines: Sequence[bytes]):  # type: ignore[no-untyped-def] # noqa: ANN202
            await answer.wait()
            return await super().write(lines)

    database = Slow()
    writer = make_writer(spool, database, clock, tmp_path)
    await put(spool, event(1))
    async with running(writer):
        await settle()
        assert spool.lanes["bulk"].depth == 1
        answer.set()
        await written(writer, spool)
    assert len(database.lines) == 1


async def test_a_writer_that_dies_in_mid_write_sends_again(spool: Spool, tmp_path: Path) -> None:
    clock = RushingClock()
    never = asyncio.Event()

    class Hanging(FakeDatabase):
        async def write(self, _lines: Sequence[bytes]):  # type: ignore[no-untyped-def] # noqa: ANN202
            self.attempts += 1
            await never.wait()

    hanging = Hanging()
    writer = make_writer(spool, hanging, clock, tmp_path)
    await put(spool, event(1), event(2))
    async with running(writer):
        await until(lambda: hanging.attempts == 1)
    database = FakeDatabase()
    again = make_writer(spool, database, clock, tmp_path)
    async with running(again):
        await written(again, spool)
    assert len(database.lines) == 2


async def test_bad_lines_become_dead_letters_with_the_servers_words_and_the_rest_is_stored(
    spool: Spool, tmp_path: Path
) -> None:
    def judge(lines: Sequence[bytes]) -> RefusedError | None:
        bad = [line for line in lines if b"value=13.0" in line or b"value=77.0" in line]
        return bad_line("400: field type conflict") if bad else None

    database = FakeDatabase(judge=judge)
    writer = make_writer(spool, database, RushingClock(), tmp_path)
    await put(spool, *(event(n, session_id="session-1") for n in range(100)))
    async with running(writer):
        await written(writer, spool)
    letters = (tmp_path / "dead-letters.jsonl").read_text().splitlines()
    assert len(letters) == 2
    assert "field type conflict" in letters[0]
    assert '"session_id":"session-1"' in letters[0]
    assert len(database.lines) == 98
    values = [float(line.split(b"value=")[1].split()[0]) for line in database.lines]
    assert values == sorted(values)
    assert writer._breaker.state is CircuitState.CLOSED


async def test_a_database_that_refuses_everything_does_not_empty_the_spool_into_dead_letters(
    spool: Spool, tmp_path: Path
) -> None:
    """A wrong setting that answers 400 is no bad data: a line that any database takes tells."""

    def judge(_lines: Sequence[bytes]) -> RefusedError | None:
        return bad_line("400: no such thing")

    database = FakeDatabase(judge=judge)
    writer = make_writer(spool, database, RushingClock(), tmp_path, batch=1000)
    await put(spool, *(event(n) for n in range(300)))
    async with running(writer):
        await until(lambda: writer.report.retries >= 5)
        assert spool.lanes["bulk"].depth == 300
        assert not (tmp_path / "dead-letters.jsonl").exists()


async def test_repeated_deliveries_of_a_safety_event_get_a_durable_receipt(spool: Spool) -> None:
    first = spool.put(event(1, event_class=EventClass.SAFETY))
    repeated: Receipt = spool.put(event(1, event_class=EventClass.SAFETY))
    assert repeated.durable is first.durable, "not acknowledged before the first one is on disk"
    await spool.commit()
    assert repeated.durable.result() is True
