"""The simulated house of `simulation/`, with a book kept beside the engine."""

from dataclasses import dataclass, field, replace
from datetime import date, datetime

from custom_components.export_monitor.engine.state import (
    Answer,
    Answered,
    Ended,
    Event,
    Phase,
    Raise,
    Reply,
    State,
)
from custom_components.export_monitor.inputs.rates import rate_at
from custom_components.export_monitor.ledger import Book, Day, Look, breached, ended, refused, take
from custom_components.export_monitor.ledger.pack import unpack
from custom_components.export_monitor.models import ErrorState, Kind, Observation, Rates
from simulation.ahead import Prospect
from simulation.forecasts import Forecaster
from simulation.house import EXPORT_STEP_KWH, PV_STEP_KWH, Counter
from simulation.life import Life
from simulation.year import Job


def look_of(state: State, observation: Observation) -> Look:
    """Return what the record sees, as `compliance` makes it in Home Assistant."""
    readings, now = observation.readings, observation.now.utc
    grid = readings.grid_power
    return Look(
        now=now,
        settings=observation.settings,
        meter=state.meter,
        generation=state.generation,
        decision=state.decision if state.watch.incomplete is None else None,
        session=state.session,
        last=state.last,
        export_w=None if grid is None or grid.value is None else -grid.value,
        carbon=_now(readings.carbon, now),
        export_price=_now(readings.export_price, now),
        import_price=_now(readings.import_price, now),
    )


def _now(rates: Rates | None, moment: datetime) -> float | None:
    found = None if rates is None else rate_at(rates.slots, moment)
    return None if found is None else found.value


class Lifetime(Counter):
    """A counter that midnight does not touch."""

    def reset(self, truth: float) -> None:
        """Count on."""


@dataclass
class Recorded(Life):
    """A life in which every step is written down."""

    book: Book = field(default_factory=Book)
    lifetime: bool = False
    """The meters count on for ever, as those do that a contract is judged by."""

    def __post_init__(self) -> None:
        """Choose the meters."""
        super().__post_init__()
        if self.lifetime:
            self.settings = replace(
                self.settings, daily_export_counter=False, daily_pv_counters=(False,)
            )
            self._export, self._pv = Lifetime(EXPORT_STEP_KWH), Lifetime(PV_STEP_KWH)

    def _take(self, event: Event) -> None:
        super()._take(event)
        if not isinstance(event, Answered):
            self.book = take(self.book, look_of(self._state, event.observation))

    def _carry_out(self, command: object) -> None:  # type: ignore[override]
        super()._carry_out(command)  # type: ignore[arg-type]
        observation = self._observation()
        match command:
            case Ended(session):
                self.book = ended(self.book, session, look_of(self._state, observation))
            case Reply(answer=Answer.REFUSED, blocker=blocker):
                self.book = refused(self.book, str(blocker), observation.now.utc)
            case Raise(error=ErrorState.OVER_EXPORT):
                self.book = take(self.book, look_of(self._state, observation))
                running = self._state.phase is not Phase.IDLE
                discharging = running and self._state.kind is Kind.DISCHARGE
                self.book, _ = breached(
                    self.book, observation.now.utc, jumped=False, running=discharging
                )
            case _:
                pass

    @property
    def recorded(self) -> list[Day]:
        """All days of the book, the oldest first."""
        return [*(unpack(Day, text) for text in self.book.archive), *self.book.recent]


def recorded(job: Job, *, lifetime: bool = False) -> Recorded:
    """Run a job's days with a book."""
    days = job.span()
    forecaster = Forecaster.of(days, job.seed, perfect=job.choices.perfect)
    prospect = Prospect(days, job.house, job.choices, forecaster)
    life = Recorded(days, job.house, job.choices, prospect, lifetime=lifetime)
    life.run()
    return life


FIRST = date(2025, 6, 10)
