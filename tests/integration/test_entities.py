"""What people see: literal states, there when they should be, written only when they change."""

from typing import Any

from homeassistant.const import EVENT_STATE_CHANGED, EVENT_STATE_REPORTED
from homeassistant.core import Event, callback
from homeassistant.helpers import device_registry as dr, entity_registry as er
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.engine.state import Phase
from custom_components.export_monitor.models import ErrorState
from tests.integration.conftest import Build
from tests.integration.house import FEED_IN_TODAY, FORECAST, WIRING, House

SOC = WIRING[const.CONF_SOC]
KWH = ("energy_storage", "kWh", "measurement")
SENSORS: dict[str, tuple[str, str | None, str | None, str | None]] = {
    "system_health": ("Healthy", "enum", None, None),
    "error_state": ("none", "enum", None, None),
    "circuit_breaker_status": ("Closed", "enum", None, None),
    "export_headroom": ("0.99", *KWH),
    "export_allowed": ("1.0", *KWH),
    "exported_today": ("0.0", "energy", "kWh", "total_increasing"),
    "discharge_needed": ("3000.0", "power", "W", "measurement"),
    "discharge_status": ("Needed", "enum", None, None),
    "calculated_duration": ("19.8", "duration", "min", "measurement"),
}
DIAGNOSTIC = {"system_health", "error_state", "data_staleness", "circuit_breaker_status"}
DISABLED = {"reserve_soc_target", "reserve_soc_status"}


async def test_sensors_show_what_page_two_says(ready: House) -> None:
    shown = {}
    for name in SENSORS:
        state = ready.hass.states.get(f"sensor.export_monitor_{name}")
        assert state is not None
        facts = (state.attributes.get(a) for a in ("device_class", "unit_of_measurement"))
        shown[name] = (state.state, *facts, state.attributes.get("state_class"))
    assert shown == SENSORS
    assert float(ready.entity("data_staleness")) < 15


async def test_one_service_device_holds_them_all_under_ids_of_1x(ready: House) -> None:
    entries = er.async_entries_for_config_entry(er.async_get(ready.hass), ready.entry.entry_id)
    keys = {entry.unique_id.removeprefix(f"{ready.entry.entry_id}_") for entry in entries}
    assert {"min_soc", "target_export", "data_staleness", *SENSORS, *DISABLED} <= keys
    assert {e.entity_id.split(".")[1].removeprefix("export_monitor_") for e in entries} >= {
        "minimum_soc",
        *SENSORS,
        *DISABLED,
    }
    devices = {entry.device_id for entry in entries}
    assert len(devices) == 1
    device = dr.async_get(ready.hass).async_get(devices.pop() or "")
    assert device is not None
    assert device.name == "Export Monitor"
    assert device.entry_type is dr.DeviceEntryType.SERVICE
    by_key = {e.unique_id.removeprefix(f"{ready.entry.entry_id}_"): e for e in entries}
    for key in DIAGNOSTIC:
        assert by_key[key].entity_category == "diagnostic"
    assert {key for key, entry in by_key.items() if entry.disabled_by} == DISABLED


async def test_numbers_and_binary_sensors_show_their_facts(ready: House) -> None:
    get = ready.hass.states.get
    ranges = {}
    for name in ("target_export", "minimum_soc", "safety_margin"):
        state = get(f"number.export_monitor_{name}")
        assert state is not None
        facts = state.attributes
        ranges[name] = (state.state, facts["min"], facts["max"], facts["unit_of_measurement"])
    assert ranges == {
        "target_export": ("3000.0", 0, 20000, "W"),
        "minimum_soc": ("20.0", 0, 100, "%"),
        "safety_margin": ("0.5", 0, 20, "kWh"),
    }
    for name in ("discharging", "data_problem", "over_export"):
        assert get(f"binary_sensor.export_monitor_{name}").state == "off"


async def test_an_idle_cycle_writes_nothing(build: Build) -> None:
    house = build(pv_w=0, load_w=0)
    await house.set_up()
    await house.advance(140)
    writes: list[str] = []

    @callback
    def note(event: Event[Any]) -> None:
        writes.append(event.data["entity_id"])

    @callback
    def ours(data: Any) -> bool:  # noqa: ANN401
        return ".export_monitor_" in data["entity_id"]

    house.hass.bus.async_listen(EVENT_STATE_CHANGED, note, event_filter=ours)
    house.hass.bus.async_listen(EVENT_STATE_REPORTED, note, event_filter=ours)
    await house.advance(180)
    assert set(writes) <= {"sensor.export_monitor_data_staleness"}
    assert len(writes) <= 4
    # And one thing that changes is one write.
    writes.clear()
    house.hass.states.async_set(
        FEED_IN_TODAY, "0.01", {"unit_of_measurement": "kWh"}, force_update=True
    )
    await house.settle()
    assert len(writes) == len(set(writes))


async def test_figures_are_unavailable_while_their_data_is_and_health_is_not(ready: House) -> None:
    house = ready
    house.hide(SOC)
    await house.advance(12)
    for name in ("export_headroom", "export_allowed", "exported_today", "calculated_duration"):
        assert house.entity(name) == "unavailable"
    for name in DIAGNOSTIC:
        assert house.entity(name) != "unavailable"
    assert house.entity("discharge_status") == "Idle"
    assert house.hass.states.get("binary_sensor.export_monitor_data_problem").state == "on"
    assert house.hass.states.get("button.export_monitor_stop_discharge").state != "unavailable"
    house.show()
    await house.advance(12)
    assert house.entity("export_headroom") == "0.99"


@pytest.mark.parametrize(
    ("name", "value", "shows"),
    [
        ("target_export", 1500, ("discharge_needed", "1500.0")),
        ("target_export", 0, ("discharge_status", "Idle")),
        ("minimum_soc", 85, ("export_headroom", "0.0")),
        ("safety_margin", 0.7, ("export_allowed", "0.8")),
    ],
)
async def test_a_number_changes_its_option_at_once_and_without_a_reload(
    ready: House, name: str, value: float, shows: tuple[str, str]
) -> None:
    house = ready
    runtime = house.runtime
    data = {"entity_id": f"number.export_monitor_{name}", "value": value}
    await house.hass.services.async_call("number", "set_value", data, blocking=True)
    await house.settle()
    assert house.runtime is runtime
    assert house.hass.states.get(data["entity_id"]).state == str(float(value))
    assert house.entity(shows[0]) == shows[1]
    option = {"minimum_soc": const.CONF_MIN_SOC}.get(name, name)
    assert house.entry.options[option] == value


async def test_an_option_of_the_wiring_reloads(ready: House) -> None:
    runtime = ready.runtime
    ready.options(scan_interval=20)
    await ready.advance(2)
    assert ready.runtime is not runtime


async def test_live_settings_follow_the_entrys_data_too(ready: House) -> None:
    """An entry of 1.x keeps its settings in its data."""
    house = ready
    options = {k: v for k, v in house.entry.options.items() if k != "fixed_limit"}
    data = {**house.entry.data, "fixed_limit": 1.5}
    house.hass.config_entries.async_update_entry(house.entry, data=data, options=options)
    await house.settle()
    house.hass.config_entries.async_update_entry(house.entry, data={**data, "fixed_limit": 3.0})
    await house.settle()
    await house.advance(11)
    assert house.entity("export_allowed") == "2.5"


async def _press(house: House, name: str) -> None:
    data = {"entity_id": f"button.export_monitor_{name}"}
    task = house.hass.async_create_task(
        house.hass.services.async_call("button", "press", data, blocking=True)
    )
    await house.advance(40, until=task.done)
    task.result()


async def test_buttons_start_stop_and_look(ready: House) -> None:
    house = ready
    await _press(house, "calculate_discharge")
    await _press(house, "start_discharge")
    await house.advance(5)
    assert house.discharging
    assert house.hass.states.get("binary_sensor.export_monitor_discharging").state == "on"
    attributes = house.attributes("discharge_status")
    assert attributes["origin"] == "manual"
    assert attributes["power"] == 3500  # 3000 W for the grid, 500 W for the house
    await _press(house, "stop_discharge")
    assert not house.discharging
    assert house.entity("discharge_status") == "Complete"
    await house.advance(310)
    assert house.entity("discharge_status") in ("Idle", "Needed")


async def test_the_circuit_button_closes_the_circuits(ready: House) -> None:
    house = ready
    for circuit in house.runtime.coordinator.circuits:
        for _ in range(5):
            circuit.record_failure()
    await house.advance(11)
    assert house.entity("circuit_breaker_status") == "Open"
    assert house.attributes("circuit_breaker_status")["can_attempt"] is False
    await _press(house, "reset_circuit_breakers")
    assert house.entity("circuit_breaker_status") == "Closed"
    assert house.entity("system_health") == "Healthy"


async def test_health_shows_the_worst_of_circuits_errors_and_age(ready: House) -> None:
    house = ready
    coordinator = house.runtime.coordinator
    house.hide(SOC)
    await house.advance(35)
    assert house.entity("system_health") == "Stale Data"
    coordinator.set_error_state(ErrorState.MODE_CONFLICT)
    assert house.entity("system_health") == "Error"
    assert coordinator.get_error_state() is ErrorState.MODE_CONFLICT
    await house.advance(20)
    assert house.entity("system_health") == "Circuit Breaker Open"
    assert house.attributes("system_health")["circuit_breaker_failures"] >= 5
    coordinator.clear_error_state()
    assert coordinator.get_error_state() is ErrorState.NONE
    assert not coordinator.can_attempt_operation()
    assert coordinator.is_circuit_breaker_open()
    house.show()
    await house.advance(75)
    assert house.entity("system_health") == "Healthy"
    assert coordinator.can_attempt_operation()
    assert not coordinator.is_data_stale()


async def test_five_bad_polls_open_the_circuit_and_a_good_one_closes_it(
    ready: House, caplog: pytest.LogCaptureFixture
) -> None:
    house = ready
    caplog.clear()
    house.hide(SOC)
    await house.advance(39)
    assert house.entity("circuit_breaker_status") == "Closed"
    await house.advance(18)
    assert house.entity("circuit_breaker_status") == "Open"
    assert house.attributes("circuit_breaker_status")["failure_count"] == 5
    assert house.attributes("circuit_breaker_status")["last_failure_time"] is not None
    await house.advance(150)
    house.show()
    await house.advance(75)
    assert house.entity("circuit_breaker_status") == "Closed"
    assert house.entity("error_state") == "none"
    texts = [record.getMessage() for record in caplog.records]
    for said_once in (
        "Required data is missing, stale or invalid; no start until it is back",
        "Required data is complete again",
        "Circuit export_monitor_update opened after 5 failures",
        "Circuit export_monitor_update closed",
    ):
        assert texts.count(said_once) == 1, said_once


async def test_the_age_ticks_by_itself_once_it_is_no_longer_normal(ready: House) -> None:
    house = ready
    assert float(house.entity("data_staleness")) < 15
    house.hide(SOC)
    await house.advance(20)
    ages = []
    for _ in range(4):
        await house.advance(5)
        ages.append(float(house.entity("data_staleness")))
    assert ages == sorted(set(ages))
    assert ages[-1] > 30
    attributes = house.attributes("data_staleness")
    assert attributes["is_stale"] is True
    assert attributes["threshold_seconds"] == 30
    assert attributes["source_ages"][FEED_IN_TODAY] >= 0


async def test_looking_once_a_minute_is_healthy_in_all_of_it(build: Build) -> None:
    house = build()
    await house.set_up(scan_interval=60, stale_after=30)
    await house.advance(75)
    assert house.attributes("data_staleness")["threshold_seconds"] == 120
    seen = set()
    for _ in range(24):
        await house.advance(5)
        seen.add(house.entity("system_health"))
    assert seen == {"Healthy"}
    house.silence(*house.home.states())
    await house.advance(240, until=lambda: house.entity("system_health") != "Healthy")
    assert house.entity("system_health") == "Stale Data"


async def test_data_stale_for_five_minutes_is_an_error(ready: House) -> None:
    house = ready
    house.silence(*house.home.states())
    await house.advance(290)
    assert house.entity("error_state") == "none"
    await house.advance(100, until=lambda: house.entity("error_state") == "stale_data")
    assert house.notification("stale_data")
    house.show()
    await house.advance(120, until=lambda: house.entity("system_health") == "Healthy")
    assert house.entity("system_health") == "Healthy"
    assert house.notification("stale_data") is None


async def test_stale_data_is_no_error_any_more_with_the_poll_that_makes_it_fresh(
    ready: House,
) -> None:
    house = ready
    house.silence(*house.home.states())
    await house.advance(400, until=lambda: house.entity("error_state") == "stale_data")
    house.show()
    await house.advance(120, until=lambda: not house.attributes("data_staleness")["is_stale"])
    assert house.entity("error_state") == "none"


async def test_the_worst_error_shows_and_the_next_one_after_it(ready: House) -> None:
    coordinator = ready.runtime.coordinator
    coordinator.set_error_state(ErrorState.NONE)
    assert ready.entity("error_state") == "none"
    for error in (ErrorState.NO_DATA, ErrorState.STOP_FAILED, ErrorState.STALE_DATA):
        coordinator.set_error_state(error, "seen")
    assert ready.entity("error_state") == "discharge_stop_failed"
    coordinator.clear_error_state(ErrorState.STOP_FAILED)
    assert ready.entity("error_state") == "no_data"
    coordinator.set_error_state(ErrorState.NO_DATA, "again")
    assert ready.attributes("error_state")["occurrences"] == 2
    assert ready.attributes("error_state")["detail"] == "again"


async def test_the_last_twenty_errors_are_kept_in_order(ready: House) -> None:
    for number in range(30):
        ready.runtime.coordinator.set_error_state(ErrorState.NO_DATA, str(number))
    last = ready.attributes("error_state")["last_errors"]
    assert [error["detail"] for error in last] == [str(number) for number in range(10, 30)]


async def test_the_reserve_is_shown_where_it_is_observed(build: Build) -> None:
    house = build()
    facts = {"unit_of_measurement": "%"}
    house.hass.states.async_set("sensor.reserve", "30", facts)
    wiring = {const.CONF_RESERVE_SOC: "sensor.reserve"}
    await house.set_up(wiring=wiring, observe_reserve_soc=True)
    registry = er.async_get(house.hass)
    for name in DISABLED:
        registry.async_update_entity(f"sensor.export_monitor_{name}", disabled_by=None)
    await house.advance(101)  # Home Assistant reloads an entry half a minute after that
    assert house.entity("reserve_soc_target") == "30.0"
    assert house.entity("reserve_soc_status") == "Above Reserve"
    house.hass.states.async_set("sensor.reserve", "90", facts)
    await house.advance(11)
    assert house.entity("reserve_soc_status") == "At Reserve"
    house.hass.states.async_set("sensor.reserve", "unavailable")
    await house.advance(11)
    assert house.entity("reserve_soc_target") == "unavailable"
    assert house.entity("reserve_soc_status") == "unavailable"
    house.options(observe_reserve_soc=False)
    await house.advance(15)
    assert house.entity("reserve_soc_status") == "Not Monitored"


async def test_headroom_tells_what_it_is_made_of(build: Build) -> None:
    house = build()
    now = house.plant.now
    rows = [
        {
            "period_start": now.replace(minute=half, second=0),
            "pv_estimate": 0.4,
            "pv_estimate10": 0.2,
            "pv_estimate90": 0.6,
        }
        for half in (0, 30)
    ]
    facts = {"unit_of_measurement": "kWh", "detailedForecast": rows}
    house.hass.states.async_set(FORECAST[const.CONF_FORECAST_TODAY], "5.0", facts)
    await house.set_up(wiring=FORECAST, basis="forecast", house_load_per_day=24)
    await house.advance(15)
    attributes = house.attributes("export_headroom")
    assert attributes["basis"] == "forecast"
    assert attributes["natural_export_known"] is True
    assert attributes["natural_export"] == 0
    assert attributes["contract"] == pytest.approx(0.4, abs=0.01)
    house.options(basis="conservative")
    await house.settle()
    assert house.attributes("export_headroom")["contract"] == pytest.approx(0.2, abs=0.01)
    house.hass.states.async_remove(FORECAST[const.CONF_FORECAST_TODAY])
    await house.advance(15)
    assert house.attributes("export_headroom")["forecast_cached_since"] is not None
    house.freezer.tick(6 * 3600 + 60)
    await house.advance(15)
    assert house.attributes("export_headroom")["basis"] == "generated"
    assert house.state.phase is Phase.IDLE
