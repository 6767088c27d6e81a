"""Label printers: the label (what), its layout (where), the languages, status and queue."""

from printer.label import Label
from printer.printer import NotPrinted, Paper, Printer, Still, Withdrawn

__all__ = ["Label", "NotPrinted", "Paper", "Printer", "Still", "Withdrawn"]
