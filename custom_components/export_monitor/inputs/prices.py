"""Prices of export and import: from entities, else from the market, cached while slots last."""

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Final

from homeassistant.core import State

from .. import const
from ..error_handler import CircuitBreaker, SensorValidation, SourceKind
from ..models import Rate, Rates
from .formats import as_number
from .nord_pool import NordPool
from .rate_source import Layout, RateSource
from .rates import price_rates
from .states import EntityStates
from .wiring import Config

# The fixed price of each direction (currency/kWh), which holds where nothing else tells one.
FIXED: Final[Mapping[str, str]] = MappingProxyType(
    {
        const.CONF_EXPORT_PRICES: const.CONF_EXPORT_PRICE,
        const.CONF_IMPORT_PRICES: const.CONF_IMPORT_PRICE,
    }
)


def has_fixed_price(config: Config, key: str) -> bool:
    """Tell whether a direction, named by its entities' key, has a price that never changes."""
    return as_number(config.get(FIXED[key])) is not None


class PriceSource(RateSource):
    """The price (currency/kWh) of one direction, named by its entities' key.

    The market serves a direction without entities. It does not where the user has entered a
    fixed price: with a fixed feed-in tariff, only what is bought follows the market.
    """

    def __init__(
        self,
        states: EntityStates,
        config: Config,
        key: str,
        validation: SensorValidation,
        circuit: CircuitBreaker,
        market: NordPool | None = None,
    ) -> None:
        """Take the direction's entities; nothing is read yet."""
        super().__init__(states, config, key, LAYOUT, validation, circuit)
        wanted = not self._ids and not has_fixed_price(config, key)
        self._market = market if wanted else None

    @property
    def lost(self) -> datetime | None:
        """When the source was lost (UTC); None while it is live."""
        return super().lost if self._market is None else self._market.lost

    def read(self, now: datetime) -> Rates | None:
        """Return the prices that are known, None where none is."""
        return super().read(now) if self._market is None else self._market.read(now)


def _told(state: State, refused: list[object]) -> tuple[Rate, ...]:
    return price_rates([state.attributes], refused)


def _made(_: list[State], slots: tuple[Rate, ...]) -> Rates | None:
    return Rates(slots) if slots else None


LAYOUT: Final = Layout(SourceKind.PRICE, _told, _made)
