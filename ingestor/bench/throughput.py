"""Sustained rate and burst: `python -m bench.throughput [seconds] [rate]`."""

from __future__ import annotations

import sys

from bench.support import counted, cpu_s, publish, record, stopwatch, table
from tests.support.waiting import wait_until


def main(seconds: int = 30, rate: int = 5000) -> None:
    """Publish by MQTT with QoS 1, and count what InfluxDB holds in the end."""
    with record() as (broker, database, service):
        count = rate * seconds
        before = cpu_s(service)
        began = stopwatch()
        took = publish(broker.port, 0, count, rate)
        wait_until(lambda: counted(database)[1] >= count, 120)
        lag = stopwatch() - began - took
        used = cpu_s(service) - before
        points, different = counted(database)
        rows: list[tuple[str, object]] = [
            ("published (MQTT, QoS 1)", f"{count} in {took:.1f} s = {count / took:.0f}/s"),
            ("in InfluxDB", f"{points} points, {different} different"),
            ("lost", count - different),
            ("last event stored after the last publish", f"{lag:.1f} s"),
            ("processor time per event", f"{used / count * 1e6:.0f} us"),
            (
                "compression",
                f"{service.metric('ingestor_compression_ratio', lane='bulk'):.1f} : 1",
            ),
            (
                "time to disk, mean of a commit",
                f"{service.metric('ingestor_commit_seconds_sum') / service.metric('ingestor_commit_seconds_count') * 1000:.1f} ms",  # noqa: E501
            ),
            (
                "commits within 100 ms",
                f"{service.metric('ingestor_commit_seconds_bucket', le='0.1') / service.metric('ingestor_commit_seconds_count') * 100:.1f} %",  # noqa: E501
            ),
            ("resident memory, peak", f"{service.peak_rss_mb():.0f} MB"),
        ]
        table(f"Sustained {rate}/s for {seconds} s", rows)
        began = stopwatch()
        took = publish(broker.port, count, 4000)
        wait_until(lambda: counted(database)[1] >= count + 4000, 60)
        total = stopwatch() - began
        table(
            "Burst of 4,000",
            [
                ("published as fast as the broker takes it", f"{took:.2f} s"),
                ("all in InfluxDB after", f"{total:.2f} s"),
                ("lost", count + 4000 - counted(database)[1]),
                ("resident memory, peak", f"{service.peak_rss_mb():.0f} MB"),
            ],
        )


if __name__ == "__main__":
    main(*(int(a) for a in sys.argv[1:]))
