"""A house that plans: carbon intensities ahead, and the planner's switches."""

from datetime import datetime, timedelta
from typing import Any

from homeassistant.core import HomeAssistant

from custom_components.export_monitor import const

CARBON = "sensor.carbon_intensity_forecast"
HALF_HOUR = timedelta(minutes=30)
WITH_CARBON: dict[str, Any] = {const.CONF_CARBON: CARBON}


def show_carbon(
    hass: HomeAssistant, start: datetime, *values: float, rest: float = 100, hours: int = 48
) -> None:
    """Show the intensities of the half hours from `start` on; `rest` is that of all others."""
    midnight = start.replace(hour=0, minute=0)
    rows = []
    for number in range(2 * hours):
        begin = midnight + number * HALF_HOUR
        place = round((begin - start) / HALF_HOUR)
        value = values[place] if 0 <= place < len(values) else rest
        rows.append(
            {
                "from": begin.isoformat(),
                "to": (begin + HALF_HOUR).isoformat(),
                "intensity": value,
            }
        )
    hass.states.async_set(CARBON, str(rest), {"forecast": rows})
