"""What may be relied on: every enabled dependency with state, latency and last error."""

from __future__ import annotations

from dataclasses import dataclass

from activity_ingestor.circuit import CircuitBreaker, CircuitState
from activity_ingestor.links import Link
from activity_ingestor.sink import Writer
from activity_ingestor.spool import Spool
from activity_ingestor.watchdog import Dispatcher


@dataclass(frozen=True, slots=True)
class Dependency:
    """One thing that this service needs."""

    name: str
    ok: bool
    state: str
    required: bool = True
    """Whether the service is not ready without it."""
    latency_ms: float | None = None
    for_s: float | None = None
    """Seconds in this state, where that is known."""
    last_error: str = ""
    category: str = ""


def of_link(link: Link) -> Dependency:
    """Return a connection as a dependency."""
    return Dependency(
        link.name,
        ok=link.connected,
        state="connected" if link.connected else "disconnected",
        required=link.required,
        latency_ms=None if link.latency_s is None else round(link.latency_s * 1000, 2),
        for_s=round(link.state_s, 1),
        last_error=link.last_error,
        category=link.last_category,
    )


def of_database(breaker: CircuitBreaker, writers: list[Writer]) -> Dependency:
    """Return the database as a dependency: in trouble from the first failure on."""
    errors = [w.report.last_error for w in writers if w.report.last_error]
    latest = max(writers, key=lambda w: w.report.last_stored_at).report
    if breaker.state is not CircuitState.CLOSED:
        state = f"circuit {breaker.state}"
    elif errors:
        state = "failing"
    else:
        state = "storing" if latest.batches else "not written to yet"
    return Dependency(
        "database",
        ok=not errors and breaker.state is CircuitState.CLOSED,
        state=state,
        latency_ms=round(latest.last_latency_s * 1000, 2) if latest.batches else None,
        last_error=errors[0] if errors else "",
    )


def of_spool(spool: Spool) -> Dependency:
    """Return the disk as a dependency."""
    is_full = spool.report.full
    return Dependency(
        "spool",
        ok=not spool.last_error and not is_full,
        state="refused" if spool.last_error else "full" if is_full else "taking events",
        last_error=spool.last_error,
    )


def of_alarms(dispatcher: Dispatcher) -> list[Dependency]:
    """Return the alarm channels; one that fails does not make the record less reliable."""
    return [
        Dependency(
            f"alarm.{lane.channel.name}",
            ok=not lane.last_error,
            state=f"circuit {lane.breaker.state}",
            required=False,
            last_error=lane.last_error,
        )
        for lane in dispatcher.lanes
    ]
