"""USB webcams (UVC) by Video4Linux, in their own MJPG: no decoding, no thread, no library.

The one rule: the node is open only while somebody watches (and for a moment when it is looked at),
so that the lamp tells the truth and other programs get their turn.
"""

import asyncio
import errno
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from camera.jpeg import BrokenJpegError, only_picture
from camera.streaming import START_S, StreamingCamera
from camera.videodev import Node, NoSuchFormatError, VideoStream, look
from devices import Absent, Lost, Refused
from devices.errors import DeviceError
from devices.local_port import age_of, why_not_open
from devices.ports import node, plugged
from devices.thread import in_thread

T = TypeVar("T")

_MJPG = b"MJPG"
_VIGIL_S = 0.25
_LOOK_ANYWAY_S = 0.08


class V4l2Settings(BaseModel):
    """``[camera.NAME]`` with ``driver = "v4l2"``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    port: Path
    """``/dev/v4l/by-id/…``, which stays when another camera is plugged in, or ``/dev/videoN``."""
    width: int = Field(default=1920, ge=160, le=8192)
    height: int = Field(default=1080, ge=120, le=8192)
    """Of preview and still alike; the camera gives the nearest it has."""
    fps: int = Field(default=15, ge=1, le=60)
    stale_s: float = Field(default=2.0, gt=0, le=30)

    @field_validator("port")
    @classmethod
    def _in_dev(cls, path: Path) -> Path:
        if not path.is_absolute():
            raise ValueError("write the whole path, such as /dev/v4l/by-id/usb-…-video-index0")
        return path


class V4l2Camera(StreamingCamera):
    Settings: ClassVar[type[BaseModel]] = V4l2Settings

    def __init__(self, name: str, settings: V4l2Settings) -> None:
        super().__init__(name, settings.stale_s)
        self._settings = settings
        self._path = str(settings.port)

    async def plugged(self) -> None:
        await plugged(self._path)

    def node(self) -> object:
        return node(self._path)

    async def _check(self) -> None:
        node = await self._ask(lambda: look(self._path), _forget)
        if not node.captures:
            raise Refused("camera.not_a_camera", path=self._path)
        if _MJPG not in node.formats:
            raise Refused("camera.no_mjpeg", path=self._path)

    async def _vigil(self) -> None:
        while True:
            if not Path(self._path).exists():
                raise Absent("device.unplugged", path=self._path)
            await asyncio.sleep(_VIGIL_S)

    async def _stream(self) -> None:
        size = (self._settings.width, self._settings.height)
        video = await self._ask(
            lambda: VideoStream.open(self._path, _MJPG, size, self._settings.fps),
            VideoStream.close,
        )
        loop = asyncio.get_running_loop()
        try:
            ready = asyncio.Event()
            loop.add_reader(video.fd, ready.set)
            while True:
                # v4l2loopback (a reflex camera behind gphoto2, say) may not wake an epoll.
                with suppress(TimeoutError):
                    async with asyncio.timeout(_LOOK_ANYWAY_S):
                        await ready.wait()
                ready.clear()
                self._take(video)
        finally:
            loop.remove_reader(video.fd)
            await self._put_away(video.close)

    def _take(self, video: VideoStream) -> None:
        try:
            frame = video.newest()
        except OSError:
            raise Lost("device.unplugged", path=self._path) from None
        if frame is None:
            return
        try:
            self._show(only_picture(frame))
        except BrokenJpegError:
            return  # the next one is 60 ms away, and too many of them are silence

    async def _ask(self, work: Callable[[], T], undo: Callable[[T], None]) -> T:
        """Call the kernel in a thread; its errors in our words."""
        try:
            return await in_thread(work, timeout=START_S, undo=undo, name=f"{self.name}: open")
        except TimeoutError:
            raise Lost("device.silent") from None
        except NoSuchFormatError:
            raise Refused("camera.no_mjpeg", path=self._path) from None
        except OSError as error:
            raise _why(error, self._path) from error


def _forget(_node: Node) -> None:
    """Looking leaves nothing open."""


def _why(error: OSError, path: str) -> DeviceError:
    if error.errno == errno.EBUSY:
        # Another program has it for now: it may be done in a moment.
        return Lost("device.busy", path=path)
    if error.errno == errno.ENOSPC:
        # Two cameras on one USB 2 hub: the bus has no room for this size.
        return Refused("camera.no_bandwidth", path=path)
    return why_not_open(error, path, age=age_of(path))
