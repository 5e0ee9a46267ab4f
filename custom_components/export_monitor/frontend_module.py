"""Serves the card and the dashboard strategy to Home Assistant's frontend."""

from hashlib import sha256
from pathlib import Path
from typing import Final

from homeassistant.components.frontend import add_extra_js_url
from homeassistant.components.http import StaticPathConfig  # type: ignore[attr-defined]  # newest end
from homeassistant.core import HomeAssistant

from .const import DOMAIN

FOLDER: Final = Path(__file__).parent / "frontend"
MODULE: Final = "export-monitor.js"


def _fingerprint() -> str:
    """Return what changes when a file of the module does."""
    digest = sha256()
    for path in sorted(FOLDER.rglob("*.js")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]


async def async_offer_frontend(hass: HomeAssistant) -> None:
    """Let every browser load the module; without a frontend there is nothing to do.

    The fingerprint is part of the path, so that the files the module imports are renewed with it:
    browsers keep them for a month.
    """
    if not {"frontend", "http"} <= hass.config.components:
        return
    path = f"/{DOMAIN}_frontend/{await hass.async_add_executor_job(_fingerprint)}"
    await hass.http.async_register_static_paths(
        [StaticPathConfig(path, str(FOLDER), cache_headers=True)]
    )
    add_extra_js_url(hass, f"{path}/{MODULE}")
