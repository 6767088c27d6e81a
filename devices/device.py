"""A device is one coroutine, `run()`, held by `devices.keep`.

The one rule: constructors do nothing. No file, port, thread or task exists before `run()`, and
none is left when it ends, however it ends.
"""

import asyncio
from abc import ABC, abstractmethod
from typing import ClassVar
from weakref import WeakValueDictionary

from devices.bus import Bus
from devices.errors import NonsenseError
from devices.health import Health, State
from devices.value import Reading, Value


class Device(ABC):
    """What a supervisor needs to know of a badge reader, a scale, a printer or a camera."""

    discreet: ClassVar[bool] = False
    """What goes wrong in its driver is told without its words (`devices.blame`)."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.health: Value[Health] = Value(Health(), Health)
        self.retry = asyncio.Event()
        """Set by a person ("try again"): ends any wait, also that of a `Refused` device."""
        LIVING[id(self)] = self

    def __setattr__(self, name: str, value: object) -> None:
        """Raises `NonsenseError` for what others listen to: they would not hear of a new one."""
        kept = self.__dict__.get(name)
        if isinstance(kept, Value | Bus | asyncio.Event) or (name == "name" and kept is not None):
            raise NonsenseError(f"{name} of a device is not to be replaced")
        super().__setattr__(name, value)

    @abstractmethod
    async def run(self) -> None:
        """Hold the device until cancelled. Raise `Absent`, `Lost` or `Refused`; never return."""

    @abstractmethod
    async def plugged(self) -> None:
        """Return once the device seems to be there (within 0.25 s), to end a wait early.

        It must not use up what it asks for: see `devices.ports.plugged`.
        """

    def node(self) -> object:
        """What tells a device that was plugged in anew from the one before (`devices.ports.node`).

        A new one is tried at once. None: nothing is known, or nothing is plugged in.
        """
        return None

    def idle(self) -> None:
        """Called by the supervisor the moment `run()` has ended. Readings are forgotten anyway."""

    def forget(self) -> None:
        """Every reading is unknown again."""
        for value in vars(self).values():
            if isinstance(value, Reading):
                value.forget()

    def is_up(self) -> None:
        self._say(State.UP)

    def is_degraded(self, key: str, **params: str) -> None:
        self._say(State.DEGRADED, key, **params)

    def _say(self, state: State, key: str = "", **params: str) -> None:
        said = Health(state, key, params)
        if said != self.health.get():
            self.health.set(said)


LIVING: WeakValueDictionary[int, Device] = WeakValueDictionary()
"""Every device that was made and is still held by somebody, by its `id`."""
