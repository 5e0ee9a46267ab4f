"""MQTT as a source: a persistent session, acknowledged only when an event is on disk.

A message without a time of its own is stamped at its arrival. If the broker then delivers it again
(DUP flag: its acknowledgement was lost) it is known by topic, packet and payload. That a broker
which lost its packet numbers delivers another message with all three the same is possible and
would drop that one; messages that carry `sent_at` are free of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import blake2b

import orjson
from paho.mqtt.client import MQTTMessage

from activity_ingestor.clock import Clock
from activity_ingestor.events import Event, EventClass, FieldValue, Source
from activity_ingestor.intake import Intake
from activity_ingestor.links import Link
from activity_ingestor.recording import Globs, flat_fields, monitor_event, redacted
from activity_ingestor.shapes import ACTIVITY_EVENT, HEARTBEAT_EVENT, Json, text_of, time_us_of
from activity_ingestor.sources.mqtt_link import Broker, MqttLink
from activity_ingestor.spool import Receipt


@dataclass(frozen=True, slots=True)
class Topics:
    """Which topics are read, and what is on them; filters are MQTT's, globs are the shell's."""

    filters: tuple[str, ...]
    heartbeat: str = ""
    """The topic on which `export_monitor_heartbeat` objects come; empty for none."""
    activity: str = ""
    safety: Globs = Globs(())  # noqa: RUF009 - matches nothing, and changes nothing
    commands: Globs = Globs(())  # noqa: RUF009


@dataclass(frozen=True, slots=True)
class _Arrival:
    message: MQTTMessage
    at_us: int
    generation: int


class MqttSource:
    """Reads a broker for ever."""

    def __init__(self, broker: Broker, topics: Topics, intake: Intake, clock: Clock) -> None:
        """Take the broker and the topics."""
        self._topics = topics
        self._intake = intake
        self._clock = clock
        self._arrived: list[_Arrival] = []
        self._wake = asyncio.Event()
        # Futures of the spool's commits, and what waits for each; in order of arrival.
        self._unacknowledged: dict[asyncio.Future[bool], list[_Arrival]] = {}
        self.link = Link("mqtt", clock)
        self._mqtt = MqttLink(
            broker,
            clock,
            link=self.link,
            topics=topics.filters,
            persistent=True,
            on_message=self._take,
        )

    async def run(self) -> None:
        """Read until cancelled."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._mqtt.run())
            tasks.create_task(self._record())

    def _take(self, message: MQTTMessage) -> None:
        # Never more than the receive maximum: the broker waits for our acknowledgements.
        self._arrived.append(_Arrival(message, self._clock.wall_us(), self._mqtt.generation))
        self._wake.set()

    async def _record(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            arrived, self._arrived = self._arrived, []
            for one in arrived:
                await self._intake.room()
                receipt = self._intake.record_from(
                    Source.MQTT, partial(self._read, one.message, one.at_us)
                )
                self._acknowledge_later(one, receipt)

    def _acknowledge_later(self, arrival: _Arrival, receipt: Receipt | None) -> None:
        if receipt is None or receipt.durable.done():
            # What can never be recorded would otherwise be delivered for ever.
            if receipt is None or receipt.durable.result():
                self._mqtt.acknowledge(arrival.message, arrival.generation)
            return
        waiting = self._unacknowledged.get(receipt.durable)
        if waiting is None:
            self._unacknowledged[receipt.durable] = waiting = []
            receipt.durable.add_done_callback(self._committed)
        waiting.append(arrival)

    def _committed(self, durable: asyncio.Future[bool]) -> None:
        for arrival in self._unacknowledged.pop(durable, ()):
            if durable.result():
                self._mqtt.acknowledge(arrival.message, arrival.generation)

    # Reading a message

    def _read(self, message: MQTTMessage, arrived_us: int) -> Event:
        data = _object_of(bytes(message.payload))
        for topic, event_type in (
            (self._topics.heartbeat, HEARTBEAT_EVENT),
            (self._topics.activity, ACTIVITY_EVENT),
        ):
            if topic and message.topic == topic and data is not None:
                self._intake.look_at(Source.MQTT, event_type, data)
                sameness, time_us, may_repeat = _stamp(message, data, arrived_us)
                event = monitor_event(Source.MQTT, event_type, data, time_us, sameness)
                return replace(event, may_repeat=may_repeat)
        return self._message(message, data, arrived_us)

    def _message(self, message: MQTTMessage, data: Json | None, arrived_us: int) -> Event:
        sameness, time_us, may_repeat = _stamp(message, data, arrived_us)
        return Event(
            source=Source.MQTT,
            event_class=self._class_of(message.topic),
            measurement="mqtt",
            tags=(("topic", message.topic),),
            fields=_fields(bytes(message.payload), data),
            time_us=time_us,
            sameness=sameness,
            session_id=text_of(data, "session_id") if data is not None else "",
            may_repeat=may_repeat,
        )

    def _class_of(self, topic: str) -> EventClass:
        if topic in self._topics.safety:
            return EventClass.SAFETY
        return EventClass.COMMAND if topic in self._topics.commands else EventClass.STATE


def _object_of(payload: bytes) -> Json | None:
    if payload[:1] != b"{":
        return None
    try:
        data = orjson.loads(payload)
    except orjson.JSONDecodeError:
        return None
    return data if isinstance(data, dict) else None


def _fields(payload: bytes, data: Json | None) -> tuple[tuple[str, FieldValue], ...]:
    if data:
        cleaned = redacted(data)
        return flat_fields(cleaned) if isinstance(cleaned, dict) else ()
    text = payload.decode("utf-8", "replace")
    try:
        return (("value", float(text)), ("payload", text))
    except ValueError:
        return (("payload", text),)


def _stamp(message: MQTTMessage, data: Json | None, arrived_us: int) -> tuple[str, int, bool]:
    """Return sameness, time, and whether sameness proves a repetition."""
    digest = blake2b(message.payload, digest_size=8).hexdigest()
    sent_at = text_of(data, "sent_at") if data is not None else ""
    if sent_at:
        try:
            return f"{sent_at}|{digest}", time_us_of(sent_at), True
        except ValueError:
            pass
    return f"{message.mid}|{digest}", arrived_us, message.dup


def topics_from(
    filters: Sequence[str],
    *,
    heartbeat: str,
    activity: str,
    safety: Sequence[str],
    commands: Sequence[str],
) -> Topics:
    """Return the topics; those with a meaning of their own are subscribed to as well."""
    wanted = dict.fromkeys((*filters, *(t for t in (heartbeat, activity) if t)))
    return Topics(tuple(wanted), heartbeat, activity, Globs(safety), Globs(commands))
