"""Pictures to feed cameras with, and waiting for what a camera shows."""

import asyncio
import io
from collections.abc import Callable

from PIL import Image

from camera import Camera, Frame


def picture(number: int = 0, size: tuple[int, int] = (64, 48), **options: object) -> bytes:
    """A small JPEG that differs with `number`."""
    image = Image.effect_noise(size, 40).convert("RGB")
    image.paste((number * 7 % 256, number * 31 % 256, 90), (0, 0, size[0] // 2, size[1] // 2))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=70, **options)
    return out.getvalue()


def without_tables(jpeg: bytes) -> bytes:
    """The same picture as USB cameras send it: no DHT segment."""
    out, at = bytearray(jpeg[:2]), 2
    while jpeg[at + 1] != 0xDA:
        after = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] != 0xC4:
            out += jpeg[at:after]
        at = after
    return bytes(out + jpeg[at:])


def decodes(jpeg: bytes) -> bool:
    """Pillow reads it to its last line."""
    try:
        with Image.open(io.BytesIO(jpeg)) as image:
            image.load()
    except OSError:
        return False
    return True


async def until(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def next_frame(camera: Camera, seconds: float = 20) -> Frame:
    """The first frame that comes from now on."""
    before = camera.frames.get()
    async with asyncio.timeout(seconds):
        async for frame in camera.frames.changes():
            if frame is not None and frame is not before:
                return frame
    raise AssertionError
