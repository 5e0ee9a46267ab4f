"""Beside Home Assistant's own `influxdb` integration, on the same events: `bench.compare`.

The integration's two packages come by pip into .cache/hass-influxdb, once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

from bench.support import setting, stopwatch
from tests.support.real_home_assistant import PYTHON, HomeAssistant, missing
from tests.support.servers import HOST, InfluxDB, free_port
from tests.support.service import Service
from tests.support.waiting import wait_until

_FOLDER = Path(__file__).parents[1] / ".cache" / "hass-influxdb"
_PACKAGES = ("influxdb==5.3.2", "influxdb-client==1.50.0")
_OUTAGE_S = 20.0
_PATIENCE_S = 60.0
_PACE = 50  # a second: what one client sets one after another on a busy machine
_LOOK_S = 0.05


def _packages() -> bool:
    if (_FOLDER / "influxdb").exists():
        return True
    uv = shutil.which("uv")
    if uv is None:
        return False
    command = [uv, "pip", "install", "-q", "--target", str(_FOLDER), "--python", str(PYTHON)]
    return subprocess.run([*command, *_PACKAGES], check=False).returncode == 0


def _configuration(port: int) -> str:
    return f"""
influxdb:
  api_version: 1
  host: {HOST}
  port: {port}
  database: hass
  ssl: false
  verify_ssl: false
"""


def _count(database: InfluxDB, name: str, query: str) -> int:
    try:
        rows = database.rows(name, query)
    except (OSError, AssertionError):
        return 0
    return sum(int(str(row[1] or 0)) for row in rows)


def _theirs(database: InfluxDB) -> int:
    return _count(
        database, "hass", 'SELECT count(distinct("value")) FROM /.*/ WHERE "entity_id" = \'bench\''
    )


def _ours(database: InfluxDB) -> int:
    return _count(
        database,
        "house",
        'SELECT count(distinct("value")) FROM state WHERE "entity_id" = \'sensor.bench\'',
    )


def _set(home: HomeAssistant, first: int, count: int) -> None:
    with ThreadPoolExecutor(4) as threads:
        list(threads.map(lambda n: home.set("sensor.bench", str(n)), range(first, first + count)))


@dataclass
class _Side:
    """One of the two, and what it holds."""

    count: Callable[[InfluxDB], int]
    seen: list[tuple[float, int]] = field(default_factory=list)
    """When so many were first found in the database; seconds of the stopwatch."""

    def look(self, database: InfluxDB) -> None:
        found = self.count(database)
        if not self.seen or found > self.seen[-1][1]:
            self.seen.append((stopwatch(), found))

    def latencies(self, sent: list[float], before: int) -> list[float]:
        """Return the seconds from setting each state to finding it, in order of arrival."""
        times = iter(self.seen)
        at, found = next(times)
        waited: list[float] = []
        for number, sent_at in enumerate(sent, start=before + 1):
            while found < number:
                later = next(times, None)
                if later is None:
                    return waited  # the rest never came
                at, found = later
            waited.append(at - sent_at)
        return waited


def _steady(home: HomeAssistant, database: InfluxDB, count: int, sides: Sequence[_Side]) -> None:
    """Set states at an even pace, and note when each side has them."""
    before = [side.count(database) for side in sides]
    sent: list[float] = []
    over = threading.Event()

    def watch() -> None:
        while not over.is_set():
            for side in sides:
                side.look(database)
            time.sleep(_LOOK_S)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        began = stopwatch()
        for number in range(count):
            time.sleep(max(0.0, began + number / _PACE - stopwatch()))
            sent.append(stopwatch())
            home.set("sensor.bench", str(300_000 + number))
        _wait(database, [b + count for b in before], sides)
        time.sleep(2 * _LOOK_S)
    finally:
        over.set()
        watcher.join()
    _row(
        f"{count} states at {_PACE}/s: delivered",
        *(side.count(database) - b for side, b in zip(sides, before, strict=True)),
    )
    latencies = [side.latencies(sent, b) for side, b in zip(sides, before, strict=True)]
    _row("its latency, from being set to being in the database", *map(_spread, latencies))


def _spread(seconds: list[float]) -> str:
    if not seconds:
        return "none came"
    ordered = sorted(seconds)
    return (
        f"median {statistics.median(ordered):.2f} s, 99 % {ordered[int(len(ordered) * 0.99)]:.2f} s"
    )


def _wait(database: InfluxDB, wants: Sequence[int], sides: Sequence[_Side]) -> list[str]:
    """Return after how many seconds each had everything."""
    began = stopwatch()
    took: list[float | None] = [None] * len(sides)
    while stopwatch() - began < _PATIENCE_S and None in took:
        for n, (side, want) in enumerate(zip(sides, wants, strict=True)):
            if took[n] is None and side.count(database) >= want:
                took[n] = stopwatch() - began
        time.sleep(_LOOK_S)
    return ["never" if t is None else f"{t:.1f} s" for t in took]


def _row(name: str, ours: object, theirs: object) -> None:
    print(f"| {name} | {ours} | {theirs} |", flush=True)


def main(count: int = 1000) -> None:
    """Set states in a real Home Assistant; both write them to the same InfluxDB."""
    if missing() or not _packages():
        print(
            f"skipped: {missing() or 'the packages of the influxdb integration are not to be had'}"
        )
        return
    with tempfile.TemporaryDirectory(prefix="ingestor-bench-") as name:
        folder = Path(name)
        database = InfluxDB(folder)
        database.start()
        try:
            for each in ("hass", "house"):
                database.create(each)
            extra = _configuration(database.port)
            with HomeAssistant(folder, extra=extra, python_path=[_FOLDER]) as home:
                _compare(folder, home, database, count)
        finally:
            database.stop()


def _compare(folder: Path, home: HomeAssistant, database: InfluxDB, count: int) -> None:
    service = Service(
        folder,
        {
            "home_assistant_url": home.url,
            "home_assistant_token": home.token(),
            "mqtt_port": free_port(),
            "sink_url": database.url,
            "sink_database": "house",
            "batch_s": 1,
            "sink_timeout_s": 5,
            "breaker_reset_s": 5,
        },
    )
    service.start()
    try:
        wait_until(lambda: service.metric("ingestor_link_up", link="home_assistant") == 1)
        home.set("sensor.bench", "0")
        sides = (_Side(_ours), _Side(_theirs))
        wait_until(lambda: all(side.count(database) >= 1 for side in sides), 60)
        print("\nIngestor and Home Assistant's own influxdb integration, on the same events\n")
        _row("", "ingestor", "influxdb integration")
        _row("---", "---", "---")
        _steady(home, database, count, sides)
        before = [side.count(database) for side in sides]
        _set(home, 1, count)
        _row(
            f"{count} states as fast as they can be set: last stored after the last was set",
            *_wait(database, [b + count for b in before], sides),
        )
        _outage(home, database, count, sides)
        before = [side.count(database) for side in sides]
        _set(home, 200_000, 50)
        _wait(database, [b + 50 for b in before], sides)
        _row("50 states after the outage: delivered", *_gained(database, sides, before))
        setting(
            f"Home Assistant {home.request('GET', '/config')['version']}, InfluxDB 1.x, the"
            " ingestor with batches of 1 s, the integration with its own (1 s, 100 events)"
        )
    finally:
        service.stop()


def _gained(database: InfluxDB, sides: Sequence[_Side], before: Sequence[int]) -> list[int]:
    return [side.count(database) - b for side, b in zip(sides, before, strict=True)]


def _outage(home: HomeAssistant, database: InfluxDB, count: int, sides: Sequence[_Side]) -> None:
    before = [side.count(database) for side in sides]
    database.kill()
    began = stopwatch()
    _set(home, 100_000, count)
    time.sleep(max(0.0, _OUTAGE_S - (stopwatch() - began)))
    database.start()
    _wait(database, [b + count for b in before], sides)
    gained = _gained(database, sides, before)
    name = f"{count} states in an outage of {_OUTAGE_S:.0f} s"
    _row(f"{name}: delivered", *gained)
    _row(f"{name}: lost", *(count - g for g in gained))


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
