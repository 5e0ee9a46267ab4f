"""The margin advisor against a case computed by hand."""

from dataclasses import replace

import pytest

from custom_components.export_monitor.ledger import Breach, Cause, Day, advise
from custom_components.export_monitor.ledger.report import margin
from tests.unit.ledger.meters import MIDNIGHT

DAY = Day(
    "2026-06-21",
    MIDNIGHT,
    24,
    contract=10.0,
    margin=0.5,
    tolerance=0.1,
    slack=0.0,
    exported=9.5,
    deliberate=4.0,
    money=0.8,
    money_kwh=4.0,
)
OVER = replace(DAY, exported=10.3)
INSIDE = replace(DAY, contract=12.0, exported=11.5, deliberate=2.0, money=0.6, money_kwh=2.0)
ENDED_EMPTY = replace(DAY, exported=6.0, deliberate=3.0, slack=1.0, money=0.3, money_kwh=3.0)
SUNNY = replace(DAY, exported=11.0, deliberate=0.2, money=0.02, money_kwh=0.2)
QUIET = replace(DAY, exported=2.0, deliberate=0.0, slack=None, money=0.0, money_kwh=0.0)


def test_a_case_computed_by_hand() -> None:
    # 0.3 kWh too much with a margin of 0.5: 0.8 would have done. It takes 0.3 kWh off each of the
    # first two days (0.3 x 0.20 + 0.3 x 0.30), nothing off the third, where the battery was empty
    # with 1 kWh still allowed, and all 0.2 kWh (x 0.10) off the fourth, which the sun drove over.
    advice = advise([OVER, INSIDE, ENDED_EMPTY, SUNNY, QUIET])
    assert advice.needed == 0.8
    assert advice.suggestion == 0.8
    assert advice.lost_kwh == pytest.approx(0.8)
    assert advice.lost_money == pytest.approx(0.06 + 0.09 + 0.02)
    assert (advice.days, advice.days_over, advice.by_itself) == (4, 1, 1)


def test_with_the_advice_followed_the_day_had_been_inside() -> None:
    advice = advise([OVER])
    after = OVER.exported - advice.lost_kwh
    assert OVER.contract is not None
    assert after <= OVER.contract + 1e-9
    assert after == pytest.approx(OVER.contract)  # and not further inside than needed


def test_what_the_battery_did_not_hold_back_has_to_be_held_back_first() -> None:
    # The discharge had ended with 0.4 kWh allowed still: only beyond that a margin cuts it short.
    day = replace(OVER, slack=0.4)
    advice = advise([day])
    assert advice.needed == 1.2
    assert advice.lost_kwh == pytest.approx(0.3)


def test_a_margin_that_was_enough_is_left_alone() -> None:
    advice = advise([INSIDE, ENDED_EMPTY])
    assert advice.needed == 0.0
    assert advice.suggestion == 0.5
    assert advice.lost_kwh == 0.0


def test_a_margin_between_two_steps_is_rounded_up() -> None:
    assert advise([replace(OVER, exported=10.31)]).needed == 0.9


def test_within_the_meters_tolerance_nothing_is_over() -> None:
    advice = advise([replace(DAY, exported=10.1)])
    assert advice.days_over == 0
    assert advice.needed == 0.5


def test_a_day_inside_needs_no_more_than_it_had() -> None:
    # The battery was empty with 5 kWh allowed still; by the evening the forecast had fallen.
    advice = advise([replace(DAY, slack=5.0, exported=8.0)])
    assert advice.needed == 0.5
    assert advice.lost_kwh == 0.0


def test_without_a_discharge_nothing_can_be_said() -> None:
    advice = advise([QUIET, replace(QUIET, exported=12.0)])
    assert advice.needed is None
    assert advice.by_itself == 1
    assert advice.suggestion == 0.5
    assert advise([]).needed is None
    assert margin(advise([]))["enough_kwh"] is None


def test_a_battery_that_did_not_stop_asks_for_no_margin() -> None:
    breach = Breach(MIDNIGHT, 12.0, 10.0, Cause.NOT_STOPPED.value, 1)
    advice = advise([INSIDE, replace(DAY, exported=12.0, breaches=(breach,))])
    assert (advice.days_over, advice.by_itself) == (0, 1)
    assert advice.suggestion == 0.5
