"""The demo, watched: the real integration discharges a simulated battery, and is made to hang."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
import json
from pathlib import Path
import signal
import sqlite3
import subprocess
import sys
import time
from typing import Any

import pytest

from tests.conftest import need
from tests.support.demo import Demo, why_not
from tests.support.mqtt import MqttClient
from tests.support.servers import HOST, Mosquitto
from tests.support.service import Service
from tests.support.waiting import wait_until
from tests.support.webhook import Webhook

pytestmark = pytest.mark.real

DOMAIN = "export_monitor"


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    if why_not():
        pytest.skip(f"no demo: {why_not()}")
    server = Demo(tmp_path_factory.mktemp("demo"))
    yield server
    server.stop()


@contextmanager
def ingestor(folder: Path, demo: Demo, **values: object) -> Iterator[Service]:
    """Run `--demo`: no token, and files as the database."""
    service = Service(folder, {"data_folder": "", **values})
    command = [sys.executable, "-m", "activity_ingestor", "--demo", demo.url]
    with service.log.open("ab") as log:
        service.process = subprocess.Popen(
            command, env=service.environment, cwd=service.folder, stdout=log, stderr=log
        )
    try:
        service.wait_until_alive()
        yield service
    finally:
        code = service.stop()
    assert code == 0, service.text()[-2000:]


def lines(service: Service) -> list[str]:
    folder = service.folder / "ingestor-demo" / "lines"
    return [row for p in folder.glob("*.lp") for row in p.read_text().splitlines()]


def kept_by_the_recorder(demo: Demo) -> dict[str, int]:
    """Return how many events of each type Home Assistant's own database holds."""
    path = demo.config / "home-assistant_v2.db"
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        rows = database.execute(
            "SELECT t.event_type, count(*) FROM events JOIN event_types AS t USING (event_type_id)"
            " GROUP BY t.event_type"
        )
        return dict(rows.fetchall())


@pytest.mark.timeout(600)
def test_a_hang_of_the_real_integration_in_mid_discharge_is_told_within_ten_seconds(
    tmp_path: Path, demo: Demo
) -> None:
    need("mosquitto")
    with (
        Mosquitto(tmp_path) as broker,
        Webhook() as webhook,
        MqttClient(broker.port, "alarm") as client,
        ingestor(
            tmp_path,
            demo,
            mqtt_host=HOST,
            mqtt_port=broker.port,
            alarm_mqtt_topic="alarm",
            alarm_webhook_url=webhook.url,
        ) as service,
    ):
        # It was there first: Home Assistant starts, and the integration is set up a while later.
        demo.start()
        wait_until(lambda: service.metric("export_monitor_export_headroom_kwh") > 1, 90)
        wait_until(lambda: service.metric("ingestor_link_up", link="mqtt_alarm") == 1)
        assert service.metric("export_monitor_discharge_active") == 0
        session = demo.call(DOMAIN, "start_discharge")["session_id"]
        wait_until(lambda: service.metric("export_monitor_session_exported_kwh") >= 0.01, 60)
        try:
            demo.send_home_assistant(signal.SIGSTOP)
            stopped_at = time.monotonic()
            wait_until(lambda: bool(webhook.received) and bool(client.received))
        finally:
            demo.send_home_assistant(signal.SIGCONT)
        by_mqtt: list[tuple[float, dict[str, Any]]] = [
            (at, json.loads(payload)) for at, _, payload in client.received
        ]
        for at, alarm in (webhook.received[0], by_mqtt[0]):
            assert at - stopped_at <= 10.0
            assert (alarm["alarm"], alarm["state"]) == ("session_unguarded", "raised")
            assert alarm["session_id"] == session
            assert alarm["session_exported_kwh"] >= 0.01
        # It goes on, beats again, and the alarm is taken back.
        wait_until(lambda: any(m["state"] == "cleared" for _, m in webhook.received), 60)
        demo.call(DOMAIN, "stop_discharge")
        told = "export_monitor_event,"
        wait_until(lambda: any("type=session_ended" in row for row in lines(service)), 60)
        recorded = [row for row in lines(service) if row.startswith(told)]
        assert all(f'session_id="{session}"' in row for row in recorded), recorded
        types = {row.split("type=")[1].split(" ")[0].split(",")[0] for row in recorded}
        assert types >= {"session_started", "command", "stop_requested", "stop_proven"}
        assert any(row.startswith("export_monitor_heartbeat,") for row in lines(service))
        assert any(row.startswith("ingestor_alarm,") for row in lines(service))
    # The heartbeats were heard, and cost Home Assistant's recorder nothing.
    wait_until(lambda: kept_by_the_recorder(demo).get("export_monitor_event", 0) >= len(recorded))
    assert "export_monitor_heartbeat" not in kept_by_the_recorder(demo)


@pytest.mark.timeout(300)
def test_check_finds_nothing_wrong_with_the_demo_but_that_nobody_would_be_told(
    tmp_path: Path, demo: Demo
) -> None:
    if demo.process is None:
        demo.start()
    service = Service(tmp_path, {"data_folder": ""})
    command = [sys.executable, "-m", "activity_ingestor", "check", "--demo", demo.url]
    done = subprocess.run(
        command,
        env=service.environment,
        cwd=service.folder,
        capture_output=True,
        text=True,
        check=False,
    )
    failed = [row for row in done.stdout.splitlines() if row.startswith("FAIL")]
    assert failed == ["FAIL alarms: there is no channel to send an alarm by"], done.stdout
    assert "the Export Monitor's heartbeat come" in done.stdout
