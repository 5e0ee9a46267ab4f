"""The daily report: at its time, to every channel, in plain words."""

from dataclasses import replace
from datetime import timedelta

from homeassistant.core import ServiceCall
import pytest

from custom_components.export_monitor.health_report import HealthReport
from custom_components.export_monitor.ledger import Breach, Day
from custom_components.export_monitor.models import ErrorState
from tests.integration.conftest import Build
from tests.integration.house import House

PHONE = "notify.mobile_app_phone"
BEFORE = House.EVENING.replace(hour=7, minute=58)
WANTED = {"daily_report": True, "daily_report_time": "08:00:00"}


def _text(house: House) -> str:
    return HealthReport(house.hass, house.entry).text()


@pytest.fixture
async def messages(build: Build) -> tuple[House, list[ServiceCall]]:
    """A house at two minutes to eight whose owner has a phone, and what that gets."""
    house = build(start=BEFORE)
    got: list[ServiceCall] = []

    async def take(call: ServiceCall) -> None:
        got.append(call)

    house.hass.services.async_register("notify", "mobile_app_phone", take)
    return house, got


async def test_it_comes_once_at_its_time(messages: tuple[House, list[ServiceCall]]) -> None:
    house, got = messages
    await house.set_up(notify_targets=[PHONE], **WANTED)
    await house.advance(60)
    assert got == []
    await house.advance(120)
    (call,) = got
    assert call.data["title"] == "Daily report: Export Monitor"
    assert "Everything works." in call.data["message"]
    assert "Of yesterday nothing is recorded." in call.data["message"]
    assert "push" not in call.data["data"]  # it wakes nobody
    assert house.notification("daily_report") is None


async def test_without_a_channel_it_is_shown_here(build: Build) -> None:
    house = build(start=BEFORE)
    await house.set_up(**WANTED)
    await house.advance(180)
    assert "Everything works." in (house.notification("daily_report") or "")


async def test_nobody_gets_it_unasked(messages: tuple[House, list[ServiceCall]]) -> None:
    house, got = messages
    await house.set_up(notify_targets=[PHONE])
    await house.advance(180)
    assert got == []
    assert house.notification("daily_report") is None


async def test_it_ends_with_the_entry(messages: tuple[House, list[ServiceCall]]) -> None:
    house, got = messages
    await house.set_up(notify_targets=[PHONE], **WANTED)
    await house.hass.config_entries.async_unload(house.entry.entry_id)
    await house.advance(180)
    assert got == []


async def test_a_dead_channel_delays_nothing(messages: tuple[House, list[ServiceCall]]) -> None:
    house, got = messages

    async def fail(_: ServiceCall) -> None:
        raise ValueError

    house.hass.services.async_register("notify", "mobile_app_dead", fail)
    await house.set_up(notify_targets=["notify.mobile_app_dead", PHONE], **WANTED)
    await house.advance(180)
    assert len(got) == 1
    assert house.entity("system_health") == "Healthy"


@pytest.mark.parametrize("language", ["en", "de"])
async def test_it_tells_of_yesterday_and_of_errors(build: Build, language: str) -> None:
    house = build(start=House.LATE - timedelta(minutes=10))
    house.hass.config.language = language
    await house.set_up()
    await house.advance(70)
    await house.discharge(seconds=300)
    await house.call("stop_discharge")
    house.runtime.coordinator.set_error_state(ErrorState.START_FAILED, "for a test")
    house.runtime.coordinator.clear_error_state()
    await house.advance(600)
    text = _text(house)
    english = ("Yesterday stayed inside", "sessions: 1", "Discharge Start Failed", "0.")
    german = ("Gestern wurde die Grenze eingehalten", "Sitzungen: 1", "Entladung", "0,")
    for words in english if language == "en" else german:
        assert words in text
    assert "{" not in text


async def test_it_suggests_a_larger_margin_and_tells_of_a_breach(
    ready: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    day = Day(
        "2026-06-20",
        House.EVENING - timedelta(days=1),
        24,
        exported=10.4,
        deliberate=3.0,
        contract=10.0,
        margin=0.5,
        tolerance=0.01,
        slack=0.0,
        breaches=(Breach(House.EVENING, 10.4, 10.0, "forecast_fell", 1),),
    )
    book = ready.runtime.compliance.book
    ready.runtime.compliance._file.book = replace(book, recent=(day, *book.recent))
    text = _text(ready)
    assert "Yesterday went over by 0.40 kWh" in text
    assert "The forecast fell" in text
    assert "A safety margin of 0.9 kWh instead of 0.5 kWh" in text
    assert "for 0.4 kWh less of export" in text
    await ready.advance(11)
    assert ready.entity("compliance_yesterday") == "Over"
    (told,) = ready.attributes("compliance_yesterday")["explanations"]
    assert "A larger safety margin" in told
    assert float(ready.entity("suggested_margin")) == 0.9


async def test_it_says_what_is_wrong_now(ready: House) -> None:
    coordinator = ready.runtime.coordinator
    coordinator.set_error_state(ErrorState.START_FAILED, "for a test")
    assert "Something is wrong now: Discharge Start Failed." in _text(ready)
    for _ in range(5):
        coordinator.circuits[1].record_failure()
    text = _text(ready)
    assert "circuit breaker is open" in text
    assert "worse than they could: 1" in text
    coordinator.circuits[1].reset()
    coordinator.clear_error_state()
    ready.hide(*ready.home.states())
    await ready.advance(45)
    coordinator.clear_error_state()
    assert "readings are old" in _text(ready)
