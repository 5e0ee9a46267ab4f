"""Ways to tell someone that do not need Home Assistant."""

from __future__ import annotations

from http import HTTPStatus
from typing import Protocol

import aiohttp
import orjson

from activity_ingestor.errors import Category, IngestorError
from activity_ingestor.shapes import Json
from activity_ingestor.sources.mqtt_link import MqttLink

SEND_S = 5.0


class Channel(Protocol):
    """One way to someone."""

    @property
    def name(self) -> str:
        """Return the channel's name in metrics and logs."""

    async def send(self, message: Json) -> None:
        """Deliver a message; raises an exception unless the other side has taken it."""


class MqttChannel:
    """Publishes to a topic, by a connection of its own: a flood of events does not delay it."""

    def __init__(self, link: MqttLink, topic: str) -> None:
        """Take the connection and the topic."""
        self._link = link
        self._topic = topic

    @property
    def name(self) -> str:
        """Return `mqtt`."""
        return "mqtt"

    async def send(self, message: Json) -> None:
        """Publish with QoS 1 and wait for the broker's acknowledgement."""
        await self._link.publish(self._topic, orjson.dumps(message))


class StopChannel:
    """Publishes the stop command that the user configured; every notice means: stop."""

    def __init__(self, link: MqttLink, topic: str, payload: bytes) -> None:
        """Take the connection, the topic and what is published to it."""
        self._link = link
        self._topic = topic
        self._payload = payload

    @property
    def name(self) -> str:
        """Return `stop_command`."""
        return "stop_command"

    async def send(self, message: Json) -> None:
        """Publish the command, whatever the message says, and wait for the acknowledgement."""
        await self._link.publish(self._topic, self._payload)


class WebhookChannel:
    """Posts JSON to an address."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        """Take the address; it may hold a secret and is never logged."""
        self._session = session
        self._url = url
        self._timeout = aiohttp.ClientTimeout(total=SEND_S)

    @property
    def name(self) -> str:
        """Return `webhook`."""
        return "webhook"

    async def send(self, message: Json) -> None:
        """Post, and take any 2xx for an answer."""
        headers = {"Content-Type": "application/json"}
        try:
            async with self._session.post(
                self._url, data=orjson.dumps(message), headers=headers, timeout=self._timeout
            ) as response:
                status = response.status
        except (aiohttp.ClientError, OSError) as error:
            # Their texts name the address.
            raise IngestorError(Category.NETWORK, type(error).__name__) from None
        if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
            raise IngestorError(Category.NETWORK, f"the webhook answers {status}")
