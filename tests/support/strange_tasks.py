"""Drivers of the same distribution that treat the event loop as a script's: as theirs alone."""

import asyncio
import decimal
import sys
import threading
import time
from contextlib import suppress
from decimal import Decimal

from strange_words import ReaderBase
from strangers import Base

from devices import Absent, Lost, Refused
from scale import Weight

decimal.getcontext().prec = 3


class CancelsAll(Base):
    async def run(self):
        self.is_up()
        await asyncio.sleep(0.5)
        for task in asyncio.all_tasks():
            if task is not asyncio.current_task():
                task.cancel()
        await asyncio.Event().wait()


class StopsLoop(Base):
    async def run(self):
        self.is_up()
        loop = asyncio.get_running_loop()
        loop.stop()
        await loop.shutdown_default_executor()
        await asyncio.Event().wait()


class LaterExits(Base):
    """A task made in the constructor."""

    def __init__(self, name, settings):
        super().__init__(name, settings)
        self.task = asyncio.get_running_loop().create_task(self.later())

    async def later(self):
        await asyncio.sleep(0.2)
        sys.exit("no scale found")


class ThreadCallExits(Base):
    """A callback handed over by a thread, which knows of no context."""

    async def run(self):
        loop = asyncio.get_running_loop()
        threading.Thread(target=self.later, args=(loop,), daemon=True).start()
        await super().run()

    def later(self, loop):
        loop.call_soon_threadsafe(sys.exit, 1)


class SwallowsRun(Base):
    async def run(self):
        self.is_up()
        while True:
            with suppress(BaseException):
                await asyncio.sleep(3600)


class SwallowsPlugged(Base):
    async def run(self):
        raise Absent("device.unplugged", path="/dev/nothing")

    async def plugged(self):
        while True:
            with suppress(BaseException):
                await asyncio.sleep(3600)


class SetsRetry(Base):
    async def run(self):
        self.retry.set()
        raise Lost("device.silent")


class NewWords(Base):
    """Another reason a hundred times a second."""

    async def run(self):
        count = 0
        while True:
            count += 1
            self.is_degraded(f"driver.error_{count}", code=count)
            await asyncio.sleep(0.01)


class FillsThreads(Base):
    async def run(self):
        self.is_up()
        self.tasks = [asyncio.create_task(asyncio.to_thread(time.sleep, 10_000)) for _ in range(60)]
        await asyncio.Event().wait()


class LosesTasks(Base):
    async def run(self):
        self.is_up()
        while True:
            self.task = asyncio.create_task(self.poll())
            await asyncio.sleep(0.01)

    async def poll(self):
        raise ValueError("nobody listens")


class LeavesTask(Base):
    """The task of a run that gave up says that all is well."""

    async def run(self):
        self.task = asyncio.create_task(self.poll())
        await asyncio.sleep(0.2)
        raise Refused("device.permission", path="/dev/nothing")

    async def poll(self):
        while True:
            with suppress(BaseException):
                await asyncio.sleep(0.05)
            self.is_up()
            self.reading.set(Weight(Decimal("1.234"), "kg", stable=True))


class BadgeInTrace(ReaderBase):
    async def run(self):
        await asyncio.sleep(0.1)
        self.parse("0420001234004X")

    def parse(self, number):
        if number != "0420001234004":
            raise ValueError(f"cannot read {number}")
