"""MQTT as a source: acknowledged when on disk, and deduplicated only on the broker's own word."""

from __future__ import annotations

import json

from paho.mqtt.client import MQTTMessage
import pytest

from activity_ingestor.intake import Intake
from activity_ingestor.shapes import Activity, Heartbeat
from activity_ingestor.sources import Broker, MqttSource
from activity_ingestor.sources.mqtt import topics_from
from activity_ingestor.spool import Spool
from tests.support.clock import FakeClock, settle
from tests.support.home_assistant import heartbeat


class Bench:
    """A source without a broker: messages are handed to it, acknowledgements are noted."""

    def __init__(self, intake: Intake, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> None:
        topics = topics_from(
            ["house/#"],
            heartbeat="monitor/heartbeat",
            activity="monitor/event",
            safety=["house/alarm"],
            commands=["*/set"],
        )
        self.source = MqttSource(Broker("nowhere", "x"), topics, intake, clock)
        self.acknowledged: list[int] = []
        self.clock = clock
        monkeypatch.setattr(
            self.source._mqtt, "acknowledge", lambda m, _generation: self.acknowledged.append(m.mid)
        )

    def deliver(self, topic: str, payload: object, mid: int, *, dup: bool = False) -> None:
        message = MQTTMessage(mid, topic.encode())
        message.payload = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
        message.qos = 1
        message.dup = dup
        self.clock.now += 0.001
        self.source._take(message)


@pytest.fixture
def bench(intake: Intake, clock: FakeClock, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(intake, clock, monkeypatch)


async def record(bench: Bench) -> None:
    """Let the source put everything that was delivered into the spool."""
    import asyncio  # noqa: PLC0415

    task = asyncio.create_task(bench.source._record())
    await settle()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_a_message_is_acknowledged_only_when_it_is_on_disk(
    bench: Bench, spool: Spool
) -> None:
    bench.deliver("house/meter", {"w": 1}, 1)
    await record(bench)
    assert bench.acknowledged == []
    await spool.commit()
    await settle()
    assert bench.acknowledged == [1]


async def test_equal_messages_are_different_events(bench: Bench, spool: Spool) -> None:
    """A, B, A, A: only the broker's own word that it repeats makes one of them a repetition."""
    for mid, value in enumerate("ABAA", 1):
        bench.deliver("house/switch", value.encode(), mid)
    await record(bench)
    await spool.commit()
    assert spool.lanes["bulk"].depth == 4


async def test_a_message_delivered_again_is_recorded_once_and_acknowledged(
    bench: Bench, spool: Spool
) -> None:
    bench.deliver("house/switch", b"A", 7)
    await record(bench)
    await spool.commit()
    bench.deliver("house/switch", b"A", 7, dup=True)
    bench.deliver("house/switch", b"B", 8, dup=True)  # its first delivery never arrived
    await record(bench)
    await spool.commit()
    await settle()
    assert spool.lanes["bulk"].depth == 2
    assert bench.acknowledged == [7, 7, 8]


async def test_what_cannot_be_recorded_is_not_delivered_for_ever(
    bench: Bench, intake: Intake
) -> None:
    bench.deliver("house/huge", b'{"a":"' + b"x" * 2_000_000 + b'"}', 1)
    bench.deliver("house/nothing", {"a": None}, 2)
    await record(bench)
    assert 2 in bench.acknowledged
    assert sum(intake.errors.values()) >= 1


async def test_topics_decide_about_the_class_and_the_lane(bench: Bench, spool: Spool) -> None:
    bench.deliver("house/meter", {"w": 1}, 1)
    bench.deliver("house/charger/set", b"on", 2)
    bench.deliver("house/alarm", b"fire", 3)
    await record(bench)
    await spool.commit()
    assert (spool.lanes["bulk"].depth, spool.lanes["vital"].depth) == (1, 2)


async def test_heartbeats_and_activities_come_by_mqtt_too(bench: Bench, intake: Intake) -> None:
    heard: list[Heartbeat | Activity] = []

    class Ears:
        def heard_heartbeat(self, heartbeat: Heartbeat) -> None:
            heard.append(heartbeat)

        def heard_activity(self, activity: Activity) -> None:
            heard.append(activity)

    intake.add_watcher(Ears())
    bench.deliver("monitor/heartbeat", heartbeat(sent_at="2026-10-04T18:30:00+00:00"), 1)
    bench.deliver("monitor/event", {"type": "session_started", "session_id": "s"}, 2)
    await record(bench)
    assert [type(item) for item in heard] == [Heartbeat, Activity]
