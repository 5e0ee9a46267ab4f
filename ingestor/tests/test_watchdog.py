"""Who is told what, and when."""

from __future__ import annotations

import asyncio
from typing import Any

from activity_ingestor.shapes import Json, activity_of, heartbeat_of
from activity_ingestor.watchdog import (
    AlarmKind,
    Dispatcher,
    Notice,
    NoticeKind,
    Severity,
    Watchdog,
    WatchdogRules,
)
from tests.support.clock import FakeClock, RushingClock, settle
from tests.support.home_assistant import heartbeat
from tests.support.waiting import until

TICK = 0.25


def live(
    watchdog: Watchdog,
    clock: FakeClock,
    seconds: float,
    *,
    beat_every: float = 3.0,
    beats: bool = True,
    pongs: bool = True,
    **changes: object,
) -> list[Notice]:
    """Let time pass with signs of life, and return what was told."""
    told: list[Notice] = []
    next_beat, next_pong = clock.now, clock.now
    until_s = clock.now + seconds
    while clock.now < until_s:
        if beats and clock.now >= next_beat:
            watchdog.heard_heartbeat(heartbeat_of(heartbeat(**changes)))
            next_beat += beat_every
        if pongs and clock.now >= next_pong:
            watchdog.heard_pong(0.001)
            next_pong += 2.0
        told += watchdog.tick()
        clock.now += TICK
    return told


def test_a_healthy_session_raises_no_alarm(clock: FakeClock) -> None:
    assert live(Watchdog(WatchdogRules(), clock), clock, 1800) == []


def test_a_hang_in_mid_discharge_is_told_within_ten_seconds(clock: FakeClock) -> None:
    """Whatever the phase in which heartbeat and ping are hit."""
    for phase in range(12):
        watchdog = Watchdog(WatchdogRules(), clock)
        assert live(watchdog, clock, 30 + phase * TICK) == []
        hung_at = clock.now
        told: list[Notice] = []
        while not told:
            told += watchdog.tick()
            clock.now += TICK
            assert clock.now - hung_at <= 10.0
        (notice,) = told
        assert notice.alarm.kind is AlarmKind.SESSION_UNGUARDED
        assert notice.alarm.severity is Severity.CRITICAL
        assert notice.alarm.session_id == "session-1"
        assert notice.alarm.session_exported_kwh == 1.25
        assert "session-1" in notice.alarm.text
        assert "1.250 kWh" in notice.alarm.text


def test_a_pong_does_not_prove_the_integration(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    live(watchdog, clock, 30)
    (notice,) = live(watchdog, clock, 10, beats=False)
    assert notice.alarm.failed == ("heartbeat",)


def test_a_heartbeat_by_another_way_does_not_prove_home_assistant(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    live(watchdog, clock, 30)
    (notice,) = live(watchdog, clock, 10, pongs=False)
    assert notice.alarm.failed == ("ping",)


def test_an_alarm_is_told_once_then_reminded_then_cleared(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    live(watchdog, clock, 30)
    told = live(watchdog, clock, 615, beats=False)
    assert [n.kind for n in told] == [NoticeKind.RAISED, NoticeKind.STANDING]
    (cleared,) = live(watchdog, clock, 5)
    assert cleared.kind is NoticeKind.CLEARED
    assert watchdog.standing == ()


def test_a_session_that_ended_needs_no_guard(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    live(watchdog, clock, 30)
    watchdog.heard_activity(activity_of({"type": "session_ended", "entry_id": "entry"}))
    assert live(watchdog, clock, 60, beats=False, pongs=False) == []


def test_a_planned_restart_outside_a_session_is_no_alarm(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    idle: dict[str, Any] = {"discharge_active": False, "session_id": None, "interval_seconds": 60}
    live(watchdog, clock, 120, beat_every=60, **idle)
    assert live(watchdog, clock, 170, beats=False, pongs=False) == []
    (notice,) = live(watchdog, clock, 15, beats=False, pongs=False)
    assert notice.alarm.kind is AlarmKind.HOME_ASSISTANT_AWAY


def test_an_integration_that_falls_silent_is_told(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    idle: dict[str, Any] = {"discharge_active": False, "session_id": None, "interval_seconds": 60}
    live(watchdog, clock, 120, beat_every=60, **idle)
    (notice,) = live(watchdog, clock, 160, beats=False)
    assert notice.alarm.kind is AlarmKind.INTEGRATION_SILENT
    assert notice.alarm.severity is Severity.WARNING


def test_a_critical_error_state_is_told_at_once(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    watchdog.heard_activity(
        activity_of(
            {"type": "error_raised", "entry_id": "entry", "error_state": "discharge_stop_failed"}
        )
    )
    (notice,) = watchdog.tick()
    assert notice.alarm.kind is AlarmKind.CRITICAL_ERROR
    assert notice.alarm.failed == ("discharge_stop_failed",)


def test_a_restarted_watchdog_still_guards_the_session(clock: FakeClock) -> None:
    first = Watchdog(WatchdogRules(), clock)
    live(first, clock, 30)
    second = Watchdog(WatchdogRules(), clock)
    second.remember(first.remembered())
    told = live(second, clock, 10, beats=False, pongs=False)
    (notice,) = told
    assert (notice.alarm.session_id, notice.alarm.session_exported_kwh) == ("session-1", 1.25)


def test_a_stall_of_our_own_is_not_blamed_on_home_assistant(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(), clock)
    live(watchdog, clock, 30)
    clock.now += 60
    assert live(watchdog, clock, 30) == []


def test_without_websocket_only_heartbeats_count(clock: FakeClock) -> None:
    watchdog = Watchdog(WatchdogRules(watch_pings=False), clock)
    assert live(watchdog, clock, 400, pongs=False) == []


class FakeChannel:
    def __init__(self, name: str, failures: int = 0) -> None:
        self._name = name
        self.failures = failures
        self.sent: list[Json] = []
        self.attempts = 0

    @property
    def name(self) -> str:
        return self._name

    async def send(self, message: Json) -> None:
        self.attempts += 1
        if self.failures > 0:
            self.failures -= 1
            raise ConnectionError("away")
        self.sent.append(message)


def raised(clock: FakeClock) -> Notice:
    watchdog = Watchdog(WatchdogRules(), clock)
    live(watchdog, clock, 30)
    (notice,) = live(watchdog, clock, 10, beats=False)
    return notice


async def test_a_dead_channel_does_not_delay_the_other() -> None:
    clock = RushingClock()
    dead, alive = FakeChannel("mqtt", failures=10**6), FakeChannel("webhook")
    dispatcher = Dispatcher([dead, alive], clock)
    task = asyncio.create_task(dispatcher.run())
    dispatcher.tell(raised(clock))
    await until(lambda: bool(alive.sent) and dead.attempts > 5)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert alive.sent[0]["session_id"] == "session-1"
    assert alive.sent[0]["session_exported_kwh"] == 1.25


async def test_an_alarm_is_delivered_when_its_channel_comes_back() -> None:
    clock = RushingClock()
    channel = FakeChannel("mqtt", failures=7)
    dispatcher = Dispatcher([channel], clock)
    task = asyncio.create_task(dispatcher.run())
    dispatcher.tell(raised(clock))
    await until(lambda: len(channel.sent) == 1)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert dispatcher.lanes[0].breaker.counts.opened >= 1


async def test_a_new_alarm_is_tried_at_once_also_while_the_breaker_is_open() -> None:
    clock = FakeClock()
    channel = FakeChannel("mqtt")
    dispatcher = Dispatcher([channel], clock)
    breaker = dispatcher.lanes[0].breaker
    for _ in range(3):
        permit = breaker.permit()
        assert permit is not None
        breaker.failed(permit)
    task = asyncio.create_task(dispatcher.run())
    dispatcher.tell(raised(clock))
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert len(channel.sent) == 1
