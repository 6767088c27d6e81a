"""A serial line on the network, against pyserial's own server side."""

import asyncio
import socket
import threading
from collections.abc import Callable
from contextlib import suppress

import pytest
import serial
import serial.rfc2217
from support.echo import Echo, fds, read_exactly, until

from devices import Absent, Lost, Refused
from devices.ports import Line, open_port
from devices.simulate import TcpHost


class Rfc2217Server:
    """A serial line on the network: pyserial's own server side, on a line that echoes."""

    def __init__(self) -> None:
        self.line = serial.serial_for_url("loop://", timeout=0.05)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._connection: socket.socket | None = None

    def __enter__(self) -> "Rfc2217Server":
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        for thread in self._threads:
            thread.join(5)

    def die(self) -> None:
        for sock in (self._listener, self._connection):
            if sock:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        self.line.close()

    def write(self, data: bytes) -> None:
        """What the PortManager itself says to the client."""
        assert self._connection
        self._connection.sendall(data)

    def _start(self, body: Callable[[], None]) -> None:
        def quietly() -> None:
            with suppress(OSError, serial.SerialException):
                body()

        self._threads.append(threading.Thread(target=quietly, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        self._connection, _ = self._listener.accept()
        manager = serial.rfc2217.PortManager(self.line, self)
        self._start(lambda: self._up(manager))
        while data := self._connection.recv(1024):
            self.line.write(b"".join(manager.filter(data)))

    def _up(self, manager: serial.rfc2217.PortManager) -> None:
        while True:
            if data := self.line.read(self.line.in_waiting or 1):
                self.write(b"".join(manager.escape(data)))


old_pyserial = pytest.mark.filterwarnings("ignore:set(Daemon|Name)")


@old_pyserial
async def test_a_serial_line_on_the_network():
    threads, before = threading.active_count(), fds()
    with Rfc2217Server() as server:
        async with open_port(server.url, Line(2400, 7, "E", dtr=True, rts=False)) as port:
            assert (server.line.baudrate, server.line.bytesize) == (2400, 7)
            assert server.line.parity == "E"
            everything = bytes(range(256))  # also telnet's own escape, 0xFF
            await port.write(everything)
            assert await read_exactly(port, 256) == everything
        await until(lambda: not any("RFC 2217" in t.name for t in threading.enumerate()))
    with pytest.raises(Absent):
        async with open_port(server.url):
            pass
    await until(lambda: threading.active_count() <= threads)
    await until(lambda: fds() == before)


@old_pyserial
@pytest.mark.parametrize("flow", ["rtscts", "xonxoff"])
async def test_a_line_on_the_network_that_makes_the_sender_wait(flow):
    with Rfc2217Server() as server:
        async with open_port(server.url, Line(flow=flow)):
            assert (server.line.rtscts, server.line.xonxoff) == (
                flow == "rtscts",
                flow == "xonxoff",
            )


@old_pyserial
async def test_the_same_question_again_and_again():
    with Rfc2217Server() as server:
        async with open_port(server.url) as port:
            rest = iter([True, True, False])
            assert await port.repeat(b"W", b"W", 0.5, rest.__next__) == b"W"
            assert next(rest, None) is None
            assert await port.repeat(b"W", b"another", 0.5, lambda: True) == b"W"


@old_pyserial
async def test_a_network_line_whose_server_dies_is_lost():
    with Rfc2217Server() as server:
        async with open_port(server.url) as port:
            await port.write(b"x")
            assert await port.read() == b"x"
            reading = asyncio.create_task(port.read())
            await asyncio.sleep(0.05)
            server.die()
            with pytest.raises(Lost, match=r"device\.unplugged"):
                await asyncio.wait_for(reading, 10)


@old_pyserial
async def test_a_port_that_speaks_no_rfc2217_is_refused():
    async with TcpHost(Echo()) as host:
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(f"rfc2217://127.0.0.1:{host.port}"):
                pass
