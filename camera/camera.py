"""What every camera gives, whatever its driver: JPEG frames while somebody watches, and a still.

The one rule: no frame exists unless somebody asked. The camera runs only inside `watching()`,
frames live in memory only, and the lamp is lit exactly while they flow.
"""

from abc import abstractmethod
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import NoneType

from devices import Device, Reading, Value
from devices.errors import expect


@dataclass(frozen=True, slots=True)
class Frame:
    """One JPEG picture. `at` is `time.monotonic` when its last byte came.

    Raises `NonsenseError` for what is no bytes.
    """

    jpeg: bytes
    at: float

    def __post_init__(self) -> None:
        expect("a frame's picture", self.jpeg, bytes)
        expect("a frame's moment", self.at, float)

    def __repr__(self) -> str:
        return f"Frame({len(self.jpeg)} bytes)"


class Camera(Device):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.frames: Reading[Frame | None] = Reading(None, Frame, NoneType)
        """The newest preview frame; None while nobody watches or nothing comes."""
        self.watchers: Value[int] = Value(0, int)

    @asynccontextmanager
    async def watching(self) -> AsyncIterator[None]:
        """Frames flow while at least one such block is open."""
        self.watchers.set(self.watchers.get() + 1)
        try:
            yield
        finally:
            self.watchers.set(self.watchers.get() - 1)
            if self.watchers.get() == 0:
                self.frames.set(None)

    @abstractmethod
    async def still(self) -> bytes:
        """One picture at the best size the camera has, as JPEG. Raises `devices.Lost`."""
