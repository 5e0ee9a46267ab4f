"""A discharge from the request to the proven stop, judged by the plant."""

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from tests.integration.house import House

METER_STEP_KWH = 0.01


@pytest.mark.parametrize("power_w", [3000, 5000])
@pytest.mark.parametrize(("without", "least_used"), [((), 0.97), (("grid_power",), 0.90)])
async def test_a_discharge_uses_the_headroom_and_stays_inside(
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    power_w: int,
    without: tuple[str, ...],
    least_used: float,
) -> None:
    house = House(hass, freezer)
    await house.set_up(without=without, target_export=power_w)
    await house.advance(70)
    before = house.plant.truth().exported_kwh
    await house.call("start_discharge")
    assert house.entity("discharge_status") == "Active"
    await house.advance(3600, until=lambda: house.entity("discharge_status") == "Complete")
    exported = house.plant.truth().exported_kwh - before
    assert exported <= 1.0 + METER_STEP_KWH
    assert exported >= least_used
    assert not house.plant.truth().dispatch_active
    assert house.entity("system_health") == "Healthy"
