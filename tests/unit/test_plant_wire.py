"""The plant on the wire: Modbus TCP and the API of a real simulator process."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from simulator import registers as reg
from simulator.launch import HOST, ROOT, SimulatorProcess

PYTHON = ROOT / ".venv" / "simulator" / "bin" / "python"
PATIENCE_S = 0.5

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.usefixtures("socket_enabled"),
    pytest.mark.skipif(not PYTHON.exists(), reason="scripts/setup has not made .venv/simulator"),
]


class ModbusClient:
    """Speaks just enough Modbus TCP for unit 85; written by hand so that no library forgives."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, pdu: bytes) -> None:
        header = (1).to_bytes(2) + (0).to_bytes(2) + (len(pdu) + 1).to_bytes(2)
        self.writer.write(header + bytes([reg.UNIT]) + pdu)

    async def answer(self) -> bytes:
        async with asyncio.timeout(PATIENCE_S):
            header = await self.reader.readexactly(7)
            return await self.reader.readexactly(int.from_bytes(header[4:6]) - 1)

    async def read(self, address: int, count: int) -> list[int]:
        self.send(b"\x03" + address.to_bytes(2) + count.to_bytes(2))
        answer = await self.answer()
        assert answer[0] == 3, f"Modbus exception {answer[1]}"
        words = answer[2:]
        return [int.from_bytes(words[i : i + 2]) for i in range(0, len(words), 2)]

    async def write(self, address: int, values: list[int]) -> bytes:
        data = b"".join(value.to_bytes(2) for value in values)
        count = len(values).to_bytes(2)
        self.send(b"\x10" + address.to_bytes(2) + count + bytes([len(data)]) + data)
        return await self.answer()


type Connect = Callable[[SimulatorProcess], Awaitable[ModbusClient]]


@pytest.fixture
async def connect() -> AsyncIterator[Connect]:
    """Return a way to connect that is closed again with the test."""
    clients: list[ModbusClient] = []

    async def open_client(simulator: SimulatorProcess) -> ModbusClient:
        streams = await asyncio.open_connection(HOST, simulator.modbus_port)
        clients.append(ModbusClient(*streams))
        return clients[-1]

    yield open_client
    for client in clients:
        client.writer.close()
        with suppress(OSError):
            await client.writer.wait_closed()


@asynccontextmanager
async def a_simulator(folder: Path, *arguments: str) -> AsyncIterator[SimulatorProcess]:
    steady = ("--hour", "23", "--soc", "50", "--load", "500", "--pv", "0")
    async with SimulatorProcess(PYTHON, folder, *steady, *arguments) as simulator:
        yield simulator


async def test_a_dispatch_written_on_the_wire_reaches_the_battery(
    tmp_path: Path, connect: Connect
) -> None:
    async with a_simulator(tmp_path) as simulator:
        client = await connect(simulator)
        assert await client.read(reg.SOC, 1) == [499]
        block = reg.dispatch_block(3000, 10, 600)
        assert (await client.write(reg.DISPATCH, block))[0] == 0x10
        assert await client.read(reg.DISPATCH, 9) == block
        assert (await simulator.truth())["battery_w"] == 3000
        assert [row["values"] for row in await simulator.writes()] == [block]


async def test_reading_beside_the_map_is_an_illegal_address(
    tmp_path: Path, connect: Connect
) -> None:
    async with a_simulator(tmp_path) as simulator:
        client = await connect(simulator)
        client.send(b"\x03" + (0x0500).to_bytes(2) + (1).to_bytes(2))
        assert await client.answer() == b"\x83\x02"


async def test_the_inverter_takes_one_client(tmp_path: Path, connect: Connect) -> None:
    async with a_simulator(tmp_path) as simulator:
        first = await connect(simulator)
        await first.read(reg.SOC, 1)
        second = await connect(simulator)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await second.read(reg.SOC, 1)
        assert await first.read(reg.SOC, 1) == [499]


async def test_a_dropped_link_cuts_and_refuses_until_it_returns(
    tmp_path: Path, connect: Connect
) -> None:
    async with a_simulator(tmp_path) as simulator:
        client = await connect(simulator)
        await client.read(reg.SOC, 1)
        await simulator.fault("drop", for_s=0.5)
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await client.read(reg.SOC, 1)
        with pytest.raises(ConnectionError):
            await connect(simulator)
        client = await _connect_within(connect, simulator, 2.0)
        assert await client.read(reg.SOC, 1) == [499]


async def _connect_within(
    connect: Connect, simulator: SimulatorProcess, seconds: float
) -> ModbusClient:
    async with asyncio.timeout(seconds):
        while True:
            try:
                return await connect(simulator)
            except ConnectionError:
                await asyncio.sleep(0.05)


async def test_a_hanging_inverter_accepts_and_never_answers(
    tmp_path: Path, connect: Connect
) -> None:
    async with a_simulator(tmp_path) as simulator:
        await simulator.fault("hang")
        client = await connect(simulator)
        with pytest.raises(TimeoutError):
            await client.write(reg.DISPATCH, reg.dispatch_block(3000, 10, 600))
        await simulator.fault("hang", on=False)
        assert await client.read(reg.DISPATCH, 1) == [0]


async def test_ignored_writes_are_acknowledged(tmp_path: Path, connect: Connect) -> None:
    async with a_simulator(tmp_path) as simulator:
        await simulator.fault("ignore_writes")
        client = await connect(simulator)
        assert (await client.write(reg.DISPATCH, reg.dispatch_block(3000, 10, 600)))[0] == 0x10
        assert await client.read(reg.DISPATCH, 1) == [0]
        assert [row["obeyed"] for row in await simulator.writes()] == [False]


async def test_the_plant_is_set_and_looked_at_by_its_api(tmp_path: Path) -> None:
    async with a_simulator(tmp_path) as simulator:
        await simulator.set_plant(soc=33, load_w=900, pv_w=None, hour=13, forecast_factor=0.5)
        truth = await simulator.truth()
        assert truth["soc"] == pytest.approx(33, abs=0.1)
        assert truth["load_w"] == 900
        assert truth["pv_w"] > 1000
        await simulator.fault("garbage_soc", value=101)
        assert (await simulator.truth())["faults"]["garbage_soc"]["value"] == 101
        await simulator.clear_faults()
        assert (await simulator.truth())["faults"] == {}
        async with aiohttp.ClientSession() as session:
            async with session.get(f"{simulator.url}/") as page:
                assert "Simulated house" in await page.text()
            async with session.get(f"{simulator.url}/forecast") as forecast:
                assert len(await forecast.json()) == 216
            async with session.get(f"{simulator.url}/carbon") as carbon:
                assert len(await carbon.json()) == 48
            await simulator.fault("forecast_down")
            async with session.get(f"{simulator.url}/forecast") as forecast:
                assert forecast.status == 429


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/faults/no_such_fault", {}),
        ("/plant", {"colour": 1}),
        ("/plant", {"soc": "full"}),
        ("/plant", []),
        ("/registers", {"address": 1, "values": [1]}),
    ],
)
async def test_what_makes_no_sense_is_refused(tmp_path: Path, path: str, body: object) -> None:
    async with (
        a_simulator(tmp_path) as simulator,
        aiohttp.ClientSession() as session,
        session.post(simulator.url + path, json=body) as response,
    ):
        assert response.status == 400


async def test_it_ends_with_0_when_told_to(tmp_path: Path, connect: Connect) -> None:
    async with a_simulator(tmp_path) as simulator:
        client = await connect(simulator)
        await client.read(reg.SOC, 1)
        assert await simulator.stop(5) == 0
