"""One step in the making: the state so far and the commands so far."""

from dataclasses import dataclass, field, replace

from ..models import ErrorState, Instant, Observation
from .state import Clear, Command, Lease, Raise, Renewal, State, Write, WriteKind


@dataclass(slots=True)
class Turn:
    """Gathers the outcome of one event; lives only inside `step`."""

    state: State
    now: Instant
    observation: Observation | None = None
    commands: list[Command] = field(default_factory=list)

    def write(self, kind: WriteKind, value: float = 0.0) -> int:
        """Ask for a write under the present epoch; return its id."""
        number = self.state.sequence + 1
        self.state = replace(self.state, sequence=number)
        self.commands.append(Write(number, self.state.epoch, kind, value, self.state.kind))
        return number

    def renew(self, lease: Lease, minutes: float) -> None:
        """Ask for the battery's own timer to be armed anew."""
        number = self.write(WriteKind.DURATION, minutes)
        renewal = Renewal(number, minutes, self.now)
        self.state = replace(self.state, lease=replace(lease, renewal=renewal))

    def raise_error(self, error: ErrorState, detail: str = "", *, again: bool = False) -> None:
        """Raise an error; one that stands already only where it has happened `again`."""
        if again or error not in self.state.faults:
            self.state = replace(self.state, faults=self.state.faults | {error})
            self.commands.append(Raise(error, detail))

    def clear_error(self, *errors: ErrorState) -> None:
        """Clear those of the errors that stand."""
        for error in errors:
            if error in self.state.faults:
                self.state = replace(self.state, faults=self.state.faults - {error})
                self.commands.append(Clear(error))
