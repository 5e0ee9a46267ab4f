"""Counters that reset minutes apart around midnight make no headroom, and no start between."""

from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from itertools import product
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.engine.period import local_day
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import Basis, Blocker
from tests.unit.engine.world import SETTINGS, World

BEFORE, AFTER = timedelta(minutes=8), timedelta(minutes=8)
OFFSETS = (-5, -2, 0, 2, 5)
LONDON, NEW_YORK = "Europe/London", "America/New_York"
DST_NIGHTS = [  # both ends of the days of 23 and of 25 hours
    (LONDON, date(2026, 3, 29)),
    (LONDON, date(2026, 3, 30)),
    (LONDON, date(2026, 10, 25)),
    (LONDON, date(2026, 10, 26)),
    (NEW_YORK, date(2026, 3, 8)),
    (NEW_YORK, date(2026, 3, 9)),
    (NEW_YORK, date(2026, 11, 1)),
    (NEW_YORK, date(2026, 11, 2)),
]
CASES = [(LONDON, date(2026, 6, 16), export, pv) for export, pv in product(OFFSETS, OFFSETS)] + [
    (*night, *order) for night in DST_NIGHTS for order in ((-5, 5), (5, -5), (0, 0))
]
TICK_KWH = 60 * 5.0 / 3600  # at the largest flow in here


def _night(zone: str, day: date, basis: Basis, export: float, pv: float) -> tuple[World, datetime]:
    midnight = datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
    settings = replace(SETTINGS, basis=basis, timezone=ZoneInfo(zone), fixed_limit_kwh=1.2)
    world = World(settings, start=midnight - BEFORE, pv_w=2000.0, meter_phase=17)
    world.exported, world.generated = 6.37, 9.0  # a day's worth
    world.reset_at = {
        "export": midnight + timedelta(minutes=export),
        "generation": midnight + timedelta(minutes=pv),
    }
    return world, midnight


class Oracle:
    """What flowed since midnight, as the plant knows it."""

    def __init__(self, world: World, midnight: datetime) -> None:
        self.midnight = midnight
        self.exported = self.generated = 0.0
        self.world = world

    def look(self) -> None:
        if self.world.now.utc <= self.midnight:
            self.exported, self.generated = self.world.exported, self.world.generated

    @property
    def headroom(self) -> float:
        allowed = (
            self.world.settings.fixed_limit_kwh
            if self.world.settings.basis is Basis.FIXED
            else self.world.generated - self.generated
        )
        return max(0.0, allowed - (self.world.exported - self.exported))


def _check_second(world: World, oracle: Oracle) -> None:
    oracle.look()
    decision = world.state.decision
    assert decision is not None
    if world.now.utc < oracle.midnight:
        return
    assert decision.headroom <= oracle.headroom + 0.01 + TICK_KWH
    reported = (world.look().readings.export_counter, *world.look().readings.pv_counters)
    seen = all(r.reported is not None and r.reported >= oracle.midnight for r in reported)
    if not seen and world.settings.basis is not Basis.FIXED:
        assert decision.blocker in (Blocker.COUNTER_NOT_SEEN, Blocker.NO_DATA, Blocker.SOC_AT_FLOOR)
    elif not seen and reported[0].reported is not None and reported[0].reported < oracle.midnight:
        assert decision.blocker is Blocker.COUNTER_NOT_SEEN


@pytest.mark.parametrize("running", [False, True])
@pytest.mark.parametrize(("zone", "day", "export", "pv"), CASES)
def test_no_spike_and_no_start_whichever_counter_resets_first(
    zone: str, day: date, export: float, pv: float, *, running: bool
) -> None:
    basis = Basis.FIXED if running else Basis.GENERATED
    world, midnight = _night(zone, day, basis, export, pv)
    if running:
        world.exported = 0.2
    oracle = Oracle(world, midnight)
    world.settle()
    if running:
        world.discharging()
    while world.now.utc < midnight + AFTER:
        world.run(1)
        _check_second(world, oracle)
    exported = world.exported - oracle.exported
    generated = world.generated - oracle.generated
    decision = world.state.decision
    assert decision is not None
    assert decision.exported == pytest.approx(exported, abs=0.01 + TICK_KWH)
    assert decision.counted >= exported
    assert decision.generated == pytest.approx(generated, abs=0.1 + TICK_KWH)
    if running:
        assert world.phase is Phase.ACTIVE


def test_a_discharge_over_midnight_ends_where_the_new_day_has_nothing_to_give() -> None:
    world, midnight = _night(LONDON, date(2026, 6, 16), Basis.GENERATED, 2, -2)
    world.exported = 1.0
    oracle = Oracle(world, midnight)
    world.discharging()
    while world.now.utc < midnight + AFTER:
        world.run(1)
        oracle.look()
    assert world.ended
    deliberate = world.exported - oracle.exported - (world.generated - oracle.generated)
    assert deliberate <= 0.01


def test_a_clock_set_back_over_midnight_gives_yesterday_no_second_allowance() -> None:
    world, midnight = _night(LONDON, date(2026, 6, 16), Basis.FIXED, 0, 0)
    world.exported = 1.15  # of 1.2
    world.settle()
    while world.now.utc < midnight + timedelta(minutes=2):
        world.run(1)
    world.clock_offset = timedelta(minutes=-5)
    world.run(90)
    assert world.now.utc < midnight
    decision = world.state.decision
    assert decision is not None
    assert decision.headroom <= 0.05
    assert decision.blocker is not None


def test_a_clock_set_back_over_midnight_and_forth_keeps_the_new_days_export() -> None:
    world, midnight = _night(LONDON, date(2026, 6, 16), Basis.FIXED, 0, 0)
    world.settle()
    while world.now.utc < midnight + timedelta(minutes=5):
        world.run(1)
    decision = world.state.decision
    assert decision is not None
    before = decision.exported
    world.clock_offset = timedelta(minutes=-10)
    world.run(5)
    world.clock_offset = timedelta()
    world.run(61)
    decision = world.state.decision
    assert decision is not None
    assert decision.exported >= before


def test_a_clock_a_day_ahead_credits_no_pv_to_the_day_it_took_it_for() -> None:
    noon = datetime(2026, 6, 15, 11, tzinfo=UTC)
    world = World(replace(SETTINGS, basis=Basis.GENERATED), start=noon, pv_w=4000.0).settle()
    world.clock_offset = timedelta(days=1)
    world.run(120)
    world.clock_offset = timedelta()
    world.run(1200)
    made = world.generated
    world.clock_offset = timedelta(days=1)  # the day has really come
    world.run(1)
    decision = world.state.decision
    assert decision is not None
    assert decision.generated <= world.generated - made + 0.1


def test_period_boundaries_are_those_of_the_local_day() -> None:
    for zone, day in DST_NIGHTS:
        midnight = datetime.combine(day, time.min, ZoneInfo(zone)).astimezone(UTC)
        assert local_day(midnight, ZoneInfo(zone)).start == midnight
