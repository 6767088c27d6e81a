"""What the scale's screen shows at one moment.

The one rule: it is complete. Whoever draws it asks nobody else, and equal pages look the same.
"""

from dataclasses import dataclass, replace
from datetime import datetime

from kiosk.issue import Problem
from kiosk.shelf import ShelfView
from kiosk.ticket import Mode
from kiosk.words import Language
from mqtt.messages import Product


@dataclass(frozen=True, slots=True)
class WeighingPage:
    """`state` is a key of the catalogue's ``weighing`` table. Weights in grams."""

    state: str
    language: Language
    shelf: ShelfView
    grams: int | None = None
    """Net grams to show; None: nothing is known, nothing is shown."""
    cents: int | None = None
    tare_g: int = 0
    product: Product | None = None
    mode: Mode = "indicative"
    problem: Problem | None = None
    code: str = ""
    label: str = ""
    """The label's id while there is one to look at."""
    can: frozenset[str] = frozenset()
    prices_from: datetime | None = None
    offline: bool = False
    cue: str = ""

    @property
    def frame(self) -> "WeighingPage":
        """The page without what moves: equal frames differ in digits only, and not in words."""
        return replace(self, grams=_kind(self.grams), cents=_kind(self.cents))


def _kind(number: int | None) -> int | None:
    """Unknown, zero or something: the words beside a number depend on that."""
    return number if number is None else int(number != 0)
