"""A printer that serves one connection, and for some seconds after it none.

::

    async with OneConnection(rest=3.0) as printer:
        printer.url, printer.served

While it serves or rests, its port is closed: who comes is refused.
"""

import asyncio
import socket
import struct
from typing import Self

_RESET = struct.pack("ii", 1, 0)


class OneConnection:
    """Answers ESC/POS status questions: it is well and has paper."""

    def __init__(self, *, rest: float) -> None:
        self._rest = rest
        self._writer: asyncio.StreamWriter | None = None
        self.port = 0
        self.served: list[int] = []
        """Of each connection that has ended: the bytes that came."""
        self.ended_at = 0.0

    @property
    def url(self) -> str:
        return f"socket://127.0.0.1:{self.port}"

    async def __aenter__(self) -> Self:
        with socket.create_server(("127.0.0.1", 0)) as free:
            self.port = free.getsockname()[1]
        self._task = asyncio.create_task(self._forever())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)

    def reset(self) -> None:
        """End the connection without a word, as a printer does that was switched off and on."""
        assert self._writer is not None
        sock = self._writer.get_extra_info("socket")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._writer.transport.abort()

    async def _forever(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            with socket.create_server(("127.0.0.1", self.port), backlog=1) as door:
                door.setblocking(False)
                connection, _ = await loop.sock_accept(door)
            reader, self._writer = await asyncio.open_connection(sock=connection)
            try:
                self.served.append(await self._serve(reader, self._writer))
            finally:
                self._writer.transport.abort()
            self.ended_at = loop.time()
            await asyncio.sleep(self._rest)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> int:
        count, kept = 0, b""
        try:
            while data := await reader.read(4096):
                count, kept = count + len(data), kept + data
                while (at := kept.find(b"\x10\x04")) >= 0 and len(kept) >= at + 3:
                    writer.write(b"\x16" if kept[at + 2] == 1 else b"\x12")
                    kept = kept[at + 3 :]
        except OSError:
            pass
        return count
