"""edged as a process of its own: a command that ends, and a daemon that runs until it is told.

::

    status, out, err = await edged("check", "-c", file)
    async with running("run", "-c", file) as daemon:
        await daemon.ready()
        assert await daemon.end() == 0
"""

import asyncio
import json
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from support.hands import Hands
from support.strace import environment

STATION = """
[station]
site = "demo"
name = "borne-1"
data = "{data}"
clock = "trusted"
[kiosk]
port = {port}
"""
"""A station.toml to be filled in, and added to. Port 0: any that is free."""

EDGED = ("-m", "edged")
AS_ROOT = (
    "-c",
    """
# What is imported late comes first: a Python in root's own home is closed to others.
import concurrent.futures.thread, importlib.readers, logging.config, sys
import bridge.control, bridge.inbox, edged.daemon, uvicorn.protocols.http.h11_impl, uvicorn.server
from edged.cli import main
main(sys.argv[1:])
""",
)
"""The same, for commands of root that go on as another user."""


async def edged(
    *arguments: object, python: Sequence[str] = EDGED, **variables: str
) -> tuple[int, str, str]:
    """Run a command to its end: its status, what it printed, what it complained about."""
    process = await _started(*python, *arguments, stdout=PIPE, **variables)
    out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


class Daemon:
    def __init__(self, process: Process) -> None:
        self.process = process
        self.words = ""
        self.url = ""

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it says this from now on, and return the match."""
        assert self.process.stderr is not None
        async with asyncio.timeout(60):
            while True:
                line = (await self.process.stderr.readline()).decode()
                assert line, f"it ended: {self.words}"
                self.words += line
                if found := re.search(pattern, line):
                    return found

    async def ready(self) -> None:
        self.url = (await self.says(r"ready: (http://127\.0\.0\.1:\d+)/"))[1]

    async def status(self) -> dict[str, Any]:
        """What ``/status.json`` tells."""
        async with Hands.client() as client:
            told: dict[str, Any] = json.loads((await client.get(f"{self.url}/status.json")).text)
        return told

    async def devices(self) -> dict[str, dict[str, Any]]:
        return {device["name"]: device for device in (await self.status())["devices"]}

    async def device_is(self, name: str, state: str) -> dict[str, Any]:
        async with asyncio.timeout(20):
            while (device := (await self.devices())[name])["state"] != state:
                await asyncio.sleep(0.05)
        return device

    async def link_is_up(self) -> None:
        async with asyncio.timeout(20):
            while not any(row["what"] == "mqtt" and row["value"] for row in await self._rows()):
                await asyncio.sleep(0.05)

    async def _rows(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self.status())["rows"]
        return rows

    async def end(self) -> int:
        """SIGTERM, and how it ended."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(20):
            return await self.process.wait()

    async def all_words(self) -> str:
        """What it said from its start to its end, which has come."""
        assert self.process.stderr is not None
        async with asyncio.timeout(20):
            self.words += (await self.process.stderr.read()).decode()
        return self.words

    async def refusal(self) -> str:
        """What it says when it cannot start."""
        _, err = await self.process.communicate()
        assert self.process.returncode == 1
        return err.decode()


@asynccontextmanager
async def running(
    *arguments: object,
    python: Sequence[str] = EDGED,
    before: Sequence[str] = (),
    **variables: str,
) -> AsyncIterator[Daemon]:
    """A command that does not end by itself; it is killed at the end of the block.

    `before`: the command line that it is an argument of, such as strace's.
    """
    process = await _started(*python, *arguments, before=before, **variables)
    try:
        yield Daemon(process)
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


@asynccontextmanager
async def station(
    folder: Path, more: str = "", *, port: int = 0, **variables: str
) -> AsyncIterator[Daemon]:
    """``edged run`` with its data in `folder`; `more`: tables that its file has besides."""
    file = folder / "station.toml"
    file.write_text(STATION.format(data=folder / "data", port=port) + more)
    async with running("run", "-c", file, **variables) as daemon:
        yield daemon


async def _started(
    *arguments: object, stdout: int | None = None, before: Sequence[str] = (), **variables: str
) -> Process:
    return await asyncio.create_subprocess_exec(
        *before, sys.executable, *map(str, arguments), env=environment() | variables,
        stdout=stdout, stderr=PIPE,
    )  # fmt: skip
