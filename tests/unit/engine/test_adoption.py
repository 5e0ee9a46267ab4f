"""A discharge that nobody here asked for is adopted, guarded, and followed to its end."""

from dataclasses import replace

import pytest

from custom_components.export_monitor.engine.state import Phase, WriteKind
from custom_components.export_monitor.models import EndReason, Origin
from tests.unit.engine.world import SETTINGS, World


def _foreign(*, by_switch: bool, **changes: object) -> World:
    world = World(**changes).settle()  # type: ignore[arg-type]
    world.armed, world.power_w, world.timer_s = True, 3000.0, 7200.0
    world.switch = by_switch
    return world


def test_a_switch_found_on_is_adopted_at_once_without_a_write() -> None:
    world = _foreign(by_switch=True).run(1)
    assert world.phase is Phase.ACTIVE
    assert world.state.session is not None
    assert world.state.session.origin is Origin.ADOPTED
    assert world.writes() == []


def test_an_adopted_discharge_is_guarded_at_the_allowance() -> None:
    world = _foreign(by_switch=True, settings=replace(SETTINGS, fixed_limit_kwh=0.3))
    world.run_until(lambda w: bool(w.ended), 900)
    assert world.ended[-1].reason is EndReason.HEADROOM_USED_UP
    assert world.exported <= 0.31
    assert not world.armed


def test_somebody_elses_timer_is_left_alone() -> None:
    world = _foreign(by_switch=True).run(3000)
    assert world.writes(WriteKind.DURATION) == []
    assert world.phase is Phase.ACTIVE


def test_an_armed_dispatch_behind_a_switch_that_is_off_is_adopted_and_guarded() -> None:
    world = _foreign(by_switch=False, settings=replace(SETTINGS, fixed_limit_kwh=0.5)).run(60)
    assert world.phase is Phase.ACTIVE
    assert world.state.session is not None
    assert world.state.session.origin is Origin.ADOPTED
    world.run_until(lambda w: bool(w.ended), 900)
    assert world.ended[-1].reason is EndReason.HEADROOM_USED_UP
    assert not world.armed


def test_a_dispatch_that_its_owner_disarms_has_ended_from_outside() -> None:
    world = _foreign(by_switch=False).run(60)
    assert world.phase is Phase.ACTIVE
    world.armed = False
    world.run(20)
    assert world.ended[-1].reason is EndReason.EXTERNAL


def test_an_adopted_switch_that_goes_off_has_ended_from_outside() -> None:
    world = _foreign(by_switch=True).run(60)
    world.switch = False
    world.run(1)
    assert world.reason is EndReason.EXTERNAL
    world.run(20)
    assert not world.armed


def test_one_report_of_an_armed_dispatch_is_not_enough() -> None:
    world = _foreign(by_switch=False)
    world.run_until(lambda w: w.state.unbidden == 1, 10)
    assert world.phase is Phase.IDLE


def test_another_mode_that_discharges_is_adopted_and_ended_at_the_allowance() -> None:
    world = _foreign(by_switch=False, settings=replace(SETTINGS, fixed_limit_kwh=0.3))
    world.conflicts = ("force export",)
    world.run(60)
    assert world.state.session is not None
    assert world.state.session.origin is Origin.ADOPTED
    world.run_until(lambda w: w.phase is Phase.STOPPING, 900)
    assert world.reason is EndReason.HEADROOM_USED_UP
    due = world.second
    world.run_until(lambda w: not w.armed, 60)
    assert world.second - due <= 6  # its own switch is off already: the fallback does not wait
    world.run(20)
    assert world.phase is Phase.IDLE
    assert world.exported <= 0.31


@pytest.mark.parametrize("absent", [frozenset(), {"battery"}])
def test_another_mode_that_does_not_discharge_is_nobodys_business(absent: set[str]) -> None:
    world = _foreign(by_switch=False, absent=set(absent))
    world.power_w = 0.0
    world.conflicts = ("force charging",)
    world.run(60)
    assert world.phase is Phase.IDLE


def test_an_armed_dispatch_that_moves_nothing_is_not_adopted() -> None:
    world = _foreign(by_switch=False)
    world.power_w = 0.0
    world.run(60)
    assert world.phase is Phase.IDLE


def test_an_armed_dispatch_is_adopted_where_nobody_measures_the_battery() -> None:
    world = _foreign(by_switch=False, absent={"battery"}).run(60)
    assert world.phase is Phase.ACTIVE


def test_without_a_dispatch_sensor_a_discharging_battery_alone_is_the_houses_own_business() -> None:
    world = _foreign(by_switch=False, absent={"dispatch"}).run(120)
    assert world.phase is Phase.IDLE


def test_a_switch_on_where_no_power_is_known_counts_at_what_an_inverter_can() -> None:
    world = _foreign(by_switch=True, absent={"battery", "grid"}).run(1)
    assert world.state.session is not None
    assert world.state.session.power_w == world.settings.inverter_limit_w


def test_an_armed_dispatch_that_was_only_passing_is_forgotten() -> None:
    world = _foreign(by_switch=False)
    world.run_until(lambda w: w.state.unbidden == 1, 10)
    world.armed = False
    world.run(10)
    assert world.state.unbidden == 0
    assert world.phase is Phase.IDLE


def test_a_user_who_charges_instead_is_not_cancelled_by_our_own_stop() -> None:
    """Force charging arms the same register and switches our mode off: an end from outside."""
    world = World().discharging().run(60)
    world.conflicts = ("force charging",)
    world.switch = False
    world.power_w = -3000.0
    world.run(60)
    assert world.ended[-1].reason is EndReason.EXTERNAL
    assert world.ended[-1].proof == "battery_power"
    assert world.writes(WriteKind.FALLBACK_STOP) == []
    assert world.armed
