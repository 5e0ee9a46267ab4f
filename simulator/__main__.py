"""Run the plant on real time: `python -m simulator --hour 13 --soc 80`.

Prints one JSON line with the ports once both servers answer; SIGTERM ends it with 0.
"""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, date, datetime, timedelta
import json
import signal
import sys

from simulator.api import Api
from simulator.modbus_server import ModbusServer
from simulator.plant import Plant
from simulator.profiles import House, Sun
from simulator.realtime import RealTimePlant
from simulator.settings import AtCutoff, PlantSettings, TimeZero


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    add = parser.add_argument
    add("--modbus-port", type=int, default=0, help="0 takes a free one")
    add("--api-port", type=int, default=0, help="0 takes a free one")
    add("--hour", type=float, default=13.0, help="hour of the plant's day, 0 to 24")
    add("--date", type=date.fromisoformat, default=date(2026, 6, 21), help="the plant's day")
    add("--soc", type=float, default=80.0, help="%%")
    add("--speed", type=float, default=1.0, help="plant seconds to a real second")
    add("--capacity", type=float, default=10.0, help="kWh")
    add("--battery-limit", type=float, default=5000.0, help="W, both ways")
    add("--inverter-limit", type=float, default=5000.0, help="W")
    add("--pv-peak", type=float, default=4000.0, help="W")
    add("--cloudiness", type=float, default=0.35, help="0 to 1")
    add("--mean-load", type=float, default=450.0, help="W")
    add("--load", type=float, help="W, replaces the load profile")
    add("--pv", type=float, help="W, replaces the sun")
    add("--seed", type=int, default=1)
    add("--counter-tick", type=float, default=60.0, help="s, 0 reads the counters live")
    add("--latency", type=float, default=0.0, help="s from a write to the battery's move")
    add("--ramp", type=float, help="W/s, without it at once")
    add("--at-cutoff", type=AtCutoff, choices=list(AtCutoff), default=AtCutoff.HOLD)
    add("--time-zero", type=TimeZero, choices=list(TimeZero), default=TimeZero.ENDS)
    add("--no-rearm", action="store_true", help="a time write leaves a running timer alone")
    return parser


def _settings(args: argparse.Namespace) -> PlantSettings:
    midnight = datetime.combine(args.date, datetime.min.time(), UTC)
    return PlantSettings(
        start=midnight + timedelta(hours=args.hour),
        soc=args.soc,
        capacity_kwh=args.capacity,
        charge_limit_w=args.battery_limit,
        discharge_limit_w=args.battery_limit,
        inverter_limit_w=args.inverter_limit,
        sun=Sun(peak_w=args.pv_peak, cloudiness=args.cloudiness, seed=args.seed),
        house=House(mean_w=args.mean_load, seed=args.seed + 1),
        latency_s=args.latency,
        ramp_w_per_s=args.ramp,
        counter_tick_s=args.counter_tick,
        at_cutoff=args.at_cutoff,
        rearms_on_time_write=not args.no_rearm,
        time_zero=args.time_zero,
    )


async def _serve(args: argparse.Namespace) -> None:
    plant = Plant(_settings(args))
    plant.load_w, plant.pv_w = args.load, args.pv
    house = RealTimePlant(plant, args.speed)
    modbus = ModbusServer(house, args.modbus_port)
    api = Api(house, modbus, args.api_port)
    over = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, over.set)
    await modbus.start()
    await api.start()
    sys.stdout.write(json.dumps({"modbus_port": modbus.port, "api_port": api.port}) + "\n")
    sys.stdout.flush()
    await over.wait()
    await api.stop()
    await modbus.stop()


if __name__ == "__main__":
    asyncio.run(_serve(_parser().parse_args()))
