"""Midnight in mid-discharge: counters reset when they like, and no headroom appears by that."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from homeassistant.exceptions import ServiceValidationError
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from simulator.alphaess_home import Habits
from simulator.home_sensors import Polling
from simulator.settings import PlantSettings
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, PV_TODAY, House

LONDON = ZoneInfo("Europe/London")
# Summer time begins and ends in the night of the second and third.
NIGHTS = (datetime(2026, 6, 21), datetime(2026, 3, 28), datetime(2026, 10, 24))  # noqa: DTZ001
MORNINGS = (datetime(2026, 3, 29), datetime(2026, 10, 25))  # noqa: DTZ001
ORDERS = (
    {FEED_IN_TODAY: 0.0, PV_TODAY: 0.0},
    {FEED_IN_TODAY: 300.0, PV_TODAY: 0.0},
    {FEED_IN_TODAY: 0.0, PV_TODAY: 300.0},
    {FEED_IN_TODAY: 300.0, PV_TODAY: 290.0},
    {FEED_IN_TODAY: 30.0, PV_TODAY: 61.0},
)


def _before_midnight(build: Build, night: datetime, delays: dict[str, float]) -> House:
    start = night.replace(hour=23, minute=57, second=30, tzinfo=LONDON)
    return build(
        start=start,
        plant=PlantSettings(start=start, soc=80),
        habits=Habits(polling=Polling(midnight_delay_s=delays)),
    )


MATRIX = (
    *((night, delays) for night in NIGHTS for delays in ORDERS),
    *((morning, delays) for morning in MORNINGS for delays in ORDERS[1:4]),
)


@pytest.mark.parametrize(("night", "delays"), MATRIX)
async def test_resets_in_any_order_make_no_headroom(
    build: Build, night: datetime, delays: dict[str, float]
) -> None:
    house = _before_midnight(build, night, delays)
    house.plant.pv_w, house.plant.load_w = 1000, 1500
    await house.set_up(zone="Europe/London", target_export=4000, fixed_limit=0.95)
    await house.advance(70)
    await house.discharge(20)
    at_midnight: float | None = None
    for _ in range(600):
        await house.advance(1)
        decision = house.state.decision
        assert decision is not None
        today = house.plant.now.date() > night.date()
        if today and at_midnight is None:
            at_midnight = house.plant.truth().exported_kwh
        since = house.plant.truth().exported_kwh - (at_midnight or 0.0)
        # Never more than what the contract leaves of this day's own truth.
        assert decision.headroom <= 0.45 - since + 0.02
        if house.state.phase is not Phase.ACTIVE:
            break
    assert at_midnight is not None
    assert house.entity("error_state") == "none"
    await house.advance(30, until=lambda: house.state.phase is Phase.IDLE)
    assert house.state.phase is Phase.IDLE
    exported = house.plant.truth().exported_kwh
    assert exported - at_midnight <= 0.45 + 0.01
    assert at_midnight <= 0.45 + 0.01
    # A meter ticks once a minute, so what is of yesterday's last two may count for today.
    await house.advance(70)
    counted = float(house.entity("exported_today"))
    assert exported - at_midnight - 0.02 <= counted <= exported - at_midnight + 0.12


@pytest.mark.parametrize("basis", ["fixed", "generated"])
@pytest.mark.parametrize("delays", ORDERS[1:3])
async def test_nothing_starts_before_all_counters_were_seen(
    build: Build, basis: str, delays: dict[str, float]
) -> None:
    house = _before_midnight(build, NIGHTS[0], delays)
    await house.set_up(zone="Europe/London", basis=basis)
    # Both meters of the day report only when they change, so at night none does before its reset.
    await house.advance(160, until=lambda: house.plant.now.day > NIGHTS[0].day)
    assert house.plant.now.day > NIGHTS[0].day
    late = {e for e, delay in delays.items() if delay}
    needed = {FEED_IN_TODAY} if basis == "fixed" else {FEED_IN_TODAY, PV_TODAY}
    if late & needed:
        with pytest.raises(ServiceValidationError) as refusal:
            await house.call("start_discharge")
        assert refusal.value.translation_key == "refused_counter_not_seen"
        await house.advance(310)
    answer = await house.call("calculate_discharge")
    assert answer["why_not"] in (None, "no_headroom")


@pytest.mark.parametrize("morning", MORNINGS)
async def test_a_day_of_23_or_25_hours_is_one_period(build: Build, morning: datetime) -> None:
    start = morning.replace(hour=0, minute=58, tzinfo=LONDON)
    house = build(start=start, plant=PlantSettings(start=start, soc=80))
    await house.set_up(zone="Europe/London", fixed_limit=0.8)
    await house.advance(70)
    await house.discharge()
    await house.advance(900, until=lambda: house.state.phase is Phase.IDLE)
    used = house.plant.truth().exported_kwh
    assert 0.28 <= used <= 0.31
    # Over the hour that is missing, or there twice, nothing is forgotten.
    house.freezer.tick(timedelta(hours=1))
    house.home.advance(3600)
    await house.advance(70)
    assert float(house.entity("exported_today")) == pytest.approx(used, abs=0.02)
    assert float(house.entity("export_headroom")) < 0.05


async def test_yesterdays_export_is_forgotten_at_midnight(build: Build) -> None:
    house = _before_midnight(build, NIGHTS[0], {})
    await house.set_up(zone="Europe/London", fixed_limit=0.56, target_export=5000)
    await house.advance(10)
    await house.discharge()
    await house.advance(90, until=lambda: house.state.phase is Phase.IDLE)
    assert float(house.entity("export_headroom")) < 0.05
    await house.advance(200, until=lambda: house.plant.now.day > NIGHTS[0].day)
    assert house.plant.now.day > NIGHTS[0].day
    await house.advance(70)
    assert float(house.entity("export_headroom")) == pytest.approx(0.05, abs=0.011)
    assert const.DEFAULTS[const.CONF_SAFETY_MARGIN] == 0.5
