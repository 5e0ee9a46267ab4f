"""The last 24 hours as a period: what is not known is never in the user's favour."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
import random
from typing import Any

import pytest

from custom_components.export_monitor.engine.rolling import DAY, Rolling, Trail, followed, rolls
from custom_components.export_monitor.engine.session import step
from custom_components.export_monitor.engine.state import Observed, State
from custom_components.export_monitor.models import (
    Basis,
    Blocker,
    Decision,
    ErrorState,
    Forecast,
    Instant,
    Observation,
    PeriodKind,
    Reading,
    Settings,
    Slot,
)
from tests.unit.engine.world import SETTINGS, readings

MIDNIGHT = datetime(2026, 6, 15, tzinfo=UTC)
FIXED = replace(
    SETTINGS,
    period=PeriodKind.ROLLING_24H,
    fixed_limit_kwh=6.0,
    daily_export_counter=False,
    daily_pv_counters=(False,),
)
GENERATED = replace(FIXED, basis=Basis.GENERATED)
HOUR = 60


class Days:
    """A house minute by minute, its lifetime counters, and the machine that looks at them."""

    def __init__(
        self, settings: Settings, start: datetime = MIDNIGHT, *, daily: bool = False, pvs: int = 1
    ) -> None:
        self.settings = replace(
            settings, daily_export_counter=daily, daily_pv_counters=(daily,) * pvs
        )
        self.daily, self.pvs = daily, pvs
        self.minute, self.start = 0, start
        self.state = State()
        self.exported: list[float] = [0.0]
        self.generated: list[float] = [0.0]
        self.forecast: Forecast | None = None

    @property
    def now(self) -> datetime:
        return self.start + timedelta(minutes=self.minute)

    def _shown(self, sums: list[float], step_kwh: float, share: float = 1.0) -> float:
        since = 0.0
        if self.daily:
            local = self.now.astimezone(self.settings.timezone)
            midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)
            minutes = self.minute - int((self.now - midnight.astimezone(UTC)).total_seconds() // 60)
            since = sums[max(0, minutes)]
        return int(round((sums[-1] - since) * share / step_kwh, 6)) * step_kwh

    def look(self) -> Observation:
        pv = tuple(
            Reading(self._shown(self.generated, 0.1, 1 / self.pvs), self.now)
            for _ in range(self.pvs)
        )
        seen = readings(
            self.now,
            export_counter=Reading(self._shown(self.exported, 0.01), self.now),
            pv_counters=pv,
            forecast=self.forecast,
            grid_power=Reading(0.0, self.now),
        )
        return Observation(Instant(self.now, self.minute * 60.0), seen, self.settings)

    def run(
        self, minutes: int, export_w: float = 0.0, pv_w: float = 0.0, *, seen: bool = True
    ) -> "Days":
        for _ in range(minutes):
            self.minute += 1
            self.exported.append(self.exported[-1] + export_w / 60_000)
            self.generated.append(self.generated[-1] + pv_w / 60_000)
            if seen:
                self.state, _ = step(self.state, Observed(self.look()))
        return self

    @property
    def decision(self) -> Decision:
        assert self.state.decision is not None
        return self.state.decision

    def truth(self, sums: list[float]) -> float:
        return sums[-1] - sums[max(0, self.minute - 24 * HOUR)]


# --- The sums ---


@pytest.mark.parametrize("daily", [True, False])
@pytest.mark.parametrize("pvs", [1, 3])
def test_the_sums_are_never_in_the_users_favour_and_close(*, daily: bool, pvs: int) -> None:
    rng = random.Random(11)
    house = Days(GENERATED, daily=daily, pvs=pvs)
    for hour in range(70):
        sun = 4000.0 if 6 <= hour % 24 < 18 else 0.0
        for _ in range(4):
            house.run(15, rng.choice((0.0, 1000.0, 2500.0)), sun * rng.random())
            if hour > 25:
                out, made = house.truth(house.exported), house.truth(house.generated)
                assert out - 1e-6 <= house.decision.counted <= out + 0.12
                assert made - 0.5 - 0.1 * pvs <= house.decision.generated <= made + 0.1 * pvs + 1e-6
    assert len(house.state.rolling.export.minutes) <= 25 * HOUR + 2  # type: ignore[union-attr]


def test_what_was_exported_yesterday_counts_for_24_hours_to_the_minute() -> None:
    house = Days(FIXED).run(24 * HOUR).run(60, export_w=3000.0)
    house.run(23 * HOUR)
    assert house.decision.exported == pytest.approx(3.0)
    house.run(30)
    assert house.decision.exported == pytest.approx(1.5, abs=0.051)
    house.run(32)
    assert house.decision.exported == 0.0


def test_midnight_makes_no_new_allowance() -> None:
    house = Days(FIXED).run(46 * HOUR).run(110, export_w=3000.0)
    before = house.decision.headroom
    house.run(15)
    assert house.now.date() > MIDNIGHT.date() + timedelta(days=1)
    assert house.decision.headroom == pytest.approx(before)


# --- What is not known ---


def test_a_fixed_figure_waits_until_24_hours_are_seen() -> None:
    house = Days(FIXED).run(24 * HOUR - 1)
    assert house.decision.blocker is Blocker.COUNTER_UNKNOWN
    assert house.run(2).decision.blocker is None


def test_generation_is_credited_from_the_hours_in_which_export_was_seen() -> None:
    house = Days(GENERATED).run(8 * HOUR, 0.0, 3000.0, seen=False).run(60, 0.0, 3000.0)
    assert house.decision.generated == pytest.approx(3.0, abs=0.2)
    assert house.decision.blocker is None


def test_daily_counters_tell_of_the_day_before_they_were_met() -> None:
    house = Days(GENERATED, daily=True).run(8 * HOUR, 500.0, 3000.0, seen=False).run(2)
    assert house.decision.generated == pytest.approx(24.0, abs=0.2)
    assert house.decision.exported == pytest.approx(4.0, abs=0.05)


def test_a_gap_is_counted_as_export_and_not_credited_as_pv() -> None:
    house = Days(GENERATED).run(12 * HOUR, 0.0, 1000.0)
    house.run(8 * HOUR, 1000.0, 1000.0, seen=False)
    house.run(24 * HOUR - 4 * HOUR)
    assert house.decision.exported == pytest.approx(8.0, abs=0.1)
    assert house.decision.generated == 0.0
    house.run(4 * HOUR + 2)
    assert house.decision.exported == 0.0


def test_a_daily_counter_not_seen_over_midnight_begins_anew() -> None:
    house = Days(FIXED, daily=True).run(40 * HOUR)
    assert house.decision.blocker is None
    house.run(10 * HOUR, 1000.0, seen=False).run(1)
    assert house.decision.blocker is Blocker.COUNTER_UNKNOWN
    house.run(22 * HOUR)  # what it tells of the new day counts from midnight
    assert house.decision.blocker is None


def test_pv_alone_is_not_followed() -> None:
    house = Days(GENERATED)
    look = house.look()
    blank = replace(look, readings=replace(look.readings, export_counter=Reading(None, None, "x")))
    state, _ = step(State(), Observed(blank))
    assert state.rolling == Rolling()
    assert state.decision is not None
    assert state.decision.generated == 0.0


def test_a_pv_sensor_without_a_report_makes_no_credit() -> None:
    house = Days(GENERATED, pvs=2)
    look = house.look()
    first = look.readings.pv_counters[0]
    lame = replace(look.readings, pv_counters=(first, Reading(None, None, "unavailable")))
    state, _ = step(State(), Observed(replace(look, readings=lame)))
    assert state.rolling is not None
    assert state.rolling.generated == Trail()


# --- Natural export ---


def _sun(start: datetime, hours: int, watts: float) -> Forecast:
    slots = tuple(
        Slot(start + timedelta(hours=i), start + timedelta(hours=i + 1), watts, watts, watts)
        for i in range(hours)
    )
    return Forecast(slots)


def test_the_sun_of_the_next_24_hours_counts_with_what_is_still_in_them() -> None:
    settings = replace(FIXED, battery_capacity_kwh=10.0, house_load_kwh_per_day=0.0, min_soc=80.0)
    house = Days(settings).run(24 * HOUR).run(120, export_w=2000.0).run(60)
    assert house.decision.export_left == pytest.approx(2.0, abs=0.1)
    # 5 kWh of sun fill the 2 kWh of room and bring 3 by themselves within the next hours.
    house.forecast = _sun(house.now, 5, 1000.0)
    assert house.run(1).decision.export_left == 0.0
    # The same sun after today's export has dropped out takes nothing from now.
    house.forecast = _sun(house.now + timedelta(hours=23), 1, 5000.0)
    assert house.run(1).decision.export_left == pytest.approx(2.0, abs=0.1)


# --- Over-export ---


def test_export_above_the_figure_is_said_until_it_has_dropped_out() -> None:
    house = Days(FIXED).run(10).run(150, export_w=2500.0)
    assert ErrorState.OVER_EXPORT in house.state.faults
    house.run(14 * HOUR)  # past midnight
    assert ErrorState.OVER_EXPORT in house.state.faults
    house.run(12 * HOUR)
    assert ErrorState.OVER_EXPORT not in house.state.faults


def test_more_than_was_generated_is_said_only_when_the_whole_time_was_seen() -> None:
    house = Days(GENERATED).run(10).run(60, export_w=2000.0)
    assert ErrorState.OVER_EXPORT not in house.state.faults
    house = Days(GENERATED).run(24 * HOUR + 5).run(60, export_w=2000.0)
    assert ErrorState.OVER_EXPORT in house.state.faults


def test_a_gap_is_no_over_export() -> None:
    house = Days(FIXED).run(24 * HOUR).run(12 * HOUR, 300.0).run(8 * HOUR, 350.0, seen=False)
    house.run(17 * HOUR)
    assert house.decision.exported > 2.8
    assert ErrorState.OVER_EXPORT not in house.state.faults


# --- Bases and periods ---


@pytest.mark.parametrize("period", list(PeriodKind))
@pytest.mark.parametrize("basis", list(Basis))
@pytest.mark.parametrize("daily", [True, False])
@pytest.mark.parametrize("pvs", [1, 2])
def test_every_basis_counts_its_own_contract(
    basis: Basis, period: PeriodKind, pvs: int, *, daily: bool
) -> None:
    """From yesterday noon to today noon: 10 kWh of sun yesterday, 6 today, 2 and 3 exported."""
    settings = replace(FIXED, basis=basis, period=period, safety_margin_kwh=0.5)
    house = Days(settings, daily=daily, pvs=pvs).run(12 * HOUR)
    house.run(10 * HOUR, 200.0, 1000.0).run(2 * HOUR)
    house.run(6 * HOUR).run(6 * HOUR, 500.0, 1000.0)
    at = house.now
    house.forecast = Forecast(
        (Slot(at, at + timedelta(hours=2), 500.0, 1000.0, 2000.0),), valid_from=at
    )
    house.run(1)
    rolling = period is PeriodKind.ROLLING_24H and basis in (Basis.GENERATED, Basis.FIXED)
    assert rolls(house.settings) is rolling
    made, out = (16.0, 5.0) if rolling else (6.0, 3.0)
    contract = {
        Basis.FIXED: 6.0,
        Basis.GENERATED: made,
        Basis.FORECAST: made + 2.0,
        Basis.CONSERVATIVE: made + 1.0,
    }[basis]
    decision = house.decision
    assert decision.contract == pytest.approx(contract, abs=0.2 + 0.1 * pvs)
    assert decision.contract <= contract + 0.02
    assert decision.allowance == pytest.approx(decision.contract - 0.5)
    assert decision.exported == pytest.approx(out, abs=0.03)
    assert decision.blocker is None or out > contract - 0.5


# --- Trails ---


def test_a_trail_survives_being_written_down() -> None:
    house = Days(GENERATED).run(30 * HOUR, 700.0, 1500.0).run(300, seen=False).run(60, 900.0)
    rolling = house.state.rolling
    assert rolling is not None
    texts = rolling.packed()
    assert Rolling.unpacked(texts) == rolling
    assert len(texts[0]) + len(texts[1]) < 12_000


@pytest.mark.parametrize("texts", [(), ("",), ("x", "1"), ("1:2:3", "")])
def test_what_is_no_trail_is_learnt_anew(texts: tuple[str, ...]) -> None:
    assert Rolling.unpacked(texts) is None


def test_an_empty_trail_is_one() -> None:
    assert Rolling.unpacked(Rolling().packed()) == Rolling()


def test_points_of_a_clock_that_was_wrong_are_taken_back() -> None:
    trail = Trail((10, 20, 30), (1, 2, 3))
    later = trail.extended(15, 2, datetime(1970, 1, 1, tzinfo=UTC))
    assert later == Trail((10, 15), (1, 2))
    assert later.extended(15, 9, datetime(1970, 1, 1, tzinfo=UTC)) is later
    all_future = Trail((30, 40), (3, 4)).extended(5, 1, datetime(1970, 1, 1, 3, tzinfo=UTC))
    assert all_future == Trail((5,), (1,))


def test_a_look_without_a_new_minute_adds_nothing() -> None:
    house = Days(FIXED).run(10)
    before = house.state.rolling
    house.state, _ = step(house.state, Observed(house.look()))
    assert house.state.rolling is before


def test_a_value_that_is_held_back_is_no_point() -> None:
    house = Days(FIXED).run(10)
    before = house.state.rolling
    house.exported[-1] += 500.0
    house.run(1)
    assert before is not None
    assert house.state.rolling is not None
    assert house.state.rolling.export is before.export
    assert house.state.rolling.generated is not before.generated


def test_nothing_is_followed_in_a_local_day() -> None:
    house = Days(replace(FIXED, period=PeriodKind.LOCAL_DAY)).run(10)
    assert house.state.rolling is None
    house.settings = replace(house.settings, period=PeriodKind.ROLLING_24H)
    house.run(1)
    assert house.state.rolling is not None
    assert timedelta(hours=24) == DAY
    counter: Any = house.state.meter.counter
    assert followed(None, counter, counter, (), SETTINGS, None) is None  # type: ignore[arg-type]
