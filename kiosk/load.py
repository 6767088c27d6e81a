"""What is on the scale's pan, in the few words the screen needs.

The one rule: only a stable, whole number of grams is `LOADED`; everything else has no number.
"""

from dataclasses import dataclass
from enum import Enum, auto

from scale import Weight


class Pan(Enum):
    UNKNOWN = auto()
    MOVING = auto()
    OVER = auto()
    UNDER = auto()
    EMPTY = auto()
    LOADED = auto()


@dataclass(frozen=True, slots=True)
class Load:
    """`grams` is what the scale shows (net if it holds a tare); None unless EMPTY or LOADED."""

    pan: Pan
    grams: int | None = None


def load_of(weight: Weight | None) -> Load:
    """Read a scale's answer. What cannot be sold from (pounds, half grams) is UNKNOWN."""
    if weight is None:
        return Load(Pan.UNKNOWN)
    if weight.over:
        return Load(Pan.OVER)
    grams = weight.grams
    if weight.under or (grams is not None and grams < 0):
        return Load(Pan.UNDER)
    if weight.stable is not True:  # None: the scale does not say, and nobody has waited yet
        return Load(Pan.MOVING)
    if grams is None:
        return Load(Pan.UNKNOWN)
    return Load(Pan.EMPTY, 0) if grams == 0 else Load(Pan.LOADED, grams)
