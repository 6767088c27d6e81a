"""A TCP wire between two programs of this machine, which can be cut, slowed down and counted.

::

    async with Wire(broker.port, rate=20_000) as wire:   # bytes a second, each way
        connect(wire.url)
        wire.came_back        # bytes that the client was given until now
        wire.rate = None      # as fast as it goes, from now on
        await wire.unplug()   # nobody gets through until wire.plug()

The one rule: it never changes a byte. It loses the end of what is said, or says it later.
"""

import asyncio
from contextlib import suppress
from typing import Self

PIECE = 1024
"""Bytes that a slow wire carries at once."""


class Wire:
    """Who connects to `port` speaks with the port `target`.

    `rate`: bytes a second, each way and for each connection; None for as fast as the machine.
    """

    def __init__(self, target: int, *, rate: float | None = None) -> None:
        self.target = target
        self.rate = rate
        self.port = 0
        self.connections = 0
        """How many were made since it was plugged in first."""
        self.came_back = 0
        """Bytes that went from `port` to whoever connected."""
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()
        self._left: int | None = None
        self._flowing = asyncio.Event()
        self._flowing.set()

    @property
    def url(self) -> str:
        """For a client of MQTT."""
        return f"mqtt://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unplug()

    async def plug(self) -> None:
        if self._server is None:
            self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Cut what is connected and refuse what comes."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self.cut()

    def cut(self) -> None:
        """End every connection, without a word."""
        for writer in self._writers:
            writer.transport.abort()

    def cut_after(self, count: int) -> None:
        """Carry so many bytes more, whichever way, and then cut: in the middle of a packet."""
        self._left = count

    def hold(self) -> None:
        """Nothing arrives any more, neither way, until `flow`."""
        self._flowing.clear()

    def flow(self) -> None:
        self._flowing.set()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        ends = {writer}
        ways: list[asyncio.Task[None]] = []
        try:
            far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self.target)
            ends.add(far_writer)
            if self._server is None:
                return  # unplugged meanwhile
            self._writers |= ends
            ways = [
                asyncio.create_task(self._carry(reader, far_writer, back=False)),
                asyncio.create_task(self._carry(far_reader, writer, back=True)),
            ]
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        except (OSError, asyncio.CancelledError):
            pass  # nobody listens there, or the loop ends, which asyncio would log as an error
        finally:
            self._writers -= ends
            for way in ways:
                way.cancel()
            for end in ends:
                end.transport.abort()

    async def _carry(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, back: bool
    ) -> None:
        with suppress(OSError):
            while data := await reader.read(PIECE if self.rate else 1 << 16):
                if self.rate:
                    await asyncio.sleep(len(data) / self.rate)
                await self._flowing.wait()
                self.came_back += len(data) if back else 0
                writer.write(self._up_to_the_cut(data))
                await writer.drain()
                if self._left == 0:
                    self._left = None
                    self.cut()

    def _up_to_the_cut(self, data: bytes) -> bytes:
        if self._left is None:
            return data
        data = data[: self._left]
        self._left -= len(data)
        return data
