"""What a plan says: windows that a session can run, with a reason each."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
import sys

import pytest

from custom_components.export_monitor.models import Slot
from custom_components.export_monitor.planning import (
    ALL_DAY,
    BatteryState,
    DailyWindow,
    DayAllowance,
    Fallback,
    Kind,
    Limit,
    Plan,
    PlanInput,
    Planner,
    PlanSlot,
    PowerLimits,
    Reason,
    Status,
    plan,
    sentence,
)
from custom_components.export_monitor.planning.formulation import formulate
from custom_components.export_monitor.planning.horizon import horizon, intervals
from custom_components.export_monitor.planning.linear import Search, propose
from custom_components.export_monitor.planning.policy import Order, walk
from custom_components.export_monitor.planning.program import DeadlineError, Solution, Solver
from tests.unit.planning.days import LONDON, case

MIDNIGHT = datetime(2026, 6, 3, tzinfo=UTC)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


def _given(
    values: dict[int, float] | None = None,
    *,
    hours: int = 24,
    start: int = 0,
    pv: dict[int, float] | None = None,
    left: float = 20.0,
    load: float = 100.0,
    **changes: object,
) -> PlanInput:
    """Return hours of a dark house with 100 W of load, 10 ct to sell and 25 ct to buy."""
    slots = []
    for number in range(start, start + hours):
        sun = (pv or {}).get(number, 0.0)
        value = (values or {}).get(number, 0.1)
        at = MIDNIGHT + number * HOUR
        slots.append(PlanSlot(at, at + HOUR, (sun, sun, sun), load, value, 0.25))
    days = (
        DayAllowance(MIDNIGHT, MIDNIGHT + DAY, left),
        DayAllowance(MIDNIGHT + DAY, MIDNIGHT + 2 * DAY, left),
    )
    given = PlanInput(
        slots=tuple(slots),
        battery=BatteryState(10.0, 80.0, 20.0),
        days=days,
        wear_cost=0.01,
        terminal_value=0.12,
    )
    return replace(given, **changes)  # type: ignore[arg-type]


BOTH = pytest.mark.parametrize("linear", [True, False], ids=["linear", "greedy"])


@BOTH
def test_the_battery_is_sold_in_the_dearest_hour_and_no_further_than_its_floor(
    linear: bool,
) -> None:
    found = plan(_given({17: 0.4, 18: 0.35}), linear=linear)
    [window] = found.windows
    assert window.kind is Kind.DISCHARGE
    assert window.start == MIDNIGHT + 17 * HOUR
    assert window.end <= MIDNIGHT + 19 * HOUR
    assert min(soc for _, soc in found.soc) >= 20.0 - 1e-6
    assert found.objective > found.baseline
    assert found.limited_by is Limit.BATTERY
    assert window.why.reason is Reason.BEST_OF_DAY
    assert sentence(window, "GBP", 2).startswith("The best hours of the day: 0.")


@BOTH
def test_the_days_allowance_is_kept(linear: bool) -> None:
    found = plan(_given({17: 0.4, 18: 0.35}, left=1.5), linear=linear)
    assert found.days[0].exported_kwh == pytest.approx(1.5, abs=0.05)
    assert found.days[0].limited_by is Limit.ALLOWANCE
    assert sum(w.energy_kwh for w in found.windows) <= 1.5 + 1e-4


@BOTH
def test_the_sun_that_will_flow_out_by_itself_uses_allowance_too(linear: bool) -> None:
    sun = dict.fromkeys(range(10, 14), 4300.0)
    full = replace(_given().battery, soc=100.0)
    found = plan(_given({17: 0.4, 18: 0.35}, pv=sun, left=18.0, battery=full), linear=linear)
    assert found.days[0].exported_kwh <= 18.0 + 1e-4
    assert found.days[0].over_kwh == 0
    assert 1.0 < found.days[0].discharge_kwh <= 18.0 + 1e-4


@BOTH
def test_where_pv_alone_breaks_the_allowance_a_plan_exists_and_discharges_nothing(
    linear: bool,
) -> None:
    sun = dict.fromkeys(range(8, 16), 4300.0)
    found = plan(_given({17: 0.4}, pv=sun, left=5.0), linear=linear)
    assert found.days[0].over_kwh > 5
    assert found.of_day(MIDNIGHT, MIDNIGHT + DAY) == ()


@BOTH
def test_the_night_before_makes_room_for_a_sun_that_would_break_the_allowance(
    linear: bool,
) -> None:
    sun = dict.fromkeys(range(32, 40), 3300.0)
    given = _given(hours=30, start=18, pv=sun, left=18.0)
    alone = plan(replace(given, export_window=DailyWindow(time(17), time(17, 1))), linear=linear)
    found = plan(given, linear=linear)
    assert alone.days[1].over_kwh > 1
    assert found.days[1].over_kwh < alone.days[1].over_kwh - 1
    assert found.windows[0].start < MIDNIGHT + DAY
    assert found.windows[0].why.reason is Reason.MAKES_ROOM
    assert "room for" in sentence(found.windows[0], "GBP")


@BOTH
def test_windows_cross_midnight(linear: bool) -> None:
    dear = dict.fromkeys((23, 24), 0.4)
    given = _given(
        dear,
        hours=30,
        export_window=DailyWindow(time(22), time(2)),
        limits=PowerLimits(target_export_w=1500.0),
    )
    [window] = plan(given, linear=linear).windows
    assert window.start < MIDNIGHT + DAY < window.end
    assert window.start >= MIDNIGHT + 22 * HOUR
    assert len(window.steps) >= 2
    assert window.energy_kwh == pytest.approx(
        sum(s.grid_w * (s.end - s.start).total_seconds() for s in window.steps) / 3.6e6, abs=0.01
    )


@BOTH
def test_a_slot_counts_by_its_overlap_with_a_window(linear: bool) -> None:
    given = _given({17: 0.4}, export_window=DailyWindow(time(17, 20), time(17, 40)))
    [window] = plan(given, linear=linear).windows
    assert window.start == MIDNIGHT + timedelta(hours=17, minutes=20)
    assert window.end == MIDNIGHT + timedelta(hours=17, minutes=40)
    assert window.power_w == pytest.approx(4900)


@BOTH
def test_nothing_is_bought_outside_the_charge_window(linear: bool) -> None:
    given = _given(charge_window=DailyWindow(time(23), time(4)), limits=PowerLimits(charge_w=2000))
    cheap = replace(
        given,
        slots=tuple(replace(s, import_cost=0.05 if s.start.hour < 6 else 0.4) for s in given.slots),
        battery=replace(given.battery, soc=20.0),
    )
    found = plan(cheap, linear=linear)
    assert found.next_charge is not None
    charges = [w for w in found.windows if w.kind is Kind.CHARGE]
    assert all(w.end <= MIDNIGHT + 4 * HOUR or w.start >= MIDNIGHT + 23 * HOUR for w in charges)
    assert all(w.power_w <= 2000 + 1e-6 for w in charges)
    assert found.next_charge.why.reason is Reason.CHEAP
    assert "Cheap hours" in sentence(found.next_charge, "GBP")


@BOTH
def test_what_was_bought_is_not_exported(linear: bool) -> None:
    given = _given(
        {18: 0.9},
        charge_window=DailyWindow(time(0), time(4)),
        battery=BatteryState(10.0, 20.0, 20.0),
    )
    assert plan(given, linear=linear).days[0].discharge_kwh == pytest.approx(0, abs=1e-3)
    traded = plan(replace(given, green_only=False), linear=linear)
    assert traded.days[0].discharge_kwh > 3


def test_being_paid_to_take_energy_does_not_make_the_battery_spin() -> None:
    for seed in range(24, 200, 40):
        found = plan(case(seed).given)
        for one, other in zip(found.windows, found.windows[1:], strict=False):
            assert one.end <= other.start


def test_no_window_is_shorter_than_five_minutes() -> None:
    for seed in range(60):
        for window in plan(case(seed).given, 30.0).windows:
            assert window.end - window.start >= timedelta(minutes=5) - timedelta(seconds=1)


@BOTH
def test_everything_planned_is_delivered_by_the_house(linear: bool) -> None:
    for seed in range(80):
        given = case(seed).given
        found = plan(given, 30.0, linear=linear)
        battery = given.battery
        lowest = min(battery.soc, battery.floor_soc, battery.house_floor_soc or 100.0)
        assert min(soc for _, soc in found.soc) >= lowest - 0.01
        for day in found.days:
            assert day.over_kwh <= 0.01 or day.discharge_kwh == 0
        assert found.objective >= found.baseline - 1e-6


def test_the_same_question_has_the_same_answer() -> None:
    for seed in range(0, 40, 3):
        given = case(seed).given
        assert plan(given, 30.0) == plan(given, 30.0)


def test_small_changes_leave_the_windows_where_they_are() -> None:
    """Of hours as good as each other the earlier ones are taken, then the ones planned before."""
    given = _given(dict.fromkeys(range(14, 20), 0.4), load=0.0)
    first = plan(given)
    assert first.windows[0].start == MIDNIGHT + 14 * HOUR
    later = replace(first.windows[0], start=MIDNIGHT + 16 * HOUR, end=MIDNIGHT + 18 * HOUR)
    kept = plan(replace(given, keep=(later,)))
    assert kept.windows[0].start == MIDNIGHT + 16 * HOUR
    nudged = _given({hour: 0.4 + 1e-4 * (hour == 14) for hour in range(14, 20)}, load=0.0)
    assert plan(nudged).windows[0].start == MIDNIGHT + 14 * HOUR
    again = plan(replace(nudged, keep=kept.windows))
    assert [w.start for w in again.windows] == [w.start for w in kept.windows]
    better = _given({hour: 0.45 if hour == 14 else 0.4 for hour in range(14, 20)}, load=0.0)
    assert plan(replace(better, keep=kept.windows)).windows[0].start == MIDNIGHT + 14 * HOUR


def test_without_the_solver_the_greedy_planner_plans(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy", None)
    found = plan(_given({17: 0.4, 18: 0.35}))
    assert found.planner is Planner.GREEDY
    assert found.fallback is Fallback.SOLVER_MISSING
    assert found.status is Status.FEASIBLE
    assert found.bound is None
    assert found.windows
    assert found.windows[0].start == MIDNIGHT + 17 * HOUR


def test_no_time_at_all_still_makes_a_plan() -> None:
    found = plan(_given({17: 0.4}), deadline=0.0)
    assert found.planner is Planner.GREEDY
    assert found.fallback is Fallback.DEADLINE
    assert found.windows


def test_a_search_cut_short_keeps_the_best_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    solve, calls = Solver.solve, 0

    def solve_thrice(self: Solver, bounds: dict[int, tuple[float, float]]) -> Solution:
        nonlocal calls
        calls += 1
        if calls > 3:
            raise DeadlineError
        return solve(self, bounds)

    given = next(g for g in (case(seed).given for seed in range(1, 400)) if _is_hard(g))
    best = plan(given, 30.0)
    monkeypatch.setattr(Solver, "solve", solve_thrice)
    found = plan(given, 30.0)
    assert found.planner is Planner.LINEAR
    assert found.status is Status.FEASIBLE
    assert found.bound is not None
    assert found.baseline - 1e-6 <= found.objective <= best.objective + 1e-3
    assert best.objective - 1e-3 <= found.bound


def _is_hard(given: PlanInput) -> bool:
    """Whether the search takes many cases."""
    search = Search(formulate(horizon(given)), Solver(formulate(horizon(given)).program, 30.0))
    search.run()
    return search.solved > 12


def test_what_is_left_at_the_end_is_worth_its_average() -> None:
    given = replace(_given({17: 0.4}), terminal_value=None)
    ahead = horizon(given)
    mean = (0.1 * 23 + 0.4) / 24
    assert ahead.terminal == pytest.approx((0.25 * mean + 0.75 * 0.25 - 0.01) * 0.9**0.5)
    assert plan(given).objective >= plan(given).baseline


def _three_hours(left: float) -> PlanInput:
    """Return what is worth 2 kW in each of three hours, the least in the middle."""
    return _given(
        {16: 0.4, 17: 0.38, 18: 0.4},
        battery=BatteryState(10.0, 100.0, 10.0),
        limits=PowerLimits(target_export_w=2000.0),
        left=left,
    )


def test_a_gap_too_short_to_stop_in_is_closed_by_running_longer_at_less_power() -> None:
    given = _three_hours(5.7)
    ahead = horizon(given)
    asked = propose(ahead, 30.0).orders
    assert {16, 17, 18} == set(asked)
    assert 0.75 < asked[17].hours < 0.95
    found = plan(given)
    [window] = found.windows
    assert (window.start, window.end) == (MIDNIGHT + 16 * HOUR, MIDNIGHT + 19 * HOUR)
    assert window.energy_kwh == pytest.approx(5.7, abs=0.01)
    assert window.steps[1].grid_w == pytest.approx(1700.0, abs=10.0)
    assert found.days[0].exported_kwh <= 5.7 + 1e-4


def test_a_longer_gap_stays() -> None:
    found = plan(_three_hours(5.0))
    assert len(found.windows) == 2
    assert found.windows[1].start - found.windows[0].end >= timedelta(minutes=15)


def test_no_window_is_worth_a_start_that_earns_next_to_nothing() -> None:
    assert plan(_given({17: 0.4}, left=0.4)).windows
    assert plan(_given({17: 0.4}, left=0.02)).windows == ()


@BOTH
def test_a_hurdle_keeps_what_is_hardly_worth_selling(linear: bool) -> None:
    given = _given({17: 0.4, 18: 0.3}, limits=PowerLimits(target_export_w=3000.0))
    before, after = (plan(replace(given, hurdle=share), linear=linear) for share in (0.0, 0.3))
    assert before.windows[-1].end > MIDNIGHT + 18 * HOUR
    assert 3.0 <= after.days[0].discharge_kwh < before.days[0].discharge_kwh - 0.3
    assert plan(replace(given, hurdle=1.0), linear=linear).windows == ()


def test_a_forecasts_slot_becomes_one_of_the_planners() -> None:
    slot = Slot(MIDNIGHT, MIDNIGHT + HOUR, 1.0, 2.0, 3.0)
    made = PlanSlot.of(slot, 300.0, 0.1, 0.2)
    assert (made.pv, made.load_w, made.export_value) == ((1.0, 2.0, 3.0), 300.0, 0.1)
    sunny = replace(_given(pv=dict.fromkeys(range(24), 2000.0)), percentile=90)
    assert horizon(sunny).legs[0].pv == pytest.approx(2.0)


def test_without_slots_there_is_nothing_to_plan() -> None:
    found: Plan = plan(_given(hours=0))
    assert found.status is Status.EMPTY
    assert found.windows == ()
    assert found.next_charge is None


@BOTH
def test_hours_without_a_value_are_left_alone(linear: bool) -> None:
    given = _given({17: 0.4, 18: 0.35})
    unknown = tuple(replace(s, export_value=None) if s.start.hour == 17 else s for s in given.slots)
    found = plan(replace(given, slots=unknown), linear=linear)
    assert all(
        w.start >= MIDNIGHT + 18 * HOUR or w.end <= MIDNIGHT + 17 * HOUR for w in found.windows
    )


@BOTH
def test_an_allowance_that_accrues_is_never_ahead_of_the_sun(linear: bool) -> None:
    sun = dict.fromkeys(range(8, 12), 1300.0)
    given = _given({6: 0.5, 18: 0.4}, pv=sun)
    accrued = replace(given, days=(DayAllowance(MIDNIGHT, MIDNIGHT + DAY, -0.5, accrues=True),))
    found = plan(accrued, linear=linear)
    assert found.windows[0].start >= MIDNIGHT + timedelta(hours=8, minutes=30)
    assert found.days[0].exported_kwh == pytest.approx(4 * 1.2 + 0.4 - 0.5, abs=0.1)


def test_the_house_may_draw_below_the_sessions_floor_but_no_session_does() -> None:
    battery = BatteryState(10.0, 40.0, 20.0, house_floor_soc=4.0)
    found = plan(_given({2: 0.6}, battery=battery))
    [window] = found.windows
    after = next(soc for at, soc in found.soc if at >= window.end)
    assert after >= 20.0 - 5
    assert found.soc[-1][1] == pytest.approx(4.0)
    assert window.battery_kwh <= 2.0


def test_an_order_beyond_the_battery_is_not_delivered() -> None:
    ahead = horizon(_given())
    outcome = walk(ahead, {0: Order(Kind.DISCHARGE, 1.0, 4.0), 1: Order(Kind.DISCHARGE, 1.0, 4.0)})
    assert outcome.missing > 1
    assert outcome.passages[1].forced_hours < 1


def test_a_daily_window_holds_on_days_of_23_and_25_hours() -> None:
    for date, hours in ((datetime(2026, 3, 29), 23), (datetime(2026, 10, 25), 25)):  # noqa: DTZ001
        start = date.replace(tzinfo=LONDON).astimezone(UTC)
        end = (date + DAY).replace(tzinfo=LONDON).astimezone(UTC)
        given = replace(_given(), zone=LONDON)
        all_day = intervals(DailyWindow(time(0), time(23, 59)), given, start, end)
        covered = sum(((min(e, end) - max(s, start)) for s, e in all_day), timedelta())
        assert covered == hours * HOUR
        assert intervals(ALL_DAY, given, start, end) == ((start, end),)
        night = intervals(DailyWindow(time(0), time(6)), given, start, end)
        assert night[0][1] - night[0][0] == (hours - 18) * HOUR
