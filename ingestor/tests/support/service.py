"""The ingestor as a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from tests.support.servers import HOST, free_port

SOURCE = Path(__file__).parents[2] / "src"
_START_S = 30.0


class Service:
    """`python -m activity_ingestor` with settings of its own; survives being killed."""

    def __init__(self, folder: Path, settings: Mapping[str, object]) -> None:
        self.folder = folder / "service"
        self.folder.mkdir(parents=True, exist_ok=True)
        self.log = self.folder / "log"
        self.port = free_port()
        self._settings = {
            "data_folder": self.folder / "data",
            "http_port": self.port,
            "batch_s": 0.2,
            "vital_batch_s": 0.1,
            "log_level": "info",
            **settings,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def environment(self) -> dict[str, str]:
        mine = {f"INGESTOR_{k.upper()}": str(v) for k, v in self._settings.items()}
        theirs = {k: v for k, v in os.environ.items() if not k.startswith("INGESTOR_")}
        # Compiling at each start would cost more than the start itself.
        theirs.pop("PYTHONDONTWRITEBYTECODE", None)
        return theirs | mine | {"PYTHONPATH": str(SOURCE)}

    def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "activity_ingestor"],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd=self.folder,
                start_new_session=True,
            )
        if wait:
            self.wait_until_alive()

    def wait_until_alive(self) -> None:
        deadline = time.monotonic() + _START_S
        while self.status("/health") != 200:
            assert self.process is not None
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"the service did not start:\n{self.text()[-3000:]}")
            time.sleep(0.02)

    def text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def status(self, path: str) -> int:
        try:
            with urlopen(f"http://{HOST}:{self.port}{path}", timeout=5) as response:
                return int(response.status)
        except HTTPError as error:
            with error:
                return error.code
        except (URLError, OSError):
            return 0

    def get(self, path: str) -> str:
        with urlopen(f"http://{HOST}:{self.port}{path}", timeout=10) as response:
            body: bytes = response.read()
            return body.decode()

    def dependencies(self) -> dict[str, dict[str, object]]:
        return {d["name"]: d for d in json.loads(self.get("/health/dependencies"))}

    def metric(self, name: str, **labels: str) -> float:
        """Return the sum of a metric's samples with these labels."""
        total = 0.0
        for line in self.get("/metrics").splitlines():
            head, _, value = line.rpartition(" ")
            plain, _, rest = head.partition("{")
            if plain == name and all(f'{k}="{v}"' in rest for k, v in labels.items()):
                total += float(value)
        return total

    def rss_mb(self) -> float:
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(row for row in text.splitlines() if row.startswith("VmRSS"))
        return int(line.split()[1]) / 1024

    def peak_rss_mb(self) -> float:
        assert self.process is not None
        text = Path(f"/proc/{self.process.pid}/status").read_text()
        line = next(row for row in text.splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) / 1024

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        if self.process is not None:
            self.process.wait(10)

    def stop(self) -> int:
        """End in order and return the exit code; 124 where it did not obey in 10 s."""
        if self.process is None:
            return 0
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        try:
            return self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            return 124
