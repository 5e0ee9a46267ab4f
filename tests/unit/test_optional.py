"""An optional source behind its circuit: cached while it is out, and found again."""

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
from custom_components.export_monitor.inputs.carbon import CarbonSource

CARBON = "sensor.carbon_intensity_uk"
T0 = datetime(2026, 6, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


class Place:
    """One carbon entity under a clock that a test moves."""

    def __init__(self, config: dict[str, object] | None = None) -> None:
        self.seconds = 0.0
        self.states: dict[str, State] = {}
        self.validation = SensorValidation()
        self.circuit = CircuitBreaker(
            "carbon_intensity", policy_for("carbon_intensity"), lambda: self.seconds
        )
        config = {const.CONF_CARBON: CARBON} if config is None else config
        self.source = CarbonSource(self, config, self.validation, self.circuit)

    def get(self, entity_id: str) -> State | None:
        return self.states.get(entity_id)

    def related(self, entity_id: str, other_id: str) -> bool:
        return True

    def identity(self, entity_id: str) -> str | None:
        return entity_id

    def now(self) -> datetime:
        return T0 + timedelta(seconds=self.seconds)

    def show(self, state: str, hours: int = 0) -> None:
        rows = [
            {
                "from": T0 + n * HOUR,
                "to": T0 + (n + 1) * HOUR,
                "intensity": 100 + n,
                "index": "low",
            }
            for n in range(hours)
        ]
        self.states[CARBON] = State(CARBON, state, {"forecast": rows} if rows else {})

    def read(self, after_s: float = 0) -> list[float] | None:
        self.seconds += after_s
        found = self.source.read(self.now())
        return None if found is None else [slot.value for slot in found.slots]

    @property
    def hits(self) -> tuple[int, int]:
        return self.validation.cache_hits[CARBON], self.validation.cache_misses[CARBON]


def test_a_live_source_is_read_and_is_not_lost() -> None:
    place = Place()
    place.show("low", hours=2)
    assert place.read() == [100, 101]
    assert place.source.lost is None
    assert place.hits == (0, 0)


def test_what_was_read_serves_while_its_slots_last_and_says_since_when() -> None:
    place = Place()
    place.show("low", hours=2)
    place.read()
    place.show("unavailable")
    assert place.read(60) == [100, 101]
    assert place.source.lost == T0 + timedelta(seconds=60)
    assert place.read(7000) == [100, 101]
    assert place.source.lost == T0 + timedelta(seconds=60)
    assert place.hits == (2, 0)
    assert place.read(200) is None
    assert place.hits == (2, 1)


def test_an_old_forecast_that_stands_still_is_gone_when_its_last_slot_ends() -> None:
    place = Place()
    place.show("low", hours=1)
    assert place.read(3599) == [100]
    assert place.read(1) is None
    assert place.source.lost is not None


def test_a_source_that_keeps_failing_is_left_alone_until_its_circuit_lets_it_try() -> None:
    place = Place()
    place.show("low", hours=1)
    place.read()
    place.show("unavailable")
    for _ in range(3):
        place.read(10)
    assert place.circuit.state is BreakerState.OPEN
    place.show("low", hours=8)
    assert place.read(29) == [100]  # the cached one
    assert place.read(1) == [100 + n for n in range(8)]
    assert place.circuit.state is BreakerState.HALF_OPEN
    place.read(1)
    assert place.circuit.state is BreakerState.CLOSED
    assert place.source.lost is None


def test_a_moments_absence_opens_no_circuit_however_often_one_looks() -> None:
    place = Place()
    place.show("low", hours=2)
    place.read()
    place.show("unavailable")
    for _ in range(15):
        assert place.read(1) == [100, 101]
    assert place.circuit.failures == 2
    assert place.circuit.state is BreakerState.CLOSED


def test_a_source_that_is_not_there_yet_is_no_failure() -> None:
    place = Place()
    for _ in range(10):
        assert place.read(10) is None
    assert place.circuit.total_failures == 0
    place.show("low", hours=2)
    assert place.read(10) == [100, 101]


def test_a_source_of_the_index_alone_has_nothing_to_plan_with() -> None:
    place = Place()
    place.show("very high")
    assert place.read() == []
    found = place.source.read(place.now())
    assert found is not None
    assert found.index == "very high"


@pytest.mark.parametrize("state", ["2026-06-21T12:00:00+00:00", "17", "unknown", "{", "x" * 30])
def test_a_state_that_says_nothing_of_carbon_is_no_answer(state: str) -> None:
    place = Place()
    place.show(state)
    assert place.read() is None


@pytest.mark.parametrize(
    "value",
    [5000, -1, float("nan"), float("inf"), "much", True, pytest.param(10**5000, id="endless")],
)
def test_a_carbon_intensity_that_cannot_be_is_logged_once_with_its_range_and_counted(
    value: object, caplog: pytest.LogCaptureFixture
) -> None:
    place = Place()
    place.show("low", hours=3)
    rows = [dict(row) for row in place.states[CARBON].attributes["forecast"]]
    for n in range(2):
        rows[1]["intensity"] = rows[2]["intensity"] = value
        place.states[CARBON] = State(CARBON, f"read {n}", {"forecast": rows})
        assert place.read(10) == [100], "the other hours are known"
    lines = [r.getMessage() for r in caplog.records if r.levelname == "ERROR"]
    assert len(lines) == 1
    assert CARBON in lines[0]
    assert "0 to 2000 g/kWh" in lines[0]
    assert place.validation.invalid_counts[CARBON] == 2, "once for each reading"
    assert place.validation.read_counts[CARBON] == 2
    place.show("low", hours=3)
    assert place.read(10) == [100, 101, 102]
    assert place.validation.invalid_counts[CARBON] == 2


def test_an_hour_without_a_value_yet_is_no_invalid_one() -> None:
    place = Place()
    place.show("low", hours=2)
    rows = [dict(row) for row in place.states[CARBON].attributes["forecast"]]
    rows[1]["intensity"] = None
    place.states[CARBON] = State(CARBON, "low", {"forecast": rows})
    assert place.read() == [100]
    assert place.validation.invalid_counts[CARBON] == 0


def test_a_source_that_is_not_configured_never_fails() -> None:
    place = Place({})
    assert not place.source.configured
    assert place.read() is None
    assert place.circuit.total_failures == 0
    assert place.hits == (0, 0)
