"""ESC/POS drivers that run, and pictures compared dot for dot."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from io import BytesIO
from typing import Any

from PIL import Image
from support.echo import until

from devices.health import State
from devices.simulate import TcpHost
from printer import Printer
from printer.escpos import EscposPrinter, EscposSettings
from printer.simulate import EscposSimulator


def dots(png: bytes) -> tuple[tuple[int, int], bytes]:
    picture = Image.open(BytesIO(png))
    return picture.size, picture.tobytes()


def driver(port: str, **settings: Any) -> EscposPrinter:
    return EscposPrinter("labels", EscposSettings(port=port, **settings))


def health(printer: Printer) -> tuple[State, str]:
    return printer.health.get().state, printer.health.get().key


@asynccontextmanager
async def running(printer: Printer) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(printer.run())
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        printer.idle()
        printer.forget()


@asynccontextmanager
async def printing(
    simulator: EscposSimulator, **settings: Any
) -> AsyncIterator[tuple[EscposPrinter, TcpHost]]:
    """A driver that is up, over TCP."""
    async with TcpHost(simulator) as host:
        printer = driver(f"socket://127.0.0.1:{host.port}", **settings)
        async with running(printer):
            await until(lambda: printer.health.get().usable)
            yield printer, host
