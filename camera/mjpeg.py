"""Cameras on the network that stream MJPEG over HTTP (``multipart/x-mixed-replace``).

The one rule: the connection is open exactly while somebody watches, so that the camera (and the
network) rests the other hours of the day.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from camera.http import Answer, Head, MultipartJpeg, NotHttpError, request, split_url
from camera.jpeg import LIMIT, BrokenJpegError, only_picture
from camera.streaming import START_S, StreamingCamera
from devices import Lost, Refused
from devices.errors import Unreachable
from devices.ports import Port, open_port, plugged

_VIGIL_S = 4.0
"""While nobody watches: a camera that went is told within 6 s, as every plug that is pulled."""
_FIRST_WAIT_S, _RESTS_S = 0.25, 4.0
"""Small cameras serve one connection and rest after it: so long they are not told as absent."""
_READ = 64 * 1024


class MjpegSettings(BaseModel):
    """``[camera.NAME]`` with ``driver = "mjpeg"``."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    url: str
    """The stream, ``http://host:port/path``; its size is what this address gives."""
    still_url: str | None = None
    """One picture, where the camera has an address for a better one."""
    stale_s: float = Field(default=2.0, gt=0, le=30)

    @field_validator("url", "still_url")
    @classmethod
    def _plain(cls, url: str | None) -> str | None:
        if url is not None:
            split_url(url)
        return url


class MjpegCamera(StreamingCamera):
    Settings: ClassVar[type[BaseModel]] = MjpegSettings
    check_uses_up = True

    def __init__(self, name: str, settings: MjpegSettings) -> None:
        super().__init__(name, settings.stale_s)
        self._settings = settings
        self._port, self._request = request(settings.url)

    async def plugged(self) -> None:
        await plugged(self._port)

    async def still(self) -> bytes:
        """As in `StreamingCamera`, or what `still_url` answers to a request made now."""
        if self._settings.still_url is None:
            return await super().still()
        if not self._runs:
            raise Lost("device.unplugged")
        try:
            async with asyncio.timeout(START_S):
                return await _fetch(self._settings.still_url)
        except TimeoutError:
            raise Lost("device.silent") from None
        except Refused as refused:
            raise Lost(refused.key, **refused.params) from refused

    async def _check(self) -> None:
        async with open_port(self._port):
            pass

    async def _vigil(self) -> None:
        while True:
            await asyncio.sleep(_VIGIL_S)
            async with _reached(self._port):
                pass

    async def _stream(self) -> None:
        async with _reached(self._port) as port:
            await port.write(self._request)
            answer, pictures = Answer(), None
            while True:
                body = _feed(answer, await port.read(_READ))
                if answer.head is None:
                    continue
                if pictures is None:
                    _expect(answer.head, "multipart/x-mixed-replace")
                    pictures = MultipartJpeg(answer.head.boundary)
                # Several at once: we are late, and only the newest is worth showing.
                for jpeg in pictures.feed(body)[-1:]:
                    self._show(jpeg)


@asynccontextmanager
async def _reached(where: str) -> AsyncIterator[Port]:
    """As `open_port`; who refuses may only rest, after the connection before this one."""
    loop = asyncio.get_running_loop()
    wait, end = _FIRST_WAIT_S, loop.time() + _RESTS_S
    async with AsyncExitStack() as opened:
        while True:
            try:
                port = await opened.enter_async_context(open_port(where))
                break
            except Unreachable:
                if loop.time() + wait > end:
                    raise
            await asyncio.sleep(wait)
            wait *= 2
        yield port


async def _fetch(url: str) -> bytes:
    where, question = request(url)
    async with open_port(where) as port:
        await port.write(question)
        answer, picture = Answer(), b""
        while True:
            try:
                picture += _feed(answer, await port.read(_READ))
            except Lost:  # the end of an answer without a length
                break
            if answer.head is not None:
                _expect(answer.head, "image/jpeg")
                length = answer.head.length
                if len(picture) > LIMIT or (length is not None and len(picture) >= length):
                    break
    try:
        return only_picture(picture)
    except BrokenJpegError:
        raise Lost("camera.broken_picture") from None


def _feed(answer: Answer, data: bytes) -> bytes:
    try:
        return answer.feed(data)
    except NotHttpError:
        raise Refused("camera.not_mjpeg") from None


def _expect(head: Head, kind: str) -> None:
    """Raise unless this is the answer wanted; what only a person can mend is `Refused`."""
    if head.status == 401:
        raise Refused("camera.login")
    if head.status >= 500:
        raise Lost("camera.http", status=str(head.status))
    if head.status != 200:
        raise Refused("camera.http", status=str(head.status))
    if head.kind != kind or head.headers.get("transfer-encoding"):
        raise Refused("camera.not_mjpeg")
