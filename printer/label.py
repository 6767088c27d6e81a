"""What a weighing label says. Where it stands on the paper is `printer.layout`'s business.

The one rule: a label repeats what the scale and the shop said, in integers, and invents nothing.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Label:
    """One label of 58 × 40 mm. Texts are ready to print: the language was chosen above."""

    title: str
    """The product's name: the largest thing on the label."""
    number: str
    """The shelf number, such as ``n° 104``; "" for none."""
    details: str
    """Origin and category, only if the shop has them; "" for none."""
    weights: str
    """``Net 0,482 kg   Tare 0,126 kg   2,95 €/kg``: fields parted by two spaces or more, which may
    be set on two lines. Never cut short: what does not fit is not printed."""
    barcode: str
    """The 13 digits, check digit included."""
    price: str
    """``1,42 €`` or "" where no price may be shown."""
    price_note: str
    """``prix indicatif``; "" when the approved scale computed it."""
    footer: str
    """``Shop · date and time · station``: when too long, what stands before the first `` · `` is
    cut short."""
