"""Who may do what: a start needs the right to control, a stop needs nothing."""

from collections.abc import Awaitable, Callable
from typing import Any

from homeassistant.auth.const import GROUP_ID_READ_ONLY, GROUP_ID_USER
from homeassistant.auth.models import Group, User
from homeassistant.core import Context, HomeAssistant
from homeassistant.exceptions import Unauthorized, UnknownUser
from homeassistant.helpers import entity_registry as er
import pytest
from pytest_homeassistant_custom_component.common import MockUser

from custom_components.export_monitor.const import DOMAIN
from custom_components.export_monitor.engine.state import Phase
from tests.integration.house import House

type Ask = Callable[..., Awaitable[Any]]

COMMANDS: dict[str, dict[str, object]] = {
    "start_discharge": {},
    "start_charge": {},
    "reset_circuit_breaker": {},
    "emergency_alert": {"message": "Fire"},
}
ANSWERING = ("get_report",)


async def _user(hass: HomeAssistant, group_id: str) -> User:
    group = await hass.auth.async_get_group(group_id)
    assert group is not None
    return MockUser(groups=[group]).add_to_hass(hass)


async def _ask(house: House, service: str, user_id: str, **data: object) -> None:
    """Call a service as a user, while time goes on."""
    call = house.hass.services.async_call(
        DOMAIN,
        service,
        data,
        blocking=True,
        context=Context(user_id=user_id),
        return_response=service in ANSWERING,
    )
    task = house.hass.async_create_task(call)
    await house.advance(60, until=task.done)
    await task


@pytest.mark.parametrize("service", COMMANDS)
async def test_who_may_only_look_starts_nothing(ready: House, service: str) -> None:
    guest = await _user(ready.hass, GROUP_ID_READ_ONLY)
    with pytest.raises(Unauthorized):
        await _ask(ready, service, guest.id, **COMMANDS[service])
    assert ready.state.phase is Phase.IDLE
    assert ready.calls == []
    assert ready.notification("emergency_alert") is None


async def test_the_record_is_not_for_guests(ready: House) -> None:
    guest = await _user(ready.hass, GROUP_ID_READ_ONLY)
    with pytest.raises(Unauthorized):
        await _ask(ready, "get_report", guest.id)


async def test_who_may_control_entities_may_start(ready: House) -> None:
    user = await _user(ready.hass, GROUP_ID_USER)
    await _ask(ready, "start_discharge", user.id)
    assert ready.state.phase is Phase.ACTIVE


async def test_a_stop_is_refused_to_nobody(running: House) -> None:
    guest = await _user(running.hass, GROUP_ID_READ_ONLY)
    await _ask(running, "stop_discharge", guest.id)
    assert not running.discharging
    assert running.entity("discharge_status") == "Complete"


async def test_a_reason_without_end_is_cut_and_the_stop_is_done(running: House) -> None:
    guest = await _user(running.hass, GROUP_ID_READ_ONLY)
    await _ask(running, "stop_discharge", guest.id, reason="why? " * 100_000)
    assert not running.discharging
    assert len(running.attributes("discharge_status")["note"]) == 255


async def test_a_user_that_is_no_more_commands_nothing(ready: House) -> None:
    with pytest.raises(UnknownUser):
        await _ask(ready, "start_discharge", "gone")
    assert ready.state.phase is Phase.IDLE


async def test_the_right_follows_the_button_to_its_new_id(ready: House) -> None:
    """Policies name entities, and the owner may have renamed this one."""
    button = "button.export_monitor_start_discharge"
    er.async_get(ready.hass).async_update_entity(button, new_entity_id="button.sell")
    await ready.settle()
    group = Group("helper", policy={"entities": {"entity_ids": {"button.sell": True}}})
    user = MockUser(groups=[group]).add_to_hass(ready.hass)
    await _ask(ready, "start_discharge", user.id)
    assert ready.state.phase is Phase.ACTIVE


async def test_a_text_with_a_template_in_it_stays_a_text(ready: House) -> None:
    """Neither what people type nor the name of an entry is ever rendered."""
    evil = "{{ states | list }} {severity} {% for x in range(9) %}x{% endfor %}"
    await ready.call("emergency_alert", message=evil, severity="info")
    assert ready.notification("emergency_alert") == evil
    await ready.call("start_discharge")
    await ready.call("stop_discharge", reason=evil)
    assert ready.attributes("discharge_status")["note"] == evil
