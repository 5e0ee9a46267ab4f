"""The last 24 hours with a gap in them: what is known of export stays, also after a wrong clock."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from custom_components.export_monitor.engine.restart import resume
from custom_components.export_monitor.engine.rolling import Rolling, Trail
from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import Observed, Phase
from custom_components.export_monitor.models import (
    Blocker,
    ErrorState,
    Instant,
    Observation,
    PeriodKind,
    Reading,
    Settings,
)
from tests.unit.engine.test_rolling import FIXED, GENERATED, HOUR, Days
from tests.unit.engine.world import NOON, SETTINGS, World

LAG = 0.12


def _trails(house: Days) -> Rolling:
    assert house.state.rolling is not None
    return house.state.rolling


# --- A daily counter that nobody saw over midnight ---


def test_the_evenings_export_counts_though_nobody_saw_midnight() -> None:
    house = Days(GENERATED, daily=True).run(12 * HOUR).run(10 * HOUR, 0.0, 1000.0)
    house.run(75, export_w=6000.0).run(15).run(70, seen=False).run(2)
    house.run(7 * HOUR).run(10 * HOUR + 30, 0.0, 800.0)
    decision = house.decision
    assert decision.exported == pytest.approx(house.truth(house.exported), abs=LAG)
    assert decision.generated <= house.truth(house.generated)
    assert decision.generated == pytest.approx(8.4, abs=0.2)  # of the new day alone
    assert ErrorState.OVER_EXPORT not in house.state.faults


def test_pv_before_a_midnight_that_nobody_saw_makes_no_over_export() -> None:
    house = Days(GENERATED, daily=True).run(12 * HOUR).run(10 * HOUR, 0.0, 1000.0)
    house.run(75, export_w=6000.0).run(15).run(70, seen=False).run(HOUR)
    assert house.decision.exported > house.decision.generated
    assert ErrorState.OVER_EXPORT not in house.state.faults


def test_a_session_goes_on_inside_the_limit_though_nobody_saw_midnight() -> None:
    house = Days(FIXED, daily=True).run(46 * HOUR + 30).run(HOUR, 3000.0)
    house.run(HOUR + 30, seen=False).run(3)
    assert house.decision.exported == pytest.approx(3.0, abs=LAG)
    assert house.decision.blocker is Blocker.COUNTER_UNKNOWN


def test_a_report_of_before_midnight_after_a_long_rest_has_lost_nothing() -> None:
    house = Days(GENERATED, daily=True).run(20 * HOUR, 0.0, 500.0)
    house.run(3 * HOUR + 59, seen=False)
    late = house.look()  # the report of 23:59, looked at after midnight
    house.minute += 2
    house.state, _ = step(
        house.state, Observed(replace(late, now=Instant(house.now, house.minute * 60.0)))
    )
    assert house.decision.generated == pytest.approx(10.0, abs=0.2)


# --- The period is changed to the last 24 hours in the midst of a session ---


@pytest.mark.parametrize("broken", [set(), {"generation"}])
@pytest.mark.parametrize("lifetime", [True, False])
def test_a_session_keeps_its_export_when_the_period_is_changed(
    broken: set[str], *, lifetime: bool
) -> None:
    settings = replace(SETTINGS, fixed_limit_kwh=1.0, daily_export_counter=not lifetime)
    start = NOON.replace(hour=0, minute=2) if lifetime else NOON
    world = World(settings, start=start, broken=broken).discharging()
    world.run_until(lambda w: w.state.decision is not None and w.state.decision.counted > 0.9)
    world.settings = replace(settings, period=PeriodKind.ROLLING_24H)
    world.run_until(lambda w: w.phase is Phase.IDLE)
    assert 0.95 <= world.exported <= 1.01


def test_export_since_a_lifetime_counter_was_met_counts_when_the_period_is_changed() -> None:
    house = Days(replace(FIXED, period=PeriodKind.LOCAL_DAY)).run(10 * HOUR, seen=False)
    house.run(HOUR, 3000.0)
    house.settings = replace(house.settings, period=PeriodKind.ROLLING_24H)
    house.run(1)
    assert house.decision.exported == pytest.approx(3.0, abs=LAG)
    assert house.decision.blocker is Blocker.COUNTER_UNKNOWN
    assert house.run(24 * HOUR - 2).decision.blocker is Blocker.COUNTER_UNKNOWN
    assert house.run(3).decision.blocker is None


def test_a_counter_that_has_not_reported_today_begins_with_its_last_report() -> None:
    house = Days(replace(FIXED, period=PeriodKind.LOCAL_DAY)).run(23 * HOUR)
    late = house.look()
    house.settings = replace(house.settings, period=PeriodKind.ROLLING_24H)
    house.minute += 2 * HOUR
    now = Instant(house.now, house.minute * 60.0)
    house.state, _ = step(house.state, Observed(replace(late, now=now, settings=house.settings)))
    assert len(_trails(house).export.minutes) == 1
    assert _trails(house).whole_from == 0


# --- A wrong clock ---


def _at(look: Observation, by: timedelta, mono: float) -> Observation:
    """Return a look as a clock that is off by some time stamps it."""
    seen, at = look.readings, look.now.utc + by

    def moved(reading: Any) -> Any:  # noqa: ANN401 - a reading or none
        return None if reading is None else replace(reading, reported=at)

    seen = replace(
        seen,
        soc=moved(seen.soc),
        export_counter=moved(seen.export_counter),
        pv_counters=tuple(moved(each) for each in seen.pv_counters),
        grid_power=moved(seen.grid_power),
    )
    return replace(look, now=Instant(at, mono), readings=seen)


@pytest.mark.parametrize("behind", [timedelta(hours=20), timedelta(days=2), timedelta(days=4000)])
@pytest.mark.parametrize("settings", [FIXED, GENERATED])
def test_a_boot_with_a_clock_that_is_behind_forgets_no_export(
    settings: Settings, behind: timedelta
) -> None:
    house = Days(settings).run(24 * HOUR, 0.0, 500.0).run(110, export_w=3000.0).run(30)
    before = house.decision
    saved = Instant(house.now, house.minute * 60.0)
    house.state = resume(house.state, saved, Instant(house.now - behind, 0.0))
    for minute in (1, 2, 3):
        house.state, _ = step(house.state, Observed(_at(house.look(), -behind, minute * 60.0)))
        assert house.decision.exported >= before.exported
    for minute in (4, 5):
        house.run(1)
        look = _at(house.look(), timedelta(), minute * 60.0)
        house.state, _ = step(house.state, Observed(look))
    assert house.decision.exported == pytest.approx(before.exported)
    assert house.decision.generated <= before.generated
    assert _trails(house).anew == Trail()


def test_after_a_day_behind_it_was_the_trail_that_was_wrong() -> None:
    house = Days(FIXED).run(HOUR)
    house.minute += 40 * HOUR
    house.exported += [0.0] * 40 * HOUR
    house.generated += [0.0] * 40 * HOUR
    house.run(5)  # by a clock that is ahead
    house.start -= timedelta(hours=40)
    house.run(10, 3000.0)
    assert house.decision.exported == pytest.approx(0.5, abs=0.06)
    assert house.decision.blocker is Blocker.COUNTER_UNKNOWN
    first = _trails(house).anew
    assert len(first.minutes) == 1
    house.run(23 * HOUR)
    assert _trails(house).anew == first
    assert house.decision.exported == pytest.approx(0.5, abs=0.06)
    house.run(HOUR)
    assert _trails(house).anew == Trail()
    assert house.decision.blocker is None
    assert house.decision.exported <= 0.5


def test_a_clock_set_back_again_begins_its_day_anew() -> None:
    trail = Trail((10_000,), (5_000,))
    at = NOON.replace(year=1970, month=1, day=2, hour=0)
    behind = Rolling(trail).exported(at, 5.0)
    assert behind.anew == Trail((1440,), (5_000,))
    again = behind.exported(at - timedelta(hours=5), 5.1)
    assert again.anew == Trail((1140,), (5_100,))
    assert again.exported(at, 5.2) is again
    caught_up = again.exported(at + timedelta(minutes=9_000), 5.3)
    assert caught_up.export.minutes == (10_000, 10_440)
    assert caught_up.anew == Trail()


def test_an_hour_behind_is_a_clock_that_was_set() -> None:
    trail = Trail((1380, 1440, 1500), (1, 2, 3))
    at = NOON.replace(year=1970, month=1, day=2, hour=0)
    assert Rolling(trail).exported(at, 0.003).export == Trail((1380, 1440), (1, 3))
    late = at - timedelta(minutes=1)
    assert Rolling(trail).exported(late, 0.003).export == trail


# --- Other counters ---


def _sourced(house: Days, source: str, *pv: str, silent: bool = False) -> None:
    look = house.look()
    seen = replace(look.readings, export_source=source, pv_sources=pv)
    if silent:
        seen = replace(seen, export_counter=Reading(None, None, "unavailable"))
    house.state, _ = step(house.state, Observed(replace(look, readings=seen)))


@pytest.mark.parametrize("daily", [True, False])
def test_another_export_counter_keeps_what_is_known_and_waits_for_24_hours(*, daily: bool) -> None:
    house = Days(FIXED, daily=daily).run(30 * HOUR).run(HOUR, 3000.0)
    _sourced(house, "old")
    assert house.decision.blocker is None
    house.run(1)
    _sourced(house, "new", silent=True)
    assert house.decision.exported == pytest.approx(3.0, abs=LAG)
    house.run(1)
    _sourced(house, "new")
    assert house.decision.exported == pytest.approx(3.0, abs=LAG)
    assert house.decision.blocker is Blocker.COUNTER_UNKNOWN


def test_other_pv_sensors_are_credited_from_their_own_time() -> None:
    house = Days(GENERATED, daily=True).run(23 * HOUR, 0.0, 500.0)
    _sourced(house, "meter", "old")
    house.run(10 * HOUR, 0.0, 500.0)
    assert house.decision.generated > 10.0
    _sourced(house, "meter", "new")
    assert house.decision.generated == 0.0


# --- Written down ---


def test_gaps_survive_being_written_down() -> None:
    rolling = Rolling(Trail((5, 6), (1, 2)), Trail((5,), (7,)), Trail((2,), (2,)), 6)
    assert Rolling.unpacked(rolling.packed()) == rolling


def test_a_record_of_two_trails_is_one_without_gaps() -> None:
    rolling = Rolling(Trail((5, 6), (1, 2)), Trail((5,), (7,)))
    assert Rolling.unpacked(rolling.packed()[:2]) == rolling
