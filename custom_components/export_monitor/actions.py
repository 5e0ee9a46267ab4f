"""What people can ask for, from a service or a button; the one place where errors get words."""

from datetime import date
from enum import StrEnum
import logging

from homeassistant.core import HomeAssistant
from homeassistant.exceptions import HomeAssistantError, ServiceValidationError
from homeassistant.util.json import JsonValueType

from .const import DOMAIN
from .coordinator import Runtime
from .engine.accounting import watts
from .engine.modes import FULL_SOC
from .engine.start import start_error
from .engine.state import Answer, Reply
from .ledger import Kept, figures, kept, summary, table
from .models import Kind, Session
from .settings import merged, settings_of

_LOGGER = logging.getLogger(__name__)

ALL_CIRCUITS = "all"
WATT_MINUTES = 60_000.0  # in a kWh
SLOWER = 1.5  # losses, the house's share, and a capacity that was entered too small
TAPER_MIN = 30.0

type Response = dict[str, JsonValueType]


class ReportFormat(StrEnum):
    """In which form the record is asked for."""

    SUMMARY = "summary"
    DAYS = "days"
    CSV = "csv"


async def start(
    runtime: Runtime,
    *,
    kind: Kind = Kind.DISCHARGE,
    power_w: float | None = None,
    energy_kwh: float | None = None,
    duration_min: float | None = None,
) -> Response:
    """Start a discharge or a charge and return its session.

    Each limit only lowers what is allowed. Raises ServiceValidationError for a refusal that the
    user can act on, HomeAssistantError for a failure; nothing runs after either.
    """
    if kind is Kind.CHARGE and duration_min is None:
        duration_min = _longest_charge_min(runtime, power_w)
    reply = await runtime.control.start(
        kind=kind, power_w=power_w, energy_kwh=energy_kwh, duration_min=duration_min
    )
    if reply.answer is Answer.REFUSED and reply.blocker is not None:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key=f"refused_{reply.blocker}",
            translation_placeholders={"detail": reply.detail},
        )
    if reply.answer is Answer.CANCELLED:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="start_cancelled")
    if reply.answer is Answer.FAILED:
        raise HomeAssistantError(
            translation_domain=DOMAIN,
            translation_key=f"failed_{reply.error or start_error(kind)}",
            translation_placeholders={"detail": reply.detail},
        )
    return _session(reply)


def _longest_charge_min(runtime: Runtime, power_w: float | None) -> float | None:
    """Return when (min) a charge that nobody sees the end of is over; None where it is seen.

    Some batteries are full before they show 100 %. Only their power tells that they take no more,
    so without it the charge would be renewed for ever.
    """
    readings = runtime.control.readings
    settings = settings_of(merged(runtime.coordinator.config_entry))
    power = min(settings.charge_power_w, power_w or settings.charge_power_w)
    if readings is None or power <= 0 or readings.soc.value is None:
        return None  # it will be refused
    if watts(readings.battery_power) is not None:
        return None
    missing_kwh = max(0.0, FULL_SOC - readings.soc.value) / 100 * settings.battery_capacity_kwh
    return missing_kwh * WATT_MINUTES / power * SLOWER + TAPER_MIN


async def stop(
    runtime: Runtime, *, kind: Kind = Kind.DISCHARGE, note: str | None = None
) -> Response:
    """Stop whatever runs of ours and return what proved it.

    A discharge is stopped by a stop of either kind, and so is a charge: whoever presses the wrong
    one of two buttons at night means the battery. Where nothing of ours runs, `kind` says which
    switch is turned off.

    Raises HomeAssistantError when the proof is late; the attempts go on all the same.
    """
    reply = await runtime.control.stop(note=note, kind=kind)
    if reply.answer is Answer.UNPROVEN:
        raise HomeAssistantError(translation_domain=DOMAIN, translation_key="stop_unproven")
    return {"stopped": True, "proof": reply.proof, **_session(reply)}


async def calculate(runtime: Runtime) -> Response:
    """Look again and return how much may be exported, and why not."""
    control = runtime.control
    control.observe()
    runtime.coordinator.publish()
    decision = control.state.decision
    if decision is None:  # an observation always decides
        raise RuntimeError
    reason = runtime.coordinator.data.blocker
    _LOGGER.debug(
        "Calculated duration: %.1f min (headroom: %.3f kWh, target: %.0f W)",
        decision.duration_min,
        decision.headroom,
        decision.power_w,
    )
    return {
        "headroom_kwh": round(decision.headroom, 3),
        "allowance_kwh": round(decision.allowance, 3),
        "contract_kwh": round(decision.contract, 3),
        "exported_kwh": round(decision.exported, 3),
        "generated_kwh": round(decision.generated, 3),
        "basis": decision.basis.value,
        "power_w": decision.power_w,
        "duration_minutes": round(decision.duration_min, 1),
        "can_start": reason is None,
        "why_not": None if reason is None else reason.value,
    }


async def reset_circuits(runtime: Runtime, name: str = ALL_CIRCUITS) -> None:
    """Close one circuit, or all. Raises ServiceValidationError for a name that is none."""
    coordinator = runtime.coordinator
    circuits = coordinator.resilience.circuits
    if name not in (ALL_CIRCUITS, *circuits):
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="circuit_not_found",
            translation_placeholders={
                "circuit": name,
                "known": ", ".join((ALL_CIRCUITS, *circuits)),
            },
        )
    for circuit in circuits.values() if name == ALL_CIRCUITS else (circuits[name],):
        circuit.reset()
    await coordinator.async_refresh()
    coordinator.publish()  # the data may be what it was: the circuits are not


async def statistics(runtime: Runtime) -> Response:
    """Return everything that is counted, and the last errors, the newest last."""
    coordinator = runtime.coordinator
    return {
        "operations": coordinator.resilience.operations,
        "resilience": coordinator.resilience.report(),
        "errors": [
            {"state": past.state.value, "at": past.at.isoformat(), "detail": past.detail}
            for past in coordinator.control.errors.history
        ],
    }


async def report(
    hass: HomeAssistant,
    runtime: Runtime,
    start: date | None,
    end: date | None,
    form: ReportFormat,
) -> Response:
    """Return the record of a span of days, of all days where it is open.

    Raises ServiceValidationError for a span that ends before it begins.
    """
    if start is not None and end is not None and end < start:
        raise ServiceValidationError(
            translation_domain=DOMAIN,
            translation_key="invalid_span",
            translation_placeholders={"start": start.isoformat(), "end": end.isoformat()},
        )
    compliance = runtime.compliance
    found = await hass.async_add_executor_job(kept, compliance.book, start, end)
    if form is ReportFormat.CSV:
        return {"csv": await hass.async_add_executor_job(table, found)}
    if form is ReportFormat.DAYS:
        return await hass.async_add_executor_job(_days, found)
    return {"summary": await hass.async_add_executor_job(summary, found)}


def _days(found: Kept) -> Response:
    return {
        "days": [figures(day, found.looked) for day in found.days],
        "days_without_record": list(found.missing),
    }


async def emergency_alert(runtime: Runtime, *, message: str, severity: str) -> Response:
    """Tell everybody something; return what came of it by channel."""
    delivery = await runtime.alerts.emergency(message, severity)
    runtime.coordinator.publish()  # it was an operation
    return {"delivery": dict(delivery)}


def _session(reply: Reply) -> Response:
    session: Session | None = reply.session
    if session is None:
        return {"session_id": None}
    return {
        "session_id": session.id,
        "kind": session.kind.value,
        "started": session.started.isoformat(),
        "power_w": session.power_w,
        "cutoff_soc": session.cutoff_soc,
        "exported_kwh": round(session.exported_kwh, 3),
        "charged_kwh": round(session.charged_kwh, 3),
        "reason": None if session.reason is None else session.reason.value,
    }
