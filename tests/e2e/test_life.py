"""What happens to a discharge when its entry or Home Assistant goes away, and to mistaken users."""

import asyncio
from contextlib import suppress
import re

from aiohttp import ClientError
import pytest

from simulator.ha_client import HomeAssistantError
from tests.e2e.world import DOMAIN, ERROR, LOAD_W, STATUS, World, complaints, until

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.asyncio(loop_scope="module"),
    pytest.mark.timeout(240),
]

TARGET = "number.export_monitor_target_export"
OTHER_MODE = "input_boolean.alphaess_helper_force_charging"


async def test_a_reload_in_mid_discharge_resumes_it(world: World) -> None:
    session = await world.discharge()
    before = await world.simulator.writes()
    await world.client.reload_entry(world.entry_id)
    status = await world.client.wait_for(STATUS, "Active", 10)
    assert status.attributes["session_id"] == session
    assert (await world.simulator.truth())["battery_w"] > 4000
    # It is guarded again: the same session ends by our own stop.
    answer = await world.client.call(DOMAIN, "stop_discharge", answer=True, reason="seen enough")
    assert answer["session_id"] == session
    assert answer["reason"] == "user"
    await world.until(lambda truth: not truth["dispatch_active"], 5)
    # Not switched off and on in between.
    after = (await world.simulator.writes())[len(before) :]
    assert not any(write["values"][0] == 1 for write in after)


async def test_disabling_the_entry_in_mid_discharge_stops_it(world: World) -> None:
    session = await world.discharge()
    await world.client.disable_entry(world.entry_id)
    await world.until(lambda truth: not truth["dispatch_active"], 15)
    await world.client.disable_entry(world.entry_id, disabled=False)
    # Enabled in the midst of the stop, it goes on with the stop.
    status = await world.client.wait_for(
        STATUS, lambda s: s.state not in ("Active", "unavailable"), 20
    )
    assert status.attributes["session_id"] == session
    assert status.attributes["reason"] == "unload"
    assert status.attributes["ended"] is not None


async def test_removing_the_entry_in_mid_discharge_stops_it(world: World) -> None:
    await world.discharge()
    await world.client.remove_entry(world.entry_id)
    await world.until(lambda truth: not truth["dispatch_active"], 15)
    assert await world.client.entries(DOMAIN) == []
    assert await world.client.state(STATUS) is None

    async def forgotten() -> bool:
        return world.record() == {}

    await until(forgotten, bool, 20)
    assert await world.notifications() == {}


async def test_a_stop_with_nothing_running_is_proven_too(world: World) -> None:
    answer = await world.act("stop_discharge")
    assert answer["stopped"] is True
    assert answer["proof"] is not None
    assert answer["session_id"] is None
    assert (await world.client.wait_for(ERROR, lambda _: True)).state == "none"


async def test_none_of_this_is_worth_a_warning(world: World) -> None:
    assert complaints(world.hass.folder) == []


async def test_a_refusal_is_a_sentence_that_says_what_to_do(world: World) -> None:
    said: dict[str, str] = {}

    async def refused(name: str, service: str, **data: object) -> None:
        with pytest.raises(HomeAssistantError) as caught:
            await world.act(service, **data)
        said[name] = re.sub(
            r".*'message': (['\"])(?:Validation error: )?(.*?)\1[,}].*", r"\2", caught.value.text
        )

    await refused("an entry that is not there", "start_discharge", config_entry_id="01NOSUCHENTRY")
    await refused("stopping one that is not there", "stop_discharge", config_entry_id="01NOSUCH")
    await world.discharge()
    await refused("a second start", "start_discharge")
    await world.act("stop_discharge")

    async def other_mode_stays() -> bool:
        # A full reset that belongs to the stop may still end every mode, seconds after its proof.
        await world.client.call("input_boolean", "turn_on", entity_id=OTHER_MODE)
        await asyncio.sleep(3)
        return (await world.client.wait_for(OTHER_MODE, lambda _: True)).state == "on"

    await until(other_mode_stays, bool, 20)
    await refused("another mode in the way", "start_discharge")
    assert (await world.client.wait_for(OTHER_MODE, lambda _: True)).state == "on"
    await world.client.call("input_boolean", "turn_off", entity_id=OTHER_MODE)
    await world.client.call("number", "set_value", entity_id=TARGET, value=0)
    await refused("a target of nothing", "start_discharge")
    for name, text in said.items():
        world.timeline.say(f"{name}: {text}")
        assert re.fullmatch(r"[A-Z0-9].{20,}", text), f"{name}: no sentence: {text}"
        assert "{" not in text, f"{name}: a placeholder is left: {text}"
    # Home Assistant checks these against the schema, in its own words.
    await refused("less than nothing", "start_discharge", power_w=-5)
    await refused("words for a number", "start_discharge", energy_kwh="plenty")
    await refused("a field of its own", "start_discharge", power_kw=5)
    for name in ("less than nothing", "words for a number", "a field of its own"):
        world.timeline.say(f"{name}: {said[name]}")
    for name in ("an entry that is not there", "stopping one that is not there"):
        assert "no such entry" in said[name]
    assert "target export is 0 W" in said["a target of nothing"]
    assert "another battery mode is on" in said["another mode in the way"]
    assert "running already" in said["a second start"]
    # Nothing of all that has moved the battery.
    assert not (await world.simulator.truth())["dispatch_active"]


async def test_a_clean_stop_of_home_assistant_stops_the_battery_first(world: World) -> None:
    session = await world.discharge()
    with suppress(ClientError, HomeAssistantError):  # it may be gone before it has answered
        await world.client.call("homeassistant", "stop")

    async def running() -> bool:
        return world.hass.running

    await until(running, lambda alive: not alive, 30)
    truth = await world.simulator.truth()
    assert not truth["dispatch_active"]
    assert truth["battery_w"] < LOAD_W + 100
    await world.hass.start()
    status = await world.client.wait_for(
        STATUS, lambda s: s.state not in ("Active", "unavailable"), 20
    )
    assert status.attributes["session_id"] == session
    assert status.attributes["reason"] == "unload"
    assert status.attributes["proof"] == "dispatch"
    assert not (await world.simulator.truth())["dispatch_active"]
    assert complaints(world.hass.folder) == []  # nor is a restart worth a warning
