"""Video4Linux 2, as far as a webcam needs it: what a node is, and frames out of shared buffers.

The one rule: memory that the kernel fills is copied out before its buffer is handed back. Layouts
and request numbers are those of ``linux/videodev2.h`` on kernels with 64-bit ``long`` and time.
Every call here may block for as long as a USB transfer takes, but `newest`, which never does.
"""

import mmap
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from fcntl import ioctl

CAPTURE = 1  # V4L2_BUF_TYPE_VIDEO_CAPTURE
_MEMORY_MMAP = 1
_CAN_CAPTURE, _CAN_STREAM, _HAS_DEVICE_CAPS = 0x1, 0x04000000, 0x80000000
_FRAME_IS_TORN = 0x40  # V4L2_BUF_FLAG_ERROR
_BUFFERS = 4

CAPABILITY = struct.Struct("=16s32s32sIII12x")
FMTDESC = struct.Struct("=III32s4sI12x")
FORMAT = struct.Struct("=I4xII4sIIIIIIIII152x")
STREAMPARM = struct.Struct("=IIIII184x")
REQUESTBUFFERS = struct.Struct("=IIIIB3x")
BUFFER = struct.Struct("=IIIII4xqq16sIII4xIIi4x")
INT = struct.Struct("=i")


def _number(nr: int, layout: struct.Struct, *, reads: bool, writes: bool) -> int:
    """An ioctl request number, `reads` and `writes` as the kernel's _IOR and _IOW mean them."""
    return (writes << 30) | (reads << 31) | (layout.size << 16) | (ord("V") << 8) | nr


QUERYCAP = _number(0, CAPABILITY, reads=True, writes=False)
ENUM_FMT = _number(2, FMTDESC, reads=True, writes=True)
S_FMT = _number(5, FORMAT, reads=True, writes=True)
REQBUFS = _number(8, REQUESTBUFFERS, reads=True, writes=True)
QUERYBUF = _number(9, BUFFER, reads=True, writes=True)
QBUF = _number(15, BUFFER, reads=True, writes=True)
DQBUF = _number(17, BUFFER, reads=True, writes=True)
STREAMON = _number(18, INT, reads=False, writes=True)
STREAMOFF = _number(19, INT, reads=False, writes=True)
S_PARM = _number(22, STREAMPARM, reads=True, writes=True)


class NoSuchFormatError(Exception):
    """The node gives no video in the format asked for."""


@dataclass(frozen=True, slots=True)
class Node:
    """What a node says of itself."""

    card: str
    captures: bool
    formats: frozenset[bytes]


def look(path: str) -> Node:
    """Open, ask, close. Raises `OSError`."""
    fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        caps = bytearray(CAPABILITY.size)
        ioctl(fd, QUERYCAP, caps)
        _driver, card, _bus, _version, whole, own = CAPABILITY.unpack(caps)
        flags = own if whole & _HAS_DEVICE_CAPS else whole
        wanted = _CAN_CAPTURE | _CAN_STREAM
        captures = flags & wanted == wanted
        formats = frozenset(_formats(fd)) if captures else frozenset()
        return Node(card.rstrip(b"\0").decode("utf-8", "replace"), captures, formats)
    finally:
        os.close(fd)


def _formats(fd: int) -> list[bytes]:
    found: list[bytes] = []
    with suppress(OSError):  # EINVAL after the last
        while True:
            desc = bytearray(FMTDESC.pack(len(found), CAPTURE, 0, b"", b"", 0))
            ioctl(fd, ENUM_FMT, desc)
            found.append(FMTDESC.unpack(desc)[4])
    return found


class VideoStream:
    """Frames flow, and the lamp is lit, from `open` to `close`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = (0, 0)
        self._buffers: list[mmap.mmap] = []

    @classmethod
    def open(cls, path: str, fourcc: bytes, size: tuple[int, int], fps: int) -> "VideoStream":
        """The camera gives the nearest size and rate it has.

        Raises `OSError`, or `NoSuchFormatError` when it has not the format at all.
        """
        stream = cls(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC))
        try:
            stream._start(fourcc, size, fps)
        except BaseException:
            stream.close()
            raise
        return stream

    def _start(self, fourcc: bytes, size: tuple[int, int], fps: int) -> None:
        fmt = bytearray(FORMAT.pack(CAPTURE, *size, fourcc, *[0] * 9))
        ioctl(self.fd, S_FMT, fmt)
        _, width, height, got, *_ = FORMAT.unpack(fmt)
        if got != fourcc:
            raise NoSuchFormatError(got)
        self.size = (width, height)
        with suppress(OSError):  # not every camera lets its rate be set
            ioctl(self.fd, S_PARM, bytearray(STREAMPARM.pack(CAPTURE, 0, 0, 1, fps)))
        asked = bytearray(REQUESTBUFFERS.pack(_BUFFERS, CAPTURE, _MEMORY_MMAP, 0, 0))
        ioctl(self.fd, REQBUFS, asked)
        for index in range(REQUESTBUFFERS.unpack(asked)[0]):
            buffer = _buffer(index)
            ioctl(self.fd, QUERYBUF, buffer)
            *_, offset, length, _, _ = BUFFER.unpack(buffer)
            self._buffers.append(mmap.mmap(self.fd, length, offset=offset))
            ioctl(self.fd, QBUF, buffer)
        ioctl(self.fd, STREAMON, INT.pack(CAPTURE))

    def newest(self) -> bytes | None:
        """The newest whole frame that waits, older ones being skipped; None when there is none.

        Raises `OSError` (ENODEV when the camera was unplugged). To be called when `fd` is readable.
        """
        newest = None
        for _ in self._buffers:
            buffer = _buffer(0)
            try:
                ioctl(self.fd, DQBUF, buffer)
            except BlockingIOError:
                break
            index, _type, used, flags, *_ = BUFFER.unpack(buffer)
            if used and not flags & _FRAME_IS_TORN:
                newest = self._buffers[index][:used]
            ioctl(self.fd, QBUF, buffer)
        return newest

    def close(self) -> None:
        """Never raises: a camera that is gone needs no stopping."""
        with suppress(OSError):
            ioctl(self.fd, STREAMOFF, INT.pack(CAPTURE))
        for buffer in self._buffers:
            buffer.close()
        self._buffers.clear()
        os.close(self.fd)


def _buffer(index: int) -> bytearray:
    return bytearray(BUFFER.pack(index, CAPTURE, *[0] * 5, b"", 0, _MEMORY_MMAP, *[0] * 4))
