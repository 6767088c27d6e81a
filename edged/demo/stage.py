"""The demo on its feet: workbench, stand-in Odoo, and the daemon as a process of its own.

The one rule: the daemon is the real one, started as systemd would start it. It can be killed and
started again while the devices, Odoo and the broker go on.
"""

import asyncio
import os
import sys
from collections.abc import Awaitable
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Self

from bridge.standin import StandIn
from bridge.standin.demo import PASSWORD, stock
from edged.demo.files import write_bridge, write_station
from edged.demo.workbench import Workbench
from mqtt.secrets import make_badge_key

READY_S = 30.0
STOP_S = 15.0


class DidNotStart(Exception):
    """The daemon ended before it was ready; its own words are above."""


class Stage:
    """``async with Stage(folder) as stage``: everything but the daemon; `start()` runs that.

    `mqtt_url` names a broker to use; None has the daemon run a private one and the bridge.
    """

    def __init__(self, folder: Path, *, port: int = 0, mqtt_url: str | None = None) -> None:
        self.folder = folder
        self._wanted_port = port
        self._mqtt_url = mqtt_url
        self.bench = Workbench(folder)
        self.odoo = StandIn(stock(), state=folder / "odoo.json")
        self.daemon: asyncio.subprocess.Process | None = None
        self.port = port
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        self.folder.mkdir(parents=True, exist_ok=True)
        make_badge_key(self.folder / "badge.key")
        await self._stack.enter_async_context(self.odoo)
        await self._stack.enter_async_context(self.bench)
        write_bridge(self.folder, odoo_url=self.odoo.url, password=PASSWORD)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()
        await self._stack.aclose()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Run the daemon and return when it says READY. Raises `DidNotStart`."""
        urls = {name.replace("-", "_"): url for name, url in self.bench.urls.items()}
        station = write_station(
            self.folder, port=self._wanted_port, mqtt_url=self._mqtt_url, urls=urls
        )
        async with _Ready(self.folder / "notify") as ready:
            self.daemon = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "edged",
                "run",
                "-c",
                str(station),
                env={**os.environ, "NOTIFY_SOCKET": str(ready.path)},
            )
            words = await _first(ready.wait(), self.daemon.wait())
        if not isinstance(words, dict):
            raise DidNotStart(f"the daemon ended with status {words}")
        # The daemon says where its screens are: with port 0 nobody knew before.
        self.port = int(words["PORT"])

    async def kill(self) -> None:
        """As a power cut would: SIGKILL, no farewell."""
        if self.daemon is not None and self.daemon.returncode is None:
            self.daemon.kill()
            await self.daemon.wait()

    async def stop(self) -> None:
        """As systemd would: SIGTERM, and patience."""
        if self.daemon is None or self.daemon.returncode is not None:
            return
        with suppress(ProcessLookupError):
            self.daemon.terminate()
        try:
            async with asyncio.timeout(STOP_S):
                await self.daemon.wait()
        except TimeoutError:
            await self.kill()


class _Ready:
    """Listens for sd_notify words on a socket of our own, as systemd does."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._words: asyncio.Future[dict[str, str]]

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        self._words = loop.create_future()
        self.path.unlink(missing_ok=True)
        words, said = self._words, dict[str, str]()

        class Listener(asyncio.DatagramProtocol):
            def datagram_received(self, data: bytes, addr: object) -> None:  # noqa: ARG002
                said.update(dict(line.split("=", 1) for line in data.decode().splitlines()))
                if said.get("READY") == "1" and not words.done():
                    words.set_result(said)

        import socket

        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        sock.bind(str(self.path))
        self._transport, _ = await loop.create_datagram_endpoint(Listener, sock=sock)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._transport.close()
        self.path.unlink(missing_ok=True)

    async def wait(self) -> dict[str, str]:
        async with asyncio.timeout(READY_S):
            return await self._words


async def _first(*waits: Awaitable[object]) -> object:
    tasks = [asyncio.ensure_future(wait) for wait in waits]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return done.pop().result()
    finally:
        for task in tasks:
            task.cancel()
