"""A slow line between a client and a server of this machine.

::

    async with slow_line(broker.port, rate=20_000) as line:   # bytes a second, each way
        connect(line.url)
        line.received         # bytes that the client was given until now
        line.rate = None      # as fast as it goes, from now on
        line.cut()            # nobody gets through until line.mend()
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.serving import serving

_STEPS = 20
"""Portions a second."""
_BUFFER = 16_384


class SlowLine:
    def __init__(self, server: int, rate: int | None) -> None:
        self.rate = rate
        self.received = 0
        self.port = 0
        self._server = server
        self._down = False
        self._writers: set[asyncio.StreamWriter] = set()

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    def cut(self) -> None:
        self._down = True
        for writer in self._writers:
            writer.transport.abort()

    def mend(self) -> None:
        self._down = False

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, until either end closes it."""
        if self._down:
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._server)
        self._writers.add(writer)
        try:
            async with asyncio.TaskGroup() as group:
                up = group.create_task(self._pump(reader, far_writer, counts=False))
                down = group.create_task(self._pump(far_reader, writer, counts=True))
                await asyncio.wait({up, down}, return_when=asyncio.FIRST_COMPLETED)
                up.cancel()
                down.cancel()
        finally:
            self._writers.discard(writer)
            far_writer.close()

    async def _pump(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        while data := await reader.read(self.rate // _STEPS if self.rate else _BUFFER):
            writer.write(data)
            await writer.drain()
            self.received += len(data) if counts else 0
            if self.rate:
                await asyncio.sleep(len(data) / self.rate)


@asynccontextmanager
async def slow_line(server: int, *, rate: int | None) -> AsyncIterator[SlowLine]:
    """A line to the port `server` of this machine."""
    line = SlowLine(server, rate)
    async with serving(line.carry) as port:
        line.port = port
        yield line
