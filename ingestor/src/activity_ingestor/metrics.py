"""Prometheus metrics. Totals are read from the reports when asked for: an event pays nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from prometheus_client import CollectorRegistry, Histogram, ProcessCollector
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from activity_ingestor.circuit import CircuitBreaker, CircuitState
from activity_ingestor.clock import Clock
from activity_ingestor.events import EventClass
from activity_ingestor.house import House
from activity_ingestor.intake import Intake
from activity_ingestor.links import Link
from activity_ingestor.pool import PoolReport
from activity_ingestor.sink import Writer, WriteResult
from activity_ingestor.sources.home_assistant import GapReport
from activity_ingestor.spool import Spool
from activity_ingestor.watchdog import AlarmKind, Dispatcher, Watchdog

_Samples: TypeAlias = Iterable[tuple[tuple[str, ...], float]]


@dataclass(frozen=True, slots=True)
class Measured:
    """Everything that reports."""

    spool: Spool
    intake: Intake
    writers: Sequence[Writer]
    links: Sequence[Link]
    breakers: Sequence[CircuitBreaker]
    gaps: GapReport
    pool: PoolReport
    watchdog: Watchdog
    dispatcher: Dispatcher
    house: House


class Histograms:
    """What is observed once a batch or commit."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register them."""
        self._commit = Histogram(
            "ingestor_commit_seconds",
            "Time from the first event of a group to its being safe on disk",
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5),
            registry=registry,
        )
        self._group = Histogram(
            "ingestor_commit_events",
            "Events that reached the disk by one sync",
            buckets=(1, 10, 100, 1000, 10_000),
            registry=registry,
        )
        self._batch = Histogram(
            "ingestor_batch_events",
            "Events in a batch that was stored",
            buckets=(1, 10, 100, 1000, 2500, 5000, 10_000),
            registry=registry,
        )
        self._write = Histogram(
            "ingestor_write_seconds",
            "Time the database took for a batch",
            buckets=(0.005, 0.01, 0.05, 0.1, 0.5, 1, 2, 5, 10),
            registry=registry,
        )
        self.lag_s = 0.0

    def committed(self, seconds: float, events: int) -> None:
        """Observe a commit of the spool."""
        self._commit.observe(seconds)
        self._group.observe(events)

    def stored(self, events: int, result: WriteResult) -> None:
        """Observe a write."""
        self._batch.observe(events)
        self._write.observe(result.latency_s)


def _counter(name: str, text: str, labels: Sequence[str], samples: _Samples) -> Metric:
    family = CounterMetricFamily(name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _gauge(name: str, text: str, labels: Sequence[str], samples: _Samples) -> Metric:
    family = GaugeMetricFamily(name, text, labels=labels)
    for values, number in samples:
        family.add_metric(values, number)
    return family


def _by_class(counts: Mapping[EventClass, int]) -> _Samples:
    return [((kind.name.lower(),), counts.get(kind, 0)) for kind in EventClass]


class ReportCollector(Collector):
    """Turns the reports into metrics at each scrape."""

    def __init__(self, measured: Measured, clock: Clock, histograms: Histograms) -> None:
        """Take what reports."""
        self._m = measured
        self._clock = clock
        self._histograms = histograms

    def collect(self) -> Iterator[Metric]:
        """Return all metrics."""
        yield from self._spool()
        yield from self._writers()
        yield from self._links()
        yield from self._circuits()
        yield from self._watchdog()
        yield from self._house()

    def _spool(self) -> Iterator[Metric]:
        spool = self._m.spool
        report, lanes = spool.report, spool.lanes.values()
        yield _counter(
            "ingestor_events",
            "Events recorded",
            ("source", "class"),
            [((s, c.name.lower()), n) for (s, c), n in sorted(report.recorded.items())],
        )
        yield _counter(
            "ingestor_events_repeated", "Repetitions left out", (), [((), report.repeated)]
        )
        yield _counter(
            "ingestor_events_shed",
            "Events given up for want of disk",
            ("class",),
            _by_class(report.shed),
        )
        yield _counter("ingestor_commits", "Syncs of the spool", (), [((), report.commits)])
        yield _gauge(
            "ingestor_spool_depth_events",
            "Events on disk that are not stored yet",
            ("lane",),
            [((lane.name,), lane.depth) for lane in lanes],
        )
        yield _gauge(
            "ingestor_spool_size_bytes",
            "Size of the spool on disk",
            ("lane",),
            [((lane.name,), lane.bytes_on_disk) for lane in lanes],
        )
        yield _gauge("ingestor_spool_full", "1 while events are shed", (), [((), report.full)])
        yield _counter(
            "ingestor_spool_damaged_bytes",
            "Bytes on disk that were no record (bit rot, torn writes)",
            (),
            [((), sum(lane.damaged_bytes for lane in lanes))],
        )
        yield _gauge(
            "ingestor_queue_bytes",
            "Waiting in memory for the disk",
            (),
            [((), spool.waiting_bytes)],
        )

    def _writers(self) -> Iterator[Metric]:
        writers = self._m.writers
        reports = [((w.name,), w.report) for w in writers]
        for name, text, read in (
            ("stored_events", "Events the database has stored", "stored"),
            ("write_retries", "Writes tried again", "retries"),
            ("dead_letters", "Events the database refused for good", "dead"),
            ("written_raw_bytes", "Line protocol before compression", "raw_bytes"),
            ("written_sent_bytes", "Line protocol as it was sent", "sent_bytes"),
        ):
            samples = [(lane, getattr(report, read)) for lane, report in reports]
            yield _counter(f"ingestor_{name}", text, ("lane",), samples)
        yield _gauge(
            "ingestor_compression_ratio",
            "Bytes of line protocol for each byte sent",
            ("lane",),
            [(lane, r.raw_bytes / r.sent_bytes) for lane, r in reports if r.sent_bytes],
        )
        yield _gauge(
            "ingestor_batch_size_events",
            "Size of the next batch, as the database's answers allow",
            ("lane",),
            [((w.name,), w.size.current) for w in writers],
        )
        errors = [
            ((f"writer.{w.name}", category), n)
            for w in writers
            for category, n in w.report.errors.items()
        ]
        errors += [((s, category), n) for (s, category), n in self._m.intake.errors.items()]
        yield _counter("ingestor_errors", "Failures", ("component", "category"), errors)

    def _links(self) -> Iterator[Metric]:
        links = self._m.links
        yield _gauge(
            "ingestor_link_up",
            "1 while a connection works",
            ("link",),
            [((link.name,), link.connected) for link in links],
        )
        for name, text, read in (
            ("connects", "Connections made", "connects"),
            ("drops", "Connections lost", "drops"),
            ("received_messages", "Messages received", "received"),
            ("received_bytes", "Bytes of messages received", "bytes_received"),
        ):
            samples = [((link.name,), getattr(link, read)) for link in links]
            yield _counter(f"ingestor_link_{name}", text, ("link",), samples)
        yield _gauge(
            "ingestor_link_failed_attempts",
            "Failed attempts since the connection last worked",
            ("link",),
            [((link.name,), link.failed_attempts) for link in links],
        )
        yield _gauge(
            "ingestor_link_latency_seconds",
            "Round trip of the last ping",
            ("link",),
            [((link.name,), link.latency_s) for link in links if link.latency_s is not None],
        )
        gaps = self._m.gaps
        yield _counter("ingestor_gaps", "Gaps in Home Assistant's events", (), [((), gaps.gaps)])
        yield _counter("ingestor_gap_seconds", "Length of all gaps", (), [((), gaps.seconds)])
        yield _counter(
            "ingestor_backfilled_events", "Events read later", (), [((), gaps.backfilled)]
        )
        yield _counter("ingestor_gaps_unfilled", "Gaps without history", (), [((), gaps.unfilled)])
        pool = self._m.pool
        for name, text, number in (
            ("in_use", "Requests under way", pool.in_use),
            ("waiting", "Requests that wait for a connection", pool.waiting),
        ):
            yield _gauge(f"ingestor_http_connections_{name}", text, (), [((), number)])
        for name, text, number in (
            ("created", "Connections made", pool.created),
            ("reused", "Requests on a connection that was there", pool.reused),
            ("failed", "Requests without an answer", pool.failed),
        ):
            yield _counter(f"ingestor_http_connections_{name}", text, (), [((), number)])

    def _circuits(self) -> Iterator[Metric]:
        breakers = self._m.breakers
        yield _gauge(
            "ingestor_circuit_state",
            "1 for the state that a circuit is in",
            ("circuit", "state"),
            [((b.name, s), b.state is s) for b in breakers for s in CircuitState],
        )
        for name, text in (
            ("failures", "Failed calls"),
            ("rejected", "Calls not made because the circuit was open"),
            ("opened", "Times the circuit opened"),
        ):
            samples = [((b.name,), getattr(b.counts, name)) for b in breakers]
            yield _counter(f"ingestor_circuit_{name}", text, ("circuit",), samples)

    def _watchdog(self) -> Iterator[Metric]:
        watchdog, dispatcher = self._m.watchdog, self._m.dispatcher
        standing = {alarm.kind for alarm in watchdog.standing}
        yield _gauge(
            "ingestor_alarm_standing",
            "1 while an alarm stands",
            ("alarm",),
            [((kind,), kind in standing) for kind in AlarmKind],
        )
        yield _counter(
            "ingestor_alarm_notices",
            "Notices of the watchdog",
            ("alarm", "state"),
            [(key, n) for key, n in sorted(dispatcher.sent.items())],
        )
        yield _counter(
            "ingestor_alarm_deliveries",
            "Attempts to deliver a notice",
            ("channel", "outcome"),
            [
                ((lane.channel.name, outcome), number)
                for lane in dispatcher.lanes
                for outcome, number in (("delivered", lane.delivered), ("failed", lane.failed))
            ],
        )
        age = watchdog.heartbeat_age_s()
        yield _gauge(
            "ingestor_heartbeat_age_seconds",
            "Age of the integration's last heartbeat",
            (),
            [((), age)] if age is not None else [],
        )
        yield _gauge(
            "ingestor_loop_lag_seconds",
            "How late the event loop was lately",
            (),
            [((), self._histograms.lag_s)],
        )

    def _house(self) -> Iterator[Metric]:
        house = self._m.house
        beats = house.heartbeats
        yield _counter(
            "export_monitor_sessions",
            "Discharge sessions seen to begin",
            (),
            [((), self._m.watchdog.sessions)],
        )
        yield _counter(
            "export_monitor_activities",
            "Activities by type",
            ("type",),
            [((kind,), n) for kind, n in sorted(house.activities.items())],
        )
        yield _gauge(
            "export_monitor_discharge_active",
            "1 while a session runs",
            ("entry_id",),
            [((e,), b.in_session) for e, b in beats.items()],
        )
        for name, text, read in (
            ("session_exported_kwh", "Exported in this session", "session_exported_kwh"),
            ("exported_today_kwh", "Exported today", "exported_today_kwh"),
            ("export_headroom_kwh", "May still be exported", "export_headroom_kwh"),
            ("data_age_seconds", "Age of the integration's data", "data_age_seconds"),
        ):
            samples = [((e,), getattr(b, read)) for e, b in beats.items()]
            yield _gauge(
                f"export_monitor_{name}",
                text,
                ("entry_id",),
                [s for s in samples if s[1] is not None],
            )
        yield _gauge(
            "export_monitor_error_state",
            "1 for the error state that stands",
            ("entry_id", "error_state"),
            [(item, 1.0) for item in house.error_states.items()],
        )


def register(
    registry: CollectorRegistry, measured: Measured, clock: Clock, histograms: Histograms
) -> None:
    """Make everything visible in a registry."""
    registry.register(ReportCollector(measured, clock, histograms))
    ProcessCollector(registry=registry)
