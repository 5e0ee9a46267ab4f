"""Entity states in, validated readings out: the only reader of the states around us."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from homeassistant.const import (
    ATTR_UNIT_OF_MEASUREMENT,
    STATE_OFF,
    STATE_ON,
    STATE_UNAVAILABLE,
    STATE_UNKNOWN,
)
from homeassistant.core import State as EntityState, valid_entity_id

from .. import const
from ..engine.accounting import required
from ..engine.counter import CounterSum
from ..engine.state import State
from ..error_handler import CircuitBreaker, Problem, SensorValidation, StaleDataDetector, Validated
from ..models import Basis, Reading, Readings, Settings, SwitchReading
from .carbon import CarbonSource
from .forecast import ForecastSource
from .formats import as_number
from .load import HouseLoad
from .nord_pool import NordPool
from .prices import PriceSource
from .states import EntityStates
from .wiring import FAST_LIMIT_S, Config, Source, Wiring

CONFIRMING_REPORTS = 2
RESTED_S = 60.0  # the slowest meter's tick: what is unchanged after it rests
SUN = "sun.sun"
ATTR_MADE_OF = "source"  # how a utility meter names the counter that it sums up
MISSING = Reading(None, None, Problem.MISSING)


@dataclass(frozen=True, slots=True)
class NumberLimits:
    """What a number entity accepts, in its own unit."""

    unit: str
    minimum: float
    maximum: float
    step: float


class Sources:
    """Reads every configured role.

    During start-up Home Assistant shows values from before the restart as if they were live, so
    there a measurement counts only from its second report on.
    """

    def __init__(  # noqa: PLR0913 - the rooms it reads through
        self,
        states: EntityStates,
        config: Config,
        validation: SensorValidation,
        staleness: StaleDataDetector,
        circuits: Callable[[str], CircuitBreaker],
        *,
        starting_up: bool,
        market: NordPool | None = None,
        load: HouseLoad | None = None,
    ) -> None:
        """Take the entry's entities; `circuits` returns the circuit of an optional source.

        `market` and `load` know by themselves what no entity's state tells.
        """
        self._states = states
        self._validation = validation
        self._staleness = staleness
        self._starting_up = starting_up
        self._reports: dict[str, tuple[datetime, int]] = {}
        self._judged: dict[str, tuple[EntityState | None, Validated]] = {}
        self._made_of: dict[str, str] = {}
        self.wiring = Wiring.of(config)
        self.forecast = ForecastSource(states, config, validation, circuits("forecast"))
        self.carbon = CarbonSource(states, config, validation, circuits("carbon_intensity"))
        tariff = circuits("tariff")
        self.export_price, self.import_price = (
            PriceSource(states, config, key, validation, tariff, market)
            for key in (const.CONF_EXPORT_PRICES, const.CONF_IMPORT_PRICES)
        )
        self.market = market
        self.load = load

    def faulty(self, readings: Readings, settings: Settings) -> tuple[str, str] | None:
        """Return the first required entity that cannot be used, and why; None where all can."""
        wiring = self.wiring
        read = (
            (const.CONF_SOC, wiring.soc, readings.soc),
            (const.CONF_EXPORT_ENERGY, wiring.export, readings.export_counter),
            *(
                (const.CONF_PV_ENERGY, source, reading)
                for source, reading in zip(wiring.pv_energy, readings.pv_counters, strict=True)
            ),
            (const.CONF_RESERVE_SOC, wiring.reserve, readings.reserve_soc),
        )
        for needed in required(readings, settings):
            if needed.usable:
                continue
            for role, source, reading in read:
                if reading is needed:
                    return (role if source is None else source.entity_id, needed.problem or "")
        if readings.switch.on is None:
            return (wiring.switch_id, Problem.UNAVAILABLE)
        return None

    def distrusted(self, state: State, settings: Settings) -> tuple[str, str] | None:
        """Return the first required counter that is read well but cannot be right, and why."""
        export = self.wiring.export
        if export is not None and state.meter.frozen(settings.meter_step_kwh):
            return (export.entity_id, Problem.FROZEN)
        for source, counted in self._counters(state):
            decides = source is export or settings.basis is not Basis.FIXED
            if decides and counted.suspect is not None:
                return (source.entity_id, Problem.HELD_BACK)
        return None

    def _counters(self, state: State) -> Iterator[tuple[Source, CounterSum]]:
        """Yield the counters with what the metering holds of each."""
        counters = (self.wiring.export, *self.wiring.pv_energy)
        sums = (state.meter.counter, *state.generation)
        for source, counted in zip(counters, sums, strict=False):
            if source is not None:
                yield source, counted

    def read(self) -> Readings:
        """Return what all sources say now."""
        now, wiring = self._states.now(), self.wiring
        pv_power = self._read(wiring.pv, now)
        sun_up = self._sun_up()
        pv_rests = not sun_up or (pv_power is not None and pv_power.value == 0)
        pv_energy = wiring.pv_energy_at_rest if pv_rests else wiring.pv_energy
        modes = [(each, self._on(each)) for each in wiring.conflict_ids]
        return Readings(
            soc=self._read(wiring.soc, now) or MISSING,
            export_counter=self._read(wiring.export, now) or MISSING,
            pv_counters=tuple(self._measure(source, now) for source in pv_energy),
            switch=self._read_switch(wiring.switch_id),
            charge_switch=self._read_charge_switch(),
            grid_power=self._read(wiring.grid, now),
            battery_power=self._read(wiring.battery, now),
            pv_power=pv_power,
            house_load=self._read(wiring.load, now),
            dispatch_start=self._read(wiring.dispatch, now),
            reserve_soc=self._read(wiring.reserve, now),
            forecast=self.forecast.read(now),
            carbon=self.carbon.read(now),
            export_price=self.export_price.read(now),
            import_price=self.import_price.read(now),
            load_profile=None if self.load is None else self.load.profile,
            conflicts=tuple(each for each, on in modes if on),
            modes_known=all(on is not None for _, on in modes),
            sun_up=sun_up,
            export_source=self._identity(wiring.export),
            pv_sources=tuple(self._identity(each) for each in wiring.pv_energy),
        )

    def judge_steps(self, before: State, after: State) -> None:
        """Log what the metering has begun to hold back, or to accept again."""
        if after.meter.counter is before.meter.counter and after.generation is before.generation:
            return
        changed = zip(self._counters(before), self._counters(after), strict=False)
        for (source, old), (_, new) in changed:
            if new.suspect_at != old.suspect_at:
                self._validation.judge_step(source.entity_id, new.suspect)

    def overdue(self) -> list[str]:
        """Return required entities that are unavailable though their device answers again.

        With each the counter that it is made of. Never what is merely stale: asked to update, an
        entity that nobody polls writes its old value anew, as if it were a report.
        """
        found: list[str] = []
        for source in (self.wiring.soc, self.wiring.export, *self.wiring.pv_energy):
            state = None if source is None else self._states.get(source.entity_id)
            if source is None or state is None:
                continue
            if state.state != STATE_UNAVAILABLE:  # an unavailable one names nothing
                self._made_of[source.entity_id] = str(state.attributes.get(ATTR_MADE_OF))
            elif any(s.last_reported > state.last_changed for s in self._siblings(source)):
                found += (source.entity_id, *self._unavailable_origin(source))
        return found

    def _unavailable_origin(self, source: Source) -> tuple[str, ...]:
        origin = self._made_of.get(source.entity_id, "")
        state = self._states.get(origin) if valid_entity_id(origin) else None
        return (origin,) if state is not None and state.state == STATE_UNAVAILABLE else ()

    def nothing(self) -> Readings:
        """Return readings that say nothing."""
        return Readings(
            soc=MISSING,
            export_counter=MISSING,
            pv_counters=(MISSING,) * len(self.wiring.pv_energy),
            switch=SwitchReading(None),
            charge_switch=SwitchReading(None) if self.wiring.charge_switch_id else None,
            battery_power=None if self.wiring.battery is None else MISSING,
            dispatch_start=None if self.wiring.dispatch is None else MISSING,
            modes_known=False,
        )

    def limits(self, entity_id: str) -> NumberLimits | None:
        """Return what a number entity accepts, None while it is not there."""
        state = self._states.get(entity_id)
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
        sun = self._states.get(SUN)
        return sun is None or sun.state != "below_horizon"

    def _on(self, entity_id: str) -> bool | None:
        state = self._states.get(entity_id)
        known = state is not None and state.state in (STATE_ON, STATE_OFF)
        return state.state == STATE_ON if state is not None and known else None

    def _read_charge_switch(self) -> SwitchReading | None:
        entity_id = self.wiring.charge_switch_id
        return self._read_switch(entity_id) if entity_id else None

    def _read_switch(self, entity_id: str) -> SwitchReading:
        state = self._states.get(entity_id) if entity_id else None
        if state is None or state.state not in (STATE_ON, STATE_OFF):
            return SwitchReading(None)
        return SwitchReading(state.state == STATE_ON, state.last_reported)

    def _identity(self, source: Source | None) -> str | None:
        return None if source is None else self._states.identity(source.entity_id)

    def _read(self, source: Source | None, now: datetime) -> Reading | None:
        return None if source is None else self._measure(source, now)

    def _measure(self, source: Source, now: datetime) -> Reading:
        state = self._states.get(source.entity_id)
        validated = self._validated(source, state)
        if state is None or validated.value is None:
            return Reading(None, None, validated.problem)
        reported = state.last_reported
        value = validated.value * source.sign
        if self._awaits_report(source, reported, now):
            return Reading(value, reported, Problem.AWAITING_REPORT)
        age = (now - reported).total_seconds()
        sibling = None
        if source.rests and source.limit_s is not None and abs(age) > source.limit_s:
            sibling = self._sibling_age(source, now)
        problem = self._staleness.source_problem(
            source.entity_id, age_s=age, limit_s=source.limit_s, sibling_age_s=sibling
        )
        return Reading(value, reported, problem)

    def _validated(self, source: Source, state: EntityState | None) -> Validated:
        """Return what a state says; each is judged, and counted, once."""
        judged = self._judged.get(source.entity_id)
        if judged is not None and judged[0] is state:
            return judged[1]
        validated = self._validation.check(
            source.entity_id,
            source.kind,
            None if state is None else state.state,
            None if state is None else state.attributes.get(ATTR_UNIT_OF_MEASUREMENT),
            floor_at_zero=source.never_negative,
        )
        self._judged[source.entity_id] = (state, validated)
        return validated

    def _awaits_report(self, source: Source, reported: datetime, now: datetime) -> bool:
        """Tell whether a value may be the one from before the start.

        What is restored shows at once, and some integrations write it once more when they first
        reach for the device in vain: a value counts from the second report after that. A meter
        of the day reports nothing at night: after a minute it counts when a sibling shows that
        the device answers.
        """
        if not self._starting_up or self._confirmed(source.entity_id, reported):
            return False
        # By size: what was reported before the clock was set back looks new for as long as that.
        if not source.rests or abs((now - reported).total_seconds()) < RESTED_S:
            return True
        answers = any(
            self._confirmed(state.entity_id, state.last_reported)
            and (now - state.last_reported).total_seconds() < FAST_LIMIT_S
            for state in self._siblings(source)
        )
        if answers:  # for good: its next report, hours from now, must not put it in doubt again
            self._reports[source.entity_id] = (reported, CONFIRMING_REPORTS)
        return not answers

    def _confirmed(self, entity_id: str, reported: datetime) -> bool:
        """Note a report; tell whether it was the second one after the first that was seen."""
        newest, later_reports = self._reports.get(entity_id, (reported, 0))
        if reported > newest:
            later_reports += 1
        self._reports[entity_id] = (reported, later_reports)
        return later_reports >= CONFIRMING_REPORTS

    def _siblings(self, source: Source) -> Iterator[EntityState]:
        """Yield the states that can be read of the other sources of the same device."""
        for other in self.wiring.measured:
            own = other.entity_id == source.entity_id
            if own or not self._states.related(source.entity_id, other.entity_id):
                continue
            state = self._states.get(other.entity_id)
            if state is not None and state.state not in (STATE_UNAVAILABLE, STATE_UNKNOWN):
                yield state

    def _sibling_age(self, source: Source, now: datetime) -> float | None:
        """Return the age (s) of the newest report from the same device."""
        ages = [(now - state.last_reported).total_seconds() for state in self._siblings(source)]
        # By size: one that rested through a clock set back is far below zero until it moves.
        return min(ages, key=abs, default=None)
