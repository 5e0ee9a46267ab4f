"""What a driver shows the judge, second by second."""

from dataclasses import dataclass
from datetime import datetime

from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import Decision, ErrorState, Session
from simulator.settings import Truth


@dataclass(frozen=True, slots=True)
class Look:
    """One second of a run; `truth` is the plant's, the rest is the integration's own word."""

    second: int
    utc: datetime
    truth: Truth
    alive: bool
    """The integration runs, so that somebody guards."""
    phase: Phase
    errors: frozenset[ErrorState]
    healthy: bool
    health: str
    session: Session | None
    last: Session | None
    decision: Decision | None
    counted_kwh: float
    """The period's export by the integration's accepted sums."""
