"""Home Assistant as a source: log-in, events, filter, gap and backfill."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import aiohttp
from hypothesis import example, given, strategies as st
import pytest

from activity_ingestor import recording
from activity_ingestor.errors import SLOW_RETRY_S
from activity_ingestor.events import Event, EventClass
from activity_ingestor.intake import Intake
from activity_ingestor.recording import Globs, Selection, service_called
from activity_ingestor.shapes import Activity, Heartbeat
from activity_ingestor.sources import HomeAssistantRules, HomeAssistantSource
from activity_ingestor.sources.backfill import events_of
from activity_ingestor.spool import Spool
from tests.support.clock import START_US, FakeClock
from tests.support.home_assistant import (
    HEARTBEATS,
    TOKEN,
    FakeHomeAssistant,
    heartbeat,
    state_of,
    wait_for_subscription,
)
from tests.support.waiting import until

START = datetime.fromtimestamp(START_US / 1e6, UTC)
SELECTION = Selection(
    Globs(("sensor.*",), ("sensor.noisy_*",)),
    Globs(("sensor.export_monitor_*",)),
    Globs(("sensor.export_monitor_error_state",)),
)


class Ears:
    def __init__(self) -> None:
        self.heartbeats: list[Heartbeat] = []
        self.activities: list[Activity] = []

    def heard_heartbeat(self, heartbeat: Heartbeat) -> None:
        self.heartbeats.append(heartbeat)

    def heard_activity(self, activity: Activity) -> None:
        self.activities.append(activity)

    def heard_pong(self, _latency_s: float) -> None:
        """Take a pong."""

    def link_changed(self, *, up: bool) -> None:
        """Take a change."""


@asynccontextmanager
async def reading(
    home: FakeHomeAssistant,
    session: aiohttp.ClientSession,
    intake: Intake,
    clock: FakeClock,
    *,
    token: str = TOKEN,
    last_heard_us: int | None = None,
) -> AsyncIterator[tuple[HomeAssistantSource, Ears]]:
    async def give() -> str:
        return token

    ears = Ears()
    intake.add_watcher(ears)
    source = HomeAssistantSource(
        HomeAssistantRules(
            f"ws://127.0.0.1:{home.port}/api/websocket",
            ("export_monitor_event", "export_monitor_heartbeat"),
        ),
        SELECTION,
        token=give,
        session=session,
        intake=intake,
        watcher=ears,
        clock=clock,
        last_heard_us=last_heard_us,
    )
    task = asyncio.create_task(source.run())
    try:
        yield source, ears
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def lines(spool: Spool, lane: str = "bulk") -> list[str]:
    await spool.commit()
    return [r.line.decode() for r in await spool.read(lane, 10_000)]


async def test_a_wrong_token_is_said_and_tried_again_slowly(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock
) -> None:
    async with (
        FakeHomeAssistant() as home,
        reading(home, session, intake, clock, token="wrong") as (source, _),
    ):
        await until(lambda: clock.slept != [])
        assert "refuses the token" in source.link.last_error
        assert source.link.last_category == "authentication"
        assert clock.slept[0] >= SLOW_RETRY_S, "Home Assistant bans who tries often"
        assert home.logins_refused == 1


@pytest.mark.parametrize("coalesces", [True, False])
async def test_selected_states_services_and_events_are_recorded(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock, spool: Spool, coalesces: bool
) -> None:
    async with FakeHomeAssistant() as home, reading(home, session, intake, clock) as (_, ears):
        home.coalesces = coalesces
        await wait_for_subscription(home)
        await home.change("sensor.power", "1500", START)
        await home.change("sensor.noisy_x", "1", START)
        await home.change("light.x", "on", START)
        await home.change("sensor.export_monitor_error_state", "none", START)
        await home.fire(
            "call_service",
            {"domain": "lock", "service": "unlock", "service_data": {"code": "1234"}},
            START,
        )
        await home.fire("export_monitor_heartbeat", heartbeat(), START)
        await home.fire(
            "export_monitor_event",
            {"type": "session_started", "session_id": "session-1", "entry_id": "entry"},
            START,
        )
        await until(lambda: bool(ears.activities))
        bulk, vital = await lines(spool), await lines(spool, "vital")
    assert any(
        row.startswith("state,domain=sensor,entity_id=sensor.power")
        and 'state="1500",value=1500.0' in row
        for row in bulk
    )
    assert not any("noisy" in row or "light" in row for row in bulk)
    assert any(row.startswith("export_monitor_heartbeat,entry_id=entry ") for row in bulk)
    assert any("error_state" in row and "unit_of_measurement" in row for row in vital)
    assert not any("1234" in row for row in vital), "codes of locks are nobody's business"
    assert any("type=session_started" in row for row in vital)
    assert ears.heartbeats[0].session_exported_kwh == 1.25
    assert ears.activities[0].session_id == "session-1"


async def test_a_gap_is_recorded_bounded_and_filled(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock, spool: Spool
) -> None:
    """An earlier process heard its last event 100 s ago."""
    moments = [START - timedelta(seconds=s) for s in (90, 60, 30)]
    home = FakeHomeAssistant()
    home.states = [state_of("sensor.power", "3", moments[2])]
    home.history = {
        "sensor.power": [
            {"s": str(n + 1), "a": {"unit_of_measurement": "W"}, "lu": moment.timestamp()}
            for n, moment in enumerate(moments)
        ]
    }
    async with (
        home,
        reading(home, session, intake, clock, last_heard_us=START_US - 100_000_000) as (source, _),
    ):
        await wait_for_subscription(home)
        await until(lambda: source.gaps.gaps == 1)
        await until(lambda: any(s == 10.0 for s in clock.slept))
        await clock.advance(11.0)
        await until(lambda: source.gaps.backfilled == 3)
        bulk, vital = await lines(spool), await lines(spool, "vital")
    assert [row.split("value=")[1].split()[0] for row in bulk] == ["3.0", "1.0", "2.0"]
    assert spool.report.repeated == 1, "the state that stands is in the history, too"
    (gap,) = [row for row in vital if row.startswith("ingestor_gap")]
    assert "seconds=100.0" in gap
    assert home.history_asked[0]["entity_ids"] == ["sensor.power"]


async def test_a_gap_longer_than_the_limit_is_filled_up_to_the_limit(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock
) -> None:
    home = FakeHomeAssistant()
    home.states = [state_of("sensor.power", "3", START)]
    week_us = 7 * 86_400 * 1_000_000
    async with (
        home,
        reading(home, session, intake, clock, last_heard_us=START_US - week_us) as (source, _),
    ):
        await until(lambda: any(s == 10.0 for s in clock.slept))
        await clock.advance(11.0)
        await until(lambda: len(home.history_asked) >= 24)
        first = datetime.fromisoformat(home.history_asked[0]["start_time"])
    assert abs((START - first).total_seconds() - 86_400) < 20
    assert source.gaps.seconds > 6 * 86_400, "the gap itself is told in full"


async def test_a_message_without_sense_is_counted_and_the_rest_is_recorded(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock, spool: Spool
) -> None:
    async with FakeHomeAssistant() as home, reading(home, session, intake, clock) as (source, _):
        await wait_for_subscription(home)
        await home.fire("state_changed", {"entity_id": "sensor.x", "new_state": {"state": 1}})
        await home.fire("export_monitor_heartbeat", {"interval_seconds": "soon"})
        await home.change("sensor.power", "2", START)
        await until(lambda: source.link.received == 3)
        bulk = await lines(spool)
    assert sum(intake.errors.values()) == 2
    assert any("sensor.power" in row for row in bulk)


@given(seconds=st.floats(1.7e9, 2.5e9))
@example(seconds=1795415990.1270795)
def test_a_state_has_the_same_time_live_and_in_history(seconds: float) -> None:
    """The recorder keeps the float that Home Assistant made `last_updated` from."""
    updated = datetime.fromtimestamp(seconds, UTC)
    (from_history,) = events_of("sensor.power", [{"s": "1", "a": {}, "lu": seconds}], SELECTION)
    assert from_history.time_us == state_live("sensor.power", "1", updated).time_us


def state_live(entity_id: str, state: str, at: datetime) -> Event:
    return recording.state_of(state_of(entity_id, state, at), SELECTION)


async def test_heartbeats_are_heard_as_soon_as_the_integration_is_loaded(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock, spool: Spool
) -> None:
    home = FakeHomeAssistant()
    home.is_loaded = False
    async with home, reading(home, session, intake, clock) as (source, ears):
        await wait_for_subscription(home)
        await home.fire("component_loaded", {"component": "sun"}, START)
        await home.change("sensor.power", "1", START)
        await until(lambda: source.link.received == 2)
        assert home.subscribers(HEARTBEATS) == 0
        home.is_loaded = True
        await home.fire("component_loaded", {"component": "export_monitor"}, START)
        await wait_for_subscription(home)
        await home.fire("export_monitor_heartbeat", heartbeat(), START)
        await until(lambda: bool(ears.heartbeats))
        assert source.link.connects == 1
        recorded = await lines(spool)
    assert [row.split(",")[0] for row in recorded] == ["state", "export_monitor_heartbeat"]


async def test_a_refused_subscription_to_heartbeats_is_no_silence(
    session: aiohttp.ClientSession, intake: Intake, clock: FakeClock
) -> None:
    """Anything but "no such command" ends the connection, and is said."""
    home = FakeHomeAssistant()
    home.is_loaded, home.refusal = False, "unauthorized"
    async with home, reading(home, session, intake, clock) as (source, _):
        await until(lambda: source.link.drops == 1)
        assert "export_monitor/heartbeat: unauthorized" in source.link.last_error


def test_commands_are_worth_more_than_states() -> None:
    event = service_called(
        {
            "event_type": "call_service",
            "time_fired": START.isoformat(),
            "data": {"domain": "number", "service": "set_value", "service_data": {"value": 5}},
        }
    )
    assert event.event_class is EventClass.COMMAND
