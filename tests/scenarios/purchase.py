"""What a charge takes from the grid, by the plant's own figures: no more, and no longer than asked.

Invariant 1, for a charge: it ends when its stop is due, and it never goes on beside a discharge.
"""

from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import Kind

from .look import Look
from .schedule import DOWN_KINDS, FaultKind, Schedule
from .verdict import Verdict

JOULES_PER_KWH = 3_600_000.0
LOOK_S = 2  # the guard looks once a second, and a moment may fall between two looks
# A power is counted as it was last told, for up to 10 s without a word.
SILENT_KWH = 12 * 5000.0 / JOULES_PER_KWH
BESIDE_S = 5
MEASURES = frozenset({"grid", "battery", "pv", "load"})
LIES = frozenset(
    {
        FaultKind.SENSOR_FROZEN,
        FaultKind.SENSOR_JUMPING,
        FaultKind.SENSOR_LATE,
        FaultKind.SENSOR_OUT_OF_RANGE,
    }
)


class Purchase:
    """Watches the charges of one run."""

    def __init__(self, schedule: Schedule, verdict: Verdict) -> None:
        """Begin with nothing bought."""
        self._schedule = schedule
        self._verdict = verdict
        self._session: str | None = None
        self._began = 0
        self._bought = 0.0
        self._beside_s = 0
        kinds = {fault.kind for fault in schedule.faults}
        self._lied_to = any(f.kind in LIES and f.target in MEASURES for f in schedule.faults)
        # A clock that was set while nobody was there says nothing of how long that was.
        self._lost_time = FaultKind.CLOCK_JUMP in kinds and not kinds.isdisjoint(DOWN_KINDS)

    def look(self, look: Look) -> None:
        """Judge one second of a charge that nobody has ended yet."""
        session = look.session
        if session is None or session.kind is not Kind.CHARGE:
            return
        if session.id != self._session:
            self._session, self._began, self._bought = session.id, look.second, 0.0
        truth = look.truth
        drawn_w = min(max(0.0, -truth.battery_w), max(0.0, truth.grid_w))
        if look.alive:  # what is bought with nobody there the lease bounds, invariant 6
            self._bought += drawn_w / JOULES_PER_KWH
        if not look.alive or look.phase not in (Phase.STARTING, Phase.ACTIVE):
            self._beside_s = 0
            return
        self._judge_amount()
        self._judge_time(look.second)
        self._judge_other(look)

    def _judge_amount(self) -> None:
        limit = self._schedule.energy_kwh
        if limit is not None and not self._lied_to and self._bought > limit + SILENT_KWH:
            self._verdict.violate(1, f"bought {self._bought:.3f} of {limit:.3f} kWh")

    def _judge_time(self, second: int) -> None:
        minutes = self._schedule.duration_min
        if minutes is None or self._lost_time:
            return
        late = second - self._began - minutes * 60
        if late > LOOK_S:
            self._verdict.violate(1, f"charges {late:.0f} s longer than asked")

    def _judge_other(self, look: Look) -> None:
        discharges = look.phase is Phase.ACTIVE and look.truth.dispatch_power_w > 0
        self._beside_s = self._beside_s + 1 if discharges else 0
        if self._beside_s > BESIDE_S:
            self._verdict.violate(1, f"charges beside a discharge for {self._beside_s} s")
