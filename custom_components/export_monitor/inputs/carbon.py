"""Carbon intensity, live from its entities or from the cache while its slots last."""

from homeassistant.core import State

from .. import const
from ..error_handler import CircuitBreaker, SensorValidation
from ..models import Rates
from .rate_source import RateSource
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
        super().__init__(states, config, const.CONF_CARBON, _parsed, validation, circuit)


def _parsed(present: list[State]) -> Rates | None:
    attributes = [{**carbon_document(state.state), **state.attributes} for state in present]
    slots = carbon_rates(attributes)
    words = [state.state for state in present if state.state.replace(" ", "").isalpha()]
    index = next((word for word in words if len(word) <= LONGEST_INDEX), None)
    return Rates(slots, index) if slots or index is not None else None
