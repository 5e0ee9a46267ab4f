"""The real engine, planner and execution in the simulated house, by steps of a second to a minute.

What `control` and `coordinator` do in Home Assistant is done here in the plainest way: looks are
observations, writes reach the battery after a moment and are answered, wishes become requests.
"""

from collections import Counter as Counts
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import (
    Answer,
    Answered,
    Clear,
    Command,
    Ended,
    Event,
    Observed,
    Phase,
    Raise,
    Reply,
    Revised,
    StartRequested,
    State,
    StopRequested,
    Write,
)
from custom_components.export_monitor.models import (
    EndReason,
    Forecast,
    Instant,
    Kind,
    Observation,
    Origin,
    Reading,
    Readings,
    Session,
    Settings,
    SwitchReading,
)
from custom_components.export_monitor.outlook import Known, NoPlan, outlook
from custom_components.export_monitor.planning import Objective, Plan, plan
from custom_components.export_monitor.planning.execution import answered, conduct
from custom_components.export_monitor.planning.fates import (
    Execution,
    Look,
    Outcome,
    Replied,
    Revise,
    Start,
    Stop,
)
from custom_components.export_monitor.replanning import outlived

from .ahead import Choices, Prospect
from .helpers import Helpers
from .house import EXPORT_STEP_KWH, PV_STEP_KWH, Counter, Plant
from .weather import House, Span
from .yardsticks import Track

MINUTE_S = 60.0
SLOT_S = 1800.0
GUARDED_S = 10.0  # engine/accounting.SILENT_S: what is silent for longer counts as unwatched
CLOSE_S = 1.0
CLOSE_TO_END_S = 20.0
LEAST_FLOW_W = 500.0
POWER_STEP_W = 100.0
PLAN_DEADLINE_S = 30.0  # a year is not to depend on how busy the machine is
PLANNED_AGAIN = timedelta(seconds=60)  # as in Home Assistant: `plans.py`


@dataclass(frozen=True, slots=True)
class Ran:
    """A session that ended, and what it was meant to deliver."""

    session: Session
    planned_kwh: float
    true_kwh: float
    """What the grid really saw."""
    soc: float
    """When it ended (%)."""


@dataclass(frozen=True, slots=True)
class Moment:
    """For pictures: one minute of a day that was asked for. Powers W."""

    at: datetime
    pv_w: float
    load_w: float
    battery_w: float
    grid_w: float
    soc: float
    exported_kwh: float
    contract_kwh: float
    allowance_kwh: float
    counted_kwh: float


@dataclass(slots=True)
class Day:
    """What a local day came to (kWh)."""

    begin: datetime
    exported: float
    generated: float
    counted: float
    """As the engine has it: the meter, and what has flowed since it moved."""
    engine_generated: float
    contract: float
    """As the engine had it at the day's end."""
    stored_at_start: float
    highest: float = 0.0
    """The most the contract figure promised during the day."""


@dataclass
class Life:
    """One way through all days."""

    span: Span
    house: House
    choices: Choices
    prospect: Prospect
    pictured: int | None = None
    """The day to keep the minutes of."""
    tick: Callable[[float], None] | None = None
    plant: Plant = field(init=False)
    track: Track = field(default_factory=Track)
    days: list[Day] = field(default_factory=list)
    ran: list[Ran] = field(default_factory=list)
    outcomes: Counts[tuple[str, str]] = field(default_factory=Counts)
    raised: Counts[str] = field(default_factory=Counts)
    fallbacks: Counts[str] = field(default_factory=Counts)
    minutes: list[Moment] = field(default_factory=list)
    plans: int = 0
    looks: int = 0
    day_windows: list[tuple[datetime, datetime, float]] = field(default_factory=list)
    """Sessions of the pictured day."""

    def __post_init__(self) -> None:
        """Build the house and a controller that has seen nothing."""
        house, choices = self.house, self.choices
        self.plant = Plant.of(house)
        self.settings = Settings(
            target_export_w=choices.target_w,
            min_soc=house.floor_soc,
            safety_margin_kwh=choices.margin_kwh,
            basis=choices.basis,
            fixed_limit_kwh=choices.fixed_kwh,
            inverter_limit_w=house.inverter_w,
            pv_peak_w=house.pv_peak_w,
            battery_capacity_kwh=house.capacity_kwh,
            house_load_kwh_per_day=house.load_kwh_per_day,
            meter_step_kwh=EXPORT_STEP_KWH,
            power_step_w=POWER_STEP_W,
            fallback_stop=True,
            timezone=self.span.zone,
        )
        self._state = State()
        self._execution = Execution()
        self._plan: Plan | None = None
        self._known: Known | None = None
        self._planning = choices.planning(house)
        self._export, self._pv = Counter(EXPORT_STEP_KWH), Counter(PV_STEP_KWH)
        self._ticked = self.span.start
        self._helpers = Helpers(self.plant)
        self._requests = 0
        self._mark = (0.0, 0.0)
        self._slot_mark = (0.0, 0.0)
        self._day_mark = (0.0, 0.0)
        self._highest = 0.0
        self._pv_list, self._load_list = self.span.pv_w.tolist(), self.span.load_w.tolist()
        self._forecast = Forecast()

    # Time

    def run(self) -> None:
        """Live through all days that count."""
        self._total_s = (self.span.end - self.span.start).total_seconds()
        self._ends = [(end - self.span.start).total_seconds() for _, end in self.span.days]
        self._stored_at_midnight = self.plant.stored_kwh
        self._on_the_minute()
        self._look()
        while self.plant.now_s < self._total_s:
            self.plant.advance(self._pace())
            for write in self._helpers.arrived():
                self._take(Answered(Instant(self.now, self.plant.now_s), write, ok=True))
            full = self.plant.now_s % MINUTE_S == 0
            if full:
                self._on_the_minute()
            self._look()
            if full and self.pictured is not None and len(self.days) == self.pictured:
                self._keep_minute()

    @property
    def now(self) -> datetime:
        """The wall clock."""
        return self.span.start + timedelta(seconds=self.plant.now_s)

    def _pace(self) -> float:
        """Return how long nobody needs to look (s)."""
        now = self.plant.now_s
        to_minute = MINUTE_S - now % MINUTE_S
        if self._state.phase is Phase.ACTIVE and not self._helpers.busy:
            return min(to_minute, GUARDED_S if self._to_the_end() > CLOSE_TO_END_S else CLOSE_S)
        if self._state.phase is not Phase.IDLE or self._helpers.busy:
            return min(to_minute, CLOSE_S)
        for window in () if self._plan is None else self._plan.windows:
            until = (window.start - self.span.start).total_seconds() - now
            if 0 < until < to_minute:
                return max(CLOSE_S, until)
        return to_minute

    def _to_the_end(self) -> float:
        """Return how soon (s) the session can end by itself."""
        session, decision = self._state.session, self._state.decision
        if session is None or decision is None:
            return 0.0
        flow = max(LEAST_FLOW_W, abs(self.plant.grid_w), session.power_w)
        left = decision.export_left if session.kind is Kind.DISCHARGE else 100.0
        if session.energy_limit_kwh is not None:
            left = min(left, session.energy_limit_kwh - session.exported_kwh)
        soc = abs(self.plant.soc - session.cutoff_soc) / 100 * self.house.capacity_kwh
        seconds = min(left, soc) * 3.6e6 / flow
        if session.window_end is not None:
            seconds = min(seconds, (session.window_end - self.now).total_seconds())
        return seconds

    def _on_the_minute(self) -> None:
        plant = self.plant
        number = int(plant.now_s // MINUTE_S)
        self._export.tick(plant.sums.exported)
        self._pv.tick(plant.sums.generated)
        if plant.now_s in (self._ends[len(self.days)], 0.0):
            if plant.now_s:
                self._close_day()
            self._export.reset(plant.sums.exported)
            self._pv.reset(plant.sums.generated)
        self._ticked = self.now
        plant.weather(self._pv_list[number], self._load_list[number])
        if plant.now_s % SLOT_S == 0:
            if plant.now_s:
                self._close_slot()
            self._forecast = self.prospect.forecast(self.now)
            if self.tick is not None:
                self.tick(SLOT_S)

    # Looking and deciding

    def _readings(self) -> Readings:
        plant, now = self.plant, self.now
        carbon = self.choices.objective is Objective.CARBON
        export, cost = self.prospect.rates(now)
        dispatch = plant.dispatch
        discharging = dispatch is not None and dispatch.kind is Kind.DISCHARGE
        return Readings(
            soc=Reading(int(plant.soc * 10 + 1e-6) / 10, now),
            export_counter=Reading(self._export.shown, self._ticked),
            pv_counters=(Reading(self._pv.shown, self._ticked),),
            switch=SwitchReading(discharging, now),
            grid_power=Reading(plant.grid_w, now),
            battery_power=Reading(plant.battery_w, now),
            pv_power=Reading(plant.pv_w, now),
            house_load=Reading(plant.load_w, now),
            dispatch_start=Reading(float(dispatch is not None), now),
            forecast=self._forecast,
            carbon=export if carbon else None,
            export_price=None if carbon else export,
            import_price=None if carbon else cost,
            load_profile=self.prospect.load_profile(now),
            sun_up=plant.pv_w > 0,
        )

    def _observation(self) -> Observation:
        return Observation(Instant(self.now, self.plant.now_s), self._readings(), self.settings)

    def _look(self) -> None:
        self.looks += 1
        observation = self._observation()
        self._take(Observed(observation))
        decision = self._state.decision
        if decision is not None:
            self._highest = max(self._highest, decision.contract)
        self._replan_if_due(observation.readings)
        self._conduct()

    def _replan_if_due(self, readings: Readings) -> None:
        state, before = self._state, self._known
        known = Known(
            self.now,
            readings,
            self.settings,
            self._planning,
            state.decision,
            keep=() if self._plan is None else self._plan.windows,
            last_session=None if state.last is None else state.last.id,
        )
        if before is not None and not self._due(before, known):
            return
        given = outlook(known)
        if isinstance(given, NoPlan):
            self.fallbacks[given.value] += 1
            return
        self._plan = plan(
            self.prospect.foreseen(given), PLAN_DEADLINE_S, linear=self.choices.linear
        )
        self._known = known
        self.plans += 1
        if self._plan.fallback is not None:
            self.fallbacks[self._plan.fallback] += 1

    def _due(self, before: Known, known: Known) -> bool:
        soon = known.now - before.now < PLANNED_AGAIN
        return not soon and (self._plan is None or outlived(self._plan, before, known))

    def _conduct(self) -> None:
        state = self._state
        look = Look(
            now=self.now,
            planned_at=None if self._known is None else self._known.now,
            session=state.session,
            stopping=state.phase is Phase.STOPPING,
            last=state.last,
            auto_discharge=True,
            surplus_w=self.plant.pv_w - self.plant.load_w,
            target_w=0.0 if state.decision is None else state.decision.power_w,
        )
        self._execution, wishes, outcomes = conduct(self._execution, self._plan, look)
        self._tell(outcomes)
        for wish in wishes:
            match wish:
                case Start():
                    self._start(wish)
                case Stop(reason):
                    self._take(StopRequested(self._observation(), reason))
                case Revise():
                    self._revise(wish)

    def _start(self, wish: Start) -> None:
        self._requests += 1
        self._mark = (self.plant.sums.exported, wish.energy_kwh)
        self._take(
            StartRequested(
                self._observation(),
                f"window-{self._requests}",
                Origin.AUTOMATIC,
                energy_kwh=wish.energy_kwh,
                kind=wish.kind,
                until=wish.until,
            )
        )

    def _revise(self, wish: Revise) -> None:
        self._take(Revised(self._observation(), wish.energy_kwh, wish.until))

    def _tell(self, outcomes: tuple[Outcome, ...]) -> None:
        for outcome in outcomes:
            self.outcomes[outcome.fate.value, str(outcome.reason or "")] += 1

    # The machine

    def _take(self, event: Event) -> None:
        self._state, commands = step(self._state, event)
        for command in commands:
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        match command:
            case Write():
                self._helpers.take(command)
            case Raise(error):
                self.raised[error.value] += 1
            case Reply():
                self._replied(command)
            case Ended(session):
                self._ended(session)
            case Clear():
                pass

    def _replied(self, reply: Reply) -> None:
        if not reply.request_id.startswith("window-"):
            return
        session = reply.session if reply.answer is Answer.STARTED else None
        replied = Replied(
            session_id=None if session is None else session.id,
            blocker=reply.blocker,
            error=reply.error,
            cancelled=reply.answer is Answer.CANCELLED,
        )
        self._execution, outcomes = answered(self._execution, replied, self.now)
        self._tell(outcomes)

    def _ended(self, session: Session) -> None:
        planned = session.energy_limit_kwh or 0.0
        true = self.plant.sums.exported - self._mark[0]
        self.ran.append(Ran(session, planned, true, self.plant.soc))
        if self.pictured is not None and len(self.days) == self.pictured:
            self.day_windows.append((session.started, self.now, true))

    # Books

    def _close_slot(self) -> None:
        sums, mark = self.plant.sums, self._slot_mark
        self.track.exported.append(sums.exported - mark[0])
        self.track.imported.append(sums.imported - mark[1])
        self.track.stored.append(self.plant.stored_kwh)
        self._slot_mark = (sums.exported, sums.imported)

    def _close_day(self) -> None:
        sums, mark, decision = self.plant.sums, self._day_mark, self._state.decision
        begin = self.span.days[len(self.days)][0]
        self.days.append(
            Day(
                begin,
                sums.exported - mark[0],
                sums.generated - mark[1],
                decision.counted if decision else 0.0,
                decision.generated if decision else 0.0,
                decision.contract if decision else 0.0,
                self._stored_at_midnight,
                self._highest,
            )
        )
        self._stored_at_midnight = self.plant.stored_kwh
        self._day_mark = (sums.exported, sums.generated)
        self._highest = 0.0

    def _keep_minute(self) -> None:
        plant, decision = self.plant, self._state.decision
        if decision is None:
            return
        self.minutes.append(
            Moment(
                self.now,
                plant.pv_w,
                plant.load_w,
                plant.battery_w,
                plant.grid_w,
                plant.soc,
                plant.sums.exported - self._day_mark[0],
                decision.contract,
                decision.allowance,
                decision.counted,
            )
        )


def reasons(ran: list[Ran]) -> Counts[EndReason]:
    """Return how often sessions ended for what reason."""
    return Counts(r.session.reason for r in ran if r.session.reason is not None)
