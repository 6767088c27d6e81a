"""Hosts for the simulated devices: a real pty or a real TCP port with a simulator behind it.

The one rule: a host looks to a driver exactly as the device does. Unplugging makes the path vanish
and the open port fail, and with a `baud` every byte takes the time it takes on a real line.
"""

import asyncio
import os
import tty
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Protocol, Self

from devices.fd_port import CHUNK, FULL

_UNHEARD = 1024
"""Bytes that wait for a slow line before the host stops taking more, as a UART's buffer does."""


class Simulator(Protocol):
    """The other side of a wire protocol: no port, no task, no clock of its own."""

    silent: bool
    """True: powered off or deaf. It is still fed; nothing it says gets out."""

    def feed(self, data: bytes) -> bytes:
        """Bytes from the host program, in any cut; what the device answers to them."""

    def attach(self, send: Callable[[bytes], None]) -> None:
        """`send` takes the bytes that the device says unasked. Bytes sent unplugged are lost."""


class PtyHost:
    """``async with PtyHost(path, simulator, baud=9600)``: `path` leads to a pty while plugged.

    `baud` None: as fast as the machine. A character is taken to be 10 bits (8N1 and 7E1 both are).
    """

    def __init__(self, path: Path, simulator: Simulator, *, baud: int | None = None) -> None:
        self.path = path
        self.simulator = simulator
        self._seconds_per_byte = 10 / baud if baud else 0.0
        self._master: int | None = None
        self._slave: int | None = None
        self._listening = False
        self._to_device: _Pace | None = None
        self._to_program: _Pace | None = None
        self._unsent = bytearray()

    async def __aenter__(self) -> Self:
        self.simulator.attach(self._say)
        self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.unplug()

    def plug(self) -> None:
        """Nothing happens when it is plugged already; `unplug` likewise."""
        if self._master is not None:
            return
        # The host keeps the slave open as well: else the master fails while no program has it.
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        os.set_blocking(self._master, False)
        self._to_device = _Pace(self._feed, self._seconds_per_byte)
        self._to_program = _Pace(self._send, self._seconds_per_byte)
        self._listen()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self.path.unlink(missing_ok=True)
        self.path.symlink_to(os.ttyname(self._slave))

    def unplug(self) -> None:
        if self._master is None or self._slave is None:
            return
        self.path.unlink(missing_ok=True)
        for pace in (self._to_device, self._to_program):
            if pace:
                pace.stop()
        self._unsent.clear()
        self._listening = False
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._master)
        loop.remove_writer(self._master)
        os.close(self._slave)
        os.close(self._master)
        self._master = self._slave = None

    def _listen(self) -> None:
        if self._master is not None and not self._listening:
            self._listening = True
            asyncio.get_running_loop().add_reader(self._master, self._readable)

    def _readable(self) -> None:
        assert self._master is not None
        assert self._to_device is not None
        try:
            data = os.read(self._master, CHUNK)
        except OSError:
            return
        self._to_device.push(data)
        if self._to_device.waiting > _UNHEARD:
            self._listening = False
            asyncio.get_running_loop().remove_reader(self._master)

    def _feed(self, data: bytes) -> None:
        self._say(self.simulator.feed(data))
        if self._to_device and self._to_device.waiting <= _UNHEARD:
            self._listen()

    def _say(self, data: bytes) -> None:
        if data and self._to_program and self._master is not None and not self.simulator.silent:
            self._to_program.push(data)

    def _send(self, data: bytes) -> None:
        # A serial device does not wait for a program that does not read: the line overruns.
        self._unsent += data[: FULL - len(self._unsent)]
        self._flush()

    def _flush(self) -> None:
        assert self._master is not None
        loop = asyncio.get_running_loop()
        with suppress(BlockingIOError):
            while self._unsent:
                del self._unsent[: os.write(self._master, self._unsent[:CHUNK])]
        if self._unsent:
            loop.add_writer(self._master, self._flush)
        else:
            loop.remove_writer(self._master)


class TcpHost:
    """``async with TcpHost(simulator)``: listens on 127.0.0.1, on `port`.

    Every connection talks to the same simulator; what it says unasked goes to all of them.
    """

    def __init__(self, simulator: Simulator, port: int = 0) -> None:
        self.simulator = simulator
        self.port = port
        self._server: asyncio.Server | None = None
        self._connections: set[_Connection] = set()

    async def __aenter__(self) -> Self:
        self.simulator.attach(self._say_to_all)
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unplug()

    async def plug(self) -> None:
        """Listens on the same port as before. Nothing happens when it is plugged already."""
        if self._server is None:
            self._server = await asyncio.get_running_loop().create_server(
                lambda: _Connection(self._connections, self._answer), "127.0.0.1", self.port
            )
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for connection in set(self._connections):
            connection.transport.abort()
            await connection.closed.wait()

    def _answer(self, data: bytes) -> bytes:
        answer = self.simulator.feed(data)
        return b"" if self.simulator.silent else answer

    def _say_to_all(self, data: bytes) -> None:
        if data and not self.simulator.silent:
            for connection in self._connections:
                if connection.transport.get_write_buffer_size() < FULL:
                    connection.transport.write(data)


class _Connection(asyncio.Protocol):
    transport: asyncio.Transport

    def __init__(self, all_of_them: set["_Connection"], answer: Callable[[bytes], bytes]) -> None:
        self._all = all_of_them
        self._answer = answer
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self.transport = transport
        self._all.add(self)

    def data_received(self, data: bytes) -> None:
        if answer := self._answer(data):
            self.transport.write(answer)

    def pause_writing(self) -> None:
        self.transport.pause_reading()

    def resume_writing(self) -> None:
        self.transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 (asyncio's signature)
        self._all.discard(self)
        self.closed.set()


class _Pace:
    """Hands bytes on at the speed of a serial line; at once when `seconds_per_byte` is 0."""

    def __init__(self, deliver: Callable[[bytes], None], seconds_per_byte: float) -> None:
        self._deliver = deliver
        self._seconds = seconds_per_byte
        self._loop = asyncio.get_running_loop()
        self._bytes = bytearray()
        self._next = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def waiting(self) -> int:
        return len(self._bytes)

    def push(self, data: bytes) -> None:
        if not self._seconds:
            self._deliver(data)
            return
        self._bytes += data[: FULL - len(self._bytes)]
        if self._timer is None and self._bytes:
            self._next = max(self._next, self._loop.time()) + self._seconds
            self._timer = self._loop.call_at(self._next, self._due)

    def stop(self) -> None:
        self._bytes.clear()
        if self._timer:
            self._timer.cancel()
            self._timer = None

    def _due(self) -> None:
        late = max(0.0, self._loop.time() - self._next)
        count = min(len(self._bytes), 1 + int(late / self._seconds))
        data = bytes(self._bytes[:count])
        del self._bytes[:count]
        self._timer = None
        if self._bytes:
            self._next += count * self._seconds
            self._timer = self._loop.call_at(self._next, self._due)
        else:
            self._next += (count - 1) * self._seconds
        self._deliver(data)
