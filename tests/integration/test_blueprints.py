"""The blueprints, loaded into Home Assistant as an import would, and triggered by the house."""

from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from pathlib import Path
import shutil
from typing import Any

from homeassistant.const import SUN_EVENT_SUNSET
from homeassistant.core import CoreState, HomeAssistant, ServiceCall
from homeassistant.helpers import device_registry as dr
from homeassistant.helpers.sun import get_astral_event_next
from homeassistant.setup import async_setup_component
from homeassistant.util import dt as dt_util
import pytest
from pytest_homeassistant_custom_component.common import MockConfigEntry
import yaml

from custom_components.export_monitor.models import ErrorState
from tests.integration.conftest import Build
from tests.integration.house import House

BLUEPRINTS = Path(__file__).resolve().parents[2] / "blueprints"
FOLDER = BLUEPRINTS / "automation" / "export_monitor"
ERROR = "sensor.export_monitor_error_state"
MARGIN = "number.export_monitor_safety_margin"
DISCHARGING = "binary_sensor.export_monitor_discharging"
STOP = "button.export_monitor_stop_discharge"

type Automate = Callable[..., Coroutine[Any, Any, None]]


@pytest.fixture
def hass_config_dir(tmp_path: Path) -> str:
    """Keep the blueprints where Home Assistant keeps those that its user has imported."""
    shutil.copytree(BLUEPRINTS, tmp_path / "blueprints")
    return str(tmp_path)


@pytest.fixture
async def automate(hass: HomeAssistant, hass_config_dir: str) -> AsyncIterator[Automate]:
    """Return how to make an automation of a blueprint; its triggers end with the test."""
    hass.config.config_dir = hass_config_dir
    assert await async_setup_component(hass, "persistent_notification", {})

    async def make(name: str, **inputs: object) -> None:
        use = {"path": f"export_monitor/{name}.yaml", "input": inputs}
        automation = {"alias": name, "use_blueprint": use}
        assert await async_setup_component(hass, "automation", {"automation": [automation]})
        state = hass.states.get(f"automation.{name}")
        assert state is not None, "refused: see the log"
        assert state.state == "on"

    yield make
    await hass.services.async_call("automation", "turn_off", {"entity_id": "all"}, blocking=True)


def notification(house: House, name: str) -> str | None:
    return house.notification(f"blueprint_{name}")


def _asked(path: Path) -> list[str]:
    """Return what a blueprint needs to be told."""
    blueprint = yaml.safe_load(path.read_text("utf-8").replace("!input", ""))["blueprint"]
    return [name for name, field in blueprint["input"].items() if "default" not in field]


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.yaml")), ids=lambda path: path.stem)
async def test_every_blueprint_is_accepted(
    hass: HomeAssistant, automate: Automate, path: Path
) -> None:
    """Home Assistant checks inputs and, of what they make, the whole automation."""
    given = {name: f"sensor.{name}" for name in _asked(path)}
    await automate(path.stem, **given)


# Errors


async def test_an_error_that_lasts_is_told_and_so_is_its_end(
    ready: House, automate: Automate
) -> None:
    await automate("alert_on_error", error_state=ERROR, lasting={"seconds": 30})
    ready.runtime.coordinator.set_error_state(ErrorState.START_FAILED, "the switch is stuck")
    await ready.advance(20)
    assert notification(ready, "error") is None
    await ready.advance(15)
    text = notification(ready, "error")
    assert text is not None
    assert "discharge_start_failed: the switch is stuck" in text
    ready.runtime.coordinator.clear_error_state()
    await ready.advance(2)
    text = notification(ready, "error")
    assert text is not None
    assert "discharge_start_failed of the export monitor is gone" in text


async def test_an_error_that_is_soon_over_is_not_told(ready: House, automate: Automate) -> None:
    await automate("alert_on_error", error_state=ERROR)
    ready.runtime.coordinator.set_error_state(ErrorState.START_FAILED)
    await ready.advance(30)
    ready.runtime.coordinator.clear_error_state()
    await ready.advance(90)
    told = notification(ready, "error")
    assert told is None or "is gone" in told


# A stop that fails


@pytest.fixture
def phone(hass: HomeAssistant) -> dr.DeviceEntry:
    """Return a phone with the companion app."""
    entry = MockConfigEntry(domain="mobile_app")
    entry.add_to_hass(hass)
    return dr.async_get(hass).async_get_or_create(
        config_entry_id=entry.entry_id, identifiers={("mobile_app", "1")}, name="Anna's Phone"
    )


@pytest.fixture
def alarms(hass: HomeAssistant) -> list[dict[str, Any]]:
    """Return what reaches the phone."""
    heard: list[dict[str, Any]] = []

    async def take(call: ServiceCall) -> None:
        heard.append(dict(call.data))

    hass.services.async_register("notify", "mobile_app_anna_s_phone", take)
    return heard


async def test_a_stop_that_fails_alarms_a_phone_until_it_is_proven(
    running: House, automate: Automate, phone: dr.DeviceEntry, alarms: list[dict[str, Any]]
) -> None:
    await automate("alert_on_stop_failure", error_state=ERROR, phone=phone.id, again_after=1)
    for domain, service in (("input_boolean", "turn_off"), ("input_button", "press")):
        running.lie(domain, service)
    running.ask("stop_discharge").add_done_callback(lambda task: task.exception())
    await running.advance(20)
    assert running.entity("error_state") == "discharge_stop_failed"
    assert [alarm["title"] for alarm in alarms] == ["The battery does not stop"]
    assert alarms[0]["data"]["push"]["interruption-level"] == "critical"
    assert alarms[0]["data"]["channel"] == "alarm_stream"
    assert (alarms[0]["data"]["ttl"], alarms[0]["data"]["priority"]) == (0, "high")
    await running.advance(61)
    assert len(alarms) == 2
    running.services.clear()
    await running.advance(60, until=lambda: running.entity("error_state") == "none")
    await running.advance(1)
    assert alarms[-1]["title"] == "The battery has stopped"
    told = len(alarms)
    await running.advance(70)
    assert len(alarms) == told


async def test_other_errors_alarm_no_phone(
    ready: House, automate: Automate, phone: dr.DeviceEntry, alarms: list[dict[str, Any]]
) -> None:
    await automate("alert_on_stop_failure", error_state=ERROR, phone=phone.id)
    ready.runtime.coordinator.set_error_state(ErrorState.START_FAILED)
    await ready.advance(5)
    assert alarms == []


# Sunset


async def test_a_discharge_is_stopped_before_sunset(
    hass: HomeAssistant, build: Build, automate: Automate
) -> None:
    await hass.config.async_update(latitude=51.5, longitude=-14)
    house = build()
    await house.set_up(fixed_limit=30)
    await house.advance(70)
    sunset = get_astral_event_next(hass, SUN_EVENT_SUNSET)
    ahead = (sunset - dt_util.utcnow()).total_seconds()
    assert 300 < ahead < 3600, "the example needs a sunset that is near"
    before = timedelta(seconds=round(ahead) - 60)
    await automate("stop_at_sunset", discharging=DISCHARGING, stop_button=STOP, offset=f"-{before}")
    await house.discharge()
    assert house.discharging
    await house.advance(120, until=lambda: not house.discharging)
    assert not house.discharging
    await house.advance(10)
    assert house.state.last is not None
    assert house.state.last.reason == "user"


# Peak hours


def _margin(house: House) -> float:
    state = house.hass.states.get(MARGIN)
    assert state is not None
    return float(state.state)


@pytest.mark.parametrize(
    ("start", "end", "before", "after"),
    [
        ("21:02:00", "23:00:00", 0.5, 2),
        ("20:00:00", "21:02:00", 2, 0.5),
        ("21:02:00", "02:00:00", 0.5, 2),
    ],
)
async def test_the_margin_follows_the_peak_hours(
    ready: House, automate: Automate, start: str, end: str, before: float, after: float
) -> None:
    ready.options(safety_margin=1.5)
    await ready.settle()
    hours = {"peak_start": start, "peak_end": end, "peak_margin": 2, "usual_margin": 0.5}
    await automate("wider_margin_in_peak_hours", margin=MARGIN, **hours)
    ready.hass.bus.async_fire("automation_reloaded")
    await ready.advance(2)
    assert _margin(ready) == before
    await ready.advance(60)
    assert _margin(ready) == after
    decision = ready.state.decision
    assert decision is not None
    assert decision.allowance == pytest.approx(max(0.0, 1.5 - after))


async def test_hours_that_began_while_home_assistant_was_down_count(
    ready: House, automate: Automate
) -> None:
    ready.hass.set_state(CoreState.not_running)
    hours = {"peak_start": "20:00:00", "peak_end": "23:00:00"}
    await automate("wider_margin_in_peak_hours", margin=MARGIN, **hours)
    assert _margin(ready) == 0.5
    await ready.hass.async_start()
    await ready.advance(2)
    assert _margin(ready) == 2


# Report


async def test_the_day_is_reported(ready: House, automate: Automate) -> None:
    at = datetime(2026, 6, 21, 21, 1, 30)  # noqa: DTZ001 - a local time of day
    await automate(
        "daily_report",
        at=at.time().isoformat(),
        exported_today="sensor.export_monitor_exported_today",
        export_allowed="sensor.export_monitor_export_allowed",
        system_health="sensor.export_monitor_system_health",
    )
    assert notification(ready, "report") is None
    await ready.advance(30)
    text = notification(ready, "report")
    assert text is not None
    assert "of 1.00 kWh allowed" in text
    assert "System health: Healthy" in text
