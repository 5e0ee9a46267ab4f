"""Folds what the sources say into sums, and the sums into a decision."""

from dataclasses import replace
from datetime import datetime, timedelta

from ..models import (
    Basis,
    Blocker,
    Decision,
    Instant,
    Kind,
    Observation,
    Reading,
    Readings,
    Settings,
)
from .counter import DEFAULT_LIMIT_W, STEP_TOLERANCE_KWH, CounterSum
from .headroom import (
    NaturalExport,
    contract,
    duration_minutes,
    export_left,
    headroom,
    natural_course,
    natural_export,
)
from .metering import ExportMeter, Flow
from .modes import charge_blocker, other_mode_on, other_modes_known
from .period import Period, local_day
from .rolling import DAY, Rolling, exported_from, rolls, totals

MIN_HEADROOM_KWH = 0.05
UNLIMITED_KWH = 1e6
SILENT_S = 10.0  # gaps of up to 4.3 s were measured between polls of the grid power
NOT_STEPPED = timedelta()
REPEATS = timedelta(seconds=60)  # a meter's tick
BALANCE_MARGIN_W = 500.0  # three sensors, each with its error, and the inverter's own losses
NIGHT_ENDS = timedelta(hours=12)  # while the sun is down: an inverter wakes with it
PV_PEAK_MARGIN = 2.0  # a peak that was set too low must not make true steps implausible


def watts(reading: Reading | None) -> float | None:
    """Return a reading's power where it may be used."""
    return reading.value if reading is not None and reading.usable else None


def site_limit(settings: Settings) -> float:
    """Return the largest power (W) that can leave the house."""
    return settings.inverter_limit_w or DEFAULT_LIMIT_W


def worst_flow(readings: Readings, settings: Settings, commanded_w: float) -> float:
    """Return the export (W) if the house took nothing: battery plus PV, up to the inverter."""
    battery = max(commanded_w, watts(readings.battery_power) or 0.0, 0.0)
    pv = watts(readings.pv_power)
    if pv is None:
        pv = settings.pv_peak_w if readings.sun_up else 0.0
    return min(site_limit(settings), battery + pv)


def blind(meter: ExportMeter, readings: Readings, settings: Settings) -> bool:
    """Whether the export counter is of no use now."""
    return (
        not readings.export_counter.usable
        or meter.counter.suspect is not None
        or meter.frozen(settings.meter_step_kwh)
    )


def silent(reading: Reading | None, now: Instant) -> bool:
    """Whether a power that is reported every second or so has not been for too long."""
    if reading is None or reading.reported is None:
        return True
    return (now.utc - reading.reported).total_seconds() > SILENT_S


def _balance(readings: Readings) -> float | None:
    """Return what battery, sun and house leave for the grid (W, import); None unless all tell.

    It is no measure of export, what the inverter loses is in it: only that much flows at all.
    """
    battery, pv, load = (
        watts(readings.battery_power),
        watts(readings.pv_power),
        watts(readings.house_load),
    )
    if battery is None or pv is None or load is None:
        return None
    export = battery + pv - load
    return -export if export > BALANCE_MARGIN_W else 0.0


def count_export(meter: ExportMeter, observation: Observation, commanded_w: float) -> ExportMeter:
    """Return the meter after this observation."""
    readings, settings, now = observation.readings, observation.settings, observation.now
    period = local_day(now.utc, settings.timezone)
    meter = _of_source(meter, readings.export_source)
    grid = watts(readings.grid_power)
    if commanded_w > 0 and silent(readings.grid_power, now):
        grid = None
    told = _balance(readings) if grid is None else grid
    meter = meter.seen(told, now.mono)
    if grid is not None and not meter.distrusted and not blind(meter, readings, settings):
        flow = Flow(max(0.0, -grid), measured=True)
    else:
        shown = -told if grid is None and told is not None else None
        flow = Flow(worst_flow(readings, settings, commanded_w), measured=False, balance_w=shown)
    meter = meter.during(session=commanded_w > 0).flowed(flow, now.mono, period)
    meter = meter.owing(settings.meter_step_kwh)
    clock = meter.clock.seen(now)
    if clock is not meter.clock:
        meter = replace(meter, clock=clock)
    if meter.counter.raw is None and meter.counter.cumulative > 0:
        meter = _kept(meter)
    reading = readings.export_counter
    if reading.value is None or reading.reported is None or not reading.usable:
        return meter
    meter = meter.report(
        reading.value,
        _said(meter.counter, reading.reported, now),
        period,
        daily=settings.daily_export_counter,
        meter_step=settings.meter_step_kwh,
    )
    return meter.rested(settings.meter_step_kwh)


def _of_source(meter: ExportMeter, source: str | None) -> ExportMeter:
    """Return the meter with the counter that it has now; another one is suspected of nothing."""
    counter = meter.counter.of(source)
    if counter is meter.counter:
        return meter
    if counter.raw is not None or meter.counter.raw is None:
        return replace(meter, counter=counter)
    meter = replace(meter, counter=counter, since_step=0.0, overdue_reports=0, overdue_since=None)
    return _kept(replace(meter, hidden=0.0))


def _kept(meter: ExportMeter) -> ExportMeter:
    """Return the meter with what has flowed as counted: a counter met anew does not show it."""
    counter = replace(meter.counter, cumulative=meter.reading)
    return replace(meter, counter=counter, ahead=0.0)


def count_generation(
    sums: tuple[CounterSum, ...], observation: Observation, stepped: timedelta = NOT_STEPPED
) -> tuple[CounterSum, ...]:
    """Return the PV sums after this observation; `stepped`: how far the clock was set lately."""
    period = local_day(observation.now.utc, observation.settings.timezone)
    readings = observation.readings.pv_counters
    sums = _of_sources(sums, observation.readings.pv_sources, len(readings))
    kinds = observation.settings.daily_pv_counters
    limit = observation.settings.pv_peak_w * PV_PEAK_MARGIN or DEFAULT_LIMIT_W
    now = observation.now
    asleep = not observation.readings.sun_up and now.utc - period.start < NIGHT_ENDS
    return tuple(
        _count(
            entry,
            reading,
            now,
            period,
            limit,
            daily=kinds[i] if i < len(kinds) else True,
            stepped=stepped,
            asleep=asleep,
        )
        for i, (entry, reading) in enumerate(zip(sums, readings, strict=True))
    )


def _of_sources(
    sums: tuple[CounterSum, ...], sources: tuple[str | None, ...], number: int
) -> tuple[CounterSum, ...]:
    """Return the sums of the sensors that there are now: added, removed, or in another order."""
    named = {entry.source: entry for entry in sums if entry.source is not None}
    found = []
    for i in range(number):
        source = sources[i] if i < len(sources) else None
        entry = sums[i] if i < len(sums) else CounterSum()
        if source is None:  # in its old place, unless that sensor is in another
            entry = CounterSum() if entry.source is not None and entry.source in sources else entry
        elif source != entry.source:
            other = CounterSum(source=source) if entry.source else entry.of(source)
            entry = named.get(source, other)
        found.append(entry)
    return tuple(found)


def _said(entry: CounterSum, reported: datetime, now: Instant) -> datetime:
    """Return when a counter said its value: one held back that rests says it again each minute.

    A daily meter reports only when it moves, so at night the three readings that end a suspicion
    would not come before the morning.
    """
    held = entry.suspect_at
    # A suspicion from before the clock was set back must not wait until it has caught up.
    if held is None or reported > held or now.utc < held:
        return reported
    return now.utc if now.utc - held >= REPEATS else held


def _count(  # noqa: PLR0913 - all that is known of the report
    entry: CounterSum,
    reading: Reading,
    now: Instant,
    period: Period,
    limit_w: float,
    *,
    daily: bool,
    stepped: timedelta,
    asleep: bool,
) -> CounterSum:
    if reading.value is None or reading.reported is None or not reading.usable:
        return entry.enter(period, credit=True)
    reported = _said(entry, reading.reported, now)
    return entry.observe(
        reading.value,
        reported,
        period,
        daily=daily,
        limit_w=limit_w,
        credit=True,
        stepped=stepped,
        asleep=asleep,
    )


def floor_soc(readings: Readings, settings: Settings, last_reserve: float | None = None) -> float:
    """Return the SOC (%) below which nothing is exported: the larger of minimum and reserve."""
    if readings.reserve_soc is None:
        return settings.min_soc
    reserve = watts(readings.reserve_soc)
    return max(settings.min_soc, (last_reserve if reserve is None else reserve) or 0.0)


def decide(
    observation: Observation,
    meter: ExportMeter,
    generation: tuple[CounterSum, ...],
    last_soc: float | None = None,
    last_reserve: float | None = None,
    rolling: Rolling | None = None,
) -> Decision:
    """Return what may still be exported, and the first reason against a start.

    `last_soc` and `last_reserve` (%) serve while neither can be read: without them no room for
    the sun would be known, and the floor of a running session would fall.
    """
    readings, settings, now = observation.readings, observation.settings, observation.now
    rolled = Period(now.utc, now.utc + DAY)  # by then what counts now has dropped out
    period = local_day(now.utc, settings.timezone) if rolling is None else rolled
    sums = totals(rolling, meter, generation, now.utc)
    figure = contract(settings, readings.forecast, sums.generated, now.utc, period)
    allowance = max(0.0, figure.kwh - settings.safety_margin_kwh)
    floor = floor_soc(readings, settings, last_reserve)
    used = replace(settings, basis=figure.basis) if figure.basis != settings.basis else settings
    soc = readings.soc.value if readings.soc.usable else last_soc
    natural = (
        NaturalExport(0.0, 0.0, known=False)
        if soc is None
        else natural_export(used, readings.forecast, soc, floor, now.utc, period)
    )
    available = UNLIMITED_KWH
    if soc is not None and settings.battery_capacity_kwh > 0:
        available = max(0.0, soc - floor) / 100 * settings.battery_capacity_kwh
    moments = [(sums.counted, natural)]
    if rolling is not None and used.basis is Basis.FIXED and soc is not None:
        course = natural_course(used, readings.forecast, soc, floor, now.utc, period)
        counted = [(exported_from(rolling, meter, at - DAY), came) for at, came in course]
        moments = counted or moments
    room = min(headroom(allowance, out, came, available) for out, came in moments)
    left = min(export_left(allowance, out, came, available) for out, came in moments)
    power = settings.target_export_w
    if settings.site_export_limit_w > 0:
        power = min(power, settings.site_export_limit_w)
    fault = data_fault(observation, meter, generation, rolling)
    return Decision(
        basis=figure.basis,
        contract=figure.kwh,
        allowance=allowance,
        exported=sums.exported,
        counted=sums.counted,
        generated=sums.generated,
        natural=natural.untouched,
        natural_known=natural.known,
        headroom=room,
        export_left=left,
        floor_soc=floor,
        power_w=power,
        duration_min=duration_minutes(room, power),
        fault=fault,
        blocker=_blocker(observation, fault, floor, room),
        over_kwh=sums.over(settings),
        charge_blocker=charge_blocker(observation),
    )


def exceeded(observation: Observation, meter: ExportMeter, decision: Decision) -> bool:
    """Tell whether the counter itself is above the contract.

    PV counters move in coarse steps, so a contract made of them lags by up to one. While the
    forecast is gone the contract is unknown, not exceeded.
    """
    settings = observation.settings
    counter = meter.counter
    if decision.basis is not settings.basis or not counter.trusted:
        return False
    rolling = rolls(settings)
    if counter.partial(observation.now.utc) and not rolling:
        return False  # part of the sum may be of another day
    fixed = decision.basis is Basis.FIXED
    coarse = STEP_TOLERANCE_KWH * max(1, len(observation.readings.pv_counters))
    tolerance = settings.meter_step_kwh if fixed else coarse
    if rolling:
        return decision.over_kwh > tolerance
    return decision.exported > decision.contract + tolerance


def _blocker(
    observation: Observation, fault: Blocker | None, floor: float, room: float
) -> Blocker | None:
    """Check a start in the order of specification page 1; the session's own state comes last."""
    readings, settings = observation.readings, observation.settings
    if settings.target_export_w <= 0:
        return Blocker.TARGET_ZERO
    if observation.battery_circuit_open or observation.update_circuit_open:
        return Blocker.CIRCUIT_OPEN
    if observation.data_stale:
        return Blocker.STALE_DATA
    if fault is not None:
        return fault
    soc = readings.soc.value or 0.0
    if soc <= floor:
        at_reserve = floor > settings.min_soc
        return Blocker.SOC_AT_RESERVE if at_reserve else Blocker.SOC_AT_FLOOR
    if room < MIN_HEADROOM_KWH:
        return Blocker.NO_HEADROOM
    if other_mode_on(readings, Kind.DISCHARGE):
        return Blocker.MODE_CONFLICT
    return None if other_modes_known(readings, Kind.DISCHARGE) else Blocker.NO_DATA


def required(readings: Readings, settings: Settings) -> tuple[Reading, ...]:
    """Return the readings without which nothing is started, SOC first."""
    reserve = () if readings.reserve_soc is None else (readings.reserve_soc,)
    counters = () if settings.basis is Basis.FIXED else readings.pv_counters
    return (readings.soc, readings.export_counter, *counters, *reserve)


def data_fault(
    observation: Observation,
    meter: ExportMeter,
    generation: tuple[CounterSum, ...],
    rolling: Rolling | None = None,
) -> Blocker | None:
    """Return what is wrong with the snapshot, None when it is complete, fresh and valid."""
    readings, settings = observation.readings, observation.settings
    needed = required(readings, settings)
    stale = ("stale", "frozen")
    if any(r.problem in stale for r in needed):
        return Blocker.STALE_DATA
    if not readings.soc.usable:
        return Blocker.SOC_MISSING
    if readings.switch.on is None or any(not r.usable for r in needed):
        return Blocker.NO_DATA
    if meter.frozen(settings.meter_step_kwh):
        return Blocker.STALE_DATA
    sums = (meter.counter,) if settings.basis is Basis.FIXED else (meter.counter, *generation)
    if not all(entry.trusted for entry in sums):
        return Blocker.NO_DATA
    if rolling is not None:
        return None if rolling.covers(settings, observation.now.utc) else Blocker.COUNTER_UNKNOWN
    if not all(entry.seen for entry in sums):
        return Blocker.COUNTER_NOT_SEEN
    # Export before the first look is unknown; PV of the same hours makes up for it unless counted.
    now = observation.now.utc
    made_up = settings.basis is not Basis.FIXED and all(entry.partial(now) for entry in generation)
    if meter.counter.partial(now) and not made_up:
        return Blocker.COUNTER_UNKNOWN
    return None
