"""Drivers of the same distribution that do not let go of the event loop."""

import asyncio
import os
import re
import sys
import time

from strangers import Base


class Blocks(Base):
    async def run(self):
        self.is_up()
        await asyncio.sleep(0.5)
        self.snooze()
        await asyncio.Event().wait()

    def snooze(self):
        time.sleep(2.5)


class BlocksForEver(Base):
    async def run(self):
        time.sleep(10_000)


class Computes(Base):
    async def run(self):
        self.is_up()
        await asyncio.sleep(1)
        print("computing", file=sys.stderr, flush=True)
        end = time.process_time() + 1.2
        while time.process_time() < end:
            pass
        await asyncio.Event().wait()


class KeepsTheLock(Base):
    """Holds Python's own lock in a call of C: no other thread runs meanwhile."""

    async def run(self):
        self.is_up()
        await asyncio.sleep(0.5)
        self.match()
        await asyncio.Event().wait()

    def match(self):
        began = time.monotonic()
        for length in range(20, 60):
            re.match("(a|a)*b", "a" * length)
            if time.monotonic() - began > 2.5:
                return


class ChildBlocks(Base):
    async def run(self):
        self.is_up()
        await asyncio.gather(asyncio.create_task(_snooze()))
        await asyncio.Event().wait()


async def _snooze():
    await asyncio.sleep(0.5)
    time.sleep(2.5)


class ReaderBlocks(Base):
    async def run(self):
        self.is_up()
        end, start = os.pipe()
        asyncio.get_running_loop().add_reader(end, lambda: (os.read(end, 1), time.sleep(2.5)))
        await asyncio.sleep(0.5)
        os.write(start, b"x")
        await asyncio.Event().wait()


class BlocksOften(Base):
    async def run(self):
        self.is_up()
        while True:
            await asyncio.sleep(0.1)
            time.sleep(1.2)
