"""What the planner is asked, and when it is asked anew."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from math import inf
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from custom_components.export_monitor.models import (
    Basis,
    Decision,
    Forecast,
    LoadProfile,
    LoadSource,
    PeriodKind,
    Rate,
    Rates,
    Reading,
    Readings,
    Settings,
    Slot,
    SwitchReading,
)
from custom_components.export_monitor.outlook import Known, NoPlan, outlook
from custom_components.export_monitor.planning import (
    DailyWindow,
    Objective,
    PlanInput,
    PlanSettings,
    plan,
)
from custom_components.export_monitor.replanning import outlived

NOW = datetime(2026, 6, 21, 20, 10, tzinfo=UTC)
MIDNIGHT = datetime(2026, 6, 22, tzinfo=UTC)
HOUR = timedelta(hours=1)


def rates(*values: float) -> Rates:
    start = NOW.replace(minute=0)
    return Rates(
        tuple(Rate(start + n * HOUR, start + (n + 1) * HOUR, v) for n, v in enumerate(values))
    )


def sun(watts: float, *, hours: Iterable[int], start: datetime = MIDNIGHT) -> Forecast:
    return Forecast(
        tuple(
            Slot(start + n * HOUR, start + (n + 1) * HOUR, 0.5 * watts, watts, 1.5 * watts)
            for n in hours
        )
    )


def decision(**facts: Any) -> Decision:
    base: dict[str, Any] = {
        "basis": Basis.FIXED,
        "contract": 6.0,
        "allowance": 5.5,
        "exported": 1.0,
        "counted": 1.01,
        "generated": 8.0,
        "natural": 0.0,
        "natural_known": True,
        "headroom": 4.49,
        "export_left": 4.49,
        "floor_soc": 30.0,
        "power_w": 3000.0,
        "duration_min": 60.0,
    }
    return Decision(**{**base, **facts})


READINGS = Readings(
    soc=Reading(80.0, NOW),
    export_counter=Reading(1.0, NOW),
    pv_counters=(Reading(8.0, NOW),),
    switch=SwitchReading(on=False),
    grid_power=Reading(200.0, NOW),
    carbon=rates(*[200.0] * 30),
)
KNOWN = Known(
    now=NOW,
    readings=READINGS,
    settings=Settings(
        target_export_w=3000.0, basis=Basis.FIXED, fixed_limit_kwh=6.0, inverter_limit_w=5000.0
    ),
    planning=PlanSettings(discharge=True),
    decision=decision(),
)


def known(**facts: Any) -> Known:
    return replace(KNOWN, **facts)


def asked(given: Known) -> PlanInput:
    found = outlook(given)
    assert isinstance(found, PlanInput), found
    return found


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (known(planning=PlanSettings()), NoPlan.OFF),
        (known(decision=None), NoPlan.NO_DATA),
        (known(readings=replace(READINGS, soc=Reading(None, NOW, "missing"))), NoPlan.NO_DATA),
        (
            known(settings=replace(KNOWN.settings, battery_capacity_kwh=0.0)),
            NoPlan.NO_BATTERY,
        ),
        (known(readings=replace(READINGS, carbon=None)), NoPlan.NO_CARBON),
        (known(now=NOW + timedelta(hours=40)), NoPlan.NO_CARBON),
        (
            known(planning=PlanSettings(discharge=True, objective=Objective.PRICE)),
            NoPlan.NO_PRICES,
        ),
    ],
)
def test_without_what_it_needs_there_is_no_plan_and_a_reason(given: Known, why: NoPlan) -> None:
    assert outlook(given) is why


def test_slots_begin_now_and_are_half_hours_until_values_end() -> None:
    slots = asked(KNOWN).slots
    assert slots[0].start == NOW
    assert slots[0].end == NOW.replace(minute=30)
    assert slots[-1].end == NOW.replace(minute=0) + 30 * HOUR
    assert all(slot.end - slot.start <= timedelta(minutes=30) for slot in slots)


def test_two_days_are_the_most_that_is_planned() -> None:
    far = known(readings=replace(READINGS, carbon=rates(*[200.0] * 70)))
    assert asked(far).slots[-1].end == NOW + timedelta(hours=48)


def test_a_gap_between_values_is_a_time_without_one() -> None:
    slots = rates(*[200.0] * 30).slots
    gap = known(readings=replace(READINGS, carbon=Rates(slots[:3] + slots[4:])))
    missing = [slot.start.hour for slot in asked(gap).slots if slot.export_value is None]
    assert missing == [23, 23]


def test_the_house_load_is_the_learnt_one_in_local_time_else_the_configured_one() -> None:
    (evenly,) = {slot.load_w for slot in asked(KNOWN).slots}
    assert evenly == pytest.approx(8000 / 24)
    day = tuple(float(n) for n in range(48))
    profile = LoadProfile(day, day, LoadSource.STATISTICS)
    zone = ZoneInfo("Europe/Berlin")
    given = known(
        readings=replace(READINGS, load_profile=profile),
        settings=replace(KNOWN.settings, timezone=zone),
    )
    assert asked(given).slots[0].load_w == 44.0  # 22:10 in Berlin


def test_pv_of_hours_without_a_forecast_is_none() -> None:
    given = known(readings=replace(READINGS, forecast=sun(2000, hours=range(8, 12))))
    by_hour = {slot.start.hour: slot.pv for slot in asked(given).slots if slot.start > MIDNIGHT}
    assert by_hour[9] == (1000.0, 2000.0, 3000.0)
    assert by_hour[13] == (0.0, 0.0, 0.0)


def test_prices_are_those_of_their_directions() -> None:
    given = known(
        planning=PlanSettings(discharge=True, objective=Objective.PRICE),
        readings=replace(
            READINGS, export_price=rates(0.1, 0.2, 0.3), import_price=rates(0.3, 0.4, 0.5)
        ),
    )
    slots = asked(given).slots
    assert (slots[0].export_value, slots[0].import_cost) == (0.1, 0.3)
    assert (slots[-1].export_value, slots[-1].import_cost) == (0.3, 0.5)


def test_without_a_price_of_import_it_is_the_dearest_of_export() -> None:
    given = known(
        planning=PlanSettings(discharge=True, objective=Objective.PRICE),
        readings=replace(READINGS, export_price=rates(0.1, 0.2, 0.3)),
    )
    assert {slot.import_cost for slot in asked(given).slots} == {0.3}


def test_a_fixed_price_holds_for_two_days() -> None:
    fixed = PlanSettings(
        discharge=True, objective=Objective.PRICE, export_price=0.15, import_price=0.3
    )
    slots = asked(known(planning=fixed)).slots
    assert slots[-1].end == NOW + timedelta(hours=48)
    assert {(slot.export_value, slot.import_cost) for slot in slots} == {(0.15, 0.3)}


def by_hour(given: Known) -> dict[datetime, tuple[float | None, float | None]]:
    """Return value and cost at every full hour from now on."""
    slots = asked(given).slots
    return {s.start: (s.export_value, s.import_cost) for s in slots if s.start.minute == 0}


def test_a_fixed_price_holds_where_the_entity_tells_none_yet() -> None:
    """Today's prices are published, tomorrow's come in the afternoon; one hour is missing."""
    told = rates(0.1, 0.2, 0.3, 0.4).slots
    given = known(
        planning=PlanSettings(
            discharge=True, objective=Objective.PRICE, export_price=0.15, import_price=0.28
        ),
        readings=replace(READINGS, export_price=Rates(told[:2] + told[3:])),
    )
    hours = by_hour(given)
    first = NOW.replace(minute=0)
    values = [hours[first + n * HOUR][0] for n in range(1, 6)]
    assert values == [0.2, 0.15, 0.4, 0.15, 0.15]
    assert max(hours) == first + 48 * HOUR
    assert {cost for _, cost in hours.values()} == {0.28}


def test_a_fixed_price_of_import_holds_where_its_entity_ends() -> None:
    given = known(
        planning=PlanSettings(
            discharge=True, objective=Objective.PRICE, export_price=0.15, import_price=0.28
        ),
        readings=replace(READINGS, import_price=rates(0.5, 0.6)),
    )
    hours = by_hour(given)
    first = NOW.replace(minute=0)
    assert [hours[first + n * HOUR][1] for n in range(1, 4)] == [0.6, 0.28, 0.28]


def test_without_a_fixed_price_hours_that_no_entity_prices_are_left_alone() -> None:
    """Those of import are not known yet: nothing is sold then, whatever export earns."""
    given = known(
        planning=PlanSettings(discharge=True, objective=Objective.PRICE, export_price=0.15),
        readings=replace(READINGS, import_price=rates(0.5, 0.6, 0.1, 0.1)),
    )
    hours = by_hour(given)
    first = NOW.replace(minute=0)
    assert hours[first + 3 * HOUR] == (0.15, 0.1)
    assert hours[first + 4 * HOUR] == (0.15, None)
    made = plan(asked(given), linear=False)
    assert all(window.end <= first + 4 * HOUR for window in made.windows)


def test_the_battery_stays_above_the_floor_of_the_decision() -> None:
    battery = asked(KNOWN).battery
    assert (battery.soc, battery.floor_soc, battery.capacity_kwh) == (80.0, 31.0, 10.0)
    assert battery.discharge_limit_w == 5000.0


def test_without_a_grid_sensor_the_target_is_all_that_the_battery_gives() -> None:
    blind = known(readings=replace(READINGS, grid_power=None))
    assert asked(blind).battery.discharge_limit_w == 3000.0


def test_limits_that_are_not_set_do_not_limit() -> None:
    limits = asked(KNOWN).limits
    assert (limits.site_export_w, limits.inverter_w) == (inf, 5000.0)
    assert (limits.target_export_w, limits.charge_w) == (3000.0, 3680.0)


def test_only_what_is_enabled_is_planned() -> None:
    discharging, charging = asked(KNOWN), asked(known(planning=PlanSettings(charge=True)))
    assert discharging.charge_window is None
    assert charging.limits.target_export_w == 0.0
    assert charging.charge_window == DailyWindow(time.min, time(6))


def test_fixed_today_is_what_is_left_and_tomorrow_the_limit_less_the_margin() -> None:
    today, tomorrow, *rest = asked(KNOWN).days
    assert (today.left_kwh, today.end) == (pytest.approx(4.49), MIDNIGHT)
    assert tomorrow.left_kwh == 5.5
    assert len(rest) == 1  # the rates reach two hours into the day after


def test_a_forecast_makes_tomorrows_allowance() -> None:
    given = known(
        readings=replace(READINGS, forecast=sun(2000, hours=range(8, 12))),
        decision=decision(basis=Basis.FORECAST),
    )
    found = asked(given)
    assert found.days[1].left_kwh == pytest.approx(7.5)
    assert found.percentile == 50
    careful = asked(replace(given, decision=decision(basis=Basis.CONSERVATIVE)))
    assert careful.days[1].left_kwh == pytest.approx(3.5)
    assert careful.percentile == 10


def test_generated_accrues_and_makes_up_for_the_margin_first() -> None:
    given = known(
        decision=decision(basis=Basis.GENERATED, contract=0.2, allowance=0.0, counted=0.0)
    )
    today, tomorrow, *_ = asked(given).days
    assert (today.left_kwh, today.accrues) == (pytest.approx(-0.3), True)
    assert (tomorrow.left_kwh, tomorrow.accrues) == (-0.5, True)


def test_the_last_24_hours_grant_only_what_is_left_now() -> None:
    rolling = replace(KNOWN.settings, period=PeriodKind.ROLLING_24H)
    (day,) = asked(known(settings=rolling)).days
    assert (day.left_kwh, day.end) == (pytest.approx(4.49), NOW + timedelta(hours=24))


# When it is asked anew


def later(minutes: float = 5, **facts: Any) -> bool:
    made = plan(asked(KNOWN), linear=False)
    return outlived(made, KNOWN, known(now=NOW + timedelta(minutes=minutes), **facts))


def test_a_plan_stands_while_nothing_has_changed() -> None:
    assert not later()


@pytest.mark.parametrize(
    ("minutes", "facts"),
    [
        (20, {}),
        (-1, {}),
        (5, {"last_session": "s1"}),
        (5, {"planning": PlanSettings(discharge=True, wear_cost=1.0)}),
        (5, {"readings": replace(READINGS, carbon=rates(*[100.0] * 30))}),
        (5, {"readings": replace(READINGS, soc=Reading(74.0, NOW))}),
        (5, {"decision": decision(contract=6.4)}),
        (5, {"decision": decision(basis=Basis.GENERATED)}),
    ],
)
def test_a_material_change_outdates_it(minutes: float, facts: dict[str, Any]) -> None:
    assert later(minutes, **facts)


@pytest.mark.parametrize(
    "facts",
    [
        {"readings": replace(READINGS, soc=Reading(76.0, NOW))},
        {"readings": replace(READINGS, soc=Reading(None, NOW, "missing"))},
        {"decision": decision(contract=6.2)},
        {"decision": None},
    ],
)
def test_a_small_change_does_not(facts: dict[str, Any]) -> None:
    assert not later(**facts)


def test_what_the_sun_was_expected_to_add_is_no_change() -> None:
    shining = replace(READINGS, forecast=sun(6000, hours=(0, 1), start=NOW.replace(minute=0)))
    before = known(
        readings=shining, decision=decision(basis=Basis.GENERATED, contract=1.0, counted=0.0)
    )
    made = plan(asked(before), linear=False)
    grown = decision(basis=Basis.GENERATED, contract=1.5, counted=0.0)
    soc = Reading(dict(made.soc)[NOW], NOW)
    after = replace(before, now=NOW + timedelta(minutes=5), decision=grown)
    after = replace(after, readings=replace(shining, soc=soc))
    assert not outlived(made, before, after)
    assert outlived(made, before, replace(after, decision=replace(grown, contract=1.0)))
