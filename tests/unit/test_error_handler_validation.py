"""Readings: what is a number in range with a unit that can be converted, and what is rubbish."""

import logging
import math

from hypothesis import given, strategies as st
import pytest

from custom_components.export_monitor.error_handler import (
    Problem,
    SensorValidation,
    SourceKind,
)

SOC = "sensor.soc"
UNITS = {
    SourceKind.SOC: "%",
    SourceKind.ENERGY_DAILY: "kWh",
    SourceKind.ENERGY_TOTAL: "kWh",
    SourceKind.POWER: "W",
    SourceKind.CARBON: "gCO2/kWh",
    SourceKind.PRICE: "GBP/kWh",
    SourceKind.FLAG: None,
}
BOUNDS = {
    SourceKind.SOC: (0, 100),
    SourceKind.ENERGY_DAILY: (0, 1000),
    SourceKind.ENERGY_TOTAL: (0, math.inf),
    SourceKind.POWER: (-50_000, 50_000),
    SourceKind.CARBON: (0, 2000),
    SourceKind.PRICE: (-math.inf, math.inf),
    SourceKind.FLAG: (0, 65_535),
}


@pytest.fixture
def validation() -> SensorValidation:
    return SensorValidation()


@pytest.mark.parametrize(
    ("kind", "raw", "unit", "expected"),
    [
        (SourceKind.SOC, "0", "%", 0),
        (SourceKind.SOC, "100", "%", 100),
        (SourceKind.SOC, " 55.5 ", None, 55.5),
        (SourceKind.SOC, "55.5", "", 55.5),
        (SourceKind.ENERGY_DAILY, "12.34", "kWh", 12.34),
        (SourceKind.ENERGY_DAILY, "12340", "Wh", 12.34),
        (SourceKind.ENERGY_DAILY, "0.5", "MWh", 500),
        (SourceKind.ENERGY_DAILY, "1000", "kWh", 1000),
        (SourceKind.ENERGY_TOTAL, "123456.78", "kWh", 123456.78),
        (SourceKind.POWER, "-50000", "W", -50_000),
        (SourceKind.POWER, "50", "kW", 50_000),
        (SourceKind.POWER, "0.003", "MW", 3000),
        (SourceKind.POWER, "1e3", "W", 1000),
        (SourceKind.CARBON, "2000", "gCO2/kWh", 2000),
        (SourceKind.CARBON, "180", None, 180),
        (SourceKind.CARBON, "180", "g/kWh", 180),
        (SourceKind.CARBON, "180", "gCO₂eq/kWh", 180),
        (SourceKind.CARBON, "180", "g CO2-eq/kWh", 180),
        (SourceKind.CARBON, "180", "gCO2e/kWh", 180),
        (SourceKind.CARBON, "0.18", "kgCO2/kWh", 180),
        (SourceKind.PRICE, "-3.5", "GBP/kWh", -3.5),
        (SourceKind.PRICE, "1e9", None, 1e9),
        (SourceKind.FLAG, "0", None, 0),
        (SourceKind.FLAG, "65535", "", 65_535),
        (SourceKind.FLAG, "1.0", None, 1),
        (SourceKind.SOC, 42, "%", 42),
        (SourceKind.CARBON, 181.5, "gCO2/kWh", 181.5),
    ],
)
def test_a_good_reading_comes_in_canonical_units(
    validation: SensorValidation, kind: SourceKind, raw: object, unit: str | None, expected: float
) -> None:
    validated = validation.check("sensor.x", kind, raw, unit)
    assert validated.value == pytest.approx(expected)
    assert validated.problem is None
    assert validated.raw == str(raw)
    assert validation.invalid_counts == {}
    assert validation.read_counts == {"sensor.x": 1}


@pytest.mark.parametrize(
    ("kind", "raw", "unit", "problem"),
    [
        (SourceKind.SOC, None, "%", Problem.MISSING),
        (SourceKind.SOC, "unavailable", "%", Problem.UNAVAILABLE),
        (SourceKind.SOC, "unknown", "%", Problem.UNAVAILABLE),
        (SourceKind.SOC, "", "%", Problem.NOT_A_NUMBER),
        (SourceKind.SOC, "full", "%", Problem.NOT_A_NUMBER),
        (SourceKind.SOC, "nan", "%", Problem.NOT_A_NUMBER),
        (SourceKind.SOC, "inf", "%", Problem.NOT_A_NUMBER),
        (SourceKind.PRICE, "-inf", None, Problem.NOT_A_NUMBER),
        (SourceKind.PRICE, "1e400", None, Problem.NOT_A_NUMBER),
        (SourceKind.PRICE, "1_000", None, Problem.NOT_A_NUMBER),
        (SourceKind.FLAG, "True", None, Problem.NOT_A_NUMBER),
        (SourceKind.FLAG, True, None, Problem.NOT_A_NUMBER),
        (SourceKind.FLAG, "on", None, Problem.NOT_A_NUMBER),
        (SourceKind.SOC, "100.01", "%", Problem.OUT_OF_RANGE),
        (SourceKind.SOC, "-0.01", "%", Problem.OUT_OF_RANGE),
        (SourceKind.SOC, "150", "%", Problem.OUT_OF_RANGE),
        (SourceKind.SOC, "50", "kWh", Problem.UNIT),
        (SourceKind.ENERGY_DAILY, "-0.01", "kWh", Problem.OUT_OF_RANGE),
        (SourceKind.ENERGY_DAILY, "1000.01", "kWh", Problem.OUT_OF_RANGE),
        (SourceKind.ENERGY_DAILY, "1.1", "MWh", Problem.OUT_OF_RANGE),
        (SourceKind.ENERGY_DAILY, "5", None, Problem.UNIT),
        (SourceKind.ENERGY_DAILY, "5", "W", Problem.UNIT),
        (SourceKind.ENERGY_TOTAL, "-1", "kWh", Problem.OUT_OF_RANGE),
        (SourceKind.ENERGY_TOTAL, "5", "", Problem.UNIT),
        (SourceKind.ENERGY_TOTAL, "1e308", "MWh", Problem.OUT_OF_RANGE),
        (SourceKind.POWER, "50001", "W", Problem.OUT_OF_RANGE),
        (SourceKind.POWER, "-50.1", "kW", Problem.OUT_OF_RANGE),
        (SourceKind.POWER, "2147483647", "W", Problem.OUT_OF_RANGE),
        (SourceKind.POWER, "5", None, Problem.UNIT),
        (SourceKind.POWER, "5", "kWh", Problem.UNIT),
        (SourceKind.CARBON, "2000.1", "gCO2/kWh", Problem.OUT_OF_RANGE),
        (SourceKind.CARBON, "-1", "gCO2/kWh", Problem.OUT_OF_RANGE),
        (SourceKind.CARBON, "40", "%", Problem.UNIT),
        (SourceKind.FLAG, "65536", None, Problem.OUT_OF_RANGE),
        (SourceKind.FLAG, "-1", None, Problem.OUT_OF_RANGE),
        (SourceKind.FLAG, "0.5", None, Problem.OUT_OF_RANGE),
        (SourceKind.FLAG, "1", "W", Problem.UNIT),
    ],
)
def test_a_bad_reading_is_treated_as_missing(
    validation: SensorValidation,
    kind: SourceKind,
    raw: object,
    unit: str | None,
    problem: Problem | None,
) -> None:
    validated = validation.check("sensor.x", kind, raw, unit)
    assert (validated.value, validated.problem) == (None, problem)
    away = problem in (Problem.MISSING, Problem.UNAVAILABLE)
    assert validation.invalid_counts.get("sensor.x", 0) == (0 if away else 1)


@pytest.mark.parametrize(
    ("raw", "expected"), [("-12", 0), ("-200", 0), ("0", 0), ("3000", 3000), ("50000", 50_000)]
)
def test_night_standby_of_pv_counts_as_no_power(
    validation: SensorValidation, raw: object, expected: float
) -> None:
    validated = validation.check("sensor.pv", SourceKind.POWER, raw, "W", floor_at_zero=True)
    assert (validated.value, validated.problem) == (expected, None)


@pytest.mark.parametrize("raw", ["-201", "-3000", "50001"])
def test_pv_power_far_below_zero_is_a_reversed_sign_not_night(
    validation: SensorValidation, raw: object
) -> None:
    validated = validation.check("sensor.pv", SourceKind.POWER, raw, "W", floor_at_zero=True)
    assert (validated.value, validated.problem) == (None, Problem.OUT_OF_RANGE)


def test_negative_pv_energy_is_never_floored(validation: SensorValidation) -> None:
    validated = validation.check("x", SourceKind.ENERGY_DAILY, "-0.1", "kWh", floor_at_zero=True)
    assert validated.problem is Problem.OUT_OF_RANGE
    price = validation.check("y", SourceKind.PRICE, "-0.1", None, floor_at_zero=True)
    assert price.value == -0.1


def test_what_is_kept_of_a_raw_value_is_no_longer_than_a_state(
    validation: SensorValidation,
) -> None:
    validated = validation.check("x", SourceKind.SOC, ["9"] * 1000, None)
    assert validated.problem is Problem.NOT_A_NUMBER
    assert len(validated.raw) == 255
    assert validation.check("x", SourceKind.SOC, None, None).raw == ""


def test_an_invalid_source_is_logged_once_with_its_range_and_once_when_valid(
    validation: SensorValidation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for raw in ("150", "150", "150", "unavailable", "garbage"):
        validation.check(SOC, SourceKind.SOC, raw, "%")
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert caplog.messages == [
        "Invalid reading of sensor.soc: '150' % (expected 0 to 100 %)",
    ]
    assert validation.invalid_counts == {SOC: 4}
    caplog.clear()
    for raw in ("50", "51"):
        validation.check(SOC, SourceKind.SOC, raw, "%")
    assert caplog.messages == ["sensor.soc is valid again"]
    caplog.clear()
    validation.check(SOC, SourceKind.SOC, "150", None)
    assert caplog.messages == ["Invalid reading of sensor.soc: '150' (expected 0 to 100 %)"]


def test_a_source_that_is_away_is_no_error_but_rubbish_after_it_is(
    validation: SensorValidation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for raw in (None, "unavailable", "unknown"):
        validation.check(SOC, SourceKind.SOC, raw, "%")
    assert [(r.levelname, r.message) for r in caplog.records] == [
        ("INFO", "sensor.soc is missing"),
    ]
    validation.check(SOC, SourceKind.SOC, "150", "%")
    assert caplog.records[-1].levelname == "ERROR"
    assert len(caplog.records) == 2
    validation.check("sensor.other", SourceKind.SOC, "unavailable", "%")
    assert caplog.messages[-1] == "sensor.other is unavailable"


def test_two_entries_do_not_share_counts() -> None:
    first, second = SensorValidation(), SensorValidation()
    first.check(SOC, SourceKind.SOC, "150", "%")
    assert (first.invalid_counts, second.invalid_counts) == ({SOC: 1}, {})


def test_a_step_held_back_is_logged_once_whatever_the_readings_say(
    validation: SensorValidation, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    for _ in range(3):
        validation.check("sensor.e", SourceKind.ENERGY_DAILY, "20", "kWh")
        validation.judge_step("sensor.e", 35.0)
    assert caplog.messages == [
        "Invalid reading of sensor.e (counter step): 35.000 kWh (expected a step that has flowed)"
    ]
    assert validation.invalid_counts == {"sensor.e": 3}
    validation.judge_step("sensor.e", None)
    assert caplog.messages[-1] == "sensor.e (counter step) is valid again"


@given(
    kind=st.sampled_from(SourceKind),
    raw=st.one_of(
        st.none(), st.text(), st.floats().map(str), st.integers().map(str), st.booleans()
    ),
    unit=st.one_of(st.none(), st.sampled_from(["%", "W", "kW", "kWh", "Wh", "MWh"]), st.text()),
    floor=st.booleans(),
)
def test_whatever_comes_only_a_finite_value_in_range_gets_through(
    kind: SourceKind, raw: object, unit: str | None, floor: bool
) -> None:
    validated = SensorValidation().check("x", kind, raw, unit, floor_at_zero=floor)
    assert (validated.value is None) is (validated.problem is not None)
    if validated.value is not None:
        low, high = BOUNDS[kind]
        assert math.isfinite(validated.value)
        assert low <= validated.value <= high
        assert not (floor and kind is SourceKind.POWER and validated.value < 0)


@given(kind=st.sampled_from(SourceKind), value=st.floats(allow_nan=False, allow_infinity=False))
def test_every_number_in_range_is_accepted_and_no_other(kind: SourceKind, value: float) -> None:
    low, high = BOUNDS[kind]
    wanted = low <= value <= high and (kind is not SourceKind.FLAG or value == int(value))
    validated = SensorValidation().check("x", kind, repr(value), UNITS[kind])
    assert (validated.problem is None) is wanted
    if wanted:
        assert validated.value == value


@given(watts=st.floats(-50_000, 50_000))
def test_the_unit_does_not_change_the_power(watts: float) -> None:
    readings = [
        SensorValidation().check("x", SourceKind.POWER, repr(value), unit).value
        for value, unit in ((watts / 1000, "kW"), (watts / 1e6, "MW"))
    ]
    for reading in readings:
        # Rounding may carry the very edge over the limit.
        assert reading is None or reading == pytest.approx(watts, rel=1e-9, abs=1e-9)
        assert reading is not None or abs(watts) > 49_999.999


def test_answers_in_an_outage_are_counted_by_source(validation: SensorValidation) -> None:
    for cached in (True, True, False):
        validation.count_outage("forecast", cached=cached)
    assert validation.cache_hits == {"forecast": 2}
    assert validation.cache_misses == {"forecast": 1}


@pytest.mark.parametrize(
    ("kind", "unit", "taken"),
    [
        (SourceKind.SOC, "%", True),
        (SourceKind.SOC, "", True),
        (SourceKind.SOC, "kWh", False),
        (SourceKind.POWER, "kW", True),
        (SourceKind.POWER, "", False),
        (SourceKind.ENERGY_TOTAL, "MJ", True),
    ],
)
def test_a_unit_is_taken_or_not_whatever_the_value(
    kind: SourceKind, unit: str, taken: bool
) -> None:
    assert SensorValidation.takes(kind, unit) is taken
