"""What one look at the house shows, for the machine that decides and for those who show it."""

from collections.abc import Callable
import logging

from .battery import Battery
from .culprit import culprit
from .degraded import degraded
from .engine.accounting import required
from .engine.state import State
from .error_handler import BreakerState, CircuitBreaker, Problem, StaleDataDetector
from .inputs.sources import Sources
from .models import Degraded, ErrorState, Instant, Observation, Readings, Settings
from .planning import PlanSettings

_LOGGER = logging.getLogger(__name__)


class Lookout:
    """The eyes of one entry: the sources, and how much their silence and failures tell."""

    def __init__(
        self,
        sources: Sources,
        battery: Battery,
        update_circuit: CircuitBreaker,
        battery_circuit: CircuitBreaker,
        staleness: StaleDataDetector,
        settings: Callable[[], Settings],
    ) -> None:
        """Look at nothing yet."""
        self.sources = sources
        self.battery = battery
        self.readings: Readings | None = None  # of the last look
        self._update_circuit = update_circuit
        self._battery_circuit = battery_circuit
        self._staleness = staleness
        self._settings = settings
        self._blinded = False

    def observe(self, now: Instant) -> Observation:
        """Look at everything; what cannot be read is nothing, and never an exception."""
        self.readings = self._read()
        settings = self.battery.fitted(self._settings())
        return Observation(
            now=now,
            readings=self.readings,
            settings=settings,
            battery_circuit_open=self._battery_circuit.state is BreakerState.OPEN,
            update_circuit_open=self._update_circuit.state is BreakerState.OPEN,
            data_stale=self.age() is not None and self._staleness.is_stale(),
        )

    def _read(self) -> Readings:
        """Return what the sources say, nothing where they fail: a stop has to be followed still."""
        try:
            readings = self.sources.read()
        except Exception:  # whatever it was, it must not take the guard along
            if not self._blinded:
                _LOGGER.exception("The sources cannot be read; the worst case is assumed")
            self._blinded = True
            return self.sources.nothing()
        self._blinded = False
        return readings

    def age(self) -> float | None:
        """Return for how many seconds required data has not been complete; None before it was."""
        return self._staleness.age()

    @property
    def awaiting_reports(self) -> bool:
        """Whether nothing but second reports after start-up is missing: no fault of anybody."""
        if self.readings is None:
            return False
        problems = {
            reading.problem
            for reading in required(self.readings, self._settings())
            if not reading.usable
        }
        return problems == {Problem.AWAITING_REPORT}

    def degraded(self, state: State, plan: PlanSettings) -> tuple[Degraded, ...]:
        """Return what works worse than it could at the last look."""
        if self.readings is None:
            return ()
        return degraded(self.sources, self.readings, state, self._settings(), plan)

    def faulty(self) -> tuple[str, str] | None:
        """Return the first required entity that could not be read at the last look, and why."""
        if self.readings is None:
            return None
        return self.sources.faulty(self.readings, self._settings())

    def distrusted(self, state: State) -> tuple[str, str] | None:
        """Return the first required counter that reads well but cannot be right, and why."""
        return self.sources.distrusted(state, self._settings())

    def culprit(self, error: ErrorState, state: State) -> tuple[str | None, str]:
        """Return the entity that an error is about, None where there is none, and its problem."""
        return culprit(error, self.battery, self.sources, self.readings, state, self._settings())
