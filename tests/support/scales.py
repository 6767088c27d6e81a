"""An 8217 driver on a pty, and the bad scales and lines that it meets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from support.readers import kept, until

from devices.simulate import PtyHost
from scale import Weight
from scale.simulate import Toledo8217Simulator
from scale.toledo import Toledo8217, ToledoSettings


class Bench:
    """A scale, its simulator, and every reading it ever showed."""

    def __init__(self, path: Path, simulator: Toledo8217Simulator, **settings: Any) -> None:
        self.simulator = simulator
        self.host = PtyHost(path, simulator)
        self.scale = Toledo8217("scale", ToledoSettings(port=str(path), **settings))
        self.shown: list[Weight | None] = []

    @property
    def reading(self) -> Weight | None:
        return self.scale.reading.get()

    @property
    def grams(self) -> int | None:
        return self.reading.grams if self.reading else None

    async def shows(self, grams: int) -> None:
        """And is sure of it."""
        await until(lambda: self.grams == grams and self.reading and self.reading.stable)

    async def watch(self) -> None:
        async for reading in self.scale.reading.changes():
            self.shown.append(reading)


@asynccontextmanager
async def bench(
    tmp_path: Path, simulator: Toledo8217Simulator | None = None, **settings: Any
) -> AsyncIterator[Bench]:
    made = Bench(tmp_path / "scale", simulator or Toledo8217Simulator(), **settings)
    watching = asyncio.create_task(made.watch())
    async with made.host, kept(made.scale):
        try:
            yield made
        finally:
            watching.cancel()
            with suppress(asyncio.CancelledError):
                await watching


class Trickster(Toledo8217Simulator):
    """A scale on a bad line: `spoil` changes every answer on its way."""

    def __init__(self, load: int, spoil: Callable[[bytes], bytes]) -> None:
        super().__init__(load)
        self.spoil = spoil

    def feed(self, data: bytes) -> bytes:
        return self.spoil(super().feed(data))


class Late(Toledo8217Simulator):
    """A scale that takes its time."""

    delay = 0.0

    def attach(self, send: Callable[[bytes], None]) -> None:
        self.send = send

    def feed(self, data: bytes) -> bytes:
        answer = super().feed(data)
        if not self.delay:
            return answer
        asyncio.get_running_loop().call_later(self.delay, self.send, answer)
        return b""
