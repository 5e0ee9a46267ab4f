"""The watchdog with a real Home Assistant that is stopped, killed and started again."""

from __future__ import annotations

from collections.abc import Iterator
import json
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest

from tests.conftest import need
from tests.support.home_assistant import heartbeat
from tests.support.mqtt import MqttClient
from tests.support.real_home_assistant import HomeAssistant, missing
from tests.support.servers import HOST, Mosquitto
from tests.support.service import Service
from tests.support.waiting import wait_until
from tests.support.webhook import Webhook

pytestmark = pytest.mark.real


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HomeAssistant]:
    why = missing()
    if why:
        pytest.skip(f"no real Home Assistant: {why}")
    with HomeAssistant(tmp_path_factory.mktemp("home")) as server:
        yield server


def lines(service: Service) -> str:
    return "".join(p.read_text() for p in (service.folder / "lines").glob("*.lp"))


@pytest.mark.timeout(120)
def test_a_hang_in_mid_discharge_is_told_within_ten_seconds_by_mqtt_and_webhook(
    tmp_path: Path, home: HomeAssistant
) -> None:
    need("mosquitto")
    with (
        Mosquitto(tmp_path) as broker,
        Webhook() as webhook,
        MqttClient(broker.port, "alarm", "battery/stop") as client,
    ):
        service = Service(
            tmp_path,
            {
                "home_assistant_url": home.url,
                "home_assistant_token": home.token(),
                "mqtt_host": HOST,
                "mqtt_port": broker.port,
                "alarm_mqtt_topic": "alarm",
                "alarm_webhook_url": webhook.url,
                "stop_topic": "battery/stop",
                "sink": "files",
                "sink_folder": tmp_path / "service" / "lines",
            },
        )
        service.start()
        try:
            wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
            wait_until(lambda: service.metric("ingestor_link_up", link="mqtt_alarm") == 1)
            home.fire("export_monitor_heartbeat", heartbeat())
            wait_until(lambda: service.metric("export_monitor_discharge_active") == 1)
            home.send(signal.SIGSTOP)
            stopped_at = time.monotonic()
            wait_until(lambda: bool(webhook.received) and len(client.received) >= 2)
            home.send(signal.SIGCONT)
            at, message = webhook.received[0]
            assert at - stopped_at <= 10.0
            assert (message["alarm"], message["session_id"]) == ("session_unguarded", "session-1")
            assert message["session_exported_kwh"] == 1.25
            by_topic = {topic: (at, payload) for at, topic, payload in client.received}
            assert by_topic["alarm"][0] - stopped_at <= 10.0
            assert json.loads(by_topic["alarm"][1])["session_exported_kwh"] == 1.25
            assert by_topic["battery/stop"][1] == b"stop"
            # Once it runs again and the integration beats, the alarm is taken back.
            wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)

            def cleared() -> bool:
                home.fire("export_monitor_heartbeat", heartbeat(sequence=8))
                return any(m["state"] == "cleared" for _, m in webhook.received)

            wait_until(cleared)
        finally:
            home.send(signal.SIGCONT)
            service.stop()


@pytest.mark.timeout(120)
def test_states_of_a_gap_come_from_real_history(tmp_path: Path, home: HomeAssistant) -> None:
    service = Service(
        tmp_path,
        {
            "home_assistant_url": home.url,
            "home_assistant_token": home.token(),
            "sink": "files",
            "sink_folder": tmp_path / "service" / "lines",
        },
    )
    service.start()
    try:
        wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
        home.set("sensor.meter", "1")
        wait_until(lambda: "value=1.0" in lines(service))
        memory = service.folder / "data" / "memory.json"
        wait_until(lambda: memory.exists() and b'"last_heard_us":1' in memory.read_bytes())
        # The service dies; states go on meanwhile.
        service.kill()
        for value in ("2", "3", "4"):
            home.set("sensor.meter", value)
        service.start()
        wait_until(lambda: "value=3.0" in lines(service), 40)
        wait_until(lambda: service.metric("ingestor_gaps_total") == 1)
        meter = [row for row in lines(service).splitlines() if "sensor.meter" in row]
        assert sorted(row.split("value=")[1].split()[0] for row in set(meter)) == [
            "1.0",
            "2.0",
            "3.0",
            "4.0",
        ]
        assert "ingestor_gap,source=home_assistant" in lines(service)
    finally:
        service.stop()


@pytest.mark.timeout(120)
def test_it_hears_again_within_two_seconds_of_home_assistants_return(
    tmp_path: Path, home: HomeAssistant
) -> None:
    service = Service(
        tmp_path,
        {
            "home_assistant_url": home.url,
            "home_assistant_token": home.token(),
            "sink": "files",
            "sink_folder": tmp_path / "service" / "lines",
        },
    )
    service.start()
    try:
        wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
        home.send(signal.SIGSTOP)
        wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 0)
        home.send(signal.SIGCONT)
        wait_until(home.ready)
        took = wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
        assert took < 2.0
        home.set("sensor.after", "77")
        wait_until(lambda: "value=77.0" in lines(service))
    finally:
        home.send(signal.SIGCONT)
        service.stop()


@pytest.mark.timeout(120)
def test_it_hears_again_after_a_restart_of_home_assistant(
    tmp_path: Path, home: HomeAssistant
) -> None:
    service = Service(
        tmp_path,
        {
            "home_assistant_url": home.url,
            "home_assistant_token": home.token(),
            "sink": "files",
            "sink_folder": tmp_path / "service" / "lines",
        },
    )
    service.start()
    try:
        wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
        # In order: a killed Home Assistant forgets the log-ins of its first five minutes.
        home.stop()
        wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 0)
        home.start()
        took = wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
        assert took < 2.0
        home.set("sensor.restarted", "78")
        wait_until(lambda: "value=78.0" in lines(service))
    finally:
        service.stop()


@pytest.mark.timeout(60)
def test_the_demo_runs_without_token_and_without_server(
    tmp_path: Path, home: HomeAssistant
) -> None:
    service = Service(tmp_path, {"data_folder": ""})
    with service.log.open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "activity_ingestor", "--demo", home.url],
            env=service.environment,
            cwd=service.folder,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        lines_folder = service.folder / "ingestor-demo" / "lines"

        def recorded() -> bool:
            home.set("sensor.demo", str(time.monotonic()))
            return any("sensor.demo" in p.read_text() for p in lines_folder.glob("*.lp"))

        wait_until(recorded)
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
