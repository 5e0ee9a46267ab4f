"""Lets Home Assistant find the integration in this repository, and builds houses."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from tests.integration.house import House

type Build = Callable[..., House]


@pytest.fixture(autouse=True)
def _custom_integrations(enable_custom_integrations: None) -> None:
    """Look for custom integrations."""


@pytest.fixture
async def build(hass: HomeAssistant, freezer: FrozenDateTimeFactory) -> AsyncIterator[Build]:
    """Return how to build a house; what it leaves under way is ended."""
    houses: list[House] = []

    def make(**facts: Any) -> House:
        houses.append(House(hass, freezer, **facts))
        return houses[-1]

    yield make
    for house in houses:
        house.let_go()


@pytest.fixture
def house(build: Build) -> House:
    """Return a house at evening: battery at 80 %, 500 W of load; nothing set up."""
    return build()


@pytest.fixture
async def ready(house: House) -> House:
    """Return a house whose integration allows 1 kWh at 3 kW and has seen every sensor."""
    await house.set_up()
    await house.advance(70)
    return house


@pytest.fixture
async def running(ready: House) -> House:
    """Return a house in mid-discharge, far from every limit."""
    ready.options(fixed_limit=10)
    await ready.settle()
    await ready.discharge()
    return ready
