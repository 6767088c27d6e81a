"""The camera on a Raspberry Pi's ribbon cable, by picamera2 (from apt: it needs the system's own
libcamera).

The one rule: picamera2 calls back in threads of its own; nothing of ours is touched there but
`call_soon_threadsafe`. The sensor runs only while somebody watches: a small stream, already JPEG,
for the preview, and the large one beside it for stills, so that nothing restarts for a picture.
"""

import asyncio
import io
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from camera.jpeg import BrokenJpegError, only_picture
from camera.streaming import START_S, StreamingCamera
from devices import Absent, Lost, Refused
from devices.thread import in_thread

T = TypeVar("T")

_CONTINUOUS_FOCUS = 2  # libcamera.controls.AfModeEnum.Continuous
_SHOT_S = 5.0


class PiSettings(BaseModel):
    """``[camera.NAME]`` with ``driver = "picamera2"``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    number: int = Field(default=0, ge=0, le=7)
    """Which camera, as ``rpicam-hello --list-cameras`` counts them."""
    width: int = Field(default=2304, ge=640, le=9248, multiple_of=2)
    height: int = Field(default=1296, ge=480, le=6944, multiple_of=2)
    """Of the still. The default is enough for a portrait and a mode of the Camera Module 3."""
    fps: int = Field(default=15, ge=1, le=30)
    stale_s: float = Field(default=2.0, gt=0, le=30)


class PiCamera(StreamingCamera):
    Settings: ClassVar[type[BaseModel]] = PiSettings

    def __init__(self, name: str, settings: PiSettings) -> None:
        super().__init__(name, settings.stale_s)
        self._settings = settings
        self._camera: Any = None

    async def plugged(self) -> None:
        """Nobody plugs a ribbon cable into a running Pi: only a person's "try again" helps."""
        await asyncio.Event().wait()

    async def still(self) -> bytes:
        """The large stream's next picture but one (the next may have been exposed before)."""
        if not self._runs:
            raise Lost("device.unplugged")
        async with self.watching():
            await self._next()  # the sensor runs and its exposure has begun to settle
            for last in (False, True):
                request = await self._request()
                if not last:
                    request.release()
            try:
                return await in_thread(lambda: _jpeg(request), timeout=_SHOT_S)
            except TimeoutError:
                raise Lost("device.silent") from None

    async def _request(self) -> Any:
        """A completed request of picamera2's, to be released."""
        camera, loop = self._camera, asyncio.get_running_loop()
        if camera is None:
            raise Lost("device.unplugged")
        taken: asyncio.Future[Any] = loop.create_future()

        def settle(job: Any) -> None:
            if not taken.done():
                taken.set_result(job)
            else:
                job.get_result(timeout=0).release()

        camera.capture_request(
            wait=False, signal_function=lambda job: loop.call_soon_threadsafe(settle, job)
        )
        try:
            job = await asyncio.wait_for(taken, _SHOT_S)
        except TimeoutError:
            camera.cancel_all_and_flush()
            raise Lost("device.silent") from None
        return job.get_result(timeout=0)

    async def _check(self) -> None:
        cameras = await self._ask(_cameras, lambda _found: None)
        if self._settings.number >= len(cameras):
            raise Absent("device.unplugged")

    async def _vigil(self) -> None:
        await asyncio.Event().wait()

    async def _stream(self) -> None:
        loop = asyncio.get_running_loop()
        output = _Output(lambda jpeg: loop.call_soon_threadsafe(self._came, jpeg))
        self._camera = await self._ask(lambda: _open(self._settings, output), _close)
        try:
            await asyncio.Event().wait()
        finally:
            camera, self._camera = self._camera, None
            await self._put_away(lambda: _close(camera))

    def _came(self, data: bytes) -> None:
        if self._camera is not None:
            with suppress(BrokenJpegError):
                self._show(only_picture(data))

    async def _ask(self, work: Callable[[], T], undo: Callable[[T], None]) -> T:
        try:
            return await in_thread(work, timeout=START_S, undo=undo, name=f"{self.name}: open")
        except TimeoutError:
            raise Lost("device.silent") from None
        except ImportError as error:
            raise Refused("device.missing_library", library="picamera2") from error
        except IndexError:
            raise Absent("device.unplugged") from None
        except RuntimeError as error:
            # All that libcamera says when another program has the camera.
            raise Lost("device.busy", path=f"camera {self._settings.number}") from error


class _Output(io.BufferedIOBase):
    """Where the encoder writes, one whole picture at a time, in its own thread."""

    def __init__(self, came: Callable[[bytes], object]) -> None:
        self._came = came

    def write(self, data: Any) -> int:
        with suppress(RuntimeError):  # the loop has been closed meanwhile
            self._came(bytes(data))
        return len(data)


def _cameras() -> list[Any]:
    from picamera2 import Picamera2

    return list(Picamera2.global_camera_info())


def _open(settings: PiSettings, output: _Output) -> Any:
    from picamera2 import Picamera2
    from picamera2.encoders import MJPEGEncoder
    from picamera2.outputs import FileOutput

    camera = Picamera2(settings.number)
    try:
        camera.configure(
            camera.create_video_configuration(
                main={"size": (settings.width, settings.height), "format": "RGB888"},
                lores={"size": (640, 360), "format": "YUV420"},
                controls={"FrameRate": settings.fps},
                buffer_count=4,
            )
        )
        if "AfMode" in camera.camera_controls:
            camera.set_controls({"AfMode": _CONTINUOUS_FOCUS})
        camera.start_encoder(MJPEGEncoder(), FileOutput(output), name="lores")
        camera.start()
    except BaseException:
        camera.close()
        raise
    return camera


def _close(camera: Any) -> None:
    """With jobs still waiting, stopping would wait for ever for a sensor that died."""
    with suppress(RuntimeError):
        camera.cancel_all_and_flush()
        camera.stop_encoder()
        camera.close()


def _jpeg(request: Any) -> bytes:
    try:
        file = io.BytesIO()
        request.save("main", file, format="jpeg")
        return only_picture(file.getvalue())
    finally:
        request.release()
