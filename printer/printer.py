"""What every label printer does, whatever its language.

The one rule: silence is not "OK". Paper is UNKNOWN until the printer says otherwise, and a print
that may not have come out says so.
"""

from abc import abstractmethod
from enum import StrEnum

from devices import Device, Reading
from devices.errors import as_text
from printer.label import Label


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


class Printer(Device):
    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.paper: Reading[Paper] = Reading(Paper.UNKNOWN, Paper)

    @abstractmethod
    async def print(self, label: Label) -> None:
        """Print one label and return when it is out. One at a time; raises `NotPrinted`."""

    @abstractmethod
    def preview(self, label: Label) -> bytes:
        """The very picture that `print` sends, as PNG."""
