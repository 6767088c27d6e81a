import io
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from support.cameras import picture

from camera import portrait as module
from camera.jpeg import size_of
from camera.portrait import portrait


def opened(jpeg: bytes) -> Image.Image:
    image = Image.open(io.BytesIO(jpeg))
    image.load()
    return image


@pytest.mark.parametrize(
    ("camera", "wanted"),
    [
        ((640, 480), (360, 480)),
        ((1280, 720), (540, 720)),
        ((1920, 1080), (810, 1080)),
        ((2304, 1296), (972, 1296)),
        ((480, 640), (480, 640)),
        ((101, 500), (99, 132)),
        ((4608, 2592), (1440, 1920)),
        ((3, 4), (3, 4)),
    ],
)
def test_three_to_four_and_never_enlarged(camera: tuple[int, int], wanted: tuple[int, int]) -> None:
    shot = opened(portrait(picture(size=camera)))
    assert shot.size == wanted
    assert shot.size[0] * 4 == shot.size[1] * 3
    assert shot.format == "JPEG"


def test_the_centre_is_kept() -> None:
    image = Image.new("RGB", (640, 480), "white")
    image.paste("red", (140, 0, 500, 480))
    out = io.BytesIO()
    image.save(out, "JPEG", quality=95)
    shot = opened(portrait(out.getvalue()))
    for at in ((3, 240), (356, 240), (180, 240)):
        red, green, blue = shot.getpixel(at)
        assert red > 230
        assert max(green, blue) < 40


def test_what_a_broker_takes_and_no_worse_than_needed() -> None:
    best = Image.new("RGB", (8, 8))
    out = io.BytesIO()
    best.save(out, "JPEG", quality=90)
    assert (
        opened(portrait(picture(size=(640, 480)))).quantization
        == opened(out.getvalue()).quantization
    )
    grain = Image.frombytes("RGB", (720, 960), random.Random(1).randbytes(720 * 960 * 3))
    out = io.BytesIO()
    grain.resize((1440, 1920), Image.Resampling.BICUBIC).save(out, "JPEG", quality=95)
    assert len(out.getvalue()) > 2_000_000
    assert len(portrait(out.getvalue())) < 1_000_000


def test_only_pixels_leave() -> None:
    exif = Image.Exif()
    exif[0x010F] = "MAKER-SECRET"
    exif.get_ifd(0x8825)[1] = "N"
    jpeg = picture(size=(300, 400), exif=exif, comment=b"COMMENT-SECRET", icc_profile=b"ICC" * 50)
    assert b"MAKER-SECRET" in jpeg
    assert b"COMMENT-SECRET" in jpeg
    shot = portrait(jpeg)
    for secret in (b"SECRET", b"Exif", b"ICC"):
        assert secret not in shot
    assert not opened(shot).getexif()


def test_lying_pictures_are_put_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera stood on its side
    assert opened(portrait(picture(size=(400, 300), exif=exif))).size == (300, 400)


def test_grey_pictures_are_pictures() -> None:
    out = io.BytesIO()
    Image.effect_noise((300, 400), 30).save(out, "JPEG")
    assert opened(portrait(out.getvalue())).size == (300, 400)


def png() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (30, 40)).save(out, "PNG")
    return out.getvalue()


@pytest.mark.parametrize(
    "data", [b"", b"nothing", picture()[:-30], png(), b"\xff\xd8\xff\xd9", picture(size=(2, 9))]
)
def test_what_is_no_picture(data: bytes) -> None:
    with pytest.raises(ValueError):
        portrait(data)


def photo(**how: object) -> bytes:
    """As of a camera: an uneven picture with a little noise."""
    dice = random.Random(2)
    image, noise = (
        Image.frombytes("RGB", size, dice.randbytes(size[0] * size[1] * 3)).resize((640, 480))
        for size in ((40, 30), (640, 480))
    )
    image = Image.blend(image, noise, 0.1)
    out = io.BytesIO()
    image.save(out, "JPEG", **how)
    return out.getvalue()


@pytest.mark.parametrize("how", [{}, {"quality": 95}, {"subsampling": 0}, {"optimize": True}])
def test_a_picture_of_which_bytes_are_missing_is_none(how: dict[str, object]) -> None:
    """Its start and end are right: a decoder would fill half the face with grey in silence.

    By chance, what is left may end as a whole picture does.
    """
    jpeg, dice = photo(**how), random.Random(1)
    assert opened(portrait(jpeg)).size == (360, 480)
    refused = 0
    for lost in [100, 700, 3000, 15_000] * 10:
        at = dice.randrange(1000, len(jpeg) - lost - 2)
        try:
            portrait(jpeg[:at] + jpeg[at + lost :])
        except ValueError:
            refused += 1
    assert refused >= 32


@pytest.mark.parametrize("how", [{"restart_marker_rows": 1}, {"restart_marker_blocks": 4}])
@pytest.mark.parametrize("sampling", ["4:2:0", "4:2:2", "4:4:4"])
def test_a_picture_that_lacks_a_restart_mark_is_none(how: dict[str, object], sampling: str) -> None:
    jpeg, dice = photo(**how, subsampling=sampling), random.Random(3)
    assert opened(portrait(jpeg)).size == (360, 480)
    for lost in (8000, len(jpeg)):
        at = dice.randrange(1000, len(jpeg) // 2)
        with pytest.raises(ValueError):
            portrait(jpeg[:at] + jpeg[min(at + lost, len(jpeg) - 2) :])


@pytest.mark.parametrize("size", [(640, 480), (333, 517), (16, 16), (9, 40)])
@pytest.mark.parametrize("mode", ["RGB", "L"])
def test_restart_marks_of_pictures_of_any_size_are_counted_right(
    size: tuple[int, int], mode: str
) -> None:
    for blocks in (1, 3, 40):
        out = io.BytesIO()
        Image.new(mode, size).save(out, "JPEG", restart_marker_blocks=blocks)
        portrait(out.getvalue())


@pytest.mark.parametrize("how", [{"progressive": True}, {"restart_marker_rows": 1}])
def test_pictures_in_several_parts_are_pictures(how: dict[str, object]) -> None:
    assert opened(portrait(photo(**how))).size == (360, 480)


def test_a_flat_picture_is_whole() -> None:
    out = io.BytesIO()
    Image.new("RGB", (640, 480), "#888888").save(out, "JPEG")
    assert opened(portrait(out.getvalue())).size == (360, 480)


def test_a_bomb_is_refused_before_it_is_unpacked() -> None:
    bomb = bytearray(picture())
    at = bomb.index(b"\xff\xc0")
    bomb[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    assert size_of(bytes(bomb)) == (65535, 65535)
    with pytest.raises(ValueError, match="65535"):
        portrait(bytes(bomb))
    assert module.MAX_PIXELS < 65535 * 65535


@settings(max_examples=200)
@given(st.integers(0, 10**6), st.binary(min_size=1, max_size=3))
def test_torn_pictures_give_a_picture_or_a_value_error(where: int, wrong: bytes) -> None:
    jpeg = bytearray(picture(size=(40, 60)))
    at = where % len(jpeg)
    jpeg[at : at + len(wrong)] = wrong
    try:
        shot = portrait(bytes(jpeg))
    except ValueError:
        return
    width, height = opened(shot).size
    assert width * 4 == height * 3
