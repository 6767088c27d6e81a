"""What every benchmark gives: one line of the table in the README.

The one rule: a budget is a number beside a measurement, never a test that fails on a busy machine.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Row:
    name: str
    value: float
    unit: str
    budget: float | None = None
    """The most it may be, in the same unit; None: nothing was promised."""

    @property
    def ratio(self) -> float | None:
        """How much of the budget it takes: 1.0 is all of it."""
        return None if not self.budget else self.value / self.budget
