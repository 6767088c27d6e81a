"""A network camera to try things with: an HTTP server that streams the moving figure as MJPEG.

The one rule: to a driver it looks exactly as a camera does, also when it fails. It serves several
viewers at once and draws for nobody when nobody looks.
"""

import asyncio
from contextlib import suppress
from typing import Self

from camera.figure import Figure
from devices.value import Value

_BOUNDARY = "picture"


class MjpegSimulator:
    """``async with MjpegSimulator() as camera``: listens on 127.0.0.1, on `port`.

    The world to move: `silent` (connections open, nothing comes), `frozen` (the same picture for
    ever), `broken` (pictures cut short and torn), `unplug` and `plug`.
    """

    def __init__(
        self, port: int = 0, *, size: tuple[int, int] = (640, 480), fps: float = 12
    ) -> None:
        self.port = port
        self.fps = fps
        self.silent = False
        self.frozen = False
        self.broken = False
        self.viewers: Value[int] = Value(0)
        """How many streams are being watched."""
        self._figure = Figure(size)
        self.number = 0
        self._server: asyncio.Server | None = None
        self._visits: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/stream"

    @property
    def still_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/still"

    async def __aenter__(self) -> Self:
        await self.plug()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.unplug()

    async def plug(self) -> None:
        """Listens on the same port as before. Nothing happens when it is plugged already."""
        if self._server is None:
            self._server = await asyncio.start_server(self._visit, "127.0.0.1", self.port)
            self.port = self._server.sockets[0].getsockname()[1]

    async def unplug(self) -> None:
        """Every connection breaks, and new ones are refused."""
        if self._server is None:
            return
        self._server.close()
        self._server = None
        for visit in self._visits:
            visit.cancel()
        if self._visits:
            await asyncio.wait(self._visits)

    async def _visit(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._visits.add(task)
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
                await self._answer(await reader.readuntil(b"\r\n\r\n"), reader, writer)
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self._visits.discard(task)
            writer.close()

    async def _answer(
        self, question: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if self.silent:
            await reader.read()  # until the other side gives up
            return
        path = question.split(b" ")[1:2]
        if path == [b"/stream"]:
            self.viewers.set(self.viewers.get() + 1)
            try:
                await self._stream(reader, writer)
            finally:
                self.viewers.set(self.viewers.get() - 1)
        elif path == [b"/still"]:
            picture = self._next()
            writer.write(_head("200 OK", f"image/jpeg\r\nContent-Length: {len(picture)}") + picture)
            await writer.drain()
        else:
            writer.write(_head("404 Not Found", "text/plain"))
            await writer.drain()

    async def _stream(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(_head("200 OK", f"multipart/x-mixed-replace; boundary={_BOUNDARY}"))
        closed = asyncio.create_task(reader.read())
        try:
            while not closed.done():
                if not self.silent:
                    writer.write(_part(self._next()))
                    await writer.drain()
                await asyncio.wait({closed}, timeout=1 / self.fps)
        finally:
            closed.cancel()

    def _next(self) -> bytes:
        if not self.frozen:
            self.number += 1
        picture = self._figure.picture(self.number)
        return _spoilt(picture, self.number) if self.broken else picture


def _head(status: str, kind: str) -> bytes:
    return f"HTTP/1.0 {status}\r\nCache-Control: no-store\r\nContent-Type: {kind}\r\n\r\n".encode()


def _part(picture: bytes) -> bytes:
    length = len(picture)
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + picture + b"\r\n"


def _spoilt(picture: bytes, number: int) -> bytes:
    """A picture as bad cables and full buffers leave it, each time another way."""
    half = len(picture) // 2
    ways = (
        picture[:half],
        picture[:-2],
        picture[:100],
        picture[2:],
        b"",
        picture[:half] + picture[:half],
    )
    return ways[number % len(ways)]
