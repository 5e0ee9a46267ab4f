"""A real Home Assistant process with little in it, and one user whom loopback may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
import json
import os
from pathlib import Path
import subprocess
import uuid

from tests.support.rest import Rest
from tests.support.servers import HOST, Server

# The repository's own environment of the newest supported Home Assistant (scripts/setup).
PYTHON = Path(__file__).parents[3] / ".venv" / "ceiling" / "bin" / "python"
_CONFIGURATION = """
homeassistant:
  name: Test
  time_zone: UTC
  auth_providers:
    - type: trusted_networks
      trusted_networks: [127.0.0.1]
      allow_bypass_login: true
    - type: homeassistant
api:
websocket_api:
recorder:
  commit_interval: 1
history:
logger:
  default: warning
input_number:
  power:
    min: 0
    max: 100000000
input_boolean:
  switch:
"""


def missing() -> str:
    """Return why there is no Home Assistant here; empty where there is one."""
    if not PYTHON.exists():
        return "no .venv/ceiling: run the repository's scripts/setup"
    done = subprocess.run([PYTHON, "-c", "import homeassistant"], check=False, capture_output=True)
    return "" if done.returncode == 0 else "Home Assistant is not installed in .venv/ceiling"


class HomeAssistant(Rest, Server):
    """Starts in about 5 s; the same configuration and history over restarts."""

    name = "hass"

    def __init__(self, folder: Path, *, extra: str = "", python_path: Sequence[Path] = ()) -> None:
        super().__init__(folder)
        self._python_path = ":".join(map(str, python_path))
        (self.folder / "configuration.yaml").write_text(_CONFIGURATION + extra)
        storage = self.folder / ".storage"
        storage.mkdir(exist_ok=True)
        for key, data, version, minor in self._storage():
            document = {"version": version, "minor_version": minor, "key": key, "data": data}
            (storage / key).write_text(json.dumps(document))

    def _storage(self) -> list[tuple[str, Mapping[str, object], int, int]]:
        user = uuid.uuid4().hex
        owner = {
            "id": user,
            "group_ids": ["system-admin"],
            "is_owner": True,
            "is_active": True,
            "name": "Test",
            "system_generated": False,
            "local_only": False,
        }
        groups = ("system-admin", "system-users", "system-read-only")
        server = {
            "server_host": [HOST],
            "server_port": self.port,
            "cors_allowed_origins": [],
            "login_attempts_threshold": -1,
            "ip_ban_enabled": False,
            "ssl_profile": "modern",
            "use_x_frame_options": True,
            "created_at": datetime.now(UTC).isoformat(),
            "error": None,
            "error_message": None,
        }
        auth = {
            "users": [owner],
            "groups": [{"id": group, "name": group} for group in groups],
            "credentials": [],
            "refresh_tokens": [],
        }
        done = ["user", "core_config", "analytics", "integration"]
        http = {"stable": server, "pending": None, "yaml_migration_done": True}
        return [("auth", auth, 1, 1), ("onboarding", {"done": done}, 4, 1), ("http", http, 2, 2)]

    def command(self) -> Sequence[str]:
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        command = [str(PYTHON), "-m", "homeassistant", "--skip-pip", "--config", str(self.folder)]
        return ["env", "-u", "LD_LIBRARY_PATH", f"PYTHONPATH={self._python_path}", *command]

    def ready(self) -> bool:
        return self.runs()
