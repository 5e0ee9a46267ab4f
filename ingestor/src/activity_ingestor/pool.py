"""The one HTTP session: pooled, limited, kept alive, and measured."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace

import aiohttp
from prometheus_client import CollectorRegistry, Histogram

from activity_ingestor.clock import Clock

_CONNECTIONS, _PER_HOST = 20, 8
_KEEP_ALIVE_S = 30.0


@dataclass(slots=True)
class PoolReport:
    """What the pool is doing."""

    in_use: int = 0
    waiting: int = 0
    created: int = 0
    reused: int = 0
    failed: int = 0


class Pool:
    """Opens the session and counts what goes through it."""

    def __init__(self, clock: Clock, registry: CollectorRegistry) -> None:
        """Take the registry for the latency of requests."""
        self.report = PoolReport()
        self._clock = clock
        self._seconds = Histogram(
            "ingestor_http_request_seconds",
            "Time from asking for a connection to the answer's headers",
            ["host"],
            registry=registry,
        )

    def open(self) -> aiohttp.ClientSession:
        """Return the session; call it inside the event loop, and close what it returns."""
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=_CONNECTIONS, limit_per_host=_PER_HOST, keepalive_timeout=_KEEP_ALIVE_S
            ),
            trace_configs=[self._trace()],
        )

    def _trace(self) -> aiohttp.TraceConfig:
        trace = aiohttp.TraceConfig()
        trace.on_request_start.append(self._started)
        trace.on_request_end.append(self._ended)
        trace.on_request_exception.append(self._failed)
        trace.on_connection_queued_start.append(self._queued)
        trace.on_connection_queued_end.append(self._unqueued)
        trace.on_connection_create_end.append(self._created)
        trace.on_connection_reuseconn.append(self._reused)
        return trace

    async def _started(self, _session: object, context: SimpleNamespace, _params: object) -> None:
        context.started = self._clock.monotonic()
        self.report.in_use += 1

    async def _ended(
        self, _session: object, context: SimpleNamespace, params: aiohttp.TraceRequestEndParams
    ) -> None:
        self.report.in_use -= 1
        host = f"{params.url.host}:{params.url.port}"
        self._seconds.labels(host).observe(self._clock.monotonic() - context.started)

    async def _failed(self, _session: object, _context: SimpleNamespace, _params: object) -> None:
        self.report.in_use -= 1
        self.report.failed += 1

    async def _queued(self, _session: object, _context: SimpleNamespace, _params: object) -> None:
        self.report.waiting += 1

    async def _unqueued(self, _session: object, _context: SimpleNamespace, _params: object) -> None:
        self.report.waiting -= 1

    async def _created(self, _session: object, _context: SimpleNamespace, _params: object) -> None:
        self.report.created += 1

    async def _reused(self, _session: object, _context: SimpleNamespace, _params: object) -> None:
        self.report.reused += 1
