"""Sensors: health first, then what may be exported and what is going on."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import PERCENTAGE, EntityCategory, UnitOfEnergy, UnitOfPower, UnitOfTime
from homeassistant.core import HomeAssistant
from homeassistant.helpers.entity_platform import AddConfigEntryEntitiesCallback
from homeassistant.util import dt as dt_util

from .coordinator import (
    AGE_NORMAL_S,
    DischargeStatus,
    ExportMonitorConfigEntry,
    ExportMonitorCoordinator,
    Snapshot,
    SystemHealth,
)
from .entity import ExportMonitorEntity
from .models import Decision, ErrorState

PARALLEL_UPDATES = 0
RECENT_ERRORS = 20
AGE_REFRESH_S = 60.0

type Value = str | float | None
type Attributes = Mapping[str, object]


@dataclass(frozen=True, kw_only=True)
class SnapshotSensor(SensorEntityDescription):
    """A sensor of the snapshot; without a value of its own it is unavailable."""

    value_fn: Callable[[Snapshot], Value]
    attributes_fn: Callable[[Snapshot], Attributes] = lambda _: {}


@dataclass(frozen=True, kw_only=True)
class HealthSensor(SensorEntityDescription):
    """A sensor of the coordinator itself, available from the first second."""

    value_fn: Callable[[ExportMonitorCoordinator], Value]
    attributes_fn: Callable[[ExportMonitorCoordinator], Attributes]
    live_attributes: frozenset[str] = frozenset()
    """Attributes that move all the time: shown with the next write, never a cause of one."""


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
        "blocker": decision.blocker,
    }


def _session_attributes(snapshot: Snapshot) -> Attributes:
    session = snapshot.session
    if session is None:
        return {}
    return {
        "session_id": session.id,
        "origin": session.origin.value,
        "started": session.started,
        "ended": session.ended,
        "reason": session.reason,
        "power": session.power_w,
        "exported": round(session.exported_kwh, 2),
        "note": session.note,
        "proof": session.proof,
    }


def _needed(snapshot: Snapshot) -> Value:
    if snapshot.decision is None:
        return None
    wanted = snapshot.status in (DischargeStatus.NEEDED, DischargeStatus.ACTIVE)
    return snapshot.decision.power_w if wanted else 0.0


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
        key="reserve_soc_target",
        translation_key="reserve_soc_target",
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


def _health_attributes(coordinator: ExportMonitorCoordinator) -> Attributes:
    return {
        "error_state": coordinator.get_error_state().value,
        "data_age_seconds": _age(coordinator),
        "circuit_breaker_failures": sum(c.failures for c in coordinator.circuits),
        "discharge_active": coordinator.discharge_active,
    }


def _error_attributes(coordinator: ExportMonitorCoordinator) -> Attributes:
    error, history = coordinator.data.error, coordinator.control.errors.history
    return {
        "since": None if error is None else error.since,
        "detail": None if error is None else error.detail,
        "entity_id": None if error is None else error.entity_id,
        "occurrences": 0 if error is None else error.occurrences,
        "last_errors": [
            {"state": past.state.value, "at": past.at, "detail": past.detail}
            for past in history[-RECENT_ERRORS:]
        ],
    }


def _age(coordinator: ExportMonitorCoordinator) -> float | None:
    age = coordinator.get_data_age()
    return None if age is None else round(age, 1)


def _age_or_uptime(coordinator: ExportMonitorCoordinator) -> float:
    """Return the data's age (s); before the first good update, the time waited for it."""
    age = coordinator.get_data_age()
    return round(coordinator.waiting_s() if age is None else age, 1)


def _age_attributes(coordinator: ExportMonitorCoordinator) -> Attributes:
    ages = coordinator.staleness.source_ages
    return {
        "is_stale": coordinator.is_data_stale(),
        "threshold_seconds": coordinator.staleness.limit_s,
        "source_ages": {source: round(age, 1) for source, age in ages.items()},
    }


def _circuit_attributes(coordinator: ExportMonitorCoordinator) -> Attributes:
    failures: list[datetime] = [
        c.last_failure_utc for c in coordinator.circuits if c.last_failure_utc is not None
    ]
    return {
        "failure_count": sum(c.failures for c in coordinator.circuits),
        "last_failure_time": max(failures, default=None),
        "can_attempt": coordinator.can_attempt_operation(),
    }


HEALTH_SENSORS: tuple[HealthSensor, ...] = (
    HealthSensor(
        key="system_health",
        translation_key="system_health",
        device_class=SensorDeviceClass.ENUM,
        options=[health.value for health in SystemHealth],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.get_system_health().value,
        attributes_fn=_health_attributes,
        live_attributes=frozenset({"data_age_seconds"}),
    ),
    HealthSensor(
        key="error_state",
        translation_key="error_state",
        device_class=SensorDeviceClass.ENUM,
        options=[error.value for error in ErrorState],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: coordinator.get_error_state().value,
        attributes_fn=_error_attributes,
    ),
    HealthSensor(
        key="circuit_breaker_status",
        translation_key="circuit_breaker_status",
        device_class=SensorDeviceClass.ENUM,
        options=["Closed", "Open"],
        entity_category=EntityCategory.DIAGNOSTIC,
        value_fn=lambda coordinator: "Open" if coordinator.is_circuit_breaker_open() else "Closed",
        attributes_fn=_circuit_attributes,
    ),
)

STALENESS = HealthSensor(
    key="data_staleness",
    translation_key="data_staleness",
    device_class=SensorDeviceClass.DURATION,
    native_unit_of_measurement=UnitOfTime.SECONDS,
    suggested_display_precision=1,
    entity_category=EntityCategory.DIAGNOSTIC,
    value_fn=_age_or_uptime,
    attributes_fn=_age_attributes,
)


async def async_setup_entry(
    hass: HomeAssistant,
    entry: ExportMonitorConfigEntry,
    async_add_entities: AddConfigEntryEntitiesCallback,
) -> None:
    """Add the sensors of one entry."""
    del hass
    async_add_entities(
        [
            *(HealthEntity(entry, description) for description in HEALTH_SENSORS),
            StalenessEntity(entry, STALENESS),
            *(SnapshotEntity(entry, description) for description in SENSORS),
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
    def available(self) -> bool:
        return self.native_value is not None

    @property
    @override
    def extra_state_attributes(self) -> Attributes:
        return self.entity_description.attributes_fn(self.coordinator.data)

    @override
    def facts(self) -> object:
        return (self.native_value, self.extra_state_attributes)


class HealthEntity(ExportMonitorEntity, SensorEntity):
    """A statement about the integration itself: there when nothing else is."""

    entity_description: HealthSensor
    _attr_available = True

    def __init__(self, entry: ExportMonitorConfigEntry, description: HealthSensor) -> None:
        """Bind the description."""
        super().__init__(entry, "sensor", description)

    @property
    @override
    def available(self) -> bool:
        return True

    @property
    @override
    def native_value(self) -> Value:
        return self.entity_description.value_fn(self.coordinator)

    @property
    @override
    def extra_state_attributes(self) -> Attributes:
        return self.entity_description.attributes_fn(self.coordinator)

    @override
    def facts(self) -> object:
        live = self.entity_description.live_attributes
        stable = {k: v for k, v in self.extra_state_attributes.items() if k not in live}
        return (self.native_value, stable)


class StalenessEntity(HealthEntity):
    """The age of the data, with a ticker of its own.

    While all is well it is shown once a minute only: the exact age of fresh data tells nobody
    anything, and the recorder would keep every tick of it.
    """

    _unrecorded_attributes = frozenset({"source_ages"})

    @override
    def facts(self) -> object:
        value = self.native_value
        if isinstance(value, float) and value < AGE_NORMAL_S:
            return dt_util.utcnow().timestamp() // AGE_REFRESH_S
        return value
