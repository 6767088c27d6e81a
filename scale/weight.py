"""What every scale gives, whatever its wire: the newest `Weight`, or None when nothing is known.

The one rule: unknown beats stale beats wrong. A condition (moving, over, under) carries no value,
silence makes the reading None, and nothing is ever turned into 0.
"""

import asyncio
import time
from dataclasses import dataclass, field
from decimal import Decimal
from types import NoneType
from typing import Protocol, runtime_checkable

from devices import Device, Reading
from devices.errors import NonsenseError, expect

CONFIRM_S = 0.5
"""A scale that has not answered twice within this is not asked any longer."""
_LOOK_S = 0.005
_GRAMS = {"g": Decimal(1), "kg": Decimal(1000), "lb": Decimal("453.59237")}
_DIGITS = 12
"""A number with more before or behind the point is no weight."""
_SECONDS = 1e10
"""Centuries: no clock of a machine has run for so long."""


@dataclass(frozen=True, slots=True)
class Weight:
    """One answer of a scale. `value` keeps the scale's own decimals; None: it gave no weight.

    None in a flag means that the protocol does not say. Raises `NonsenseError` for anything that
    is no weight: a float, an endless number, a moment that no clock shows.
    """

    value: Decimal | None
    unit: str
    stable: bool | None = None
    net: bool | None = None
    tare: Decimal | None = None
    zero: bool | None = None
    over: bool | None = None
    under: bool | None = None
    raw: bytes = field(default=b"", compare=False, repr=False)
    at: float = field(default_factory=time.monotonic, compare=False, repr=False)
    """`time.monotonic` when the answer was picked up, at most one poll after its last byte."""

    def __post_init__(self) -> None:
        expect("a weight's value", self.value, Decimal, NoneType)
        expect("a weight's tare", self.tare, Decimal, NoneType)
        expect("a weight's unit", self.unit, str)
        expect("a weight's raw bytes", self.raw, bytes)
        expect("a weight's moment", self.at, float)
        for flag in (self.stable, self.net, self.zero, self.over, self.under):
            expect("a weight's flag", flag, bool, NoneType)
        for number in (self.value, self.tare):
            if number is not None and not (number.is_finite() and abs(number.adjusted()) < _DIGITS):
                raise NonsenseError(f"a weight's value: {number:.9} is none")
        if not (len(self.unit) <= _DIGITS and self.unit.isprintable()):
            raise NonsenseError("a weight's unit: a short word expected")
        if not abs(self.at) < _SECONDS:
            raise NonsenseError("a weight's moment: no clock shows it")

    @property
    def grams(self) -> int | None:
        """The value in whole grams; None when there is none, or when it is not a whole number."""
        if self.value is None or self.unit not in _GRAMS:
            return None
        grams = self.value * _GRAMS[self.unit]
        return int(grams) if grams == grams.to_integral_value() else None


class Scale(Device):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.reading: Reading[Weight | None] = Reading(None, Weight, NoneType)

    async def confirmed(self, weight: Weight) -> bool:
        """Whether the scale, asked once more from now on, says this very weight again.

        False also when it does not answer within half a second. The first answer that comes after
        the call may be to a question from before it, so there have to be two.
        """
        end = time.monotonic() + CONFIRM_S
        newest, answers = time.monotonic(), 0
        while answers < 2:
            reading = self.reading.get()
            if reading != weight or time.monotonic() > end:
                return False
            assert reading is not None
            if reading.at > newest:
                newest, answers = reading.at, answers + 1
            else:
                await asyncio.sleep(_LOOK_S)
        return True


@runtime_checkable
class Tares(Protocol):
    """A scale that can take the load on it as the tare. Only ever at a person's request."""

    async def tare(self) -> None: ...
    async def clear_tare(self) -> None: ...


@runtime_checkable
class Zeroes(Protocol):
    """A scale that can be told to take the empty pan as zero. Only at a person's request."""

    async def zero(self) -> None: ...
