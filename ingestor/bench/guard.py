"""Alarm under SIGSTOP, and resubscription, with a real Home Assistant: `bench.guard [times]`."""

from __future__ import annotations

from functools import partial
from pathlib import Path
import random
import signal
import statistics
import sys
import tempfile
import time

from bench.support import stopwatch, table
from tests.support.home_assistant import heartbeat
from tests.support.mqtt import MqttClient
from tests.support.real_home_assistant import HomeAssistant, missing
from tests.support.servers import HOST, Mosquitto
from tests.support.service import Service
from tests.support.waiting import wait_until
from tests.support.webhook import Webhook


def _spread(seconds: list[float]) -> str:
    return (
        f"{min(seconds):.1f} / {statistics.median(seconds):.1f} / {max(seconds):.1f} s"
        " (least, median, most)"
    )


def main(rounds: int = 5) -> None:
    """Stop Home Assistant in mid-session, again and again."""
    if missing():
        print(f"skipped: {missing()}")
        return
    chance = random.Random(3)
    by_webhook: list[float] = []
    by_mqtt: list[float] = []
    back: list[float] = []
    with tempfile.TemporaryDirectory(prefix="ingestor-bench-") as name:
        folder = Path(name)
        with (
            HomeAssistant(folder) as home,
            Mosquitto(folder) as broker,
            Webhook() as webhook,
            MqttClient(broker.port, "alarm") as client,
        ):
            service = Service(
                folder,
                {
                    "home_assistant_url": home.url,
                    "home_assistant_token": home.token(),
                    "mqtt_host": HOST,
                    "mqtt_port": broker.port,
                    "alarm_mqtt_topic": "alarm",
                    "alarm_webhook_url": webhook.url,
                    "sink": "files",
                    "sink_folder": folder / "lines",
                },
            )
            service.start()
            up = partial(
                lambda s: s.metric("ingestor_link_up", link="home_assistant") == 1, service
            )
            try:
                for _ in range(rounds):
                    wait_until(up)

                    def beat() -> bool:
                        home.fire("export_monitor_heartbeat", heartbeat())
                        return service.metric("ingestor_alarm_standing") == 0

                    wait_until(beat)
                    time.sleep(chance.uniform(0, 3))
                    beat()
                    time.sleep(chance.uniform(0, 3))
                    seen, heard = len(webhook.received), len(client.received)
                    home.send(signal.SIGSTOP)
                    stopped = stopwatch()
                    wait_until(
                        lambda s=seen, h=heard: (
                            len(webhook.received) > s and len(client.received) > h
                        )  # type: ignore[misc]
                    )
                    by_webhook.append(webhook.received[seen][0] - stopped)
                    by_mqtt.append(client.received[heard][0] - stopped)
                    wait_until(lambda: not up())
                    home.send(signal.SIGCONT)
                    back.append(wait_until(up))
            finally:
                home.send(signal.SIGCONT)
                service.stop()
    table(
        f"Home Assistant stopped by SIGSTOP in mid-session, {rounds} times",
        [
            ("alarm by webhook", _spread(by_webhook)),
            ("alarm by MQTT", _spread(by_mqtt)),
            ("subscribed again after SIGCONT", _spread(back)),
        ],
    )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
