"""The kiosk's browser as its unit starts it, and what tests do to it."""

import asyncio
import os
import re
import shlex
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from support.daemons import Daemon, running
from support.echo import until

UNIT = Path(__file__).parents[2] / "systemd" / "edged-kiosk.service"
SCREEN = """
[badge_reader.porte]
driver = "serial-scanner"
port = "/dev/serial/by-id/none"
[screens.entrance]
reader = "porte"
"""
"""What a station's file needs for a page."""


def chromium() -> list[str]:
    """The unit's own command line of Chromium, drawn nowhere."""
    text = UNIT.read_text("utf-8").replace("\\\n", " ")
    found = re.search(r"^ExecStart=.*(/usr/bin/chromium .*)$", text, flags=re.MULTILINE)
    assert found is not None
    words = [word for word in shlex.split(found[1]) if not word.startswith("--ozone-platform")]
    # Chromium refuses to be root with its sandbox; under the unit it is not root.
    return [*words, "--headless", *(["--no-sandbox"] if os.geteuid() == 0 else [])]


class Kiosk:
    """A running `edged kiosk-watch`."""

    def __init__(self, daemon: Daemon) -> None:
        self.daemon = daemon
        self.pid = daemon.process.pid

    def browser(self) -> list[tuple[int, str]]:
        """Its browser's processes with their command lines: those of the group of its child."""
        known = _processes()
        groups = {pid for pid, parent, _group, _line in known if parent == self.pid}
        return [(pid, line) for pid, _parent, group, line in known if group in groups]

    def token(self) -> str:
        """Of the browser that runs; empty if none does."""
        found = re.search(r"#kiosk=([0-9a-f]{32})", " ".join(line for _, line in self.browser()))
        return found[1] if found else ""

    def parts(self, kind: str) -> list[int]:
        """Processes of the browser of one kind: ``renderer``, ``gpu-process``."""
        return [pid for pid, line in self.browser() if f"--type={kind}" in line]

    def hit(self, kind: str, number: signal.Signals) -> None:
        pids = self.parts(kind)
        assert pids, f"no {kind}"
        for pid in pids:
            os.kill(pid, number)

    async def started(self) -> str:
        """The token of a browser, once there is one."""
        await until(self.token, seconds=60)
        return self.token()

    async def started_again(self, before: str) -> str:
        await until(lambda: self.token() not in ("", before), seconds=60)
        return self.token()


def _processes() -> list[tuple[int, int, int, str]]:
    """Process, parent, group and command line of everything that runs."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            after = (folder / "stat").read_text("utf-8", "replace").rpartition(")")[2].split()
            line = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "replace")
        except OSError:  # it has just ended
            continue
        found.append((int(folder.name), int(after[1]), int(after[2]), line))
    return found


@asynccontextmanager
async def kiosk(port: int, *command: str, **variables: str) -> AsyncIterator[Kiosk]:
    """`edged kiosk-watch` with Chromium, or with another command in its place."""
    words = ("kiosk-watch", "--port", port, "--page", "entrance", "--", *(command or chromium()))
    async with running(*words, **variables) as daemon:
        shown = Kiosk(daemon)
        # Chromium says much; a full pipe would stop it.
        reading = asyncio.create_task(_read(daemon))
        try:
            yield shown
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
            if daemon.process.returncode is None:
                await daemon.end()


async def _read(daemon: Daemon) -> None:
    assert daemon.process.stderr is not None
    async for line in daemon.process.stderr:
        daemon.words += line.decode("utf-8", "replace")
