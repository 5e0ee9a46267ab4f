"""What works worse than it could at this moment, and why: for those who look at the entities."""

from collections.abc import Iterator

from . import const
from .engine.accounting import blind
from .engine.state import Phase, State
from .inputs.sources import Sources
from .models import Basis, Degraded, Rates, Reading, Readings, Settings
from .outlook import NoPlan, wanted
from .planning import Objective, Plan, Planner, PlanSettings

WITHOUT_GRID = "worst_case_between_ticks"
WITHOUT_POWER = "commanded_power"
WITHOUT_PV = "pv_peak"
WITHOUT_LOAD = "grid_power"
WITHOUT_DISPATCH = "battery_power"
DEAD_RECKONED = "dead_reckoned"
CACHED = "cached"
NOTHING = "nothing"
BEST_EXPORT = "best_export_price"  # as if import cost that: nothing is bought
PLAN = "plan"
PLANNER = "planner"
NO_SUN = "no_sun"  # less is planned then, never too much
LOAD_PROFILE = "load_profile"


def degraded(
    sources: Sources, readings: Readings, state: State, settings: Settings, plan: PlanSettings
) -> tuple[Degraded, ...]:
    """Return every degradation that holds now; required data that is missing is none of them."""
    return (
        *_sensors(readings),
        *_forecast(sources, readings, state, settings),
        *_rates(sources, readings),
        *_planning(sources, readings, plan),
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


def _rates(sources: Sources, readings: Readings) -> Iterator[Degraded]:
    for what, lost, rates in (
        (const.CONF_CARBON, sources.carbon.lost, readings.carbon),
        (const.CONF_EXPORT_PRICES, sources.export_price.lost, readings.export_price),
        (const.CONF_IMPORT_PRICES, sources.import_price.lost, readings.import_price),
    ):
        if lost is not None:
            yield Degraded(what, "lost", NOTHING if rates is None else CACHED, lost)


def _planning(sources: Sources, readings: Readings, plan: PlanSettings) -> Iterator[Degraded]:
    """Yield what keeps a plan from being made, or from knowing the house; none where none is."""
    if not wanted(plan):
        return
    if readings.forecast is None or not readings.forecast.slots:
        yield Degraded(PLAN, "no_pv_forecast", NO_SUN, sources.forecast.lost)
    if plan.objective is Objective.CARBON:
        if not _tells(readings.carbon):
            yield Degraded(PLAN, "no_carbon_intensity", NOTHING)
    else:
        if plan.export_price is None and not _tells(readings.export_price):
            yield Degraded(PLAN, "no_export_price", NOTHING)
        if plan.import_price is None and not _tells(readings.import_price):
            yield Degraded(PLAN, "no_import_price", BEST_EXPORT)
    if sources.load is not None and sources.load.looked and readings.load_profile is None:
        yield Degraded(LOAD_PROFILE, "no_statistics", const.CONF_HOUSE_LOAD_DAY)


def of_plan(plan: Plan | None, absent: str | None) -> tuple[Degraded, ...]:
    """Return what is wrong with the plan as it was made, or why there is none.

    Values that are missing are told by `degraded`, as soon as they are.
    """
    if plan is not None and plan.planner is Planner.GREEDY and plan.fallback is not None:
        return (Degraded(PLANNER, plan.fallback.value, Planner.GREEDY.value),)
    told = (None, NoPlan.OFF, NoPlan.NO_CARBON, NoPlan.NO_PRICES)
    return () if plan is not None or absent in told else (Degraded(PLAN, str(absent), NOTHING),)


def _tells(rates: Rates | None) -> bool:
    return rates is not None and bool(rates.slots)


def _guard(readings: Readings, state: State, settings: Settings) -> Iterator[Degraded]:
    if state.phase is Phase.IDLE:
        return
    if state.watch.blind is not None:
        counter = blind(state.meter, readings, settings)
        why = "export_counter" if counter else "soc"
        yield Degraded("guard", why, DEAD_RECKONED)
    elif state.meter.distrusted:
        yield Degraded("guard", "grid_power_contradicts_counter", WITHOUT_GRID)
