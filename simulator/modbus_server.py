"""The inverter on the wire: Modbus TCP on loopback, unit 85, one client at a time.

pymodbus speaks the protocol on a port of its own; a gate in front of it is what clients meet.
The gate can break the link as a cable or a hung inverter does, which a server that answers by
construction cannot.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, cast

from pymodbus.constants import ExcCodes
from pymodbus.server import ModbusTcpServer
from pymodbus.simulator import DataType, SimData, SimDevice

from simulator import registers as reg
from simulator.faults import Fault
from simulator.settings import IllegalAddressError, LinkDownError, LinkHangError

if TYPE_CHECKING:
    from simulator.realtime import RealTimePlant

HOST = "127.0.0.1"
_WATCH_S = 0.05  # how often a fault that ends by itself is looked for
_CHUNK = 4096
_GOODBYE_S = 0.05  # a client that reconnects has said goodbye, but we may not have read it yet


class ModbusServer:
    """Serves a plant; `port` is where clients connect once `start` has returned."""

    def __init__(self, house: RealTimePlant, port: int = 0) -> None:
        """Take a port of one's own choosing with 0."""
        self.port = port
        self._house = house
        self._inverter: ModbusTcpServer | None = None
        self._inverter_port = 0
        self._gate: asyncio.Server | None = None
        self._client: asyncio.StreamWriter | None = None
        self._watch: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Start answering."""
        device = SimDevice(reg.UNIT, simdata=self._blocks(), action=self._on_access)
        self._inverter = ModbusTcpServer(device, address=(HOST, 0))
        await self._inverter.serve_forever(background=True)
        # On a server the transport is the asyncio server, whatever its annotation says.
        listener = cast("asyncio.Server", self._inverter.transport)
        self._inverter_port = listener.sockets[0].getsockname()[1]
        await self._open_gate()
        self._watch = asyncio.create_task(self._keep_watch())

    async def stop(self) -> None:
        """Stop answering; connections are cut."""
        if self._watch is not None:
            self._watch.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._watch
        await self._close_gate()
        if self._inverter is not None:
            await self._inverter.shutdown()  # type: ignore[no-untyped-call]

    async def apply_faults(self) -> None:
        """Open or close the gate as the link's fault asks."""
        down = self._house.sync().faults.active(Fault.DROP)
        if down and self._gate is not None:
            await self._close_gate()
        elif not down and self._gate is None:
            await self._open_gate()

    async def _keep_watch(self) -> None:
        while True:
            await self.apply_faults()
            await asyncio.sleep(_WATCH_S)

    # The gate

    async def _open_gate(self) -> None:
        self._gate = await asyncio.start_server(self._serve_client, HOST, self.port)
        self.port = self._gate.sockets[0].getsockname()[1]

    async def _close_gate(self) -> None:
        gate, self._gate = self._gate, None
        if gate is not None:
            gate.close()
        if self._client is not None:
            self._client.transport.abort()

    async def _serve_client(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self._client is not None:
            await asyncio.sleep(_GOODBYE_S)
        if self._client is not None:  # the real inverter takes one client and refuses the rest
            writer.close()
            return
        self._client = writer
        try:
            await self._relay(reader, writer)
        except OSError:
            pass  # the client went away, or the link was cut: nothing is owed to anyone
        finally:
            self._client = None
            writer.close()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Carry bytes both ways until either side closes."""
        inner_reader, inner_writer = await asyncio.open_connection(HOST, self._inverter_port)
        try:
            answers = asyncio.create_task(self._pump(inner_reader, writer))
            try:
                await self._pump(reader, inner_writer)
            finally:
                answers.cancel()
                await asyncio.gather(answers, return_exceptions=True)
        finally:
            inner_writer.close()

    async def _pump(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        while data := await source.read(_CHUNK):
            if self._house.plant.faults.active(Fault.HANG):
                continue  # swallowed, not kept: an inverter that comes back does not catch up
            sink.write(data)
            await sink.drain()

    # The inverter

    def _blocks(self) -> list[SimData]:
        """Return one block for each run of registers; what lies between is illegal."""
        addresses = sorted(self._house.plant.image())
        starts = [a for a in addresses if a - 1 not in set(addresses)]
        ends = [a for a in addresses if a + 1 not in set(addresses)]
        return [
            SimData(start, count=end - start + 1, datatype=DataType.REGISTERS)
            for start, end in zip(starts, ends, strict=True)
        ]

    async def _on_access(
        self,
        function_code: int,
        start_address: int,
        address: int,
        count: int,
        current_registers: list[int],
        set_values: list[int] | list[bool] | None,
    ) -> ExcCodes | None:
        """Answer one request from the plant as it is now."""
        plant = self._house.sync()
        try:
            if set_values is not None:
                plant.write(address, [int(value) for value in set_values])
                return None
            offset = address - start_address
            current_registers[offset : offset + count] = plant.read(address, count)
        except IllegalAddressError:
            return ExcCodes.ILLEGAL_ADDRESS
        except (LinkDownError, LinkHangError):
            return ExcCodes.GATEWAY_NO_RESPONSE  # came in before the gate closed
        return None
