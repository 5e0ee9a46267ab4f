"""Polls the world for people to see, and answers how healthy all this is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
import logging

from homeassistant.config_entries import ConfigEntry
from homeassistant.core import HomeAssistant, callback
from homeassistant.helpers.event import async_track_time_interval
from homeassistant.helpers.update_coordinator import DataUpdateCoordinator

from . import const
from .alerts import Alerts, Outages
from .autopilot import Autopilot
from .compliance import Compliance
from .control import Control
from .degraded import of_plan
from .engine import errors as ledger
from .engine.errors import BATTERY_FAULTS
from .engine.state import Phase, State
from .error_handler import BreakerState, CircuitBreaker
from .inputs.rates import rate_at
from .models import (
    Blocker,
    Decision,
    Degraded,
    Errors,
    ErrorState,
    Kind,
    Rate,
    Reading,
    Session,
    StandingError,
)
from .plans import Plans
from .refusal import refusal
from .resilience import Resilience
from .settings import merged, option_flag, plan_settings_of
from .storage import Storage

_LOGGER = logging.getLogger(__name__)

TICK = timedelta(seconds=5)
AGE_NORMAL_S = 15.0
EARLY_S = 1.0  # Home Assistant begins a poll's interval at the whole second


class SystemHealth(StrEnum):
    """States of `sensor.export_monitor_system_health`."""

    HEALTHY = "Healthy"
    ERROR = "Error"
    STALE_DATA = "Stale Data"
    CIRCUIT_BREAKER_OPEN = "Circuit Breaker Open"


class DischargeStatus(StrEnum):
    """States of `sensor.export_monitor_discharge_status`."""

    IDLE = "Idle"
    NEEDED = "Needed"
    ACTIVE = "Active"
    COMPLETE = "Complete"
    ERROR = "Error"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What entities show; equal snapshots show the same, so nothing is written for the second."""

    status: DischargeStatus
    running: bool
    """A discharge runs, or its stop is still unproven."""
    complete: bool
    """All required sources are there, valid and fresh."""
    decision: Decision | None
    """The present decision where it rests on complete data."""
    blocker: Blocker | None
    """Why a discharge would be refused now, our own session and the dry run included."""
    charge_blocker: Blocker | None
    """Likewise a charge up to full."""
    session: Session | None
    """The session that runs, else the last one."""
    errors: Errors
    soc: float | None
    reserve: Reading | None
    """The reserve SOC (%); None while it is not observed."""
    forecast_cached_since: datetime | None
    carbon: Rate | None
    """The carbon intensity (g CO2/kWh) that holds now."""
    carbon_index: str | None
    carbon_cached_since: datetime | None
    degraded: tuple[Degraded, ...]
    """What works worse than it could, and what is done instead."""
    faulty: tuple[str, str] | None
    """The first required entity that cannot be used, and what is wrong with it."""

    @property
    def error(self) -> StandingError | None:
        """Return the error that shows."""
        return ledger.shown(self.errors)


@dataclass(slots=True)
class Runtime:
    """What an entry's rooms share while it is loaded."""

    coordinator: "ExportMonitorCoordinator"
    control: Control
    alerts: Alerts
    prefix: str
    plans: Plans
    autopilot: Autopilot
    compliance: Compliance


type ExportMonitorConfigEntry = ConfigEntry[Runtime]


class ExportMonitorCoordinator(DataUpdateCoordinator[Snapshot]):
    """Looks every few seconds; publishes at once when the controller changes."""

    config_entry: ExportMonitorConfigEntry

    def __init__(  # noqa: PLR0913 - the rooms it shows
        self,
        hass: HomeAssistant,
        entry: ExportMonitorConfigEntry,
        control: Control,
        resilience: Resilience,
        circuits: tuple[CircuitBreaker, CircuitBreaker],
        storage: Storage,
        scan_interval_s: float,
    ) -> None:
        """Join the rooms; the first look is taken by set-up.

        `circuits` are those that health speaks of: of updates, and of commands to the battery.
        """
        super().__init__(
            hass,
            _LOGGER,
            config_entry=entry,
            name=const.NAME,
            update_interval=timedelta(seconds=scan_interval_s),
            always_update=False,
        )
        self.control = control
        self.resilience = resilience
        self.staleness = resilience.staleness
        self.circuits = circuits
        self._update_circuit = circuits[0]
        self._storage = storage
        self._outages = Outages(hass, entry.entry_id, resilience.circuits)
        self._was_complete: bool | None = None
        self._polled_once = False
        self._scan_interval_s = scan_interval_s
        self._fed_at: float | None = None
        self._began = control.now().mono

    @callback
    def start_ticking(self) -> Callable[[], None]:
        """Keep ages and health current between polls; returns how to end that."""
        self.control.listen(self.publish)
        stop = async_track_time_interval(self.hass, self._tick, TICK, cancel_on_shutdown=True)

        @callback
        def stop_ticking() -> None:
            stop()
            self._outages.withdraw_all()

        return stop_ticking

    @callback
    def _tick(self, now: datetime) -> None:
        del now
        self._outages.look()
        self._storage.save_counts_soon()
        self.async_update_listeners()

    @callback
    def publish(self) -> None:
        """Show what has just changed, without waiting for the next poll."""
        self.data = self._snapshot()
        self.async_update_listeners()

    async def _async_update_data(self) -> Snapshot:
        """Look, and judge whether the look was good.

        Never fails: the guard and the health sensors live while every input is missing. An open
        update circuit pauses the judging and the showing, never the guard.
        """
        polled = self._update_circuit.can_attempt()
        self.control.observe()
        if polled:
            if self.control.state.watch.incomplete is None:
                self._feed(self._update_circuit.record_success)
                was_stale = self.staleness.is_stale()
                self.staleness.mark_update()
                if was_stale:  # its error need not stand until the next poll
                    self.control.observe()
            elif (
                self.control.lookout.faulty() is not None
                and not self.control.lookout.awaiting_reports
            ):
                # What only the metering objects to is old data, and no reason to look less often.
                self._feed(self._update_circuit.record_failure)
            self._log_change()
        elif self._polled_once and self.control.state.phase is Phase.IDLE:
            return self.data
        self._polled_once = True
        return self._snapshot()

    def _feed(self, record: Callable[[], None]) -> None:
        """Let a poll count. A refresh that somebody asks for in between does not.

        Judged by time, not by who asked: each refresh puts the next scheduled poll off, so that
        one asked for all the time would leave the circuit without any.
        """
        now = self.control.now().mono
        if self._fed_at is None or now - self._fed_at >= self._scan_interval_s - EARLY_S:
            self._fed_at = now
            record()

    def _log_change(self) -> None:
        """Say once that data is gone and once that it is back; waiting at start-up is neither."""
        complete = self.control.state.watch.incomplete is None
        if self._was_complete and not complete:
            _LOGGER.warning("Required data is missing, stale or invalid; no start until it is back")
        elif complete and self._was_complete is False:
            _LOGGER.info("Required data is complete again")
        self._was_complete = complete

    def _snapshot(self) -> Snapshot:
        state = self.control.state
        readings = self.control.readings
        if readings is None:  # set-up observes before anything is shown
            raise RuntimeError
        plans = self.config_entry.runtime_data.plans
        complete = state.watch.incomplete is None
        rates = readings.carbon
        carbon = None if rates is None else rate_at(rates.slots, self.control.now().utc)
        index = carbon.index if carbon is not None else None if rates is None else rates.index
        return Snapshot(
            status=self._status(state),
            running=self.discharge_active,
            complete=complete,
            decision=state.decision if complete else None,
            blocker=self._refusal(Kind.DISCHARGE),
            charge_blocker=self._refusal(Kind.CHARGE),
            session=state.session or state.last,
            errors=self.control.errors,
            soc=readings.soc.value,
            reserve=readings.reserve_soc,
            forecast_cached_since=(
                None if readings.forecast is None else readings.forecast.cached_since
            ),
            carbon=carbon,
            carbon_index=index,
            carbon_cached_since=None if readings.carbon is None else readings.carbon.cached_since,
            degraded=(
                *self.control.lookout.degraded(state, plan_settings_of(merged(self.config_entry))),
                *of_plan(plans.plan, plans.absent),
            ),
            faulty=None if complete else self._faulty(state),
        )

    def _faulty(self, state: State) -> tuple[str, str] | None:
        lookout = self.control.lookout
        return lookout.faulty() or lookout.distrusted(state)

    def _refusal(self, kind: Kind) -> Blocker | None:
        state, readings = self.control.state, self.control.readings
        if state.decision is None or readings is None:  # an observation always decides
            return Blocker.NO_DATA
        dry_run = option_flag(merged(self.config_entry), const.CONF_DRY_RUN)
        return refusal(state, readings, state.decision, kind, dry_run=dry_run)

    def _status(self, state: State) -> DischargeStatus:
        if any(error.state in BATTERY_FAULTS for error in self.control.errors.standing):
            return DischargeStatus.ERROR
        if self.discharge_active:
            return DischargeStatus.ACTIVE
        if state.phase is not Phase.IDLE:  # a charge: nothing is discharged for now
            return DischargeStatus.IDLE
        discharged = state.last is not None and state.last.kind is Kind.DISCHARGE
        if discharged and self.control.now().mono < state.cooldown_until:
            return DischargeStatus.COMPLETE
        needed = (
            state.watch.incomplete is None
            and state.decision is not None
            and state.decision.blocker in (None, Blocker.CIRCUIT_OPEN, Blocker.MODE_CONFLICT)
        )
        return DischargeStatus.NEEDED if needed else DischargeStatus.IDLE

    @property
    def discharge_active(self) -> bool:
        """Whether a discharge runs or its stop is still unproven."""
        state = self.control.state
        return state.phase is not Phase.IDLE and state.kind is Kind.DISCHARGE

    # --- The health API ---

    def can_attempt_operation(self) -> bool:
        """Tell whether neither of the two control circuits refuses."""
        return all(circuit.can_attempt() for circuit in self.circuits)

    def is_circuit_breaker_open(self) -> bool:
        """Tell whether a control circuit is open; half-open counts as closed."""
        return any(circuit.state is BreakerState.OPEN for circuit in self.circuits)

    def is_data_stale(self) -> bool:
        """Tell whether the last good update is older than the limit, or never was."""
        return self.staleness.is_stale()

    def get_data_age(self) -> float | None:
        """Return seconds since the last good update, None before the first."""
        return self.staleness.age()

    def waiting_s(self) -> float:
        """Return seconds since set-up."""
        return self.control.now().mono - self._began

    def get_error_state(self) -> ErrorState:
        """Return the most severe error that stands."""
        error = ledger.shown(self.control.errors)
        return ErrorState.NONE if error is None else error.state

    def set_error_state(self, error: ErrorState, detail: str = "") -> None:
        """Let an error stand and announce it."""
        if error is not ErrorState.NONE:
            self.control.report(error, detail)
            self.publish()

    def clear_error_state(self, error: ErrorState | None = None) -> None:
        """Clear one error, or all that stand; an unproven stop is no matter of opinion."""
        unproven = self.control.state.phase is Phase.STOPPING
        for entry in self.control.errors.standing:
            if unproven and entry.state in (ErrorState.STOP_FAILED, ErrorState.CHARGE_STOP_FAILED):
                continue
            if error in (None, entry.state):
                self.control.withdraw(entry.state, acknowledged=True)
        self.publish()

    def get_system_health(self) -> SystemHealth:
        """Return the worst of circuits, errors and age, in that order."""
        if self.is_circuit_breaker_open():
            return SystemHealth.CIRCUIT_BREAKER_OPEN
        if self.control.errors.standing:
            return SystemHealth.ERROR
        return SystemHealth.STALE_DATA if self.is_data_stale() else SystemHealth.HEALTHY
