"""Carbon intensity, live from its entities or from the cache while its slots last."""

from typing import Final

from homeassistant.core import State

from .. import const
from ..error_handler import CircuitBreaker, SensorValidation, SourceKind
from ..models import Rate, Rates
from .rate_source import Layout, RateSource
from .rates import carbon_document, carbon_rates
from .states import EntityStates
from .wiring import Config

LONGEST_INDEX = 20  # "very high"; an ISO time or a document is no index


class CarbonSource(RateSource):
    """Reads the carbon entities; one that shows the present index alone counts as display."""

    def __init__(
        self,
        states: EntityStates,
        config: Config,
        validation: SensorValidation,
        circuit: CircuitBreaker,
    ) -> None:
        """Take the entry's carbon entities; nothing is read yet."""
        super().__init__(states, config, const.CONF_CARBON, LAYOUT, validation, circuit)


def _told(state: State, refused: list[object]) -> tuple[Rate, ...]:
    return carbon_rates([{**carbon_document(state.state), **state.attributes}], refused)


def _made(present: list[State], slots: tuple[Rate, ...]) -> Rates | None:
    words = [state.state for state in present if state.state.replace(" ", "").isalpha()]
    index = next((word for word in words if len(word) <= LONGEST_INDEX), None)
    return Rates(slots, index) if slots or index is not None else None


LAYOUT: Final = Layout(SourceKind.CARBON, _told, _made)
