"""Debian's mosquitto for tests: a real broker on a port of its own, which can be killed.

::

    async with mosquitto(tmp_path) as broker:
        Address.parse(broker.url)
        await broker.kill()      # SIGKILL, as a power cut does
        await broker.start()     # the same port again
"""

import asyncio
import contextlib
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

MOSQUITTO = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
OPEN = "allow_anonymous true\n"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Mosquitto:
    """One broker process; `url` and `port` stay the same over restarts."""

    def __init__(self, folder: Path, config: str, scheme: str) -> None:
        self.folder = folder
        self.port = free_port()
        self.url = f"{scheme}://127.0.0.1:{self.port}"
        self.log = folder / "mosquitto.log"
        self._process: asyncio.subprocess.Process | None = None
        folder.mkdir(parents=True, exist_ok=True)
        # Not `max_queued_messages 0`: before mosquitto 2.0.22 that ends the connection of whoever
        # is refused a publish (eclipse-mosquitto/mosquitto#3244).
        (folder / "mosquitto.conf").write_text(
            f"listener {self.port} 127.0.0.1\nuser root\nmax_queued_messages 1000000\n"
            f"set_tcp_nodelay true\nlog_type all\nlog_dest file {self.log}\n{config}"
        )

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Returns when it answers."""
        assert MOSQUITTO, "these tests need Debian's mosquitto"
        self._process = await asyncio.create_subprocess_exec(
            MOSQUITTO,
            "-c",
            str(self.folder / "mosquitto.conf"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        async with asyncio.timeout(20):
            while True:
                assert self._process.returncode is None, self.log.read_text()
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    await writer.wait_closed()
                    return
                await asyncio.sleep(0.02)

    async def stop(self) -> None:
        """SIGTERM: it says goodbye to its clients and saves what it keeps."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()
            await self._process.wait()

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()


@asynccontextmanager
async def mosquitto(
    folder: Path, config: str = OPEN, *, scheme: str = "mqtt"
) -> AsyncIterator[Mosquitto]:
    """A running mosquitto; `config` is added after its listener's line. Killed at the end."""
    broker = Mosquitto(folder, config or OPEN, scheme)
    await broker.start()
    try:
        yield broker
    finally:
        await broker.kill()
