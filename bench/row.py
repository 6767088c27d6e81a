"""What every benchmark gives: one line of the table.

The one rule: a budget is a number beside a measurement, never a test that fails on a busy machine.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    value: float
    """Where there are many: their 99th percentile."""
    unit: str
    budget: float | None = None
    """The most it may be, in the same unit; None: nothing was promised."""
    p50: float | None = None
    least: bool = False
    """The budget is the least it may be: a speed."""

    @property
    def ratio(self) -> float | None:
        """How much of the budget it takes: 1.0 is all of it."""
        return None if not self.budget else self.value / self.budget

    @property
    def missed(self) -> bool:
        if self.budget is None:
            return False
        return self.value < self.budget if self.least else self.value > self.budget


def spread(name: str, seconds: Sequence[float], budget_ms: float | None = None) -> Row:
    """A row of durations, in milliseconds; how many there were stands in its name."""
    full = f"{name} (n={len(seconds)})"
    return Row(full, at(seconds, 99), "ms", budget_ms, p50=at(seconds, 50))


def at(seconds: Sequence[float], percent: int) -> float:
    """The percentile (nearest rank), in milliseconds."""
    ordered = sorted(seconds)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)] * 1000
