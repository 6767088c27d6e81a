"""The pictures of the simulated camera: a head and shoulders that sways, with a running number.

The one rule: each picture of the loop is drawn once, so that a demo camera costs next to nothing.
"""

import io
import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL import ImageDraw

LOOP = 36
"""Pictures until the figure stands where it began: three seconds at 12 a second."""

_WALL, _FLOOR = (206, 222, 214), (150, 176, 163)
_SKIN, _HAIR, _SHIRT, _INK = (233, 190, 160), (84, 58, 43), (46, 109, 98), (35, 45, 42)


class Figure:
    def __init__(self, size: tuple[int, int] = (640, 480)) -> None:
        self.size = size
        self._drawn: dict[int, bytes] = {}

    def picture(self, number: int) -> bytes:
        """Picture `number` of an endless film, as JPEG."""
        turn = number % LOOP
        if turn not in self._drawn:
            self._drawn[turn] = self._draw(turn)
        return self._drawn[turn]

    def _draw(self, turn: int) -> bytes:
        from PIL import Image, ImageDraw, ImageFont

        width, height = self.size
        unit = height / 48
        angle = 2 * math.pi * turn / LOOP
        x, y = width / 2 + 5 * unit * math.sin(angle), 20 * unit + unit * math.cos(2 * angle)
        image = Image.new("RGB", self.size, _WALL)
        draw = ImageDraw.Draw(image)

        def oval(dx: float, dy: float, rx: float, ry: float, fill: tuple[int, int, int]) -> None:
            cx, cy = x + dx * unit, y + dy * unit
            draw.ellipse((cx - rx * unit, cy - ry * unit, cx + rx * unit, cy + ry * unit), fill)

        draw.rectangle((0, 38 * unit, width, height), _FLOOR)
        oval(0, 27, 17, 14, _SHIRT)
        oval(0, 11, 3.5, 6, _SKIN)
        oval(0, -2, 9.5, 11.5, _HAIR)
        oval(0, 0, 8, 10, _SKIN)
        blinks = turn % 18 < 2
        for side in (-1, 1):
            oval(3 * side, -1, 1.1, 0.25 if blinks else 1.1, _INK)
        draw.arc(
            (x - 3 * unit, y + 1.5 * unit, x + 3 * unit, y + 6 * unit),
            20,
            160,
            _INK,
            width=max(1, round(0.5 * unit)),
        )
        self._clock(draw, angle, unit)
        draw.text((unit, unit), f"{turn:02}", _INK, font=ImageFont.load_default(4 * unit))
        out = io.BytesIO()
        image.save(out, "JPEG", quality=80)
        return out.getvalue()

    def _clock(self, draw: "ImageDraw.ImageDraw", angle: float, unit: float) -> None:
        """A hand goes round once a loop: whoever sees it jump sees what the preview loses."""
        cx, cy, r = self.size[0] - 4 * unit, 4 * unit, 3 * unit
        draw.ellipse((cx - r, cy - r, cx + r, cy + r), outline=_INK, width=max(1, round(unit / 4)))
        end = (cx + r * math.sin(angle), cy - r * math.cos(angle))
        draw.line((cx, cy, *end), _INK, width=max(1, round(unit / 2)))
