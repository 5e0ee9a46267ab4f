"""The ten examples of the resilience reference, carried out as pasted."""

from collections.abc import Mapping
from typing import Any

from homeassistant.core import ServiceCall
from homeassistant.exceptions import HomeAssistantError
from homeassistant.helpers import config_validation as cv
from homeassistant.setup import async_setup_component
import pytest

from custom_components.export_monitor.models import ErrorState
from tests import documents
from tests.documents import ROOT
from tests.integration.house import House

REFERENCE = (ROOT / "docs" / "resilience.md").read_text("utf-8")
TITLES = [
    line.removeprefix("### ")
    for line in documents.section(REFERENCE, "Ten examples").splitlines()
    if line.startswith("### ")
]
DRY_RUN = "switch.export_monitor_dry_run"


def example(number: int) -> Any:  # noqa: ANN401 - as its YAML is
    """Return the YAML of an example."""
    [block] = documents.blocks(documents.section(REFERENCE, TITLES[number - 1]), "yaml")
    return block.data


async def pasted(house: House, number: int) -> None:
    """Paste an example into the configuration."""
    data: Mapping[str, Any] = example(number)
    for domain, found in data.items():
        assert await async_setup_component(house.hass, domain, {domain: found})
    await house.settle()


async def listening(house: House, domain: str, service: str) -> list[ServiceCall]:
    """Take the calls of a service that somebody else would offer."""
    calls: list[ServiceCall] = []

    async def take(call: ServiceCall) -> None:
        calls.append(call)

    house.hass.services.async_register(domain, service, take)
    return calls


def test_there_are_ten_each_with_its_yaml() -> None:
    assert [title.partition(". ")[0] for title in TITLES] == [str(n) for n in range(1, 11)]
    assert all(example(number) for number in range(1, 11))


async def test_1_tells_of_an_error_that_lasts_and_of_its_end(ready: House) -> None:
    calls = await listening(ready, "notify", "mobile_app_phone")
    await pasted(ready, 1)
    ready.runtime.coordinator.set_error_state(ErrorState.START_FAILED, "it sulks")
    await ready.advance(100)
    assert calls == []
    await ready.advance(30)
    assert calls[0].data["message"] == "discharge_start_failed: it sulks"
    ready.runtime.coordinator.clear_error_state()
    await ready.advance(40)
    assert [call.data["message"] for call in calls[1:]] == ["All clear."]


async def test_2_lights_a_lamp_until_the_stop_is_proven(running: House) -> None:
    on = await listening(running, "light", "turn_on")
    off = await listening(running, "light", "turn_off")
    await pasted(running, 2)
    running.lie("input_boolean", "turn_off")
    running.lie("input_button", "press")
    with pytest.raises(HomeAssistantError, match="not proven"):
        await running.call("stop_discharge")
    await running.advance(5)
    assert (len(on), len(off)) == (1, 0)
    running.services.clear()
    await running.advance(60, until=lambda: not running.discharging)
    await running.advance(30)
    assert (len(on), len(off)) == (1, 1)


@pytest.mark.parametrize("target", [3000, 0])
async def test_3_starts_at_seven_or_says_why_not(ready: House, target: int) -> None:
    said = await listening(ready, "logbook", "log")
    ready.options(target_export=target)
    await ready.settle()
    actions = example(3)["automation"][0]["actions"]
    assert cv.SCRIPT_SCHEMA(actions)
    assert await async_setup_component(
        ready.hass, "script", {"script": {"it": {"sequence": actions}}}
    )
    task = ready.hass.async_create_task(
        ready.hass.services.async_call("script", "it", blocking=True)
    )
    await ready.advance(30, until=task.done)
    assert ready.discharging is (target > 0)
    assert [call.data["message"] for call in said] == (
        [] if target else ["Not started at seven: target_zero"]
    )


async def test_4_says_when_a_start_is_safe(ready: House) -> None:
    await pasted(ready, 4)
    state = ready.hass.states.get("binary_sensor.export_may_start")
    assert state is not None
    assert state.state == "on"
    ready.options(dry_run=True)
    await ready.settle()
    state = ready.hass.states.get("binary_sensor.export_may_start")
    assert state is not None
    assert state.state == "off"


@pytest.mark.parametrize(
    ("error", "level"),
    [(None, "0"), (ErrorState.START_FAILED, "2"), (ErrorState.OVER_EXPORT, "3")],
)
async def test_5_turns_health_into_a_number(
    ready: House, error: ErrorState | None, level: str
) -> None:
    await pasted(ready, 5)
    if error is not None:
        ready.runtime.coordinator.set_error_state(error, "for a test")
    await ready.settle()
    state = ready.hass.states.get("sensor.export_health_level")
    assert state is not None
    assert state.state == level


async def test_10_holds_everything_after_a_failed_stop(running: House) -> None:
    await pasted(running, 10)
    dry = running.hass.states.get(DRY_RUN)
    assert dry is not None
    assert dry.state == "off"
    running.lie("input_boolean", "turn_off")
    running.lie("input_button", "press")
    with pytest.raises(HomeAssistantError, match="not proven"):
        await running.call("stop_discharge")
    await running.advance(5)
    dry = running.hass.states.get(DRY_RUN)
    assert dry is not None
    assert dry.state == "on"
    assert "after discharge_stop_failed" in (running.notification("emergency_alert") or "")
