"""Switches: what starts by itself, and whether anything starts at all."""

from dataclasses import dataclass
from typing import Any, override

from homeassistant.components.switch import SwitchEntity, SwitchEntityDescription
from homeassistant.const import EntityCategory
from homeassistant.core import HomeAssistant
from homeassistant.exceptions import ServiceValidationError
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import const
from .coordinator import ExportMonitorConfigEntry
from .entity import ExportMonitorEntity
from .inputs.wiring import charge_switch_of
from .settings import merged, option_flag

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class OptionSwitch(SwitchEntityDescription):
    """A switch that is an option of the entry."""

    option: str
    charges: bool = False
    """Can do nothing without the controls of a charge."""


SWITCHES: tuple[OptionSwitch, ...] = (
    OptionSwitch(
        key="enable_auto_discharge",
        translation_key="enable_auto_discharge",
        option=const.CONF_AUTO_DISCHARGE,
    ),
    OptionSwitch(
        key="enable_auto_charge",
        translation_key="enable_auto_charge",
        option=const.CONF_AUTO_CHARGE,
        charges=True,
    ),
    OptionSwitch(
        key="dry_run",
        translation_key="dry_run",
        option=const.CONF_DRY_RUN,
        entity_category=EntityCategory.CONFIG,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the switches of one entry."""
    del hass
    async_add_entities(OptionSwitchEntity(entry, description) for description in SWITCHES)


class OptionSwitchEntity(ExportMonitorEntity, SwitchEntity):
    """Shows and sets one option; the next decision uses it."""

    entity_description: OptionSwitch

    def __init__(self, entry: ExportMonitorConfigEntry, description: OptionSwitch) -> None:
        """Bind the description."""
        super().__init__(entry, "switch", description)
        self._entry = entry

    @property
    @override
    def is_on(self) -> bool:
        return option_flag(merged(self._entry), self.entity_description.option)

    @override
    async def async_turn_on(self, **kwargs: Any) -> None:
        if self.entity_description.charges and not charge_switch_of(merged(self._entry)):
            raise ServiceValidationError(
                translation_domain=const.DOMAIN, translation_key="auto_charge_without_control"
            )
        self._set(on=True)

    @override
    async def async_turn_off(self, **kwargs: Any) -> None:
        self._set(on=False)

    def _set(self, *, on: bool) -> None:
        self.hass.config_entries.async_update_entry(
            self._entry, options={**self._entry.options, self.entity_description.option: on}
        )
