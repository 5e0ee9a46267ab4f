"""Prices of core's Nord Pool: fetched when they are needed, cached, and in nobody's way."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant, ServiceCall, ServiceResponse, SupportsResponse
from homeassistant.exceptions import ServiceValidationError
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.error_handler import (
    BreakerState,
    CircuitBreaker,
    RetryPolicy,
    SafeServiceCall,
    SensorValidation,
    policy_for,
)
from custom_components.export_monitor.inputs.nord_pool import SOURCE, NordPool
from tests.integration.house import House

POOL = "pool_entry"
HOUR = timedelta(hours=1)
# Noon in Oslo, an hour before the auction's prices are published.
NOON = datetime(2026, 6, 21, 10, tzinfo=UTC)

type Answer = Callable[[ServiceCall], Awaitable[ServiceResponse]]


def market_day(day: date) -> list[dict[str, Any]]:
    """Return a day's hours, from midnight in Oslo; prices per MWh."""
    first = datetime(day.year, day.month, day.day, tzinfo=UTC) - 2 * HOUR
    return [
        {
            "start": (first + n * HOUR).isoformat(),
            "end": (first + (n + 1) * HOUR).isoformat(),
            "price": 100.0 * day.day + n,
        }
        for n in range(24)
    ]


class Pool:
    """Core's Nord Pool as its action shows it, and ours in front of it."""

    def __init__(self, hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> None:
        self.freezer = freezer
        self.asked: list[str] = []
        self.published = {date(2026, 6, 21)}
        self.answer: Answer = self.tells
        self.pauses: list[float] = []
        self.mono = 0.0
        self.validation = SensorValidation()
        self.circuit = CircuitBreaker("tariff", policy_for("tariff"), lambda: self.mono)
        call = SafeServiceCall(
            hass,
            self.circuit,
            RetryPolicy(),
            clock=lambda: self.mono,
            random=lambda: 1.0,
            sleep=self.pause,
        )
        self.ours = NordPool(call, POOL, self.validation)
        hass.services.async_register(
            "nordpool",
            "get_prices_for_date",
            self._asked,
            supports_response=SupportsResponse.ONLY,
        )
        freezer.move_to(NOON)

    async def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)

    async def _asked(self, call: ServiceCall) -> ServiceResponse:
        assert call.data["config_entry"] == POOL
        self.asked.append(call.data["date"])
        return await self.answer(call)

    async def tells(self, call: ServiceCall) -> ServiceResponse:
        day = date.fromisoformat(call.data["date"])
        return {"SE3": market_day(day) if day in self.published else []}  # type: ignore[dict-item]

    async def refuses(self, call: ServiceCall) -> ServiceResponse:
        """Do as core does where its server cannot be reached."""
        raise ServiceValidationError(translation_domain="nordpool", translation_key="x")

    async def look(self, minutes: float = 0) -> None:
        self.mono += 60 * minutes
        self.freezer.tick(timedelta(minutes=minutes))
        await self.ours.look()

    def prices(self) -> list[float]:
        found = self.ours.read(datetime.now(UTC))
        return [] if found is None else [round(slot.value, 4) for slot in found.slots]


@pytest.fixture
def pool(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> Pool:
    return Pool(hass, freezer)


async def test_today_is_fetched_once_and_is_per_kilowatt_hour(pool: Pool) -> None:
    await pool.look()
    assert pool.asked == ["2026-06-21"]
    assert pool.prices() == [round(2.1 + n / 1000, 4) for n in range(24)]
    for _ in range(50):
        await pool.look(1)
    assert pool.asked == ["2026-06-21"], "what is known is not asked for again"


async def test_tomorrow_is_asked_for_from_one_oclock_every_quarter_hour_until_it_is_there(
    pool: Pool,
) -> None:
    await pool.look()
    for _ in range(90):
        await pool.look(1)
    assert pool.asked == ["2026-06-21", "2026-06-22", "2026-06-22", "2026-06-22"]
    assert len(pool.prices()) == 24
    pool.published.add(date(2026, 6, 22))
    for _ in range(60):
        await pool.look(1)
    assert pool.asked == ["2026-06-21", *["2026-06-22"] * 4]
    assert len(pool.prices()) == 48
    assert pool.ours.lost is None, "a day that is not published yet is no failure"


async def test_a_lost_connection_is_tried_twice_then_a_quarter_of_an_hour_later(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    await pool.look()
    pool.answer = pool.refuses
    await pool.look(13 * 60)  # tomorrow has become today
    assert pool.asked[1:] == ["2026-06-22"] * 2
    assert pool.ours.lost == NOON + 13 * HOUR
    await pool.look(14)
    assert len(pool.asked) == 3
    await pool.look(1)
    assert len(pool.asked) == 4, "the third failure in a row opens the circuit"
    assert pool.circuit.state is BreakerState.OPEN
    assert caplog.text.count("No prices from Nord Pool") == 1
    pool.answer, pool.published = pool.tells, {date(2026, 6, 22)}
    await pool.look(15)
    assert pool.ours.lost is None
    assert pool.prices()[0] == 2.2


async def test_a_circuit_that_opened_is_closed_by_asking_for_today_once_more(pool: Pool) -> None:
    pool.answer = pool.refuses
    await pool.look()
    await pool.look(15)
    assert pool.circuit.state is BreakerState.OPEN
    pool.answer = pool.tells
    await pool.look(15)
    before = len(pool.asked)
    assert pool.circuit.state is BreakerState.HALF_OPEN, "one answer of two"
    assert pool.circuit.outage_s == 0
    for _ in range(25):
        await pool.look(1)
    assert pool.circuit.state is BreakerState.CLOSED
    assert pool.asked[before:] == ["2026-06-21"]
    assert len(pool.prices()) == 24


async def test_what_is_known_serves_until_its_last_hour_ends_and_is_marked(pool: Pool) -> None:
    await pool.look()
    pool.answer = pool.refuses
    await pool.look(2 * 60)
    found = pool.ours.read(datetime.now(UTC))
    assert found is not None
    assert found.cached_since == NOON + 2 * HOUR
    assert (pool.validation.cache_hits[SOURCE], pool.validation.cache_misses[SOURCE]) == (1, 0)
    pool.freezer.move_to(NOON + 12 * HOUR)
    assert pool.ours.read(datetime.now(UTC)) is None
    assert pool.validation.cache_misses[SOURCE] == 1


async def test_an_integration_that_is_not_there_is_a_lost_source(
    hass: HomeAssistant, pool: Pool
) -> None:
    hass.services.async_remove("nordpool", "get_prices_for_date")
    await pool.look()
    assert pool.ours.lost == NOON
    assert pool.prices() == []
    assert pool.circuit.total_failures == 0, "there is nothing that a pause would mend"


async def test_a_price_that_is_no_number_is_logged_and_counted(
    pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    async def odd(call: ServiceCall) -> ServiceResponse:
        hours = market_day(date(2026, 6, 21))
        return {"SE3": [{**hours[0], "price": "soon"}, *hours[1:]]}  # type: ignore[dict-item]

    pool.answer = odd
    await pool.look()
    assert len(pool.prices()) == 23
    assert pool.validation.invalid_counts[SOURCE] == 1
    lines = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(lines) == 1
    assert SOURCE in lines[0]


@pytest.mark.parametrize("response", [{}, {"SE3": None}, {"SE3": [{"start": "soon"}]}])
async def test_an_answer_without_prices_leaves_none(pool: Pool, response: dict[str, Any]) -> None:
    async def odd(call: ServiceCall) -> ServiceResponse:
        return response

    pool.answer = odd
    await pool.look()
    assert pool.prices() == []


async def test_a_market_that_hangs_delays_neither_set_up_nor_a_stop_and_ends_with_the_entry(
    hass: HomeAssistant, house: House
) -> None:
    asked, ended = [], []

    async def hangs(call: ServiceCall) -> ServiceResponse:
        asked.append(call.data["date"])
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(call.data["date"])
        return {}

    hass.services.async_register(
        "nordpool", "get_prices_for_date", hangs, supports_response=SupportsResponse.ONLY
    )
    await house.set_up(wiring={const.CONF_NORD_POOL: POOL})
    await house.advance(70)
    assert len(asked) == 2, "two attempts"
    await house.discharge()
    await house.call("stop_discharge")
    assert not house.discharging
    assert await hass.config_entries.async_unload(house.entry.entry_id)
    await house.settle()
    assert ended == asked, "nothing is left under way"


async def test_the_readings_have_the_markets_price_in_both_directions(
    hass: HomeAssistant, house: House
) -> None:
    async def tells(call: ServiceCall) -> ServiceResponse:
        return {"SE3": market_day(date.fromisoformat(call.data["date"]))}  # type: ignore[dict-item]

    hass.services.async_register(
        "nordpool", "get_prices_for_date", tells, supports_response=SupportsResponse.ONLY
    )
    await house.set_up(wiring={const.CONF_NORD_POOL: POOL}, **{const.CONF_IMPORT_PRICE: 0.3})
    await house.advance(12)
    readings = house.runtime.control.readings
    assert readings is not None
    assert readings.export_price is not None
    assert readings.export_price.slots[0].value == pytest.approx(2.1)
    assert readings.import_price is None, "a fixed price was entered for it"
