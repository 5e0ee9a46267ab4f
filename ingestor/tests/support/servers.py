"""Real servers on loopback and free ports, started and ended without fail."""

from __future__ import annotations

from collections.abc import Sequence
import json
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import time
from types import TracebackType
from typing import Self
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

HOST = "127.0.0.1"
FOLDER = Path(__file__).parents[2] / ".cache" / "servers" / "usr"


def program(name: str) -> Path | None:
    """Return a server's program: fetched by scripts/servers, or the machine's own."""
    for folder in (FOLDER / "bin", FOLDER / "sbin"):
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    return Path(found) if found else None


def libraries() -> str:
    """Return where those libraries are that scripts/servers fetched, for LD_LIBRARY_PATH."""
    return ":".join(map(str, (FOLDER / "lib").glob("*-linux-gnu")))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def listens(port: int) -> bool:
    try:
        with socket.create_connection((HOST, port), 0.2):
            return True
    except OSError:
        return False


class Server:
    """A process with its output in a file; the same port and data over restarts."""

    name = ""
    start_s = 30.0

    def __init__(self, folder: Path) -> None:
        self.folder = folder / self.name
        self.folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def command(self) -> Sequence[str]:
        raise NotImplementedError

    def ready(self) -> bool:
        return listens(self.port)

    @property
    def program(self) -> str:
        found = program(self.name)
        if found is None:
            raise FileNotFoundError(f"{self.name} is not on this machine: run scripts/servers")
        return str(found)

    def start(self) -> None:
        environment = os.environ | {"LD_LIBRARY_PATH": libraries(), "GOMAXPROCS": "2"}
        command = list(self.command())
        if setpriv := shutil.which("setpriv"):
            command = [setpriv, "--pdeathsig", "KILL", *command]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env=environment,
                start_new_session=True,
            )
        deadline = time.monotonic() + self.start_s
        while not self.ready():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.stop()
                text = (self.folder / "log").read_text(errors="replace")[-1500:]
                raise RuntimeError(f"{self.name} did not start:\n{text}")
            time.sleep(0.05)

    def send(self, number: signal.Signals) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(number)

    def stop(self) -> None:
        self.send(signal.SIGCONT)
        self.send(signal.SIGTERM)
        self._wait()

    def kill(self) -> None:
        self.send(signal.SIGKILL)
        self._wait()

    def _wait(self) -> None:
        if self.process is None:
            return
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        self.process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        self.stop()


class Mosquitto(Server):
    name = "mosquitto"

    def __init__(self, folder: Path, *, password_file: Path | None = None) -> None:
        super().__init__(folder)
        self.password_file = password_file

    def command(self) -> Sequence[str]:
        settings = [
            f"listener {self.port} {HOST}",
            "persistence true",
            f"persistence_location {self.folder}/",
            "autosave_interval 1",
            # What an outage of the ingestor would otherwise lose inside the broker.
            "max_queued_messages 0",
            "log_dest stderr",
            # Started by root it would become a user that cannot read the folder.
            "user root",
        ]
        if self.password_file is None:
            settings.append("allow_anonymous true")
        else:
            settings += ["allow_anonymous false", f"password_file {self.password_file}"]
        path = self.folder / "mosquitto.conf"
        path.write_text("\n".join(settings) + "\n")
        return [self.program, "-c", str(path)]


class _HttpServer(Server):
    ping = "/ping"

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def ready(self) -> bool:
        try:
            with urlopen(self.url + self.ping, timeout=1) as response:
                return bool(response.status < 300)
        except HTTPError as error:
            error.close()  # 503: it is starting
            return False
        except (URLError, OSError):
            return False

    def get(self, path: str, **query: str) -> object:
        with urlopen(f"{self.url}{path}?{urlencode(query)}", timeout=60) as response:
            return json.loads(response.read())


class InfluxDB(_HttpServer):
    name = "influxd"

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.rpc_port = free_port()

    def command(self) -> Sequence[str]:
        data = self.folder / "data"
        path = self.folder / "influxdb.conf"
        path.write_text(
            f"""reporting-disabled = true
bind-address = "{HOST}:{self.rpc_port}"
[meta]
  dir = "{data}/meta"
[data]
  dir = "{data}/data"
  wal-dir = "{data}/wal"
  index-version = "tsi1"
  query-log-enabled = false
[monitor]
  store-enabled = false
[http]
  bind-address = "{HOST}:{self.port}"
  log-enabled = false
  max-body-size = 25000000
"""
        )
        return [self.program, "run", "-config", str(path)]

    def create(self, database: str) -> None:
        body = urlencode({"q": f'CREATE DATABASE "{database}"'}).encode()
        with urlopen(Request(f"{self.url}/query", data=body), timeout=10) as response:
            assert response.status == 200

    def query(self, database: str, text: str) -> list[dict[str, object]]:
        """Return the series of the first statement."""
        answer = self.get("/query", db=database, q=text, epoch="ns")
        assert isinstance(answer, dict)
        result = answer["results"][0]
        assert "error" not in result, result
        series: list[dict[str, object]] = result.get("series", [])
        return series

    def rows(self, database: str, text: str) -> list[list[object]]:
        rows: list[list[object]] = []
        for series in self.query(database, text):
            values = series["values"]
            assert isinstance(values, list)
            rows += values
        return rows


class VictoriaMetrics(_HttpServer):
    name = "victoria-metrics"
    ping = "/health"

    def command(self) -> Sequence[str]:
        return [
            self.program,
            f"-httpListenAddr={HOST}:{self.port}",
            f"-storageDataPath={self.folder}/data",
            "-retentionPeriod=100y",
            "-memory.allowedBytes=256MB",
        ]


class Prometheus(_HttpServer):
    name = "prometheus"
    ping = "/-/ready"

    def __init__(self, folder: Path, target_port: int, rules: Path) -> None:
        super().__init__(folder)
        self.target_port = target_port
        self.rules = rules

    def command(self) -> Sequence[str]:
        path = self.folder / "prometheus.yml"
        path.write_text(
            f"""global: {{scrape_interval: 1s, evaluation_interval: 1s}}
rule_files: ["{self.rules}"]
scrape_configs:
  - job_name: activity_ingestor
    static_configs: [{{targets: ["{HOST}:{self.target_port}"]}}]
"""
        )
        return [
            self.program,
            f"--config.file={path}",
            f"--storage.tsdb.path={self.folder}/data",
            f"--web.listen-address={HOST}:{self.port}",
        ]
