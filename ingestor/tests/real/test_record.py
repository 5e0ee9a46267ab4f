"""The whole service against a real Mosquitto, InfluxDB 1.x, VictoriaMetrics and Prometheus."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
import json
from pathlib import Path
import random
import signal
import subprocess
import time
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest

from tests.conftest import need
from tests.support.mqtt import MqttClient
from tests.support.servers import (
    HOST,
    InfluxDB,
    Mosquitto,
    Prometheus,
    VictoriaMetrics,
    free_port,
    libraries,
    program,
)
from tests.support.service import Service
from tests.support.waiting import wait_until

pytestmark = pytest.mark.real

RULES = Path(__file__).parents[2] / "deploy" / "alerts.yml"


def settings(mosquitto: Mosquitto, influxdb: InfluxDB, **more: object) -> dict[str, object]:
    return {
        "mqtt_host": HOST,
        "mqtt_port": mosquitto.port,
        "mqtt_topics": "house/#",
        "sink_url": influxdb.url,
        "sink_database": "house",
        "sink_timeout_s": 2,
        "breaker_reset_s": 0.5,
        **more,
    }


@contextmanager
def running(folder: Path, values: dict[str, object]) -> Iterator[Service]:
    service = Service(folder, values)
    service.start()
    try:
        wait_until(lambda: service.metric("ingestor_link_up", link="mqtt") == 1)
        yield service
    finally:
        service.stop()


def stored(influxdb: InfluxDB) -> tuple[int, int]:
    """Return how many points there are, and how many different numbers."""
    rows = influxdb.rows("house", 'SELECT count("n"), count(distinct("n")) FROM mqtt')
    # Right after a start InfluxDB answers with nulls for a moment.
    return (int(str(rows[0][1] or 0)), int(str(rows[0][2] or 0))) if rows else (0, 0)


def numbers(first: int, count: int) -> list[dict[str, int]]:
    return [{"n": n} for n in range(first, first + count)]


def test_events_reach_influxdb_once_and_in_full(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    with (
        running(tmp_path, settings(mosquitto, influxdb)) as service,
        MqttClient(mosquitto.port) as client,
    ):
        client.publish("house/meter", *numbers(0, 2000))
        wait_until(lambda: stored(influxdb) == (2000, 2000))
        assert service.status("/ready") == 200
        assert service.metric("ingestor_compression_ratio") > 1
        assert service.stop() == 0


def test_kill_9_in_mid_write_loses_nothing_that_was_acknowledged(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    """At random moments of a stream; the bench does it 200 times."""
    chance = random.Random(7)
    service = Service(tmp_path, settings(mosquitto, influxdb))
    service.start()
    wait_until(lambda: service.metric("ingestor_link_up", link="mqtt") == 1)
    try:
        with MqttClient(mosquitto.port) as client:
            for kills in range(6):
                client.publish("house/meter", *numbers(kills * 300, 300))
                time.sleep(chance.uniform(0, 0.15))
                service.kill()
                service.start(wait=False)
                time.sleep(chance.uniform(0, 0.5))
            service.wait_until_alive()
            wait_until(lambda: stored(influxdb)[1] == 1800)
    finally:
        service.stop()
    assert stored(influxdb) == (1800, 1800), "at least once has become effectively once"


def test_an_outage_of_the_database_is_survived_on_disk(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    with (
        running(tmp_path, settings(mosquitto, influxdb)) as service,
        MqttClient(mosquitto.port) as client,
    ):
        influxdb.kill()
        client.publish("house/meter", *numbers(0, 3000))
        wait_until(lambda: service.metric("ingestor_spool_depth_events") == 3000)
        wait_until(lambda: service.metric("ingestor_circuit_opened_total") >= 1)
        assert service.status("/health") == 200
        assert service.status("/ready") == 503
        assert service.dependencies()["database"]["last_error"]
        influxdb.start()
        wait_until(lambda: stored(influxdb) == (3000, 3000))
        wait_until(lambda: service.status("/ready") == 200)


def test_a_database_that_hangs_is_a_database_that_is_away(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    with (
        running(tmp_path, settings(mosquitto, influxdb, sink_timeout_s=0.5)) as service,
        MqttClient(mosquitto.port) as client,
    ):
        influxdb.send(signal.SIGSTOP)
        client.publish("house/meter", *numbers(0, 100))
        wait_until(lambda: service.metric("ingestor_circuit_opened_total") >= 1)
        assert "no answer within 0.5 s" in str(service.dependencies()["database"]["last_error"])
        influxdb.send(signal.SIGCONT)
        wait_until(lambda: stored(influxdb) == (100, 100))


def test_a_broker_that_goes_and_returns_keeps_its_promise(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    with running(tmp_path, settings(mosquitto, influxdb)) as service:
        with MqttClient(mosquitto.port) as client:
            client.publish("house/meter", *numbers(0, 100))
        wait_until(lambda: stored(influxdb)[1] == 100)
        mosquitto.stop()
        wait_until(lambda: service.metric("ingestor_link_up", link="mqtt") == 0)
        mosquitto.start()
        wait_until(lambda: service.metric("ingestor_link_up", link="mqtt") == 1)
        with MqttClient(mosquitto.port) as client:
            client.publish("house/meter", *numbers(100, 100))
        wait_until(lambda: stored(influxdb) == (200, 200))


def test_messages_that_came_while_the_service_was_down_are_read_later(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    values = settings(mosquitto, influxdb)
    with running(tmp_path, values):
        pass
    with MqttClient(mosquitto.port) as client:
        client.publish("house/meter", *numbers(0, 1500))
    with running(tmp_path, values):
        wait_until(lambda: stored(influxdb) == (1500, 1500))


def test_points_of_the_wrong_type_become_dead_letters(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    with (
        running(tmp_path, settings(mosquitto, influxdb)) as service,
        MqttClient(mosquitto.port) as client,
    ):
        client.publish("house/meter", *numbers(0, 10))
        wait_until(lambda: stored(influxdb)[1] == 10)
        client.publish("house/meter", *numbers(10, 50), {"n": "text"}, *numbers(60, 50))
        wait_until(lambda: stored(influxdb)[1] == 110)
        wait_until(lambda: service.metric("ingestor_dead_letters_total") == 1)
        letter = json.loads((service.folder / "data" / "dead-letters.jsonl").read_text())
    assert "field type conflict" in letter["said"]


def test_a_database_that_does_not_exist_is_said_and_nothing_is_lost(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    values = settings(mosquitto, influxdb, sink_database="other", breaker_failures=20)
    with running(tmp_path, values) as service, MqttClient(mosquitto.port) as client:
        client.publish("house/meter", *numbers(0, 10))
        wait_until(
            lambda: "database not found" in str(service.dependencies()["database"]["last_error"])
        )
        assert service.metric("ingestor_spool_depth_events") == 10
        assert service.metric("ingestor_dead_letters_total") == 0


def test_the_v2_path_is_taken_by_victoria_metrics(
    tmp_path: Path, mosquitto: Mosquitto, victoria_metrics: VictoriaMetrics
) -> None:
    values = {
        "mqtt_host": HOST,
        "mqtt_port": mosquitto.port,
        "mqtt_topics": "house/#",
        "sink": "influxdb2",
        "sink_url": victoria_metrics.url,
        "sink_org": "house",
        "sink_token": "any",
    }
    with running(tmp_path, values) as service, MqttClient(mosquitto.port) as client:
        client.publish("house/meter", *numbers(1, 500))
        wait_until(lambda: service.metric("ingestor_stored_events_total") == 500)

        def found() -> list[float]:
            with urlopen(f"{victoria_metrics.url}/internal/force_flush", timeout=5):
                pass
            query = urlencode({"match[]": "mqtt_n"})
            url = f"{victoria_metrics.url}/api/v1/export?{query}"
            with urlopen(url, timeout=5) as response:
                rows = [json.loads(row) for row in response.read().splitlines()]
            return sorted(value for row in rows for value in row["values"])

        # A new series shows a second after it was written.
        wait_until(lambda: found() == list(range(1, 501)))


def test_prometheus_scrapes_it_and_promtool_accepts_metrics_and_rules(
    tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB
) -> None:
    need("prometheus")
    promtool = program("promtool")
    assert promtool is not None
    with running(tmp_path, settings(mosquitto, influxdb)) as service:
        checked = subprocess.run(
            [promtool, "check", "metrics"],
            input=service.get("/metrics"),
            text=True,
            capture_output=True,
            check=False,
        )
        assert checked.returncode == 0, checked.stderr + checked.stdout
        with Prometheus(tmp_path, service.port, RULES) as prometheus:

            def up() -> bool:
                answer = prometheus.get("/api/v1/query", query='ingestor_link_up{link="mqtt"}')
                assert isinstance(answer, dict)
                return bool(answer["data"]["result"])

            wait_until(up)
            rules = prometheus.get("/api/v1/rules")
            assert isinstance(rules, dict)
            groups = rules["data"]["groups"]
            wait_until(lambda: bool(groups))
    assert {g["name"] for g in groups} == {"export_monitor", "activity_ingestor"}


def test_a_wrong_broker_password_is_said_and_tried_again_slowly(tmp_path: Path) -> None:
    need("mosquitto")
    need("mosquitto_passwd")
    passwords = tmp_path / "passwords"
    command = [str(program("mosquitto_passwd")), "-b", "-c", str(passwords), "user", "right"]
    subprocess.run(command, check=True, env={"LD_LIBRARY_PATH": libraries()})
    with Mosquitto(tmp_path, password_file=passwords) as broker:
        service = Service(
            tmp_path,
            {
                "mqtt_host": HOST,
                "mqtt_port": broker.port,
                "mqtt_topics": "house/#",
                "mqtt_username": "user",
                "mqtt_password": "wrong",
                "sink": "files",
            },
        )
        service.start()
        try:
            wait_until(lambda: bool(service.dependencies()["mqtt"]["last_error"]))
            mqtt = service.dependencies()["mqtt"]
        finally:
            assert service.stop() == 0
    assert mqtt["category"] == "authentication"
    assert "refuses the connection" in str(mqtt["last_error"])


def test_check_says_what_is_wrong(tmp_path: Path, mosquitto: Mosquitto, influxdb: InfluxDB) -> None:
    good = Service(tmp_path, settings(mosquitto, influxdb, alarm_mqtt_topic="alarm"))
    code, said = check(good)
    assert code == 0, said
    bad = Service(
        tmp_path,
        settings(mosquitto, influxdb, sink_database="other", mqtt_port=free_port()),
    )
    code, said = check(bad)
    assert code == 1
    assert "FAIL MQTT broker" in said
    assert "database not found" in said
    assert "no channel" in said


def check(service: Service) -> tuple[int, str]:
    import sys  # noqa: PLC0415

    done = subprocess.run(
        [sys.executable, "-m", "activity_ingestor", "check"],
        env=service.environment,
        cwd=service.folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done.returncode, done.stdout + done.stderr
