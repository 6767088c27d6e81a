"""`edged demo`: one station, every device simulated, in the browser."""

import argparse
import asyncio
import errno
import os
import signal
import sys
import tempfile
import webbrowser
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from edged import logs
from edged.cli import FAILED, OK


def main(options: argparse.Namespace) -> int:
    logs.set_up(verbose=options.verbose)
    from edged.demo.stage import DidNotStart

    try:
        return asyncio.run(_demo(options))
    except (DidNotStart, OSError) as error:
        print(f"edged demo: {error}", file=sys.stderr)
        return FAILED


async def _demo(options: argparse.Namespace) -> int:
    from edged.demo.panel import build
    from edged.demo.stage import DidNotStart, Stage
    from kiosk.server import serve

    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with AsyncExitStack() as stack:
        folder = options.dir or Path(stack.enter_context(tempfile.TemporaryDirectory("-edged")))
        stage = await stack.enter_async_context(Stage(folder.resolve(), port=options.port))
        await stage.start()
        told: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        panel = asyncio.create_task(
            serve(build(stage), port=options.bench_port, listening=told.set_result)
        )
        either: set[asyncio.Future[Any]] = {told, panel}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if panel.done():
            raise DidNotStart(_no_port(options.bench_port, panel.exception()))
        _tell(stage.url, told.result())
        if not options.no_browser and _has_display():
            for page in ("status", "photo", "scale", "entrance"):
                webbrowser.open(f"{stage.url}/{page}")
            webbrowser.open(f"http://127.0.0.1:{told.result()}/")
        assert stage.daemon is not None
        ended = asyncio.create_task(stage.daemon.wait())
        stop = asyncio.create_task(stopping.wait())
        await asyncio.wait({ended, stop, panel}, return_when=asyncio.FIRST_COMPLETED)
        for task in (ended, stop, panel):
            task.cancel()
        return OK if stopping.is_set() else FAILED


def _no_port(port: int, error: BaseException | None) -> str:
    if isinstance(error, OSError) and error.errno == errno.EADDRINUSE:
        return f"--bench-port: {port} is used by another program; 0 takes a free one"
    return f"--bench-port: {port}: {error}"


def _has_display() -> bool:
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))


def _tell(screens: str, bench: int) -> None:
    print(
        f"""
edged demo: ready

  entrance    {screens}/entrance
  scale       {screens}/scale
  photo       {screens}/photo
  status      {screens}/status
  workbench   http://127.0.0.1:{bench}/   badge, weigh, unplug

Ctrl-C ends it.
""",
        flush=True,
    )
