"""The plant's back door: its truth, its faults, and the forecasts, as JSON on loopback.

| request | answer or body |
|---|---|
| `GET /` | control page |
| `GET /truth` | powers, energies, dispatch, standing faults |
| `GET /log` | register writes, newest last |
| `GET /forecast`, `GET /carbon` | what the stand-ins of the forecasters serve |
| `POST /faults/{name}` | `{"on": bool, "value": n, "times": n, "for_s": n}`, each optional |
| `POST /faults` | `{}` clears all |
| `POST /plant` | any of `soc` %, `load_w` and `pv_w` (null: profile), `hour`, `forecast_factor` |
| `POST /registers` | `{"address": n, "values": [n, ...]}`, as another Modbus client would write |
"""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from aiohttp import web

from simulator.faults import Fault
from simulator.forecast import carbon_rows, solar_rows
from simulator.settings import IllegalAddressError, LinkDownError, LinkHangError

if TYPE_CHECKING:
    from simulator.modbus_server import ModbusServer
    from simulator.realtime import RealTimePlant

HOST = "127.0.0.1"
_PAGE = Path(__file__).with_name("page.html")


def _bad(reason: str) -> web.HTTPBadRequest:
    return web.HTTPBadRequest(text=reason)


class Api:
    """Serves a plant's truth; `port` is where once `start` has returned."""

    def __init__(self, house: RealTimePlant, modbus: ModbusServer, port: int = 0) -> None:
        """Take a port of one's own choosing with 0."""
        self.port = port
        self._house = house
        self._modbus = modbus
        self._forecast_factor = 1.0
        self._runner: web.AppRunner | None = None

    async def start(self) -> None:
        """Start answering."""
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self._get_page),
                web.get("/truth", self._get_truth),
                web.get("/log", self._get_log),
                web.get("/forecast", self._get_forecast),
                web.get("/carbon", self._get_carbon),
                web.post("/faults", self._post_clear),
                web.post("/faults/{name}", self._post_fault),
                web.post("/plant", self._post_plant),
                web.post("/registers", self._post_registers),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, HOST, self.port)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        """Stop answering."""
        if self._runner is not None:
            await self._runner.cleanup()

    async def _get_page(self, _request: web.Request) -> web.FileResponse:
        return web.FileResponse(_PAGE)

    async def _get_truth(self, _request: web.Request) -> web.Response:
        return web.json_response(self._truth())

    def _truth(self) -> dict[str, Any]:
        plant = self._house.sync()
        truth = asdict(plant.truth())
        truth["time"] = truth["time"].isoformat()
        standing = {fault: asdict(setting) for fault, setting in plant.faults.standing.items()}
        return truth | {
            "faults": standing,
            "writes": len(plant.writes),
            "overrides": {"pv_w": plant.pv_w, "load_w": plant.load_w},
            "forecast_factor": self._forecast_factor,
        }

    async def _get_log(self, _request: web.Request) -> web.Response:
        plant, now = self._house.sync(), datetime.now(UTC)
        rows = []
        for write in plant.writes:
            ago = timedelta(seconds=(plant.elapsed_s - write.at_s) / self._house.speed)
            rows.append(asdict(write) | {"time": (now - ago).isoformat()})
        return web.json_response(rows)

    async def _get_forecast(self, _request: web.Request) -> web.Response:
        plant = self._house.sync()
        if plant.faults.active(Fault.FORECAST_DOWN):
            raise web.HTTPTooManyRequests
        rows = solar_rows(
            plant.settings.sun,
            now=datetime.now(UTC),
            offset=self._house.offset(),
            known_since=self._house.began,
            factor=self._forecast_factor,
        )
        return web.json_response(rows)

    async def _get_carbon(self, _request: web.Request) -> web.Response:
        if self._house.sync().faults.active(Fault.CARBON_DOWN):
            raise web.HTTPServiceUnavailable
        rows = carbon_rows(now=datetime.now(UTC), offset=self._house.offset())
        return web.json_response(rows)

    async def _post_clear(self, _request: web.Request) -> web.Response:
        self._house.sync().faults.clear()
        await self._modbus.apply_faults()
        return web.json_response(self._truth())

    async def _post_fault(self, request: web.Request) -> web.Response:
        try:
            fault = Fault(request.match_info["name"])
        except ValueError as error:
            raise _bad(f"faults are: {', '.join(Fault)}") from error
        body = await _body(request)
        plant = self._house.sync()
        if body.pop("on", True):
            for_s = _number(body, "for_s")
            times = _number(body, "times")
            plant.faults.on(
                fault,
                value=_number(body, "value"),
                times=None if times is None else int(times),
                until_s=None if for_s is None else plant.elapsed_s + for_s * self._house.speed,
            )
        else:
            plant.faults.off(fault)
        await self._modbus.apply_faults()
        return web.json_response(self._truth())

    async def _post_plant(self, request: web.Request) -> web.Response:
        body = await _body(request)
        unknown = body.keys() - {"soc", "load_w", "pv_w", "hour", "forecast_factor"}
        if unknown:
            raise _bad(f"unknown: {', '.join(sorted(unknown))}")
        plant = self._house.sync()
        if (soc := _number(body, "soc")) is not None:
            plant.soc = soc
        if "load_w" in body:
            plant.load_w = _number(body, "load_w")
        if "pv_w" in body:
            plant.pv_w = _number(body, "pv_w")
        if (hour := _number(body, "hour")) is not None:
            midnight = plant.now.replace(hour=0, minute=0, second=0, microsecond=0)
            plant.now = midnight + timedelta(hours=hour)
        if (factor := _number(body, "forecast_factor")) is not None:
            self._forecast_factor = factor
        return web.json_response(self._truth())

    async def _post_registers(self, request: web.Request) -> web.Response:
        body = await _body(request)
        try:
            values = [int(value) for value in body["values"]]
            self._house.sync().write(int(body["address"]), values)
        except (KeyError, TypeError, ValueError, IllegalAddressError) as error:
            raise _bad(f"no such write: {error!r}") from error
        except (LinkDownError, LinkHangError) as error:
            raise web.HTTPGatewayTimeout(text="the inverter is out of reach") from error
        return web.json_response(self._truth())


async def _body(request: web.Request) -> dict[str, Any]:
    """Return the JSON object of a request; nothing sent is an empty one."""
    if not request.can_read_body:
        return {}
    try:
        body = await request.json()
    except ValueError as error:
        raise _bad("not JSON") from error
    if not isinstance(body, dict):
        raise _bad("not a JSON object")
    return body


def _number(body: dict[str, Any], key: str) -> float | None:
    """Return a number of the body, None where it is missing or null."""
    value = body.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _bad(f"{key} must be a number")
    return float(value)
