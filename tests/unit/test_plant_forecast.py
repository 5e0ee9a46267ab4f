"""The forecasts: they say about the machine's day what the plant will really do in it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest

from simulator.forecast import carbon_rows, solar_rows
from simulator.launch import time_zone_at
from simulator.plant import Plant
from simulator.profiles import Sun
from simulator.settings import PlantSettings

NOW = datetime(2026, 11, 22, 9, 20, tzinfo=UTC)
PLANT_NOW = datetime(2026, 6, 21, 13, tzinfo=UTC)


def rows(sun: Sun, **changes: object) -> list[dict[str, object]]:
    arguments = {"now": NOW, "offset": PLANT_NOW - NOW, "known_since": NOW} | changes
    return [dict(row) for row in solar_rows(sun, **arguments)]  # type: ignore[arg-type]


def energy(some: list[dict[str, object]], key: str) -> float:
    return sum(float(str(row[key])) for row in some) / 2


@pytest.mark.parametrize("seed", range(5))
def test_what_is_forecast_is_what_the_plant_makes(seed: int) -> None:
    sun = Sun(seed=seed)
    plant = Plant(PlantSettings(start=PLANT_NOW, sun=sun, inverter_limit_w=9000.0))
    ahead = [row for row in rows(sun) if str(row["period_start"]) >= "2026-11-22T09:30"][:24]
    plant.advance(600)
    before = plant.truth().generated_kwh
    plant.advance(12 * 3600)
    generated = plant.truth().generated_kwh - before
    assert energy(ahead, "pv_estimate") == pytest.approx(generated, rel=0.05)
    assert energy(ahead, "pv_estimate10") < generated < energy(ahead, "pv_estimate90")


def test_slots_stand_on_the_half_hours_of_the_machine_and_cover_tomorrow() -> None:
    starts = [datetime.fromisoformat(str(row["period_start"])) for row in rows(Sun())]
    assert {start.minute for start in starts} == {0, 30}
    assert {b - a for a, b in pairwise(starts)} == {timedelta(minutes=30)}
    assert starts[0] <= NOW - timedelta(hours=24)
    assert starts[-1] >= NOW + timedelta(hours=48)


def test_a_new_installation_knows_no_tenth_percentile_of_the_past() -> None:
    past = [row for row in rows(Sun()) if str(row["period_start"]) < "2026-11-22T09:00"]
    assert energy(past, "pv_estimate") > 5
    assert energy(past, "pv_estimate10") == 0


def test_the_forecast_can_collapse() -> None:
    whole, fifth = (energy(rows(Sun(), factor=factor), "pv_estimate") for factor in (1.0, 0.2))
    assert fifth == pytest.approx(whole / 5, rel=1e-3)


def test_carbon_comes_hourly_from_the_half_hour_and_is_lowest_at_the_plants_noon() -> None:
    given = carbon_rows(now=NOW, offset=PLANT_NOW - NOW)
    assert len(given) == 48
    assert given[0]["from"] == "2026-11-22T09:00:00+00:00"
    assert given[0]["to"] == given[1]["from"] == "2026-11-22T10:00:00+00:00"
    cleanest = min(given, key=lambda row: row["intensity"])
    hour = datetime.fromisoformat(cleanest["from"]) + (PLANT_NOW - NOW)
    assert 12 <= hour.hour <= 13
    optimal = [row["intensity"] for row in given if row["optimal"]]
    assert len(optimal) == 4
    assert max(optimal) < sum(row["intensity"] for row in given) / 48


@pytest.mark.parametrize("hour", [0.0, 6.5, 13.0, 23.9])
@pytest.mark.parametrize("utc_hour", [0, 5, 11, 23])
def test_the_demo_finds_a_zone_in_which_it_is_about_that_hour(hour: float, utc_hour: int) -> None:
    now = NOW.replace(hour=utc_hour)
    zone, there = time_zone_at(hour, now)
    distance = abs((there - hour + 12) % 24 - 12)
    assert distance <= 0.51
    east = -int(zone.removeprefix("Etc/GMT")) if zone.startswith("Etc/GMT") else 0
    assert there == pytest.approx((utc_hour + 20 / 60 + east) % 24)
