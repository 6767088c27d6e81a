"""Processes as systemd would run them, which can be killed.

The one rule: nothing here reaches into a process. Each is started by its command, ended by a
signal, and looked at through the doors that people have.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

ROOT = Path(__file__).parents[2]
LOOK_S = 0.02
T = TypeVar("T")


async def eventually(ask: Callable[[], Awaitable[T]], what: str, seconds: float = 60) -> T:
    """Ask until the answer is true, and return it. Raises AssertionError, which says `what`."""
    over = time.monotonic() + seconds
    while not (answer := await ask()):
        assert time.monotonic() < over, f"{what}: not within {seconds} s"
        await asyncio.sleep(LOOK_S)
    return answer


def copy_folder(source: Path, target: Path) -> Path:
    """What is on a disk: files and folders, without the sockets of whoever had it open."""

    def sockets(folder: str, names: list[str]) -> list[str]:
        return [name for name in names if (Path(folder) / name).is_socket()]

    shutil.copytree(source, target, symlinks=True, ignore=sockets)
    return target


class Process:
    """``python -m`` with arguments; what it says stands in a file."""

    def __init__(self, log: Path, *arguments: str) -> None:
        self.environment: dict[str, str] = {}
        self._log = log
        self._arguments = arguments
        self._process: subprocess.Popen[bytes] | None = None
        self._said = 0

    @property
    def life(self) -> int:
        """Another number for each start; 0 while it does not run."""
        running = self._process is not None and self._process.poll() is None
        return self._process.pid if self._process is not None and running else 0

    def spawn(self) -> None:
        assert not self.life
        with self._log.open("ab") as log:
            self._said = log.tell()
            self._process = subprocess.Popen(
                [sys.executable, "-m", *self._arguments],
                cwd=ROOT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **self.environment},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def words(self) -> str:
        """What it has said since it was started last."""
        return self._log.read_bytes()[self._said :].decode(errors="replace")

    async def says(self, pattern: str) -> re.Match[str]:
        """Wait until it has said this, and return the match."""

        async def said() -> re.Match[str] | None:
            found = re.search(pattern, self.words())
            assert found or self.life, f"{self._arguments} ended: {self.words()}"
            return found

        found = await eventually(said, f"{self._arguments} says {pattern}")
        assert found is not None
        return found

    async def kill(self) -> None:
        """SIGKILL: a power cut."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)

    async def stop(self) -> None:
        """SIGTERM, and patience."""
        if self._process is not None:
            self._process.terminate()
            await asyncio.to_thread(self._process.wait, 60)
