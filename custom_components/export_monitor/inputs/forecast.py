"""The PV forecast, live from its entities or from the cache of the last good one."""

from dataclasses import replace
from datetime import datetime, timedelta

from homeassistant.const import ATTR_UNIT_OF_MEASUREMENT, STATE_UNAVAILABLE, STATE_UNKNOWN
from homeassistant.core import State
from homeassistant.util import dt as dt_util

from .. import const
from ..engine.period import local_day
from ..error_handler import CircuitBreaker, SensorValidation, SourceKind
from ..models import Forecast, Quantiles
from .formats import as_moment, solcast_slots, solcast_total
from .optional import OptionalSource
from .states import EntityStates
from .wiring import Config, entity_ids

# Age limits of specification page 3.
FETCH_LIMIT = timedelta(hours=26)
REMAINING_LIMIT = timedelta(minutes=15)
CACHE_S = 6 * 3600.0
ROLES = (
    const.CONF_FORECAST_TODAY,
    const.CONF_FORECAST_TOMORROW,
    const.CONF_FORECAST_DAY_3,
    const.CONF_FORECAST_REMAINING,
    const.CONF_FORECAST_LAST_FETCH,
)


class ForecastSource:
    """Reads the forecast's entities; serves the last good one for six hours after their loss."""

    def __init__(
        self,
        states: EntityStates,
        config: Config,
        validation: SensorValidation,
        circuit: CircuitBreaker,
    ) -> None:
        """Take the entry's forecast entities; nothing is read yet."""
        self._states = states
        self._validation = validation
        self._ids = tuple(next(iter(entity_ids(config, role)), None) for role in ROLES)
        self._known: Forecast | None = None
        self._read_from: tuple[State | None, ...] = ()
        self._source = OptionalSource(
            self._ids[0], circuit, validation, self._live, lambda _, lost_s, __: lost_s <= CACHE_S
        )

    @property
    def lost(self) -> datetime | None:
        """When the forecast was lost (UTC); None while it is live."""
        return self._source.lost

    def read(self, now: datetime) -> Forecast | None:
        """Return the forecast, marked where it is cached; None where there is none."""
        found, lost = self._source.read(now), self.lost
        if found is None or lost is None:
            return found
        return replace(found, cached_since=lost, remaining_today=None)

    def _live(self, now: datetime) -> Forecast | None:
        today, tomorrow, day_3, remaining, fetched = map(self._state, self._ids)
        if today is None or now - _fetched_at(today, fetched) > FETCH_LIMIT:
            return None
        fresh = remaining is not None and now - remaining.last_reported <= REMAINING_LIMIT
        states = (today, tomorrow, day_3, remaining if fresh else None)
        if states == self._read_from:
            return self._known
        later = [state for state in (tomorrow, day_3) if state is not None]
        self._read_from, self._known = states, self._parsed(today, later, states[3])
        return self._known

    def _parsed(self, today: State, later: list[State], remaining: State | None) -> Forecast | None:
        slots = solcast_slots(state.attributes for state in (today, *later))
        total = self._energy(today)
        if not slots and total is None:
            return None
        zone = dt_util.get_default_time_zone()
        return Forecast(
            slots=slots,
            total_today=total,
            # What stands still while the sun shines would be granted twice.
            remaining_today=None if remaining is None else self._energy(remaining),
            valid_from=local_day(today.last_updated, zone).start,
        )

    def _energy(self, state: State) -> Quantiles | None:
        """Return a forecast's energy; its state may be in another unit than its attributes."""
        unit = state.attributes.get(ATTR_UNIT_OF_MEASUREMENT)
        checked = self._validation.check(
            state.entity_id, SourceKind.ENERGY_DAILY, state.state, unit
        )
        return None if checked.value is None else solcast_total(checked.value, state.attributes)

    def _state(self, entity_id: str | None) -> State | None:
        state = None if entity_id is None else self._states.get(entity_id)
        return None if state is None or state.state in (STATE_UNAVAILABLE, STATE_UNKNOWN) else state


def _fetched_at(today: State, fetched: State | None) -> datetime:
    """Return when the forecast was fetched: its own word, else when its value last moved."""
    moment = as_moment(fetched.state) if fetched is not None else None
    return moment or today.last_updated
