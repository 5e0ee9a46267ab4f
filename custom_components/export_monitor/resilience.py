"""The circuits of an entry and everything that is counted about calls and readings."""

from collections import Counter
from dataclasses import asdict

from homeassistant.util.json import JsonValueType

from .counts import CircuitCounts, Counts, ServiceCounts, SourceCounts
from .error_handler import (
    BreakerPolicy,
    CircuitBreaker,
    Clock,
    SensorValidation,
    ServiceStatistics,
    StaleDataDetector,
)

type Report = dict[str, JsonValueType]


class Resilience:
    """Counts on from where the last run left off; the circuits themselves begin closed."""

    def __init__(
        self, before: Counts, clock: Clock, stale_after_s: float, trial_timeout_s: float
    ) -> None:
        """Take up the totals of the run before.

        `trial_timeout_s` is how long a circuit waits for the answer of a trial call.
        """
        self._clock = clock
        self._trial_timeout_s = trial_timeout_s
        self._before = {each.name: each for each in before.circuits}
        self.circuits: dict[str, CircuitBreaker] = {}
        self.services: dict[str, ServiceStatistics] = {
            each.name: ServiceStatistics(
                each.calls,
                each.successes,
                each.attempts,
                each.retried,
                each.retry_successes,
                each.latency_total_s,
                each.latency_max_s,
                each.retries,
            )
            for each in before.services
        }
        sources = before.sources
        self.validation = SensorValidation(
            read_counts=Counter({each.name: each.reads for each in sources}),
            invalid_counts=Counter({each.name: each.invalid for each in sources}),
            cache_hits=Counter({each.name: each.cache_hits for each in sources}),
            cache_misses=Counter({each.name: each.cache_misses for each in sources}),
        )
        self.staleness = StaleDataDetector(
            clock,
            stale_after_s,
            stale_counts=Counter({each.name: each.stale for each in sources}),
        )

    def circuit(self, name: str, policy: BreakerPolicy) -> CircuitBreaker:
        """Make a circuit with the totals of its namesake in the run before."""
        totals = self._before.get(name, CircuitCounts(name))
        self.circuits[name] = CircuitBreaker(
            name,
            policy,
            self._clock,
            self._trial_timeout_s,
            total_failures=totals.failures,
            successes=totals.successes,
            rejected=totals.rejected,
            opened=totals.opened,
        )
        return self.circuits[name]

    @property
    def operations(self) -> int:
        """Guarded service calls so far: commands to the battery, messages, asking for a poll."""
        return sum(service.calls for service in self.services.values())

    def counts(self) -> Counts:
        """Return all totals. Storage may ask from a thread of its own: nothing is iterated live."""
        validation, staleness = self.validation, self.staleness
        return Counts(
            circuits=tuple(
                CircuitCounts(
                    each.name, each.total_failures, each.successes, each.rejected, each.opened
                )
                for each in tuple(self.circuits.values())
            ),
            services=tuple(
                ServiceCounts(name, **asdict(each)) for name, each in tuple(self.services.items())
            ),
            sources=tuple(
                SourceCounts(
                    name,
                    reads=validation.read_counts[name],
                    invalid=validation.invalid_counts[name],
                    stale=staleness.stale_counts[name],
                    cache_hits=validation.cache_hits[name],
                    cache_misses=validation.cache_misses[name],
                )
                for name in self._source_names()
            ),
        )

    def _source_names(self) -> list[str]:
        validation = self.validation
        counters = (validation.read_counts, validation.cache_hits, validation.cache_misses)
        return sorted({name for counter in counters for name in tuple(counter)})

    def report(self) -> Report:
        """Return everything as the statistics show it; rates in %, latencies in s."""
        counts = self.counts()
        retried = sum(each.retried for each in counts.services)
        hits = sum(each.cache_hits for each in counts.sources)
        misses = sum(each.cache_misses for each in counts.sources)
        return {
            "circuits": {
                each.name: {"state": self.circuits[each.name].state.value, **_totals(each)}
                for each in counts.circuits
            },
            "services": {each.name: _service(each) for each in counts.services},
            "sources": {each.name: _totals(each) for each in counts.sources},
            "retries": sum(each.retries for each in counts.services),
            "retry_success_rate": _rate(
                sum(each.retry_successes for each in counts.services), retried
            ),
            "cache_hits": hits,
            "cache_hit_rate": _rate(hits, hits + misses),
        }


def _totals(counts: CircuitCounts | SourceCounts) -> Report:
    return {key: total for key, total in asdict(counts).items() if key != "name"}


def _service(service: ServiceCounts) -> Report:
    mean_s = service.latency_total_s / service.calls if service.calls else 0.0
    return {
        "calls": service.calls,
        "successes": service.successes,
        "attempts": service.attempts,
        "retried": service.retried,
        "retry_success_rate": _rate(service.retry_successes, service.retried),
        "latency_mean_s": round(mean_s, 3),
        "latency_max_s": round(service.latency_max_s, 3),
    }


def _rate(part: int, whole: int) -> float | None:
    """Return a share in %, None of nothing."""
    return round(100 * part / whole, 1) if whole else None
