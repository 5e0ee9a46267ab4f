"""What the planner is told: readings, options and the decision become one question.

Pure, so that the simulated year asks the same one.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import pairwise
from math import inf

from .engine.headroom import PERCENTILE, energy_to_come
from .engine.period import local_day
from .engine.rolling import rolls
from .models import (
    Basis,
    Decision,
    Forecast,
    LoadProfile,
    Rate,
    Readings,
    Settings,
    Slot,
)
from .planning import (
    BatteryState,
    DayAllowance,
    Objective,
    PlanInput,
    PlanSettings,
    PlanSlot,
    PowerLimits,
    Window,
)

AHEAD = timedelta(hours=48)
HALF_HOUR = timedelta(minutes=30)
ROLLING = timedelta(hours=24)
USUAL_W = 5000.0  # an ordinary household inverter, where its limit is not configured
MOST_DAYS = 4  # that 48 h can touch, and one to spare
PLAN_BAND = 1.0  # % above the floor: what a forecast owes is missing here first
HURDLE = 0.01  # of mean value and mean cost together: what a forecast is wrong by is worth more
NO_SUN = (0.0, 0.0, 0.0)


class NoPlan(StrEnum):
    """Why there is nothing to ask the planner."""

    OFF = "off"
    NO_DATA = "no_data"
    """SOC or counters are missing."""
    NO_BATTERY = "no_battery"
    """Its capacity is not configured."""
    NO_CARBON = "no_carbon"
    """No carbon intensity of the hours ahead."""
    NO_PRICES = "no_prices"


@dataclass(frozen=True, slots=True)
class Known:
    """What an outlook is made from, at one moment."""

    now: datetime
    readings: Readings
    settings: Settings
    planning: PlanSettings
    decision: Decision | None
    bought_kwh: float = 0.0
    """How much of what the battery holds was bought from the grid."""
    keep: tuple[Window, ...] = ()
    """The windows of the plan before."""
    last_session: str | None = None
    """Id of the session that ended last: what it did may not have been planned."""


def wanted(planning: PlanSettings) -> bool:
    """Tell whether anything is to be planned."""
    return planning.discharge or planning.charge


def outlook(known: Known) -> PlanInput | NoPlan:
    """Return the question for the planner, or why there is none.

    PV of hours without a forecast counts as none: less is planned then, never too much.
    """
    planning, settings, decision = known.planning, known.settings, known.decision
    if not wanted(planning):
        return NoPlan.OFF
    soc = known.readings.soc
    if decision is None or not soc.usable or soc.value is None:
        return NoPlan.NO_DATA
    if settings.battery_capacity_kwh <= 0:
        return NoPlan.NO_BATTERY
    values = _values(known)
    if values is None:
        carbon = planning.objective is Objective.CARBON
        return NoPlan.NO_CARBON if carbon else NoPlan.NO_PRICES
    slots = tuple(_slots(known, *values))
    target = settings.target_export_w if planning.discharge else 0.0
    return PlanInput(
        slots=slots,
        battery=_battery(known, soc.value, decision),
        days=tuple(_days(known, decision, slots[-1].end)),
        limits=PowerLimits(
            site_export_w=settings.site_export_limit_w or inf,
            inverter_w=settings.inverter_limit_w or inf,
            target_export_w=target,
            charge_w=planning.charge_power_w,
        ),
        export_window=planning.export_window,
        charge_window=planning.charge_window if planning.charge else None,
        zone=settings.timezone,
        objective=planning.objective,
        green_only=planning.green_only,
        wear_cost=planning.wear_cost,
        percentile=PERCENTILE.get(decision.basis, 50),
        hurdle=HURDLE,
        keep=known.keep,
    )


def _battery(known: Known, soc: float, decision: Decision) -> BatteryState:
    settings = known.settings
    strongest = settings.inverter_limit_w or max(USUAL_W, settings.target_export_w)
    # Without a grid sensor the target is the battery's own power: nothing makes up for the house.
    closed_loop = known.readings.grid_power is not None or settings.target_export_w <= 0
    return BatteryState(
        capacity_kwh=settings.battery_capacity_kwh,
        soc=soc,
        # A floor of its own for the house: exact by a few Wh, and twice as long to solve.
        floor_soc=min(100.0, decision.floor_soc + PLAN_BAND),
        charge_limit_w=max(strongest, known.planning.charge_power_w),
        discharge_limit_w=strongest if closed_loop else min(strongest, settings.target_export_w),
        round_trip_efficiency=known.planning.round_trip_efficiency,
        bought_kwh=known.bought_kwh,
    )


# --- Days ---


def _days(known: Known, decision: Decision, end: datetime) -> Iterable[DayAllowance]:
    """Yield what each local day may still export."""
    settings, now = known.settings, known.now
    accrues = decision.basis is Basis.GENERATED
    # What accrues has to make up for the margin first.
    allowance = decision.contract - settings.safety_margin_kwh if accrues else decision.allowance
    left = allowance - decision.counted
    if rolls(settings):  # what leaves the 24 h on its other side is not counted on
        yield DayAllowance(now, now + ROLLING, left, accrues=False)
        return
    day = local_day(now, settings.timezone)
    yield DayAllowance(day.start, day.end, left, accrues)
    for _ in range(MOST_DAYS):
        if day.end >= end:
            return
        day = local_day(day.end, settings.timezone)
        contract = _contract(settings, decision.basis, known.readings.forecast, day.start, day.end)
        left = contract - settings.safety_margin_kwh
        yield DayAllowance(day.start, day.end, left if accrues else max(0.0, left), accrues)


def _contract(
    settings: Settings, basis: Basis, forecast: Forecast | None, start: datetime, end: datetime
) -> float:
    """Return what the contract will let a whole day to come export (kWh)."""
    if basis is Basis.FIXED:
        return settings.fixed_limit_kwh
    if basis is Basis.GENERATED or forecast is None:
        return 0.0
    return energy_to_come(forecast.slots, start, end, PERCENTILE[basis]) or 0.0


# --- Slots ---


def _values(known: Known) -> tuple[Sequence[Rate], Sequence[Rate]] | None:
    """Return what exporting earns and importing costs per kWh, None where that is not known."""
    readings, planning, now = known.readings, known.planning, known.now
    end = now + AHEAD
    if planning.objective is Objective.CARBON:
        carbon = _ahead(() if readings.carbon is None else readings.carbon.slots, now, end)
        return (carbon, carbon) if carbon else None
    export = _priced(
        () if readings.export_price is None else readings.export_price.slots,
        planning.export_price,
        now,
        end,
    )
    if not export:
        return None
    slots = () if readings.import_price is None else readings.import_price.slots
    # Where no price of import is known at all, no kWh that the house will need is sold for less
    # than the best export earns, and none is bought. Where it is known of some hours, nothing is
    # forced in the others: tomorrow's may be ten times today's.
    dearest = Rate(now, end, max(rate.value for rate in export))
    return export, _priced(slots, planning.import_price, now, end) or (dearest,)


def _ahead(rates: Iterable[Rate], now: datetime, end: datetime) -> tuple[Rate, ...]:
    return tuple(rate for rate in rates if rate.end > now and rate.start < end)


def _priced(
    rates: Iterable[Rate], fixed: float | None, now: datetime, end: datetime
) -> tuple[Rate, ...]:
    """Return the prices ahead, the fixed one in every hour of which no entity tells one."""
    found = _ahead(rates, now, end)
    return found if fixed is None else tuple(_filled(found, fixed, now, end))


def _filled(rates: Iterable[Rate], price: float, start: datetime, end: datetime) -> Iterator[Rate]:
    for rate in rates:
        if rate.start > start:
            yield Rate(start, rate.start, price)
        yield rate
        start = rate.end
    if start < end:
        yield Rate(start, end, price)


def _slots(known: Known, export: Sequence[Rate], costs: Sequence[Rate]) -> Iterable[PlanSlot]:
    """Yield half hours at most, cut where any rate or forecast changes, while values are known."""
    now = known.now
    end = min(now + AHEAD, max(rate.end for rate in export))
    forecast = known.readings.forecast
    sun = () if forecast is None else forecast.slots
    cuts = {now, end, *_half_hours(now, end)}
    for each in (export, costs, sun):
        cuts |= {moment for span in each for moment in (span.start, span.end)}
    edges = sorted(cut for cut in cuts if now <= cut <= end)
    profile = known.readings.load_profile
    if profile is None:
        profile = LoadProfile.flat(known.settings.house_load_kwh_per_day)
    for start, finish in pairwise(edges):
        value, cost, pv = _at(export, start), _at(costs, start), _at(sun, start)
        middle = start + (finish - start) / 2
        yield PlanSlot(
            start,
            finish,
            NO_SUN if pv is None else (pv.p10_w, pv.p50_w, pv.p90_w),
            profile.watts(middle.astimezone(known.settings.timezone)),
            None if value is None else value.value,
            None if cost is None else cost.value,
        )


def _half_hours(now: datetime, end: datetime) -> Iterable[datetime]:
    moment = next_half_hour(now)
    while moment < end:
        yield moment
        moment += HALF_HOUR


def next_half_hour(now: datetime) -> datetime:
    """Return the half hour that begins next."""
    minute = 30 * (now.minute // 30)
    return now.replace(minute=minute, second=0, microsecond=0) + HALF_HOUR


def _at[Span: (Rate, Slot)](spans: Iterable[Span], moment: datetime) -> Span | None:
    return next((span for span in spans if span.start <= moment < span.end), None)
