"""An outage with millions of events in the spool: `python -m bench.outage [events]`."""

from __future__ import annotations

import asyncio
from pathlib import Path
import sys
import tempfile
import time

from activity_ingestor.clock import SystemClock
from activity_ingestor.events import Event, EventClass, Source
from activity_ingestor.spool import Spool
from bench.support import cpu_s, stopwatch, table
from tests.support.servers import HOST, InfluxDB, free_port
from tests.support.service import Service
from tests.support.waiting import wait_until


async def fill(folder: Path, count: int) -> float:
    """Spool events as a source would, and return how many a second."""
    spool = Spool(folder, SystemClock())
    await spool.open()
    committing = asyncio.create_task(spool.run())
    start_us = time.time_ns() // 1000 - count * 1000
    began = stopwatch()
    for number in range(count):
        if number % 200 == 0:
            await spool.room()
            await asyncio.sleep(0)
        spool.put(
            Event(
                source=Source.HOME_ASSISTANT,
                event_class=EventClass.STATE,
                measurement="state",
                tags=(("domain", "sensor"), ("entity_id", f"sensor.meter_{number % 200}")),
                fields=(("state", str(number)), ("value", float(number))),
                time_us=start_us + number * 1000,
                sameness=str(number),
            )
        )
    await spool.commit()
    rate = count / (stopwatch() - began)
    committing.cancel()
    await asyncio.gather(committing, return_exceptions=True)
    await spool.close()
    return rate


def main(count: int = 2_000_000) -> None:
    """Fill the spool while the database is away, then let the service drain it."""
    with tempfile.TemporaryDirectory(prefix="ingestor-bench-") as name:
        folder = Path(name)
        database = InfluxDB(folder)
        service = Service(
            folder,
            {
                "mqtt_host": HOST,
                "mqtt_port": free_port(),
                "sink_url": database.url,
                "sink_database": "house",
                "breaker_reset_s": 1,
                "batch_size": 5000,
            },
        )
        spooled = asyncio.run(fill(service.folder / "data" / "spool", count))
        began = stopwatch()
        service.start()
        ready = stopwatch() - began
        size = service.metric("ingestor_spool_size_bytes")
        try:
            wait_until(lambda: service.metric("ingestor_circuit_opened_total") >= 1, 60)
            with database:
                database.create("house")
                started = stopwatch()
                wait_until(lambda: service.metric("ingestor_stored_events_total") > 0, 60)
                before, began = cpu_s(service), stopwatch()
                wait_until(lambda: service.metric("ingestor_spool_depth_events") == 0, 900)
                took = stopwatch() - began
                points = database.rows("house", 'SELECT count("value") FROM state')[0][1]
                table(
                    "Outage and drain",
                    [
                        ("events spooled", f"{count} ({size / 1e6:.0f} MB on disk)"),
                        ("spooled at", f"{spooled:.0f}/s"),
                        ("alive after a start with this spool", f"{ready:.2f} s"),
                        ("first batch after the database's return", f"{began - started:.1f} s"),
                        ("drained at", f"{count / took:.0f}/s ({took:.1f} s)"),
                        (
                            "processor time per event",
                            f"{(cpu_s(service) - before) / count * 1e6:.0f} us",
                        ),
                        ("in InfluxDB", points),
                        ("lost", count - int(str(points))),
                        ("resident memory, peak", f"{service.peak_rss_mb():.0f} MB"),
                    ],
                )
        finally:
            service.stop()


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
