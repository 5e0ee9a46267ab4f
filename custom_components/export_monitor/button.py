"""Buttons: start, stop, look again, close the circuits."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import override

from homeassistant.components.button import ButtonEntity, ButtonEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from .actions import calculate, reset_circuits, start, stop
from .coordinator import ExportMonitorConfigEntry, Runtime
from .entity import ExportMonitorEntity
from .models import Kind

PARALLEL_UPDATES = 0  # a stop must never wait for another button


@dataclass(frozen=True, kw_only=True)
class ActionButton(ButtonEntityDescription):
    """A button and what it does."""

    press_fn: Callable[[Runtime], Awaitable[object]]


BUTTONS: tuple[ActionButton, ...] = (
    ActionButton(key="start_discharge", translation_key="start_discharge", press_fn=start),
    ActionButton(key="stop_discharge", translation_key="stop_discharge", press_fn=stop),
    # There without controls of a charge too: only a button that can be pressed can say why.
    ActionButton(
        key="start_charge",
        translation_key="start_charge",
        press_fn=partial(start, kind=Kind.CHARGE),
    ),
    ActionButton(
        key="stop_charge", translation_key="stop_charge", press_fn=partial(stop, kind=Kind.CHARGE)
    ),
    ActionButton(
        key="calculate_discharge", translation_key="calculate_discharge", press_fn=calculate
    ),
    ActionButton(
        key="reset_circuit_breakers",
        translation_key="reset_circuit_breakers",
        entity_category=EntityCategory.DIAGNOSTIC,
        press_fn=reset_circuits,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the buttons of one entry."""
    del hass
    async_add_entities(ActionButtonEntity(entry, description) for description in BUTTONS)


class ActionButtonEntity(ExportMonitorEntity, ButtonEntity):
    """Does one thing, and says why where it cannot."""

    entity_description: ActionButton

    def __init__(self, entry: ExportMonitorConfigEntry, description: ActionButton) -> None:
        """Bind the description."""
        super().__init__(entry, "button", description)
        self._runtime = entry.runtime_data

    @property
    @override
    def available(self) -> bool:
        return True

    @override
    async def async_press(self) -> None:
        await self.entity_description.press_fn(self._runtime)
