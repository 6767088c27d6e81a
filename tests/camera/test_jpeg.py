import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.cameras import decodes, picture, without_tables

from camera.jpeg import (
    STANDARD_HUFFMAN,
    BrokenJpegError,
    JpegSplitter,
    only_picture,
    size_of,
)

NOISE = (
    b"",
    b"\r\n--frame\r\nContent-Type: image/jpeg\r\n\r\n",
    b"\xff",
    b"\xff\xd8",
    b"\xff\xd8\xff",
    b"\xff\xd9\xff\xd9",
    b"\x00" * 300,
)


def with_thumbnail(number: int = 1) -> bytes:
    """A picture whose EXIF holds another whole picture."""
    exif = b"Exif\0\0" + picture(99, (16, 16))
    jpeg = picture(number)
    return jpeg[:2] + b"\xff\xe1" + (len(exif) + 2).to_bytes(2, "big") + exif + jpeg[2:]


def progressive(number: int = 2) -> bytes:
    return picture(number, progressive=True)


def restarting(number: int = 3) -> bytes:
    return picture(number, restart_marker_blocks=2)


def filled(number: int = 4) -> bytes:
    """Any marker may be preceded by FF bytes (T.81 B.1.1.2)."""
    jpeg = picture(number)
    return jpeg[:2] + b"\xff\xff\xff" + jpeg[2:-2] + b"\xff\xff" + jpeg[-2:]


SHAPES = [picture(), with_thumbnail(), progressive(), restarting(), filled()]


@pytest.mark.parametrize("jpeg", SHAPES, ids=["plain", "thumbnail", "progressive", "rst", "fill"])
class TestEveryShapeOfPicture:
    def test_whole(self, jpeg: bytes) -> None:
        assert JpegSplitter().feed(jpeg) == [jpeg]

    def test_byte_by_byte(self, jpeg: bytes) -> None:
        splitter = JpegSplitter()
        got = [found for byte in jpeg * 2 for found in splitter.feed(bytes([byte]))]
        assert got == [jpeg, jpeg]

    def test_cut_anywhere(self, jpeg: bytes) -> None:
        for at in range(len(jpeg)):
            splitter = JpegSplitter()
            assert splitter.feed(jpeg[:at]) == []
            assert splitter.feed(jpeg[at:]) == [jpeg]

    @pytest.mark.parametrize("noise", NOISE)
    def test_buried_in_noise(self, jpeg: bytes, noise: bytes) -> None:
        splitter = JpegSplitter()
        assert splitter.feed(noise + jpeg + noise + jpeg + noise) == [jpeg, jpeg]

    def test_cut_short_and_then_another(self, jpeg: bytes) -> None:
        """None of it is shown; the stream is found again within one header's 64 KiB."""
        after = picture(50)
        following = after * (1 + 70_000 // len(after))
        for cut in range(2, len(jpeg) - 1, 13):
            shown = JpegSplitter().feed(jpeg[:cut] + following)
            assert jpeg[:cut] not in shown
            assert after in shown
            assert all(decodes(one) for one in shown)

    def test_only_picture_cuts_padding(self, jpeg: bytes) -> None:
        assert only_picture(jpeg + b"\0" * 5000) == jpeg


@pytest.mark.parametrize("starts", [2, 3])
def test_a_doubled_start_is_one_start(starts: int) -> None:
    jpeg = picture()
    doubled = jpeg[:2] * starts + jpeg[2:]
    assert only_picture(doubled) == jpeg
    assert JpegSplitter().feed(doubled) == [jpeg]


def test_missing_tables_are_put_in() -> None:
    jpeg = picture()
    bare = without_tables(jpeg)
    assert b"\xff\xc4" not in bare[: bare.index(b"\xff\xda")]
    whole = only_picture(bare)
    assert len(whole) == len(bare) + len(STANDARD_HUFFMAN)
    assert _pixels(whole) == _pixels(jpeg)
    assert JpegSplitter().feed(bare + bare) == [whole, whole]


def test_tables_of_its_own_are_kept() -> None:
    jpeg = picture(optimize=True)
    assert only_picture(jpeg) == jpeg


def _pixels(jpeg: bytes) -> bytes:
    with Image.open(io.BytesIO(jpeg)) as image:
        return image.tobytes()


def test_size() -> None:
    assert size_of(picture(size=(320, 200))) == (320, 200)
    assert size_of(with_thumbnail()) == (64, 48)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff\xd8",
        picture()[:-1],
        picture()[1:],
        b"\x89PNG\r\n\x1a\n",
        b"\xff\xd8\xff\xd9",
        b"\xff\xd8\xff\xe0\x00\x00",
        b"\xff\xd8\xff\x10\x00\x04ab",
        picture()[:200] + picture(),
    ],
)
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(BrokenJpegError):
        only_picture(data)


def test_a_picture_of_no_size_is_none() -> None:
    jpeg = bytearray(picture())
    at = jpeg.index(b"\xff\xc0")
    jpeg[at + 5 : at + 7] = b"\0\0"
    assert JpegSplitter().feed(bytes(jpeg)) == []


def test_memory_is_bounded() -> None:
    splitter = JpegSplitter(limit=10_000)
    head = picture()[:-2]
    assert splitter.feed(head) == []
    for _ in range(50):
        assert splitter.feed(b"\x55" * 1000) == []
        assert len(splitter._data) <= 11_000
    splitter.reset()
    small = picture(8)
    assert splitter.feed(small) == [small]


def test_too_large_is_dropped_and_the_next_shown() -> None:
    large, small = picture(size=(400, 400)), picture()
    splitter = JpegSplitter(limit=len(large) - 1)
    assert splitter.feed(large + small) == [small]


@settings(max_examples=200)
@given(
    st.lists(
        st.one_of(
            st.sampled_from(SHAPES), st.binary(max_size=40), st.sampled_from([b"\xff\xd8\xff"])
        ),
        max_size=6,
    ),
    st.integers(1, 600),
)
def test_any_cut_gives_the_same(pieces: list[bytes], step: int) -> None:
    data = b"".join(pieces)
    splitter = JpegSplitter()
    cut = [one for at in range(0, len(data), step) for one in splitter.feed(data[at : at + step])]
    assert cut == JpegSplitter().feed(data)
    for one in cut:
        assert one.startswith(b"\xff\xd8\xff")
        assert one.endswith(b"\xff\xd9")


@settings(max_examples=300)
@given(st.binary(max_size=2000))
def test_noise_never_harms(data: bytes) -> None:
    JpegSplitter().feed(data)
    with pytest.raises(BrokenJpegError):
        only_picture(data)
