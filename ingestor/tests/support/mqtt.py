"""An MQTT client for tests: publishes, waits for the broker's word, listens."""

from __future__ import annotations

import json
import time
from typing import Any, Self

from paho.mqtt.client import Client
from paho.mqtt.enums import CallbackAPIVersion

from tests.support.servers import HOST


class MqttClient:
    def __init__(self, port: int, *topics: str) -> None:
        self._client = Client(CallbackAPIVersion.VERSION2)
        self._port = port
        self._topics = topics
        self.received: list[tuple[float, str, bytes]] = []
        self._client.max_inflight_messages_set(500)
        self._client.on_message = lambda _c, _d, m: self.received.append(
            (time.monotonic(), m.topic, bytes(m.payload))
        )

    def __enter__(self) -> Self:
        self._client.connect(HOST, self._port)
        for topic in self._topics:
            self._client.subscribe(topic, 1)
        self._client.loop_start()
        return self

    def __exit__(self, *_: object) -> None:
        self._client.disconnect()
        self._client.loop_stop()

    def publish(self, topic: str, *payloads: object) -> None:
        """Return once the broker has acknowledged all of them."""
        infos: list[Any] = [
            self._client.publish(topic, json.dumps(payload), qos=1) for payload in payloads
        ]
        for info in infos:
            info.wait_for_publish(30)
