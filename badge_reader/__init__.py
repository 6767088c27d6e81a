"""Badge readers: keyboard wedges (evdev), RFID and barcode readers on a serial line."""

from badge_reader.reader import BadgeRead, BadgeReader, masked

__all__ = ["BadgeRead", "BadgeReader", "masked"]
