"""Tries every setting and every connection once, and says in words what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
import os
import time
from typing import Self, TypeAlias
from urllib.parse import urlsplit

import aiohttp

from activity_ingestor.clock import SystemClock
from activity_ingestor.errors import Category, IngestorError, categorise, in_words
from activity_ingestor.links import Link
from activity_ingestor.parts import broker_of, configured_token, make_sink
from activity_ingestor.settings import Settings, SinkKind, unknown_variables
from activity_ingestor.shapes import Json
from activity_ingestor.sources import MqttLink
from activity_ingestor.sources.ha_connection import CommandFailedError, HaConnection
from activity_ingestor.sources.home_assistant import HEARTBEATS
from activity_ingestor.watchdog import Channel, MqttChannel, WebhookChannel

_MQTT_S = 6.0
_REACH_S = 5.0
SETTINGS, DATA_FOLDER, HOME_ASSISTANT, BROKER, DATABASE, ALARMS = (
    "settings",
    "data folder",
    "Home Assistant",
    "MQTT broker",
    "database",
    "alarms",
)
Token: TypeAlias = Callable[[], Awaitable[str]]

# What to do, by what was tried and what kind of failure it was.
_ADVICE = {
    (DATA_FOLDER, Category.STORAGE): (
        "INGESTOR_DATA_FOLDER has to be a folder that this user ({user}) may write to, on a disk"
        " with room."
    ),
    (HOME_ASSISTANT, Category.NETWORK): (
        "Is it running? INGESTOR_HOME_ASSISTANT_URL is the address that your browser shows, up to"
        " the port: http://homeassistant.local:8123"
    ),
    (HOME_ASSISTANT, Category.PROTOCOL): (
        "INGESTOR_HOME_ASSISTANT_URL is the address that your browser shows, up to the port and"
        " without a path: http://homeassistant.local:8123"
    ),
    (HOME_ASSISTANT, Category.AUTHENTICATION): (
        "Log in to Home Assistant as an administrator, and make a long-lived access token: your"
        " profile, Security, at the bottom. Put it into INGESTOR_HOME_ASSISTANT_TOKEN, or into the"
        " file that INGESTOR_HOME_ASSISTANT_TOKEN_FILE names."
    ),
    (HOME_ASSISTANT, Category.DATA): (
        "Set the Export Monitor up in Home Assistant (Settings, Devices & services). Until then a"
        " hang in a discharge cannot be noticed."
    ),
    (BROKER, Category.NETWORK): (
        "Is it running? INGESTOR_MQTT_HOST and INGESTOR_MQTT_PORT say where; INGESTOR_MQTT_TLS=true"
        " where it wants TLS."
    ),
    (BROKER, Category.AUTHENTICATION): (
        "INGESTOR_MQTT_USERNAME and INGESTOR_MQTT_PASSWORD are those that the broker knows."
    ),
    (DATABASE, Category.NETWORK): (
        "Is it running? INGESTOR_SINK_URL says where. Until it answers, events wait on disk."
    ),
    (DATABASE, Category.PROTOCOL): (
        "INGESTOR_SINK_URL is the database's own address, without a path, not that of a web page"
        " in front of it."
    ),
    (DATABASE, Category.AUTHENTICATION): (
        "INGESTOR_SINK_USERNAME and …_PASSWORD (1.x) or INGESTOR_SINK_TOKEN (2.x, 3.x) are wrong,"
        " or may not write."
    ),
    (DATABASE, Category.CONFIGURATION): (
        "Create it, or correct INGESTOR_SINK_DATABASE (1.x) or INGESTOR_SINK_ORG and"
        " INGESTOR_SINK_BUCKET (2.x, 3.x)."
    ),
    (DATABASE, Category.STORAGE): (
        "INGESTOR_SINK_FOLDER has to be a folder that this user ({user}) may write to."
    ),
    (ALARMS, Category.NETWORK): (
        "INGESTOR_ALARM_WEBHOOK_URL has to lead to something that does not need Home Assistant."
    ),
    (ALARMS, Category.CONFIGURATION): (
        "Nobody would be told. Set INGESTOR_ALARM_MQTT_TOPIC or INGESTOR_ALARM_WEBHOOK_URL."
    ),
}


@dataclass(frozen=True, slots=True)
class Result:
    """What one check said."""

    name: str
    ok: bool
    said: str
    advice: str = ""
    """What to do about it."""


async def check(
    settings: Settings, *, token: Token | None = None, send_alarm: bool = False
) -> list[Result]:
    """Try what the settings enable; nothing is raised. An alarm is sent only where asked for."""
    async with aiohttp.ClientSession() as session:
        tries: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            (SETTINGS, _settings),
            (DATA_FOLDER, lambda: asyncio.to_thread(_data_folder, settings)),
        ]
        if settings.home_assistant_url:
            get_token = token or configured_token(settings)
            tries.append((HOME_ASSISTANT, lambda: _home_assistant(settings, session, get_token)))
        if settings.mqtt_host:
            tries.append((BROKER, lambda: _mqtt(settings)))
        tries += [
            (DATABASE, lambda: _database(settings, session)),
            (ALARMS, lambda: _alarms(settings, session, send=send_alarm)),
        ]
        return [await _try(name, attempt) for name, attempt in tries]


async def _try(name: str, attempt: Callable[[], Awaitable[str]]) -> Result:
    try:
        return Result(name, ok=True, said=await attempt())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        advice = _ADVICE.get((name, categorise(error)), "")
        return Result(name, ok=False, said=in_words(error), advice=advice.format(user=_user()))


def _user() -> str:
    return f"number {os.getuid()}"


async def _settings() -> str:
    unknown = unknown_variables()
    if unknown:
        raise IngestorError(Category.CONFIGURATION, "; ".join(unknown))
    return "consistent"


def _data_folder(settings: Settings) -> str:
    folder = settings.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".check"
    began = time.monotonic()
    with probe.open("wb") as file:
        file.write(b"ok")
        file.flush()
        os.fdatasync(file.fileno())
    sync_ms = (time.monotonic() - began) * 1000
    probe.unlink()
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    need = settings.spool_bytes + settings.spool_free_bytes
    hint = "" if free >= need else f", less than the {need >> 20} MiB that the spool may take"
    return f"writable, a sync takes {sync_ms:.0f} ms, {free >> 20} MiB free{hint}"


async def _home_assistant(settings: Settings, session: aiohttp.ClientSession, token: Token) -> str:
    async def ignore(_event: Json) -> None:
        """Take nothing."""

    clock = SystemClock()
    secret = await token()
    connection = await HaConnection.open(
        session, settings.websocket_url, clock, Link("check", clock), ignore
    )
    reading: asyncio.Task[None] | None = None
    try:
        await connection.authenticate(secret)
        reading = asyncio.create_task(connection.read())
        await _subscribe(connection, settings.event_types)
        return f"version {connection.version}; its events and the Export Monitor's heartbeat come"
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await connection.close()


async def _subscribe(connection: HaConnection, event_types: tuple[str, ...]) -> None:
    try:
        for event_type in event_types:
            await connection.command({"type": "subscribe_events", "event_type": event_type})
        await connection.command({"type": HEARTBEATS})
    except CommandFailedError as error:
        if error.code == "unauthorized":
            text = "connected, but the token is not an administrator's: no event would be heard"
            raise IngestorError(Category.AUTHENTICATION, text) from error
        if error.code == "unknown_command":
            text = f"connected (version {connection.version}), but it has no Export Monitor running"
            raise IngestorError(Category.DATA, text) from error
        raise


async def _mqtt(settings: Settings) -> str:
    async with _Broker(settings) as broker:
        return broker.said


class _Broker:
    """A connection for as long as it is needed; entering raises IngestorError."""

    def __init__(self, settings: Settings) -> None:
        self.said = f"connected to {settings.mqtt_host}:{settings.mqtt_port}"
        self._clock = SystemClock()
        self._link = Link("check", self._clock)
        self.mqtt = MqttLink(broker_of(settings, "-check"), self._clock, link=self._link)
        self._running: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self.mqtt.run())
        link = self._link
        with suppress(TimeoutError):
            async with asyncio.timeout(_MQTT_S):
                while not link.connected and not link.last_error:
                    await self._clock.sleep(0.05)
        if not link.connected:
            await self.__aexit__()
            category = Category(link.last_category or Category.NETWORK)
            raise IngestorError(category, link.last_error or f"no answer within {_MQTT_S:g} s")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._running is not None:
            self._running.cancel()
            await asyncio.gather(self._running, return_exceptions=True)


async def _database(settings: Settings, session: aiohttp.ClientSession) -> str:
    said = await make_sink(settings, session, SystemClock()).probe()
    return said if settings.sink is SinkKind.FILES else f"{settings.sink_url} {said}"


# Alarms


async def _alarms(settings: Settings, session: aiohttp.ClientSession, *, send: bool) -> str:
    webhook = settings.alarm_webhook_url.get_secret_value()
    names = [n for n, v in (("MQTT", settings.alarm_mqtt_topic), ("webhook", webhook)) if v]
    if not names:
        raise IngestorError(Category.CONFIGURATION, "there is no channel to send an alarm by")
    if webhook and not send:
        await _reach(webhook)
    if not send:
        return f"by {' and '.join(names)}; `check --alarm` sends one to see whether it reaches you"
    if settings.alarm_mqtt_topic:
        async with _Broker(settings) as broker:
            await _send(MqttChannel(broker.mqtt, settings.alarm_mqtt_topic))
    if webhook:
        await _send(WebhookChannel(session, webhook))
    return f"a test alarm was sent by {' and '.join(names)}: has it reached you?"


async def _reach(url: str) -> None:
    """Connect without asking for anything: a webhook that is asked for something may act on it."""
    parts = urlsplit(url)
    is_tls = parts.scheme == "https"
    port = parts.port or (443 if is_tls else 80)
    try:
        async with asyncio.timeout(_REACH_S):
            _, writer = await asyncio.open_connection(parts.hostname, port, ssl=is_tls or None)
    except OSError as error:
        text = f"the webhook's {parts.hostname}:{port} cannot be reached: {in_words(error)}"
        raise IngestorError(Category.NETWORK, text) from None
    writer.close()


async def _send(channel: Channel) -> None:
    message: Json = {
        "service": "activity_ingestor",
        "state": "test",
        "alarm": "test",
        "severity": "info",
        "text": "This is a test of the activity ingestor's alarms. Nothing is wrong.",
    }
    try:
        await channel.send(message)
    except (IngestorError, OSError) as error:
        raise IngestorError(Category.NETWORK, f"{channel.name}: {in_words(error)}") from None
