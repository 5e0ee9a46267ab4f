"""The record beside the simulated year: the product's own book, held against the plant's truth."""

from dataclasses import dataclass, field, replace
from datetime import datetime
import json

from custom_components.export_monitor.engine.state import (
    Answer,
    Answered,
    Command,
    Ended,
    Event,
    Phase,
    Raise,
    Reply,
    State,
)
from custom_components.export_monitor.inputs.rates import rate_at
from custom_components.export_monitor.ledger import Book, Day, Look, breached, ended, refused, take
from custom_components.export_monitor.ledger.pack import pack, unpack
from custom_components.export_monitor.models import ErrorState, Kind, Observation, Rates

from .house import EXPORT_STEP_KWH, PV_STEP_KWH, Counter
from .life import Life

LARGEST_BYTES = 5_000_000
"""What a year of the record may take."""
ROUNDING_KWH = 1e-4
"""Days that are put away are kept to a tenth of a watt hour."""


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

    def _carry_out(self, command: Command) -> None:
        super()._carry_out(command)
        match command:
            case Ended(session):
                self.book = ended(self.book, session, self._seen())
            case Reply(answer=Answer.REFUSED, blocker=blocker):
                self.book = refused(self.book, str(blocker), self.now)
            case Raise(error=ErrorState.OVER_EXPORT):
                running = self._state.phase is not Phase.IDLE
                discharging = running and self._state.kind is Kind.DISCHARGE
                book = take(self.book, self._seen())
                self.book, _ = breached(book, self.now, jumped=False, running=discharging)
            case _:
                pass

    def _seen(self) -> Look:
        return look_of(self._state, self._observation())

    @property
    def recorded(self) -> list[Day]:
        """All days of the book, the oldest first."""
        return [*(unpack(Day, text) for text in self.book.archive), *self.book.recent]


@dataclass(frozen=True, slots=True)
class Audit:
    """A record against the truth of its plant. Energies kWh."""

    days: int
    exported: tuple[float, float]
    """All days together: the plant's truth, and the record."""
    generated: tuple[float, float]
    worst_exported: float
    """How far a single day's export is from the truth at most."""
    worst_generated: float
    sessions: tuple[int, int]
    """That ended, and that are recorded."""
    unwatched_min: float
    size: int
    """Bytes of the file."""
    lifetime: bool

    @property
    def faults(self) -> tuple[str, ...]:
        """What is not as it has to be: each sum true to one step of its meter, and little space."""
        # A meter that begins anew at midnight shows what is short of a step on no day at all.
        steps = 1 if self.lifetime else self.days
        apart = (
            ("exported", self.exported, self.worst_exported, EXPORT_STEP_KWH),
            ("generated", self.generated, self.worst_generated, PV_STEP_KWH),
        )
        found = [
            f"{name}: {abs(true - kept):.3f} kWh apart in all, {worst:.3f} kWh on a day"
            for name, (true, kept), worst, step in apart
            if max(abs(true - kept) / steps, worst) > step + ROUNDING_KWH
        ]
        ran, kept = self.sessions
        if ran != kept:
            found.append(f"{ran} sessions ran, {kept} are recorded")
        if self.size * 365 / max(365, self.days) > LARGEST_BYTES:
            found.append(f"{self.size} bytes are too many")
        return tuple(found)

    def told(self, name: str) -> str:
        """Return a line for people."""
        (true, kept), (pv, seen) = self.exported, self.generated
        verdict = "; ".join(self.faults) or "as it has to be"
        return (
            f"Record of {name}: {self.days} days in {self.size / 1000:.0f} KB, "
            f"{self.sessions[1]} sessions; exported {kept:.3f} kWh of {true:.3f} kWh (worst day "
            f"{self.worst_exported:.3f} kWh apart), generated {seen:.3f} kWh of {pv:.3f} kWh "
            f"(worst day {self.worst_generated:.3f} kWh apart): {verdict}"
        )


def audit(life: Recorded) -> Audit:
    """Hold a life's record against its plant."""
    found = {day.date: day for day in life.recorded}
    nothing = Day("", life.span.start, 24)
    pairs = [
        (true, found.get(true.begin.astimezone(life.span.zone).date().isoformat(), nothing))
        for true in life.days
    ]
    sums = life.plant.sums
    return Audit(
        days=len(life.days),
        exported=(sums.exported, sum(day.exported for day in found.values())),
        generated=(sums.generated, sum(day.generated for day in found.values())),
        worst_exported=max(abs(true.exported - day.exported) for true, day in pairs),
        worst_generated=max(abs(true.generated - day.generated) for true, day in pairs),
        sessions=(len(life.ran), sum(len(day.sessions) for day in found.values())),
        unwatched_min=sum(day.unwatched_min for _, day in pairs),
        size=size_of(life.book),
        lifetime=life.lifetime,
    )


def size_of(book: Book) -> int:
    """Return how many bytes the file takes, with the room that its layout needs."""
    days = [*book.archive, *(pack(day) for day in book.recent)]
    return len(json.dumps({"marks": pack(book.marks), "days": days}, indent=4).encode())
