"""Sums of accepted counter steps, and the bound between two ticks of the meter."""

from datetime import datetime, timedelta
from math import floor
import random

from hypothesis import given, settings as run, strategies as st
import pytest

from custom_components.export_monitor.engine.counter import CounterSum
from custom_components.export_monitor.engine.metering import ExportMeter, Flow
from custom_components.export_monitor.engine.period import Period, local_day
from tests.unit.engine.world import NOON

UTC = NOON.tzinfo
assert UTC is not None
TODAY = local_day(NOON, UTC)
MIDNIGHT = TODAY.end
TOMORROW = local_day(MIDNIGHT, UTC)


def _feed(
    values: list[float],
    *,
    start: datetime = NOON,
    every_s: float = 60.0,
    daily: bool = True,
    credit: bool = False,
    limit_w: float = 50_000.0,
) -> CounterSum:
    counter = CounterSum()
    for i, value in enumerate(values):
        at = start + timedelta(seconds=i * every_s)
        day = local_day(at, UTC)  # type: ignore[arg-type]
        counter = counter.observe(value, at, day, daily=daily, credit=credit, limit_w=limit_w)
    return counter


# --- Steps ---


def test_a_daily_counter_met_in_the_midst_of_its_day_brings_its_day_along() -> None:
    counter = _feed([3.2, 3.3])
    assert counter.total == pytest.approx(3.3)
    assert not counter.partial(NOON)


def test_a_lifetime_counter_counts_from_where_it_was_met_and_says_so() -> None:
    counter = _feed([5000.0, 5000.4], daily=False)
    assert counter.total == pytest.approx(0.4)
    assert counter.partial(NOON)
    assert not counter.partial(MIDNIGHT)


def test_a_daily_counter_met_right_after_midnight_may_show_yesterday() -> None:
    counter = _feed([8.0, 8.0], start=TODAY.start + timedelta(minutes=5))
    assert counter.total == 0.0
    assert counter.seen


def test_the_same_report_counts_once() -> None:
    counter = _feed([1.0, 1.1])
    assert counter.observe(9.0, NOON + timedelta(seconds=60), TODAY, daily=True) == counter


@pytest.mark.parametrize("garbage", [15.0, 42_900_000.0, 0.0, 2.0])
def test_a_single_garbage_reading_that_returns_leaves_no_trace(garbage: float) -> None:
    counter = _feed([5.0, 5.1, 5.1 + garbage if garbage > 9 else garbage, 5.2, 5.3])
    assert counter.total == pytest.approx(5.3)
    assert counter.trusted


def test_an_implausible_value_is_not_trusted_until_it_is_resolved() -> None:
    assert not _feed([5.0, 5.1, 20.1]).trusted
    assert not _feed([5.0, 5.1, 20.1, 20.1]).trusted
    assert _feed([5.0, 5.1, 20.1, 5.2]).trusted


def test_a_jump_that_stays_is_accepted_as_the_new_level_but_not_as_energy() -> None:
    counter = _feed([5.0, 5.1, 20.1, 20.1, 20.2, 20.3])
    assert counter.trusted
    assert counter.total == pytest.approx(5.2, abs=0.11)


def test_a_jump_that_stays_and_then_returns_adds_nothing_either() -> None:
    counter = _feed([2.0, *[17.0] * 4, *[2.0] * 4, 2.1], daily=False, credit=True, limit_w=10_000.0)
    assert counter.total <= 0.1 + 0.2


def test_a_fall_that_holds_credits_pv_with_no_more_than_can_have_shone() -> None:
    counter = _feed([8.0, *[2.0] * 3, *[8.0] * 4], credit=True, limit_w=10_000.0)
    assert counter.total <= 8.0 + 0.7


def test_a_fall_near_zero_that_holds_at_midday_is_a_reset() -> None:
    counter = _feed([8.0, 0.0, 0.0, 0.0, 0.1])
    assert counter.total == pytest.approx(8.1)


def test_a_long_gap_is_filled_by_the_counter_itself() -> None:
    counter = _feed([1.0, 13.0, 13.1, 13.2], every_s=4 * 3600, start=NOON - timedelta(hours=10))
    assert counter.total == pytest.approx(13.2)


def test_a_clock_set_back_holds_up_one_report_and_no_more() -> None:
    counter = _feed([1.0, 1.1])
    earlier = NOON - timedelta(hours=1)
    counter = counter.observe(1.2, earlier, TODAY, daily=True)
    counter = counter.observe(1.3, earlier + timedelta(seconds=60), TODAY, daily=True)
    assert counter.total == pytest.approx(1.3)


def test_the_last_step_before_a_counter_rests_counts_though_the_clock_was_set_back() -> None:
    """A meter of the day reports only when it moves: a step put off might come tomorrow."""
    counter = _feed([1.0, 1.1])
    counter = counter.observe(1.15, NOON - timedelta(hours=1), TODAY, daily=True)
    assert counter.total == pytest.approx(1.15)


# --- Midnight ---


def test_a_reset_early_or_late_adds_nothing_but_its_own_steps() -> None:
    for offset in (-5, -1, 0, 1, 5):
        start = MIDNIGHT - timedelta(minutes=10)
        before = 10 + offset
        counter = _feed([8.0] * before + [0.0] * (20 - before), start=start)
        assert counter.total == 0.0
        assert counter.seen


def test_a_new_period_begins_at_zero_and_unseen() -> None:
    counter = _feed([8.0]).enter(TOMORROW)
    assert counter.total == 0.0
    assert not counter.seen


def test_a_daily_counter_whose_reset_nobody_saw_began_its_day_at_zero() -> None:
    """Home Assistant was down from yesterday evening until noon; 5.0 is today's, not 3.0."""
    counter = CounterSum()
    for value, at in ((2.0, NOON - timedelta(hours=14)), (5.0, NOON)):
        counter = counter.observe(value, at, local_day(at, UTC), daily=True)  # type: ignore[arg-type]
    assert counter.total == pytest.approx(5.0)


def test_an_unchanged_daily_counter_in_the_morning_has_not_woken_up_yet() -> None:
    counter = CounterSum()
    for value, hours in ((8.0, -14), (8.0, -4), (0.0, -3), (0.0, -2.9), (0.0, -2.8), (0.1, -2.7)):
        at = NOON + timedelta(hours=hours)
        counter = counter.observe(value, at, local_day(at, UTC), daily=True, credit=True)  # type: ignore[arg-type]
    assert counter.total == pytest.approx(0.1)


@pytest.mark.parametrize("step", [4.0, 15.0])
def test_pv_of_yesterday_evening_makes_no_allowance_for_today(step: float) -> None:
    """A lifetime counter that was away over midnight: how much is today's is unknown."""
    counter = CounterSum()
    for value, hours in ((500.0, -18), (500 + step, 0), (500 + step, 1), (500 + step, 2)):
        at = NOON + timedelta(hours=hours)
        counter = counter.observe(value, at, local_day(at, UTC), daily=False, credit=True)  # type: ignore[arg-type]
    assert counter.total == 0.0
    at = NOON + timedelta(hours=2, minutes=1)
    assert counter.observe(500.1 + step, at, TODAY, daily=False).total == pytest.approx(0.1)


def test_export_of_a_lifetime_counter_over_midnight_counts_in_full() -> None:
    counter = CounterSum()
    for value, hours in ((500.0, -18), (504.0, 0)):
        at = NOON + timedelta(hours=hours)
        counter = counter.observe(value, at, local_day(at, UTC), daily=False)  # type: ignore[arg-type]
    assert counter.total == pytest.approx(4.0)


# --- Properties of sums ---

values = st.lists(
    st.one_of(st.floats(0, 30), st.floats(0, 1e7), st.sampled_from([0.0, 5.0, 5.01])),
    min_size=1,
    max_size=30,
)


@given(values, st.booleans(), st.booleans(), st.floats(-40.0, 40.0))
def test_sums_never_fall_and_never_count_what_cannot_have_flowed(
    raws: list[float], daily: bool, credit: bool, offset_min: float
) -> None:
    counter, at = CounterSum(), MIDNIGHT + timedelta(minutes=offset_min)
    first = True
    for raw in raws:
        at += timedelta(seconds=60)
        before, accepted = counter.cumulative, counter.reported
        day = local_day(at, UTC)  # type: ignore[arg-type]
        counter = counter.observe(raw, at, day, daily=daily, credit=credit, limit_w=6000.0)
        gained = counter.cumulative - before
        assert gained >= 0.0
        assert counter.total >= 0.0
        if not first and accepted is not None:
            can = 6.0 * (at - accepted).total_seconds() / 3600
            assert gained <= max(can + 0.1, 0.5) + 1e-9
        first = False


# --- Between ticks ---


def _truncated(kwh: float) -> float:
    return floor(round(kwh / 0.01, 6)) * 0.01


class Profile:
    """A random export profile, looked at with gaps, counted by a truncating meter."""

    def __init__(self, seed: int, *, sensor: bool, noise_w: float, phase_s: int) -> None:
        self.random = random.Random(seed)
        self.sensor, self.noise_w, self.phase_s = sensor, noise_w, phase_s
        self.true = self.random.uniform(0.0, 2.0)
        self.meter = ExportMeter()
        self.second = 0
        self.start = self.true
        self.base: float | None = None

    def run(self, seconds: int) -> list[tuple[bool, float]]:
        """Return, for each look, whether the meter ticked, and how far the bound is above."""
        excess: list[tuple[bool, float]] = []
        load, pv, look_at = 500.0, 1000.0, 0
        battery = 3000.0
        self.meter = self._report(self.meter.flowed(Flow(3500.0, measured=False), 0.0, TODAY))
        for _ in range(seconds):
            if self.second % 20 == 0:
                load = self.random.uniform(300, 800)
                pv = self.random.uniform(0, 2000)
            export = battery + pv - load
            self.true += export / 3.6e6
            self.second += 1
            ticks = self.second % 60 == self.phase_s % 60
            if self.second < look_at and not ticks:
                continue
            look_at = self.second + self.random.choice((1, 1, 1, 2, 4))
            noisy = max(0.0, export + self.random.uniform(-self.noise_w, self.noise_w))
            worst = Flow(battery + pv, measured=False)
            flow = Flow(noisy, measured=True) if self.sensor else worst
            now = NOON + timedelta(seconds=self.second)
            self.meter = self.meter.flowed(flow, float(self.second), local_day(now, UTC))  # type: ignore[arg-type]
            if ticks:
                self.meter = self._report(self.meter)
            excess.append((ticks, self.meter.counted - self.true))
        return excess

    def _report(self, meter: ExportMeter) -> ExportMeter:
        now = NOON + timedelta(seconds=self.second)
        return meter.report(_truncated(self.true), now, TODAY, daily=True, meter_step=0.01)


@run(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.booleans(), st.integers(1, 59))
def test_counted_is_an_upper_bound_and_at_a_tick_a_tight_one(
    seed: int, sensor: bool, phase: int
) -> None:
    profile = Profile(seed, sensor=sensor, noise_w=60.0, phase_s=phase)
    excess = profile.run(1800)
    # Sampling at up to 4 s of a load that jumps by 500 W hides at most 0.6 Wh for a moment.
    slack = 0.004 if sensor else 1e-9
    assert min(above for _, above in excess) >= -slack
    ticks = [above for ticked, above in excess if ticked]
    # One step for the meter's resolution, and a tick's flow for a meter that may lag behind.
    assert max(ticks) <= 0.01 + 5.0 * 60 / 3600 + 0.02


def test_a_grid_sensor_that_reads_low_does_not_undermine_the_bound_at_a_tick() -> None:
    meter, true = ExportMeter(), 0.0
    meter = meter.report(0.0, NOON, TODAY, daily=True, meter_step=0.01)
    for second in range(1, 1801):
        true += 2930.0 / 3.6e6
        now = NOON + timedelta(seconds=second)
        meter = meter.flowed(Flow(2780.0, measured=True), float(second), TODAY)
        if second % 60 == 0:
            meter = meter.report(_truncated(true), now, TODAY, daily=True, meter_step=0.01)
            assert meter.counted >= true


def _resting(noise_w: float, hours: int) -> ExportMeter:
    rng = random.Random(1)
    meter = ExportMeter().report(1.0, NOON, TODAY, daily=True, meter_step=0.01)
    for second in range(2, hours * 3600, 2):
        flow = Flow(max(0.0, rng.gauss(0, noise_w)), measured=True)
        meter = meter.flowed(flow, float(second), TODAY)
        if second % 60 == 0:
            now = NOON + timedelta(seconds=second)
            meter = meter.report(1.0, now, TODAY, daily=True, meter_step=0.01)
    return meter


def test_a_counter_that_rests_because_the_house_takes_everything_is_not_frozen() -> None:
    assert not _resting(15.0, 6).frozen(0.01)


def test_a_counter_that_rests_while_kilowatts_leave_is_frozen() -> None:
    assert _resting(3000.0, 1).frozen(0.01)


def test_a_counter_called_frozen_is_acquitted_when_nothing_has_flowed_for_a_while() -> None:
    frozen = _resting(3000.0, 1)
    meter = frozen.seen(200.0, 1000.0).seen(200.0, 1089.0)
    assert meter.frozen(0.01)
    meter = meter.seen(200.0, 1090.0)
    assert not meter.frozen(0.01)
    assert meter.counted == frozen.counted  # what has flowed stays counted


@pytest.mark.parametrize("grid_w", [None, -3000.0])
def test_a_grid_that_is_silent_or_takes_something_acquits_nobody(grid_w: float | None) -> None:
    meter = _resting(3000.0, 1).seen(200.0, 1000.0).seen(grid_w, 1080.0).seen(200.0, 1095.0)
    assert meter.frozen(0.01)


def test_in_a_session_a_frozen_counter_stays_frozen() -> None:
    meter = _resting(3000.0, 1).during(session=True).seen(200.0, 1000.0).seen(200.0, 1200.0)
    assert meter.frozen(0.01)


def test_a_meter_between_two_ticks_is_not_yet_frozen() -> None:
    meter = ExportMeter().report(1.0, NOON, TODAY, daily=True, meter_step=0.01)
    meter = meter.flowed(Flow(5000.0, measured=True), 0.0, TODAY)
    assert not meter.flowed(Flow(5000.0, measured=True), 59.0, TODAY).frozen(0.01)


def test_time_that_runs_backwards_adds_nothing() -> None:
    meter = ExportMeter().flowed(Flow(5000.0, measured=True), 100.0, TODAY)
    assert meter.flowed(Flow(5000.0, measured=True), 50.0, TODAY).ahead == 0.0


def test_the_reading_goes_on_over_midnight_while_the_period_begins_anew() -> None:
    meter = ExportMeter().report(1.0, NOON, TODAY, daily=True, meter_step=0.01)
    over = meter.flowed(Flow(0.0, measured=True), 0.0, Period(TOMORROW.start, TOMORROW.end))
    assert over.reading == meter.reading
    assert over.counted == pytest.approx(0.01)


def test_a_discharge_after_a_long_rest_does_not_make_the_counter_look_frozen() -> None:
    meter = _resting(0.0, 6)
    at = meter.at
    assert at is not None
    for second in range(1, 59):
        meter = meter.flowed(Flow(5000.0, measured=True), at + second, TODAY)
        assert not meter.frozen(0.01)


def test_a_counter_read_more_often_than_it_ticks_is_not_frozen() -> None:
    meter = ExportMeter().report(1.0, NOON, TODAY, daily=True, meter_step=0.01)
    for second in range(118):
        meter = meter.flowed(Flow(5000.0, measured=True), float(second), TODAY)
        now = NOON + timedelta(seconds=second)
        meter = meter.report(1.0, now, TODAY, daily=True, meter_step=0.01)
        assert not meter.frozen(0.01)


def test_what_nobody_measures_counts_at_the_larger_of_its_two_ends() -> None:
    for before, after in ((3600.0, 0.0), (0.0, 3600.0)):
        meter = ExportMeter().flowed(Flow(before, measured=False), 0.0, TODAY)
        meter = meter.flowed(Flow(after, measured=False), 10.0, TODAY)
        assert meter.ahead == pytest.approx(0.01)


# --- One reading, written several times ---


def test_a_reading_written_several_times_at_once_is_one_reading() -> None:
    counter = _feed([5000.0], daily=False)
    for n in range(4):  # as update_entity makes a poller do
        at = NOON + timedelta(seconds=60, milliseconds=n)
        counter = counter.observe(5015.0, at, TODAY, daily=False)
    assert counter.total == 0.0
    assert counter.suspect == 5015.0
    for minute in (2, 3):
        at = NOON + timedelta(minutes=minute)
        counter = counter.observe(5015.0, at, TODAY, daily=False)
    assert counter.suspect is None


def test_a_clock_set_back_does_not_keep_a_suspicion_alive() -> None:
    counter = _feed([5000.0], daily=False)
    counter = counter.observe(5015.0, NOON + timedelta(hours=1), TODAY, daily=False)
    for minute in (1, 2):
        at = NOON + timedelta(minutes=minute)
        counter = counter.observe(5015.0, at, TODAY, daily=False)
    assert counter.suspect is None


# --- Export since a mark ---


def test_a_bound_that_was_too_high_at_the_mark_takes_nothing_from_what_came_after() -> None:
    meter = ExportMeter().flowed(Flow(0.0, measured=True), 0.0, TODAY)
    meter = meter.report(100.0, NOON, TODAY, daily=False, meter_step=0.01)
    for second in (1, 61):  # a minute of the worst case while nothing flowed
        meter = meter.flowed(Flow(5000.0, measured=False), float(second), TODAY)
    mark = meter.mark
    for second in (62, 122):
        meter = meter.flowed(Flow(3600.0, measured=True), float(second), TODAY)
    at = NOON + timedelta(seconds=122)
    meter = meter.report(100.06, at, TODAY, daily=False, meter_step=0.01)
    assert 0.06 <= meter.since(mark) <= 0.075


# --- A counter that reports only when it moves ---


def _idle(seconds: float, meter: ExportMeter, flow: Flow, *, session: bool = False) -> ExportMeter:
    at = float(seconds)
    return meter.during(session=session).flowed(flow, at, TODAY).rested(0.01)


def _read(flow: Flow) -> ExportMeter:
    meter = ExportMeter().flowed(flow, 0.0, TODAY)
    return meter.report(100.0, NOON, TODAY, daily=False, meter_step=0.01)


def test_what_the_battery_gives_the_house_all_night_is_no_export() -> None:
    flow = Flow(1600.0, measured=False)
    meter = _read(flow)
    for second in range(1, 8 * 3600, 10):
        meter = _idle(second, meter, flow)
    assert meter.ahead <= 0.01 + 1600.0 * 130 / 3_600_000


def test_in_a_session_a_counter_that_says_nothing_may_be_frozen() -> None:
    flow = Flow(3600.0, measured=False)
    meter = _idle(1, _read(flow), flow)
    for second in range(2, 602):
        meter = _idle(second, meter, flow, session=True)
    assert meter.ahead >= 0.6
    meter = _idle(660, meter, flow)  # and what the session let out last shows two ticks later
    meter = _idle(770, meter, flow)
    assert meter.ahead >= 0.6
    assert _idle(790, meter, flow).ahead == pytest.approx(0.01)


def test_beside_a_grid_sensor_a_resting_counter_is_not_asked() -> None:
    flow = Flow(3600.0, measured=True)
    meter = _read(flow)
    for second in range(1, 301):
        meter = _idle(second, meter, flow)
    assert meter.ahead >= 0.3
