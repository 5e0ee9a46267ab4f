"""A stand-in for the Solcast integration: same entities, fed by the simulator."""

from __future__ import annotations

from typing import TYPE_CHECKING

from homeassistant.const import CONF_URL, Platform
import homeassistant.helpers.config_validation as cv
from homeassistant.helpers.discovery import async_load_platform
import voluptuous as vol

if TYPE_CHECKING:
    from homeassistant.core import HomeAssistant
    from homeassistant.helpers.typing import ConfigType

DOMAIN = "solcast_solar"

CONFIG_SCHEMA = vol.Schema(
    {DOMAIN: vol.Schema({vol.Required(CONF_URL): cv.url})}, extra=vol.ALLOW_EXTRA
)


async def async_setup(hass: HomeAssistant, config: ConfigType) -> bool:
    """Set up from YAML."""
    hass.async_create_task(
        async_load_platform(hass, Platform.SENSOR, DOMAIN, dict(config[DOMAIN]), config)
    )
    return True
