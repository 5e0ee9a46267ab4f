"""Writes the demo's Home Assistant configuration folder: copies, secrets, one passwordless user."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
import json
from pathlib import Path
import shutil
import subprocess
from typing import TYPE_CHECKING, Any
import uuid
from zoneinfo import ZoneInfo

if TYPE_CHECKING:
    from collections.abc import Mapping

ROOT = Path(__file__).parent.parent
TEMPLATE = Path(__file__).parent / "homeassistant"
INTEGRATION = ROOT / "custom_components" / "export_monitor"

HOST = "127.0.0.1"
# From here on `http:` in YAML is a trial that Home Assistant takes back after five minutes.
_HTTP_IN_STORAGE = (2026, 8)
_ONBOARDING_VERSION = 4


def version_of(python: Path) -> tuple[int, int]:
    """Return the year and month of the Home Assistant in an environment."""
    command = "from importlib.metadata import version; print(version('homeassistant'))"
    done = subprocess.run(  # noqa: S603 - our own arguments
        [str(python), "-c", command], check=True, capture_output=True, text=True
    )
    year, month, *_ = done.stdout.strip().split(".")
    return int(year), int(month)


def prepare(  # noqa: PLR0913 - keywords that belong together only here
    folder: Path,
    *,
    python: Path,
    port: int,
    modbus_port: int,
    simulator_url: str,
    integration: Path | None,
    language: str,
    time_zone: str,
    duration_step_min: int,
) -> None:
    """Write a configuration folder; a user and entries from an earlier run are kept."""
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copytree(
        TEMPLATE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
    )
    link = folder / "custom_components" / "export_monitor"
    link.unlink(missing_ok=True)
    if integration is not None and integration.is_dir():
        link.symlink_to(integration, target_is_directory=True)
    _write_secrets(
        folder,
        {
            "language": language,
            "time_zone": time_zone,
            "longitude": _longitude(time_zone),
            "modbus_host": HOST,
            "modbus_port": modbus_port,
            "simulator_url": simulator_url,
            "duration_step": duration_step_min,
        },
    )
    _listen_on(folder, port, in_storage=version_of(python) >= _HTTP_IN_STORAGE)
    _add_owner(folder, language)


def _longitude(time_zone: str) -> float:
    """Return where (degrees east) the sun keeps the plant's hours: highest at one o'clock.

    Elsewhere Home Assistant would have the sun up while it is night in the plant, and count what
    it cannot see of the PV as its peak.
    """
    offset = datetime.now(ZoneInfo(time_zone)).utcoffset() or timedelta()
    east = (offset.total_seconds() / 3600 - 1) * 15
    return (east + 180) % 360 - 180


def _write_secrets(folder: Path, secrets: Mapping[str, object]) -> None:
    # JSON values are YAML values.
    lines = (f"{key}: {json.dumps(value)}\n" for key, value in secrets.items())
    (folder / "secrets.yaml").write_text("".join(lines))


def _listen_on(folder: Path, port: int, *, in_storage: bool) -> None:
    """Bind to loopback, in the place where this version of Home Assistant wants to read it."""
    if in_storage:
        # Stored settings are taken as they stand: a missing default is an error, not a default.
        server = {
            "server_host": [HOST],
            "server_port": port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": False,
            "ssl_profile": "modern",
            "use_x_frame_options": True,
            "created_at": datetime.now(UTC).isoformat(),
            "error": None,
            "error_message": None,
        }
        data = {"stable": server, "pending": None, "yaml_migration_done": True}
        _store(folder, "http", data, version=2, minor_version=2)
    else:
        package = f"http:\n  server_host: {HOST}\n  server_port: {port}\n"
        (folder / "packages" / "http.yaml").write_text(package)


def _add_owner(folder: Path, language: str) -> None:
    """Add the one user that the trusted network logs in as, unless an earlier run did."""
    if (folder / ".storage" / "auth").exists():
        return
    user = uuid.uuid4().hex
    groups = ("system-admin", "system-users", "system-read-only")
    owner = {
        "id": user,
        "group_ids": ["system-admin"],
        "is_owner": True,
        "is_active": True,
        "name": "Demo",
        "system_generated": False,
        "local_only": False,
    }
    auth: dict[str, Any] = {
        "users": [owner],
        "groups": [{"id": group, "name": group} for group in groups],
        "credentials": [],
        "refresh_tokens": [],
    }
    _store(folder, "auth", auth)
    steps = ["user", "core_config", "analytics", "integration"]
    _store(folder, "onboarding", {"done": steps}, version=_ONBOARDING_VERSION)
    # Times in Home Assistant's zone, not the browser's: in a demo the two often differ.
    look = dict.fromkeys(
        ("number_format", "time_format", "date_format", "first_weekday"), "language"
    )
    look |= {"language": language, "time_zone": "server"}
    _store(folder, f"frontend.user_data_{user}", {"language": look})


def _store(
    folder: Path, key: str, data: Mapping[str, object], *, version: int = 1, minor_version: int = 1
) -> None:
    document = {"version": version, "minor_version": minor_version, "key": key, "data": data}
    path = folder / ".storage" / key
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(document, indent=2))
