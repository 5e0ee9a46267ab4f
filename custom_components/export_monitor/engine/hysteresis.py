"""What holds an automatic start back but not a person's."""

from ..models import Blocker, Decision, Kind, Origin
from .state import StartRequested, State

SOC_BAND = 2.0  # % above the floor; without it a session at a window's end begins and ends for ever


def reluctance(state: State, event: StartRequested, decision: Decision) -> Blocker | None:
    """Return why nothing is started although nothing is in its way; dry run comes last."""
    observation = event.observation
    if event.origin is Origin.AUTOMATIC:
        if observation.now.mono < state.cooldown_until:
            return Blocker.COOLDOWN
        soc = observation.readings.soc.value or 0.0
        if event.kind is Kind.DISCHARGE and soc < decision.floor_soc + SOC_BAND:
            return Blocker.SOC_NEAR_FLOOR
    return Blocker.DRY_RUN if observation.settings.dry_run else None
