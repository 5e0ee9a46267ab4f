"""A grid sensor that shows less than the meter counts."""

from dataclasses import replace

from custom_components.export_monitor.engine.state import Phase
from tests.unit.engine.world import SETTINGS, World


def a_world(**facts: object) -> World:
    settings = replace(SETTINGS, target_export_w=3000.0, fixed_limit_kwh=1.0)
    world = World(settings, load_w=500.0, **facts)  # type: ignore[arg-type]
    return world.run(65)


def test_a_stuck_grid_sensor_is_found_out_by_the_meter() -> None:
    world = a_world(forged={"grid": 0.0}).discharging()
    world.run_until(lambda w: w.state.meter.distrusted, 130)
    assert world.state.meter.distrusted
    assert world.state.meter.flow is not None
    world.run(1)
    assert world.state.meter.flow is not None
    assert not world.state.meter.flow.measured
    world.run_until(lambda w: w.phase is Phase.IDLE, 3600)
    assert 0.75 <= world.exported <= 1.0 + SETTINGS.meter_step_kwh


def test_an_honest_grid_sensor_is_trusted_to_the_end() -> None:
    world = a_world().discharging()
    world.run_until(lambda w: w.phase is Phase.IDLE or w.state.meter.distrusted, 3600)
    assert world.phase is Phase.IDLE


def test_the_next_session_trusts_the_sensor_again() -> None:
    world = a_world(forged={"grid": 0.0}).discharging()
    world.run_until(lambda w: w.state.meter.distrusted, 130)
    world.stop()
    world.run(30)
    assert world.phase is Phase.IDLE
    world.forged.clear()
    world.run(5)
    assert not world.state.meter.distrusted
    assert world.state.meter.flow is not None
    assert world.state.meter.flow.measured
