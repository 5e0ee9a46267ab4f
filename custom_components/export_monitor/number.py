"""Numbers: the three settings that people change from a dashboard."""

from dataclasses import dataclass
from typing import override

from homeassistant.components.number import (
    NumberDeviceClass,
    NumberEntity,
    NumberEntityDescription,
    NumberMode,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfEnergy, UnitOfPower
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import const
from .coordinator import ExportMonitorConfigEntry
from .entity import ExportMonitorEntity
from .settings import option_number

PARALLEL_UPDATES = 1


@dataclass(frozen=True, kw_only=True)
class OptionNumber(NumberEntityDescription):
    """A number that is an option of the entry."""

    option: str


NUMBERS: tuple[OptionNumber, ...] = (
    OptionNumber(
        key="target_export",
        translation_key="target_export",
        option=const.CONF_TARGET_EXPORT,
        device_class=NumberDeviceClass.POWER,
        native_unit_of_measurement=UnitOfPower.WATT,
        native_min_value=0,
        native_max_value=20_000,
        native_step=50,
    ),
    OptionNumber(
        key="min_soc",
        translation_key="minimum_soc",
        option=const.CONF_MIN_SOC,
        native_unit_of_measurement=PERCENTAGE,
        native_min_value=0,
        native_max_value=100,
        native_step=1,
        entity_category=EntityCategory.CONFIG,
    ),
    OptionNumber(
        key="safety_margin",
        translation_key="safety_margin",
        option=const.CONF_SAFETY_MARGIN,
        device_class=NumberDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        native_min_value=0,
        native_max_value=20,
        native_step=0.1,
        entity_category=EntityCategory.CONFIG,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the numbers of one entry."""
    del hass
    async_add_entities(OptionNumberEntity(entry, description) for description in NUMBERS)


class OptionNumberEntity(ExportMonitorEntity, NumberEntity):
    """Shows and sets one option; the next decision uses it."""

    entity_description: OptionNumber
    _attr_mode = NumberMode.BOX  # a slider hides its value in a narrow column

    def __init__(self, entry: ExportMonitorConfigEntry, description: OptionNumber) -> None:
        """Bind the description."""
        super().__init__(entry, "number", description)
        self._entry = entry

    @property
    @override
    def native_value(self) -> float:
        option = self.entity_description.option
        config = self._entry.options if option in self._entry.options else self._entry.data
        return option_number(config, option)

    @override
    async def async_set_native_value(self, value: float) -> None:
        self.hass.config_entries.async_update_entry(
            self._entry, options={**self._entry.options, self.entity_description.option: value}
        )
