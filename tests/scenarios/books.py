"""The plant's own sums, by day and by session, against what the integration makes of them.

Invariants 5 (no sum counted twice or lost) and 7 (the headroom is used), and the size of an
overshoot, which is part of 1.
"""

from collections import deque
from datetime import date

from custom_components.export_monitor.engine.state import Phase, State
from custom_components.export_monitor.models import Basis, EndReason, Kind, Session

from .look import Look
from .schedule import (
    CALENDAR_KINDS,
    DOWN_KINDS,
    SENSOR_KINDS,
    ZONE,
    Fault,
    FaultKind,
    Schedule,
)
from .stage import INVERTER_W
from .verdict import Verdict

METER_STEP = 0.01
PV_STEP = 0.1
TICK_S = 60.0
HELD_BACK_S = 3 * TICK_S
TOLD_S = 125  # two ticks: the plant's own, and the poll of it; and some jitter
CUTOFF_BAND = 1.5
JOULES_PER_KWH = 3_600_000.0
# Page 1: 97 % with a grid sensor, 90 % without, measured on 1 kWh. What is lost is a meter's tick
# and the flow of a stop, whatever the headroom, so on less than 1 kWh the same loss is allowed.
SHARE_LOST = {True: 0.03, False: 0.10}
FULL_USE = frozenset({EndReason.HEADROOM_USED_UP, EndReason.OVER_EXPORT})
PLAUSIBLE_LIES = frozenset(
    {FaultKind.SENSOR_FROZEN, FaultKind.SENSOR_JUMPING, FaultKind.SENSOR_LATE}
)
# What an export counter may have shown that was never true.
INVENTED = frozenset({FaultKind.SENSOR_JUMPING, FaultKind.SENSOR_OUT_OF_RANGE})
# Page 1: a lease is at least one of the battery's steps, and a renewal writes another number.
LEAST_LEASE_S = 2 * 300.0
HANGING = frozenset({FaultKind.LINK_HANGS, FaultKind.SENSOR_SILENT})
SILENT_S = 12.0  # a power counts as silent after 10 s, and a look a second at either end
MEASURES = frozenset({"export", "grid", "battery", "pv"})
UNSEEN = frozenset({FaultKind.LINK_DOWN, FaultKind.LINK_HANGS, FaultKind.COUNTERS_FROZEN})
# From a fault's end to a meter's next tick that is told: 30 s for a link, and two ticks.
RESUMES_S = 30 + 2 * TICK_S


def _hides(fault: Fault) -> bool:
    """Whether a fault leaves the guard without a measure of what flows."""
    down = fault.kind in UNSEEN or fault.kind in DOWN_KINDS
    return down or (fault.kind in SENSOR_KINDS and fault.target in MEASURES)


class Books:
    """Watches the energies of one run."""

    def __init__(self, schedule: Schedule, verdict: Verdict) -> None:
        """Begin with nothing flown."""
        self._schedule = schedule
        self._settings = schedule.settings
        self._verdict = verdict
        self._last: Look | None = None
        self._day: date | None = None
        self._days: set[date] = set()
        self._exported: dict[date, float] = {}
        self._generated: dict[date, float] = {}
        self._lately: deque[float] = deque(maxlen=TOLD_S)
        self._dead_export = 0.0
        self._dead_pv = 0.0
        self._dead_s = 0
        self._frozen_export = 0.0
        self._resting_s = 0
        self._sessions: dict[str, float] = {}
        self._granted: dict[str, float] = {}
        self._switched: set[str] = set()
        """Sessions whose battery was told to begin."""
        self._ended: set[str] = set()
        self._storage_failed = False
        self._unwritten = False
        """Home Assistant went down after its storage had failed: what it forgot is nobody's."""
        self._kinds = {fault.kind for fault in schedule.faults}
        self._grid = "grid" not in self._settings.absent

    # Second by second

    def look(self, look: Look) -> None:
        """Add what a second has let flow."""
        today = look.utc.astimezone(ZONE).date()
        if self._last is None:
            self._generated[today] = self._settings.generated_before
        else:
            then = self._last.truth
            exported = look.truth.exported_kwh - then.exported_kwh
            generated = look.truth.generated_kwh - then.generated_kwh
            self._exported[today] = self._exported.get(today, 0.0) + exported
            self._generated[today] = self._generated.get(today, 0.0) + generated
            if look.session is not None and look.truth.grid_w >= 0:
                self._resting_s += 1
            if self._frozen(look.second):
                self._frozen_export += exported
            if not look.alive:
                self._dead_export += exported
                self._dead_pv += self._settings.pv_w / JOULES_PER_KWH
                self._dead_s += 1
        self._day, self._last = today, look
        self._lately.append(self._exported.get(today, 0.0))
        self._days.add(today)

    def storage_fails(self) -> None:
        """Note that what changes now may not be written."""
        self._storage_failed = True

    def died(self, look: Look, left_s: float) -> None:
        """Hold what is left on the battery's timer against the headroom; from now on none looks.

        Home Assistant will go on with what it has written.
        """
        over, flow_w = self._over(), -look.truth.grid_w
        if left_s and over is not None and flow_w > 0:
            headroom_s = max(0.0, -over) * JOULES_PER_KWH / flow_w
            if left_s > headroom_s + LEAST_LEASE_S:
                self._verdict.violate(
                    6, f"left with {left_s:.0f} s of discharge for {headroom_s:.0f} s of headroom"
                )
        self._unwritten = self._unwritten or self._storage_failed

    # Sessions

    def stepped(self, before: State, after: State) -> None:
        """Note a session's beginning, with what the truth grants it."""
        if before.session is None and after.session is not None and self._last is not None:
            self._sessions.setdefault(after.session.id, self._last.truth.exported_kwh)
            over = self._over()
            if over is not None:
                self._granted.setdefault(after.session.id, -over)
        if after.session is not None and (after.lease is not None or after.phase is Phase.ACTIVE):
            self._switched.add(after.session.id)

    def decided(self) -> None:
        """Measure the overshoot at the moment of the decision: what follows is invariants 1, 3."""
        over = self._over()
        if over is None:
            return
        tally = self._verdict.tally
        tally.overshoot_kwh = max(tally.overshoot_kwh, over)
        allowed = self._overshoot_allowed()
        if allowed <= METER_STEP:
            tally.overshoot_well_kwh = max(tally.overshoot_well_kwh, over)
        if over > allowed:
            self._verdict.violate(
                1, f"exported {over * 1000:.0f} Wh beyond the allowance before the stop"
            )

    def _over(self) -> float | None:
        """Return the export beyond the allowance (kWh), None where the truth has no figure."""
        if self._day is None:
            return None
        exported = self._exported.get(self._day, 0.0)
        match self._settings.basis:
            case Basis.FIXED:
                contract = self._settings.contract_kwh
            case Basis.GENERATED:
                contract = self._generated.get(self._day, 0.0)
            case _:
                return None
        return exported - max(0.0, contract - self._settings.margin_kwh)

    def _lies(self, target: str, kinds: frozenset[FaultKind] = PLAUSIBLE_LIES) -> bool:
        return any(f.target == target and f.kind in kinds for f in self._schedule.faults)

    def _frozen(self, second: int) -> bool:
        """Whether the export counter shows what it showed before."""
        return any(
            f.kind is FaultKind.SENSOR_FROZEN
            and f.target == "export"
            and f.at <= second < f.at + f.duration
            for f in self._schedule.faults
        )

    def _overshoot_allowed(self) -> float:
        """Return what faults may cost (kWh), with the physical reason of each."""
        # Nobody was there to decide; invariant 6 bounds it by the lease.
        allowed = METER_STEP + self._dead_export
        allowed += self._hidden()
        if self._settings.basis is Basis.GENERATED and self._lies("generation"):
            allowed += PV_STEP
        return allowed

    def _hidden(self) -> float:
        """Return what a power that is wrong but plausible hides (kWh).

        It shows only at the meter's next tick, which may be a tick old itself. Of the grid that
        hides all that flows; PV only its own part.
        """
        hidden_w = 0.0
        if self._grid and self._lies("grid"):
            hidden_w = max(0.0, INVERTER_W - self._settings.load_w)
        elif self._lies("pv"):
            hidden_w = self._settings.pv_w
        return 2 * TICK_S * hidden_w / JOULES_PER_KWH

    def ended(self, session: Session) -> None:
        """Hold a session's energy against the plant's."""
        # One whose end was not written before Home Assistant went down is proven again.
        if session.id in self._ended and not self._unwritten:
            self._verdict.violate(5, f"session {session.id} ended twice")
        self._ended.add(session.id)
        began = self._sessions.get(session.id)
        if began is None or self._last is None or session.kind is Kind.CHARGE:
            return
        true = self._last.truth.exported_kwh - began
        self._judge_energy(session, true)
        if not self._schedule.faults:
            self._judge_share(session, true)

    def _judge_energy(self, session: Session, true: float) -> None:
        """Invariant 5: a session's energy is the plant's, as well as the meters can tell.

        Too little is out by more than a meter's step only where a power lied or went silent; too
        much is what could have flowed while nothing told of it.
        """
        error = session.exported_kwh - true
        self._verdict.tally.session_error_kwh.append(error)
        if self._unwritten:
            return
        # A counter that gains more than the powers show may be as far behind as it has gained.
        if not -self._missed(session) <= error <= self._assumed() + 2 * self._invented(true):
            self._verdict.violate(
                5, f"a session's {session.exported_kwh:.3f} kWh were {true:.3f} kWh"
            )

    def _missed(self, session: Session) -> float:
        """Return the energy (kWh) that a session may have let out unnoticed."""
        missed = METER_STEP + self._hidden()
        faults = self._schedule.faults
        if any(f.kind in HANGING for f in faults):  # what it said last holds for so long
            missed += SILENT_S * INVERTER_W / JOULES_PER_KWH
        if self._dead_s:
            # A record knows what was commanded; what PV adds shows at a counter's second report.
            # With the clock set forward, too, a lease seems to have been over sooner.
            jumped = FaultKind.CLOCK_JUMP in self._kinds
            # And what is let out by another mode, while ours never began, is nobody's session.
            others = session.id not in self._switched
            missed += self._dead_export if jumped or others else self._dead_pv
        if self._kinds & CALENDAR_KINDS and not self._grid:
            # A reset hides what a frozen counter has not shown, and nothing else tells of it.
            missed += self._frozen_export
        return missed

    def _assumed(self) -> float:
        """Return the energy (kWh) that had to be assumed beyond what flowed."""
        unseen_s = self._dead_s + sum(
            f.duration + RESUMES_S for f in self._schedule.faults if _hides(f)
        )
        faults = self._schedule.faults
        if self._dead_s and any(f.kind is FaultKind.CLOCK_JUMP and f.value < 0 for f in faults):
            # With the clock set back nothing tells for how long nobody looked: a lease, at most.
            unseen_s += self._settings.lease_min * 60 + LEAST_LEASE_S
        if not self._grid:
            # A meter's tick may be a tick old, and one that rests because nothing flows may as well
            # be frozen: in a session nobody else tells.
            unseen_s += 2 * TICK_S + self._resting_s
        if self._kinds & CALENDAR_KINDS:
            # What a reset hides is filled by other evidence; the meter may tell a tick of it again.
            unseen_s += 2 * TICK_S
        return METER_STEP + unseen_s * INVERTER_W / JOULES_PER_KWH

    def _judge_share(self, session: Session, used: float) -> None:
        """Invariant 7: the share of headroom that page 1 asks for, by the plant's own figures."""
        granted = self._granted.get(session.id)
        if session.reason not in FULL_USE or granted is None or self._last is None:
            return
        if self._last.truth.soc <= self._settings.min_soc + CUTOFF_BAND:
            return  # the battery did not allow it: cutoffs come in steps, and cells have losses
        if self._settings.basis is Basis.FIXED:
            self._verdict.tally.headroom_used.append((self._grid, granted, used))
        # A meter's last step is nobody's before it shows.
        lost = METER_STEP + SHARE_LOST[self._grid] * max(1.0, granted - METER_STEP)
        if {"grid", "pv"} <= set(self._settings.absent):
            # Nothing tells that there is no sun, so its peak is assumed (page 1): by itself until
            # the first tick, on top of the battery for as long as a tick may be behind.
            before_w = INVERTER_W if granted < 1 else 0.0
            above_w = 2 * max(0.0, INVERTER_W - self._settings.target_w)
            lost += TICK_S * (before_w + above_w) / JOULES_PER_KWH
        if self._settings.basis is Basis.GENERATED:
            lost += PV_STEP  # a PV meter has not told the last of its steps yet
        if granted - used > lost:
            self._verdict.violate(7, f"used {used:.3f} of {granted:.3f} kWh")

    # The end

    def finish(self) -> None:
        """Invariant 5: every session that began has one end, and the sums are the plant's."""
        look = self._last
        if look is None:
            return
        self._verdict.tally.final_health = look.health
        self._verdict.tally.exported_kwh = look.truth.exported_kwh
        if self._unwritten:
            return
        running = look.session.id if look.session is not None else None
        for session_id in self._sessions:
            if session_id not in self._ended and session_id != running:
                self._verdict.violate(5, f"session {session_id} was lost")
        if self._day is None or not look.alive:
            return
        if FaultKind.CLOCK_JUMP in self._kinds and len(self._days) > 1:
            return  # which day it counts for is the wrong clock's word
        self._verdict.tally.sums_judged = True
        self._judge_sum(look, self._exported.get(self._day, 0.0))
        self._judge_generated(look, self._generated.get(self._day, 0.0))

    def _judge_generated(self, look: Look, true: float) -> None:
        """PV makes allowance: too much of it is over-export."""
        if look.decision is None or self._settings.basis is not Basis.GENERATED:
            return
        if self._lies("generation", INVENTED) or self._kinds & CALENDAR_KINDS:
            return  # plausible steps that never were; PV of before midnight told after it
        error = look.decision.generated - true
        if not -PV_STEP - 2 * TICK_S * self._settings.pv_w / JOULES_PER_KWH <= error <= METER_STEP:
            self._verdict.violate(5, f"{look.decision.generated:.2f} of {true:.2f} kWh generated")

    def _invented(self, true: float) -> float:
        """Return the export (kWh) that a counter may have told which never was.

        A jump that could have flowed is believed, once each time it comes. Its return looks like
        a reset, since when the whole reading has been exported anew (page 3: a fall counts as one
        after three readings). Too much is safe here, too little is not.
        """
        told = 0.0
        for fault in self._schedule.faults:
            if fault.target != "export" or fault.kind not in INVENTED:
                continue
            told += (2 + fault.duration // TICK_S) * fault.value * max(1.0, true) + true
            if fault.kind is FaultKind.SENSOR_OUT_OF_RANGE and self._believes_anything:
                told += 2 * HELD_BACK_S * INVERTER_W / JOULES_PER_KWH
        return told

    @property
    def _believes_anything(self) -> bool:
        """Whether the counter may show any figure (page 3), and nothing else tells what flowed.

        One that holds for three readings is a new beginning, and so is its return; what flowed
        meanwhile is the worst case.
        """
        return self._settings.lifetime_counters and not self._grid

    def _judge_sum(self, look: Look, true: float) -> None:
        """Hold the accepted steps against the plant: what has not ticked yet is not told yet."""
        told = self._lately[0]
        most = true + METER_STEP + self._invented(true)
        least = told - METER_STEP
        if self._kinds & CALENDAR_KINDS:
            # What flowed before midnight may be told after it, and the other way round.
            least -= 2 * TICK_S * INVERTER_W / JOULES_PER_KWH
            most += 2 * TICK_S * INVERTER_W / JOULES_PER_KWH
            if not self._grid:
                # What a reset hides is then filled by the worst case since the last step.
                hidden_s = (
                    self._resting_s
                    + max(self._settings.resets_s)
                    + sum(f.duration for f in self._schedule.faults if _hides(f))
                )
                most += hidden_s * INVERTER_W / JOULES_PER_KWH
            elif self._kinds & UNSEEN:
                # By the grid or by the worst case it fills the reset; the meter tells it again.
                unseen_s = sum(f.duration for f in self._schedule.faults if f.kind in UNSEEN)
                most += 2 * unseen_s * INVERTER_W / JOULES_PER_KWH
        if not least - 1e-6 <= look.counted_kwh <= most + 1e-6:
            self._verdict.violate(5, f"counted {look.counted_kwh:.3f} of {true:.3f} kWh")
