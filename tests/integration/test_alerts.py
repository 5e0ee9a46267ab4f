"""Notifications: each with entity, meaning and steps, in the house's language, gone by itself."""

import pytest

from custom_components.export_monitor.alerts import NOTICES
from custom_components.export_monitor.models import ErrorState
from tests.integration.conftest import Build
from tests.integration.house import House

SILENT = {ErrorState.NONE, ErrorState.MODE_CONFLICT}


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("error", sorted(set(ErrorState) - SILENT))
async def test_every_error_says_what_happened_and_what_to_do(
    build: Build, error: ErrorState, language: str
) -> None:
    house = build()
    house.hass.config.language = language
    await house.set_up()
    name = NOTICES[error].name
    house.runtime.coordinator.set_error_state(error, "the detail")
    text = house.notification(name) or ""
    assert "the detail" in text
    assert "{" not in text
    assert "1. " in text
    assert "2. " in text
    shown = house.hass.data["persistent_notification"][f"export_monitor_{name}"]
    assert shown["title"] not in ("", name)
    assert (house.issue(name) is not None) is NOTICES[error].critical
    house.runtime.coordinator.clear_error_state(error)
    assert house.notification(name) is None
    assert house.issue(name) is None


async def test_texts_differ_by_language(build: Build) -> None:
    house = build()
    house.hass.config.language = "de"
    await house.set_up()
    house.runtime.coordinator.set_error_state(ErrorState.NO_DATA)
    german = house.notification("no_data")
    house.hass.config.language = "en"
    assert await house.hass.config_entries.async_reload(house.entry.entry_id)
    await house.settle()
    house.runtime.coordinator.set_error_state(ErrorState.NO_DATA)
    assert german != house.notification("no_data")


async def test_a_mode_conflict_is_told_to_the_caller_only(ready: House) -> None:
    ready.runtime.coordinator.set_error_state(ErrorState.MODE_CONFLICT)
    assert ready.entity("error_state") == "mode_conflict"
    assert not ready.hass.data.get("persistent_notification")


async def test_a_user_who_dismisses_a_notification_keeps_the_error(ready: House) -> None:
    coordinator = ready.runtime.coordinator
    coordinator.set_error_state(ErrorState.OVER_EXPORT)
    data = {"notification_id": "export_monitor_over_export"}
    ready.hass.data["persistent_notification"].pop(data["notification_id"])
    assert ready.entity("error_state") == "over_export"
    coordinator.clear_error_state(ErrorState.OVER_EXPORT)
    assert ready.entity("error_state") == "none"
