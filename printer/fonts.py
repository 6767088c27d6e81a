"""Pens: a font at one size, and what it can write.

The one rule: a character the font lacks is never drawn as an empty box. It loses its accents, or
it is left out.

No font ships with edged. DejaVu Sans comes with every Debian desktop (`fonts-dejavu-core`, which
chromium's fontconfig needs); where it is missing, DejaVu Sans Mono comes with python-barcode,
which python-escpos needs. Pillow's own built-in font has no accents.
"""

import unicodedata
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from PIL import Image

_DEBIAN = Path("/usr/share/fonts/truetype/dejavu")
_MEASURE = 100
"""The size at which a font is measured, once."""
_NO_CHARACTER = "\uffff"
"""Draws what a font draws for whatever it lacks."""
_NOBREAK_SPACES = "\u00a0\u202f"


class Faces(NamedTuple):
    regular: str
    bold: str
    stroke: int
    """Dots added around `bold`'s outlines, where there is no bold file."""


def dejavu_sans() -> Faces:
    return Faces(str(_DEBIAN / "DejaVuSans.ttf"), str(_DEBIAN / "DejaVuSans-Bold.ttf"), 0)


def dejavu_sans_mono() -> Faces:
    import barcode

    path = str(Path(barcode.__file__).parent / "fonts" / "DejaVuSansMono.ttf")
    return Faces(path, path, 1)


@cache
def faces() -> Faces:
    """The faces this machine prints with."""
    sans = dejavu_sans()
    return sans if Path(sans.regular).exists() and Path(sans.bold).exists() else dejavu_sans_mono()


class Pen:
    """Writes one line of text. Measures are of the ink, in dots. Made by `pen_of_height`."""

    def __init__(self, path: str, size: int, stroke: int) -> None:
        from PIL import ImageFont

        # The basic engine: the same dots with or without libraqm on the machine.
        basic = ImageFont.Layout.BASIC
        self._font = ImageFont.truetype(path, size, layout_engine=basic)
        self._path = path
        self._stroke = stroke
        self.capital = -self._bounds("H0")[1]
        """How high figures and capitals stand."""
        self._above = -self._bounds("ÉÑ|")[1]
        self.height = self._above + self._bounds("gjç|")[3]
        """A line, from the accents of capitals to the tails of small letters."""

    def _bounds(self, text: str) -> tuple[int, int, int, int]:
        left, top, right, bottom = self._font.getbbox(
            text, mode="1", anchor="ls", stroke_width=self._stroke
        )
        return int(left), int(top), int(right), int(bottom)

    def width(self, text: str) -> int:
        left, _, right, _ = self._bounds(text)
        return right - left

    def tile(self, text: str) -> "Image.Image":
        """The text, black on white, one bit a dot, `width` × `height`; what sticks out is cut."""
        from PIL import Image, ImageDraw

        left, _, right, _ = self._bounds(text)
        tile = Image.new("1", (right - left, self.height), 1)
        ImageDraw.Draw(tile).text(
            (-left, self._above),
            text,
            font=self._font,
            anchor="ls",
            fill=0,
            stroke_width=self._stroke,
        )
        return tile

    def picture(self, char: str) -> tuple[tuple[int, int], bytes]:
        mask = self._font.getmask(char, mode="1")
        return mask.size, bytes(mask)

    def clean(self, text: str) -> str:
        """The text as this pen can write it: one line, single spaces, known characters only."""
        known = "".join(self._known(char) for char in unicodedata.normalize("NFC", text))
        return " ".join(part for part in known.split(" ") if part)

    def _known(self, char: str) -> str:
        if char in _NOBREAK_SPACES or " " < char <= "~":
            return char
        if char.isspace():
            return " "
        if unicodedata.category(char)[0] == "C":
            return ""
        if _has_glyph(self._path, char):
            return char
        base = unicodedata.normalize("NFKD", char)[0]
        return base if base != char and _has_glyph(self._path, base) else ""


@cache
def pen_of_height(path: str, dots: int, stroke: int = 0) -> Pen:
    """The smallest pen whose figures and capitals stand at least `dots` high.

    Every size is a font in memory: the first one tried is right, or one below.
    """
    size = max(1, (dots - stroke) * _MEASURE // _measure(path).capital)
    while (pen := Pen(path, size, stroke)).capital < dots:
        size += 1
    return pen


@cache
def _measure(path: str) -> Pen:
    return Pen(path, _MEASURE, 0)


@lru_cache(maxsize=1024)
def _has_glyph(path: str, char: str) -> bool:
    return _measure(path).picture(char) != _measure(path).picture(_NO_CHARACTER)
