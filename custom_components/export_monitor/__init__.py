"""Energy Export Monitor: set up, unload, remove."""

from collections.abc import Callable, Coroutine, Mapping
from dataclasses import replace
from datetime import tzinfo
import logging
import random
import time

from homeassistant.const import Platform
from homeassistant.core import CoreState, HomeAssistant
from homeassistant.helpers import config_validation as cv
from homeassistant.helpers.typing import ConfigType
from homeassistant.util import dt as dt_util, slugify
from homeassistant.util.hass_dict import HassKey

from . import const
from .alerts import Alerts
from .autopilot import Autopilot
from .battery import Battery
from .channels import Channel, Channels
from .compliance import Compliance
from .control import Control
from .coordinator import ExportMonitorConfigEntry, ExportMonitorCoordinator, Runtime
from .error_handler import CircuitBreaker, RetryPolicy, SafeServiceCall, policy_for
from .frontend_module import async_offer_frontend
from .health_report import HealthReport
from .inputs.load import HouseLoad
from .inputs.nord_pool import NordPool
from .inputs.sources import Sources
from .inputs.states import HassStates
from .inputs.wiring import entity_ids
from .inspection import Inspection, forget_issues
from .ledger_file import LedgerFile
from .lookout import Lookout
from .models import EndReason, Settings
from .planning import PlanSettings
from .plans import Plans
from .pulse import Pulse
from .repoll import Repoll
from .report_view import async_offer_reports
from .resilience import Resilience
from .services import async_setup_services
from .settings import (
    LIVE_OPTIONS,
    breaker_policy,
    merged,
    option_number,
    plan_settings_of,
    preset_of,
    retry_policy,
    settings_of,
    stale_after,
    switch_policy,
)
from .storage import Storage
from .upgrade import forget, migrate, take_over
from .websocket_api import async_setup_websocket_api

_LOGGER = logging.getLogger(__name__)

PLATFORMS = (
    Platform.BINARY_SENSOR,
    Platform.BUTTON,
    Platform.CALENDAR,
    Platform.EVENT,
    Platform.NUMBER,
    Platform.SENSOR,
    Platform.SWITCH,
)
CONFIG_SCHEMA = cv.config_entry_only_config_schema(const.DOMAIN)
ORPHANS: HassKey[dict[str, Control]] = HassKey(f"{const.DOMAIN}_orphans")
UPDATE_CIRCUIT = "export_monitor_update"
BATTERY_CIRCUIT = "battery_commands"
TARIFF_CIRCUIT = "tariff"
NOTIFY_ATTEMPTS = 2
TRIAL_GRACE_S = 25.0  # a trial's attempt may take the service's timeout and its read-back


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Register services, the card and its data once, whatever entries there are."""
    del config
    async_setup_services(hass)
    async_setup_websocket_api(hass)
    async_offer_reports(hass)
    await async_offer_frontend(hass)
    return True


async def async_migrate_entry(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> bool:
    """Take an entry of 1.x as it is; its set-up makes the rest of it."""
    return migrate(hass, entry)


async def async_setup_entry(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> bool:
    """Build the rooms and let the guard live; missing inputs are no reason to fail."""
    take_over(hass, entry)
    config = merged(entry)
    storage = Storage.of(hass, entry.entry_id)
    resilience = Resilience(
        await storage.load_counts(),
        time.monotonic,
        stale_after(config),
        option_number(config, const.CONF_SERVICE_TIMEOUT) + TRIAL_GRACE_S,
    )
    storage.count(resilience.counts)
    update_circuit, battery_circuit = (
        resilience.circuit(name, breaker_policy(config, name))
        for name in (UPDATE_CIRCUIT, BATTERY_CIRCUIT)
    )
    prefix = _prefix(hass, entry)
    load_ids = entity_ids(config, const.CONF_HOUSE_LOAD)
    sources = Sources(
        HassStates(hass),
        config,
        resilience.validation,
        resilience.staleness,
        lambda name: resilience.circuits.get(name) or resilience.circuit(name, policy_for(name)),
        starting_up=hass.state is not CoreState.running,
        market=_market(hass, config, resilience),
        load=HouseLoad(load_ids[0]) if load_ids else None,
    )
    call = _guarded(hass, resilience, battery_circuit, retry_policy(config))
    battery = Battery(config, preset_of(config), call, sources.limits, switch_policy(config))
    fallback = str(config.get(const.CONF_FALLBACK_STOP) or "")
    channels = _channels(hass, config, resilience)
    alerts = Alerts(hass, prefix, entry.entry_id, fallback, channels)
    await alerts.prepare()
    live = _live_settings(entry)
    lookout = Lookout(sources, battery, update_circuit, battery_circuit, resilience.staleness, live)
    control = Control(hass, lookout, storage, alerts)
    coordinator = ExportMonitorCoordinator(
        hass,
        entry,
        control,
        resilience,
        (update_circuit, battery_circuit),
        storage,
        option_number(config, const.CONF_SCAN_INTERVAL),
    )
    planning = _live_planning(entry)
    compliance = Compliance(hass, LedgerFile.of(hass, entry.entry_id), control, live, planning)
    await compliance.begin()
    alerts.explain = compliance.explain
    plans = Plans(hass, entry, control, live, planning)
    autopilot = Autopilot(hass, entry, storage, control, plans, live)
    entry.runtime_data = Runtime(coordinator, control, alerts, prefix, plans, autopilot, compliance)
    await control.begin(hass.data.setdefault(ORPHANS, {}).pop(entry.entry_id, None))
    try:
        await autopilot.begin()
        await coordinator.async_refresh()
        entry.async_on_unload(coordinator.start_ticking())
        for fetched in (sources.market, sources.load):
            if fetched is not None:
                fetched.start(hass, entry)
        entry.async_on_unload(entry.add_update_listener(_options_changed(config)))
        entry.async_on_unload(HealthReport(hass, entry).start())
        entry.async_on_unload(Inspection(hass, entry).start())
        entry.async_on_unload(Repoll(hass, call, sources.overdue).start())
        _plan_ahead(entry)
        entry.async_on_unload(Pulse(hass, entry.entry_id, coordinator).start())
        await hass.config_entries.async_forward_entry_setups(entry, PLATFORMS)
    except BaseException:
        _let_go(hass, entry)  # or a guard that nobody knows of would live beside the next one
        raise
    return True


async def async_unload_entry(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> bool:
    """Take the entities away; the guard goes on until the next run or a proven stop."""
    if not await hass.config_entries.async_unload_platforms(entry, PLATFORMS):
        return False
    _let_go(hass, entry)
    if entry.disabled_by is not None:
        forget_issues(hass, entry.entry_id)
        entry.runtime_data.control.end(EndReason.UNLOAD)
    return True


async def async_remove_entry(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> None:
    """Stop what still runs and forget the record."""
    control = hass.data.get(ORPHANS, {}).get(entry.entry_id)
    if control is not None:
        control.forget()
        control.end(EndReason.UNLOAD)
    forget_issues(hass, entry.entry_id)
    forget(hass, entry.entry_id)
    await Storage.of(hass, entry.entry_id).remove()
    await LedgerFile.of(hass, entry.entry_id).remove()


def _plan_ahead(entry: ExportMonitorConfigEntry) -> None:
    """Let plans be made and carried out, and shown by all that the coordinator tells."""
    runtime = entry.runtime_data
    runtime.plans.listen(runtime.coordinator.publish)
    entry.async_on_unload(runtime.plans.start())
    entry.async_on_unload(runtime.autopilot.start())
    entry.async_on_unload(runtime.coordinator.async_add_listener(runtime.autopilot.look))


def _let_go(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> None:
    """Let the guard go on alone, where the next run or its own proven stop will find it."""
    orphans = hass.data[ORPHANS]
    control = orphans[entry.entry_id] = entry.runtime_data.control

    def forget() -> None:
        if orphans.get(entry.entry_id) is control:
            del orphans[entry.entry_id]

    control.orphan(forget)


def _guarded(
    hass: HomeAssistant, resilience: Resilience, circuit: CircuitBreaker, policy: RetryPolicy
) -> SafeServiceCall:
    """Return a guarded call whose statistics are the entry's."""
    return SafeServiceCall(
        hass,
        circuit,
        policy,
        clock=time.monotonic,
        random=random.random,
        statistics=resilience.services,
    )


def _market(
    hass: HomeAssistant, config: Mapping[str, object], resilience: Resilience
) -> NordPool | None:
    """Return the entry's market, None where it names none."""
    pool_entry_id = str(config.get(const.CONF_NORD_POOL) or "")
    if not pool_entry_id:
        return None
    circuit = resilience.circuit(TARIFF_CIRCUIT, policy_for(TARIFF_CIRCUIT))
    call = _guarded(hass, resilience, circuit, retry_policy(config))
    return NordPool(call, pool_entry_id, resilience.validation)


def _channels(
    hass: HomeAssistant, config: Mapping[str, object], resilience: Resilience
) -> Channels:
    """Return the entry's notify targets, each behind a circuit of its own."""
    policy = replace(retry_policy(config), attempts=NOTIFY_ATTEMPTS)
    targets = dict.fromkeys(entity_ids(config, const.CONF_NOTIFY_TARGETS))
    circuits = {each: resilience.circuit(each, policy_for(each)) for each in targets}
    return Channels(
        hass,
        [
            Channel(hass, target, _guarded(hass, resilience, circuit, policy))
            for target, circuit in circuits.items()
        ],
    )


def _prefix(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> str:
    """Return what this entry's ids start with; the first entry's carry the plain domain."""
    entries = hass.config_entries.async_entries(const.DOMAIN)
    first = not entries or entries[0].entry_id == entry.entry_id
    return const.DOMAIN if first else f"{const.DOMAIN}_{slugify(entry.title)}"


def _live_settings(entry: ExportMonitorConfigEntry) -> Callable[[], Settings]:
    """Return a reader of the entry's settings that follows its options and the time zone."""
    known: tuple[object, object, tzinfo] | None = None
    settings = settings_of(merged(entry))

    def read() -> Settings:
        nonlocal known, settings
        zone = dt_util.get_default_time_zone()
        if (
            known is None
            or known[0] is not entry.options
            or known[1] is not entry.data
            or known[2] is not zone
        ):
            known = (entry.options, entry.data, zone)
            try:
                settings = settings_of(merged(entry))
            except (KeyError, ValueError):  # a stop has to be possible with any options
                _LOGGER.exception("The options cannot be understood; those before go on")
        return settings

    return read


def _live_planning(entry: ExportMonitorConfigEntry) -> Callable[[], PlanSettings]:
    """Return a reader of the entry's planning options, made anew only when those change."""
    known: tuple[object, object] | None = None
    planning = plan_settings_of(merged(entry))

    def read() -> PlanSettings:
        nonlocal known, planning
        if known is None or known[0] is not entry.options or known[1] is not entry.data:
            known = (entry.options, entry.data)
            planning = plan_settings_of(merged(entry))
        return planning

    return read


def _options_changed(
    before: Mapping[str, object],
) -> Callable[[HomeAssistant, ExportMonitorConfigEntry], Coroutine[None, None, None]]:
    """Return the listener that reloads the entry, unless only live options have changed."""

    async def changed(hass: HomeAssistant, entry: ExportMonitorConfigEntry) -> None:
        nonlocal before
        after = merged(entry)
        different = {key for key in {*before, *after} if before.get(key) != after.get(key)}
        before = after
        if different <= LIVE_OPTIONS:
            entry.runtime_data.control.observe()
            entry.runtime_data.coordinator.publish()
        else:
            hass.config_entries.async_schedule_reload(entry.entry_id)

    return changed
