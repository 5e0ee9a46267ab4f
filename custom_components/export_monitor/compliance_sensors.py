"""Sensors of the record: what statistics keep of it, yesterday in one word, and the margin."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfEnergy, UnitOfMass, UnitOfPower

from . import const, phrases
from .compliance import Compliance
from .coordinator import ExportMonitorConfigEntry
from .entity import Attributes, ExportMonitorEntity, Value
from .ledger import Day, figures
from .ledger.report import margin, status

PRICES = (const.CONF_EXPORT_PRICES, const.CONF_EXPORT_PRICE, const.CONF_NORD_POOL)
LISTS = ("date", "status", "sessions", "refusals", "breaches", "corrections")


class Verdict(StrEnum):
    """States of `sensor.export_monitor_compliance_yesterday`."""

    INSIDE = "Inside"
    OVER = "Over"
    NO_CONTRACT = "No Contract"
    NO_RECORD = "No Record"


@dataclass(frozen=True, kw_only=True)
class ComplianceSensor(SensorEntityDescription):
    """A sensor of the record; without a value it is unavailable."""

    value_fn: Callable[[Compliance], Value]
    attributes_fn: Callable[[Compliance], Attributes] = lambda _: {}
    needs: tuple[str, ...] = ()
    """Roles of which one must be configured."""


def _of_today(value: Callable[[Day], float | None]) -> Callable[[Compliance], Value]:
    def read(compliance: Compliance) -> Value:
        found = None if compliance.today is None else value(compliance.today)
        return None if found is None else round(found, 3)

    return read


def _verdict(compliance: Compliance) -> Value:
    day = compliance.yesterday
    return Verdict.NO_RECORD if day is None else Verdict[status(day).upper()].value


def _yesterday(compliance: Compliance) -> Attributes:
    day = compliance.yesterday
    if day is None:
        return {}
    sums = {key: value for key, value in figures(day).items() if key not in LISTS}
    return {
        "date": day.date,
        **sums,
        "sessions": len(day.sessions),
        "refusals": sum(each.count for each in day.refusals),
        "breaches": [each.cause for each in day.breaches],
        "corrected": [each.why.value for each in day.corrections],
    }


def _margin(compliance: Compliance) -> Value:
    advice = compliance.advice
    return None if advice.needed is None else round(advice.suggestion, 2)


COMPLIANCE_SENSORS: tuple[ComplianceSensor, ...] = (
    ComplianceSensor(
        key="generated_today",
        translation_key="generated_today",
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        value_fn=_of_today(lambda day: day.generated),
    ),
    ComplianceSensor(
        key="deliberate_export_today",
        translation_key="deliberate_export_today",
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        value_fn=_of_today(lambda day: day.deliberate),
    ),
    ComplianceSensor(
        key="peak_export_today",
        translation_key="peak_export_today",
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_display_precision=0,
        value_fn=_of_today(lambda day: day.peak_w),
        needs=(const.CONF_GRID_POWER,),
    ),
    ComplianceSensor(
        key="compliance_yesterday",
        translation_key="compliance_yesterday",
        device_class=SensorDeviceClass.ENUM,
        options=[each.value for each in Verdict],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_verdict,
        attributes_fn=_yesterday,
    ),
    ComplianceSensor(
        key="suggested_margin",
        translation_key="suggested_margin",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=1,
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=_margin,
        attributes_fn=lambda compliance: margin(compliance.advice),
    ),
    ComplianceSensor(
        key="carbon_saved",
        translation_key="carbon_saved",
        device_class=SensorDeviceClass.WEIGHT,
        state_class=SensorStateClass.TOTAL,
        native_unit_of_measurement=UnitOfMass.KILOGRAMS,
        suggested_display_precision=2,
        value_fn=lambda compliance: round(compliance.book.marks.carbon_kg, 3),
        needs=(const.CONF_CARBON,),
    ),
    ComplianceSensor(
        key="export_earnings",
        translation_key="export_earnings",
        device_class=SensorDeviceClass.MONETARY,
        state_class=SensorStateClass.TOTAL,
        suggested_display_precision=2,
        value_fn=lambda compliance: round(compliance.book.marks.money, 3),
        needs=PRICES,
    ),
)


class ComplianceEntity(ExportMonitorEntity, SensorEntity):
    """Shows a figure of the record."""

    entity_description: ComplianceSensor

    def __init__(self, entry: ExportMonitorConfigEntry, description: ComplianceSensor) -> None:
        """Bind the description and the record."""
        super().__init__(entry, "sensor", description)
        self._compliance = entry.runtime_data.compliance

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value_fn(self._compliance)

    @property
    @override
    def native_unit_of_measurement(self) -> str | None:
        if self.entity_description.device_class is SensorDeviceClass.MONETARY:
            return self.hass.config.currency
        return self.entity_description.native_unit_of_measurement

    @property
    @override
    def available(self) -> bool:
        return self.native_value is not None

    @property
    @override
    def extra_state_attributes(self) -> Attributes:
        found = dict(self.entity_description.attributes_fn(self._compliance))
        day = self._compliance.yesterday
        if "breaches" in found and day is not None:
            found["explanations"] = [phrases.breach(self.hass, each.cause) for each in day.breaches]
        return found

    @override
    def facts(self) -> object:
        return (self.native_value, self.extra_state_attributes)
