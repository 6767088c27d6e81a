"""Drivers of the same distribution that hand out what their families do not know."""

import asyncio
import time
from decimal import Decimal

from strangers import Base, Nothing

from badge_reader import BadgeRead, BadgeReader
from camera import Camera
from camera.camera import Frame
from devices import Health, Lost
from printer import Printer
from scale import Weight


class OddHealth(Base):
    async def run(self):
        self.health = "splendid"
        await asyncio.Event().wait()


class OddState(Base):
    async def run(self):
        self.health.set("splendid")
        await asyncio.Event().wait()


class OddStateWord(Base):
    async def run(self):
        self.health.set(Health("splendid", 5, None, since="now"))
        await asyncio.Event().wait()


class ClassHealth(Base):
    health = "splendid"


class OddRetry(Base):
    async def run(self):
        self.retry = None
        raise Lost("device.silent")


class Renames(Base):
    async def run(self):
        self.name = "no/such#name"
        self.is_up()
        await asyncio.Event().wait()


class OddReading(Base):
    async def run(self):
        self.is_up()
        self.reading.set("482 g")
        await asyncio.Event().wait()


class OddWeight(Base):
    async def run(self):
        self.is_up()
        self.reading.set(Weight("0.482", "kg", stable=True))
        await asyncio.Event().wait()


class EndlessWeight(Base):
    async def run(self):
        self.is_up()
        self.reading.set(Weight(Decimal("Infinity"), "kg", stable=True))
        await asyncio.Event().wait()


class HugeWeight(Base):
    async def run(self):
        self.is_up()
        self.reading.set(Weight(Decimal("1e999999"), "kg", stable=True))
        await asyncio.Event().wait()


class OddMoment(Base):
    async def run(self):
        self.is_up()
        self.reading.set(Weight(Decimal("0.482"), "kg", at=float("inf")))
        await asyncio.Event().wait()


class ReaderBase(BadgeReader):
    Settings = Nothing

    def __init__(self, name, settings):
        super().__init__(name)

    async def plugged(self):
        await asyncio.Event().wait()


class OddBadge(ReaderBase):
    async def run(self):
        self.is_up()
        self.badges.publish(12345678)
        await asyncio.Event().wait()


class HalfBadge(ReaderBase):
    async def run(self):
        self.is_up()
        self.badges.publish(BadgeRead("AB\ud800CD"))
        await asyncio.Event().wait()


class NoneBadge(ReaderBase):
    async def run(self):
        self.is_up()
        self.badges.publish(BadgeRead(None))
        await asyncio.Event().wait()


class OddPaper(Printer):
    Settings = Nothing

    def __init__(self, name, settings):
        super().__init__(name)

    async def run(self):
        self.is_up()
        self.paper.set("plenty")
        await asyncio.Event().wait()

    async def plugged(self): ...
    async def print(self, label): ...
    def preview(self, label): ...


class OddFrame(Camera):
    Settings = Nothing

    def __init__(self, name, settings):
        super().__init__(name)

    async def run(self):
        self.is_up()
        self.frames.set(Frame("no picture", time.monotonic()))
        await asyncio.Event().wait()

    async def plugged(self): ...
    async def still(self): ...
