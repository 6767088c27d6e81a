"""From what a reader sent to the numbers to look up.

The one rule: a number that stands in the directory is that person's, whatever its shape. Rules
about lengths and check digits are for numbers that nobody has: such a scan is unreadable, not
unknown, and the person is asked to show the badge again.
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
    """The badge numbers that this scan may mean, likeliest first; none when it is empty.

    Digits: as they are. Of 11 and 12 some reader may have taken the leading zero, and the check
    digit: they are also tried with those. Letters: as they are, without what readers put around
    them; hexadecimal also in capitals and in small letters.
    """
    scan, number = _read(text)
    if not _is_digits(number):
        if _HEX.fullmatch(number):
            return list(dict.fromkeys((number, number.upper(), number.lower())))
        return [scan] if scan else []
    match len(number):
        case 12 if valid_ean13("0" + number):
            return [number, "0" + number]
        case 11:
            return [ean13("0" + number), number]
        case _:
            return [number]


def misread(text: str) -> bool:
    """Whether a scan that is nobody's was probably read wrongly: nothing, fewer than 8 digits or
    more than 14, or 13 with another check digit than an EAN-13's.
    """
    scan, number = _read(text)
    if not _is_digits(number):
        return not scan
    return not 8 <= len(number) <= 14 or (len(number) == 13 and not valid_ean13(number))


def _read(text: str) -> tuple[str, str]:
    """A scan without what readers put before and behind it; and without signs around it."""
    scan = text.strip().strip("\x00\x02\x03\x1d")
    scan = _digits_of_azerty(_AIM.sub("", scan, count=1) if _AIM.match(scan) else scan)
    return scan, _EDGES.sub("", scan)


def _is_digits(number: str) -> bool:
    return number.isascii() and number.isdigit()


def _digits_of_azerty(scan: str) -> str:
    """A reader that types digits without Shift, read as the French or Belgian layout."""
    for row in _AZERTY_ROWS:
        if scan and all(ord(char) in row for char in scan):
            return scan.translate(row)
    return scan
