"""Options meet defaults, also where 1.x or somebody's editor wrote them."""

from collections.abc import Callable, Mapping
from datetime import time

import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.start import START_DEADLINE_S
from custom_components.export_monitor.error_handler import RetryPolicy
from custom_components.export_monitor.planning import DailyWindow, Objective, PlanSettings
from custom_components.export_monitor.settings import (
    LIVE_OPTIONS,
    option_flag,
    option_time,
    plan_settings_of,
    retry_policy,
    settings_of,
    stale_after,
    switch_policy,
)


def plan(**options: object) -> PlanSettings:
    return plan_settings_of({**const.DEFAULTS, **options})


def test_without_a_choice_nothing_is_planned_and_nothing_starts() -> None:
    assert plan() == PlanSettings()


@pytest.mark.parametrize(
    ("scan_interval", "configured", "judged"),
    [(10, 30, 30), (60, 30, 120), (15, 30, 30), (16, 30, 32), (5, 10, 10), (60, 600, 600)],
)
def test_data_is_not_called_stale_before_it_has_been_looked_at_twice(
    scan_interval: float, configured: float, judged: float
) -> None:
    assert stale_after({"scan_interval": scan_interval, "stale_after": configured}) == judged


def test_every_option_of_planning_arrives() -> None:
    found = plan(
        enable_ci_planning=True,
        planning_objective="price",
        green_only=False,
        wear_cost=0.02,
        export_window_start="16:00:00",
        export_window_end="02:30",
        charge_window_start="23:30",
        charge_window_end="05:30:00",
        charge_power_kw=2.5,
        round_trip_efficiency=0.85,
        export_price=0.15,
        import_price=0,
    )
    assert found == PlanSettings(
        discharge=True,
        objective=Objective.PRICE,
        green_only=False,
        wear_cost=0.02,
        export_window=DailyWindow(time(16), time(2, 30)),
        charge_window=DailyWindow(time(23, 30), time(5, 30)),
        charge_power_w=2500.0,
        round_trip_efficiency=0.85,
        export_price=0.15,
        import_price=0.0,
    )


@pytest.mark.parametrize("kind", ["discharge", "charge"])
def test_what_shall_start_by_itself_is_planned_too(kind: str) -> None:
    found = plan(**{f"enable_auto_{kind}": True})
    assert (getattr(found, kind), getattr(found, f"auto_{kind}")) == (True, True)
    other = "charge" if kind == "discharge" else "discharge"
    assert (getattr(found, other), getattr(found, f"auto_{other}")) == (False, False)


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        (True, True), (False, False), ("true", True), ("on", True), ("On ", True), (1, True),
        ("false", False), ("off", False), (0, False),
        (None, True), ("", True), ("perhaps", True), ([], True),
    ],
)  # fmt: skip
def test_a_switch_is_read_however_it_was_stored(stored: object, *, meant: bool) -> None:
    assert option_flag({const.CONF_GREEN_ONLY: stored}, const.CONF_GREEN_ONLY) is meant


@pytest.mark.parametrize(
    ("stored", "meant"),
    [
        ("23:59", time(23, 59)),
        ("23:59:00", time(23, 59)),
        ("7:05", time(7, 5)),
        ("00:00", time(0)),
        (time(6, 30), time(6, 30)),
        ("24:00", time(6)),
        ("", time(6)),
        (None, time(6)),
        (6, time(6)),
        ("6 o'clock", time(6)),
    ],
)
def test_a_time_is_read_however_it_was_stored(stored: object, meant: time) -> None:
    key = const.CONF_CHARGE_WINDOW_END
    assert option_time({key: stored}, key) == meant


@pytest.mark.parametrize("stored", ["profit", None, "", 3])
def test_an_objective_that_nobody_knows_is_carbon(stored: object) -> None:
    assert plan(planning_objective=stored).objective is Objective.CARBON


@pytest.mark.parametrize("stored", [None, "", "free", float("nan"), True])
def test_a_price_that_is_no_number_is_not_known(stored: object) -> None:
    found = plan(export_price=stored, import_price=stored)
    assert (found.export_price, found.import_price) == (None, None)


@pytest.mark.parametrize(("stored", "watts"), [("2.5", 2500), (3, 3000), ("much", 3680)])
def test_the_charge_power_of_1x_is_in_kilowatts(stored: object, watts: float) -> None:
    config: Mapping[str, object] = {**const.DEFAULTS, const.CONF_CHARGE_POWER_KW: stored}
    assert settings_of(config).charge_power_w == watts
    assert plan_settings_of(config).charge_power_w == watts


def test_dry_run_reaches_the_engine() -> None:
    assert settings_of({**const.DEFAULTS, const.CONF_DRY_RUN: True}).dry_run
    assert not settings_of(const.DEFAULTS).dry_run


def test_planning_takes_effect_without_a_reload_but_who_tells_the_price_does_not() -> None:
    live = {const.CONF_AUTO_DISCHARGE, const.CONF_AUTO_CHARGE, const.CONF_DRY_RUN}
    live |= {const.CONF_OBJECTIVE, const.CONF_EXPORT_WINDOW_END, const.CONF_WEAR_COST}
    assert live <= LIVE_OPTIONS
    # A fixed price decides whether the market is asked at all.
    assert not {const.CONF_EXPORT_PRICE, const.CONF_IMPORT_PRICE} & LIVE_OPTIONS


@pytest.mark.parametrize("policy_of", [retry_policy, switch_policy])
def test_a_command_has_all_the_time_its_attempts_need_but_never_more_than_a_start(
    policy_of: Callable[[Mapping[str, object]], RetryPolicy],
) -> None:
    usual = policy_of(const.DEFAULTS)
    pauses = sum(usual.delay_s(retry, 1.0) for retry in range(1, usual.attempts))
    needed = usual.attempts * (usual.timeout_s + usual.read_back_s) + pauses
    assert needed < usual.total_s < 1.5 * needed
    patient = {const.CONF_SERVICE_TIMEOUT: 60, const.CONF_RETRY_ATTEMPTS: 5}
    assert policy_of({**const.DEFAULTS, **patient}).total_s == START_DEADLINE_S
