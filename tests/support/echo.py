"""The simplest simulated device, and waiting until something is so."""

import asyncio
from collections.abc import Callable


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
