"""A source that is good to have: behind its own circuit, and from the cache while it is out."""

from collections.abc import Callable
from datetime import datetime

from ..error_handler import CircuitBreaker, SensorValidation

AGAIN_AFTER_S = 10.0  # a poll: in a session the sources are read every second


class OptionalSource[T]:
    """Serves the last good answer for as long as `lasts` allows.

    `look` returns what the source says, None where it says nothing; `lasts` is asked with the last
    good answer, for how many seconds it has been lost, and the present. `entity_id` None: it is
    not configured.
    """

    def __init__(
        self,
        entity_id: str | None,
        circuit: CircuitBreaker,
        validation: SensorValidation,
        look: Callable[[datetime], T | None],
        lasts: Callable[[T, float, datetime], bool],
    ) -> None:
        """Look at nothing yet."""
        self._entity_id = entity_id
        self._circuit = circuit
        self._validation = validation
        self._look = look
        self._lasts = lasts
        self._good: T | None = None
        self._found_once = False
        self._failed_at = -AGAIN_AFTER_S
        self._lost_at = 0.0  # monotonic: a wall clock that is set must not lengthen the cache
        self.lost: datetime | None = None
        """When the source was lost (UTC); None while it is live, or was never there."""

    def read(self, now: datetime) -> T | None:
        """Return the live answer, else the cached one; None where there is neither."""
        if self._entity_id is None:
            return None
        found = self._tried(now)
        if found is not None:
            self._good, self.lost = found, None
            return found
        if self.lost is None:
            self.lost, self._lost_at = now, self._circuit.clock()
        lost_s = self._circuit.clock() - self._lost_at
        if self._good is not None and not self._lasts(self._good, lost_s, now):
            self._good = None
        self._validation.count_outage(self._entity_id, cached=self._good is not None)
        return self._good

    def _tried(self, now: datetime) -> T | None:
        if self._circuit.clock() - self._failed_at < AGAIN_AFTER_S:
            return None
        permit = self._circuit.acquire()
        if permit is None:
            return None
        found = self._look(now)
        if found is not None:
            self._found_once = True
            permit.success()
            return found
        self._failed_at = self._circuit.clock()
        if self._found_once:
            permit.failure()
        else:  # at the start it merely is not there yet
            permit.release()
        return None
