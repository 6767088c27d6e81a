"""Devices under their supervisor: one on a real port, one that does as it is told."""

import asyncio
from collections.abc import Awaitable, Callable

from support.echo import until

from devices import Device, State
from devices.keep import keep
from devices.ports import node, open_port, plugged


class Probe(Device):
    """Asks an `Echo` on a port and counts the answers."""

    def __init__(self, name: str, url: str) -> None:
        super().__init__(name)
        self.url = url
        self.answers = 0
        self.reading: str | None = None

    async def run(self) -> None:
        async with open_port(self.url) as port:
            while True:
                await port.write(b"w")
                self.reading = (await port.read()).decode()
                self.is_up()
                self.answers += 1
                await asyncio.sleep(0.005)

    async def plugged(self) -> None:
        await plugged(self.url)

    def node(self) -> object:
        return node(self.url)

    def idle(self) -> None:
        self.reading = None


class Scripted(Device):
    """Each `run()` ends as the next entry says; then it holds for ever."""

    def __init__(self, name: str, *ends: BaseException | Callable[[Device], Awaitable[None]]):
        super().__init__(name)
        self.ends = list(ends)
        self.runs = 0
        self.starts: list[float] = []
        self.there = asyncio.Event()
        self.idled = 0

    async def run(self) -> None:
        self.starts.append(asyncio.get_running_loop().time())
        self.runs += 1
        if self.runs > len(self.ends):
            self.is_up()
            await asyncio.Event().wait()
        end = self.ends[self.runs - 1]
        if isinstance(end, BaseException):
            raise end
        await end(self)

    async def plugged(self) -> None:
        await self.there.wait()

    def idle(self) -> None:
        self.idled += 1


class Kept:
    """``async with Kept(device): …``, with short waits."""

    def __init__(self, *devices: Device, backoff=(0.01, 0.02, 0.04), steady: float = 60.0):
        self.devices = devices
        self.options = {"backoff": backoff, "steady": steady}

    async def __aenter__(self) -> list[asyncio.Task[None]]:
        self.tasks = [asyncio.create_task(keep(d, **self.options)) for d in self.devices]
        return self.tasks

    async def __aexit__(self, *_: object) -> None:
        for task in self.tasks:
            task.cancel()
        ends = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


def up(device: Device) -> Callable[[], bool]:
    return lambda: device.health.get().state is State.UP


async def reaches(device: Device, state: State):
    await until(lambda: device.health.get().state is state)
    return device.health.get()
