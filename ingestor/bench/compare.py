"""Beside Home Assistant's own `influxdb` integration, on the same events: `bench.compare`.

The integration's two packages come by pip into .cache/hass-influxdb, once.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
import shutil
import subprocess
import sys
import tempfile
import time

from bench.support import table
from tests.support.real_home_assistant import PYTHON, HomeAssistant, missing
from tests.support.servers import HOST, InfluxDB, free_port
from tests.support.service import Service
from tests.support.waiting import wait_until

_FOLDER = Path(__file__).parents[1] / ".cache" / "hass-influxdb"
_PACKAGES = ("influxdb==5.3.2", "influxdb-client==1.50.0")
_OUTAGE_S = 20.0
_PATIENCE_S = 60.0


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


def _wait(database: InfluxDB, want: int) -> tuple[float | None, float | None]:
    """Return after how many seconds each had everything; None where it never did."""
    began = time.monotonic()
    ours: float | None = None
    theirs: float | None = None
    while time.monotonic() - began < _PATIENCE_S and (ours is None or theirs is None):
        if ours is None and _ours(database) >= want:
            ours = time.monotonic() - began
        if theirs is None and _theirs(database) >= want:
            theirs = time.monotonic() - began
        time.sleep(0.1)
    return ours, theirs


def _said(seconds: float | None) -> str:
    return "never" if seconds is None else f"{seconds:.1f} s"


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
        wait_until(lambda: _theirs(database) >= 1 and _ours(database) >= 1, 60)
        _set(home, 1, count)
        ours, theirs = _wait(database, count + 1)
        rows: list[tuple[str, object]] = [
            (f"{count} states: all stored after, ingestor", _said(ours)),
            (f"{count} states: all stored after, integration", _said(theirs)),
        ]
        ours_before, theirs_before = _ours(database), _theirs(database)
        database.kill()
        began = time.monotonic()
        _set(home, 100_000, count)
        time.sleep(max(0.0, _OUTAGE_S - (time.monotonic() - began)))
        database.start()
        _wait(database, 2 * count + 1)
        rows += [
            (
                f"{count} states in an outage of {_OUTAGE_S:.0f} s: lost, ingestor",
                count - (_ours(database) - ours_before),
            ),
            (
                f"{count} states in an outage of {_OUTAGE_S:.0f} s: lost, integration",
                count - (_theirs(database) - theirs_before),
            ),
        ]
        before = (_ours(database), _theirs(database))
        _set(home, 200_000, 50)
        time.sleep(10.0)
        rows += [
            ("50 states after the outage: stored, ingestor", _ours(database) - before[0]),
            ("50 states after the outage: stored, integration", _theirs(database) - before[1]),
        ]
        table("Ingestor and Home Assistant's own influxdb integration (its defaults)", rows)
    finally:
        service.stop()


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
