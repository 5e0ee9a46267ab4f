"""Services: registered once, answered, and clear about which entry is meant."""

from typing import Any

from homeassistant.exceptions import ServiceNotFound, ServiceValidationError
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import voluptuous as vol

from custom_components.export_monitor import const
from custom_components.export_monitor.models import ErrorState
from tests.integration.house import WIRING, House


async def _second(house: House) -> MockConfigEntry:
    entry = MockConfigEntry(
        domain=const.DOMAIN,
        title="Garage",
        version=1,
        data=dict(house.entry.data),
        options=dict(house.entry.options),
    )
    entry.add_to_hass(house.hass)
    assert await house.hass.config_entries.async_setup(entry.entry_id)
    await house.settle()
    return entry


async def test_calculate_says_how_much_and_why_not(ready: House) -> None:
    assert await ready.call("calculate_discharge") == {
        "headroom_kwh": 0.99,
        "allowance_kwh": 1.0,
        "contract_kwh": 1.5,
        "exported_kwh": 0.0,
        "generated_kwh": 0.0,
        "basis": "fixed",
        "power_w": 3000.0,
        "duration_minutes": 19.8,
        "can_start": True,
        "why_not": None,
    }
    ready.options(target_export=0)
    await ready.settle()
    answer = await ready.call("calculate_discharge")
    assert (answer["can_start"], answer["why_not"]) == (False, "target_zero")


async def test_one_and_a_half_kwh_at_three_kw_last_half_an_hour(ready: House) -> None:
    ready.options(fixed_limit=2.01)  # a meter step is held back for what it hides
    await ready.settle()
    assert (await ready.call("calculate_discharge"))["duration_minutes"] == 30.0


async def test_start_answers_with_its_session_and_stop_with_its_proof(ready: House) -> None:
    started = await ready.call("start_discharge")
    assert started["power_w"] == 3000
    assert started["cutoff_soc"] == 20
    assert started["reason"] is None
    await ready.advance(20)
    stopped = await ready.call("stop_discharge", reason="dinner")
    assert stopped["stopped"] is True
    assert stopped["proof"] == "dispatch"
    assert stopped["session_id"] == started["session_id"]
    assert stopped["reason"] == "user"
    assert stopped["exported_kwh"] > 0


@pytest.mark.parametrize("field", ["power_w", "energy_kwh", "duration_minutes"])
@pytest.mark.parametrize("value", [0, -1, "much"])
async def test_limits_that_are_none_are_refused(ready: House, field: str, value: Any) -> None:  # noqa: ANN401
    with pytest.raises(ServiceValidationError) as refused:
        await ready.call("start_discharge", **{field: value})
    assert refused.value.translation_key == "invalid_limit"
    assert not ready.calls


async def test_infinite_limits_lower_nothing(ready: House) -> None:
    await ready.call("start_discharge", power_w=1e6, energy_kwh=1e6)
    await ready.advance(2)
    assert ready.plant.truth().dispatch_power_w == 3000


@pytest.mark.parametrize("field", ["power_w", "energy_kwh", "duration_minutes"])
@pytest.mark.parametrize("value", ["nan", "inf", 1e300])
async def test_numbers_beyond_all_measure_neither_crash_nor_widen(
    ready: House,
    field: str,
    value: Any,  # noqa: ANN401
) -> None:
    try:
        await ready.call("start_discharge", **{field: value})
    except (vol.Invalid, ServiceValidationError):
        assert not ready.asked("turn_on")
        return
    await ready.advance(3)
    assert ready.plant.truth().dispatch_power_w <= 3000
    ready.options(fixed_limit=0.6)
    await ready.advance(300, until=lambda: not ready.discharging)
    assert not ready.discharging
    assert ready.plant.truth().exported_kwh <= 0.11


async def test_with_two_entries_one_must_be_named(ready: House) -> None:
    second = await _second(ready)
    for service in ("start_discharge", "stop_discharge", "calculate_discharge"):
        with pytest.raises(ServiceValidationError) as refusal:
            await ready.call(service)
        assert refusal.value.translation_key == "entry_required"
    answer = await ready.call("calculate_discharge", config_entry_id=second.entry_id)
    assert answer["basis"] == "fixed"
    second.runtime_data.control.leave()


async def test_the_second_entrys_ids_carry_its_slug(ready: House) -> None:
    second = await _second(ready)
    assert ready.hass.states.get("sensor.export_monitor_garage_system_health") is not None
    second.runtime_data.coordinator.set_error_state(ErrorState.NO_DATA)
    shown = ready.hass.data["persistent_notification"]
    assert "export_monitor_garage_no_data" in shown
    assert ready.notification("no_data") is None
    second.runtime_data.control.leave()


async def test_an_entry_that_is_not_there_or_not_loaded_is_named(ready: House) -> None:
    with pytest.raises(ServiceValidationError) as refusal:
        await ready.call("stop_discharge", config_entry_id="nobody")
    assert refusal.value.translation_key == "entry_not_found"
    assert await ready.hass.config_entries.async_unload(ready.entry.entry_id)
    with pytest.raises(ServiceValidationError) as refusal:
        await ready.call("stop_discharge")
    assert refusal.value.translation_key == "entry_not_loaded"
    assert refusal.value.translation_placeholders == {"entry": "Export Monitor"}


async def test_services_stay_when_the_last_entry_goes(ready: House) -> None:
    await ready.hass.config_entries.async_remove(ready.entry.entry_id)
    with pytest.raises(ServiceValidationError) as refusal:
        await ready.call("start_discharge")
    assert refusal.value.translation_key == "entry_not_found"
    with pytest.raises(ServiceNotFound):
        await ready.call("no_such_service")


# Resilience


async def test_statistics_hold_the_counts_and_the_last_errors(ready: House) -> None:
    for _ in range(60):
        ready.runtime.coordinator.set_error_state(ErrorState.NO_DATA, "the detail")
    ready.runtime.coordinator.clear_error_state()
    answer = await ready.call("get_statistics")
    assert answer["operations"] == 0
    assert answer["resilience"]["circuits"]["battery_commands"]["state"] == "closed"
    assert answer["resilience"]["sources"]["sensor.alphaess_soc_battery"]["reads"] > 0
    assert len(answer["errors"]) == 50
    assert answer["errors"][-1]["state"] == "no_data"
    assert answer["errors"][-1]["detail"] == "the detail"


async def test_statistics_are_a_response_and_nothing_else(ready: House) -> None:
    with pytest.raises(ServiceValidationError):
        await ready.hass.services.async_call(const.DOMAIN, "get_statistics", blocking=True)


@pytest.mark.parametrize("data", [{}, {"circuit_name": "all"}])
async def test_all_circuits_are_closed_by_default(ready: House, data: dict[str, str]) -> None:
    circuits = ready.runtime.coordinator.resilience.circuits
    for circuit in circuits.values():
        for _ in range(5):
            circuit.record_failure()
    assert {circuit.state for circuit in circuits.values()} == {"open"}
    await ready.call("reset_circuit_breaker", **data)
    assert {circuit.state for circuit in circuits.values()} == {"closed"}
    assert ready.entity("circuit_breaker_status") == "Closed"


async def test_one_circuit_is_closed_by_name(ready: House) -> None:
    circuits = ready.runtime.coordinator.resilience.circuits
    for circuit in circuits.values():
        for _ in range(5):
            circuit.record_failure()
    await ready.call("reset_circuit_breaker", circuit_name="battery_commands")
    assert circuits["battery_commands"].state == "closed"
    assert circuits["forecast"].state == "open"


async def test_a_circuit_that_is_none_is_refused_with_the_names_there_are(ready: House) -> None:
    with pytest.raises(ServiceValidationError) as refusal:
        await ready.call("reset_circuit_breaker", circuit_name="fuse")
    assert refusal.value.translation_key == "circuit_not_found"
    known = (refusal.value.translation_placeholders or {})["known"]
    assert {"all", "battery_commands", "export_monitor_update"} <= set(known.split(", "))


async def test_the_button_closes_every_circuit(ready: House) -> None:
    circuits = ready.runtime.coordinator.resilience.circuits
    for circuit in circuits.values():
        for _ in range(5):
            circuit.record_failure()
    button = {"entity_id": "button.export_monitor_reset_circuit_breakers"}
    await ready.hass.services.async_call("button", "press", button, blocking=True)
    assert {circuit.state for circuit in circuits.values()} == {"closed"}


async def test_a_refresh_between_the_polls_is_no_poll_to_the_update_circuit(ready: House) -> None:
    circuit = ready.runtime.coordinator.circuits[0]
    ready.hide(WIRING[const.CONF_SOC])
    await ready.advance(11)
    polled = circuit.failures
    assert polled == 1
    for _ in range(4):
        await ready.call("reset_circuit_breaker", circuit_name="battery_commands")
    assert circuit.failures == polled
    ready.show()
    await ready.runtime.coordinator.async_refresh()
    assert ready.runtime.coordinator.get_data_age() == 0, "it shows what it found all the same"
    assert circuit.failures == polled
    await ready.advance(11)
    assert circuit.failures == 0


async def test_whoever_refreshes_all_the_time_feeds_the_circuit_as_often_as_polls_would(
    ready: House,
) -> None:
    coordinator = ready.runtime.coordinator
    circuit = coordinator.circuits[0]
    before = circuit.successes
    for _ in range(20):
        await ready.advance(3)
        await coordinator.async_refresh()
    assert 5 <= circuit.successes - before <= 7


async def test_with_two_entries_the_new_services_ask_which_one_too(ready: House) -> None:
    second = await _second(ready)
    for service, data in (
        ("get_statistics", {}),
        ("reset_circuit_breaker", {}),
        ("emergency_alert", {"message": "hello"}),
    ):
        with pytest.raises(ServiceValidationError) as refusal:
            await ready.call(service, **data)
        assert refusal.value.translation_key == "entry_required"
        await ready.call(service, **data, config_entry_id=second.entry_id)
    second.runtime_data.control.leave()
