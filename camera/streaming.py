"""What cameras with one stream of JPEG frames share: streaming while watched, stills, silence.

The one rule: nothing streams unless somebody watches, and a frame that is late is no frame. A
driver says how to look whether its camera is there (`_check`, `_vigil`) and how to stream
(`_stream`, which hands each picture to `_show`).
"""

import asyncio
import operator
import time
from abc import abstractmethod
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, ClassVar, NoReturn

from camera.camera import Camera, Frame
from devices import Lost
from devices.thread import in_thread

START_S = 8.0
"""How long a camera may take from being asked to its first frame."""

FROZEN_S = 5.0
"""A sensor has noise: a picture that is the same to the last bit for so long is an old one."""


Work = Coroutine[Any, Any, None]


class StreamingCamera(Camera):
    check_uses_up: ClassVar[bool] = False
    """`_check` may keep out who comes next: where somebody watches, the stream itself tells."""

    def __init__(self, name: str, stale_s: float) -> None:
        super().__init__(name)
        self._stale_s = stale_s
        self._runs = False
        self._shots: set[asyncio.Future[bytes]] = set()
        self._late_at = 0.0
        self._moved_at = 0.0
        self._shown = 0
        """The hash of the newest picture: it outlives the picture, and who stood in it."""

    async def run(self) -> None:
        try:
            if not (self.check_uses_up and self.watchers.get()):
                await self._check()
                self.is_up()
            self._runs = True
            while True:
                await self._until(self._vigil(), bool)
                await self._until(self._watched(), operator.not_)
        finally:
            self._runs = False
            self.idle()

    def idle(self) -> None:
        super().idle()
        for shot in self._shots:
            if not shot.done():
                shot.set_exception(Lost("device.unplugged"))
        self._shots.clear()

    async def still(self) -> bytes:
        """A frame that began to arrive after this call: its JPEG, at the size of the stream.

        Raises `Lost` when the camera is not there, dies meanwhile, or shows an old picture.
        """
        if not self._runs:
            raise Lost("device.unplugged")
        async with self.watching():
            # The frame under way when we are called was exposed before: take the one after it.
            jpeg = b""
            for _ in range(2):
                jpeg = await self._next()
        if self._is_frozen():
            raise Lost("camera.frozen")
        return jpeg

    async def _next(self) -> bytes:
        shot: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._shots.add(shot)
        try:
            return await asyncio.wait_for(shot, START_S + self._stale_s)
        except TimeoutError:
            raise Lost("device.silent") from None
        finally:
            self._shots.discard(shot)

    def _show(self, jpeg: bytes) -> None:
        """A whole picture has just come."""
        now = time.monotonic()
        self._late_at = now + self._stale_s
        if self._shown != (shown := hash(jpeg)):
            self._shown, self._moved_at = shown, now
        if self._is_frozen():
            self.is_degraded("camera.frozen")
        else:
            self.is_up()
        self.frames.set(Frame(jpeg, now))
        shots, self._shots = self._shots, set()
        for shot in shots:
            if not shot.done():
                shot.set_result(jpeg)

    def _is_frozen(self) -> bool:
        return time.monotonic() - self._moved_at > FROZEN_S

    async def _watched(self) -> NoReturn:
        """Stream; raises `Lost` once no whole picture has come for `stale_s`."""
        self._late_at = time.monotonic() + START_S
        stream = asyncio.create_task(self._stream(), name=f"{self.name}: stream")
        try:
            while (left := self._late_at - time.monotonic()) > 0:
                # The first frame may bring `_late_at` nearer, by no more than this allows for.
                done, _ = await asyncio.wait({stream}, timeout=min(left, self._stale_s))
                if done:
                    stream.result()
                    raise Lost("device.unplugged")
            raise Lost("device.silent")
        finally:
            self.frames.set(None)
            await _end(stream)

    async def _until(self, work: Work, enough: Callable[[int], bool]) -> None:
        """Do `work` until the number of watchers is as wanted; what it raises comes through."""
        task = asyncio.create_task(work, name=f"{self.name}: camera")
        turn = asyncio.create_task(self._turn(enough), name=f"{self.name}: watchers")
        try:
            await asyncio.wait({task, turn}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                task.result()
        finally:
            await _end(turn)
            await _end(task)

    async def _turn(self, enough: Callable[[int], bool]) -> None:
        async for watchers in self.watchers.changes():
            if enough(watchers):
                return

    async def _put_away(self, close: Callable[[], None]) -> None:
        """Call what may block for long, or for ever when the camera is dead."""
        with suppress(TimeoutError):
            await in_thread(close, timeout=START_S, name=f"{self.name}: close")

    @abstractmethod
    async def _check(self) -> None:
        """Return when the camera is there and can do what is asked; else raise."""

    @abstractmethod
    async def _vigil(self) -> None:
        """While nobody watches: return never, raise `Absent` or `Lost` when it went away."""

    @abstractmethod
    async def _stream(self) -> None:
        """Open, `_show` each picture for ever, and close however it ends."""


async def _end(task: asyncio.Task[Any]) -> None:
    task.cancel()
    await asyncio.wait({task})
    if not task.cancelled():
        task.exception()  # it was told already, or nobody wants to know any more
