"""A house, its battery and its meters, second by second, around the bare session machine.

The battery obeys the machine's writes, or disobeys them as a test says. Nothing in here knows a
formula of the engine: energies are what flowed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from math import floor
from typing import Any

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
from custom_components.export_monitor.models import (
    Basis,
    EndReason,
    ErrorState,
    Instant,
    Kind,
    Observation,
    Reading,
    Readings,
    Session,
    Settings,
    SwitchReading,
)

NOON = datetime(2026, 6, 15, 12, 0, tzinfo=UTC)
SETTINGS = Settings(
    target_export_w=3000.0,
    min_soc=20.0,
    safety_margin_kwh=0.0,
    basis=Basis.FIXED,
    fixed_limit_kwh=5.0,
    inverter_limit_w=10_000.0,
    pv_peak_w=5000.0,
    battery_capacity_kwh=20.0,
    fallback_stop=True,
)
PERIODS = {"soc": 10, "export": 60, "generation": 60, "dispatch": 5}
KWH = 3_600_000.0


def instant(seconds: float, start: datetime = NOON) -> Instant:
    """Return the moment so many seconds into a test."""
    return Instant(start + timedelta(seconds=seconds), 1000.0 + seconds)


def reading(value: float | None, reported: datetime = NOON, problem: str | None = None) -> Reading:
    return Reading(value, reported, problem)


def readings(reported: datetime = NOON, **changes: Any) -> Readings:
    """Return a calm house at noon: 80 % SOC, nothing flows, every required source is there."""
    calm = Readings(
        soc=reading(80.0, reported),
        export_counter=reading(0.0, reported),
        pv_counters=(reading(0.0, reported),),
        switch=SwitchReading(on=False, reported=reported),
    )
    return replace(calm, **changes)


def observation(
    seconds: float = 0.0,
    look: Readings | None = None,
    settings: Settings = SETTINGS,
    **changes: Any,
) -> Observation:
    now = instant(seconds)
    seen = look if look is not None else readings(now.utc)
    return Observation(now=now, readings=seen, settings=settings, **changes)


@dataclass
class World:
    """One house. Change its fields in mid-run; `run` lets time pass."""

    settings: Settings = SETTINGS
    start: datetime = NOON
    state: State = field(default_factory=State)
    absent: set[str] = field(default_factory=set)
    """Optional sensors that are not configured."""
    broken: set[str] = field(default_factory=set)
    """Sensors that cannot be read."""
    silent: set[str] = field(default_factory=set)
    """Sensors that keep their last value and report."""
    frozen: set[str] = field(default_factory=set)
    """Sensors that go on reporting an old value."""
    forged: dict[str, float] = field(default_factory=dict)
    """Values that sensors tell instead of the truth."""
    lost: set[WriteKind] = field(default_factory=set)
    """Writes that succeed without effect."""
    failing: set[WriteKind] = field(default_factory=set)
    """Writes that fail."""
    unanswered: set[WriteKind] = field(default_factory=set)
    reset_lost: bool = False
    """Switching off turns the switch off and nothing else."""
    unplugged: bool = False
    """No write reaches the battery and no sensor reports."""
    write_s: int = 1
    stop_s: int = 1
    """From a stop's write to the battery's obedience."""
    load_w: float = 400.0
    pv_w: float = 0.0
    soc: float = 80.0
    clock_offset: timedelta = timedelta()
    conflicts: tuple[str, ...] = ()
    chargeable: bool = False
    """The controls of a charge are configured."""
    charge_limit_w: float = 10_000.0
    """The battery takes no more than this, whatever it is told."""
    absorbs: bool = False
    """By itself the battery takes what the sun leaves over."""
    forecast: Any = None
    reserve: float | None = None
    daily: bool = True
    reset_at: dict[str, datetime] = field(default_factory=dict)
    """When the counters `export` and `generation` begin their new day."""
    meter_phase: int = 0
    lag_s: int = 0
    """Age of the meter's value when it is read."""
    on_second: Callable[["World"], None] | None = None

    second: int = 0
    charge_switch: bool = False
    charge_numbers: dict[WriteKind, float] = field(default_factory=dict)
    reverse: bool = False
    """What is armed charges the battery."""
    switch: bool = False
    armed: bool = False
    power_w: float = 0.0
    cutoff: float = 4.0
    minutes: float = 0.0
    timer_s: float = 0.0
    exported: float = 0.0
    generated: float = 0.0
    log: list[tuple[int, Command]] = field(default_factory=list)
    _due: list[tuple[int, Callable[[], None]]] = field(default_factory=list)
    _reports: dict[str, tuple[float, datetime]] = field(default_factory=dict)
    _meter: dict[str, float] = field(default_factory=dict)
    _lagging: list[float] = field(default_factory=list)

    # --- Physics ---

    @property
    def battery_w(self) -> float:
        """Discharge (+) of the battery: the dispatch, else what the house lacks."""
        if self.armed and self.reverse:
            full = self.soc >= self.charge_numbers[WriteKind.CUTOFF]
            return 0.0 if full else -min(self.power_w, self.charge_limit_w)
        if self.armed and self.soc > self.cutoff:
            return self.power_w
        need = self.load_w - self.pv_w
        return need if self.absorbs and self.soc < 100 else max(0.0, need)

    @property
    def export_w(self) -> float:
        return max(0.0, self.battery_w + self.pv_w - self.load_w)

    @property
    def now(self) -> Instant:
        moment = instant(self.second, self.start)
        return Instant(moment.utc + self.clock_offset, moment.mono)

    def _pass_second(self) -> None:
        self.exported += self.export_w / KWH
        self.generated += self.pv_w / KWH
        self.soc -= self.battery_w / KWH / self.settings.battery_capacity_kwh * 100
        self.second += 1
        if self.armed:
            self.timer_s -= 1
            if self.timer_s <= 0:
                self.armed = self.switch = self.charge_switch = False

    # --- Sensors ---

    def _truth(self, role: str) -> float:
        grid = self.load_w - self.pv_w - self.battery_w
        truths = {
            "soc": self.soc,
            "grid": grid,
            "battery": self.battery_w,
            "pv": self.pv_w,
            "load": self.load_w,
            "dispatch": float(self.armed),
        }
        return truths[role] if role in truths else self._counter(role)

    def _counter(self, role: str) -> float:
        if role == "generation":
            total, size = self.generated, 0.1
        else:
            size = self.settings.meter_step_kwh
            total = self._lagging[0] if self._lagging else self.exported
        moment = self.now.utc
        begun = self.reset_at.get(role)
        if begun is not None and moment >= begun:
            self._meter.setdefault(role, total)
        shown = total - self._meter.get(role, 0.0)
        return floor(round(shown / size, 6)) * size

    def _report(self) -> None:
        self._lagging.append(self.exported)
        if len(self._lagging) > self.lag_s + 1:
            self._lagging.pop(0)
        for role in ("soc", "grid", "battery", "pv", "load", "dispatch", "export", "generation"):
            period = PERIODS.get(role, 1)
            phase = self.meter_phase if role in ("export", "generation") else 0
            if (self.second + phase) % period and role in self._reports:
                continue
            if (role in self.silent or self.unplugged) and role in self._reports:
                continue
            value = self.forged.get(role, self._truth(role))
            if role in self.frozen and role in self._reports:
                value = self._reports[role][0]
            self._reports[role] = (value, self.now.utc)

    def _read(self, role: str) -> Reading | None:
        if role in self.absent:
            return None
        if role in self.broken:
            return Reading(None, None, "unavailable")
        return Reading(*self._reports[role])

    def look(self) -> Observation:
        """Return what the machine sees now."""
        unreadable = "switch" in self.broken
        missing = Reading(None, None, "missing")
        return Observation(
            now=self.now,
            settings=self.settings,
            readings=Readings(
                soc=self._read("soc") or missing,
                export_counter=self._read("export") or missing,
                pv_counters=(self._read("generation") or missing,),
                switch=SwitchReading(None if unreadable else self.switch, self.now.utc),
                charge_switch=self._read_charge_switch(),
                grid_power=self._read("grid"),
                battery_power=self._read("battery"),
                pv_power=self._read("pv"),
                house_load=self._read("load"),
                dispatch_start=self._read("dispatch"),
                reserve_soc=None if self.reserve is None else Reading(self.reserve, self.now.utc),
                forecast=self.forecast,
                conflicts=self.conflicts,
            ),
        )

    def _read_charge_switch(self) -> SwitchReading | None:
        if not self.chargeable:
            return None
        on = None if "charge_switch" in self.broken else self.charge_switch
        return SwitchReading(on, self.now.utc)

    # --- Writes ---

    def _later(self, seconds: int, then: Callable[[], None]) -> None:
        self._due.append((self.second + seconds, then))

    def _carry_out(self, write: Write) -> None:
        if not write.stops and write.epoch != self.state.epoch:
            return
        if write.kind in self.failing:
            self.take(Answered(self.now, write, ok=False, detail="refused"))
            return
        if write.kind not in self.lost:
            self._obey(write)
        if write.kind not in self.unanswered:
            self.take(Answered(self.now, write, ok=True))

    def _obey_charge(self, write: Write) -> None:
        reaches = not self.unplugged
        match write.kind:
            case WriteKind.SWITCH_ON:
                if not self.charge_switch and reaches:
                    self.armed = self.reverse = True
                    self.power_w = self.charge_numbers[WriteKind.POWER]
                    self.timer_s = self.charge_numbers[WriteKind.DURATION] * 60
                self.charge_switch = True
            case WriteKind.SMOTHER:
                self.power_w = 100.0 if reaches else self.power_w
            case WriteKind.SWITCH_OFF | WriteKind.FALLBACK_STOP:
                self._obey_stop(write, reaches=reaches)
            case _:
                if write.kind is WriteKind.DURATION and write.value != self.charge_numbers.get(
                    WriteKind.DURATION
                ):
                    self.timer_s = write.value * 60
                self.charge_numbers[write.kind] = write.value

    def _obey(self, write: Write) -> None:
        reaches = not self.unplugged
        if write.mode is Kind.CHARGE:
            self._obey_charge(write)
            return
        match write.kind:
            case WriteKind.POWER:
                self.power_w = write.value
            case WriteKind.CUTOFF:
                self.cutoff = write.value
            case WriteKind.DURATION:
                if write.value != self.minutes:
                    self.timer_s = write.value * 60
                self.minutes = write.value
            case WriteKind.SWITCH_ON:
                if not self.switch and reaches:
                    self.armed, self.timer_s = True, self.minutes * 60
                self.switch = True
            case WriteKind.SMOTHER:
                self.power_w = 100.0 if reaches else self.power_w
            case _:
                self._obey_stop(write, reaches=reaches)

    def _obey_stop(self, write: Write, *, reaches: bool) -> None:
        on = self.charge_switch if write.mode is Kind.CHARGE else self.switch
        full = write.kind is WriteKind.FALLBACK_STOP
        if reaches and (full or (on and not self.reset_lost)):
            self._later(self.stop_s, self._disarm)
        self.switch = self.switch and write.mode is Kind.CHARGE and not full
        self.charge_switch = self.charge_switch and write.mode is Kind.DISCHARGE and not full

    def _disarm(self) -> None:
        self.armed = self.reverse = False

    # --- The machine ---

    def take(self, event: Event) -> tuple[Command, ...]:
        self.state, commands = step(self.state, event)
        for command in commands:
            self.log.append((self.second, command))
            if isinstance(command, Write):
                self._later(self.write_s, lambda write=command: self._carry_out(write))  # type: ignore[misc]
        return commands

    def run(self, seconds: int) -> "World":
        for _ in range(seconds):
            self._pass_second()
            if self.on_second is not None:
                self.on_second(self)
            due = [entry for entry in self._due if entry[0] <= self.second]
            self._due = [entry for entry in self._due if entry[0] > self.second]
            for _, then in due:
                then()
            self._report()
            self.take(Observed(self.look()))
        return self

    def run_until(self, holds: Callable[["World"], bool], limit: int = 7200) -> "World":
        for _ in range(limit):
            if holds(self):
                return self
            self.run(1)
        raise AssertionError(f"not reached in {limit} s: {self.state}")

    def settle(self) -> "World":
        """Let every sensor report."""
        return self.run(61)

    def request(self, **limits: Any) -> tuple[Command, ...]:
        return self.take(StartRequested(self.look(), f"start-{self.second}", **limits))

    def stop(
        self, reason: EndReason = EndReason.USER, kind: Kind = Kind.DISCHARGE
    ) -> tuple[Command, ...]:
        return self.take(StopRequested(self.look(), reason, f"stop-{self.second}", kind=kind))

    def discharging(self, **limits: Any) -> "World":
        """Settle and start; return once the discharge runs."""
        if not self.log:
            self.settle()
        self.request(**limits)
        return self.run_until(lambda w: w.phase is Phase.ACTIVE, 60)

    def charging(self, **limits: Any) -> "World":
        """Settle and start a charge; return once it runs."""
        self.chargeable = True
        if not self.log:
            self.settle()
        self.request(kind=Kind.CHARGE, **limits)
        return self.run_until(lambda w: w.phase is Phase.ACTIVE, 60)

    # --- What came of it ---

    @property
    def phase(self) -> Phase:
        return self.state.phase

    def writes(self, *kinds: WriteKind) -> list[tuple[int, Write]]:
        return [
            (second, command)
            for second, command in self.log
            if isinstance(command, Write) and (not kinds or command.kind in kinds)
        ]

    @property
    def stop_attempts(self) -> list[int]:
        """Seconds at which a stop was tried."""
        return [second for second, w in self.writes(WriteKind.SWITCH_OFF, WriteKind.FALLBACK_STOP)]

    @property
    def replies(self) -> list[Reply]:
        return [command for _, command in self.log if isinstance(command, Reply)]

    @property
    def ended(self) -> list[Session]:
        return [command.session for _, command in self.log if isinstance(command, Ended)]

    @property
    def reason(self) -> EndReason | None:
        """Why the last session ended, or is being ended."""
        if self.state.stopping is not None:
            return self.state.stopping.reason
        return self.ended[-1].reason if self.ended else None

    def raised(self, error: ErrorState) -> list[int]:
        return [s for s, c in self.log if isinstance(c, Raise) and c.error is error]

    def cleared(self, error: ErrorState) -> list[int]:
        return [s for s, c in self.log if isinstance(c, Clear) and c.error is error]
