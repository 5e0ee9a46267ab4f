"""What the contract lets out, and the largest discharge that fits in it."""

from dataclasses import replace
from datetime import datetime, timedelta

from hypothesis import given, settings as run, strategies as st
import pytest

from custom_components.export_monitor.engine.headroom import (
    NaturalExport,
    contract,
    duration_minutes,
    energy_to_come,
    headroom,
    natural_export,
)
from custom_components.export_monitor.engine.period import Period
from custom_components.export_monitor.models import Basis, Forecast, Quantiles, Settings, Slot
from tests.unit.engine.world import NOON

MIDNIGHT = NOON + timedelta(hours=12)
TODAY = Period(NOON - timedelta(hours=12), MIDNIGHT)
BARE = Settings(house_load_kwh_per_day=0.0, battery_capacity_kwh=10.0)


def _slots(*kwh: float, hours: float = 1.0, start: datetime = NOON) -> tuple[Slot, ...]:
    length = timedelta(hours=hours)
    return tuple(
        Slot(
            start + i * length,
            start + (i + 1) * length,
            *(share * energy / hours * 1000 for share in (0.5, 1.0, 1.5)),
        )
        for i, energy in enumerate(kwh)
    )


# --- Worked examples of specification page 1 ---


def _example(
    *, allowance: float, to_come: float, room: float, holds: float, exported: float = 0.0
) -> float:
    """Return the headroom where `to_come` is the surplus, `room` what the battery still takes."""
    capacity = holds + room
    settings = replace(BARE, basis=Basis.FORECAST, battery_capacity_kwh=capacity)
    forecast = Forecast(_slots(to_come))
    soc = holds / capacity * 100
    natural = natural_export(settings, forecast, soc, 0.0, NOON, TODAY)
    return headroom(allowance, exported, natural, holds)


def test_a_morning_discharge_makes_room_that_the_afternoon_fills() -> None:
    assert _example(allowance=10, to_come=10, room=3, holds=50) == pytest.approx(10)


def test_a_battery_gives_no_more_than_it_holds() -> None:
    assert _example(allowance=10, to_come=10, room=3, holds=2) == pytest.approx(2)


def test_where_the_sun_alone_passes_the_allowance_there_is_no_headroom() -> None:
    assert _example(allowance=10, exported=4, to_come=8, room=0, holds=20) == 0


def test_one_and_a_half_kwh_at_three_kw_last_thirty_minutes() -> None:
    assert duration_minutes(1.5, 3000.0) == 30.0


def test_no_power_no_duration() -> None:
    assert duration_minutes(1.5, 0.0) == 0.0


# --- Contract ---

FORECAST = Forecast(
    slots=_slots(2.0, 2.0),
    total_today=Quantiles(5.0, 9.0, 12.0),
    remaining_today=Quantiles(1.0, 3.0, 5.0),
    valid_from=TODAY.start,
)
TOTALS = replace(FORECAST, slots=())


@pytest.mark.parametrize(
    ("basis", "forecast", "figure", "really"),
    [
        (Basis.FORECAST, FORECAST, 4.0 + 4.0, Basis.FORECAST),
        (Basis.CONSERVATIVE, FORECAST, 4.0 + 2.0, Basis.CONSERVATIVE),
        (Basis.GENERATED, FORECAST, 4.0, Basis.GENERATED),
        (Basis.FIXED, FORECAST, 7.0, Basis.FIXED),
        (Basis.FIXED, None, 7.0, Basis.FIXED),
        (Basis.FORECAST, None, 4.0, Basis.GENERATED),
        (Basis.FORECAST, TOTALS, 4.0 + 3.0, Basis.FORECAST),
        (Basis.CONSERVATIVE, TOTALS, 4.0 + 1.0, Basis.CONSERVATIVE),
        (Basis.FORECAST, replace(TOTALS, remaining_today=None), 9.0, Basis.FORECAST),
        (Basis.CONSERVATIVE, replace(TOTALS, remaining_today=None), 5.0, Basis.CONSERVATIVE),
        (Basis.FORECAST, Forecast(valid_from=TODAY.start), 4.0, Basis.GENERATED),
        (Basis.FORECAST, replace(TOTALS, valid_from=None), 4.0, Basis.GENERATED),
        (
            Basis.FORECAST,
            replace(TOTALS, valid_from=TODAY.start - timedelta(days=1)),
            4.0,
            Basis.GENERATED,
        ),
    ],
)
def test_the_contract_by_basis(
    basis: Basis, forecast: Forecast | None, figure: float, really: Basis
) -> None:
    found = contract(Settings(basis=basis, fixed_limit_kwh=7.0), forecast, 4.0, NOON, TODAY)
    assert found.kwh == pytest.approx(figure)
    assert found.basis is really


def test_where_only_the_total_is_known_what_was_generated_counts_at_least() -> None:
    only_total = replace(TOTALS, remaining_today=None)
    found = contract(Settings(), only_total, 11.0, NOON, TODAY)
    assert found.kwh == 11.0


def test_slots_beyond_the_period_and_before_now_do_not_count() -> None:
    slots = _slots(*([1.0] * 30), start=NOON - timedelta(hours=2, minutes=30))
    assert energy_to_come(slots, NOON, MIDNIGHT, 50) == pytest.approx(12.0)
    assert energy_to_come(slots[:2], NOON, MIDNIGHT, 50) is None


def test_percentiles_name_themselves() -> None:
    total = Quantiles(1.0, 2.0, 3.0)
    assert [total.at(p) for p in (10, 50, 90)] == [1.0, 2.0, 3.0]
    slot = Slot(NOON, MIDNIGHT, 1.0, 2.0, 3.0)
    assert [slot.watts(p) for p in (10, 50, 90)] == [1.0, 2.0, 3.0]


# --- Natural export ---


def test_later_pv_brings_its_own_allowance_on_the_generated_basis() -> None:
    settings = replace(BARE, basis=Basis.GENERATED)
    natural = natural_export(settings, Forecast(_slots(50.0)), 100.0, 0.0, NOON, TODAY)
    assert (natural.untouched, natural.known) == (0.0, True)


@pytest.mark.parametrize(
    ("capacity", "forecast"),
    [
        (0.0, FORECAST),
        (10.0, None),
        (10.0, TOTALS),
        (10.0, Forecast(_slots(5.0, start=NOON - timedelta(hours=9)))),
    ],
)
def test_without_capacity_or_slots_it_is_zero_and_says_so(
    capacity: float, forecast: Forecast | None
) -> None:
    settings = replace(BARE, battery_capacity_kwh=capacity)
    natural = natural_export(settings, forecast, 100.0, 0.0, NOON, TODAY)
    assert (natural.untouched, natural.known) == (0.0, False)


@pytest.mark.parametrize(
    ("basis", "overflow"), [(Basis.CONSERVATIVE, 2.0), (Basis.FORECAST, 4.0), (Basis.FIXED, 6.0)]
)
def test_each_basis_walks_its_own_percentile(basis: Basis, overflow: float) -> None:
    settings = replace(BARE, basis=basis)
    natural = natural_export(settings, Forecast(_slots(4.0)), 100.0, 0.0, NOON, TODAY)
    assert natural.untouched == pytest.approx(overflow)


def test_slots_of_another_day_or_of_the_past_do_not_overflow_today() -> None:
    past, tomorrow = NOON - timedelta(hours=5), MIDNIGHT + timedelta(hours=9)
    slots = (*_slots(8.0, start=past), *_slots(2.0), *_slots(8.0, start=tomorrow))
    natural = natural_export(BARE, Forecast(slots), 100.0, 0.0, NOON, TODAY)
    assert natural.untouched == pytest.approx(2.0)


def test_a_gap_in_the_forecast_lets_the_house_draw() -> None:
    first, second = _slots(0.0, start=NOON)[0], _slots(3.0, start=NOON + timedelta(hours=4))[0]
    settings = replace(BARE, house_load_kwh_per_day=12.0)
    natural = natural_export(settings, Forecast((first, second)), 100.0, 0.0, NOON, TODAY)
    assert natural.untouched == pytest.approx(3.0 - 5 * 0.5)


# --- Properties ---

surplus = st.lists(st.floats(-3.0, 5.0), min_size=1, max_size=12)


def _brute(nets: list[float], stored: float, capacity: float, lowest: float) -> float:
    """Walk in small parts, without any of the engine's shortcuts."""
    out = 0.0
    for net in nets:
        for _ in range(20):
            stored += net / 20
            if stored > capacity:
                out += stored - capacity
                stored = capacity
            stored = max(stored, lowest)
    return out


@run(max_examples=400, deadline=None)
@given(
    nets=surplus,
    soc=st.floats(0.0, 100.0),
    floor=st.floats(0.0, 60.0),
    exported=st.floats(0.0, 15.0),
    allowance=st.floats(0.0, 30.0),
)
def test_headroom_is_the_largest_discharge_that_fits(
    nets: list[float], soc: float, floor: float, exported: float, allowance: float
) -> None:
    load = 3.0  # kWh an hour, so that a slot's surplus is its PV less three
    forecast = Forecast(_slots(*(net + load for net in nets)))
    settings = replace(BARE, basis=Basis.FORECAST, house_load_kwh_per_day=load * 24)
    natural = natural_export(settings, forecast, soc, floor, NOON, TODAY)
    capacity = settings.battery_capacity_kwh
    available = max(0.0, soc - floor) / 100 * capacity
    found = headroom(allowance, exported, natural, available)
    lowest = min(floor, soc) / 100 * capacity

    def needs(discharge: float) -> float:
        left = soc / 100 * capacity - discharge
        return exported + discharge + _brute(nets, left, capacity, lowest)

    assert 0.0 <= found <= available + 1e-9
    if found > 0:
        assert needs(found) <= allowance + 1e-6
    if needs(0.0) > allowance + 1e-6:
        assert found == 0.0
    elif found + 0.001 <= available and needs(0.0) <= allowance - 1e-6:
        larger = [d / 200 * (available - found) + found + 0.001 for d in range(200)]
        assert all(needs(d) > allowance - 1e-6 for d in larger if d <= available)


@given(
    a=st.floats(0.0, 20.0),
    b=st.floats(0.0, 20.0),
    exported=st.floats(0.0, 20.0),
    untouched=st.floats(0.0, 20.0),
    emptied=st.floats(0.0, 1.0),
    available=st.floats(0.0, 20.0),
)
def test_less_allowance_never_gives_more_headroom(
    a: float, b: float, exported: float, untouched: float, emptied: float, available: float
) -> None:
    natural = NaturalExport(untouched, emptied * untouched, known=True)
    less, more = sorted((a, b))
    assert headroom(less, exported, natural, available) <= headroom(
        more, exported, natural, available
    )
