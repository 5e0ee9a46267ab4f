"""Starts what was planned when its time has come, and remembers what became of it."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
import logging
from typing import Final

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import CALLBACK_TYPE, CoreState, HomeAssistant, callback
from homeassistant.helpers.event import async_track_point_in_utc_time

from .control import Control
from .engine.accounting import watts
from .engine.state import Answer, Phase, Reply, State
from .models import Blocker, ErrorState, Kind, Origin, Readings, Settings
from .planning.execution import answered, conduct, delivered, next_look, resumed
from .planning.fates import Execution, Look, Outcome, Replied, Revise, Start, Stop, Wish
from .plans import Plans
from .storage import Storage

_LOGGER = logging.getLogger(__name__)

REMEMBERED: Final = timedelta(hours=48)
MOST_REMEMBERED: Final = 100


@dataclass(frozen=True, slots=True)
class PlanRecord:
    """What survives a restart: windows under way or to come, and what became of past ones."""

    execution: Execution = field(default_factory=Execution)
    outcomes: tuple[Outcome, ...] = ()
    bought_kwh: float = 0.0
    counted_session: str | None = None
    """The last session whose purchase is in `bought_kwh`."""


class Autopilot:
    """Looks at every moment that matters and carries out what `conduct` wishes."""

    def __init__(
        self,
        hass: HomeAssistant,
        entry: ConfigEntry,
        storage: Storage,
        control: Control,
        plans: Plans,
        settings: Callable[[], Settings],
    ) -> None:
        """Start nothing yet; `begin` takes up the record."""
        self._hass = hass
        self._entry = entry
        self._storage = storage
        self._control = control
        self._plans = plans
        self._settings = settings
        self._record = PlanRecord()
        self._listeners: list[Callable[[Outcome], None]] = []
        self._unheard: list[Outcome] = []
        self._timer: CALLBACK_TYPE | None = None
        self._ended = False

    @property
    def outcomes(self) -> tuple[Outcome, ...]:
        """What became of windows in the last two days, oldest first."""
        return self._record.outcomes

    def listen(self, listener: Callable[[Outcome], None]) -> Callable[[], None]:
        """Call back with every outcome; returns how to end that.

        What Home Assistant's absence made of a window is found before anybody listens.
        """
        self._listeners.append(listener)
        unheard, self._unheard = self._unheard, []
        for outcome in unheard:
            listener(outcome)
        return lambda: self._listeners.remove(listener)

    # --- Life ---

    async def begin(self) -> None:
        """Take up what was remembered before a reload or a restart."""
        record = await self._storage.load_plan(PlanRecord)
        if record is not None:
            starting_up = self._hass.state is not CoreState.running
            restarted = self._control.now().utc if starting_up else None
            self._record = replace(record, execution=resumed(record.execution, restarted))
        self._plans.bought_kwh = self._record.bought_kwh

    @callback
    def start(self) -> Callable[[], None]:
        """Begin to look; returns how to end that."""
        self._plans.listen(self.look)
        self._control.listen(self.look)
        self.look()
        return self._stop

    @callback
    def _stop(self) -> None:
        self._ended = True
        if self._timer is not None:
            self._timer()
            self._timer = None

    @callback
    def look(self) -> None:
        """Decide what is to be done now, by a plan that is as new as it can be."""
        if self._ended or self._hass.is_stopping:
            return
        self._plans.look()
        if self._plans.busy:
            return  # the new plan may want something else: it calls back in a moment
        self._count_purchase()
        now = self._control.now().utc
        execution, wishes, outcomes = conduct(
            self._record.execution, self._plans.plan, self._look(now)
        )
        self._remember(execution, outcomes, now)
        for wish in wishes:
            self._carry_out(wish)
        self._schedule(now)

    def _look(self, now: datetime) -> Look:
        state, planning = self._control.state, self._plans.planning
        readings = self._control.readings
        return Look(
            now=now,
            planned_at=None if self._plans.plan is None else self._plans.made_at,
            session=state.session,
            stopping=state.phase is Phase.STOPPING,
            last=state.last,
            auto_discharge=planning.auto_discharge,
            auto_charge=planning.auto_charge,
            dry_run=self._settings().dry_run,
            surplus_w=None if readings is None else _surplus(readings),
            target_w=0.0 if state.decision is None else state.decision.power_w,
        )

    def _schedule(self, now: datetime) -> None:
        if self._timer is not None:
            self._timer()
            self._timer = None
        moment = next_look(self._record.execution, self._plans.plan, now)
        if moment is None:
            return

        @callback
        def due(at: datetime) -> None:
            del at
            self._timer = None
            self.look()

        self._timer = async_track_point_in_utc_time(self._hass, due, moment)

    # --- Memory ---

    def _remember(self, execution: Execution, outcomes: tuple[Outcome, ...], now: datetime) -> None:
        before = self._record
        recent = tuple(o for o in before.outcomes if o.at > now - REMEMBERED)
        kept = (*recent, *outcomes)[-MOST_REMEMBERED:]
        self._record = replace(before, execution=execution, outcomes=kept)
        looked = replace(execution, looked=before.execution.looked)
        if outcomes or looked != before.execution:
            self._storage.save_plan_soon(lambda: self._record)
        for outcome in outcomes:
            _log(outcome)
            if not self._listeners:
                self._unheard.append(outcome)
            for listener in tuple(self._listeners):
                listener(outcome)

    def _count_purchase(self) -> None:
        """Know how much of the battery's content was bought: what is left of it when it empties."""
        state, settings, bought = self._control.state, self._settings(), self._record.bought_kwh
        last, counted = state.last, self._record.counted_session
        if last is not None and last.id != counted:
            bought += delivered(last) if last.kind is Kind.CHARGE else 0.0
            counted = last.id
        if state.last_soc is not None and state.decision is not None:
            above = max(0.0, state.last_soc - state.decision.floor_soc) / 100
            bought = min(bought, above * settings.battery_capacity_kwh)
        if (bought, counted) != (self._record.bought_kwh, self._record.counted_session):
            self._record = replace(self._record, bought_kwh=bought, counted_session=counted)
            self._plans.bought_kwh = bought

    # --- Wishes ---

    def _carry_out(self, wish: Wish) -> None:
        match wish:
            case Start():
                self._entry.async_create_background_task(
                    self._hass, self._begin(wish), "export_monitor planned start"
                )
            case Stop(reason, note):
                self._entry.async_create_background_task(
                    self._hass, self._control.stop(reason, note), "export_monitor planned stop"
                )
            case Revise(energy, until):
                self._control.revise(energy, until)

    async def _begin(self, wish: Start) -> None:
        """Ask for a session, unless the reason of the last refusal is known to hold still."""
        run, blocker = self._record.execution.run, _blocker(self._control.state, wish.kind)
        if run is not None and blocker is not None and run.told == blocker:
            self._answer(Replied(blocker=blocker))
            return
        try:
            reply = await self._control.start(
                kind=wish.kind,
                origin=Origin.AUTOMATIC,
                energy_kwh=wish.energy_kwh,
                until=wish.until,
            )
        except Exception:  # the window is tried again; nobody else waits for this
            _LOGGER.exception("A planned session could not be asked for")
            self._answer(Replied(error=ErrorState.START_FAILED))
            return
        self._answer(_replied(reply))

    @callback
    def _answer(self, replied: Replied) -> None:
        if self._ended or self._hass.is_stopping:  # what is cancelled by the end is not the user's
            return
        now = self._control.now().utc
        execution, outcomes = answered(self._record.execution, replied, now)
        self._remember(execution, outcomes, now)
        self.look()


def _surplus(readings: Readings) -> float | None:
    """Return the PV (W) beyond the house's load, as far as sensors show it."""
    grid, battery = watts(readings.grid_power), watts(readings.battery_power)
    if grid is not None and battery is not None:
        return -grid - battery
    pv, load = watts(readings.pv_power), watts(readings.house_load)
    return None if pv is None or load is None else pv - load


def _blocker(state: State, kind: Kind) -> Blocker | None:
    """Return what stands against a start by the last decision."""
    if state.decision is None:
        return Blocker.NO_DATA
    charging = kind is Kind.CHARGE
    return state.decision.charge_blocker if charging else state.decision.blocker


def _replied(reply: Reply) -> Replied:
    if reply.answer is Answer.STARTED and reply.session is not None:
        return Replied(session_id=reply.session.id)
    if reply.answer is Answer.REFUSED:
        return Replied(blocker=reply.blocker)
    return Replied(error=reply.error, cancelled=reply.answer is Answer.CANCELLED)


def _log(outcome: Outcome) -> None:
    window = outcome.window
    _LOGGER.info(
        "[%s] Planned %s %s to %s: %s %s, %.3f kWh",
        outcome.session_id or "",
        window.kind.value,
        window.start.isoformat(timespec="minutes"),
        window.end.isoformat(timespec="minutes"),
        outcome.fate.value,
        outcome.reason or "",
        outcome.energy_kwh,
    )
