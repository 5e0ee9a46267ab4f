"""Driver 1: the step machine on a stage, without Home Assistant.

Sources, validation, staleness, circuits and the record are the real ones; `control` and
`coordinator` are modelled by what they do to the machine.
"""

from dataclasses import replace

from custom_components.export_monitor import const
from custom_components.export_monitor.coordinator import SystemHealth
from custom_components.export_monitor.engine import errors as ledger
from custom_components.export_monitor.engine.accounting import required
from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import (
    Answered,
    Clear,
    Command,
    Ended,
    Event,
    Observed,
    Phase,
    Raise,
    Reply,
    StartRequested,
    State,
    StopRequested,
    Write,
    WriteKind,
)
from custom_components.export_monitor.error_handler import (
    BreakerState,
    CircuitBreaker,
    Outcome,
    Problem,
    SensorValidation,
    StaleDataDetector,
    policy_for,
)
from custom_components.export_monitor.inputs.sources import Sources
from custom_components.export_monitor.models import EndReason, Errors, Instant, Observation
from custom_components.export_monitor.settings import (
    breaker_policy,
    option_number,
    settings_of,
    stale_after,
)

from .calls import Calls, Course, Result
from .disk import Disk
from .faults import Faults
from .judge import Judge
from .look import Look
from .schedule import Fault, FaultKind, Schedule
from .stage import Stage, config_of, switch_of
from .table import Table, london

SHUTDOWN_WAIT_S = 18
MONO_BASE = 1000.0
UPDATE_CIRCUIT, BATTERY_CIRCUIT = "export_monitor_update", "battery_commands"
TRIAL_GRACE_S = 25.0  # as set-up gives the circuits


class Machine:
    """One schedule on the step machine."""

    def __init__(self, schedule: Schedule, judge: Judge) -> None:
        """Build the house; nothing is set up yet."""
        self.schedule = schedule
        self.judge = judge
        self.stage = Stage(schedule)
        self.faults = Faults(self.stage, schedule.faults)
        self.config = {**const.DEFAULTS, **config_of(schedule.settings)}
        self.state = State()
        self.errors = Errors()
        self._disk = Disk(self.stage, self.faults)
        self.alive = False
        self._down_until: float | None = None
        self._leaving_since: int | None = None
        self._courses: dict[int, tuple[Write, Course]] = {}
        self._queue: list[Event] = []
        self._taking = False
        self._boots = 0

    # Time

    def run(self) -> None:
        """Play the schedule to its end."""
        with london():
            self._set_up(starting_up=False)
            for _ in range(self.schedule.total):
                self._second()
            self.judge.finish()

    def _second(self) -> None:
        phase = self.state.phase
        begun = self.faults.advance()
        for fault in begun:
            self._strike(fault)
        if begun:
            self._mirror()  # what somebody does shows at once
        self._act(self.stage.second)
        self.judge.faults(begun, self.faults.standing, phase)
        self.stage.advance()
        self._mirror()
        if self.alive:
            self._live()
        elif self._down_until is not None and self.stage.second >= self._down_until:
            self._boot()
        self.judge.look(self._look())

    def _act(self, second: int) -> None:
        schedule = self.schedule
        if not self.alive or self._leaving_since is not None:
            return
        tries = range(schedule.start_tries)
        wanted = second in {schedule.start_at + i * schedule.retry_s for i in tries}
        if schedule.stop_at is not None and second >= schedule.stop_at:
            wanted = False
        # Asked again while nothing has come of it.
        if wanted and self.state.phase is Phase.IDLE and not self.judge.tally.reached_active:
            self.judge.start_requested()
            self._take(
                StartRequested(
                    self._observation(),
                    f"start-{schedule.seed}-{second}",
                    energy_kwh=schedule.energy_kwh,
                    duration_min=schedule.duration_min,
                    kind=schedule.settings.kind,
                )
            )
        if second == schedule.stop_at:
            self.judge.stop_requested(second)
            kind = schedule.settings.kind
            self._take(
                StopRequested(self._observation(), EndReason.USER, f"stop-{second}", kind=kind)
            )

    @property
    def _guards(self) -> bool:
        """Whether `control` runs its guard."""
        return self.state.phase is not Phase.IDLE or self._mono() < self.state.aftermath_until

    def _live(self) -> None:
        guarding = self._guards
        polls = (self.stage.second - self._began) % round(self._scan_s) == 0
        if polls:
            self._poll()
        elif guarding:
            self._observe()
        for number in tuple(self._courses):
            self._resume(number)
        self._disk.save_if_due(self.state, self.errors)
        if self._leaving_since is not None:
            waited = self.stage.second - self._leaving_since
            if self.state.phase is Phase.IDLE or waited >= SHUTDOWN_WAIT_S:
                self._disk.save_if_due(self.state, self.errors, leaving=True)
                self._die()

    # Life

    def _set_up(self, *, starting_up: bool) -> None:
        self._boots += 1
        self.table = Table(self.stage)
        for arrival in self.stage.all_states():
            self.table.take(arrival)
        self._build(starting_up=starting_up)
        self.state, known = State(), Errors()
        record = self._disk.load()
        if record is not None:
            self.state = resume(record.state(), Instant(record.saved, 0.0), self._now())
            known = record.errors()
        self._took_over(known)

    def _build(self, *, starting_up: bool) -> None:
        """Build the rooms as `async_setup_entry` does."""
        config = self.config
        self.validation = SensorValidation()
        self.staleness = StaleDataDetector(self._mono, stale_after(config))
        self.update_circuit, self.battery_circuit = (
            CircuitBreaker(
                name,
                breaker_policy(config, name),
                self._mono,
                option_number(config, const.CONF_SERVICE_TIMEOUT) + TRIAL_GRACE_S,
                utcnow=lambda: self.stage.utc,
            )
            for name in (UPDATE_CIRCUIT, BATTERY_CIRCUIT)
        )
        self.sources = Sources(
            self.table,
            config,
            self.validation,
            self.staleness,
            lambda name: CircuitBreaker(name, policy_for(name), self._mono),
            starting_up=starting_up,
        )
        self._deciding = set(self.sources.wiring.deciding_ids)
        self.calls = Calls(
            self.stage,
            self.faults,
            config,
            self.battery_circuit,
            self.table.get,
            self._on_call,
        )
        self.calls.after_call = self._mirror  # type: ignore[method-assign]
        self.settings = settings_of(config)
        self._scan_s = option_number(config, const.CONF_SCAN_INTERVAL)
        self._began = self.stage.second
        self._courses.clear()
        self._queue.clear()
        self._disk.forget_due()

    def _took_over(self, known: Errors) -> None:
        self.errors = ledger.kept(known, self.state.faults)
        self.alive, self._leaving_since = True, None
        self._observe()
        self._poll()

    def _strike(self, fault: Fault) -> None:
        if fault.kind in (FaultKind.KILL, FaultKind.RESTART):
            if self._down_until is not None or self._leaving_since is not None:
                return
            self._down_s = fault.duration
            if fault.kind is FaultKind.KILL:
                self._die()
            elif self.alive:
                self._leaving_since = self.stage.second
                if self.state.phase is not Phase.IDLE:
                    self._take(StopRequested(self._observation(), EndReason.UNLOAD, "shutdown"))
        elif fault.kind is FaultKind.RELOAD and self.alive and self._leaving_since is None:
            before = self.state, self._now(), self.errors
            self._build(starting_up=False)
            self.state = resume(before[0], before[1], self._now())
            self._took_over(before[2])

    def _die(self) -> None:
        self.stage.home.kill()
        self.alive, self._leaving_since = False, None
        self._courses.clear()
        self._down_until = self.stage.second + self._down_s
        self.judge.died(self._look())

    def _boot(self) -> None:
        self._down_until = None
        self.stage.home.start()
        self._set_up(starting_up=True)

    # Events

    def _mono(self) -> float:
        return MONO_BASE * self._boots + self.stage.plant.elapsed_s

    def _now(self) -> Instant:
        return Instant(self.stage.utc, self._mono())

    def _mirror(self) -> None:
        """Take the reports, and decide on those that `control` decides on.

        While it guards it decides on every report. Between two of the same moment nothing is new
        but what they say, so the first of them, and the changes that decide, stand for all; but
        each may be evidence for a stop, and a power is weighed against what the others said then.
        """
        self.table.now_utc = self.stage.utc
        first = True
        for arrival in self.stage.arrivals():
            if not self.alive:
                continue
            changed = self.table.take(arrival)
            stopping = self.state.phase is Phase.STOPPING
            guards = stopping or (first and self._guards)
            if guards or (changed and arrival.entity_id in self._deciding):
                first = first and not guards
                self._observe()

    def _observation(self) -> Observation:
        self.readings = self.sources.read()
        return Observation(
            now=self._now(),
            readings=self.readings,
            settings=self.calls.battery.fitted(self.settings),
            battery_circuit_open=self.battery_circuit.state is BreakerState.OPEN,
            update_circuit_open=self.update_circuit.state is BreakerState.OPEN,
            data_stale=self.staleness.age() is not None and self.staleness.is_stale(),
        )

    def _observe(self) -> None:
        self._take(Observed(self._observation()))

    def _poll(self) -> None:
        """Look and judge the look, as the coordinator does."""
        judges = self.update_circuit.can_attempt()
        self._observe()
        if not judges:
            return
        if self.state.watch.incomplete is None:
            self.update_circuit.record_success()
            was_stale = self.staleness.is_stale()
            self.staleness.mark_update()
            if was_stale:
                self._observe()
        elif (
            self.sources.faulty(self.readings, self.settings) is not None
            and not self._awaits_reports()
        ):
            self.update_circuit.record_failure()

    def _awaits_reports(self) -> bool:
        needed = required(self.readings, self.settings)
        return {r.problem for r in needed if not r.usable} == {Problem.AWAITING_REPORT}

    def _take(self, event: Event) -> None:
        self._queue.append(event)
        self._drain()

    def _drain(self) -> None:
        if self._taking:
            return
        self._taking = True
        while self._queue:
            event = self._queue.pop(0)
            before = self.state
            self.state, commands = step(before, event)
            self.judge.stepped(before, self.state)
            for command in commands:
                self._carry_out(command)
            if before is not self.state:
                self.sources.judge_steps(before, self.state)
                self._disk.keep(before, self.state, self.errors)
        self._taking = False

    def _carry_out(self, command: Command) -> None:
        match command:
            case Write():
                self._write(command)
            case Raise():
                self._report(command)
            case Clear(error):
                self.errors = ledger.cleared(self.errors, error)
            case Reply():
                self.judge.replied(command)
            case Ended(session):
                self.judge.ended(session)

    def _report(self, raised: Raise) -> None:
        self.state = replace(self.state, faults=self.state.faults | {raised.error})
        self.errors = ledger.raised(self.errors, raised.error, self.stage.utc, raised.detail)
        self.judge.raised(raised.error)

    # Writes

    def _write(self, write: Write) -> None:
        if write.stops:
            for number, (other, course) in tuple(self._courses.items()):
                if not other.stops:
                    del self._courses[number]
                    course.close()
        self._courses[write.id] = (write, self._course(write))
        self._resume(write.id)

    def _course(self, write: Write) -> Course:
        lasting = write.kind is WriteKind.SWITCH_ON or self.state.modulation.raises(write.id)
        if lasting and not self._disk.save(self.state, self.errors):
            self._queue.append(Answered(self._now(), write, ok=False, detail="not written"))
            return Result(Outcome.FAILED)
        result = yield from self.calls.carry_out(write, lambda: self.state.epoch == write.epoch)
        self._queue.append(Answered(self._now(), write, result.ok, result.detail))
        return result

    def _resume(self, number: int) -> None:
        entry = self._courses.get(number)
        if entry is None:
            return
        try:
            next(entry[1])
        except StopIteration:
            self._courses.pop(number, None)
            self._drain()

    def _on_call(self, domain: str, service: str, entity_id: str) -> None:
        if service == "turn_on" and entity_id == switch_of(self.schedule.settings):
            self.judge.switched_on(self.table.get, self.stage)

    # What is to be seen

    def _health(self) -> SystemHealth:
        if any(c.state is BreakerState.OPEN for c in (self.update_circuit, self.battery_circuit)):
            return SystemHealth.CIRCUIT_BREAKER_OPEN
        if self.errors.standing:
            return SystemHealth.ERROR
        return SystemHealth.STALE_DATA if self.staleness.is_stale() else SystemHealth.HEALTHY

    def _look(self) -> Look:
        state = self.state
        health = self._health()
        return Look(
            second=self.stage.second,
            utc=self.stage.utc,
            truth=self.stage.truth(),
            alive=self.alive,
            phase=state.phase,
            errors=frozenset(e.state for e in self.errors.standing),
            healthy=health is SystemHealth.HEALTHY,
            health=health.value,
            session=state.session,
            last=state.last,
            decision=state.decision,
            counted_kwh=state.meter.counter.total,
        )
