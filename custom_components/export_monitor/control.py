"""Carries the machine's commands out and feeds the results back; owns the guard's timer."""

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
import logging
import time
from typing import Any
from uuid import uuid4

from homeassistant.core import CALLBACK_TYPE, Event, HassJob, HomeAssistant, callback
from homeassistant.helpers.event import (
    async_call_later,
    async_track_state_change_event,
    async_track_state_report_event,
    async_track_time_interval,
)
from homeassistant.util import dt as dt_util

from .alerts import Alerts
from .engine import errors as ledger
from .engine.restart import resume
from .engine.session import step
from .engine.state import (
    Answer,
    Answered,
    Clear,
    Command,
    Ended,
    Event as MachineEvent,
    Observed,
    Phase,
    Raise,
    Reply,
    Revised,
    StartRequested,
    State,
    StopRequested,
    Write,
    WriteKind,
)
from .engine.stop import STOP_ERRORS
from .failsafe import Failsafe
from .journal import log_answer, log_end
from .lookout import Lookout
from .models import (
    EndReason,
    Errors,
    ErrorState,
    Instant,
    Kind,
    Observation,
    Origin,
    Readings,
)
from .records import Records
from .storage import Record, Storage, record_of

_LOGGER = logging.getLogger(__name__)

ORPHAN_GRACE_S = 10.0
SHUTDOWN_WAIT_S = 18.0  # Home Assistant waits 20 s for shutdown jobs
GUARD_INTERVAL = timedelta(seconds=1)


class Control:
    """The hands of the session machine for one entry.

    Every change of the machine goes through `_take`, one event at a time; what it asks for runs
    in tasks whose results come back as events.
    """

    def __init__(
        self, hass: HomeAssistant, lookout: Lookout, storage: Storage, alerts: Alerts
    ) -> None:
        """Join the rooms; nothing runs before `begin`."""
        self._hass = hass
        self.lookout = lookout
        self._wiring = lookout.sources.wiring
        self._battery = lookout.battery
        self._alerts = alerts
        self.state = State()
        self.errors = Errors()
        self._listeners: list[Callable[[], None]] = []
        self._witnesses: list[Callable[[Command | None, State, State], None]] = []
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._starts: set[asyncio.Task[None]] = set()
        self._unsubscribe: list[CALLBACK_TYPE] = []
        self._stop_guarding: list[CALLBACK_TYPE] = []
        self._events: deque[MachineEvent] = deque()
        self._taking = False
        self._orphan_timer: CALLBACK_TYPE | None = None
        self._left = False
        self._shutting_down = False
        self._unheard = False
        self._records = Records(hass, storage, self._record)
        self._failsafe = Failsafe(hass, self._write_bare, time.monotonic)

    # --- Life ---

    async def begin(self, before: "Control | None" = None) -> None:
        """Take up the state of the run before, or the stored one; then look and listen."""
        if before is not None:
            before.leave()
            self._alerts.withdraw_all()  # what still holds is found again
            self.state = resume(before.state, before.now(), self.now())
            known = before.errors
        else:
            record = await self._records.load()
            known = Errors() if record is None else record.errors()
            if record is not None:
                self.state = resume(record.state(), Instant(record.saved, 0.0), self.now())
        self._take_over(known)
        self._unsubscribe = [
            async_track_state_change_event(self._hass, self._wiring.deciding_ids, self._on_report),
            self._hass.async_add_shutdown_job(HassJob(self._stop_before_shutdown)),
        ]
        self.observe()

    def _take_over(self, known: Errors) -> None:
        """Let what stood before a reload or a restart go on standing: it has not happened again."""
        self.errors = ledger.kept(known, self.state.faults)
        for each in self.errors.standing:
            self._alerts.announce(each.state, each.entity_id, each.detail, again=True)
        for error in self.state.faults:
            if ledger.standing(self.errors, error) is None:  # a record of an older version
                self.report(error)

    async def _stop_before_shutdown(self) -> None:
        """Stop a running session while the battery can still be reached."""
        self._shutting_down = True
        if self.state.phase is not Phase.IDLE:
            with suppress(TimeoutError):  # Home Assistant goes down all the same
                async with asyncio.timeout(SHUTDOWN_WAIT_S):
                    await self.stop(EndReason.UNLOAD)

    @callback
    def orphan(self, then: Callable[[], None]) -> None:
        """Go on alone after the entry was unloaded, until the next run takes over.

        If none does within seconds, this is no reload: a running session is stopped, followed
        until proven, and `then` is called.
        """

        @callback  # anything else would run in a thread
        def grace_is_over(now: datetime) -> None:
            del now
            self._orphan_timer = None
            self.end(EndReason.UNLOAD)

        self._listeners = [lambda: self._leave_when_idle(then)]
        self._orphan_timer = async_call_later(self._hass, ORPHAN_GRACE_S, grace_is_over)
        self._leave_when_idle(then)

    @callback
    def forget(self) -> None:
        """Keep no record any more: the entry was removed."""
        self._records.forget()

    @callback
    def end(self, reason: EndReason) -> None:
        """Stop whatever runs, without waiting."""
        if self.state.phase is not Phase.IDLE:
            self._take(StopRequested(self._observation(), reason))

    @callback
    def _leave_when_idle(self, then: Callable[[], None]) -> None:
        if self.state.phase is Phase.IDLE:
            self.leave()
            self._alerts.withdraw_all()  # the next run finds again what still holds
            then()

    @callback
    def leave(self) -> None:
        """Look and listen no more; what is still being started is called off."""
        self._left = True
        self._alerts.hush()
        self._listeners.clear()
        self._witnesses.clear()
        if self._orphan_timer is not None:
            self._orphan_timer()
            self._orphan_timer = None
        for unsubscribe in (*self._unsubscribe, *self._stop_guarding):
            unsubscribe()
        self._unsubscribe.clear()
        self._stop_guarding.clear()
        for task in tuple(self._starts):
            task.cancel()
        starting = self.state.starting
        for request_id in tuple(self._replies):  # whoever asked must not wait for ever
            called_off = starting is not None and starting.request_id == request_id
            self._reply(Reply(request_id, Answer.CANCELLED if called_off else Answer.UNPROVEN))

    def listen(self, listener: Callable[[], None]) -> None:
        """Call back after every event that changed something worth showing."""
        self._listeners.append(listener)

    def witness(self, witness: Callable[[Command | None, State, State], None]) -> None:
        """Call with every command, and after every step with none, and the states around it."""
        self._witnesses.append(witness)

    @staticmethod
    def now() -> Instant:
        """Return the present on both clocks: the one clock of the package."""
        return Instant(dt_util.utcnow(), time.monotonic())

    # --- Events ---

    @callback
    def observe(self) -> None:
        """Look at everything now and decide."""
        self._take(Observed(self._observation()))

    @callback
    def _on_report(self, event: Event[Any]) -> None:
        del event
        self.observe()

    @callback
    def _on_guard(self, now: datetime) -> None:
        del now
        self.observe()

    async def start(  # noqa: PLR0913 - the limits a session may be given
        self,
        *,
        kind: Kind = Kind.DISCHARGE,
        origin: Origin = Origin.MANUAL,
        power_w: float | None = None,
        energy_kwh: float | None = None,
        duration_min: float | None = None,
        until: datetime | None = None,
        soc: float | None = None,
    ) -> Reply:
        """Ask for a session and wait until it runs or has failed."""
        request_id = uuid4().hex
        if self._left or self._shutting_down:  # nobody would guard it
            return Reply(request_id, Answer.CANCELLED)
        event = StartRequested(
            self._observation(),
            request_id,
            origin,
            power_w=power_w,
            energy_kwh=energy_kwh,
            duration_min=duration_min,
            kind=kind,
            until=until,
            soc=soc,
        )
        return await self._ask(request_id, event)

    async def stop(
        self,
        reason: EndReason = EndReason.USER,
        note: str | None = None,
        kind: Kind = Kind.DISCHARGE,
    ) -> Reply:
        """Stop whatever runs; return when that is proven, or late by the alarm.

        `kind` says what to switch off where nothing of ours runs.
        """
        request_id = uuid4().hex
        if self._left:
            return Reply(request_id, Answer.UNPROVEN)
        return await self._ask(
            request_id, StopRequested(self._observation(), reason, request_id, note, kind)
        )

    @callback
    def revise(self, energy_kwh: float, until: datetime) -> None:
        """Let the running automatic session go on to the limits of a new plan."""
        self._take(Revised(self._observation(), energy_kwh, until))

    async def _ask(self, request_id: str, event: MachineEvent) -> Reply:
        reply: asyncio.Future[Reply] = self._hass.loop.create_future()
        self._replies[request_id] = reply
        self._take(event)
        return await reply

    @property
    def readings(self) -> Readings | None:
        """What the sources said at the last look."""
        return self.lookout.readings

    def _observation(self) -> Observation:
        return self.lookout.observe(self.now())

    @callback
    def _take(self, event: MachineEvent) -> None:
        """Let the machine take an event and carry out what it asks for.

        A write can answer before it is waited for; its answer then queues up behind.
        """
        self._events.append(event)
        if self._taking or self._left:
            return
        self._taking = True
        try:
            while self._events and not self._left:
                event = self._events.popleft()
                try:
                    self._step(event)
                except Exception:  # a fault of ours must not leave the battery running
                    _LOGGER.exception("The controller failed on %s", type(event).__name__)
                    self._stop_bare(event)
        finally:
            self._taking = False

    def _stop_bare(self, event: MachineEvent) -> None:
        """Stop without the machine, and leave nobody waiting for its answer."""
        asked = isinstance(event, StopRequested)
        if isinstance(event, StartRequested | StopRequested) and event.request_id is not None:
            self._reply(Reply(event.request_id, Answer.UNPROVEN if asked else Answer.FAILED))
        if self.state.phase is Phase.IDLE and not asked:
            return
        kind = self.state.kind
        if isinstance(event, StopRequested) and self.state.phase is Phase.IDLE:
            kind = event.kind if self._wiring.charge_switch_id else Kind.DISCHARGE
        if self._failsafe.stop(kind, asked=asked):
            self.report(STOP_ERRORS[kind], "internal error")

    def _write_bare(self, kind: WriteKind, mode: Kind) -> None:
        self._write(Write(0, self.state.epoch, kind, mode=mode))

    def _step(self, event: MachineEvent) -> None:
        before = self.state
        self.state, commands = step(before, event)
        for command in commands:
            self._carry_out(command)
            self._tell(command, before)
        self._tell(None, before)
        self.lookout.sources.judge_steps(before, self.state)
        self._guard_while_needed()
        self._records.keep(before, self.state)
        if commands or before.phase is not self.state.phase:
            for listener in tuple(self._listeners):
                self._safely(listener)

    def _tell(self, command: Command | None, before: State) -> None:
        for witness in tuple(self._witnesses):
            self._safely(lambda hear=witness: hear(command, before, self.state))  # type: ignore[misc]

    def _safely(self, tell: Callable[[], None]) -> None:
        """Tell somebody; what fails there is no fault of the machine, and stops nothing."""
        try:
            tell()
        except Exception:
            if not self._unheard:
                _LOGGER.exception("What the controller has done could not be told")
            self._unheard = True

    def _carry_out(self, command: Command) -> None:
        match command:
            case Write():
                self._write(command)
            case Raise(error, detail):
                self.report(error, detail)
            case Clear(error):
                self.withdraw(error)
            case Reply():
                log_answer(command, self.state.decision, self.lookout.age())
                self._reply(command)
            case Ended(session):
                log_end(session)

    def _reply(self, answer: Reply) -> None:
        reply = self._replies.pop(answer.request_id, None)
        if reply is not None and not reply.done():
            reply.set_result(answer)

    # --- Errors ---

    @callback
    def report(self, error: ErrorState, detail: str = "") -> None:
        """Let an error stand and announce it."""
        entity_id, problem = self.lookout.culprit(error, self.state)
        detail = detail or problem
        before = self.state
        self.state = replace(before, faults=before.faults | {error})
        self.errors = ledger.raised(self.errors, error, dt_util.utcnow(), detail, entity_id)
        self._alerts.announce(error, entity_id, detail)
        self._records.keep(before, self.state)

    @callback
    def withdraw(self, error: ErrorState, *, acknowledged: bool = False) -> None:
        """Let an error stand no longer and take its announcement back.

        What somebody has only `acknowledged` may be as it was: no all-clear is given.
        """
        before = self.state
        self.state = replace(before, faults=before.faults - {error})
        self.errors = ledger.cleared(self.errors, error)
        self._alerts.withdraw(error, all_clear=not acknowledged)
        self._records.keep(before, self.state)

    # --- Writes ---

    def _write(self, write: Write) -> None:
        for older in tuple(self._starts):  # what nobody waits for must not arrive after this
            if write.stops or older is not asyncio.current_task():
                older.cancel()
        task = self._hass.async_create_background_task(
            self._write_and_answer(write), f"export_monitor {write.kind}"
        )
        if not write.stops:
            self._starts.add(task)
            task.add_done_callback(self._starts.discard)

    async def _write_and_answer(self, write: Write) -> None:
        lasting = write.kind is WriteKind.SWITCH_ON or self.state.modulation.raises(write.id)
        if lasting and not await self._records.save():  # a restart must know of it
            # Home Assistant's storage tells of few failures, but those are a no.
            self._take(Answered(self.now(), write, ok=False, detail="record not written"))
            return
        session = self.state.session
        tag = "" if session is None else session.id
        result = await self._battery.carry_out(write, lambda: self.state.epoch == write.epoch, tag)
        if not result.ok:
            _LOGGER.warning(
                "[%s] Battery write %s: %s %s", tag, write.kind, result.outcome, result.detail
            )
        detail = "" if result.ok else f"{result.outcome}: {result.detail}"
        self._take(Answered(self.now(), write, result.ok, detail))

    # --- Guard ---

    def _guard_while_needed(self) -> None:
        """Run the guard's own timer, and decide on every report, while anything is under way.

        And for some minutes after a stop: what comes back late must not wait for polls.
        """
        if self.state.phase is Phase.IDLE and self.now().mono >= self.state.aftermath_until:
            for stop in self._stop_guarding:
                stop()
            self._stop_guarding.clear()
        elif not self._stop_guarding:  # also where a stop is followed after an unload
            ids = self._wiring.guarding_ids
            self._stop_guarding = [
                async_track_time_interval(self._hass, self._on_guard, GUARD_INTERVAL),
                async_track_state_change_event(self._hass, ids, self._on_report),
                async_track_state_report_event(self._hass, ids, self._on_report),
            ]

    def _record(self) -> Record:
        return record_of(self.state, self.errors, dt_util.utcnow())
