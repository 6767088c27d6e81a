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
_SHORTEST, _LONGEST = 8, 14
"""Digits of badges that were numbered with a plan."""
_HEX = re.compile(r"[0-9A-Fa-f]+")


def candidates(text: str) -> list[str]:
    """The badge numbers that this scan may mean, likeliest first; none when it is empty.

    First as it is. Then without signs around it, and as digits typed without Shift, where that
    leaves at least 8 digits or letters: shorter rests are what noise leaves. Of 11 and 12 digits
    some reader may have taken the leading zero, and the check digit. Hexadecimal also in capitals
    and in small letters.
    """
    scan = _read(text)
    found = [scan] if scan else []
    for form in (scan, _EDGES.sub("", scan), _bare(scan)):
        if form != scan and len(form) < _SHORTEST:
            continue
        if _is_digits(form):
            found += _whole(form)
        elif _HEX.fullmatch(form):
            found += (form, form.upper(), form.lower())
    return list(dict.fromkeys(found))


def _whole(digits: str) -> list[str]:
    """A number, and the one that it is a part of."""
    if len(digits) == 12 and valid_ean13("0" + digits):
        return [digits, "0" + digits]
    return [digits, ean13("0" + digits)] if len(digits) == 11 else [digits]


def misread(text: str) -> bool:
    """Whether a scan that is nobody's was probably read wrongly: nothing, fewer than 8 digits or
    more than 14, or 13 with another check digit than an EAN-13's.
    """
    scan = _read(text)
    number = _bare(scan)
    if not _is_digits(number):
        return not scan
    right = _SHORTEST <= len(number) <= _LONGEST
    return not right or (len(number) == 13 and not valid_ean13(number))


def _read(text: str) -> str:
    """A scan without what readers send before and behind it."""
    scan = text.strip().strip("\x00\x02\x03\x1d")
    return _AIM.sub("", scan, count=1) if _AIM.match(scan) else scan


def _bare(scan: str) -> str:
    return _EDGES.sub("", _digits_of_azerty(scan))


def _is_digits(number: str) -> bool:
    return number.isascii() and number.isdigit()


def _digits_of_azerty(scan: str) -> str:
    """A reader that types digits without Shift, read as the French or Belgian layout."""
    for row in _AZERTY_ROWS:
        if scan and all(ord(char) in row for char in scan):
            return scan.translate(row)
    return scan
