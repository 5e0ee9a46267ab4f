"""The repository's demo: a simulated house, and a real Home Assistant with the integration."""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import signal

from tests.support.real_home_assistant import missing
from tests.support.rest import Rest
from tests.support.servers import Server

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "scripts" / "demo"


def why_not() -> str:
    """Return why there is no demo here; empty where there is one."""
    if not SCRIPT.exists():
        return "no scripts/demo: this is not a clone of the whole repository"
    if not (ROOT / ".venv" / "simulator").exists():
        return "no .venv/simulator: run the repository's scripts/setup"
    return missing()


class Demo(Rest, Server):
    name = "demo"
    start_s = 240.0

    def command(self) -> Sequence[str]:
        return [str(SCRIPT), "--port", str(self.port), "--folder", str(self.folder)]

    def ready(self) -> bool:
        return "To try:" in (self.folder / "log").read_text(errors="replace")

    @property
    def config(self) -> Path:
        return self.folder / "config"

    def send_home_assistant(self, number: signal.Signals) -> None:
        """Send a signal to Home Assistant alone: the house and its battery go on."""
        lock = json.loads((self.config / ".ha_run.lock").read_text())
        os.kill(int(lock["pid"]), number)
