"""Drivers of a distribution that is not ours, each named after what it does wrong.

`support.strangers` installs them where a process of its own finds them.
"""

import asyncio
import sys
import threading
from decimal import Decimal

from pydantic import BaseModel, model_validator

from devices import Absent, Lost, Refused
from printer import Printer
from scale import Scale, Weight


class Nothing(BaseModel):
    """Nothing to be set."""


class Base(Scale):
    """Behaves."""

    Settings = Nothing

    def __init__(self, name, settings):
        super().__init__(name)
        self.settings = settings

    async def run(self):
        self.reading.set(Weight(Decimal("0.482"), "kg", stable=True))
        self.is_up()
        await asyncio.Event().wait()

    async def plugged(self):
        await asyncio.Event().wait()


class Weird(BaseException):
    pass


class Mute(Exception):
    def __str__(self):
        raise RuntimeError("not even that")


# --- loading and making ---


class Raises(Base):
    def __init__(self, name, settings):
        raise RuntimeError("no such thing as a scale")


class Exits(Base):
    def __init__(self, name, settings):
        sys.exit("a library called exit")


class RaisesMutely(Base):
    def __init__(self, name, settings):
        raise Mute


class TakesNothing(Base):
    def __init__(self):
        pass


class NoSettings(Scale):
    async def run(self): ...
    async def plugged(self): ...


class OddSettings(Base):
    Settings = dict


class BadValidator(Base):
    class Settings(BaseModel):
        @model_validator(mode="before")
        @classmethod
        def _given(cls, given):
            raise KeyError(given)


class ExitingValidator(Base):
    class Settings(BaseModel):
        @model_validator(mode="before")
        @classmethod
        def _given(cls, given):
            sys.exit(3)


class OddPort(Base):
    class Settings(BaseModel):
        @property
        def port(self):
            raise RuntimeError("which port")


class OddUnit(Base):
    class Settings(BaseModel):
        @property
        def unit(self):
            raise RuntimeError("which unit")


class Half(Base):
    def __init__(self, name, settings):
        pass  # and does not call super().__init__


class Abstract(Scale):
    Settings = Nothing

    async def plugged(self): ...


def makes_none(name, settings):
    return None


makes_none.Settings = Nothing


class OtherFamily(Printer):
    Settings = Nothing

    def __init__(self, name, settings):
        super().__init__(name)

    async def run(self): ...
    async def plugged(self): ...
    async def print(self, label): ...
    def preview(self, label): ...


class OtherName(Base):
    def __init__(self, name, settings):
        super().__init__(settings)


# --- running ---


class RunsNoCoroutine(Base):
    def run(self):
        return 5


class RunExitsBefore(Base):
    def run(self):
        sys.exit(1)


class OddParams(Base):
    async def run(self):
        raise Lost("device.silent", code=5, none=None, what=object(), bytes=b"x", half="\ud800")


class OddKey(Base):
    async def run(self):
        raise Lost(5)


class OwnWords(Base):
    async def run(self):
        class Own(Refused):
            def __init__(self):
                pass

        raise Own


class OwnParams(Base):
    async def run(self):
        error = Refused("device.silent")
        error.key, error.params = 5, {1: 2}
        raise error


class MuteKey(Base):
    async def run(self):
        error = Lost("device.silent")
        error.key = Mute()
        raise error


class LongWords(Base):
    async def run(self):
        raise Lost("device.bug\n" + "x" * 10_000_000, error="y" * 10_000_000)


class RaisesWeird(Base):
    async def run(self):
        raise Weird("odd")


class RaisesInterrupt(Base):
    async def run(self):
        raise KeyboardInterrupt


class RunRaisesMutely(Base):
    async def run(self):
        raise Mute


class RaisesGroups(Base):
    async def run(self):
        error = ValueError("deep")
        for _ in range(5000):
            error = ExceptionGroup("g", [error])
        raise error


class IdleRaises(Base):
    async def run(self):
        self.reading.set(Weight(Decimal("0.482"), "kg", stable=True))
        raise Absent("device.unplugged")

    def idle(self):
        sys.exit(2)


class PluggedRaises(Base):
    async def run(self):
        raise Absent("device.unplugged")

    async def plugged(self):
        raise Weird("plug")


class PluggedIsNone(Base):
    plugged = None

    async def run(self):
        raise Absent("device.unplugged")


class NodeRaises(Base):
    async def run(self):
        raise Lost("device.silent")

    def node(self):
        raise Weird("node")


# --- left behind ---


async def _exits():
    sys.exit(4)


async def _fails():
    raise Weird("left behind")


class TaskRaises(Base):
    async def run(self):
        self.task = asyncio.create_task(_fails())
        await super().run()


class TaskExits(Base):
    async def run(self):
        self.task = asyncio.create_task(_exits())
        await super().run()


class CallbackExits(Base):
    async def run(self):
        asyncio.get_running_loop().call_later(0.05, sys.exit, 5)
        await super().run()


class ThreadRaises(Base):
    async def run(self):
        threading.Thread(target=sys.exit, daemon=True).start()
        await super().run()


# --- asked by a screen ---


class TareExits(Base):
    async def tare(self):
        sys.exit(6)

    def clear_tare(self):
        raise Weird("at once")


# --- decoders and simulators ---


def decodes_nothing(vector):
    return object()


def exits_decoding(vector):
    sys.exit(7)


def fails_decoding(vector):
    raise AttributeError("no such thing")


class BrokenSimulator:
    def __init__(self):
        raise RuntimeError("does not simulate")


class ExitingSimulator:
    silent = False

    def attach(self, send): ...

    def feed(self, data):
        sys.exit(8)
