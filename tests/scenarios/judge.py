"""The seven invariants of specification page 3, judged second by second against the plant.

What the integration believes is evidence of nothing here; only its alarms, its phase and its word
for healthy are taken from it, because those are what is judged.
"""

from collections.abc import Callable

from homeassistant.core import State as EntityState

from custom_components.export_monitor.engine.state import Answer, Phase, Reply, State
from custom_components.export_monitor.models import Basis, ErrorState, Kind, Session
from simulator.settings import Truth

from .books import Books
from .bounds import (
    AGAIN_S,
    ALARM_S,
    BOOT_SHOWS_S,
    CONFIRMED_S,
    HEALTHY_S,
    HEARD_S,
    LASTING,
    LEASE_SLACK_S,
    LINK_KINDS,
    NOTICED_S,
    OBEYED_S,
    SITE_S,
    STALE_S,
    TICK_S,
    UNDER_WAY_S,
    UNHEARD_S,
    shows_s,
)
from .look import Look
from .purchase import Purchase
from .schedule import COMMAND_KINDS, DOWN_KINDS, Fault, FaultKind, Schedule
from .stage import Stage, entity_of, others_of
from .verdict import Tally, Verdict, Violation

EXPORTING_W = 50.0
STEP_MIN = 5.0
NEVER = -1000
ALARMS = frozenset({ErrorState.STOP_FAILED, ErrorState.CHARGE_STOP_FAILED})
REFUSALS = frozenset(
    {
        ErrorState.STALE_DATA,
        ErrorState.NO_DATA,
        ErrorState.SOC_READ_FAILED,
        ErrorState.MODE_CONFLICT,
    }
)


class Judge:
    """Watches one run."""

    def __init__(self, schedule: Schedule) -> None:
        """Expect nothing yet."""
        self.schedule = schedule
        self.settings = schedule.settings
        self._verdict = Verdict()
        self._books = Books(schedule, self._verdict)
        self._purchase = Purchase(schedule, self._verdict)
        self._faultless = not schedule.faults
        self._charges = self.settings.kind is Kind.CHARGE
        self._standing: tuple[Fault, ...] = ()
        self._due_since: int | None = None
        self._ends_by: float | None = None
        self._stopping_since: int | None = None
        self._loose_since: int | None = None
        self._over_site_s = 0
        self._commands_faulted_until = NEVER
        self._link_faulted_until = NEVER
        self._user_meddled = NEVER
        self._last_fault_until = -1
        self._last_kind = FaultKind.KILL
        self._healthy_from: int | None = None
        self._confirmed_by = NEVER
        self._died_at: int | None = None
        self._starting_asked = False
        # Page 1: without any sensor of the battery the switch's own word is the proof, and what
        # a lost command leaves behind cannot be known.
        self._tells = not {"dispatch", "battery"} <= set(self.settings.absent)

    @property
    def tally(self) -> Tally:
        """What the run adds to the table."""
        return self._verdict.tally

    @property
    def violations(self) -> list[Violation]:
        """The first violation of each invariant that is broken."""
        return self._verdict.violations

    # What the drivers tell

    def faults(self, begun: list[Fault], standing: list[Fault], phase: Phase) -> None:
        """Note what breaks, and in which phase."""
        self._standing = tuple(standing)
        if any(fault.kind is FaultKind.STORAGE_FAILS for fault in begun):
            self._books.storage_fails()
        name = _phase_name(phase)
        for fault in standing:
            if name is not None:
                self.tally.hits.add((fault.kind, name))
            if self._starting_asked:
                self.tally.hits.add((fault.kind, "start"))
        self._starting_asked = False

    def start_requested(self) -> None:
        """Note that the user wants a discharge."""
        self._starting_asked = True
        for fault in self._standing:
            self.tally.hits.add((fault.kind, "start"))

    def stop_requested(self, second: int) -> None:
        """Note that the user wants it to end: from now on a stop is due."""
        if self._due_since is None:
            self._due_since = second

    def stepped(self, before: State, after: State) -> None:
        """Note what the machine has made of an event."""
        if before.session is not after.session:
            self._books.stepped(before, after)
        if before.phase is after.phase:
            return
        name = _phase_name(after.phase)
        if name is not None:
            for fault in self._standing:
                self.tally.hits.add((fault.kind, name))
        if after.phase is Phase.ACTIVE:
            self.tally.reached_active = True
            self.tally.sessions += 1
        if before.phase is Phase.ACTIVE and before.kind is Kind.DISCHARGE:
            self._books.decided()
        if after.phase is Phase.STOPPING:
            self.tally.stops_due += 1

    def replied(self, reply: Reply) -> None:
        """Note the answer to a request."""
        if reply.answer is Answer.REFUSED:
            self.tally.refusals.append(str(reply.blocker))

    def raised(self, error: ErrorState) -> None:
        """Note an alarm or a lesser error."""
        if error in ALARMS:
            self.tally.alarms += 1
            self.tally.alarmed = True
        if self._faultless and error not in REFUSALS:
            self.tally.false_alarms += 1
            self._verdict.violate(7, f"{error} was raised although nothing is wrong")

    def ended(self, session: Session) -> None:
        """Note a proven end."""
        self.tally.stops_proven += 1
        self.tally.reasons.append("" if session.reason is None else session.reason.value)
        self._books.ended(session)

    def switched_on(self, state_of: Callable[[str], EntityState | None], stage: Stage) -> None:
        """Judge a switch-on by what the sensors show and by the modes that are really on."""
        needed = ["soc"] if self._charges else ["soc", "export"]
        if self.settings.basis is not Basis.FIXED and not self._charges:
            needed.append("generation")
        for role in needed:
            state = state_of(entity_of(self.settings, role))
            if state is None or not _plausible(state.state, role):
                shown = "nothing" if state is None else state.state
                self._verdict.violate(2, f"switched on while {role} shows {shown}")
        newest = max(
            (
                state.last_reported
                for role in ("soc", "export", "generation", "grid", "battery", "dispatch", "load")
                if (state := state_of(entity_of(self.settings, role))) is not None
            ),
            default=None,
        )
        jumped = any(f.kind is FaultKind.CLOCK_JUMP for f in self.schedule.faults)
        if newest is not None and not jumped:
            silent_s = (stage.utc - newest).total_seconds()
            if silent_s > STALE_S:
                self._verdict.violate(2, f"switched on after {silent_s:.0f} s without a report")
        others = [mode for mode in others_of(self.settings) if stage.mode_on(mode)]
        if others:
            self._verdict.violate(2, f"switched on over {others[0]}")

    def died(self, look: Look) -> None:
        """Note that nobody guards from now on."""
        self._died_at = look.second
        self._stopping_since = None
        left_s = (look.truth.dispatch_remaining_s or 0.0) if self._ours(look.truth) else 0.0
        meddled = self._user_meddled > NEVER  # how long somebody lets it run is their affair
        self._books.died(look, 0.0 if meddled else left_s)
        if left_s > self._longest_lease_s:
            self._verdict.violate(6, f"left with {left_s:.0f} s of discharge to go")

    # Every second

    def look(self, look: Look) -> None:
        """Judge one second."""
        self._verdict.second = look.second
        self._books.look(look)
        self._purchase.look(look)
        self._note_faults(look.second)
        self._judge_lease(look)
        if look.alive:
            if self._died_at is not None:
                self._note_until(look.second + self._boot_shows_s(look.second), FaultKind.KILL)
            self._died_at = None
            self._judge_deadline(look)
            self._judge_export(look)
            self._judge_site(look)
            self._judge_health(look)
        else:
            self._due_since = self._ends_by = None

    def _note_faults(self, second: int) -> None:
        for fault in self._standing:
            shows = shows_s(fault)
            if fault.kind is FaultKind.LINK_DOWN and second < self._confirmed_by:
                shows += TICK_S + BOOT_SHOWS_S  # what a start waits for has to come twice
            self._note_until(second + shows, fault.kind)
            if fault.kind in COMMAND_KINDS:
                self._commands_faulted_until = second
            if fault.kind in LINK_KINDS or fault.kind in DOWN_KINDS:
                self._link_faulted_until = second
            if fault.kind in (FaultKind.USER_SWITCHES_ON, FaultKind.OTHER_MODE):
                self._user_meddled = second

    def _boot_shows_s(self, second: int) -> int:
        """Return how long a start shows; one before the link is read again has a tick to wait."""
        lost = any(
            f.kind is FaultKind.LINK_DOWN and f.at <= second < f.until + HEARD_S
            for f in self.schedule.faults
        )
        self._confirmed_by = second + CONFIRMED_S + (TICK_S if lost else 0)
        return BOOT_SHOWS_S + (TICK_S if lost else 0)

    def _note_until(self, until: int, kind: FaultKind) -> None:
        if until >= self._last_fault_until:
            self._last_fault_until, self._last_kind = until, kind

    def _judge_lease(self, look: Look) -> None:
        """Invariant 6: without a guard the battery's own timer ends it, and never later."""
        if look.alive or self._died_at is None:
            return
        alone_s = look.second - self._died_at
        if self._ours(look.truth) and alone_s > self._longest_lease_s:
            self._verdict.violate(6, f"still discharging {alone_s} s after the guard")

    @property
    def _longest_lease_s(self) -> float:
        """A renewal must write another number, so it alternates with one step more or less."""
        return (self.settings.lease_min + STEP_MIN) * 60

    def _judge_deadline(self, look: Look) -> None:
        """Invariant 3: proven in time, or the alarm stands."""
        if look.phase is not Phase.STOPPING:
            if self._stopping_since is not None:
                self.tally.proof_s.append(look.second - self._stopping_since)
            self._stopping_since = None
            return
        if self._stopping_since is None:
            self._stopping_since = look.second
        waited = look.second - self._stopping_since
        if waited > ALARM_S and ALARMS.isdisjoint(look.errors):
            self._verdict.violate(3, f"unproven for {waited} s and no alarm")

    def _judge_export(self, look: Look) -> None:
        """Invariant 1: nothing goes out deliberately once a stop is due."""
        self._note_due(look)
        self._judge_timer(look)
        if look.phase is Phase.IDLE and self._exports(look.truth):
            self._judge_loose(look)
            return
        self._loose_since = None
        if look.phase is not Phase.STOPPING or self._due_since is None:
            return
        late = look.second - self._due_since
        if not self._exports(look.truth) or late <= OBEYED_S:
            return
        if look.second - self._user_meddled <= OBEYED_S:
            return  # somebody has switched it on once more
        if look.second - self._commands_faulted_until > AGAIN_S:
            self._verdict.violate(1, f"exports {late} s after a stop was due")

    def _note_due(self, look: Look) -> None:
        if look.phase is Phase.STOPPING:
            # What came back after its proof is due when it is noticed, and `_judge_loose` says when
            # that must be.
            if self._due_since is None or self._loose_since is not None:
                self._due_since = look.second
        elif look.phase is Phase.IDLE:
            if not self._ours(look.truth):
                self._due_since = None
        elif self._charges and look.session is not None and look.session.kind is Kind.DISCHARGE:
            self._due_since = None  # somebody's own, adopted
        elif self._due_since is not None and look.second - self._due_since > UNHEARD_S:
            self._verdict.violate(1, f"a stop due at {self._due_since} s was not begun")
            self._due_since = None

    def _judge_timer(self, look: Look) -> None:
        """Whatever fails, it ends with the timer that the battery had when the stop was due.

        Nothing that the integration does afterwards may set that timer anew.
        """
        if self._due_since is None:
            self._ends_by = None
            return
        due_for = look.second - self._due_since
        left_s = look.truth.dispatch_remaining_s
        meddled = look.second - self._user_meddled <= due_for + UNDER_WAY_S
        if left_s is not None and (due_for <= UNDER_WAY_S or meddled):
            ends_by = look.second + left_s
            self._ends_by = max(ends_by, self._ends_by or ends_by)
        if self._ends_by is None or not self._exports(look.truth):
            return
        beyond = look.second - self._ends_by
        self.tally.after_lease_s = max(self.tally.after_lease_s, beyond)
        if beyond > LEASE_SLACK_S:
            self._verdict.violate(1, f"exports {beyond:.0f} s beyond the battery's timer")

    def _judge_site(self, look: Look) -> None:
        """Page 1: with a grid sensor never above the site's limit, but while the power follows."""
        limit, session = self.settings.site_limit_w, look.session
        followed = (
            limit > 0
            and look.phase is Phase.ACTIVE
            and session is not None
            and session.target_w is not None
            and not {"grid", "battery"} & set(self.settings.absent)
            and look.second - self._last_fault_until > CONFIRMED_S
            and not self._standing
        )
        over = followed and -look.truth.grid_w > limit
        self._over_site_s = self._over_site_s + 1 if over else 0
        if self._over_site_s > SITE_S:
            self._verdict.violate(1, f"above the site's limit for {self._over_site_s} s")

    def _judge_loose(self, look: Look) -> None:
        """Nobody follows a discharge: it was not proven to be over, or has come back."""
        if self._loose_since is None:
            self._loose_since = look.second
        faulted_until = max(
            self._commands_faulted_until + OBEYED_S, self._link_faulted_until + OBEYED_S + HEARD_S
        )
        unnoticed = look.second - max(self._loose_since, faulted_until)
        if self._tells and unnoticed > NOTICED_S["dispatch" not in self.settings.absent]:
            self._verdict.violate(1, "discharges and nobody follows it")

    def _judge_health(self, look: Look) -> None:
        """Invariant 4: healthy again two minutes after the last fault, by itself."""
        if self._standing or not self.schedule.faults:
            self._healthy_from = None
            return
        lasting = LASTING | ALARMS if self._stops_slowly(look) else LASTING
        well = look.healthy or (look.health == "Error" and look.errors <= lasting)
        if well and self._healthy_from is None and self._last_fault_until >= 0:
            self._healthy_from = look.second
            took = max(0, look.second - self._last_fault_until)
            self.tally.recovery_s.append((self._last_kind, took))
        if not well:
            self._healthy_from = None
        if look.second - self._last_fault_until > HEALTHY_S and not well and self._all_over(look):
            self._verdict.violate(
                4, f"{look.health} {sorted(look.errors)} two minutes after all faults"
            )

    def _stops_slowly(self, look: Look) -> bool:
        """Whether a stop is late only by the time that services, reset and polls take here."""
        since = self._stopping_since
        slow_s = ALARM_S + self.settings.service_s + self.settings.reset_s
        return since is not None and look.second - since <= slow_s

    def _all_over(self, look: Look) -> bool:
        return all(fault.until <= look.second for fault in self.schedule.faults)

    def _ours(self, truth: Truth) -> bool:
        power = -truth.dispatch_power_w if self._charges else truth.dispatch_power_w
        return truth.dispatch_active and power > 0 and not self._other_mode()

    def _other_mode(self) -> bool:
        return any(f.kind is FaultKind.OTHER_MODE for f in self._standing)

    def _exports(self, truth: Truth) -> bool:
        """Whether what was asked for goes on: into the grid, or in a charge out of it."""
        way = -1 if self._charges else 1
        flows = way * truth.grid_w < -EXPORTING_W and way * truth.battery_w > EXPORTING_W
        return self._ours(truth) and flows

    def finish(self) -> None:
        """Judge what only the whole run tells."""
        self._books.finish()


def _phase_name(phase: Phase) -> str | None:
    return {Phase.STARTING: "start", Phase.ACTIVE: "active", Phase.STOPPING: "stop"}.get(phase)


def _plausible(shown: str, role: str) -> bool:
    try:
        value = float(shown)
    except ValueError:
        return False
    return 0 <= value <= (100 if role == "soc" else 1e9)
