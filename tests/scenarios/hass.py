"""Driver 2: the same schedules through the real integration, on Home Assistant's test core.

Time is frozen and moved second by second, as in driver 1. A step of the wall clock alone cannot be
told from time that passes there, so schedules with one are left to driver 1.
"""

import asyncio
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from typing import Any, override
from unittest.mock import patch

from freezegun.api import FrozenDateTimeFactory
from homeassistant.const import EVENT_HOMEASSISTANT_FINAL_WRITE
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import async_fire_time_changed

from custom_components.export_monitor.control import Control
from custom_components.export_monitor.coordinator import SystemHealth
from custom_components.export_monitor.engine.state import (
    Command,
    Ended,
    Event,
    Phase,
    Raise,
    Reply,
    State,
)
from custom_components.export_monitor.storage import Record, Storage
from tests.integration.house import House

from .calls import JITTER
from .faults import Faults
from .judge import Judge
from .look import Look
from .schedule import Fault, FaultKind, Schedule
from .stage import Arrival, Stage, config_of, switch_of

UNSUPPORTED = frozenset({FaultKind.CLOCK_JUMP})
SHUTDOWN_S = 18


class StagedHouse(House):
    """A schedule's stage, mirrored into Home Assistant."""

    def __init__(
        self, hass: HomeAssistant, freezer: FrozenDateTimeFactory, schedule: Schedule, judge: Judge
    ) -> None:
        """Build the house; nothing is set up yet."""
        self.schedule = schedule
        self.judge = judge
        self.stage = Stage(schedule)
        self.faults = Faults(self.stage, schedule.faults)
        self._alive = False
        self._down_until: int | None = None
        self._down_s = 0
        self._leaving: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()
        super().__init__(hass, freezer, start=schedule.settings.begin)
        self.plant, self.home = self.stage.plant, self.stage.home
        self._mirror()

    # The run

    async def play(self) -> None:
        """Play the schedule to its end."""
        with _heard_by(self.judge):
            await self._play()

    async def _play(self) -> None:
        async with self._stack:
            for arrival in self.stage.all_states():
                self._show(arrival)
            await self.set_up(wiring=config_of(self.schedule.settings), zone="Europe/London")
            self._took_over()
            for _ in range(self.schedule.total):
                await self._second()
            self.judge.finish()
            self.let_go()

    @override
    async def set_up(
        self,
        *,
        wiring: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        zone: str = "UTC",
        **options: object,
    ) -> None:
        """Set up with exactly what is given, roles that are absent included."""
        self._zone = zone
        await self.hass.config.async_set_time_zone(zone)
        self.entry.add_to_hass(self.hass)
        self.hass.config_entries.async_update_entry(self.entry, data=wiring or {}, options=options)
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.settle()

    async def _second(self) -> None:
        phase = self.state.phase if self._alive else Phase.IDLE
        begun = self.faults.advance()
        for fault in begun:
            await self._strike(fault)
        if self._alive:
            await self.settle()
            self._act(self.stage.second)
            await self.settle()
        self.judge.faults(begun, self.faults.standing, phase)
        self.freezer.tick(timedelta(seconds=1))
        self.stage.advance()
        if self._alive:
            self._mirror()
            async_fire_time_changed(self.hass, dt_util.utcnow())
            await self.settle()
            await self._leave_when_stopped()
        else:
            self.stage.arrivals()
            if self._down_until is not None and self.stage.second >= self._down_until:
                await self._boot()
        self.judge.look(self._look())

    def _act(self, second: int) -> None:
        schedule = self.schedule
        if self._leaving is not None:
            return
        tries = {schedule.start_at + i * schedule.retry_s for i in range(schedule.start_tries)}
        over = schedule.stop_at is not None and second >= schedule.stop_at
        idle = self.state.phase is Phase.IDLE and not self.judge.tally.reached_active
        if second in tries and not over and idle:
            self.judge.start_requested()
            limits = {
                "energy_kwh": schedule.energy_kwh,
                "duration_minutes": schedule.duration_min,
            }
            given = {name: value for name, value in limits.items() if value is not None}
            self._forget(self.ask(f"start_{schedule.settings.kind}", **given))
        if second == schedule.stop_at:
            self.judge.stop_requested(second)
            self._forget(self.ask(f"stop_{schedule.settings.kind}"))

    @staticmethod
    def _forget(task: asyncio.Task[Any]) -> None:
        """Let a request end as it will: a refusal is no matter of this driver."""
        task.add_done_callback(lambda done: done.cancelled() or done.exception())

    # Life

    def _took_over(self) -> None:
        """Let the judge hear what the controller does."""
        control = self.runtime.control
        control._battery._call.random = lambda: JITTER
        self._break_storage(Storage.of(self.hass, self.entry.entry_id))
        self._alive = True

    def _break_storage(self, storage: Storage) -> None:
        save = storage.save

        async def guarded(record: Record) -> None:
            if self.faults.stands(FaultKind.STORAGE_FAILS):
                raise OSError("no space left")
            await save(record)

        storage.save = guarded  # type: ignore[method-assign]

    async def _strike(self, fault: Fault) -> None:
        idle = self._alive and self._leaving is None
        if fault.kind in (FaultKind.KILL, FaultKind.RESTART):
            if self._down_until is not None or self._leaving is not None:
                return
            self._down_s = fault.duration
            if fault.kind is FaultKind.KILL:
                await self._die()
            elif idle:
                stop = self.runtime.control._stop_before_shutdown()
                self._leaving = self.hass.async_create_task(stop)
                self._leaving_since = self.stage.second
        elif fault.kind is FaultKind.RELOAD and idle:
            await self.hass.config_entries.async_reload(self.entry.entry_id)
            self._took_over()

    async def _leave_when_stopped(self) -> None:
        if self._leaving is None:
            return
        waited = self.stage.second - self._leaving_since
        if self._leaving.done() or waited > SHUTDOWN_S:
            self.hass.bus.async_fire(EVENT_HOMEASSISTANT_FINAL_WRITE)
            await self.settle()
            await self._die()

    async def _die(self) -> None:
        self.judge.died(self._look())
        self._final = self._look()
        if self._leaving is not None:
            self._leaving.cancel()
        self.home.kill()
        self._alive, self._leaving = False, None
        self._down_until = self.stage.second + self._down_s
        self.let_go()

    @override
    def let_go(self) -> None:
        """End all of it without another word, as a kill does."""
        super().let_go()
        endings, self.entry._on_unload = self.entry._on_unload or (), None
        for end in endings:
            pending = end()
            if pending is not None:
                pending.close()

    async def _boot(self) -> None:
        self._down_until = None
        self.home.start()
        await self._stack.enter_async_context(self.restarted(CoreState.starting))
        self._took_over()
        self._mirror()

    # Home Assistant's side

    def _show(self, arrival: Arrival) -> None:
        if arrival.value is None:
            self.hass.states.async_remove(arrival.entity_id)
        else:
            attributes = dict(arrival.attributes)
            self.hass.states.async_set(arrival.entity_id, arrival.value, attributes)

    @override
    def _show_all(self) -> None:
        for arrival in self.stage.all_states():
            self._show(arrival)

    @override
    def _mirror(self) -> None:
        for arrival in self.stage.arrivals():
            self._show(arrival)

    @override
    async def _serve(self, call: ServiceCall) -> None:
        entity_id = str(call.data["entity_id"])
        if call.service == "turn_on" and entity_id == switch_of(self.schedule.settings):
            self.judge.switched_on(self.hass.states.get, self.stage)
        fault = self.faults.of_service(entity_id)
        kind = None if fault is None else fault.kind
        if kind is FaultKind.SERVICE_RAISES:
            raise HomeAssistantError("failed")
        if kind is FaultKind.SERVICE_IGNORED:
            return
        if kind is FaultKind.SERVICE_HANGS:
            await asyncio.Event().wait()
        takes_s = float(self.schedule.settings.service_s)
        if fault is not None and kind is FaultKind.SERVICE_SLOW:
            takes_s = fault.value
        if takes_s:
            self.stage.postpone(takes_s, call.domain, call.service, call.data)
            await asyncio.sleep(takes_s)
        else:
            self.stage.obey(call.domain, call.service, call.data)
            self._mirror()

    def _look(self) -> Look:
        if not self._alive:
            return _still(self._final, self.stage)
        control, coordinator = self.runtime.control, self.runtime.coordinator
        state, health = control.state, coordinator.get_system_health()
        return Look(
            second=self.stage.second,
            utc=self.stage.utc,
            truth=self.stage.truth(),
            alive=True,
            phase=state.phase,
            errors=frozenset(e.state for e in control.errors.standing),
            healthy=health is SystemHealth.HEALTHY,
            health=health.value,
            session=state.session,
            last=state.last,
            decision=state.decision,
            counted_kwh=state.meter.counter.total,
        )


def _still(look: Look, stage: Stage) -> Look:
    """Return the last look as of now, with nobody there."""
    return Look(
        second=stage.second,
        utc=stage.utc,
        truth=stage.truth(),
        alive=False,
        phase=look.phase,
        errors=look.errors,
        healthy=look.healthy,
        health=look.health,
        session=look.session,
        last=look.last,
        decision=look.decision,
        counted_kwh=look.counted_kwh,
    )


@contextmanager
def _heard_by(judge: Judge) -> Iterator[None]:
    """Have the judge hear every step of a controller and every command it carries out."""
    take_step, carry_out = Control._step, Control._carry_out

    def stepped(control: Control, event: Event) -> None:
        before: State = control.state
        take_step(control, event)
        judge.stepped(before, control.state)

    def carried_out(control: Control, command: Command) -> None:
        match command:
            case Raise(error):
                judge.raised(error)
            case Reply():
                judge.replied(command)
            case Ended(session):
                judge.ended(session)
            case _:
                pass
        carry_out(control, command)

    with (
        patch.object(Control, "_step", stepped),
        patch.object(Control, "_carry_out", carried_out),
    ):
        yield
