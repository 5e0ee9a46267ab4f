"""What power a session should have: to begin with, and to finish on time."""

from math import floor

from ..models import Observation, Session, Settings
from .accounting import watts
from .counter import JOULES_PER_KWH

LEAST_W = 300.0  # a battery that gives less loses much of it; the planner's smallest power
ON_TIME_S = 30.0  # done a little early: a window's end is no place for the last Wh
ROUNDING = 1e-6


def first_power(observation: Observation, target_w: float) -> float:
    """Return what to begin with (W): the target, less what the sun exports by itself.

    What the house takes is added when the grid has shown it: not before the battery is seen to
    obey.
    """
    readings, settings = observation.readings, observation.settings
    grid, battery = watts(readings.grid_power), watts(readings.battery_power)
    if grid is None:
        return target_w
    # PV beyond the house, in the battery or in the grid. By itself no battery feeds the grid, so
    # of one that cannot be read what the grid gets is the sun's.
    surplus = max(0.0, -grid - (battery or 0.0))
    return min(target_w, max(settings.power_step_w, stepped(target_w - surplus, settings)))


def paced(session: Session, observation: Observation, target_w: float) -> float:
    """Return the power (W) at which a session of a planned window finishes on time."""
    if session.energy_limit_kwh is None or session.window_end is None:
        return target_w
    seconds = (session.window_end - observation.now.utc).total_seconds() - ON_TIME_S
    left = session.energy_limit_kwh - session.exported_kwh
    if seconds <= 0:
        return target_w
    return min(target_w, max(LEAST_W, left * JOULES_PER_KWH / seconds))


def most_power(settings: Settings, target_w: float) -> float:
    """Return the largest power (W) of the battery: the target where no limit is known."""
    limits = [w for w in (settings.inverter_limit_w, settings.most_power_w) if w > 0]
    return min(limits) if limits else target_w


def stepped(power_w: float, settings: Settings) -> float:
    """Return a power (W) in the battery's own steps, rounded down."""
    step = settings.power_step_w
    return floor(power_w / step + ROUNDING) * step if step > 0 else power_w
