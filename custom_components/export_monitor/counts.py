"""How often what has happened: what statistics are made of, and what of them outlives a restart."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CircuitCounts:
    """Totals of one circuit. Its state is not among them: that begins anew with every run."""

    name: str
    failures: int = 0
    successes: int = 0
    rejected: int = 0
    opened: int = 0


@dataclass(frozen=True, slots=True)
class ServiceCounts:
    """Totals of one service ("number.set_value"); latencies in s."""

    name: str
    calls: int = 0
    successes: int = 0
    attempts: int = 0
    retried: int = 0
    retry_successes: int = 0
    latency_total_s: float = 0.0
    latency_max_s: float = 0.0
    retries: int = 0


@dataclass(frozen=True, slots=True)
class SourceCounts:
    """Totals of one source entity.

    In an outage a hit was answered from the cache, a miss could not be.
    """

    name: str
    reads: int = 0
    invalid: int = 0
    stale: int = 0
    cache_hits: int = 0
    cache_misses: int = 0


@dataclass(frozen=True, slots=True)
class Counts:
    """All totals of an entry. Every field has a default: a record from before it still loads."""

    circuits: tuple[CircuitCounts, ...] = ()
    services: tuple[ServiceCounts, ...] = ()
    sources: tuple[SourceCounts, ...] = ()
