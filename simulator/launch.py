"""Starts the simulator and a real Home Assistant as processes, and ends them without fail.

Used by the demo and by the end-to-end tests. Everything here is context-managed, and where the
machine has `setpriv` the children die with their parent even when that is killed.

    async with (
        SimulatorProcess(python, folder / "simulator", "--hour", "13") as simulator,
        HomeAssistantProcess(hass_python, folder / "hass", simulator=simulator) as hass,
    ):
        await hass.client.call("input_boolean", "turn_on", entity_id=...)
        print(await simulator.truth())
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
import json
import os
from pathlib import Path
import shutil
import signal
import socket
import subprocess
import time
from typing import TYPE_CHECKING, Any, Self

import aiohttp

from simulator.ha_client import HomeAssistantClient, Json
from simulator.ha_config import INTEGRATION, prepare

if TYPE_CHECKING:
    from types import TracebackType

ROOT = Path(__file__).parent.parent
HOST = "127.0.0.1"
_STOP_S = 30.0  # Home Assistant gives its integrations about this long to finish
_POLL_S = 0.1


class ProcessFailedError(RuntimeError):
    """A process ended, or did not get ready, when it should have; says where its log is."""


def free_port() -> int:
    """Return a loopback port that nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def time_zone_at(hour: float, now: datetime | None = None) -> tuple[str, float]:
    """Return a time zone in which it is about `hour` o'clock, and what o'clock it is there.

    A demo that starts in that zone has its midnight where the plant has it, so that "today" and
    "remaining today" mean the same in both, whenever it is started.
    """
    now = now or datetime.now(UTC)
    utc_hour = now.hour + now.minute / 60 + now.second / 3600
    east = round(hour - utc_hour)
    east = (east + 12) % 24 - 12
    # In the names of these zones the sign is the other way round.
    name = f"Etc/GMT{-east:+d}" if east else "Etc/UTC"
    return name, (utc_hour + east) % 24


def _environment() -> dict[str, str]:
    """Return our environment, less what would slow a child down."""
    # Home Assistant is thousands of modules: compiling them anew doubles the time to boot.
    return {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}


class _Process:
    """A child process with its output in a file."""

    def __init__(self, log: Path) -> None:
        self.log = log
        self._child: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Return whether the process is alive."""
        return self._child is not None and self._child.poll() is None

    @property
    def pid(self) -> int:
        """Return the process's number; raises ProcessFailedError where there is none."""
        if self._child is None:
            raise ProcessFailedError(f"not started, see {self.log}")
        return self._child.pid

    def _spawn(self, arguments: list[str], *, cwd: Path) -> None:
        if (setpriv := shutil.which("setpriv")) is not None:
            arguments = [setpriv, "--pdeathsig", "KILL", *arguments]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as output:
            self._child = subprocess.Popen(  # noqa: S603 - our own arguments
                arguments,
                cwd=cwd,
                env=_environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,  # a Ctrl-C is for us; we then stop the children in order
            )

    def send(self, number: signal.Signals) -> None:
        """Send a signal to a process that lives."""
        if self._child is not None and self.running:
            self._child.send_signal(number)

    def pause(self) -> None:
        """Freeze the process (SIGSTOP); the kernel goes on accepting its connections."""
        self.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a frozen process go on (SIGCONT)."""
        self.send(signal.SIGCONT)

    async def stop(self, timeout_s: float = _STOP_S) -> int | None:
        """End the process in order and return its exit code; kill it when it does not obey."""
        self.resume()
        self.send(signal.SIGTERM)
        try:
            return await self._wait(timeout_s)
        except subprocess.TimeoutExpired:
            return await self.kill()

    async def kill(self) -> int | None:
        """End the process at once (SIGKILL)."""
        self.send(signal.SIGKILL)
        return await self._wait(_STOP_S)

    async def _wait(self, timeout_s: float) -> int | None:
        if self._child is None:
            return None
        return await asyncio.to_thread(self._child.wait, timeout_s)

    def _check_alive(self) -> None:
        if not self.running:
            tail = self.log.read_text(errors="replace")[-2000:] if self.log.exists() else ""
            raise ProcessFailedError(f"the process ended, see {self.log}\n{tail}")


class SimulatorProcess(_Process):
    """`python -m simulator` with arguments of its own; `python` needs aiohttp and pymodbus."""

    def __init__(self, python: Path, folder: Path, *arguments: str) -> None:
        """Take the folder for the log and the arguments of `python -m simulator`."""
        super().__init__(folder / "simulator.log")
        self._python = python
        self._arguments = arguments
        self._session: aiohttp.ClientSession | None = None
        self.modbus_port = 0
        self.api_port = 0

    @property
    def url(self) -> str:
        """Return the control page's address."""
        return f"http://{HOST}:{self.api_port}"

    async def __aenter__(self) -> Self:
        """Start, and return once both servers answer."""
        try:
            await self.start()
        except BaseException:
            await self.kill()
            raise
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        """End it."""
        if self._session is not None:
            await self._session.close()
        await self.stop(5.0)

    async def start(self, timeout_s: float = 20.0) -> None:
        """Start on the ports it had before, or on free ones the first time."""
        self.log.unlink(missing_ok=True)
        ports = ["--modbus-port", str(self.modbus_port), "--api-port", str(self.api_port)]
        command = [str(self._python), "-m", "simulator", *ports, *self._arguments]
        self._spawn(command, cwd=ROOT)
        try:
            async with asyncio.timeout(timeout_s):
                while not (text := self.log.read_text()).endswith("}\n"):
                    self._check_alive()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise ProcessFailedError(f"no ports within {timeout_s} s, see {self.log}") from error
        ports_said = json.loads(text.splitlines()[-1])
        self.modbus_port, self.api_port = ports_said["modbus_port"], ports_said["api_port"]
        if self._session is None:
            self._session = aiohttp.ClientSession()

    async def _request(self, method: str, path: str, body: dict[str, Any] | None = None) -> Json:
        if self._session is None:
            raise ProcessFailedError("the simulator was not started")
        async with self._session.request(method, self.url + path, json=body) as response:
            response.raise_for_status()
            return await response.json()

    async def truth(self) -> dict[str, Any]:
        """Return what really happens; the fields of `simulator.settings.Truth` and more."""
        truth: dict[str, Any] = await self._request("GET", "/truth")
        return truth

    async def writes(self) -> list[dict[str, Any]]:
        """Return the register writes so far: time, at_s, address, values, obeyed."""
        rows: list[dict[str, Any]] = await self._request("GET", "/log")
        return rows

    async def fault(
        self,
        name: str,
        *,
        on: bool = True,
        value: float | None = None,
        times: int | None = None,
        for_s: float | None = None,
    ) -> None:
        """Raise or clear a fault; `for_s` lets it clear itself."""
        body = {"on": on, "value": value, "times": times, "for_s": for_s}
        await self._request("POST", f"/faults/{name}", body)

    async def clear_faults(self) -> None:
        """Clear every fault."""
        await self._request("POST", "/faults", {})

    async def set_plant(self, **values: float | None) -> None:
        """Set any of soc (%), load_w, pv_w (None: the profile), hour, forecast_factor."""
        await self._request("POST", "/plant", values)

    async def write_registers(self, address: int, values: list[int]) -> None:
        """Write as another Modbus client would."""
        await self._request("POST", "/registers", {"address": address, "values": values})


class HomeAssistantProcess(_Process):
    """A real Home Assistant on loopback, from the environment that `python` stands in.

    `integration` is linked into its configuration where it exists; None leaves it out.
    `duration_step_min` is the step of the battery's own timer: the shortest time that it can be
    armed for. `boot_s` is how long the last start took until Home Assistant called itself running.
    """

    def __init__(  # noqa: PLR0913 - keywords, each with a default
        self,
        python: Path,
        folder: Path,
        *,
        simulator: SimulatorProcess,
        port: int = 0,
        integration: Path | None = INTEGRATION,
        language: str = "en",
        time_zone: str = "Etc/UTC",
        duration_step_min: int = 5,
    ) -> None:
        """Choose; nothing is written before the start."""
        super().__init__(folder / "console.log")
        self.folder = folder
        self.port = port or free_port()
        self.boot_s = 0.0
        self.client = HomeAssistantClient(f"http://{HOST}:{self.port}")
        self._python = python
        self._simulator = simulator
        self._integration = integration
        self._language = language
        self._time_zone = time_zone
        self._duration_step_min = duration_step_min

    @property
    def url(self) -> str:
        """Return the address of the frontend."""
        return self.client.url

    async def __aenter__(self) -> Self:
        """Prepare the configuration, start, and return once it is running."""
        try:
            self.prepare()
            await self.start()
        except BaseException:
            await self.client.close()
            await self.kill()
            raise
        return self

    async def __aexit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _at: TracebackType | None,
    ) -> None:
        """End it in order."""
        await self.client.close()
        await self.stop()

    def prepare(self) -> None:
        """Write the configuration; what Home Assistant stored there in an earlier run stays."""
        prepare(
            self.folder,
            python=self._python,
            port=self.port,
            modbus_port=self._simulator.modbus_port,
            simulator_url=self._simulator.url,
            integration=self._integration,
            language=self._language,
            time_zone=self._time_zone,
            duration_step_min=self._duration_step_min,
        )

    async def start(self, timeout_s: float = 120.0) -> None:
        """Start the process and wait until Home Assistant is running and lets us in."""
        began = time.monotonic()
        command = [str(self._python), "-m", "homeassistant", "--skip-pip"]
        self._spawn([*command, "--config", str(self.folder)], cwd=self.folder)
        await self.wait_until_running(timeout_s)
        self.boot_s = time.monotonic() - began

    async def wait_until_running(self, timeout_s: float = 120.0) -> None:
        """Return once Home Assistant has started; raises ProcessFailedError when it does not."""
        try:
            async with asyncio.timeout(timeout_s):
                while not await self.client.is_running():
                    self._check_alive()
                    await asyncio.sleep(_POLL_S)
        except TimeoutError as error:
            raise ProcessFailedError(f"not running after {timeout_s} s, see {self.log}") from error

    async def restart(self) -> None:
        """Stop in order and start anew, as a user's restart does."""
        await self.stop()
        await self.start()
