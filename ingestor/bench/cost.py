"""What observing costs: metrics per event, endpoints under load, the error path."""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
import statistics
import tempfile
import threading
import time
from urllib.request import urlopen

from prometheus_client import CollectorRegistry, Counter
import structlog

from activity_ingestor.circuit import CircuitBreaker, CircuitRules
from activity_ingestor.clock import SystemClock
from activity_ingestor.errors import Category
from activity_ingestor.events import EventClass, Source
from activity_ingestor.intake import Intake
from activity_ingestor.sink import RefusedError
from activity_ingestor.spool import Spool
from bench.support import publish, record, table
from tests.support.events import event
from tests.support.servers import HOST

_COUNT = 50_000


def _per_event(function: object, count: int = _COUNT) -> float:
    """Return microseconds a call, the least of five runs."""
    assert callable(function)
    runs = []
    for _ in range(5):
        began = time.perf_counter()
        for _ in range(count):
            function()
        runs.append(time.perf_counter() - began)
    return min(runs) / count * 1e6


def metrics_cost() -> list[tuple[str, object]]:
    """Compare counting in a report with a labelled Prometheus counter an event."""
    from collections import Counter as Count  # noqa: PLC0415

    counts: Count[tuple[str, EventClass]] = Count()

    def ours() -> None:
        counts[Source.MQTT, EventClass.STATE] += 1

    counter = Counter("x", "x", ["source", "class"], registry=CollectorRegistry())

    def usual() -> None:
        counter.labels("mqtt", "state").inc()

    return [
        ("metrics, per event (a report read at the scrape)", f"{_per_event(ours):.2f} us"),
        ("the usual way, for comparison (labels().inc())", f"{_per_event(usual):.2f} us"),
    ]


async def intake_cost(folder: Path) -> list[tuple[str, object]]:
    """Measure one event through the intake, good and bad."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    spool = Spool(folder, SystemClock())
    await spool.open()
    intake = Intake(spool)
    began = time.perf_counter()
    for number in range(_COUNT):
        intake.record(event(number))
    good = (time.perf_counter() - began) / _COUNT * 1e6
    await spool.commit()

    def fail() -> None:
        raise ValueError("no event")

    bad = _per_event(lambda: intake.record_from(Source.MQTT, fail), 10_000)
    await spool.close()
    breaker = CircuitBreaker("x", CircuitRules(failures=10**9), time.monotonic)

    def failing() -> None:
        permit = breaker.permit()
        assert permit is not None
        try:
            raise RefusedError(Category.NETWORK, "503")
        except RefusedError:
            breaker.failed(permit)

    return [
        ("an event into the spool's group (line, identity, CRC)", f"{good:.1f} us"),
        ("a message that cannot be read (counted, logged once)", f"{bad:.1f} us"),
        ("a failed write through the breaker", f"{_per_event(failing, 10_000):.2f} us"),
    ]


def endpoints_cost() -> list[tuple[str, object]]:
    """Ask the endpoints while events come at 2,000 a second."""
    with record() as (broker, _, service):
        thread = threading.Thread(target=publish, args=(broker.port, 0, 20_000, 2000))
        thread.start()
        found: dict[str, list[float]] = {"/health": [], "/ready": [], "/metrics": []}
        while thread.is_alive():
            for path, times in found.items():
                began = time.perf_counter()
                with urlopen(f"http://{HOST}:{service.port}{path}", timeout=5) as response:
                    response.read()
                times.append((time.perf_counter() - began) * 1000)
            time.sleep(0.05)
        thread.join()
    return [
        (
            f"{path} at 2,000 events/s",
            f"median {statistics.median(t):.1f} ms, 99 % {sorted(t)[int(len(t) * 0.99)]:.1f} ms",
        )
        for path, t in found.items()
    ]


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as folder:
        rows = metrics_cost() + asyncio.run(intake_cost(Path(folder)))
    table("Cost of observing", rows + endpoints_cost())


if __name__ == "__main__":
    main()
