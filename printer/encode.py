"""ESC/POS commands as bytes.

The one rule: nothing here talks to a printer. Bytes are made whole, before the first one is sent.

Pictures are encoded by python-escpos. Only its `escpos.image` is imported: `escpos.printer` (and
`escpos.escpos`) would cost 0.25 s and 8 MiB for profiles that labels do not need, make a folder in
/tmp and configure logging. A test holds the bytes against its `Dummy` printer. Layouts: Epson
ESC/POS command reference.
"""

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from PIL import Image

ESC, GS, DLE = b"\x1b", b"\x1d", b"\x10"

SLICE = 255
"""Rows in one raster command: printers with small buffers take no more (GS v 0)."""

INIT = ESC + b"@"
LABEL_FEED = GS + b"\x0c"
"""To the next label's start, by the gap or the black mark."""
ASK_PAPER_WHEN_DONE = GS + b"r\x01"
"""Not real-time: answered only when all that was sent before is printed."""

TEAR_BAR_MM = 15
"""From the print head to the tear bar on common printers."""

Ending = Literal["cut", "label", "tear"]


def ask(question: int) -> bytes:
    """DLE EOT: answered at once with one byte, whatever waits in the printer's buffer."""
    return DLE + b"\x04" + bytes([question])


def asb(mask: int) -> bytes:
    """Automatic status back. Bits: 0 drawer, 1 on-line, 2 error, 3 paper, 6 panel."""
    return GS + b"a" + bytes([mask])


def cut(feed: int = 0) -> bytes:
    """Feed so many dots, then cut."""
    return GS + b"VA" + bytes([feed])


def feed(dots: int) -> bytes:
    """Up to 255 dots per command."""
    full, rest = divmod(dots, 255)
    return (ESC + b"J\xff") * full + ((ESC + b"J" + bytes([rest])) if rest else b"")


def raster_header(width_bytes: int, rows: int) -> bytes:
    size = width_bytes.to_bytes(2, "little") + rows.to_bytes(2, "little")
    return GS + b"v0\x00" + size


def slices(height: int, most: int = SLICE) -> list[int]:
    """Rows of each raster command for a picture of that height."""
    if not 1 <= most <= 0xFFFF:
        raise ValueError("a raster command takes 1 to 65535 rows")
    return [min(most, height - top) for top in range(0, height, most)]


def raster(picture: "Image.Image") -> bytes:
    """A black and white picture, in slices: MSB left, 1 is black."""
    from escpos.image import EscposImage

    encoder = EscposImage(picture)
    data: bytes = encoder.to_raster_format()
    width: int = encoder.width_bytes
    out = bytearray()
    top = 0
    for rows in slices(picture.height):
        out += raster_header(width, rows) + data[top * width : (top + rows) * width]
        top += rows
    return bytes(out)


def ending(how: Ending, dpi: int) -> bytes:
    """What parts a label from the next: the cutter, the gap, or a feed up to the tear bar."""
    match how:
        case "cut":
            return cut()
        case "label":
            return LABEL_FEED
        case "tear":
            return feed(round(TEAR_BAR_MM * dpi / 25.4))
