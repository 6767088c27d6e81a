"""Opens ports that are on the network: ``socket://host:port`` and ``rfc2217://host:port``.

The one rule: a host that vanished is noticed even when nobody writes (TCP keep-alive), and a name
server that hangs holds up nobody.
"""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

import serial.rfc2217

from devices.errors import Absent, DeviceError, Lost, Refused, Unreachable
from devices.fd_port import CHUNK, FULL, WRITE_TIMEOUT, FdPort, Inbox
from devices.local_port import Line, why_not_open
from devices.thread import in_thread

_POLL = 0.2
_SOON = 1.0


async def connect(host: str, port: int, *, timeout: float) -> socket.socket:
    """A connected socket that does not block. Raises `Unreachable`, `Refused` or `Lost`."""
    where = f"{host}:{port}"
    try:
        async with asyncio.timeout(timeout):
            found = await in_thread(
                lambda: socket.getaddrinfo(host, port, type=socket.SOCK_STREAM),
                timeout=timeout,
                name=f"look up {host}",
            )
            return await _first(found)
    except TimeoutError:
        raise Unreachable("device.unplugged", path=where) from None
    except socket.gaierror as error:
        raise Unreachable("device.unplugged", path=where) from error
    except UnicodeError as error:  # no name that a machine can have, such as a..b
        raise Refused("device.port_invalid", path=where) from error
    except OSError as error:
        raise _why_not_reached(error, where) from error


def _why_not_reached(error: OSError, where: str) -> DeviceError:
    word = why_not_open(error, where)
    return Unreachable(word.key, **word.params) if isinstance(word, Absent) else word


async def _first(found: Sequence[tuple[int, int, int, str, Any]]) -> socket.socket:
    failure = OSError("no address")
    for family, kind, protocol, _name, address in found:
        sock = socket.socket(family, kind, protocol)
        try:
            sock.setblocking(False)
            _keep_alive(sock)
            await asyncio.get_running_loop().sock_connect(sock, address)
        except OSError as error:
            sock.close()
            failure = error
        except BaseException:
            sock.close()
            raise
        else:
            return sock
    raise failure


def _keep_alive(sock: socket.socket) -> None:
    """A cable pulled out is noticed within about 20 s."""
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 20_000)


class TcpPort(FdPort):
    """A connection that ends before a word came, and at once, was never one: `Unreachable`.

    A printer that serves another takes the connection only to close it, and is asked again soon.
    """

    def __init__(self, sock: socket.socket, where: str) -> None:
        self._where = where
        self._heard = False
        self._since = asyncio.get_running_loop().time()
        super().__init__(sock.detach(), ends=True)

    def _received(self) -> bytes:
        data = super()._received()
        self._heard = self._heard or bool(data)
        return data

    def _fail(self, error: OSError) -> None:
        lasted = asyncio.get_running_loop().time() - self._since
        if not self._heard and lasted < _SOON:
            self._inbox.fail(Unreachable("device.unplugged", path=self._where))
        super()._fail(error)


@asynccontextmanager
async def open_socket(host: str, port: int, *, timeout: float) -> AsyncIterator[FdPort]:
    tcp = TcpPort(await connect(host, port, timeout=timeout), f"{host}:{port}")
    try:
        yield tcp
    finally:
        tcp.close()


@asynccontextmanager
async def open_rfc2217(url: str, line: Line, *, timeout: float) -> AsyncIterator["Rfc2217Port"]:
    port = Rfc2217Port(await _open_rfc2217(url, line, timeout=timeout), url)
    try:
        yield port
    finally:
        await port.close()


async def _open_rfc2217(url: str, line: Line, *, timeout: float) -> serial.rfc2217.Serial:
    def work() -> serial.rfc2217.Serial:
        remote = serial.rfc2217.Serial(url, timeout=_POLL, **line.settings)
        if line.dtr is not None:
            remote.dtr = line.dtr
        if line.rts is not None:
            remote.rts = line.rts
        return remote

    try:
        return await in_thread(
            work, timeout=timeout, undo=lambda late: late.close(), name=f"open {url}"
        )
    except TimeoutError:
        raise Lost("device.silent", path=url) from None
    except (serial.SerialException, ValueError) as error:
        raise _why_not_rfc2217(error, url) from error


def _why_not_rfc2217(error: Exception, url: str) -> DeviceError:
    cause = error.__context__  # pyserial hides the socket's own error behind a sentence
    if isinstance(cause, socket.gaierror | TimeoutError):
        return Unreachable("device.unplugged", path=url)
    if isinstance(cause, OSError):
        return _why_not_reached(cause, url)
    return Refused("device.port_invalid", path=url)


class Rfc2217Port:
    """pyserial's RFC 2217 client has no fd to wait on: one thread reads it, and closes it."""

    def __init__(self, remote: serial.rfc2217.Serial, url: str) -> None:
        self._remote = remote
        self._loop = asyncio.get_running_loop()
        self._room = threading.Event()
        self._room.set()
        self._inbox = Inbox(self._room.set)
        self._writing = asyncio.Lock()
        self._stop = threading.Event()
        self._ended = asyncio.Event()
        threading.Thread(target=self._pump, name=f"read {url}", daemon=True).start()

    async def read(self, limit: int = CHUNK) -> bytes:
        return await self._inbox.take(limit)

    async def later(self, seconds: float) -> bytes:
        await asyncio.sleep(seconds)
        return self._inbox.now()

    async def repeat(
        self, request: bytes, answer: bytes, every: float, again: Callable[[], bool]
    ) -> bytes:
        self.discard()
        while True:
            await self.write(request)
            heard = await self.later(every)
            if heard != answer or not again():
                return heard

    async def write(self, data: bytes) -> None:
        async with self._writing:
            self._inbox.check()
            try:
                await in_thread(lambda: self._remote.write(data), timeout=WRITE_TIMEOUT)
            except TimeoutError:
                raise Lost("device.silent") from None
            except (serial.SerialException, OSError):
                self._inbox.fail(Lost("device.unplugged"))
                self._inbox.check()

    def discard(self) -> None:
        self._inbox.clear()

    async def close(self) -> None:
        self._stop.set()
        self._room.set()
        self._inbox.fail(Lost("device.unplugged"))
        await self._ended.wait()

    def _pump(self) -> None:
        try:
            while not self._stop.is_set():
                self._room.wait()
                waiting = self._remote.in_waiting
                if waiting > 4 * FULL:
                    # pyserial's own queue has no limit: give the line up rather than the memory.
                    self._tell(partial(self._inbox.fail, Lost("device.flooding")))
                    return
                data = self._remote.read(max(1, min(waiting, CHUNK)))
                if data:
                    self._tell(partial(self._came, data))
        except (serial.SerialException, OSError):
            self._tell(partial(self._inbox.fail, Lost("device.unplugged")))
        finally:
            with suppress(serial.SerialException, OSError):
                self._remote.close()
            self._tell(self._ended.set)

    def _came(self, data: bytes) -> None:
        if not self._inbox.add(data):
            self._room.clear()

    def _tell(self, news: Callable[[], None]) -> None:
        with suppress(RuntimeError):  # the loop is closed: nobody is left to tell
            self._loop.call_soon_threadsafe(news)
