"""One connection to an MQTT broker inside the event loop, kept for ever.

paho's own thread and its reconnecting are not used: its delays have no jitter, and a message that
crosses threads costs more than the message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
import ssl
from typing import TYPE_CHECKING

from paho.mqtt.client import Client, ConnectFlags, DisconnectFlags, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions
import structlog

from activity_ingestor.backoff import Backoff
from activity_ingestor.clock import Clock
from activity_ingestor.errors import SLOW_RETRY_S, Category, IngestorError, Policy, in_words, policy
from activity_ingestor.links import Link

if TYPE_CHECKING:
    from paho.mqtt.client import SocketLike  # paho defines it for type checkers only

_log = structlog.get_logger(__name__)

_BASE_S, _CAP_S = 0.25, 10.0
_ANSWER_S = 10.0
_HOUSEKEEPING_S = 1.0
# Bad user name or password, not authorised, banned.
_REFUSED_LOGINS = (134, 135, 138)
SESSION_EXPIRY_S = 7 * 86_400


@dataclass(frozen=True, slots=True)
class Broker:
    """Where the broker is, and as whom; times in seconds."""

    host: str
    client_id: str
    port: int = 1883
    username: str = ""
    password: str = field(default="", repr=False)
    tls: bool = False
    keepalive_s: int = 10
    receive_maximum: int = 1000
    """Messages that the broker may send ahead of our acknowledgements; this bounds our memory."""


class MqttLink:
    """Connects, subscribes, receives, publishes; after any failure it connects again."""

    def __init__(
        self,
        broker: Broker,
        clock: Clock,
        *,
        link: Link,
        topics: Sequence[str] = (),
        persistent: bool = False,
        on_message: Callable[[MQTTMessage], None] = lambda _message: None,
    ) -> None:
        """Take the topics to subscribe to; `persistent` asks the broker to keep the session."""
        self._broker = broker
        self._clock = clock
        self.link = link
        self._topics = tuple(topics)
        self._persistent = persistent
        self._on_message = on_message
        self._backoff = Backoff(base_s=_BASE_S, cap_s=_CAP_S)
        self._client: Client | None = None
        self._lost: asyncio.Future[None] | None = None
        self._ready: asyncio.Future[None] | None = None
        self._published: dict[int, asyncio.Future[None]] = {}
        self.generation = 0
        """Counts connections: an acknowledgement belongs to the one that delivered."""

    async def run(self) -> None:
        """Keep the connection until cancelled."""
        while True:
            try:
                await self._one_connection()
            except Exception as error:  # noqa: BLE001 - whatever ended it, the next attempt follows
                if self.link.connected or in_words(error) != self.link.last_error:
                    _log.warning("MQTT broker lost", link=self.link.name, error=in_words(error))
                self.link.down(error)
                delay_s = self._backoff.next_delay_s(self._clock.monotonic())
                if policy(error) is Policy.RETRY_SLOWLY:
                    delay_s = max(delay_s, SLOW_RETRY_S)
                await self._clock.sleep(delay_s)

    # One connection

    async def _one_connection(self) -> None:
        loop = asyncio.get_running_loop()
        self._lost = loop.create_future()
        self._ready = loop.create_future()
        client = self._make_client(loop)
        self._client = client
        self.generation += 1
        housekeeping: asyncio.Task[None] | None = None
        try:
            await asyncio.to_thread(self._connect, client)
            housekeeping = asyncio.create_task(self._housekeeping(client))
            async with asyncio.timeout(_ANSWER_S):
                await asyncio.wait((self._ready, self._lost), return_when=asyncio.FIRST_COMPLETED)
            if self._ready.done():
                await self._ready
                self.link.up()
                self._backoff.connected(self._clock.monotonic())
                _log.info("connected to the MQTT broker", link=self.link.name)
            await self._lost
        finally:
            if housekeeping is not None:
                housekeeping.cancel()
            self._client = None
            self._drop(client)

    def _connect(self, client: Client) -> None:
        broker = self._broker
        properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
        properties.ReceiveMaximum = broker.receive_maximum
        if self._persistent:
            properties.SessionExpiryInterval = SESSION_EXPIRY_S
        client.connect(
            broker.host,
            broker.port,
            keepalive=broker.keepalive_s,
            clean_start=not self._persistent,
            properties=properties,
        )

    def _make_client(self, loop: asyncio.AbstractEventLoop) -> Client:
        broker = self._broker
        client = Client(
            CallbackAPIVersion.VERSION2,
            client_id=broker.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=self._persistent,
            reconnect_on_failure=False,
        )
        if broker.username:
            client.username_pw_set(broker.username, broker.password)
        if broker.tls:
            client.tls_set_context(ssl.create_default_context())
        client.connect_timeout = _ANSWER_S
        client.on_connect = self._connected
        client.on_subscribe = self._subscribed
        client.on_disconnect = self._disconnected
        client.on_message = lambda _client, _data, message: self._take(message)
        client.on_publish = lambda _client, _data, number, _code, _props: self._done(number)

        def opened(_client: Client, _data: object, sock: SocketLike) -> None:
            loop.call_soon_threadsafe(loop.add_reader, sock, self._read, client)

        def closed(_client: Client, _data: object, sock: SocketLike) -> None:
            _unregister(loop, sock)

        def wants_write(_client: Client, _data: object, sock: SocketLike) -> None:
            loop.call_soon_threadsafe(self._watch_writable, loop, client, sock)

        def written(_client: Client, _data: object, sock: SocketLike) -> None:
            with suppress(ValueError, OSError):
                loop.remove_writer(sock)

        client.on_socket_open = opened
        client.on_socket_close = closed
        client.on_socket_register_write = wants_write
        client.on_socket_unregister_write = written
        return client

    @staticmethod
    def _watch_writable(loop: asyncio.AbstractEventLoop, client: Client, sock: SocketLike) -> None:
        with suppress(ValueError, OSError):  # closed in the meantime
            loop.add_writer(sock, client.loop_write)

    def _read(self, client: Client) -> None:
        code = client.loop_read()
        if code is not MQTTErrorCode.MQTT_ERR_SUCCESS and client is self._client:
            self._fail(ConnectionError(f"connection to the broker lost ({code.name})"))

    async def _housekeeping(self, client: Client) -> None:
        while client.loop_misc() is MQTTErrorCode.MQTT_ERR_SUCCESS:  # noqa: ASYNC110 - paho asks for it
            await asyncio.sleep(_HOUSEKEEPING_S)
        self._fail(ConnectionError("the broker does not answer"))

    def _drop(self, client: Client) -> None:
        client.on_disconnect = None
        sock = client.socket()
        if sock is not None:
            _unregister(asyncio.get_running_loop(), sock)
        with suppress(OSError, ValueError):
            client.disconnect()
        if sock is not None:
            sock.close()
        for future in self._published.values():
            if not future.done():
                future.set_exception(ConnectionError("connection to the broker lost"))
                future.exception()
        self._published.clear()

    # What paho calls, in the loop

    def _connected(
        self,
        client: Client,
        _data: object,
        _flags: ConnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if code.is_failure:
            category = (
                Category.AUTHENTICATION if code.value in _REFUSED_LOGINS else Category.PROTOCOL
            )
            self._fail(IngestorError(category, f"the broker refuses the connection: {code}"))
            return
        if not self._topics:
            self._is_ready()
            return
        # Subscribed each time, whatever the broker says about its session: a restarted broker may
        # have lost it. Retain handling 1: retained messages come with a new subscription only.
        options = SubscribeOptions(qos=1, retainHandling=SubscribeOptions.RETAIN_SEND_IF_NEW_SUB)
        client.subscribe([(topic, options) for topic in self._topics])

    def _subscribed(
        self,
        _client: Client,
        _data: object,
        _number: int,
        codes: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [str(code) for code in codes if code.is_failure]
        if refused:
            text = f"the broker refuses a subscription: {refused[0]}"
            self._fail(IngestorError(Category.AUTHENTICATION, text))
        else:
            self._is_ready()

    def _disconnected(
        self,
        _client: Client,
        _data: object,
        _flags: DisconnectFlags,
        code: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        self._fail(ConnectionError(f"the broker ended the connection: {code}"))

    def _take(self, message: MQTTMessage) -> None:
        self.link.received += 1
        self.link.bytes_received += len(message.payload)
        self._on_message(message)

    def _is_ready(self) -> None:
        if self._ready is not None and not self._ready.done():
            self._ready.set_result(None)

    def _fail(self, error: Exception) -> None:
        if self._lost is not None and not self._lost.done():
            self._lost.set_exception(error)

    def _done(self, number: int) -> None:
        future = self._published.pop(number, None)
        if future is not None and not future.done():
            future.set_result(None)

    # For its users

    def acknowledge(self, message: MQTTMessage, generation: int) -> None:
        """Tell the broker that a message need not be kept.

        After a lost link it sends the message again; the old packet number may by then name another
        message, which would be lost.
        """
        if self._client is not None and generation == self.generation:
            self._client.ack(message.mid, message.qos)

    async def publish(self, topic: str, payload: bytes, *, retain: bool = False) -> None:
        """Publish with QoS 1, wait for the broker; raises ConnectionError or TimeoutError."""
        client = self._client
        if client is None or not self.link.connected:
            raise ConnectionError(self.link.last_error or "not connected to the broker")
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        info = client.publish(topic, payload, qos=1, retain=retain)
        self._published[info.mid] = future
        try:
            async with asyncio.timeout(_ANSWER_S / 2):
                await future
        finally:
            self._published.pop(info.mid, None)
        self.link.sent += 1


def _unregister(loop: asyncio.AbstractEventLoop, sock: SocketLike) -> None:
    with suppress(ValueError, OSError):
        loop.remove_reader(sock)
        loop.remove_writer(sock)
