"""What Odoo does with a picture: refuses what is none, keeps it, and makes smaller ones.

The one rule: a picture that is not too large is kept byte for byte; nothing is ever enlarged.
"""

import base64
import binascii
import io

from bridge.standin.fields import user_error

LARGEST_PX = 50_000_000
LONGEST_SIDE = 1920


def accepted(value: str) -> str:
    """What is kept of a base64 picture that was written. Raises `Fault`."""
    from PIL import Image, UnidentifiedImageError

    try:
        content = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        raise user_error("Image is not encoded in base64.") from None
    try:
        with Image.open(io.BytesIO(content)) as image:
            width, height = image.size
            if width * height > LARGEST_PX:
                raise user_error("Too large image (above 50.0Mpx), reduce the image size.")
            image.load()
    except (UnidentifiedImageError, OSError):
        raise user_error("This file could not be decoded as an image file.") from None
    return scaled(value, LONGEST_SIDE)


def scaled(value: str, longest: int) -> str:
    """The same picture with no side longer than that, ratio and format kept."""
    from PIL import Image

    with Image.open(io.BytesIO(base64.b64decode(value))) as image:
        if max(image.size) <= longest:
            return value
        kind = image.format
        image.thumbnail((longest, longest))
        out = io.BytesIO()
        image.save(out, format=kind)
    return base64.b64encode(out.getvalue()).decode()


def human_size(value: str) -> str:
    """What is read in place of the bytes with ``bin_size`` in the context."""
    size = len(base64.b64decode(value)) / 1024
    return f"{size:.2f} Kb" if size < 1024 else f"{size / 1024:.2f} Mb"
