"""Sums runs up into the table that the evidence shows."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

from .campaign import Outcome
from .schedule import FaultKind, Schedule

PHASES = ("start", "active", "stop")
LEAST_REACHING_ACTIVE = 0.8


@dataclass(slots=True)
class Summary:
    """What came of many schedules."""

    schedules: int = 0
    simulated_s: int = 0
    faultless: int = 0
    reached_active: int = 0
    hits: Counter[tuple[FaultKind, str]] = field(default_factory=Counter)
    injected: Counter[FaultKind] = field(default_factory=Counter)
    stops_due: int = 0
    stops_proven: int = 0
    proof_s: list[int] = field(default_factory=list)
    alarms: int = 0
    false_alarms: int = 0
    overshoot_kwh: float = 0.0
    overshoot_seed: int = 0
    overshoot_well_kwh: float = 0.0
    after_lease_s: float = 0.0
    headroom_used: list[tuple[bool, float, float]] = field(default_factory=list)
    session_error_kwh: list[float] = field(default_factory=list)
    sums_judged: int = 0
    recovery_s: list[tuple[FaultKind, int]] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)
    broken: Counter[int] = field(default_factory=Counter)
    failing: list[Schedule] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Add one run."""
        tally, schedule = outcome.tally, outcome.schedule
        self.schedules += 1
        self.simulated_s += schedule.total
        self.faultless += not schedule.faults
        self.reached_active += tally.reached_active
        self.hits.update(tally.hits)
        self.injected.update(fault.kind for fault in schedule.faults)
        self.stops_due += tally.stops_due
        self.stops_proven += tally.stops_proven
        self.proof_s.extend(tally.proof_s)
        self.alarms += tally.alarms
        self.false_alarms += tally.false_alarms
        if tally.overshoot_kwh > self.overshoot_kwh:
            self.overshoot_kwh, self.overshoot_seed = tally.overshoot_kwh, schedule.seed
        self.overshoot_well_kwh = max(self.overshoot_well_kwh, tally.overshoot_well_kwh)
        self.after_lease_s = max(self.after_lease_s, tally.after_lease_s)
        self.headroom_used.extend(tally.headroom_used)
        self.session_error_kwh.extend(tally.session_error_kwh)
        self.sums_judged += tally.sums_judged
        self.recovery_s.extend(tally.recovery_s)
        self.reasons.update(tally.reasons)
        if outcome.violations:
            self.broken.update({violation.invariant for violation in outcome.violations})
            self.failing.append(schedule)

    @property
    def unhit(self) -> list[tuple[FaultKind, str]]:
        """Faults and phases that never met: a campaign with any of them proves too little."""
        return [(kind, at) for kind in FaultKind for at in PHASES if not self.hits[kind, at]]

    @property
    def share_reaching_active(self) -> float:
        """How many of the schedules had a discharge to break."""
        return self.reached_active / self.schedules if self.schedules else 0.0

    def table(self) -> str:
        """Return all of it as text."""
        rows = [
            ("schedules", f"{self.schedules}, of which without faults {self.faultless}"),
            ("simulated", f"{self.simulated_s / 3600:.0f} h"),
            ("reached Active", f"{self.share_reaching_active:.1%}"),
            ("stops due / proven", f"{self.stops_due} / {self.stops_proven}"),
            ("time to proof", _times(self.proof_s)),
            ("alarms / false alarms", f"{self.alarms} / {self.false_alarms}"),
            (
                "worst overshoot at a decision",
                (
                    f"{self.overshoot_kwh * 1000:.0f} Wh (seed {self.overshoot_seed}); "
                    f"{self.overshoot_well_kwh * 1000:.0f} Wh where no power or PV counter lied "
                    "and nobody was dead"
                ),
            ),
            (
                "export after the battery's own timer",
                f"{self.after_lease_s:.0f} s at most, commands faulted or not",
            ),
            *self._shares(),
            ("sessions' energy less the plant's", _errors(self.session_error_kwh)),
            ("day's sums held against the plant", str(self.sums_judged)),
            ("recoveries", f"{len(self.recovery_s)}, {_times([s for _, s in self.recovery_s])}"),
            ("ends", ", ".join(f"{r} {n}" for r, n in self.reasons.most_common())),
            *(
                (f"violations of invariant {number}", str(self.broken[number]))
                for number in range(1, 8)
            ),
        ]
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        lines.append("")
        lines.append(f"{'fault':<28}{'injected':>9}" + "".join(f"{phase:>8}" for phase in PHASES))
        for kind in FaultKind:
            hits = "".join(f"{self.hits[kind, phase]:>8}" for phase in PHASES)
            lines.append(f"{kind.value:<28}{self.injected[kind]:>9}{hits}")
        return "\n".join(lines)

    def _shares(self) -> list[tuple[str, str]]:
        """Return what was used of headroom without faults: as shares of 1 kWh and more, else Wh."""
        rows = []
        for grid, name in ((True, "with"), (False, "without")):
            used = [(granted, used) for g, granted, used in self.headroom_used if g is grid]
            shares = [used / granted for granted, used in used if granted >= 1]
            lost = [1000 * (granted - used) for granted, used in used if granted < 1]
            whole = "none"
            if shares:
                whole = f"median {median(shares):.1%}, least {min(shares):.1%} of {len(shares)}"
            less = f"at most {max(lost):.0f} Wh lost in {len(lost)}" if lost else "none"
            rows += [
                (f"1 kWh and more used, {name} grid sensor", whole),
                (f"less than 1 kWh, {name} grid sensor", less),
            ]
        return rows


def _errors(errors: list[float]) -> str:
    if not errors:
        return "none"
    wh = [1000 * error for error in errors]
    return f"median {median(wh):+.0f} Wh, {min(wh):+.0f} to {max(wh):+.0f} Wh of {len(wh)}"


def _times(seconds: list[int]) -> str:
    if not seconds:
        return "none"
    return f"median {median(seconds):.0f} s, longest {max(seconds)} s"
