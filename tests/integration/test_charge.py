"""A charge from the request to the proven stop, judged by the plant, and all that can go wrong."""

from datetime import timedelta
import logging
from typing import Any

from homeassistant.config_entries import ConfigEntryDisabler
from homeassistant.core import Event, callback
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.helpers import issue_registry as ir
from homeassistant.helpers.dispatcher import async_dispatcher_connect
import pytest

from custom_components.export_monitor import const
from custom_components.export_monitor.battery import Battery
from custom_components.export_monitor.engine.state import Phase, Write, WriteKind
from custom_components.export_monitor.inputs.sources import NumberLimits
from custom_components.export_monitor.models import EndReason, Kind
from custom_components.export_monitor.presets import ALPHAESS
from custom_components.export_monitor.pulse import HEARTBEAT
from simulator.alphaess_home import RESET_FULL, number, switch
from simulator.faults import Fault
from tests.integration.conftest import Build
from tests.integration.house import CHARGE, CHARGING, DISCHARGING, House

POWER = CHARGE[const.CONF_CHARGE_POWER]
DURATION = CHARGE[const.CONF_CHARGE_DURATION]
CUTOFF = CHARGE[const.CONF_CHARGE_CUTOFF]


@pytest.fixture
async def ready(build: Build) -> House:
    """Return a house at 40 %, whose integration can charge it."""
    house = build(soc=40.0)
    await house.set_up(wiring=CHARGE)
    await house.advance(70)
    return house


async def _charge(house: House, seconds: float = 10, **data: object) -> dict[str, Any]:
    answer = await house.call("start_charge", **data)
    assert house.state.phase is Phase.ACTIVE
    await house.advance(seconds)
    return answer


@pytest.fixture
async def charging(ready: House) -> House:
    """Return a house in mid-charge."""
    await _charge(ready)
    return ready


def _idle(house: House) -> bool:
    return house.state.phase is Phase.IDLE


def _charge_w(house: House) -> float:
    return -house.plant.truth().battery_w


# --- A good charge ---


async def test_it_takes_what_was_asked_for_and_stops(ready: House) -> None:
    before = ready.plant.truth()
    answer = await _charge(ready, energy_kwh=0.5)
    assert answer["kind"] == "charge"
    assert answer["power_w"] == 3680
    assert answer["cutoff_soc"] == 100
    assert _charge_w(ready) == pytest.approx(3600)  # the helper's step
    await ready.advance(1200, until=lambda: _idle(ready))
    after = ready.plant.truth()
    assert 0.47 <= after.charged_kwh - before.charged_kwh <= 0.51
    assert after.soc > before.soc + 4
    assert not after.dispatch_active
    assert after.exported_kwh == before.exported_kwh
    session = ready.attributes("discharge_status")
    assert session["kind"] == "charge"
    assert session["reason"] == "target_reached"
    assert session["proof"] == "dispatch"
    assert session["charged"] == pytest.approx(0.5, abs=0.02)
    assert session["exported"] == 0
    assert ready.entity("error_state") == "none"
    assert ready.attributes("error_state")["last_errors"] == []


async def test_parameters_first_and_the_switch_last(ready: House) -> None:
    await _charge(ready, power_w=2000)
    assert ready.asked("set_value", "turn_on") == [
        (POWER, 2.0),
        (CUTOFF, 100.0),
        (DURATION, 30.0),
        (CHARGING, None),
    ]
    assert _charge_w(ready) == pytest.approx(2000)


async def test_a_full_battery_ends_it(build: Build) -> None:
    house = build(soc=98.5)
    await house.set_up(wiring=CHARGE)
    await house.advance(70)
    await _charge(house)
    await house.advance(1200, until=lambda: _idle(house))
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.FULL
    assert house.plant.truth().soc >= 99
    assert not house.discharging
    assert house.attributes("error_state")["last_errors"] == []


async def test_its_dead_man_is_renewed_by_changed_values(charging: House) -> None:
    charging.options(charge_power_kw=0.5)
    await charging.call("stop_charge")
    await _charge(charging)
    charging.calls.clear()
    await charging.advance(3000)
    assert charging.asked("set_value") == [(DURATION, 25.0), (DURATION, 30.0), (DURATION, 25.0)]
    assert _charge_w(charging) == pytest.approx(500)


@pytest.mark.parametrize(
    ("data", "minutes"),
    [
        ({}, 30 + 1.5 * 60 * 6 / 3.68),
        ({"power_w": 1840}, 30 + 1.5 * 60 * 6 / 1.84),
        ({"duration_minutes": 600}, 600),
    ],
)
async def test_one_that_nobody_sees_the_end_of_has_an_end(
    build: Build, data: dict[str, Any], minutes: float
) -> None:
    """Without the battery's power, one that is full at 97 % would be renewed for ever."""
    house = build(soc=40.0)
    await house.set_up(wiring=CHARGE, without=(const.CONF_BATTERY_POWER,))
    await house.advance(70)
    await _charge(house, **data)
    session = house.state.session
    assert session is not None
    assert session.planned_end is not None
    lasts = (session.planned_end - session.started).total_seconds() / 60
    assert lasts == pytest.approx(minutes, rel=0.01)


async def test_it_then_ends_although_the_battery_never_shows_that_it_is_full(build: Build) -> None:
    house = build(soc=98.0)
    await house.set_up(wiring=CHARGE, without=(const.CONF_BATTERY_POWER,))
    await house.advance(70)
    house.frozen[house.entry.data[const.CONF_SOC]] = "98.0"
    await _charge(house)
    await house.advance(2700, until=lambda: _idle(house))
    assert house.state.last is not None
    assert house.state.last.reason is EndReason.PLANNED_END
    assert not house.plant.truth().dispatch_active


async def test_one_whose_end_the_battery_shows_is_open(charging: House) -> None:
    assert charging.state.session is not None
    assert charging.state.session.planned_end is None


async def test_it_shows_as_a_charge_and_not_as_a_discharge(charging: House) -> None:
    assert charging.entity("discharge_status") == "Idle"
    assert charging.attributes("discharge_status")["kind"] == "charge"
    running = charging.hass.states.get("binary_sensor.export_monitor_discharging")
    assert running is not None
    assert running.state == "off"
    await charging.call("stop_charge")
    assert charging.entity("discharge_status") in ("Idle", "Needed")


async def test_its_log_lines_carry_its_id(ready: House, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    answer = await _charge(ready, energy_kwh=0.25)
    tag = f"[{answer['session_id']}]"
    started = f"{tag} Started charge: 3.680 kW (cutoff SOC: 100%, target: 0.250 kWh)"
    assert started in caplog.messages
    await ready.call("stop_charge")
    assert any(m.startswith(f"{tag} Stopped charge: user, 0.0") for m in caplog.messages)
    await _charge(ready)
    assert any(m.endswith("target: full)") for m in caplog.messages)


async def test_why_nothing_would_start_knows_the_charge_for_our_own(ready: House) -> None:
    assert ready.attributes("discharge_status")["charge_blocker"] is None
    await _charge(ready)
    assert ready.entity("discharge_status") == "Idle"
    for name in ("discharge_status", "export_headroom"):
        assert ready.attributes(name)["blocker"] == "already_running"
    assert ready.attributes("discharge_status")["charge_blocker"] == "already_running"
    assert (await ready.call("calculate_discharge"))["why_not"] == "already_running"
    await ready.call("stop_charge")
    await ready.settle()
    assert ready.attributes("discharge_status")["charge_blocker"] is None
    assert ready.attributes("discharge_status")["blocker"] != "already_running"


async def test_what_refuses_a_charge_is_shown_beforehand(ready: House) -> None:
    def shown() -> tuple[str | None, str | None]:
        attributes = ready.attributes("discharge_status")
        return attributes["blocker"], attributes["charge_blocker"]

    ready.options(dry_run=True)
    await ready.advance(10)
    assert shown() == ("dry_run", "dry_run")
    duration = {"entity_id": number("export", "duration"), "value": 60}
    ready.home.call("input_number", "set_value", duration)
    ready.home.call("input_boolean", "turn_on", {"entity_id": switch("export")})
    await ready.advance(20)
    assert shown() == ("mode_conflict", "mode_conflict")


async def test_a_charge_that_somebody_else_started_is_running_already(ready: House) -> None:
    ready.home.call("input_number", "set_value", {"entity_id": DURATION, "value": 60})
    ready.home.call("input_boolean", "turn_on", {"entity_id": CHARGING})
    await ready.advance(20)
    assert ready.attributes("discharge_status")["charge_blocker"] == "already_running"


async def test_its_events_say_that_it_is_a_charge(ready: House) -> None:
    told: list[dict[str, Any]] = []
    beats: list[dict[str, Any]] = []

    @callback  # anything else would run in threads, in no order
    def hear(event: Event[Any]) -> None:
        told.append(dict(event.data))

    ready.hass.bus.async_listen("export_monitor_event", hear)

    @callback
    def take(beat: dict[str, Any]) -> None:
        beats.append(beat)

    async_dispatcher_connect(ready.hass, HEARTBEAT, take)
    answer = await _charge(ready)
    await ready.call("stop_charge")
    await ready.settle()
    of_session = [each for each in told if each["session_id"] == answer["session_id"]]
    assert {each["session_kind"] for each in of_session} == {"charge"}
    assert "session_started" in {each["type"] for each in of_session}
    assert of_session[-1]["session_exported_kwh"] == 0
    assert of_session[-1]["session_charged_kwh"] > 0
    in_session = [each for each in beats if each["session_id"] == answer["session_id"]]
    assert in_session
    assert {(each["discharge_active"], each["interval_seconds"]) for each in in_session} == {
        (False, 3.0)
    }


# --- Buttons and services ---


async def test_buttons_start_and_stop_it(ready: House) -> None:
    async def press(name: str) -> None:
        data = {"entity_id": f"button.export_monitor_{name}"}
        task = ready.hass.async_create_task(
            ready.hass.services.async_call("button", "press", data, blocking=True)
        )
        await ready.advance(60, until=task.done)
        task.result()

    await press("start_charge")
    assert ready.state.kind is Kind.CHARGE
    assert ready.plant.truth().dispatch_active
    await press("stop_charge")
    assert not ready.plant.truth().dispatch_active


@pytest.mark.parametrize("missing", [None, *CHARGE])
async def test_without_all_its_controls_a_person_is_told(build: Build, missing: str | None) -> None:
    house = build()
    wiring = {k: v for k, v in CHARGE.items() if missing is not None and k != missing}
    await house.set_up(wiring=wiring)
    await house.advance(70)
    with pytest.raises(ServiceValidationError) as refused:
        await house.call("start_charge")
    assert refused.value.translation_key == "refused_no_charge_control"
    button = house.hass.states.get("button.export_monitor_start_charge")
    assert button is not None
    assert button.state != "unavailable"
    await house.discharge()  # which needs none of them


@pytest.mark.parametrize("service", ["stop_charge", "stop_discharge"])
async def test_whoever_presses_the_wrong_stop_is_served(charging: House, service: str) -> None:
    answer = await charging.call(service, reason="it is loud")
    assert answer["kind"] == "charge"
    assert answer["reason"] == "user"
    assert not charging.plant.truth().dispatch_active
    assert charging.state.last is not None
    assert charging.state.last.note == "it is loud"


async def test_stop_charge_stops_a_discharge_too(ready: House) -> None:
    await ready.discharge()
    answer = await ready.call("stop_charge")
    assert answer["kind"] == "discharge"
    assert not ready.plant.truth().dispatch_active


async def test_stop_charge_ends_a_charge_of_the_users_own(ready: House) -> None:
    ready.charge()
    await ready.advance(10)
    assert ready.plant.truth().dispatch_active
    await ready.call("stop_discharge")  # not silently
    assert ready.asked("turn_off") == [(DISCHARGING, None)]
    assert ready.plant.truth().dispatch_active
    answer = await ready.call("stop_charge")
    assert answer["session_id"] is None
    assert not ready.plant.truth().dispatch_active


# --- Never both at once ---


async def test_a_charge_of_the_users_own_is_a_conflict_and_left_alone(ready: House) -> None:
    ready.charge()
    await ready.advance(30)
    assert _idle(ready)
    with pytest.raises(ServiceValidationError) as refused:
        await ready.call("start_discharge")
    assert refused.value.translation_key == "refused_mode_conflict"
    assert ready.attributes("error_state")["entity_id"] == CHARGING
    with pytest.raises(ServiceValidationError) as refused:
        await ready.call("start_charge")
    assert refused.value.translation_key == "refused_already_running"
    await ready.advance(400)
    assert ready.plant.truth().dispatch_active
    assert not ready.asked("turn_off", "press")


async def test_our_own_charge_is_no_conflict_of_its_own(charging: House) -> None:
    # `CONF_CONFLICTING_MODES` of this house names its switch.
    await charging.advance(60)
    assert charging.state.phase is Phase.ACTIVE
    with pytest.raises(ServiceValidationError) as refused:
        await charging.call("start_discharge")
    assert refused.value.translation_key == "refused_already_running"
    assert charging.entity("error_state") == "none"
    await charging.call("stop_charge")
    await charging.advance(5)
    await charging.discharge()


async def test_another_mode_refuses_it(ready: House) -> None:
    duration = {"entity_id": number("export", "duration"), "value": 60}
    ready.home.call("input_number", "set_value", duration)
    ready.home.call("input_boolean", "turn_on", {"entity_id": switch("export")})
    await ready.advance(5)
    with pytest.raises(ServiceValidationError) as refused:
        await ready.call("start_charge")
    assert refused.value.translation_key == "refused_mode_conflict"
    assert ready.home.states()[switch("export")].value == "on"


async def test_the_users_discharge_ends_our_charge(charging: House) -> None:
    for name, value in (("power", 2), ("cutoff_soc", 20), ("duration", 60)):
        entity_id = f"input_number.alphaess_helper_force_discharging_{name}"
        charging.home.call("input_number", "set_value", {"entity_id": entity_id, "value": value})
    charging.home.call("input_boolean", "turn_on", {"entity_id": DISCHARGING})
    await charging.advance(30)
    assert charging.state.last is not None
    assert charging.state.last.kind is Kind.CHARGE
    assert charging.state.last.reason is EndReason.EXTERNAL
    assert charging.home.states()[CHARGING].value == "off"


async def test_a_full_battery_is_refused(build: Build) -> None:
    house = build(soc=100.0, pv_w=3000.0)
    await house.set_up(wiring=CHARGE)
    await house.advance(70)
    assert house.attributes("discharge_status")["charge_blocker"] == "soc_full"
    with pytest.raises(ServiceValidationError) as refused:
        await house.call("start_charge")
    assert refused.value.translation_key == "refused_soc_full"


# --- A bad start ---


@pytest.mark.parametrize("entity_id", [POWER, CUTOFF, DURATION, CHARGING])
@pytest.mark.parametrize("how", ["raise", "lie", "hang", "unavailable"])
async def test_a_start_that_fails_leaves_nothing_on(ready: House, entity_id: str, how: str) -> None:
    ready.damage(entity_id, how)
    with pytest.raises(HomeAssistantError) as failed:
        await ready.call("start_charge")
    if not (how == "unavailable" and entity_id == CHARGING):  # there it is no data
        assert failed.value.translation_key == "failed_charge_start_failed"
        assert ready.entity("error_state") == "charge_start_failed"
        text = ready.notification("charge_start_failed")
        assert text is not None
        assert CHARGING in text
    await ready.advance(60)
    assert not ready.plant.truth().dispatch_active
    ready.broken.clear()
    ready.show()
    await ready.advance(130, until=lambda: _idle(ready))
    await ready.advance(70)
    await _charge(ready)
    assert ready.entity("error_state") == "none"
    assert ready.notification("charge_start_failed") is None


async def test_a_failed_renewal_stops_it(charging: House) -> None:
    charging.damage(DURATION, "lie")
    await charging.advance(960)
    assert not charging.plant.truth().dispatch_active
    assert charging.state.last is not None
    assert charging.state.last.reason is EndReason.RENEWAL_FAILED
    assert charging.entity("error_state") == "charge_start_failed"


async def test_a_battery_that_does_not_follow_is_told_of(charging: House) -> None:
    charging.plant.faults.on(Fault.IGNORE_STOP)
    charging.frozen["sensor.alphaess_power_battery"] = "0"
    await charging.advance(90)
    assert charging.attributes("error_state")["last_errors"]
    text = charging.notification("battery_not_responding")
    assert text is not None
    assert CHARGING in text


# --- A bad stop ---


async def test_a_lying_stop_is_brought_by_the_full_reset(charging: House) -> None:
    charging.plant.faults.on(Fault.IGNORE_STOP)
    answer = await charging.call("stop_charge")
    assert answer["proof"] == "dispatch"
    assert charging.home.states()[CHARGING].value == "off"
    assert (RESET_FULL, None) in charging.asked("press")
    assert not charging.plant.truth().dispatch_active
    assert charging.attributes("error_state")["last_errors"] == []


async def test_an_unplugged_inverter_alarms_until_it_is_back(charging: House) -> None:
    charging.plant.faults.on(Fault.DROP)
    with pytest.raises(HomeAssistantError) as unproven:
        await charging.call("stop_charge")
    assert unproven.value.translation_key == "stop_unproven"
    assert charging.entity("error_state") == "charge_stop_failed"
    text = charging.notification("charge_stop_failed")
    assert text is not None
    assert CHARGING in text
    issue = charging.issue("charge_stop_failed")
    assert issue is not None
    assert issue.severity is ir.IssueSeverity.CRITICAL
    # An unproven stop is no matter of opinion.
    charging.runtime.coordinator.clear_error_state()
    assert charging.entity("error_state") == "charge_stop_failed"
    assert charging.plant.truth().dispatch_active
    charging.plant.faults.off(Fault.DROP)
    await charging.advance(120, until=lambda: _idle(charging))
    assert not charging.plant.truth().dispatch_active
    assert charging.notification("charge_stop_failed") is None
    assert charging.issue("charge_stop_failed") is None
    assert charging.entity("error_state") == "none"


async def test_an_end_from_outside_is_followed_too(charging: House) -> None:
    charging.plant.faults.on(Fault.IGNORE_STOP)
    charging.home.call("input_boolean", "turn_off", {"entity_id": CHARGING})
    await charging.advance(30)
    assert not charging.plant.truth().dispatch_active
    assert charging.state.last is not None
    assert charging.state.last.reason is EndReason.EXTERNAL


async def test_without_a_fallback_it_is_smothered(build: Build) -> None:
    house = build(soc=40.0)
    generic = {const.CONF_PRESET: "generic", const.CONF_FALLBACK_STOP: ""}
    await house.set_up(wiring={**CHARGE, **generic})
    await house.advance(70)
    await _charge(house)
    house.damage(CHARGING, "lie")
    house.calls.clear()
    task = house.ask("stop_charge")
    await house.advance(6)
    assert house.asked("set_value") == [(POWER, 0.0), (CUTOFF, 4.0)]
    assert house.plant.truth().battery_w >= 0
    house.broken.clear()
    await house.advance(30, until=task.done)
    assert not house.plant.truth().dispatch_active


async def test_a_machine_that_fails_switches_the_charge_off(
    charging: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("custom_components.export_monitor.control.step", fails)
    await charging.advance(5)
    assert charging.asked("turn_off") == [(CHARGING, None)]
    assert charging.asked("press") == [(RESET_FULL, None)]
    assert not charging.plant.truth().dispatch_active
    assert "charge_stop_failed" in {
        each.state.value for each in charging.runtime.control.errors.standing
    }


@pytest.mark.parametrize(
    ("wiring", "switched_off"), [(CHARGE, [(CHARGING, None)]), ({}, [(DISCHARGING, None)])]
)
async def test_a_stop_that_fails_with_nothing_running_turns_off_what_was_meant(
    build: Build,
    monkeypatch: pytest.MonkeyPatch,
    wiring: dict[str, Any],
    switched_off: list[tuple[str, None]],
) -> None:
    house = build(soc=40.0)
    await house.set_up(wiring=wiring)
    await house.advance(70)

    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("custom_components.export_monitor.control.step", fails)
    with pytest.raises(HomeAssistantError):
        await house.call("stop_charge")
    assert house.asked("turn_off") == switched_off
    await house.advance(5)
    assert house.asked("press") == [(RESET_FULL, None)]


# --- Life ---


async def test_a_reload_resumes_it(charging: House) -> None:
    before = charging.state.session
    assert before is not None
    assert await charging.hass.config_entries.async_reload(charging.entry.entry_id)
    await charging.advance(30)
    session = charging.state.session
    assert session is not None
    assert (session.id, session.kind) == (before.id, Kind.CHARGE)
    assert session.charged_kwh > before.charged_kwh
    assert charging.state.phase is Phase.ACTIVE
    assert charging.plant.truth().dispatch_active
    assert not charging.asked("turn_off", "press")


async def test_many_reloads_count_nothing_twice(ready: House) -> None:
    await _charge(ready, energy_kwh=0.5)
    before = ready.plant.truth().charged_kwh
    for _ in range(8):
        assert await ready.hass.config_entries.async_reload(ready.entry.entry_id)
        await ready.advance(37)
    await ready.advance(900, until=lambda: _idle(ready))
    assert ready.plant.truth().charged_kwh - before == pytest.approx(0.49, abs=0.03)


async def test_unloading_stops_it(charging: House) -> None:
    assert await charging.hass.config_entries.async_unload(charging.entry.entry_id)
    assert charging.plant.truth().dispatch_active
    await charging.advance(30)
    assert not charging.plant.truth().dispatch_active
    assert charging.home.states()[CHARGING].value == "off"


async def test_disabling_in_the_midst_of_a_lying_stop_follows_it(charging: House) -> None:
    charging.plant.faults.on(Fault.IGNORE_STOP)
    await charging.hass.config_entries.async_set_disabled_by(
        charging.entry.entry_id, ConfigEntryDisabler.USER
    )
    await charging.advance(40)
    assert not charging.plant.truth().dispatch_active


async def test_a_restart_in_mid_charge_resumes_it(charging: House) -> None:
    session = charging.state.session
    assert session is not None
    await charging.runtime.control._records.save()
    # The package's start resets the dispatch; without it the charge goes on by itself.
    async with charging.restarted():
        await charging.advance(30)
        again = charging.state.session
        assert again is not None
        assert again.id == session.id
        assert charging.state.phase is Phase.ACTIVE
        assert charging.plant.truth().dispatch_active
        await charging.call("stop_charge")
        assert not charging.plant.truth().dispatch_active
        assert charging.state.last is not None
        assert charging.state.last.id == session.id


async def test_one_that_ended_while_home_assistant_was_away_is_finished(charging: House) -> None:
    await charging.runtime.control._records.save()
    charging.let_go()
    charging.freezer.tick(timedelta(hours=1))
    charging.home.advance(3600)
    charging.home.drain_reports()
    async with charging.restarted():
        await charging.advance(60)
        assert charging.state.phase is Phase.IDLE
        assert charging.state.last is not None
        assert charging.state.last.kind is Kind.CHARGE
        assert charging.state.last.reason is EndReason.EXTERNAL
        assert charging.entity("error_state") == "none"


async def test_taking_its_controls_away_stops_it(charging: House) -> None:
    data = {k: v for k, v in charging.entry.data.items() if k not in CHARGE}
    charging.hass.config_entries.async_update_entry(charging.entry, data=data)
    await charging.advance(60)
    assert not charging.plant.truth().dispatch_active
    assert (RESET_FULL, None) in charging.asked("press")


async def test_sources_that_fail_leave_its_stop_possible(
    charging: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    sources = charging.runtime.control.lookout.sources

    def fails() -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(sources, "read", fails)
    await charging.advance(5)
    assert charging.state.phase is Phase.ACTIVE
    task = charging.ask("stop_charge")
    await charging.advance(10)
    assert not charging.plant.truth().dispatch_active
    monkeypatch.undo()
    await charging.advance(60, until=task.done)
    assert task.result()["stopped"]


# --- The battery's own units ---


@pytest.mark.parametrize(
    ("target", "limits", "native"),
    [
        (100, NumberLimits("%", 4, 100, 1), 100),
        (80.5, NumberLimits("%", 4, 100, 1), 80),
        (80, NumberLimits("%", 4, 100, 5), 80),
        (79, NumberLimits("%", 4, 100, 5), 75),
        (100, NumberLimits("%", 4, 98, 1), 98),
        (90, NumberLimits("%", 0, 100, 0), 90),
    ],
)
def test_a_target_is_never_widened(target: float, limits: NumberLimits, native: float) -> None:
    battery = Battery.__new__(Battery)  # what it says needs no Home Assistant
    battery._preset = ALPHAESS
    write = Write(1, 0, WriteKind.CUTOFF, target, Kind.CHARGE)
    assert battery.native_value(write, limits) == pytest.approx(native)
