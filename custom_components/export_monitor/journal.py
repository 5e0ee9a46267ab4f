"""The log lines of a session; each carries its id."""

import logging

from .engine.headroom import duration_minutes
from .engine.state import Answer, Reply
from .models import Blocker, Decision, Kind, Session

_LOGGER = logging.getLogger(__name__)


def log_answer(answer: Reply, decision: Decision | None, data_age_s: float | None) -> None:
    """Log a start, or its refusal for old data."""
    session = answer.session
    if answer.answer is Answer.STARTED and session is not None and session.kind is Kind.CHARGE:
        limit = session.energy_limit_kwh
        _LOGGER.info(
            "[%s] Started charge: %.3f kW (cutoff SOC: %.0f%%, target: %s)",
            session.id,
            session.power_w / 1000,
            session.cutoff_soc,
            "full" if limit is None else f"{limit:.3f} kWh",
        )
    elif answer.answer is Answer.STARTED and session is not None and decision is not None:
        target = decision.headroom
        if session.energy_limit_kwh is not None:
            target = min(target, session.energy_limit_kwh)
        _LOGGER.info(
            "[%s] Started discharge: %.3f kW for %.1f min (cutoff SOC: %.0f%%, target: %.3f kWh)",
            session.id,
            session.power_w / 1000,
            duration_minutes(target, session.power_w),
            session.cutoff_soc,
            target,
        )
    elif answer.blocker is Blocker.STALE_DATA:
        age = "never" if data_age_s is None else f"{data_age_s:.0f} s ago"
        _LOGGER.error("Start refused: data is old, the last good look was %s", age)


def log_end(session: Session) -> None:
    """Log the proven end of a session."""
    charges = session.kind is Kind.CHARGE
    _LOGGER.info(
        "[%s] Stopped %s: %s, %.3f kWh %s, proven by %s",
        session.id,
        session.kind,
        session.reason,
        session.charged_kwh if charges else session.exported_kwh,
        "taken from the grid" if charges else "exported",
        session.proof,
    )
