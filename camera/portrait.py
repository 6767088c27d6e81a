"""A member's portrait out of a camera's picture: upright, 3:4, and nothing but the picture.

The one rule: only pixels leave here. EXIF (place, time, maker), comments and colour profiles stay
behind, and a picture that does not decode to its last line is refused, also when a piece in the
middle is missing.
"""

import io
import struct

from camera.jpeg import only_scan, size_of

MAX_PIXELS = 50_000_000
"""A larger picture is refused before anything is unpacked."""

LARGEST = (1440, 1920)
"""More is not kept by the member file: Odoo shrinks its largest image to 1920."""

QUALITY = (90, 80, 65, 50)
MOST_BYTES = 900_000
"""Brokers are told to take messages of 1 MB; the first of the qualities that fits is taken."""


def portrait(jpeg: bytes) -> bytes:
    """The centre of a picture, exactly 3:4, as JPEG; never enlarged, at most `LARGEST`, and
    at most `MOST_BYTES` unless it is all noise.

    Takes some tens of milliseconds: call it in a thread. Raises `ValueError` for whatever is not
    one whole JPEG picture.
    """
    from PIL import Image, ImageOps

    width, height = size_of(jpeg)
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} is more than any camera's picture")
    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            upright = ImageOps.exif_transpose(picture).convert("RGB")
    except (OSError, SyntaxError, struct.error, LookupError, TypeError) as error:
        raise ValueError(f"not a picture: {error}") from error
    if not _is_whole(jpeg):
        raise ValueError("a part of it is missing")
    unit = min(upright.width // 3, upright.height // 4)
    if unit == 0:
        raise ValueError(f"{width} x {height} is too small for a portrait")
    left, top = (upright.width - 3 * unit) // 2, (upright.height - 4 * unit) // 2
    # Pasted on new paper: a cropped image would keep its comment and profile.
    clean = Image.new("RGB", (3 * unit, 4 * unit))
    clean.paste(upright.crop((left, top, left + 3 * unit, top + 4 * unit)))
    if clean.width > LARGEST[0]:
        clean = clean.resize(LARGEST, Image.Resampling.LANCZOS)
    for quality in QUALITY:
        out = io.BytesIO()
        clean.save(out, "JPEG", quality=quality)
        if out.tell() <= MOST_BYTES:
            break
    return out.getvalue()


_ENOUGH = 8
"""Bytes that a decoder reads ahead of what it needs."""
_END = 64
"""Bytes at the end without which no picture is whole; some cameras pad it with a few."""


def _is_whole(jpeg: bytes) -> bool:
    """Whether its data are used up exactly when its last line is there.

    A decoder that meets the end too early, or finds more than it needs, fills up in silence: half
    a face on grey. Without the mark of the end it says that it lacks bytes. So it must be content
    with all of the data, and must not be content with less. With restart marks it begins anew at
    each of them: then all of these must be there. (Of a picture in several scans this says
    nothing, and a few bytes may be missing without a sign.)
    """
    scan = only_scan(jpeg)
    if scan is None:
        return True
    if scan.restarts_well is not None:
        return scan.restarts_well
    whole = jpeg[: scan.end]
    return _is_content(whole + bytes(_ENOUGH)) and not _is_content(whole[:-_END])


def _is_content(jpeg: bytes) -> bool:
    from PIL import Image

    try:
        with Image.open(io.BytesIO(jpeg), formats=("JPEG",)) as picture:
            picture.load()
    except (OSError, SyntaxError, struct.error, LookupError, TypeError):
        return False
    return True
