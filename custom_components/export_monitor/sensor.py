"""Sensors: what may be exported and what is going on, and those of `health`."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, UnitOfEnergy, UnitOfPower, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback

from . import const
from .compliance_sensors import COMPLIANCE_SENSORS, ComplianceEntity
from .coordinator import DischargeStatus, ExportMonitorConfigEntry, Snapshot
from .entity import Attributes, ExportMonitorEntity, Value
from .health import (
    HEALTH_SENSORS,
    STALENESS,
    STATISTICS,
    HealthEntity,
    StalenessEntity,
    StatisticsEntity,
)
from .models import Decision, PeriodKind
from .plan_sensors import PLAN_SENSORS, PlanEntity
from .settings import merged

PARALLEL_UPDATES = 0


@dataclass(frozen=True, kw_only=True)
class SnapshotSensor(SensorEntityDescription):
    """A sensor of the snapshot; without a value of its own it is unavailable."""

    value_fn: Callable[[Snapshot], Value]
    attributes_fn: Callable[[Snapshot], Attributes] = lambda _: {}
    needs: str | None = None
    """The role without which there is nothing to show."""


def _decided(value: Callable[[Decision], Value]) -> Callable[[Snapshot], Value]:
    """Read a decision where there is one."""
    return lambda snapshot: None if snapshot.decision is None else value(snapshot.decision)


def _headroom_attributes(snapshot: Snapshot) -> Attributes:
    decision = snapshot.decision
    if decision is None:
        return {}
    return {
        "basis": decision.basis.value,
        "contract": round(decision.contract, 2),
        "generated": round(decision.generated, 2),
        "natural_export": round(decision.natural, 2),
        "natural_export_known": decision.natural_known,
        "forecast_cached_since": snapshot.forecast_cached_since,
        "blocker": snapshot.blocker,
    }


def _session_attributes(snapshot: Snapshot) -> Attributes:
    starts = {"blocker": snapshot.blocker, "charge_blocker": snapshot.charge_blocker}
    session = snapshot.session
    if session is None:
        return starts
    return {
        **starts,
        "session_id": session.id,
        "kind": session.kind.value,
        "origin": session.origin.value,
        "started": session.started,
        "ended": session.ended,
        "reason": session.reason,
        "power": session.power_w,
        "exported": round(session.exported_kwh, 2),
        "charged": round(session.charged_kwh, 2),
        "note": session.note,
        "proof": session.proof,
    }


def _needed(snapshot: Snapshot) -> Value:
    if snapshot.decision is None:
        return None
    wanted = snapshot.status in (DischargeStatus.NEEDED, DischargeStatus.ACTIVE)
    return snapshot.decision.power_w if wanted else 0.0


def _carbon_attributes(snapshot: Snapshot) -> Attributes:
    carbon = snapshot.carbon
    return {
        "until": None if carbon is None else carbon.end,
        "cached_since": snapshot.carbon_cached_since,
    }


def _reserve(snapshot: Snapshot) -> Value:
    return None if snapshot.reserve is None else snapshot.reserve.value


def _reserve_status(snapshot: Snapshot) -> Value:
    if snapshot.reserve is None:
        return "Not Monitored"
    if snapshot.reserve.value is None or snapshot.soc is None:
        return None
    return "Above Reserve" if snapshot.soc > snapshot.reserve.value else "At Reserve"


SENSORS: tuple[SnapshotSensor, ...] = (
    SnapshotSensor(
        key="export_headroom",
        translation_key="export_headroom",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        value_fn=_decided(lambda d: round(d.headroom, 2)),
        attributes_fn=_headroom_attributes,
    ),
    SnapshotSensor(
        key="export_allowed",
        translation_key="export_allowed",
        device_class=SensorDeviceClass.ENERGY_STORAGE,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        value_fn=_decided(lambda d: round(d.allowance, 2)),
    ),
    SnapshotSensor(
        key="exported_today",
        translation_key="exported_today",
        device_class=SensorDeviceClass.ENERGY,
        state_class=SensorStateClass.TOTAL_INCREASING,
        native_unit_of_measurement=UnitOfEnergy.KILO_WATT_HOUR,
        suggested_display_precision=2,
        value_fn=_decided(lambda d: round(d.exported, 2)),
    ),
    SnapshotSensor(
        key="discharge_needed",
        translation_key="discharge_needed",
        device_class=SensorDeviceClass.POWER,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfPower.WATT,
        suggested_display_precision=0,
        value_fn=_needed,
    ),
    SnapshotSensor(
        key="discharge_status",
        translation_key="discharge_status",
        device_class=SensorDeviceClass.ENUM,
        options=[status.value for status in DischargeStatus],
        value_fn=lambda snapshot: snapshot.status.value,
        attributes_fn=_session_attributes,
    ),
    SnapshotSensor(
        key="calculated_duration",
        translation_key="calculated_duration",
        device_class=SensorDeviceClass.DURATION,
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=UnitOfTime.MINUTES,
        suggested_display_precision=1,
        value_fn=_decided(lambda d: round(d.duration_min, 1)),
    ),
    SnapshotSensor(
        key="current_ci_value",  # of 1.x, for its history
        translation_key="current_carbon_intensity",
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement="gCO2/kWh",
        suggested_display_precision=0,
        needs=const.CONF_CARBON,
        value_fn=lambda snapshot: None if snapshot.carbon is None else snapshot.carbon.value,
        attributes_fn=_carbon_attributes,
    ),
    SnapshotSensor(
        key="current_ci_index",
        translation_key="current_carbon_intensity_index",
        needs=const.CONF_CARBON,
        value_fn=lambda snapshot: snapshot.carbon_index,
    ),
    SnapshotSensor(
        key="reserve_soc_target",
        translation_key="reserve_soc_target",
        state_class=SensorStateClass.MEASUREMENT,
        native_unit_of_measurement=PERCENTAGE,
        suggested_display_precision=0,
        entity_registry_enabled_default=False,
        value_fn=_reserve,
    ),
    SnapshotSensor(
        key="reserve_soc_status",
        translation_key="reserve_soc_status",
        entity_registry_enabled_default=False,
        value_fn=_reserve_status,
    ),
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of one entry."""
    del hass
    config = merged(entry)
    async_add_entities(
        [
            *(HealthEntity(entry, description) for description in HEALTH_SENSORS),
            StalenessEntity(entry, STALENESS),
            StatisticsEntity(entry, STATISTICS),
            *(PlanEntity(entry, description) for description in PLAN_SENSORS),
            *(
                ComplianceEntity(entry, description)
                for description in COMPLIANCE_SENSORS
                if not description.needs or any(config.get(key) for key in description.needs)
            ),
            *(
                SnapshotEntity(entry, description)
                for description in SENSORS
                if description.needs is None or config.get(description.needs)
            ),
        ]
    )


class SnapshotEntity(ExportMonitorEntity, SensorEntity):
    """A figure that exists only while the data behind it does."""

    entity_description: SnapshotSensor

    def __init__(self, entry: ExportMonitorConfigEntry, description: SnapshotSensor) -> None:
        """Bind the description."""
        super().__init__(entry, "sensor", description)

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value_fn(self.coordinator.data)

    @property
    @override
    def state_class(self) -> SensorStateClass | None:
        usual = self.entity_description.state_class
        period = merged(self.coordinator.config_entry).get(const.CONF_PERIOD)
        if usual is SensorStateClass.TOTAL_INCREASING and period == PeriodKind.ROLLING_24H:
            return SensorStateClass.TOTAL  # what leaves the 24 hours is no meter that began anew
        return usual

    @property
    @override
    def available(self) -> bool:
        return self.native_value is not None

    @property
    @override
    def extra_state_attributes(self) -> Attributes:
        return self.entity_description.attributes_fn(self.coordinator.data)

    @override
    def facts(self) -> object:
        return (self.native_value, self.extra_state_attributes)
