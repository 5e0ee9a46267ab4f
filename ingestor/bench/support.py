"""What the scripts share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
import os
from pathlib import Path
import platform
import subprocess
import sys
import tempfile
import time

from tests.support.servers import HOST, InfluxDB, Mosquitto
from tests.support.service import Service
from tests.support.waiting import wait_until

os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


def table(title: str, rows: Sequence[tuple[str, object]]) -> None:
    """Print a table of two columns, with the setting below it."""
    print(f"\n{title}\n")
    print("| figure | value |\n|---|---|")
    for name, value in rows:
        print(f"| {name} | {value} |")
    setting()


def setting(more: str = "") -> None:
    """Print on what something was measured."""
    load = os.getloadavg()[0]
    print(
        f"\n{more}{', ' if more else ''}Python {platform.python_version()}, {os.cpu_count()} cores,"
        f" load {load:.1f} when printed (whatever else ran on the machine included), servers on the"
        " same machine.\n",
        flush=True,
    )


@contextmanager
def record(**settings: object) -> Iterator[tuple[Mosquitto, InfluxDB, Service]]:
    """Start broker, database and service, subscribed."""
    with tempfile.TemporaryDirectory(prefix="ingestor-bench-") as name:
        folder = Path(name)
        with Mosquitto(folder) as broker, InfluxDB(folder) as database:
            database.create("house")
            service = Service(
                folder,
                {
                    "mqtt_host": HOST,
                    "mqtt_port": broker.port,
                    "mqtt_topics": "house/#",
                    "sink_url": database.url,
                    "sink_database": "house",
                    "batch_s": 1,
                    "breaker_reset_s": 1,
                    **settings,
                },
            )
            service.start()
            try:
                wait_until(lambda: service.metric("ingestor_link_up", link="mqtt") == 1)
                yield broker, database, service
            finally:
                service.stop()


def counted(database: InfluxDB) -> tuple[int, int]:
    """Return points, and different numbers."""
    rows = database.rows("house", 'SELECT count("n"), count(distinct("n")) FROM mqtt')
    return (int(str(rows[0][1] or 0)), int(str(rows[0][2] or 0))) if rows else (0, 0)


# MQTT 3.1.1 written by hand: a client library would use more processor than the whole service.
PUBLISHER = """
import socket, struct, sys, time
port, first, count, rate = (int(a) for a in sys.argv[1:])
link = socket.create_connection(("127.0.0.1", port))
name = b"bench%d" % first
body = b"\\x00\\x04MQTT\\x04\\x02\\x00\\x00" + struct.pack(">H", len(name)) + name
link.sendall(bytes((0x10, len(body))) + body)
assert link.recv(4) == b"\\x20\\x02\\x00\\x00"
began = time.perf_counter()
acknowledged = 0  # bytes: a PUBACK has four
for n in range(first, first + count, 50):
    packets = []
    for m in range(n, min(n + 50, first + count)):
        topic = b"house/%d" % (m % 20)
        payload = b'{"n":%d,"power":%d.5}' % (m, m % 5000)
        body = struct.pack(">H", len(topic)) + topic + struct.pack(">H", m % 65535 + 1) + payload
        packets.append(bytes((0x32, len(body))) + body)
    link.sendall(b"".join(packets))
    while (m + 1 - first) - acknowledged // 4 > 2000:
        acknowledged += len(link.recv(65536))
    ahead = (n - first) / rate - (time.perf_counter() - began) if rate else 0
    if ahead > 0:
        time.sleep(ahead)
while acknowledged < 4 * count:
    acknowledged += len(link.recv(65536))
print(time.perf_counter() - began)
link.sendall(b"\\xe0\\x00")
"""


def publish(port: int, first: int, count: int, rate: int = 0) -> float:
    """Publish from a process of its own and return the seconds until all were acknowledged."""
    command = [sys.executable, "-c", PUBLISHER, *map(str, (port, first, count, rate))]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(done.stdout)


def cpu_s(service: Service) -> float:
    """Return the processor seconds that the service has used."""
    assert service.process is not None
    fields = Path(f"/proc/{service.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def stopwatch() -> float:
    """Return monotonic seconds."""
    return time.monotonic()
