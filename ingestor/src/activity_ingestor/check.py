"""Tries every setting and every connection once, and says in words what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
import os

import aiohttp

from activity_ingestor.clock import SystemClock
from activity_ingestor.errors import categorise, in_words
from activity_ingestor.links import Link
from activity_ingestor.parts import broker_of, configured_token, make_sink
from activity_ingestor.settings import Settings
from activity_ingestor.shapes import Json
from activity_ingestor.sources import MqttLink
from activity_ingestor.sources.ha_connection import CommandFailedError, HaConnection

_MQTT_S = 6.0


@dataclass(frozen=True, slots=True)
class Result:
    """What one check said."""

    name: str
    ok: bool
    said: str


async def check(settings: Settings) -> list[Result]:
    """Try what the settings enable; nothing is raised."""
    results = [Result("settings", ok=True, said="consistent")]
    async with aiohttp.ClientSession() as session:
        tries: list[tuple[str, Callable[[], Awaitable[str]]]] = [
            ("data folder", lambda: asyncio.to_thread(_data_folder, settings))
        ]
        if settings.home_assistant_url:
            tries.append(("Home Assistant", lambda: _home_assistant(settings, session)))
        if settings.mqtt_host:
            tries.append(("MQTT broker", lambda: _mqtt(settings)))
        sink = make_sink(settings, session, SystemClock())
        tries.append(("database", sink.probe))
        for name, attempt in tries:
            results.append(await _try(name, attempt))
    results.append(_alarms(settings))
    return results


async def _try(name: str, attempt: Callable[[], Awaitable[str]]) -> Result:
    try:
        return Result(name, ok=True, said=await attempt())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the answer
        return Result(name, ok=False, said=f"{in_words(error)} [{categorise(error)}]")


def _data_folder(settings: Settings) -> str:
    folder = settings.data_folder
    folder.mkdir(parents=True, exist_ok=True)
    probe = folder / ".check"
    probe.write_bytes(b"ok")
    probe.unlink()
    disk = os.statvfs(folder)
    free = disk.f_bavail * disk.f_frsize
    need = settings.spool_bytes + settings.spool_free_bytes
    hint = "" if free >= need else f"; less than the {need >> 20} MiB that the spool may take"
    return f"writable, {free >> 20} MiB free{hint}"


async def _home_assistant(settings: Settings, session: aiohttp.ClientSession) -> str:
    async def ignore(_event: Json) -> None:
        """Take nothing."""

    clock = SystemClock()
    connection = await HaConnection.open(
        session, settings.websocket_url, clock, Link("check", clock), ignore
    )
    reading: asyncio.Task[None] | None = None
    try:
        await connection.authenticate(await configured_token(settings)())
        reading = asyncio.create_task(connection.read())
        try:
            await connection.command(
                {"type": "subscribe_events", "event_type": settings.event_types[0]}
            )
        except CommandFailedError as error:
            if error.code != "unauthorized":
                raise
            return "connected, but the token is not an administrator's: events will not be heard"
        return f"version {connection.version}, subscriptions are allowed"
    finally:
        if reading is not None:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
        await connection.close()


async def _mqtt(settings: Settings) -> str:
    clock = SystemClock()
    link = Link("check", clock)
    mqtt = MqttLink(broker_of(settings, "-check"), clock, link=link)
    running = asyncio.create_task(mqtt.run())
    try:
        async with asyncio.timeout(_MQTT_S):
            while not link.connected and not link.last_error:
                await clock.sleep(0.05)
    except TimeoutError:
        link.last_error = link.last_error or f"no answer within {_MQTT_S:g} s"
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    if link.last_error:
        raise ConnectionError(link.last_error)
    return "connected"


def _alarms(settings: Settings) -> Result:
    named = [
        name
        for name, is_set in (
            ("MQTT", bool(settings.alarm_mqtt_topic)),
            ("webhook", bool(settings.alarm_webhook_url.get_secret_value())),
        )
        if is_set
    ]
    if not named:
        return Result(
            "alarms", ok=False, said="no channel: set alarm_mqtt_topic or alarm_webhook_url"
        )
    return Result("alarms", ok=True, said=f"by {' and '.join(named)} (none was sent by this check)")
