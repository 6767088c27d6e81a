"""The simplest simulated device, and what tests of ports need around it."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from devices.ports import Port


class Echo:
    """Answers what it is sent, in capitals."""

    def __init__(self) -> None:
        self.silent = False
        self.greeting = "hello"
        self.count = 3
        self.heard = bytearray()
        self.say: Callable[[bytes], None] = lambda _data: None

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.say = send

    def feed(self, data: bytes) -> bytes:
        self.heard += data
        return data.upper()


async def until(is_so: Callable[[], object], *, seconds: float = 20.0) -> None:
    async with asyncio.timeout(seconds):
        while not is_so():
            await asyncio.sleep(0.01)


async def read_exactly(port: Port, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await port.read(count - len(data))
    return data


async def met(port: Port) -> None:
    """The device knows of us: a TCP host hears of a connection later than who connects."""
    await port.write(b"x")
    assert await port.read() == b"X"


def fds() -> set[str]:
    """What this process has open."""
    return {f"{fd.name} {_target(fd)}" for fd in Path("/proc/self/fd").iterdir()}


def _target(fd: Path) -> str:
    with suppress(OSError):
        return str(fd.readlink())
    return ""
