"""What works worse than it could at this moment, and why: for those who look at the entities."""

from collections.abc import Iterator

from . import const
from .engine.accounting import blind
from .engine.state import Phase, State
from .inputs.sources import Sources
from .models import Basis, Degraded, Reading, Readings, Settings

WITHOUT_GRID = "worst_case_between_ticks"
WITHOUT_POWER = "commanded_power"
WITHOUT_PV = "pv_peak"
WITHOUT_LOAD = "grid_power"
WITHOUT_DISPATCH = "battery_power"
LAST_VALUE = "last_value"
DEAD_RECKONED = "dead_reckoned"
CACHED = "cached"
NOTHING = "nothing"


def degraded(
    sources: Sources, readings: Readings, state: State, settings: Settings
) -> tuple[Degraded, ...]:
    """Return every degradation that holds now; required data that is missing is none of them."""
    return (
        *_sensors(readings),
        *_forecast(sources, readings, state, settings),
        *_carbon(sources, readings),
        *_guard(readings, state, settings),
    )


def _sensors(readings: Readings) -> Iterator[Degraded]:
    for what, reading, instead in (
        (const.CONF_GRID_POWER, readings.grid_power, WITHOUT_GRID),
        (const.CONF_BATTERY_POWER, readings.battery_power, WITHOUT_POWER),
        (const.CONF_PV_POWER, readings.pv_power, WITHOUT_PV),
        (const.CONF_HOUSE_LOAD, readings.house_load, WITHOUT_LOAD),
        (const.CONF_DISPATCH_START, readings.dispatch_start, WITHOUT_DISPATCH),
    ):
        if reading is not None and not reading.usable:
            yield Degraded(what, _problem(reading), instead, reading.reported)


def _problem(reading: Reading) -> str:
    return str(reading.problem or "missing")


def _forecast(
    sources: Sources, readings: Readings, state: State, settings: Settings
) -> Iterator[Degraded]:
    lost = sources.forecast.lost
    if lost is not None:
        instead = NOTHING if readings.forecast is None else CACHED
        yield Degraded(const.CONF_FORECAST_TODAY, "lost", instead, lost)
    decision = state.decision
    if decision is not None and decision.basis is not settings.basis:
        yield Degraded("basis", f"no_{settings.basis.value}", Basis.GENERATED.value, lost)


def _carbon(sources: Sources, readings: Readings) -> Iterator[Degraded]:
    lost = sources.carbon.lost
    if lost is not None:
        instead = NOTHING if readings.carbon is None else CACHED
        yield Degraded(const.CONF_CARBON, "lost", instead, lost)


def _guard(readings: Readings, state: State, settings: Settings) -> Iterator[Degraded]:
    if state.phase is Phase.IDLE:
        return
    if state.watch.blind is not None:
        counter = blind(state.meter, readings, settings)
        why = "export_counter" if counter else "soc"
        yield Degraded("guard", why, DEAD_RECKONED)
    elif state.meter.distrusted:
        yield Degraded("guard", "grid_power_contradicts_counter", WITHOUT_GRID)
