"""The log lines of a session; each carries its id."""

import logging

from .engine.headroom import duration_minutes
from .engine.state import Answer, Reply
from .models import Blocker, Decision, Session

_LOGGER = logging.getLogger(__name__)


def log_answer(answer: Reply, decision: Decision | None, data_age_s: float | None) -> None:
    """Log a start, or its refusal for old data."""
    session = answer.session
    if answer.answer is Answer.STARTED and session is not None and decision is not None:
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
    _LOGGER.info(
        "[%s] Stopped discharge: %s, %.3f kWh exported, proven by %s",
        session.id,
        session.reason,
        session.exported_kwh,
        session.proof,
    )
