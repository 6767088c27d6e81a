"""Where a label's words and bars stand on the paper.

The one rule: nothing leaves the label, nothing touches the bars, and a figure (weight, price,
shelf number) is never cut short: a label that cannot say it whole is not printed. Names, origins
and addresses give way instead: they shrink, wrap, then end in "…".

`plan` decides (boxes in dots, from the top left corner), `draw` paints what was decided. Figures
and capitals are at least 2 mm high. The bars are an EAN-13 with a whole number of dots per module
and GS1's quiet zones (11 modules left, 7 right).
"""

import math
import re
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from printer.fonts import Faces, Pen, faces, pen_of_height
from printer.label import Label
from printer.printer import NotPrinted

if TYPE_CHECKING:
    from PIL import Image

WIDTH_MM, HEIGHT_MM = 58, 40
SMALL_MM = 2.0
ONE_LINE_MM = (5.0, 4.5, 4.0, 3.5)
TWO_LINES_MM = (3.5, 3.1, 2.7, 2.4)
"""A name's capitals. Few sizes: each is a font in memory."""
BARS_MM = 7.0
"""The least height of the bars: the name shrinks before they do."""
NUMBER_MM = 2.5
PRICE_MM = (4.0, 3.5, 3.1, 2.7, 2.4, SMALL_MM)
MODULES, QUIET_LEFT, QUIET_RIGHT = 95, 11, 7
MODULE_MM = 0.45
"""The widest module: beyond it, bars get too low for their width."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """A label as the print head sees it: size in dots, the width a whole number of bytes."""

    width: int
    height: int
    dpi: int

    @classmethod
    def of(cls, dpi: int, head: int) -> "Sheet":
        """The 58 × 40 mm label, or as much of its width as a head of so many dots covers."""
        width = min(head, round(WIDTH_MM * dpi / 25.4))
        return cls(width // 8 * 8, round(HEIGHT_MM * dpi / 25.4), dpi)

    def dots(self, mm: float) -> int:
        """At least so many millimetres, in dots."""
        return math.ceil(mm * self.dpi / 25.4)


@dataclass(frozen=True, slots=True)
class Box:
    """From `left`, `top` up to and without `right`, `bottom`."""

    left: int
    top: int
    right: int
    bottom: int

    def touches(self, other: "Box") -> bool:
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


@dataclass(frozen=True, slots=True)
class Text:
    box: Box
    text: str
    pen: Pen


@dataclass(frozen=True, slots=True)
class Bars:
    box: Box
    """The bars alone; their quiet zones stand left and right of it."""
    module: int
    """Dots per module."""
    pattern: str
    """95 modules, "1" for a dark one."""

    @property
    def zone(self) -> Box:
        """The bars and their quiet zones: nothing else may be drawn in it."""
        left = self.box.left - QUIET_LEFT * self.module
        right = self.box.right + QUIET_RIGHT * self.module
        return Box(left, self.box.top, right, self.box.bottom)


@dataclass(frozen=True, slots=True)
class Plan:
    texts: tuple[Text, ...]
    bars: Bars


def draw(label: Label, sheet: Sheet, fonts: Faces | None = None) -> "Image.Image":
    """The label, black on white, one bit a dot.

    Raises `NotPrinted` (sure) when the bar code is no EAN-13 or the figures do not fit.
    """
    from PIL import Image, ImageDraw

    layout = plan(label, sheet, fonts)
    picture = Image.new("1", (sheet.width, sheet.height), 1)
    brush = ImageDraw.Draw(picture)
    bars = layout.bars
    for place, dark in enumerate(bars.pattern):
        if dark == "1":
            left = bars.box.left + place * bars.module
            brush.rectangle(
                (left, bars.box.top, left + bars.module - 1, bars.box.bottom - 1), fill=0
            )
    for text in layout.texts:
        # A tile each: what a strange glyph would draw outside its box is cut off.
        picture.paste(text.pen.tile(text.text), (text.box.left, text.box.top))
    return picture


def preview(label: Label, sheet: Sheet) -> bytes:
    """What `draw` draws, as PNG."""
    file = BytesIO()
    draw(label, sheet).save(file, "PNG")
    return file.getvalue()


def plan(label: Label, sheet: Sheet, fonts: Faces | None = None) -> Plan:
    """Where everything stands. Raises `NotPrinted` as `draw` does."""
    return _Planner(sheet, fonts or faces()).plan(label)


class _Planner:
    """Fills the sheet from the bottom (footer) and from the top (name, details, weights), and
    gives the bars all that is left."""

    def __init__(self, sheet: Sheet, fonts: Faces) -> None:
        self._sheet = sheet
        self._fonts = fonts
        self._small = self._pen(SMALL_MM)
        self._margin = sheet.dots(1)
        self._gap = sheet.dots(0.5)
        self._room = sheet.width - 2 * self._margin
        self._texts: list[Text] = []

    def plan(self, label: Label) -> Plan:
        clean, small = self._small.clean, self._small
        pattern = _pattern(label.barcode)
        weights = self._weights([clean(part) for part in re.split(" {2,}", label.weights)])
        details = _shorten(small, clean(label.details), self._room)
        footer = _shorten_first(small, clean(label.footer), self._room)

        line = small.height + self._gap
        bottom = self._sheet.height - self._margin
        if footer:
            bottom -= line
            self._write(footer, small, self._margin, bottom + self._gap)
        # The bars leave room beside them for the smallest price and a note of two lines.
        bars_height = max(self._sheet.dots(BARS_MM), 2 * line - self._gap)
        others = line * (len(weights) + bool(details) + 1) + bars_height
        top, title_pen = self._title(clean(label.title), clean(label.number), bottom - others)
        if details:
            top = self._write(details, small, self._margin, top)
        for fields in weights:
            top = self._spread(fields, top)
        bars = self._bars(pattern, label, top, bottom)
        self._digits(label.barcode, bars)
        self._price(clean(label.price), clean(label.price_note), bars, bottom, title_pen)
        return Plan(tuple(self._texts), bars)

    def _pen(self, mm: float, *, bold: bool = False) -> Pen:
        dots = self._sheet.dots(mm)
        if bold:
            return pen_of_height(self._fonts.bold, dots, self._fonts.stroke)
        return pen_of_height(self._fonts.regular, dots)

    def _write(self, text: str, pen: Pen, left: int, top: int) -> int:
        """Place a text by its left edge; return where the next line may start."""
        bottom = top + pen.height
        self._texts.append(Text(Box(left, top, left + pen.width(text), bottom), text, pen))
        return bottom + self._gap

    def _write_right(self, text: str, pen: Pen, right: int, top: int) -> int:
        return self._write(text, pen, right - pen.width(text), top)

    def _title(self, title: str, number: str, bottom: int) -> tuple[int, Pen]:
        """The name, above `bottom`, with the shelf number at the right of its first line."""
        room, below = self._room, self._margin
        if number:
            pen = self._pen(NUMBER_MM)
            _must_fit(pen, number, self._room // 2)
            below = self._write_right(number, pen, self._sheet.width - self._margin, self._margin)
            room -= pen.width(number) + 2 * self._gap
        lines, pen = self._title_lines(title, room, bottom - self._margin)
        top = self._margin
        for line in lines:
            top = self._write(line, pen, self._margin, top)
        return max(top, below), pen

    def _title_lines(self, title: str, room: int, height: int) -> tuple[list[str], Pen]:
        """`room` is the width of the first line."""
        for mm in ONE_LINE_MM:
            pen = self._pen(mm, bold=True)
            if pen.width(title) <= room and pen.height + self._gap <= height:
                return [title] if title else [], pen
        for mm in TWO_LINES_MM:
            pen = self._pen(mm, bold=True)
            first, rest = _two_lines(pen, title, room)
            lines = [first, rest] if rest else [first]
            if pen.width(rest) <= self._room and len(lines) * (pen.height + self._gap) <= height:
                return lines, pen
        if 2 * (pen.height + self._gap) > height:
            return [_shorten(pen, title, room)], pen
        return [first, _shorten(pen, rest, self._room)], pen

    def _weights(self, fields: list[str]) -> list[list[str]]:
        """Net, tare and price per kilo, on one line or else on two."""
        fields = [field for field in fields if field]
        count = len(fields)
        while count > 1 and self._spread_width(fields[:count]) > self._room:
            count -= 1
        lines = [line for line in (fields[:count], fields[count:]) if line]
        if any(self._spread_width(line) > self._room for line in lines):
            raise _too_long()
        return lines

    def _spread_width(self, fields: list[str]) -> int:
        """With the least space between two fields."""
        space = self._small.width("0")
        return sum(self._small.width(field) + space for field in fields) - space

    def _spread(self, fields: list[str], top: int) -> int:
        """Over the width of the label, but not further apart than reads well."""
        free = self._room - sum(map(self._small.width, fields))
        space = min(free // max(1, len(fields) - 1), self._sheet.dots(4))
        left, below = self._margin, top
        for field in fields:
            below = self._write(field, self._small, left, top)
            left += self._small.width(field) + space
        return below

    def _bars(self, pattern: str, label: Label, top: int, bottom: int) -> Bars:
        """As wide as leaves the price its place at 2 mm; then as high as the label allows."""
        beside = self._price_width(label)
        quiet = QUIET_LEFT + MODULES + QUIET_RIGHT
        widest = int(MODULE_MM * self._sheet.dpi / 25.4)
        fitting = (
            module
            for module in range(widest, 2, -1)
            if quiet * module + beside + self._margin <= self._sheet.width
        )
        module = next(fitting, 2)
        left = QUIET_LEFT * module
        bottom -= self._small.height + self._gap
        return Bars(Box(left, top, left + MODULES * module, bottom), module, pattern)

    def _price_width(self, label: Label) -> int:
        clean = self._small.clean
        price = self._pen(SMALL_MM, bold=True).width(clean(label.price))
        words = clean(label.price_note).split(" ")
        return max(price, *(self._small.width(word) for word in words))

    def _digits(self, code: str, bars: Bars) -> None:
        text = f"{code[0]} {code[1:7]} {code[7:]}"
        left = bars.box.left + (bars.box.right - bars.box.left - self._small.width(text)) // 2
        self._write(text, self._small, left, bars.box.bottom + self._gap)

    def _price(self, price: str, note: str, bars: Bars, bottom: int, title: Pen) -> None:
        """Right of the bars, in the middle of their height; never larger than the name."""
        right = self._sheet.width - self._margin
        room, height = right - bars.zone.right, bottom - bars.box.top
        lines = [(line, self._small) for line in _wrap(self._small, note, room)]
        taken = len(lines) * (self._small.height + self._gap)
        if price:
            fitting = (
                pen
                for pen in (self._pen(mm, bold=True) for mm in PRICE_MM)
                if pen.width(price) <= room
                and pen.capital <= title.capital
                and pen.height + taken <= height
            )
            pen = next(fitting, None)
            if pen is None:
                raise _too_long()
            lines.insert(0, (price, pen))
            taken += pen.height + self._gap
        top = bars.box.top + (height - taken + self._gap) // 2
        for text, pen in lines:
            top = self._write_right(text, pen, right, top)


def _pattern(code: str) -> str:
    from barcode.ean import EAN13

    if not re.fullmatch("[0-9]{13}", code) or EAN13(code).get_fullcode() != code:
        raise NotPrinted("printer.barcode_wrong", sure=True)
    return "".join(EAN13(code).build())


def _too_long() -> NotPrinted:
    return NotPrinted("printer.label_too_long", sure=True)


def _must_fit(pen: Pen, text: str, room: int) -> None:
    if pen.width(text) > room:
        raise _too_long()


def _fitting(pen: Pen, text: str, room: int, end: str = "") -> int:
    """How many characters fit, followed by `end`."""
    low, high = 0, len(text)
    while low < high:
        middle = (low + high + 1) // 2
        if pen.width(text[:middle] + end) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _shorten(pen: Pen, text: str, room: int) -> str:
    if pen.width(text) <= room:
        return text
    count = _fitting(pen, text, room, "…")
    return text[:count].rstrip() + "…" if count else ""


def _shorten_first(pen: Pen, text: str, room: int) -> str:
    """The footer: the shop's address gives way, the date and the station stay."""
    first, dot, rest = text.partition(" · ")
    if not dot or pen.width(text) <= room:
        return _shorten(pen, text, room)
    short = _shorten(pen, first, room - pen.width(dot + rest) - 1)
    return _shorten(pen, f"{short}{dot}{rest}" if short else rest, room)


def _two_lines(pen: Pen, text: str, room: int) -> list[str]:
    """The words that fit `room`, and the others; a first word too long for it is cut in two."""
    count = _fitting(pen, text, room)
    if count == len(text):
        return [text, ""]
    space = text.rfind(" ", 0, count + 1)
    if space > 0:
        return [text[:space], text[space + 1 :]]
    return [text[:count], text[count:]]


def _wrap(pen: Pen, text: str, room: int) -> list[str]:
    """A note on one line or two; what does not fit them ends in "…"."""
    first, rest = _two_lines(pen, text, room)
    return [line for line in (first, _shorten(pen, rest, room)) if line]
