"""A bridge in this process, and one to kill."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

from bridge.config import BridgeConfig, load
from bridge.main import run

KEY = "ab" * 32
ROOT = Path(__file__).parents[2]


def write_config(folder: Path, *, broker: str, odoo: str, password: str, extra: str = "") -> Path:
    """A bridge.toml with one site, `demo`, that syncs and tries again quickly."""
    (folder / "badge.key").write_text(KEY)
    (folder / "odoo.password").write_text(password + "\n")
    path = folder / "bridge.toml"
    path.write_text(
        f"""
[mqtt]
url = "{broker}"

[inbox]
folder = "{folder / "inbox"}"
min_free_mb = 1

[[site]]
name = "demo"
badge_key_file = "{folder / "badge.key"}"

[site.odoo]
url = "{odoo}"
db = "demo"
login = "bridge"
password_file = "{folder / "odoo.password"}"

[site.members]
every_s = 0.5
stop = [["ref", "=", "STOP"]]

[site.products]
every_s = 0.5

[site.apply]
again_s = 0.2
pause_s = 1
{extra}"""
    )
    return path


@asynccontextmanager
async def during(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """It goes on until the block ends; what it raises is raised there."""
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def bridge_here(config: BridgeConfig) -> AsyncIterator[asyncio.Task[None]]:
    """The bridge in this process; what it raises is raised at the end."""
    async with during(run(config)) as task:
        yield task


_RUN = """
import asyncio, os, signal, sys
from importlib import import_module
from pathlib import Path
from bridge.config import load
from bridge.main import run

def die_at(step):
    # "before:module:Class.method:n" or "after:…": SIGKILL ourselves at the n-th call.
    when, module, path, count = step.split(":")
    owner, name = path.split(".")
    cls = getattr(import_module(module), owner)
    real, left = getattr(cls, name), [int(count)]
    def enough():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    async def slow(*args, **kwargs):
        if when == "before": enough()
        result = await real(*args, **kwargs)
        if when == "after": enough()
        return result
    def fast(*args, **kwargs):
        if when == "before": enough()
        result = real(*args, **kwargs)
        if when == "after": enough()
        return result
    setattr(cls, name, slow if asyncio.iscoroutinefunction(real) else fast)

if sys.argv[2]:
    die_at(sys.argv[2])
asyncio.run(run(load(Path(sys.argv[1]))))
"""


class BridgeProcess:
    """The bridge as a process of its own, to be killed."""

    def __init__(self, config: Path) -> None:
        load(config)
        self._config = config
        self._log = config.with_suffix(".log").open("ab")
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *, die: str = "") -> None:
        """`die`: kill yourself ``before`` or ``after`` the n-th call of a method (see `_RUN`)."""
        self._process = subprocess.Popen(
            [sys.executable, "-c", _RUN, str(self._config), die],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=self._log,
            stderr=self._log,
        )

    async def dead(self, within: float = 40) -> None:
        """Wait until it has killed itself."""
        assert self._process is not None
        await asyncio.to_thread(self._process.wait, within)
        self._process = None

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """SIGSTOP, and SIGCONT at the end of the block."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, self._process.pid, os.WSTOPPED)  # not a moment earlier
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    async def kill(self) -> None:
        """SIGKILL."""
        if self._process is not None:
            self._process.kill()
            await asyncio.to_thread(self._process.wait)
            self._process = None

    async def close(self) -> None:
        await self.kill()
        self._log.close()
