"""Entity states in, validated readings out: the only reader of Home Assistant's states."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import CoreState, HomeAssistant, State as EntityState
from homeassistant.helpers import entity_registry as er
from homeassistant.util import dt as dt_util

from . import const
from .engine.period import local_day
from .engine.state import State
from .error_handler import Problem, SensorValidation, SourceKind, StaleDataDetector
from .formats import as_moment, as_number, solcast_slots, solcast_total
from .models import Forecast, Quantiles, Reading, Readings, SwitchReading

# Age limits of specification page 3 (s).
FAST_LIMIT_S = 60.0
COUNTER_LIMIT_S = 180.0
CONFIRMING_REPORTS = 2
RESTED_S = 60.0  # the slowest meter's tick: what is unchanged after it rests
FORECAST_LIMIT = timedelta(hours=26)
REMAINING_LIMIT = timedelta(minutes=15)
FORECAST_CACHE = timedelta(hours=6)
DAILY_WORDS = ("today", "daily")
SUN = "sun.sun"

type Config = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Source:
    """One configured entity and how its state is judged."""

    entity_id: str
    kind: SourceKind
    limit_s: float | None = FAST_LIMIT_S
    sign: float = 1.0
    never_negative: bool = False
    rests: bool = False
    """An unchanged value may go unreported: a sibling's report counts for it."""


@dataclass(frozen=True, slots=True)
class NumberLimits:
    """What a number entity accepts, in its own unit."""

    unit: str
    minimum: float
    maximum: float
    step: float


def is_daily(entity_id: str) -> bool:
    """Tell a counter of the day from a lifetime counter by its name."""
    return any(word in entity_id for word in DAILY_WORDS)


def entity_ids(config: Config, key: str) -> list[str]:
    """Return the entities of a key that holds one id (as 1.x wrote it) or several."""
    value = config.get(key)
    if isinstance(value, str):
        return [value] if value else []
    return [str(item) for item in value] if isinstance(value, list | tuple) else []


def _counter(entity_id: str) -> Source:
    kind = SourceKind.ENERGY_DAILY if is_daily(entity_id) else SourceKind.ENERGY_TOTAL
    return Source(entity_id, kind, COUNTER_LIMIT_S, rests=True)


class Sources:
    """Reads every configured role.

    During start-up Home Assistant shows values from before the restart as if they were live, so
    there a measurement counts only from its second report on.
    """

    def __init__(
        self,
        hass: HomeAssistant,
        config: Config,
        validation: SensorValidation,
        staleness: StaleDataDetector,
    ) -> None:
        """Take the entry's entities; nothing is read yet."""
        self._hass = hass
        self._config = config
        self._validation = validation
        self._staleness = staleness
        self._starting_up = hass.state is not CoreState.running
        self._reports: dict[str, tuple[datetime, int]] = {}
        self._forecast: Forecast | None = None
        self._forecast_states: tuple[EntityState | None, ...] = ()
        self._forecast_lost: datetime | None = None
        reversed_sign = config.get(const.CONF_BATTERY_POWER_SIGN) == const.SIGN_CHARGE_POSITIVE
        power = SourceKind.POWER
        self._soc = self._source(const.CONF_SOC, SourceKind.SOC, rests=True)
        self._grid = self._source(const.CONF_GRID_POWER, power)
        self._battery = self._source(
            const.CONF_BATTERY_POWER, power, sign=-1.0 if reversed_sign else 1.0
        )
        self._pv = self._source(const.CONF_PV_POWER, power, never_negative=True, rests=True)
        self._load = self._source(const.CONF_HOUSE_LOAD, power, rests=True)
        self._dispatch = self._source(const.CONF_DISPATCH_START, SourceKind.FLAG)
        observed = bool(config.get(const.CONF_OBSERVE_RESERVE))
        self._reserve = (
            self._source(const.CONF_RESERVE_SOC, SourceKind.SOC, limit_s=None) if observed else None
        )
        self.export_ids = entity_ids(config, const.CONF_EXPORT_ENERGY)
        self.pv_ids = entity_ids(config, const.CONF_PV_ENERGY)
        self._export = _counter(self.export_ids[0]) if self.export_ids else None
        self._pv_energy = tuple(_counter(entity_id) for entity_id in self.pv_ids)
        self.switch_id = str(config.get(const.CONF_DISCHARGE_SWITCH) or "")
        self.conflict_ids = entity_ids(config, const.CONF_CONFLICTING_MODES)

    def _source(self, key: str, kind: SourceKind, **facts: object) -> Source | None:
        ids = entity_ids(self._config, key)
        return replace(Source(ids[0], kind), **facts) if ids else None  # type: ignore[arg-type]

    def _measured(self) -> Iterator[Source]:
        for source in (
            self._soc,
            self._grid,
            self._battery,
            self._pv,
            self._load,
            self._dispatch,
            self._export,
            *self._pv_energy,
        ):
            if source is not None:
                yield source

    def faulty(self, readings: Readings) -> tuple[str, str] | None:
        """Return the first required entity that cannot be used, and why; None where all can."""
        needed = (
            (const.CONF_SOC, self._soc, readings.soc),
            (const.CONF_EXPORT_ENERGY, self._export, readings.export_counter),
            *(
                (const.CONF_PV_ENERGY, source, reading)
                for source, reading in zip(self._pv_energy, readings.pv_counters, strict=True)
            ),
        )
        for role, source, reading in needed:
            if not reading.usable:
                return (role if source is None else source.entity_id, reading.problem or "")
        if readings.switch.on is None:
            return (self.switch_id, Problem.UNAVAILABLE)
        return None

    @property
    def deciding_ids(self) -> list[str]:
        """Entities whose change is worth a decision at any time."""
        deciding = (self._soc, self._export, self._dispatch)
        ids = [source.entity_id for source in deciding if source is not None]
        return [*ids, *self.conflict_ids, *([self.switch_id] if self.switch_id else [])]

    @property
    def guarding_ids(self) -> list[str]:
        """Entities whose every report is worth a decision while a session runs."""
        return sorted({s.entity_id for s in self._measured()} | set(self.deciding_ids))

    def read(self) -> Readings:
        """Return what all sources say now."""
        now = dt_util.utcnow()
        pv_power = self._read(self._pv, now)
        sun_up = self._sun_up()
        pv_rests = not sun_up or (pv_power is not None and pv_power.value == 0)
        missing = Reading(None, None, Problem.MISSING)
        modes = {
            entity_id: state.state if (state := self._hass.states.get(entity_id)) else None
            for entity_id in self.conflict_ids
        }
        return Readings(
            soc=self._read(self._soc, now) or missing,
            export_counter=self._read(self._export, now) or missing,
            pv_counters=tuple(
                self._measure(replace(source, limit_s=None) if pv_rests else source, now)
                for source in self._pv_energy
            ),
            switch=self._read_switch(),
            grid_power=self._read(self._grid, now),
            battery_power=self._read(self._battery, now),
            pv_power=pv_power,
            house_load=self._read(self._load, now),
            dispatch_start=self._read(self._dispatch, now),
            reserve_soc=self._read(self._reserve, now),
            forecast=self._read_forecast(now),
            conflicts=tuple(e for e, mode in modes.items() if mode == STATE_ON),
            modes_known=all(mode in (STATE_ON, STATE_OFF) for mode in modes.values()),
            sun_up=sun_up,
        )

    def judge_steps(self, before: State, after: State) -> None:
        """Log what the metering has begun to hold back, or to accept again."""
        counters = (*self.export_ids, *self.pv_ids)
        sums_before = (before.meter.counter, *before.generation)
        sums_after = (after.meter.counter, *after.generation)
        for entity_id, old, new in zip(counters, sums_before, sums_after, strict=False):
            if new.suspect_at != old.suspect_at:
                self._validation.judge_step(entity_id, new.suspect)

    def nothing(self) -> Readings:
        """Return readings that say nothing."""
        missing = Reading(None, None, Problem.MISSING)
        return Readings(
            soc=missing,
            export_counter=missing,
            pv_counters=(missing,) * len(self._pv_energy),
            switch=SwitchReading(None),
            battery_power=None if self._battery is None else missing,
            dispatch_start=None if self._dispatch is None else missing,
            modes_known=False,
        )

    def limits(self, entity_id: str) -> NumberLimits | None:
        """Return what a number entity accepts, None while it is not there."""
        state = self._hass.states.get(entity_id)
        if state is None or state.state == STATE_UNAVAILABLE:
            return None
        facts = state.attributes
        return NumberLimits(
            unit=str(facts.get(ATTR_UNIT_OF_MEASUREMENT) or ""),
            minimum=as_number(facts.get("min")) or 0.0,
            maximum=limit if (limit := as_number(facts.get("max"))) is not None else float("inf"),
            step=as_number(facts.get("step")) or 0.0,
        )

    def _sun_up(self) -> bool:
        sun = self._hass.states.get(SUN)
        return sun is None or sun.state != "below_horizon"

    def _read_switch(self) -> SwitchReading:
        state = self._hass.states.get(self.switch_id) if self.switch_id else None
        if state is None or state.state not in (STATE_ON, STATE_OFF):
            return SwitchReading(None)
        return SwitchReading(state.state == STATE_ON, state.last_reported)

    def _read(self, source: Source | None, now: datetime) -> Reading | None:
        return None if source is None else self._measure(source, now)

    def _measure(self, source: Source, now: datetime) -> Reading:
        state = self._hass.states.get(source.entity_id)
        validated = self._validation.check(
            source.entity_id,
            source.kind,
            None if state is None else state.state,
            None if state is None else state.attributes.get(ATTR_UNIT_OF_MEASUREMENT),
            floor_at_zero=source.never_negative,
        )
        if state is None or validated.value is None:
            return Reading(None, None, validated.problem)
        reported = state.last_reported
        value = validated.value * source.sign
        if self._awaits_report(source, reported, now):
            return Reading(value, reported, Problem.AWAITING_REPORT)
        age = (now - reported).total_seconds()
        sibling = None
        if source.rests and source.limit_s is not None and age > source.limit_s:
            sibling = self._sibling_age(source, now)
        problem = self._staleness.source_problem(
            source.entity_id, age_s=age, limit_s=source.limit_s, sibling_age_s=sibling
        )
        return Reading(value, reported, problem)

    def _awaits_report(self, source: Source, reported: datetime, now: datetime) -> bool:
        """Tell whether a value may be the one from before the start.

        What is restored shows at once, and some integrations write it once more when they first
        reach for the device in vain: a value counts from the second report after that. A meter
        of the day reports nothing at night: after a minute it counts when a sibling shows that
        the device answers.
        """
        if not self._starting_up or self._confirmed(source.entity_id, reported):
            return False
        if not source.rests or (now - reported).total_seconds() < RESTED_S:
            return True
        return not any(
            self._confirmed(state.entity_id, state.last_reported)
            and (now - state.last_reported).total_seconds() < FAST_LIMIT_S
            for state in self._siblings(source)
        )

    def _confirmed(self, entity_id: str, reported: datetime) -> bool:
        """Note a report; tell whether it was the second one after the first that was seen."""
        newest, later_reports = self._reports.get(entity_id, (reported, 0))
        if reported > newest:
            later_reports += 1
        self._reports[entity_id] = (reported, later_reports)
        return later_reports >= CONFIRMING_REPORTS

    def _siblings(self, source: Source) -> Iterator[EntityState]:
        """Yield the states that can be read of the other sources of the same device."""
        device = self._device(source.entity_id)
        for other in self._measured():
            if other.entity_id == source.entity_id or self._device(other.entity_id) != device:
                continue
            state = self._hass.states.get(other.entity_id)
            if state is not None and state.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN):
                yield state

    def _sibling_age(self, source: Source, now: datetime) -> float | None:
        """Return the age (s) of the newest report from the same device."""
        ages = [(now - state.last_reported).total_seconds() for state in self._siblings(source)]
        return min(ages, default=None)

    def _device(self, entity_id: str) -> str | None:
        """Return an entity's device; what a YAML package makes has none, and belongs together."""
        entry = er.async_get(self._hass).async_get(entity_id)
        return None if entry is None else entry.device_id

    def _read_forecast(self, now: datetime) -> Forecast | None:
        """Return the forecast; the last good one for six hours after its source was lost."""
        found = self._live_forecast(now)
        if found is not None:
            self._forecast, self._forecast_lost = found, None
            return found
        if self._forecast is None:
            return None
        if self._forecast_lost is None:
            self._forecast_lost = now
        if now - self._forecast_lost > FORECAST_CACHE:
            self._forecast = None
            return None
        return replace(self._forecast, cached_since=self._forecast_lost, remaining_today=None)

    def _live_forecast(self, now: datetime) -> Forecast | None:
        today, tomorrow, remaining, fetched = (
            self._state_of(key)
            for key in (
                const.CONF_FORECAST_TODAY,
                const.CONF_FORECAST_TOMORROW,
                const.CONF_FORECAST_REMAINING,
                const.CONF_FORECAST_LAST_FETCH,
            )
        )
        if today is None:
            return None
        if now - self._fetched_at(today, fetched) > FORECAST_LIMIT:
            return None
        fresh = remaining is not None and now - remaining.last_reported <= REMAINING_LIMIT
        states = (today, tomorrow, remaining if fresh else None)
        if states == self._forecast_states and self._forecast_lost is None:
            return self._forecast
        self._forecast_states = states
        slots = solcast_slots(s.attributes for s in (today, tomorrow) if s is not None)
        total = self._forecast_energy(today)
        if not slots and total is None:
            return None
        zone = dt_util.get_default_time_zone()
        return Forecast(
            slots=slots,
            total_today=total,
            # What stands still while the sun shines would be granted twice.
            remaining_today=self._forecast_energy(remaining) if remaining and fresh else None,
            valid_from=local_day(today.last_updated, zone).start,
        )

    def _forecast_energy(self, state: EntityState) -> Quantiles | None:
        """Return a forecast's energy; its state may be in another unit than its attributes."""
        unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
        checked = self._validation.check(
            state.entity_id, SourceKind.ENERGY_DAILY, state.state, unit
        )
        return None if checked.value is None else solcast_total(checked.value, state.attributes)

    def _state_of(self, key: str) -> EntityState | None:
        ids = entity_ids(self._config, key)
        state = self._hass.states.get(ids[0]) if ids else None
        return None if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN) else state

    @staticmethod
    def _fetched_at(today: EntityState, fetched: EntityState | None) -> datetime:
        """Return when the forecast was fetched: its own word, else when its value last moved."""
        moment = as_moment(fetched.state) if fetched is not None else None
        return moment or today.last_updated
