"""A simulated house mirrored into the test's Home Assistant, second by second on frozen time."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import issue_registry as ir
from homeassistant.loader import DATA_CUSTOM_COMPONENTS
from homeassistant.util import dt as dt_util
from pytest_homeassistant_custom_component.common import (
    MockConfigEntry,
    async_fire_time_changed,
    async_test_home_assistant,
)

from custom_components.export_monitor import ORPHANS, const
from custom_components.export_monitor.coordinator import Runtime
from custom_components.export_monitor.engine.state import Phase, State
from custom_components.export_monitor.ledger_file import FILES
from custom_components.export_monitor.storage import STORAGES
from simulator.alphaess_home import AC_LIMIT, RESET_FULL, AlphaEssHome, Habits, number, switch
from simulator.home_states import UNAVAILABLE
from simulator.plant import Plant
from simulator.settings import PlantSettings

DISCHARGING = switch("discharging")
CHARGING = switch("charging")
SERVICES = (
    ("input_boolean", "turn_on"),
    ("input_boolean", "turn_off"),
    ("input_number", "set_value"),
    ("number", "set_value"),
    ("input_button", "press"),
)
PREFIX = "sensor.alphaess_"
FEED_IN_TODAY = f"{PREFIX}today_s_energy_feed_to_grid_meter"
PV_TODAY = f"{PREFIX}today_s_energy_from_pv"
WIRING: dict[str, Any] = {
    const.CONF_PRESET: "alphaess",
    const.CONF_DISCHARGE_SWITCH: DISCHARGING,
    const.CONF_DISCHARGE_POWER: number("discharging", "power"),
    const.CONF_DISCHARGE_DURATION: number("discharging", "duration"),
    const.CONF_DISCHARGE_CUTOFF: number("discharging", "cutoff_soc"),
    const.CONF_FALLBACK_STOP: RESET_FULL,
    const.CONF_CONFLICTING_MODES: [switch("charging"), switch("export")],
    const.CONF_SOC: f"{PREFIX}soc_battery",
    const.CONF_EXPORT_ENERGY: FEED_IN_TODAY,
    const.CONF_PV_ENERGY: [PV_TODAY],
    const.CONF_GRID_POWER: f"{PREFIX}power_grid",
    const.CONF_BATTERY_POWER: f"{PREFIX}power_battery",
    const.CONF_PV_POWER: f"{PREFIX}current_pv_production",
    const.CONF_HOUSE_LOAD: f"{PREFIX}current_house_load",
    const.CONF_DISPATCH_START: f"{PREFIX}dispatch_start",
}
CHARGE: dict[str, Any] = {
    const.CONF_CHARGE_SWITCH: CHARGING,
    const.CONF_CHARGE_POWER: number("charging", "power"),
    const.CONF_CHARGE_DURATION: number("charging", "duration"),
    const.CONF_CHARGE_CUTOFF: number("charging", "cutoff_soc"),
}
SOLCAST = "sensor.solcast_pv_forecast_"
FORECAST: dict[str, Any] = {
    const.CONF_FORECAST_TODAY: f"{SOLCAST}forecast_today",
    const.CONF_FORECAST_TOMORROW: f"{SOLCAST}forecast_tomorrow",
    const.CONF_FORECAST_REMAINING: f"{SOLCAST}forecast_remaining_today",
    const.CONF_FORECAST_LAST_FETCH: f"{SOLCAST}api_last_polled",
}
OPTIONS: dict[str, Any] = {
    const.CONF_TARGET_EXPORT: 3000,
    const.CONF_BASIS: "fixed",
    const.CONF_FIXED_LIMIT: 1.5,
    const.CONF_SAFETY_MARGIN: 0.5,
}
EVENING = datetime(2026, 6, 21, 21, tzinfo=UTC)
SPIN = 20  # turns of the event loop that let everything ready run

type Handler = Callable[[ServiceCall], Awaitable[None]]


class House:
    """One house, its battery package, and an entry of the integration that watches it.

    `advance` moves plant, sensors and Home Assistant together. `services` holds stand-ins for the
    package's services, to make one hang, raise or lie; `broken` the same for what is asked of one
    entity; `hidden` and `frozen` hold entity ids whose reports do not arrive, or arrive with an
    old value.
    """

    EVENING = EVENING
    LATE = EVENING.replace(hour=23, minute=58, second=50)

    def __init__(
        self,
        hass: HomeAssistant,
        freezer: FrozenDateTimeFactory,
        *,
        start: datetime = EVENING,
        soc: float = 80.0,
        load_w: float = 500.0,
        pv_w: float = 0.0,
        habits: Habits | None = None,
        plant: PlantSettings | None = None,
    ) -> None:
        """Begin at a moment, with the package's services in place."""
        self.hass = hass
        self.freezer = freezer
        freezer.move_to(start)
        self.plant = Plant(plant or PlantSettings(start=start, soc=soc))
        self.plant.pv_w, self.plant.load_w = pv_w, load_w
        self.home = AlphaEssHome(self.plant, habits)
        self.home.call("input_select", "select_option", {"entity_id": AC_LIMIT, "option": "5"})
        self.services: dict[tuple[str, str], Handler] = {}
        self.broken: dict[str, Handler] = {}
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.called_at: list[float] = []
        self._late: list[tuple[float, ServiceCall]] = []
        self._zone = "UTC"
        self.hidden: set[str] = set()
        self.frozen: dict[str, str] = {}
        self.entry = MockConfigEntry(domain=const.DOMAIN, title="Export Monitor", version=1)
        hass.loop.slow_callback_duration = 3600  # time that is moved is no slow callback
        for domain, service in SERVICES:
            hass.services.async_register(domain, service, self._serve)
        self._mirror()

    # The integration

    async def set_up(
        self,
        *,
        wiring: dict[str, Any] | None = None,
        without: tuple[str, ...] = (),
        zone: str = "UTC",
        **options: object,
    ) -> None:
        """Set the integration up; `without` leaves optional roles out."""
        self._zone = zone
        await self.hass.config.async_set_time_zone(zone)
        data = {k: v for k, v in {**WIRING, **(wiring or {})}.items() if k not in without}
        self.entry.add_to_hass(self.hass)
        self.hass.config_entries.async_update_entry(
            self.entry, data=data, options={**OPTIONS, **options}
        )
        assert await self.hass.config_entries.async_setup(self.entry.entry_id)
        await self.settle()

    @property
    def runtime(self) -> Runtime:
        """Return the loaded entry's rooms."""
        runtime: Runtime = self.entry.runtime_data
        return runtime

    @property
    def state(self) -> State:
        """Return the session machine's state."""
        return self.runtime.control.state

    def entity(self, name: str) -> str:
        """Return the state of one of the integration's sensors."""
        found = self.hass.states.get(f"sensor.export_monitor_{name}")
        assert found is not None, name
        return found.state

    def attributes(self, name: str) -> dict[str, Any]:
        """Return the attributes of one of the integration's sensors."""
        found = self.hass.states.get(f"sensor.export_monitor_{name}")
        assert found is not None, name
        return dict(found.attributes)

    def issue(self, name: str) -> ir.IssueEntry | None:
        """Return one of the entry's repair issues, None while it is not raised."""
        issues = ir.async_get(self.hass)
        return issues.async_get_issue(const.DOMAIN, f"{name}_{self.entry.entry_id}")

    @property
    def discharging(self) -> bool:
        """Tell whether the plant holds a dispatch: the truth."""
        return self.plant.truth().dispatch_active

    def asked(self, *services: str) -> list[Any]:
        """Return what was asked of the battery: entity and value of every such service call."""
        return [
            (data["entity_id"], data.get("value"))
            for _, service, data in self.calls
            if service in services
        ]

    def options(self, **options: object) -> None:
        """Change options while all goes on."""
        self.hass.config_entries.async_update_entry(
            self.entry, options={**self.entry.options, **options}
        )

    def notification(self, name: str) -> str | None:
        """Return the text of one of the integration's notifications, None while it is not up."""
        shown = self.hass.data.get("persistent_notification", {})
        found = shown.get(f"export_monitor_{name}")
        return None if found is None else str(found["message"])

    async def call(self, service: str, **data: object) -> dict[str, Any]:
        """Call one of the integration's services while time goes on; return its response."""
        task = self.ask(service, **data)
        for _ in range(180):
            await self.settle()
            if task.done():
                break
            await self.advance(1)
        response: dict[str, Any] = task.result()  # type: ignore[assignment]
        return response

    def ask(self, service: str, **data: object) -> asyncio.Task[Any]:
        """Call one of the integration's services without waiting for it."""
        silent = ("reset_circuit_breaker",)  # Home Assistant refuses to ask these for an answer
        return self.hass.async_create_task(
            self.hass.services.async_call(
                const.DOMAIN,
                service,
                data,
                blocking=True,
                return_response=service not in silent,
            )
        )

    async def discharge(self, seconds: float = 10, **data: object) -> None:
        """Start a discharge and let it run for some seconds."""
        await self.call("start_discharge", **data)
        assert self.state.phase is Phase.ACTIVE
        await self.advance(seconds)

    async def move_to(self, hass: HomeAssistant, state: CoreState = CoreState.running) -> None:
        """Let the house go on in a Home Assistant started anew, with the same entry."""
        self.let_go()
        entry = self.entry
        self.hass = hass
        hass.data.pop(DATA_CUSTOM_COMPONENTS, None)
        hass.loop.slow_callback_duration = 3600
        hass.set_state(state)
        self.entry = MockConfigEntry(
            domain=const.DOMAIN,
            title=entry.title,
            version=1,
            entry_id=entry.entry_id,
            data=entry.data,
            options=entry.options,
        )
        for domain, service in SERVICES:
            hass.services.async_register(domain, service, self._serve)
        self._show_all()
        await hass.config.async_set_time_zone(self._zone)
        self.entry.add_to_hass(hass)
        assert await hass.config_entries.async_setup(self.entry.entry_id)
        await self.settle()

    @asynccontextmanager
    async def restarted(self, state: CoreState = CoreState.running) -> AsyncIterator[None]:
        """Let the house go on in a second Home Assistant on the same storage, and end that."""
        async with async_test_home_assistant() as hass:
            await self.move_to(hass, state)
            try:
                yield
            finally:
                self.let_go()
                await hass.async_stop(force=True)

    def let_go(self) -> None:
        """End what a test leaves under way: Home Assistant's stop would wait for it."""
        orphans = list(self.hass.data.get(ORPHANS, {}).values())
        loaded = [self.runtime.control] if hasattr(self.entry, "runtime_data") else []
        for control in (*orphans, *loaded):
            control.leave()
            control.state = State()
        if loaded:
            self.runtime.coordinator._unschedule_refresh()
            self.runtime.plans._stop()
            self.runtime.autopilot._stop()
        for storage in self.hass.data.get(STORAGES, {}).values():
            storage._store._async_cleanup_delay_listener()
            storage._counts_store._async_cleanup_delay_listener()
            storage._plan_store._async_cleanup_delay_listener()
        for file in self.hass.data.get(FILES, {}).values():
            file._store._async_cleanup_delay_listener()

    # Time

    async def advance(self, seconds: float, until: Callable[[], bool] | None = None) -> None:
        """Let seconds pass one by one, or fewer where a condition comes true."""
        for _ in range(round(seconds)):
            self.freezer.tick(timedelta(seconds=1))
            self.home.advance(1)
            for entry in [e for e in self._late if e[0] <= self.plant.elapsed_s]:
                self._late.remove(entry)
                self.home.call(entry[1].domain, entry[1].service, entry[1].data)
            self._mirror()
            async_fire_time_changed(self.hass, dt_util.utcnow())
            await self.settle()
            if until is not None and until():
                return

    def postpone(self, seconds: float, call: ServiceCall) -> None:
        """Carry a call out after seconds, whatever becomes of its caller."""
        self._late.append((self.plant.elapsed_s + seconds, call))

    async def settle(self) -> None:
        """Let everything run that is ready; what waits for time goes on waiting."""
        while True:
            for _ in range(SPIN):
                await asyncio.sleep(0)
                if not self.hass.loop._ready and not self._in_threads:  # type: ignore[attr-defined]
                    break
            if not self._in_threads:  # no turn of the loop waits for them
                break
        self._mirror()

    @property
    def _in_threads(self) -> bool:
        """Whether a plan is being made, or a file read or written."""
        jobs = self.hass._tasks | self.hass._background_tasks
        return self._planning or any(not isinstance(job, asyncio.Task) for job in jobs)

    @property
    def _planning(self) -> bool:
        return hasattr(self.entry, "runtime_data") and self.runtime.plans.busy

    # Faults

    def damage(self, entity_id: str, how: str) -> None:
        """Let whatever is asked of one entity `raise`, `hang`, `lie`, or find it `unavailable`."""
        if how == "unavailable":
            self.hide(entity_id)
        else:
            self.broken[entity_id] = {"raise": _raise, "hang": _never, "lie": _nothing}[how]

    def charge(self) -> None:
        """Let the user turn forced charging on for an hour."""
        for name, value in (("power", 2), ("cutoff_soc", 100), ("duration", 60)):
            data = {"entity_id": number("charging", name), "value": value}
            self.home.call("input_number", "set_value", data)
        self.home.call("input_boolean", "turn_on", {"entity_id": switch("charging")})

    def silence(self, *entity_ids: str) -> None:
        """Let entities stand still: the old value stays, no report arrives."""
        self.hidden.update(entity_ids)

    def hang(self, domain: str, service: str) -> None:
        """Let a service never return and do nothing."""
        self.services[domain, service] = _never

    def lie(self, domain: str, service: str) -> None:
        """Let a service succeed and do nothing."""
        self.services[domain, service] = _nothing

    def fail(self, domain: str, service: str) -> None:
        """Let a service raise."""
        self.services[domain, service] = _raise

    def hide(self, *entity_ids: str) -> None:
        """Let entities become unavailable."""
        self.hidden.update(entity_ids)
        for entity_id in entity_ids:
            self.hass.states.async_set(entity_id, UNAVAILABLE)

    def show(self) -> None:
        """Let every entity report again, beginning with what it holds."""
        hidden, self.hidden = self.hidden, set()
        states = self.home.states()
        for entity_id in hidden:
            self.hass.states.async_set(
                entity_id, states[entity_id].value, dict(states[entity_id].attributes)
            )

    def _show_all(self) -> None:
        """Show what a Home Assistant that starts anew finds."""
        for entity_id, shown in self.home.states().items():
            if entity_id not in self.hidden:
                self.hass.states.async_set(entity_id, shown.value, dict(shown.attributes))

    def _mirror(self) -> None:
        for entity_id, state in self.home.drain_reports():
            if entity_id not in self.hidden:
                value = self.frozen.get(entity_id, state.value)
                self.hass.states.async_set(entity_id, value, dict(state.attributes))

    async def _serve(self, call: ServiceCall) -> None:
        self.calls.append((call.domain, call.service, dict(call.data)))
        self.called_at.append(self.plant.elapsed_s)
        stand_in = self.services.get((call.domain, call.service))
        stand_in = self.broken.get(call.data["entity_id"], stand_in)
        if stand_in is not None:
            await stand_in(call)
            return
        self.home.call(call.domain, call.service, call.data)
        self._mirror()


async def _never(_call: ServiceCall) -> None:
    await asyncio.Event().wait()


async def _nothing(_call: ServiceCall) -> None:
    return


async def _raise(call: ServiceCall) -> None:
    raise HomeAssistantError(f"{call.domain}.{call.service} failed")
