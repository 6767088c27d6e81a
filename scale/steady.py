"""Which of a scale's answers are believed. No port, no task, no clock.

The one rule: only a weight that was given twice in a row is steady, because a frame with two wrong
bits passes a parity check and is answered once. What is not steady is never priced, printed or
published as stable.
"""

from dataclasses import replace

from scale.weight import Weight

SAME_S = 1.0
"""A scale that does not say whether it is steady is, once its weight has been the same for this
long."""


class Steady:
    """For scales which are asked again and again; `take` each answer, in its order."""

    def __init__(self) -> None:
        self._held: Weight | None = None
        """The weight that was confirmed last, and is shown."""
        self._doubted: Weight | None = None
        """The last answer, when it was another one."""
        self._since = self._doubted_since = 0.0

    @property
    def settled_since(self) -> float | None:
        """When the weight that is held was first given (seconds, as given to `take`); None while
        the last answer was another one.
        """
        return self._since if self._held is not None and self._doubted is None else None

    def forget(self) -> None:
        """Silence, or an order: nothing is known any more."""
        self._held = self._doubted = None

    def take(self, weight: Weight, now: float) -> Weight | None:
        """What is to be shown after this answer, at `now` (seconds, monotonic); None: what is shown
        stays as it is, until the next answer says whether this one was true.
        """
        if weight.value is None:
            self.forget()
            return weight
        if weight == self._held:
            self._doubted = None
        elif weight == self._doubted:
            self._held, self._doubted, self._since = weight, None, self._doubted_since
        else:
            # One odd answer does not take away the weight that is shown; a second one does.
            waits = self._held is not None and self._doubted is None
            self._held = self._held if waits else None
            self._doubted, self._doubted_since = weight, now
            return None if waits else replace(weight, stable=False)
        if weight.stable is None:
            return replace(weight, stable=now - self._since >= SAME_S)
        return weight
