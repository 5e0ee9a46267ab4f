"""Draws schedules by chance, repeatably, so that every fault meets every phase."""

from dataclasses import replace
from datetime import date, datetime, time
import random

from custom_components.export_monitor.models import Basis, Kind

from .schedule import (
    SENSOR_KINDS,
    SERVICE_KINDS,
    ZONE,
    Fault,
    FaultKind,
    Schedule,
    Settings,
    begin_before,
)

SUMMER = date(2026, 6, 22)
DST_MORNINGS = (date(2026, 3, 29), date(2026, 10, 25))  # the clock changes at 01:00 UTC
DST_MOMENT = time(1)
ROLES = ("soc", "export", "generation", "grid", "battery", "pv", "load", "dispatch", "switch")
SERVICE_ROLES = ("switch", "power", "duration", "cutoff", "fallback", "all")
OPTIONAL = ("grid", "battery", "pv", "load", "dispatch")
WIRINGS = (  # optional roles that are missing, and how often
    ((), 8),
    (("grid",), 3),
    (("dispatch",), 2),
    (("load",), 1),
    (("pv",), 1),
    (("grid", "load"), 1),
    (("battery", "load", "dispatch"), 1),
    (OPTIONAL, 1),
)
LEAST_HEADROOM = 0.09  # a start asks for 0.05 kWh, and a meter's step and some seconds go before
AT_ONCE = frozenset(
    {
        FaultKind.KILL,
        FaultKind.RESTART,
        FaultKind.RELOAD,
        FaultKind.CLOCK_JUMP,
        FaultKind.USER_SWITCHES_ON,
        FaultKind.USER_SWITCHES_OFF,
    }
)
WHOLE_EVERY = 20  # so often one without faults lets out 1 kWh and more
NUMBER_OF_FAULTS = ((0, 15), (1, 40), (2, 30), (3, 15))
KWH = 3_600_000.0
LASTING = (3, 8, 15, 30, 60, 90, 150)
DURATIONS = {
    FaultKind.OTHER_MODE: LASTING[1:],
    FaultKind.USER_SWITCHES_ON: (3,),
    FaultKind.USER_SWITCHES_OFF: (3,),
    FaultKind.RELOAD: (1,),
    FaultKind.CLOCK_JUMP: (5,),
    FaultKind.KILL: (5, 15, 40, 90, 360),
    FaultKind.RESTART: (5, 15, 40, 90, 360),
}
LIVELY = 0.3  # share of houses with a kettle and perhaps a site limit
CHARGES = 0.15  # share of schedules with faults in which people charge
BY_ENERGY = 0.6  # of those: how many end at an energy, the others after a time
NEARLY_FULL = 0.1
CHARGE_W = 3680.0  # as configured by default
AFTERWARDS_S = 90
MOST_LOAD_W = 500.0  # the inverter can give the target on top of it
VALUES = {
    FaultKind.STOP_IGNORED: (0.0, 1.0, 2.0, 4.0),  # how many stops; 0: all but a full reset
    FaultKind.CLOCK_JUMP: (-7200.0, -600.0, -61.0, -5.0, 5.0, 61.0, 600.0, 7200.0),
    FaultKind.FORECAST_COLLAPSES: (0.0, 0.3, 0.7),  # what is left of it
}


def _pick[T](chance: random.Random, weighted: tuple[tuple[T, int], ...]) -> T:
    values, weights = zip(*weighted, strict=True)
    picked: T = chance.choices(values, weights)[0]
    return picked


def _settings(chance: random.Random) -> Settings:
    margin = chance.choice((0.0, 0.1, 0.5))
    basis = _pick(chance, ((Basis.FIXED, 6), (Basis.GENERATED, 2), (Basis.FORECAST, 2)))
    lifetime = basis is Basis.FIXED and chance.random() < 0.2
    pv_w = chance.choice((0.0, 0.0, 300.0, 1500.0))
    near_floor = chance.random() < 0.1
    return Settings(
        # A lifetime counter tells what the day has exported only if seen from its beginning.
        begin=datetime(2026, 6, 22, 0, 2, tzinfo=ZONE)
        if lifetime
        else datetime(2026, 6, 21, 21, tzinfo=ZONE),
        soc=chance.uniform(21.5, 23.0) if near_floor else chance.uniform(30.0, 95.0),
        capacity_kwh=chance.choice((5.0, 10.0, 14.0)),
        load_w=chance.choice((200.0, 500.0, 1000.0, 1600.0)),
        pv_w=0.0 if lifetime else pv_w,
        basis=basis,
        margin_kwh=margin,
        target_w=chance.choice((2500.0, 3000.0, 4000.0, 5000.0)),
        lease_min=chance.choice((5.0, 10.0, 10.0, 30.0)),
        lifetime_counters=lifetime,
        absent=_pick(chance, WIRINGS),
        service_s=_pick(chance, ((0, 4), (1, 3), (2, 2), (3, 1))),
        write_s=chance.choice((0.1, 0.3, 1.7)),
        reset_s=chance.choice((0.3, 1.0, 3.2)),
        jitter_s=chance.choice((0.0, 0.0, 0.5)),
        latency_s=chance.choice((0.0, 0.0, 0.5)),
        ramp_w_per_s=chance.choice((None, None, 2500.0)),
        sells_itself_out=chance.random() < 0.7,
    )


def generate(seed: int) -> Schedule:
    """Return the schedule of a seed."""
    # Each of its own chance: what else a seed means stays as it is.
    return _charging(seed, _lively(seed))


def _charging(seed: int, schedule: Schedule) -> Schedule:
    """Return the schedule of people who charge instead, for as long as they would have exported."""
    chance = random.Random(f"{seed} charge")
    if chance.random() >= CHARGES or not schedule.faults:
        return schedule
    seconds = schedule.length - AFTERWARDS_S - schedule.start_at
    settings = replace(schedule.settings, kind=Kind.CHARGE, soc=chance.uniform(25.0, 85.0))
    if chance.random() < NEARLY_FULL:
        settings = replace(settings, soc=chance.uniform(97.5, 99.5))
    by_energy = chance.random() < BY_ENERGY
    minutes = None if by_energy else round(seconds / 60, 1)
    faults = tuple(
        replace(fault, target="export") if fault.kind is FaultKind.OTHER_MODE else fault
        for fault in schedule.faults
    )
    return replace(
        schedule,
        settings=settings,
        energy_kwh=round(CHARGE_W * seconds / KWH, 3) if by_energy else None,
        duration_min=minutes,
        faults=faults,
    )


def _lively(seed: int) -> Schedule:
    """Return the schedule of a seed, in some houses with a kettle."""
    schedule = _still(seed)
    chance = random.Random(f"{seed} kettle")
    if chance.random() >= LIVELY or schedule.settings.load_w > MOST_LOAD_W:
        return schedule
    site_w = chance.choice((0.0, 2500.0, 3680.0))
    kettle_s = chance.choice((25, 40, 90))
    settings = replace(schedule.settings, site_limit_w=site_w, kettle_s=kettle_s)
    return replace(schedule, settings=settings)


def _still(seed: int) -> Schedule:
    """Return the schedule of a seed in a house that draws the same all the time."""
    chance = random.Random(seed)
    if seed % WHOLE_EVERY == WHOLE_EVERY - 1:
        return _whole(chance, seed)
    long = chance.random() < 0.08
    wanted_s = chance.uniform(400, 900) if long else chance.uniform(60, 220)
    settings = _settings(chance)
    flow = min(settings.target_w, 5000.0 - settings.pv_w) + settings.pv_w - settings.load_w
    headroom = max(LEAST_HEADROOM, flow * wanted_s / KWH)
    contract = round(settings.margin_kwh + headroom, 3)
    if settings.basis is Basis.GENERATED:  # a PV meter reads whole tenths
        contract = max(round(contract, 1), round(settings.margin_kwh + 0.1, 1))
        settings = replace(settings, generated_before=contract)
    settings = replace(settings, contract_kwh=contract)
    start_at = chance.randint(70, 95)
    expected_end = round(start_at + 4 * settings.service_s + wanted_s)
    stop_at = None
    if chance.random() < 0.4:
        stop_at = chance.randint(start_at + 15, max(start_at + 16, expected_end - 5))
    end = expected_end if stop_at is None else stop_at
    schedule = Schedule(
        seed=seed,
        settings=settings,
        start_at=start_at,
        energy_kwh=round(headroom * 0.6, 2) if chance.random() < 0.1 else None,
        duration_min=round(wanted_s / 90, 1) if chance.random() < 0.1 else None,
        stop_at=stop_at,
        length=expected_end + AFTERWARDS_S,
    )
    number = _pick(chance, NUMBER_OF_FAULTS)
    if not number:  # page 4: a service takes 8 to 300 ms where nothing is wrong
        return replace(schedule, settings=replace(settings, service_s=0))
    for _ in range(number):
        schedule = _with_fault(chance, schedule, start_at, end)
    return schedule


def _whole(chance: random.Random, seed: int) -> Schedule:
    """Return one without faults in which 1 kWh and more goes out: page 1's shares are of that."""
    settings = _settings(chance)
    headroom = chance.uniform(1.05, 1.5)
    settings = replace(
        settings,
        basis=Basis.FIXED,
        contract_kwh=round(settings.margin_kwh + headroom, 3),
        soc=chance.uniform(70.0, 95.0),
        target_w=max(settings.target_w, 4000.0),  # for its length
        service_s=0,
    )
    flow = min(settings.target_w, 5000.0 - settings.pv_w) + settings.pv_w - settings.load_w
    start_at = chance.randint(70, 95)
    end = round(start_at + headroom * KWH / flow)
    return Schedule(seed=seed, settings=settings, start_at=start_at, length=end + AFTERWARDS_S)


def _with_fault(chance: random.Random, schedule: Schedule, start: int, end: int) -> Schedule:
    kind = chance.choice(tuple(FaultKind))
    phase = _pick(chance, (("start", 3), ("active", 4), ("stop", 4)))
    settings = schedule.settings
    at = _moment(chance, settings, phase, start, end)
    if kind in AT_ONCE and phase == "start":
        # Nothing of it lasts, so it has to fall between two writes.
        settings = replace(settings, service_s=max(1, settings.service_s))
        schedule = replace(schedule, settings=settings)
        at = start + chance.randint(1, 3 * settings.service_s)
    if kind is FaultKind.DST_NIGHT or kind is FaultKind.COUNTERS_RESET:
        return _night(chance, schedule, kind, at)
    if kind is FaultKind.FORECAST_COLLAPSES and settings.basis is not Basis.FORECAST:
        settings = replace(settings, basis=Basis.FORECAST, generated_before=0.0)
        schedule = replace(schedule, settings=_evening(settings))
    fault = _drawn(chance, kind, at)
    return replace(schedule, faults=(*schedule.faults, fault))


def _moment(chance: random.Random, settings: Settings, phase: str, start: int, end: int) -> int:
    if phase == "start":
        return chance.randint(start - 12, start + 1 + 4 * settings.service_s)
    if phase == "active":
        return chance.randint(start + 4 * settings.service_s + 3, max(end - 3, start + 20))
    return chance.randint(end - 8, end + 4)


def _evening(settings: Settings) -> Settings:
    begin = datetime(2026, 6, 21, 21, tzinfo=ZONE)
    return replace(settings, begin=begin, lifetime_counters=False)


def _night(chance: random.Random, schedule: Schedule, kind: FaultKind, at: int) -> Schedule:
    """Move the run to where midnight, or the change of the clock, falls into it."""
    if any(f.kind in (FaultKind.DST_NIGHT, FaultKind.COUNTERS_RESET) for f in schedule.faults):
        return schedule
    settings = replace(schedule.settings, lifetime_counters=False)
    if settings.basis is Basis.FORECAST:  # its remainder of the day is nothing at midnight
        settings = replace(settings, basis=Basis.FIXED)
    if kind is FaultKind.DST_NIGHT:
        morning = chance.choice(DST_MORNINGS)
        moment = DST_MOMENT if chance.random() < 0.6 else time.min
        settings = replace(settings, begin=begin_before(morning, at, moment))
        fault = Fault(kind, at, 30)
    else:
        resets = (chance.choice((0.0, 30.0, 300.0)), chance.choice((0.0, 61.0, 290.0)))
        day = chance.choice((SUMMER, *DST_MORNINGS))
        settings = replace(settings, begin=begin_before(day, at), resets_s=resets)
        fault = Fault(kind, at, round(max(resets)) + 5)
    return replace(schedule, settings=settings, faults=(*schedule.faults, fault))


def _drawn(chance: random.Random, kind: FaultKind, at: int) -> Fault:
    duration = chance.choice(DURATIONS.get(kind, LASTING))
    target, value = "", 0.0
    if kind in SENSOR_KINDS:
        target = chance.choice(ROLES)
        if target == "switch" and kind is FaultKind.SENSOR_JUMPING:
            target = "grid"
        value = _size(chance, kind)
    elif kind in SERVICE_KINDS:
        target = chance.choice(SERVICE_ROLES)
        value = float(chance.randint(4, 12)) if kind is FaultKind.SERVICE_SLOW else 0.0
    elif kind is FaultKind.OTHER_MODE:
        target = chance.choice(("charging", "export"))
    elif kind in VALUES:
        value = chance.choice(VALUES[kind])
    return Fault(kind, max(1, at), duration, target, value)


def _size(chance: random.Random, kind: FaultKind) -> float:
    """Return how far a jumping sensor jumps (share of its value and more), or how late one is."""
    if kind is FaultKind.SENSOR_LATE:
        return float(chance.choice((2, 5, 15, 40)))
    return chance.choice((0.05, 0.5, 3.0, 20.0))
