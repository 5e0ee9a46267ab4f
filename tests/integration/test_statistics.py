"""What is counted: shown when it matters, kept over restarts, never in the way."""

from typing import Any

from homeassistant.core import CoreState
from homeassistant.exceptions import HomeAssistantError
import pytest

from custom_components.export_monitor import BATTERY_CIRCUIT, const, storage as storage_room
from custom_components.export_monitor.alerts import OUTAGE_S
from custom_components.export_monitor.counts import CircuitCounts, Counts
from custom_components.export_monitor.storage import Storage
from tests.integration.house import DISCHARGING, FORECAST, WIRING, House

SOC = WIRING[const.CONF_SOC]
STARTING_CALLS = 5


def _resilience(house: House) -> Any:  # noqa: ANN401
    return house.attributes("statistics")["resilience"]


def _key(house: House) -> str:
    return f"{const.DOMAIN}.{house.entry.entry_id}.counts"


async def _written(house: House) -> None:
    """Let what waits to be written be written."""
    for storage in house.hass.data[storage_room.STORAGES].values():
        await storage._counts_store._async_handle_write_data()


async def test_operations_are_commands_and_not_polls(ready: House) -> None:
    assert ready.entity("statistics") == "0"
    await ready.advance(60)
    assert ready.entity("statistics") == "0"
    await ready.discharge()
    # Power, cutoff, duration, switch on; and the power again, for what the house takes.
    assert int(ready.entity("statistics")) == STARTING_CALLS
    await ready.call("stop_discharge")
    assert int(ready.entity("statistics")) == len(ready.calls) > STARTING_CALLS
    services = _resilience(ready)["services"]
    assert services["input_number.set_value"]["calls"] == STARTING_CALLS - 1
    assert services["input_boolean.turn_off"]["calls"] == 1


async def test_the_statistics_name_circuits_services_and_sources(ready: House) -> None:
    ready.frozen[SOC] = "150"
    await ready.advance(20)
    ready.frozen.clear()
    await ready.advance(20)
    await ready.discharge()
    shown = _resilience(ready)
    assert shown["circuits"][BATTERY_CIRCUIT] == {
        "state": "closed",
        "failures": 0,
        "successes": STARTING_CALLS,
        "rejected": 0,
        "opened": 0,
    }
    soc = shown["sources"][SOC]
    assert soc["invalid"] > 0
    assert soc["reads"] > soc["invalid"]
    turned_on = shown["services"]["input_boolean.turn_on"]
    assert turned_on["calls"] == turned_on["successes"] == turned_on["attempts"] == 1
    assert turned_on["retry_success_rate"] is None  # nothing had to be retried
    assert turned_on["latency_max_s"] >= turned_on["latency_mean_s"] >= 0
    assert shown["retries"] == 0


async def test_a_retry_that_works_is_a_success_of_the_retries(ready: House) -> None:
    ready.damage(WIRING[const.CONF_DISCHARGE_POWER], "raise")
    task = ready.ask("start_discharge")
    await ready.advance(0.4)
    ready.broken.clear()
    for _ in range(30):
        await ready.advance(1)
    assert task.result()["session_id"]
    await ready.advance(5)
    shown = _resilience(ready)
    assert shown["retries"] == 1
    assert shown["retry_success_rate"] == 100.0


async def test_calls_that_were_refused_or_withdrawn_take_no_retry_back(ready: House) -> None:
    house = ready
    house.damage(WIRING[const.CONF_DISCHARGE_POWER], "raise")
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    resilience = house.runtime.coordinator.resilience
    assert resilience.report()["retries"] == 2
    power = {"entity_id": WIRING[const.CONF_DISCHARGE_POWER], "value": 1}
    call = house.runtime.control.lookout.battery._call
    for _ in range(3):
        await call.call("input_number", "set_value", power, guard=lambda: False)
    assert resilience.report()["retries"] == 2


async def test_a_circuit_that_opens_shows_at_once(ready: House) -> None:
    circuit = ready.runtime.coordinator.resilience.circuits[BATTERY_CIRCUIT]
    for _ in range(5):
        circuit.record_failure()
    await ready.advance(6)
    shown = _resilience(ready)["circuits"][BATTERY_CIRCUIT]
    assert (shown["state"], shown["failures"], shown["opened"]) == ("open", 5, 1)
    await ready.advance(60)
    assert _resilience(ready)["circuits"][BATTERY_CIRCUIT]["state"] == "half_open"


async def test_a_lost_forecast_counts_its_answers_from_the_cache(house: House) -> None:
    today = FORECAST[const.CONF_FORECAST_TODAY]
    facts = {"unit_of_measurement": "kWh", "estimate": 8.0, "estimate10": 4.0}
    house.hass.states.async_set(today, "8.0", facts)
    await house.set_up(wiring=FORECAST, basis="forecast")
    await house.advance(30)
    house.hass.states.async_remove(today)
    await house.advance(60)
    report = house.runtime.coordinator.resilience.report()
    assert isinstance(report["cache_hits"], int)
    assert report["cache_hits"] >= 5
    assert report["cache_hit_rate"] == 100.0


async def test_counts_and_errors_come_back_after_a_restart_but_no_state_does(
    running: House,
) -> None:
    house = running
    await house.call("stop_discharge")
    circuit = house.runtime.coordinator.resilience.circuits[BATTERY_CIRCUIT]
    for _ in range(5):
        circuit.record_failure()
    before = house.runtime.coordinator.resilience
    operations, reads = before.operations, before.validation.read_counts[SOC]
    await house.advance(6)
    await _written(house)
    async with house.restarted():
        shown = house.runtime.coordinator.resilience
        assert house.entity("statistics") == str(operations)
        assert shown.validation.read_counts[SOC] >= reads
        again = shown.circuits[BATTERY_CIRCUIT]
        assert (again.total_failures, again.opened) == (5, 1)
        assert again.state == "closed"
        assert again.failures == 0


async def test_a_reload_counts_on(running: House) -> None:
    house = running
    operations = house.runtime.coordinator.resilience.operations
    assert operations == STARTING_CALLS
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.settle()
    assert house.entity("statistics") == str(operations)


async def test_a_record_from_before_the_counts_still_loads(
    running: House, hass_storage: dict[str, Any]
) -> None:
    house = running
    await house.advance(3)
    session = house.state.session
    assert session is not None
    assert f"export_monitor.{house.entry.entry_id}" in hass_storage
    assert _key(house) not in hass_storage
    async with house.restarted():
        assert house.state.session is not None
        assert house.state.session.id == session.id


@pytest.mark.parametrize("broken", [[], {"circuits": 3}, {"services": [{"nameless": 1}]}])
async def test_counts_that_cannot_be_read_cost_neither_record_nor_guard(
    running: House,
    broken: object,
    caplog: pytest.LogCaptureFixture,
) -> None:
    house = running
    session = house.state.session
    assert session is not None
    storage = Storage.of(house.hass, house.entry.entry_id)
    await storage._counts_store.async_save(broken)  # type: ignore[arg-type]
    async with house.restarted():
        assert house.state.session is not None
        assert house.state.session.id == session.id
        assert "statistics cannot be understood" in caplog.text
    house.let_go()


async def test_a_disk_that_fails_leaves_the_counts_at_nothing(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage(ready.hass, "other")

    async def fail() -> None:
        raise HomeAssistantError("disk")

    monkeypatch.setattr(storage._counts_store, "async_load", fail)
    assert await storage.load_counts() == Counts()


async def test_counts_are_written_minutes_later_and_not_at_each_poll(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = Storage.of(ready.hass, ready.entry.entry_id)
    written: list[Counts] = []
    monkeypatch.setattr(storage, "_written_counts", lambda: written.append(Counts()) or {})
    storage._counting = False
    for _ in range(5):
        storage.save_counts_soon()
    delay = storage._counts_store._delay_handle
    assert delay is not None
    assert delay.when() - ready.hass.loop.time() > 600
    await _written(ready)
    assert len(written) == 1


async def test_what_is_written_are_the_counts_of_the_moment(
    ready: House, hass_storage: dict[str, Any]
) -> None:
    storage = Storage.of(ready.hass, ready.entry.entry_id)
    storage.save_counts_soon()
    await ready.discharge()
    await _written(ready)
    data = hass_storage[_key(ready)]["data"]
    calls = {each["name"]: each["calls"] for each in data["services"]}
    assert sum(calls.values()) == STARTING_CALLS
    assert not storage._counting  # the next change is written again


async def test_counts_go_with_the_entry(ready: House, hass_storage: dict[str, Any]) -> None:
    storage = Storage.of(ready.hass, ready.entry.entry_id)
    await _written(ready)
    assert _key(ready) in hass_storage
    await ready.hass.config_entries.async_remove(ready.entry.entry_id)
    assert _key(ready) not in hass_storage
    storage.save_counts_soon()
    assert storage._counts_store._delay_handle is None


async def test_a_storage_that_nobody_counts_for_writes_nothing(ready: House) -> None:
    storage = Storage(ready.hass, "other")
    storage.save_counts_soon()
    assert storage._counts_store._delay_handle is None
    assert storage._written_counts() == {"circuits": [], "services": [], "sources": []}


async def test_totals_of_a_circuit_that_is_gone_are_not_kept(ready: House) -> None:
    resilience = ready.runtime.coordinator.resilience
    resilience._before["notify.gone"] = CircuitCounts("notify.gone", failures=3)
    assert "notify.gone" not in {each.name for each in resilience.counts().circuits}


# A circuit that stays open


def _issue(house: House, circuit: str) -> Any:  # noqa: ANN401
    return house.issue(f"circuit_open_{circuit}")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("export_monitor_update", "circuit_open"),
        ("forecast", "source_open"),
        ("notify.phone", "channel_open"),
    ],
)
async def test_a_circuit_open_for_five_minutes_is_reported_until_it_closes(
    house: House, name: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    await house.set_up(notify_targets=["notify.phone"])
    await house.advance(70)
    house.hide(SOC)  # or the next poll would close the update circuit
    circuit = house.runtime.coordinator.resilience.circuits[name]
    for _ in range(5):
        circuit.record_failure()
    await house.advance(OUTAGE_S - 10)
    assert _issue(house, name) is None
    await house.advance(30)
    assert _issue(house, name).translation_key == words
    await house.advance(30)
    assert caplog.text.count(f"Circuit {name} has failed for 5 minutes") == 1
    await house.call("reset_circuit_breaker", circuit_name=name)
    await house.advance(6)
    assert _issue(house, name) is None


async def test_a_battery_that_may_be_tried_again_is_reported_only_after_its_next_failure(
    ready: House,
) -> None:
    house = ready
    circuit = house.runtime.coordinator.resilience.circuits[BATTERY_CIRCUIT]
    for _ in range(5):
        circuit.record_failure()
    await house.advance(OUTAGE_S + 10)
    assert circuit.can_attempt()
    assert _issue(house, BATTERY_CIRCUIT) is None, "a start would be carried out"
    house.damage(WIRING[const.CONF_DISCHARGE_POWER], "raise")
    with pytest.raises(HomeAssistantError):
        await house.call("start_discharge")
    await house.advance(6)
    assert _issue(house, BATTERY_CIRCUIT).translation_key == "circuit_open"
    await house.advance(60)
    assert _issue(house, BATTERY_CIRCUIT) is None


async def test_one_message_that_arrives_ends_the_report_of_a_dead_channel(house: House) -> None:
    works = False

    async def take(call: object) -> None:
        del call
        if not works:
            raise HomeAssistantError("gone")

    house.hass.services.async_register("notify", "pushover", take)
    await house.set_up(notify_targets=["notify.pushover"])
    for _ in range(2):
        await house.call("emergency_alert", message="Hello", severity="info")
    await house.advance(OUTAGE_S + 10)
    assert _issue(house, "notify.pushover").translation_key == "channel_open"
    works = True
    await house.call("emergency_alert", message="Hello", severity="info")
    await house.advance(6)
    assert _issue(house, "notify.pushover") is None
    await house.advance(OUTAGE_S + 10)
    assert _issue(house, "notify.pushover") is None, "nothing has failed since"
    works = False
    await house.call("emergency_alert", message="Hello", severity="info")
    await house.advance(OUTAGE_S + 10)
    assert _issue(house, "notify.pushover") is not None


async def test_an_outage_is_withdrawn_with_the_entry(house: House) -> None:
    await house.set_up(wiring=FORECAST)
    circuit = house.runtime.coordinator.resilience.circuits["forecast"]
    for _ in range(3):
        circuit.record_failure()
    await house.advance(OUTAGE_S + 10)
    assert _issue(house, "forecast") is not None
    assert await house.hass.config_entries.async_unload(house.entry.entry_id)
    assert _issue(house, "forecast") is None


async def test_statistics_live_through_a_boot_without_inputs(house: House) -> None:
    house.hass.set_state(CoreState.starting)
    house.hide(*house.home.states())
    await house.set_up()
    assert house.entity("statistics") == "0"
    assert DISCHARGING not in _resilience(house)["sources"]
    house.hass.set_state(CoreState.running)
