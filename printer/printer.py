"""What every label printer does, whatever its language.

The one rule: silence is not "OK". Paper is UNKNOWN until the printer says otherwise, and a print
that may not have come out says so.
"""

from abc import abstractmethod
from collections.abc import Awaitable, Callable
from enum import StrEnum

from devices import Device, Reading
from devices.errors import as_text
from printer.label import Label

Still = Callable[[], Awaitable[bool]]
"""Asked directly before a label's first byte leaves: whether it is still true."""


class Paper(StrEnum):
    UNKNOWN = "unknown"
    OK = "ok"
    LOW = "low"
    OUT = "out"


class NotPrinted(Exception):
    """The label did not come out. `key` is a catalogue key; `sure` is False when it may have."""

    key = "device.bug"
    sure = False

    def __init__(self, key: str, *, sure: bool) -> None:
        self.key = as_text(key)
        self.sure = bool(sure)
        super().__init__(f"{self.key} ({'sure' if sure else 'may have come out'})")


class Withdrawn(Exception):
    """The label was no longer true when its turn came: nothing was sent."""


class Printer(Device):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.paper: Reading[Paper] = Reading(Paper.UNKNOWN, Paper)

    @abstractmethod
    async def print(self, label: Label, still: Still | None = None) -> None:
        """Print one label and return when it is out. One at a time.

        `still` is asked when all else is ready: after the queue, the printer's condition and the
        encoding. Raises `NotPrinted`, or `Withdrawn` when `still` says no.
        """

    @abstractmethod
    def preview(self, label: Label) -> bytes:
        """The very picture that `print` sends, as PNG."""
