"""The last good forecast serves six hours, whatever the wall clock does meanwhile."""

from datetime import UTC, datetime, timedelta

from homeassistant.core import State
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.headroom import contract
from custom_components.export_monitor.engine.period import local_day
from custom_components.export_monitor.error_handler import (
    CircuitBreaker,
    SensorValidation,
    policy_for,
)
from custom_components.export_monitor.inputs.forecast import ForecastSource
from custom_components.export_monitor.models import Basis, Forecast, Settings

TODAY = "sensor.solcast_pv_forecast_forecast_today"
HALF = timedelta(minutes=30)
MORNING = datetime(2026, 6, 21, 8, tzinfo=UTC)
EVENING = datetime(2026, 6, 21, 20, tzinfo=UTC)
SETTINGS = Settings(basis=Basis.FORECAST)
GENERATED = 3.0
FORECAST_W = 1000.0


class Place:
    """A forecast of 1 kW from 08:00 to 20:00, under two clocks that a test moves."""

    def __init__(self) -> None:
        self.wall = MORNING
        self.seconds = 0.0
        self.states: dict[str, State] = {}
        circuit = CircuitBreaker("forecast", policy_for("forecast"), lambda: self.seconds)
        config = {const.CONF_FORECAST_TODAY: TODAY}
        self.source = ForecastSource(self, config, SensorValidation(), circuit)
        slots = int((EVENING - MORNING) / HALF)
        rows = [
            {"period_start": MORNING + n * HALF, "pv_estimate": FORECAST_W / 1000}
            for n in range(slots)
        ]
        facts = {"unit_of_measurement": "kWh", "detailedForecast": rows}
        self.states[TODAY] = State(TODAY, "12", facts, last_updated=MORNING)

    def get(self, entity_id: str) -> State | None:
        return self.states.get(entity_id)

    def related(self, entity_id: str, other_id: str) -> bool:
        return True

    def now(self) -> datetime:
        return self.wall

    def wait(self, passing: timedelta, *, clock_set: timedelta = timedelta()) -> None:
        """Let time pass, during which the wall clock may be set, too."""
        self.seconds += passing.total_seconds()
        self.wall += passing + clock_set

    def read(self) -> Forecast | None:
        return self.source.read(self.wall)

    def figure(self) -> tuple[Basis, float]:
        """Return the contract's basis and figure (kWh) as the engine makes them now."""
        found = contract(
            SETTINGS, self.read(), GENERATED, self.wall, local_day(self.wall, SETTINGS.timezone)
        )
        return found.basis, found.kwh


@pytest.fixture
def lost() -> Place:
    """Return a place whose forecast was read at 08:00 and is lost at 08:01."""
    place = Place()
    assert place.figure() == (Basis.FORECAST, GENERATED + 12)
    place.wait(timedelta(minutes=1))
    del place.states[TODAY]
    assert place.figure()[0] is Basis.FORECAST
    return place


def test_a_lost_forecast_serves_six_hours_and_then_what_was_generated_counts(lost: Place) -> None:
    lost.wait(timedelta(hours=5, minutes=59))  # 14:00
    assert lost.figure() == (Basis.FORECAST, pytest.approx(GENERATED + 6))
    found = lost.read()
    assert found is not None
    assert found.cached_since == MORNING + timedelta(minutes=1)
    lost.wait(timedelta(minutes=2))  # 14:02
    assert lost.figure() == (Basis.GENERATED, GENERATED)


@pytest.mark.parametrize("set_by", [timedelta(hours=-3), timedelta(hours=3)])
def test_a_clock_that_is_set_neither_lengthens_nor_shortens_the_six_hours(
    lost: Place, set_by: timedelta
) -> None:
    lost.wait(timedelta(hours=1), clock_set=set_by)
    lost.wait(timedelta(hours=4, minutes=59))
    assert lost.read() is not None
    lost.wait(timedelta(minutes=2))
    assert lost.read() is None
