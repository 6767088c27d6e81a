"""From what a reader sent to the numbers to look up.

The one rule: a number with a wrong check digit is unreadable, not unknown: it gives no candidate,
the person is asked to show the badge again, and nobody else's badge is ever found by it.
"""

import re

from devices.ean import ean13, valid_ean13

_AZERTY_ROWS = (
    str.maketrans("&é\"'(-è_çà", "1234567890"),  # France
    str.maketrans("&é\"'(§è!çà", "1234567890"),  # Belgium
)
_AIM = re.compile(r"\][A-Za-z][0-9A-Za-z]")
_EDGES = re.compile(r"^[^0-9A-Za-z]+|[^0-9A-Za-z]+$")
_HEX = re.compile(r"[0-9A-Fa-f]+")


def candidates(text: str) -> list[str]:
    """The badge numbers that this scan may mean, likeliest first; none when it is unreadable.

    Digits: 8 to 14 of them. 13 must have the check digit of an EAN-13. Of 11 and 12 some reader
    may have taken the leading zero, and the check digit: they are also tried with those. Letters:
    as they are, without what readers put around them; hexadecimal in capitals.
    """
    scan = text.strip().strip("\x00\x02\x03\x1d")
    scan = _digits_of_azerty(_AIM.sub("", scan, count=1) if _AIM.match(scan) else scan)
    number = _EDGES.sub("", scan)
    if not (number.isascii() and number.isdigit()):
        if _HEX.fullmatch(number):
            return [number.upper()]
        return [scan] if scan else []
    if not 8 <= len(number) <= 14:
        return []
    match len(number):
        case 13:
            return [number] if valid_ean13(number) else []
        case 12:
            whole = "0" + number
            return [number, whole] if valid_ean13(whole) else [number]
        case 11:
            return [ean13("0" + number), number]
        case _:
            return [number]


def _digits_of_azerty(scan: str) -> str:
    """A reader that types digits without Shift, read as the French or Belgian layout."""
    for row in _AZERTY_ROWS:
        if scan and all(ord(char) in row for char in scan):
            return scan.translate(row)
    return scan
