"""Layouts and numbers against the kernel's header; the devices themselves are tried in tests/vm."""

import struct

import pytest

from camera import videodev

SIZES = {
    "CAPABILITY": 104,
    "FMTDESC": 64,
    "FORMAT": 208,
    "STREAMPARM": 204,
    "REQUESTBUFFERS": 20,
    "BUFFER": 88,
}

NUMBERS = {
    "QUERYCAP": 0x80685600,
    "ENUM_FMT": 0xC0405602,
    "S_FMT": 0xC0D05605,
    "REQBUFS": 0xC0145608,
    "QUERYBUF": 0xC0585609,
    "QBUF": 0xC058560F,
    "DQBUF": 0xC0585611,
    "STREAMON": 0x40045612,
    "STREAMOFF": 0x40045613,
    "S_PARM": 0xC0CC5616,
}


@pytest.mark.parametrize(("name", "size"), SIZES.items())
def test_sizes(name: str, size: int) -> None:
    assert getattr(videodev, name).size == size


@pytest.mark.parametrize(("name", "number"), NUMBERS.items())
def test_request_numbers(name: str, number: int) -> None:
    assert getattr(videodev, name) == number


def test_offsets() -> None:
    """As a C compiler lays `struct v4l2_buffer` and its sisters out on 64-bit machines."""
    buffer = bytearray(88)
    for offset, value in ((0, 3), (8, 4711), (12, 0x40), (60, 1), (64, 8192), (72, 614400)):
        struct.pack_into("=I", buffer, offset, value)
    fields = videodev.BUFFER.unpack(buffer)
    assert fields[0] == 3
    assert fields[2:4] == (4711, 0x40)
    assert fields[9:12] == (1, 8192, 614400)
    fmt = videodev.FORMAT.pack(1, 640, 480, b"MJPG", *[0] * 9)
    assert fmt[8:20] == struct.pack("=II4s", 640, 480, b"MJPG")
    rate = videodev.STREAMPARM.pack(1, 0, 0, 1, 15)
    assert rate[12:20] == struct.pack("=II", 1, 15)
    desc = videodev.FMTDESC.pack(0, 1, 0, b"", b"MJPG", 0)
    assert desc[44:48] == b"MJPG"
    caps = bytearray(104)
    struct.pack_into("=II", caps, 84, 5, 6)
    assert videodev.CAPABILITY.unpack(caps)[4:] == (5, 6)
