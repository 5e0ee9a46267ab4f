"""What the forms call a role, for whoever speaks of one elsewhere."""

from collections.abc import Mapping
import re

from homeassistant.core import HomeAssistant
from homeassistant.helpers.translation import async_get_cached_translations

from .. import const
from .schema import BATTERY, FORECAST, SECTIONS, SENSORS, Role

STEPS: Mapping[str, tuple[Role, ...]] = {
    "battery": BATTERY,
    "sensors": SENSORS,
    "forecast": FORECAST,
}
ROLES: Mapping[str, Role] = {role.key: role for roles in STEPS.values() for role in roles}


def role_name(hass: HomeAssistant, key: str) -> str:
    """Return what the forms call a role, in the language of this Home Assistant."""
    step = next((name for name, roles in STEPS.items() if ROLES.get(key) in roles), "")
    parts = (part.key for part in SECTIONS.get(step, ()) if key in part.fields)
    branch = f"config.step.{step}" if step else "options.step.alerts"
    branch += "".join(f".sections.{part}" for part in parts)
    texts = async_get_cached_translations(
        hass, hass.config.language, branch.partition(".")[0], const.DOMAIN
    )
    name = texts.get(f"component.{const.DOMAIN}.{branch}.data.{key}", key)
    return re.sub(r"\s*\([^)]*\)$", "", name)  # without "(optional)"
