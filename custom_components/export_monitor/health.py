"""The sensors that speak of the integration itself: there when nothing else is."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import override

from homeassistant.components.sensor import (
    SensorDeviceClass,
    SensorEntity,
    SensorEntityDescription,
    SensorStateClass,
)
from homeassistant.const import EntityCategory, UnitOfTime
from homeassistant.util import dt as dt_util

from .coordinator import (
    AGE_NORMAL_S,
    ExportMonitorConfigEntry,
    ExportMonitorCoordinator,
    SystemHealth,
)
from .entity import Attributes, ExportMonitorEntity, Value
from .models import ErrorState

RECENT_ERRORS = 20
AGE_REFRESH_S = 60.0
COUNTS_REFRESH_S = 3600.0


@dataclass(frozen=True, kw_only=True)
class HealthSensor(SensorEntityDescription):
    """A sensor of the coordinator itself, available from the first second."""

    value_fn: Callable[[ExportMonitorCoordinator], Value]
    attributes_fn: Callable[[ExportMonitorCoordinator], Attributes]
    live_attributes: frozenset[str] = frozenset()
    """Attributes that move all the time: shown with the next write, never a cause of one."""


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

STATISTICS = HealthSensor(
    key="statistics",
    translation_key="statistics",
    state_class=SensorStateClass.TOTAL_INCREASING,
    entity_category=EntityCategory.DIAGNOSTIC,
    value_fn=lambda coordinator: coordinator.resilience.operations,
    attributes_fn=lambda coordinator: {"resilience": coordinator.resilience.report()},
)


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


class StatisticsEntity(HealthEntity):
    """Guarded service calls so far, and all that is counted besides.

    Reads are counted at every poll, which is no reason to write: a call, a failure of a circuit or
    its change of state is, and the hour, so that no count shown is older than that.
    """

    _unrecorded_attributes = frozenset({"resilience"})

    @override
    def facts(self) -> object:
        circuits = self.coordinator.resilience.circuits.values()
        return (
            self.native_value,
            tuple((each.state, each.total_failures) for each in circuits),
            dt_util.utcnow().timestamp() // COUNTS_REFRESH_S,
        )
