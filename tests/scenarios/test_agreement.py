"""The step machine and the real integration make the same of the same schedules."""

import os
from typing import Any

from freezegun.api import FrozenDateTimeFactory
from homeassistant.core import HomeAssistant
import pytest

from custom_components.export_monitor.engine.counter import JOULES_PER_KWH
from custom_components.export_monitor.engine.power import SETTLED_S, USUAL_S
from custom_components.export_monitor.engine.stop import ALARM_AFTER_S
from custom_components.export_monitor.models import Blocker

from .campaign import play
from .generate import generate
from .hass import UNSUPPORTED, StagedHouse
from .judge import Judge
from .schedule import Schedule

FEW = 16
# The two drivers may see a report or a timer a second apart, and a second is 1.4 Wh at 5 kW.
APART_KWH = 0.015


def _schedules() -> list[Schedule]:
    """Return as many schedules as asked for (scripts/campaign --hass N) that both can play."""
    wanted = int(os.environ.get("CAMPAIGN_HASS", str(FEW)))
    first = int(os.environ.get("CAMPAIGN_SEED", "0"))
    found: list[Schedule] = []
    seed = first
    while len(found) < wanted:
        schedule = generate(seed)
        seed += 1
        if UNSUPPORTED.isdisjoint(fault.kind for fault in schedule.faults):
            found.append(schedule)
    return found


@pytest.mark.parametrize("schedule", _schedules(), ids=lambda schedule: f"seed {schedule.seed}")
async def test_both_drivers_agree(
    schedule: Schedule,
    hass: HomeAssistant,
    freezer: FrozenDateTimeFactory,
    hass_storage: dict[str, Any],
    enable_custom_integrations: None,
) -> None:
    judge = Judge(schedule)
    await StagedHouse(hass, freezer, schedule, judge).play()
    assert not judge.violations, (judge.violations, schedule.source())
    real, model = judge.tally, play(schedule).tally
    told = schedule.source()
    edge = Blocker.NO_HEADROOM.value
    if real.refusals.count(edge) != model.refusals.count(edge):
        # On the edge: after an end the flow before it counts on until the next look, and which
        # report brings that, up to a poll later, is a matter of their order within a second.
        return
    assert real.reached_active == model.reached_active, told
    assert real.reasons == model.reasons, told
    # A proof in the second of the alarm is before it with one and after it with the other.
    if not any(abs(seconds - ALARM_AFTER_S) <= 1 for seconds in real.proof_s):
        assert real.alarmed == model.alarmed, told
    assert real.final_health == model.final_health, told
    assert real.exported_kwh == pytest.approx(model.exported_kwh, abs=_apart(schedule)), told


def _apart(schedule: Schedule) -> float:
    """Return by how much (kWh) the two may differ.

    Where a command shows later than the engine waits for, its first look at the power meets the
    grid before it or after it, by the order of reports within a second: too little is then made
    up for after two corrections.
    """
    house = schedule.settings
    shows_after_s = house.service_s + house.write_s + house.latency_s
    if shows_after_s <= SETTLED_S:
        return APART_KWH
    return APART_KWH + 2 * USUAL_S * house.target_w / JOULES_PER_KWH
