"""What a run comes to: the invariants it broke, and what it adds to the table."""

from dataclasses import dataclass, field

from .schedule import FaultKind


@dataclass(frozen=True, slots=True)
class Violation:
    """One invariant broken."""

    invariant: int
    second: int
    what: str

    def __str__(self) -> str:
        return f"invariant {self.invariant} at {self.second} s: {self.what}"


@dataclass(slots=True)
class Tally:
    """What one run adds to the table."""

    reached_active: bool = False
    hits: set[tuple[FaultKind, str]] = field(default_factory=set)
    stops_due: int = 0
    stops_proven: int = 0
    proof_s: list[int] = field(default_factory=list)
    alarms: int = 0
    false_alarms: int = 0
    overshoot_kwh: float = 0.0
    """Export beyond the allowance at the decision to stop, faults included."""
    overshoot_well_kwh: float = 0.0
    """The same where no sensor lied and nobody was dead."""
    after_lease_s: float = 0.0
    """The longest export beyond the battery's own timer while commands were faulted (s)."""
    headroom_used: list[tuple[bool, float, float]] = field(default_factory=list)
    """With a grid sensor or without, granted and used (kWh), without faults."""
    session_error_kwh: list[float] = field(default_factory=list)
    """Sessions' energies less the plant's."""
    sums_judged: bool = False
    recovery_s: list[tuple[FaultKind, int]] = field(default_factory=list)
    """From a fault's end to Healthy, by the kind that ended last."""
    sessions: int = 0
    reasons: list[str] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    final_health: str = ""
    exported_kwh: float = 0.0
    alarmed: bool = False


class Verdict:
    """Gathers both; of each invariant only the first violation, which tells most."""

    def __init__(self) -> None:
        """Begin with nothing wrong."""
        self.tally = Tally()
        self.violations: list[Violation] = []
        self.second = 0

    def violate(self, invariant: int, what: str) -> None:
        """Note that an invariant is broken now."""
        if all(v.invariant != invariant for v in self.violations):
            self.violations.append(Violation(invariant, self.second, what))
