"""Prices of both directions: from entities, else from the market, and cached while they last."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from homeassistant.core import State
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.error_handler import (
    BreakerState,
    CircuitBreaker,
    SensorValidation,
    policy_for,
)
from custom_components.export_monitor.inputs.prices import PriceSource
from custom_components.export_monitor.models import Rate, Rates

TODAY = "event.octopus_energy_electricity_1_2_export_current_day_rates"
TOMORROW = "event.octopus_energy_electricity_1_2_export_next_day_rates"
T0 = datetime(2026, 6, 21, 12, tzinfo=UTC)
HALF = timedelta(minutes=30)
MARKET = Rates((Rate(T0, T0 + HALF, 0.9),))


class Market:
    """Stands for Nord Pool."""

    lost: datetime | None = None

    def read(self, now: datetime) -> Rates | None:
        return MARKET


class Place:
    """Two price entities under a clock that a test moves."""

    def __init__(self, config: Mapping[str, object], market: Market | None = None) -> None:
        self.seconds = 0.0
        self.states: dict[str, State] = {}
        self.validation = SensorValidation()
        self.circuit = CircuitBreaker("tariff", policy_for("tariff"), lambda: self.seconds)
        self.market = market
        self.source, self.other = (
            PriceSource(
                self,
                config,
                key,
                self.validation,
                self.circuit,
                market,  # type: ignore[arg-type]
            )
            for key in (const.CONF_EXPORT_PRICES, const.CONF_IMPORT_PRICES)
        )

    def get(self, entity_id: str) -> State | None:
        return self.states.get(entity_id)

    def related(self, entity_id: str, other_id: str) -> bool:
        return True

    def identity(self, entity_id: str) -> str | None:
        return entity_id

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.seconds)

    def show(self, entity_id: str, *values: float, start: datetime = T0) -> None:
        rows = [
            {"start": start + n * HALF, "end": start + (n + 1) * HALF, "value_inc_vat": value}
            for n, value in enumerate(values)
        ]
        self.states[entity_id] = State(entity_id, "2026-06-21T11:00:00+00:00", {"rates": rows})

    def read(self, after_s: float = 0) -> list[float] | None:
        self.seconds += after_s
        found = self.source.read(self.now())
        return None if found is None else [slot.value for slot in found.slots]


ENTITIES = {const.CONF_EXPORT_PRICES: [TODAY, TOMORROW]}


def test_today_and_tomorrow_are_read_as_one_and_tomorrow_may_still_be_empty() -> None:
    place = Place(ENTITIES)
    place.show(TODAY, 0.15, -0.02)
    place.show(TOMORROW)
    assert place.read() == [0.15, -0.02]
    place.show(TOMORROW, 0.3, start=T0 + 2 * HALF)
    assert place.read(10) == [0.15, -0.02, 0.3]
    assert place.source.lost is None


def test_what_was_read_serves_while_its_slots_last_and_says_since_when() -> None:
    place = Place(ENTITIES)
    place.show(TODAY, 0.15, 0.2)
    place.read()
    place.states.clear()
    assert place.read(60) == [0.15, 0.2]
    found = place.source.read(place.now())
    assert found is not None
    assert found.cached_since == T0 + timedelta(seconds=60)
    assert place.read(3530) == [0.15, 0.2]
    assert place.read(20) is None
    assert place.validation.cache_misses[TODAY] == 1


def _half_lost(away: State | None) -> Place:
    """Return a place that has read two entities, and whose first is away since 60 s."""
    place = Place(ENTITIES)
    place.show(TODAY, 0.15, 0.2)
    place.show(TOMORROW, 0.3, start=T0 + 2 * HALF)
    assert place.read() == [0.15, 0.2, 0.3]
    if away is None:
        del place.states[TODAY]
    else:
        place.states[TODAY] = away
    place.read(60)
    return place


@pytest.mark.parametrize("away", [None, State(TODAY, "unavailable"), State(TODAY, "unknown")])
def test_of_two_entities_the_one_that_is_lost_is_cached_while_its_slots_last(
    away: State | None,
) -> None:
    place = _half_lost(away)
    assert place.read() == [0.15, 0.2, 0.3]
    lost_at = T0 + timedelta(seconds=60)
    assert place.source.lost == lost_at
    found = place.source.read(place.now())
    assert found is not None
    assert found.cached_since == lost_at
    hits = place.validation.cache_hits
    assert hits[TODAY] == 3
    assert hits[TOMORROW] == 0
    place.read(3540)  # its own have ended
    assert place.validation.cache_misses[TODAY] == 1
    assert place.source.lost == lost_at, "it is still away"
    assert place.circuit.total_failures == 0, "the role still has a source"


def test_an_entity_that_is_back_is_lost_no_longer_and_says_itself_what_counts() -> None:
    place = _half_lost(None)
    place.show(TODAY, 0.17)
    assert place.read(10) == [0.17, 0.3], "what it no longer tells is known no longer"
    assert place.source.lost is None
    found = place.source.read(place.now())
    assert found is not None
    assert found.cached_since is None


def test_a_fresh_price_wins_over_the_cached_one_of_its_hour() -> None:
    place = _half_lost(None)
    place.show(TOMORROW, 0.25, 0.35, start=T0 + HALF)
    assert place.read(10) == [0.15, 0.25, 0.35]


def test_at_midnight_what_only_moves_to_the_lost_entity_stays_known() -> None:
    place = _half_lost(None)
    place.show(TOMORROW)  # its hours are today's now, and today's entity is away
    assert place.read(10) == [0.15, 0.2, 0.3]
    assert place.source.lost is not None


def test_both_lost_after_one_another_are_cached_since_the_first() -> None:
    place = _half_lost(None)
    del place.states[TOMORROW]
    assert place.read(60) == [0.15, 0.2, 0.3]
    assert place.source.lost == T0 + timedelta(seconds=60)
    place.show(TODAY, 0.15, 0.2)
    assert place.read(10) == [0.15, 0.2, 0.3]
    assert place.source.lost is not None, "the other is still away"


def test_an_entity_that_never_was_there_is_not_lost() -> None:
    place = Place(ENTITIES)
    place.show(TODAY, 0.15)
    place.states[TOMORROW] = State(TOMORROW, "unknown")
    assert place.read() == [0.15]
    assert place.source.lost is None


def test_prices_that_have_all_ended_are_gone_and_open_the_circuit() -> None:
    place = Place(ENTITIES)
    place.show(TODAY, 0.15)
    assert place.read() == [0.15]
    for _ in range(3):
        assert place.read(1800) is None
    assert place.circuit.state is BreakerState.OPEN


@pytest.mark.parametrize("state", ["unavailable", "unknown"])
def test_an_entity_that_is_away_tells_nothing(state: str) -> None:
    place = Place(ENTITIES)
    place.show(TODAY, 0.15)
    place.states[TODAY] = State(TODAY, state, place.states[TODAY].attributes)
    assert place.read() is None


def test_a_price_that_is_no_finite_number_is_logged_once_and_counted_for_its_entity(
    caplog: pytest.LogCaptureFixture,
) -> None:
    place = Place(ENTITIES)
    place.show(TODAY, 0.15)
    place.show(TOMORROW, float("inf"), -500.0, start=T0 + HALF)
    assert place.read() == [0.15, -500.0]
    lines = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(lines) == 1
    assert TOMORROW in lines[0]
    assert "any finite number" in lines[0]
    assert place.validation.invalid_counts == {TOMORROW: 1}


def test_each_direction_has_entities_of_its_own_and_a_dead_one_costs_the_other_nothing() -> None:
    config = {const.CONF_EXPORT_PRICES: TODAY, const.CONF_IMPORT_PRICES: [TOMORROW]}
    place = Place(config)
    place.show(TODAY, 0.15)
    place.show(TOMORROW, 0.28)
    assert place.read() == [0.15]
    found = place.other.read(place.now())
    assert found is not None
    assert found.slots[0].value == 0.28
    del place.states[TOMORROW]
    assert place.read(600) == [0.15]
    assert place.source.lost is None


def test_without_any_source_there_is_no_price_and_nothing_lost() -> None:
    place = Place({})
    assert place.read() is None
    assert place.source.lost is None
    assert place.circuit.total_failures == 0


def test_the_market_tells_where_no_entity_does() -> None:
    place = Place({const.CONF_EXPORT_PRICES: [TODAY]}, Market())
    place.show(TODAY, 0.15)
    assert place.read() == [0.15], "the entity is nearer to the contract"
    assert place.other.read(place.now()) == MARKET


def test_a_fixed_tariff_of_one_direction_keeps_the_market_out_of_it() -> None:
    place = Place({const.CONF_EXPORT_PRICE: 0.0}, Market())
    assert place.read() is None, "0 is a price, too"
    assert place.other.read(place.now()) == MARKET
    assert Place({const.CONF_EXPORT_PRICE: None}, Market()).read() == [0.9]


def test_a_market_that_fails_is_told_as_lost() -> None:
    market = Market()
    place = Place({}, market)
    market.lost = T0
    assert place.source.lost == place.other.lost == T0
