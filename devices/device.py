"""A device is one coroutine, `run()`, held by `devices.keep`.

The one rule: constructors do nothing. No file, port, thread or task exists before `run()`, and
none is left when it ends, however it ends.
"""

import asyncio
from abc import ABC, abstractmethod

from devices.health import Health, State
from devices.value import Value


class Device(ABC):
    """What a supervisor needs to know of a badge reader, a scale, a printer or a camera."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.health: Value[Health] = Value(Health())
        self.retry = asyncio.Event()
        """Set by a person ("try again"): ends any wait, also that of a `Refused` device."""

    @abstractmethod
    async def run(self) -> None:
        """Hold the device until cancelled. Raise `Absent`, `Lost` or `Refused`; never return."""

    @abstractmethod
    async def plugged(self) -> None:
        """Return once the device seems to be there (within 0.25 s), to end a wait early."""

    def idle(self) -> None:
        """Forget every reading: called by the supervisor the moment `run()` has ended."""

    def is_up(self) -> None:
        self._say(State.UP)

    def is_degraded(self, key: str, **params: str) -> None:
        self._say(State.DEGRADED, key, **params)

    def _say(self, state: State, key: str = "", **params: str) -> None:
        said = Health(state, key, params)
        if said != self.health.get():
            self.health.set(said)
