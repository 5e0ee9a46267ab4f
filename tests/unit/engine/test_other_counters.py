"""Another sensor takes the place of a counter, in the midst of a day or of a session."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from custom_components.export_monitor.engine.accounting import count_export, count_generation
from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter
from custom_components.export_monitor.engine.period import local_day
from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import Observed, Phase
from custom_components.export_monitor.models import Basis, Blocker, Observation, Settings
from tests.unit.engine.world import NOON, SETTINGS, World, observation, reading, readings

FLOWING_W = -3600.0
GENERATED = replace(SETTINGS, basis=Basis.GENERATED)


def _look(
    minute: float,
    kwh: float | None,
    source: str | None,
    *,
    grid_w: float = 0.0,
    settings: Settings = SETTINGS,
) -> Observation:
    at = NOON + timedelta(minutes=minute)
    seen = readings(
        at,
        export_counter=reading(kwh, at, None if kwh is not None else "unavailable"),
        grid_power=reading(grid_w, at),
        export_source=source,
    )
    return observation(minute * 60, seen, settings)


def _met(*looks: Observation, commanded_w: float = 0.0) -> ExportMeter:
    meter = ExportMeter()
    for look in looks:
        meter = count_export(meter, look, commanded_w)
    return meter


# --- Export ---


def test_the_right_counter_brings_the_day_that_a_wrong_one_did_not_show() -> None:
    meter = _met(_look(0, 0.02, "wrong"), _look(1, 6.54, "right"))
    assert meter.counter.trusted
    assert meter.counter.total == pytest.approx(6.54, abs=0.02)
    assert meter.counted >= 6.54


def test_a_counter_that_begins_only_now_takes_nothing_from_the_day() -> None:
    """A utility meter made in the afternoon shows zero."""
    meter = _met(_look(0, 6.54, "old"), _look(1, 0.0, "new"), _look(2, 0.1, "new"))
    assert meter.counter.total == pytest.approx(6.64, abs=0.02)


def test_a_lifetime_counter_that_comes_later_does_not_know_the_day() -> None:
    settings = replace(SETTINGS, daily_export_counter=False)
    looks = (_look(0, 0.02, "wrong"), _look(1, 5000.0, "right", settings=settings))
    meter = _met(*looks)
    assert meter.counter.total == pytest.approx(0.02, abs=0.02)
    assert meter.counter.partial(NOON)
    world = World(settings, start=NOON.replace(hour=0, minute=2)).run(16 * 60)
    counter = world.state.meter.counter.of("old")
    state = replace(world.state, meter=replace(world.state.meter, counter=counter))
    look = world.look()
    other = replace(look, readings=replace(look.readings, export_source="other"))
    assert state.decision is not None
    assert state.decision.blocker is None
    state, _ = step(state, Observed(other))
    assert state.decision is not None
    assert state.decision.blocker is Blocker.COUNTER_UNKNOWN


def test_a_record_of_nobody_knows_which_counter_is_of_the_present_one() -> None:
    meter = _met(_look(0, 3.0, None), _look(1, 3.1, "named"), _look(2, 3.2, None))
    assert meter.counter.total == pytest.approx(3.2)
    assert meter.counter.source == "named"


def test_until_the_other_counter_can_be_read_nothing_is_forgotten() -> None:
    meter = _met(_look(0, 3.0, "old"), _look(0.5, None, "new"), _look(1, None, "new"))
    assert meter.counter.total == pytest.approx(3.0, abs=0.2)
    assert not meter.counter.trusted


def test_another_counter_is_not_frozen_because_the_one_before_was() -> None:
    frozen = replace(
        _met(_look(0, 3.0, "old")), since_step=1.0, overdue_reports=9, overdue_since=0.0
    )
    meter = count_export(frozen, _look(5, 3.0, "new"), 0.0)
    assert not meter.frozen(0.01)


@pytest.mark.parametrize("shown", [0.0, 2.9, 3.5])
@pytest.mark.parametrize("silent", [0, 3])
def test_a_sessions_own_count_goes_on_with_another_counter(shown: float, silent: int) -> None:
    looks = [_look(0, 3.0, "old", grid_w=FLOWING_W)]
    meter = _met(*looks, commanded_w=3600.0)
    mark, least = meter.mark, 0.0
    for second in range(1, 601):
        minute = second / 60
        true = 3.0 + second / 1000
        source, kwh = "old", true
        if minute > 5:
            source = "new"
            kwh = shown + true - 3.3
        reads = kwh if minute <= 5 or minute > 5 + silent else None
        look = _look(minute, reads, source, grid_w=FLOWING_W)
        meter = count_export(meter, look, 3600.0)
        assert meter.since(mark) >= least - 1e-9
        least = meter.since(mark)
        assert least >= true - 3.0 - 0.001
    blind = silent / 60 * 5.0  # the worst case while nobody counts
    assert least <= 0.6 + max(0.0, shown - 3.3) + blind + 0.02


def test_a_session_with_another_counter_ends_inside_the_limit() -> None:
    world = World(replace(SETTINGS, fixed_limit_kwh=1.0)).discharging()
    state = world.state
    world.state = replace(
        state, meter=replace(state.meter, counter=state.meter.counter.of("wrong"))
    )

    def rewired(world: World) -> Observation:
        look = World.look(world)
        return replace(look, readings=replace(look.readings, export_source="right"))

    world.run(300)
    world.look = lambda: rewired(world)  # type: ignore[method-assign]
    world.run_until(lambda w: w.phase is Phase.IDLE)
    assert 0.9 <= world.exported <= 1.01


# --- PV ---


def _pv(sources: tuple[str | None, ...], *kwh: float | None, minute: float = 0.0) -> Observation:
    at = NOON + timedelta(minutes=minute)
    counters = tuple(
        reading(value, at, None if value is not None else "unavailable") for value in kwh
    )
    seen = readings(at, pv_counters=counters, pv_sources=sources)
    kinds = (True,) * len(kwh)
    return observation(minute * 60, seen, replace(GENERATED, daily_pv_counters=kinds))


def _made(*looks: Observation) -> list[float]:
    sums = tuple[CounterSum, ...]()
    for look in looks:
        sums = count_generation(sums, look)
    return [entry.total for entry in sums]


def test_sensors_in_another_order_credit_what_they_did() -> None:
    one = _pv(("a", "b"), 3.0, 6.0)
    other = [_pv(("b", "a"), 6.0, 3.0, minute=minute) for minute in (60, 61, 62)]
    assert _made(one, *other) == [6.0, 3.0]


def test_a_sensor_that_is_removed_takes_its_own_sum_along() -> None:
    after = [_pv(("b",), 6.0, minute=minute) for minute in (60, 61, 62)]
    assert _made(_pv(("a", "b"), 3.0, 6.0), *after) == [6.0]


def test_a_sensor_in_the_place_of_another_brings_its_own_day() -> None:
    after = [_pv(("ac",), 7.6, minute=minute) for minute in (60, 61, 62)]
    assert _made(_pv(("dc",), 8.0), *after) == [7.6]


def test_a_sensor_that_nobody_knows_is_not_the_one_in_another_place() -> None:
    before = _pv(("a", "b"), 3.0, 6.0)
    assert _made(before, _pv((None, "a"), None, 3.0, minute=60)) == [0.0, 3.0]
    assert _made(before, _pv((None, "b"), None, 6.0, minute=60)) == [3.0, 6.0]


def test_sums_of_a_record_without_names_are_those_of_the_present_sensors() -> None:
    nameless = _pv((), 3.0, 6.0)
    named = _pv(("a", "b"), 3.1, 6.1, minute=60)
    assert _made(nameless, named) == pytest.approx([3.1, 6.1])
    assert _made(_pv((), 3.0), named) == pytest.approx([3.1, 6.1])


def test_a_name_alone_changes_nothing() -> None:
    at: datetime = NOON + timedelta(minutes=1)
    day = local_day(NOON, SETTINGS.timezone)
    counter = CounterSum().observe(3.0, NOON, day, daily=True).of("a")
    assert counter.of("a") is counter
    assert counter.of(None) is counter
    assert counter.observe(3.1, at, day, daily=True).total == pytest.approx(3.1)
