"""What the system information page says of all entries at a glance."""

from collections.abc import Callable

from homeassistant.components.system_health import SystemHealthRegistration
from homeassistant.config_entries import ConfigEntryState
from homeassistant.core import HomeAssistant, callback
from homeassistant.loader import async_get_integration

from .const import DOMAIN
from .coordinator import Runtime
from .error_handler import BreakerState

type Info = dict[str, str]


@callback
def async_register(hass: HomeAssistant, register: SystemHealthRegistration) -> None:
    """Offer the information."""
    del hass
    register.async_register_info(system_health_info)


async def system_health_info(hass: HomeAssistant) -> Info:
    """Return what every loaded entry says; with several of them each figure carries its title."""
    entries = hass.config_entries.async_entries(DOMAIN)
    loaded: dict[str, Runtime] = {
        entry.title: entry.runtime_data
        for entry in entries
        if entry.state is ConfigEntryState.LOADED
    }

    def each(say: Callable[[Runtime], str]) -> str:
        if len(loaded) == 1:
            return say(*loaded.values())
        return "; ".join(f"{title}: {say(runtime)}" for title, runtime in loaded.items())

    integration = await async_get_integration(hass, DOMAIN)
    return {
        "version": str(integration.version),
        "entries": f"{len(loaded)}/{len(entries)}",
        "health": each(lambda runtime: runtime.coordinator.get_system_health().value),
        "error_state": each(lambda runtime: runtime.coordinator.get_error_state().value),
        "open_circuits": each(_open_circuits),
        "planner": each(_planner),
    }


def _planner(runtime: Runtime) -> str:
    """Return which planner made the present plan, and with which solver at hand."""
    plan = runtime.plans.plan
    solver = "HiGHS" if runtime.plans.solver.available else "no solver"
    return "-" if plan is None else f"{plan.planner.value} ({solver})"


def _open_circuits(runtime: Runtime) -> str:
    circuits = runtime.coordinator.resilience.circuits.items()
    return ", ".join(n for n, circuit in circuits if circuit.state is BreakerState.OPEN) or "-"
