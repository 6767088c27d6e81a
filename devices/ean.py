"""Check digits of GTIN-8, -12, -13 and -14 (EAN-8, UPC-A, EAN-13, ITF-14).

The one rule: only ASCII digits are digits. Python takes Arabic-Indic ones for digits too; a till
does not. The arithmetic is GS1's: weights 3, 1, 3, … from the right, up to the next ten.
"""

from collections.abc import Mapping
from typing import Any

_CODE_LENGTHS = (8, 12, 13, 14)


def is_digits(text: str) -> bool:
    """One or more of 0-9, and nothing else."""
    return text.isascii() and text.isdigit()


def check_digit(body: str) -> str:
    """The digit that completes `body` (any number of digits). Raises `ValueError` on others."""
    if not is_digits(body):
        raise ValueError(f"not digits: {body!r}")
    total = sum(int(digit) * (1 if place % 2 else 3) for place, digit in enumerate(reversed(body)))
    return str(-total % 10)


def valid(code: str) -> bool:
    """Whether `code` is a whole GTIN-8, -12, -13 or -14 with the right check digit."""
    return len(code) in _CODE_LENGTHS and is_digits(code) and check_digit(code[:-1]) == code[-1]


def valid_ean13(code: str) -> bool:
    """Whether `code` is thirteen digits, the last of them right."""
    return len(code) == 13 and valid(code)


def ean13(body: str) -> str:
    """The EAN-13 of twelve digits. Raises `ValueError` on anything else."""
    if len(body) != 12:
        raise ValueError(f"an EAN-13 begins with 12 digits, not {len(body)}")
    return body + check_digit(body)


def decode(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What `input` is: ``{"kind": "ean", "valid": …}``, with ``check_digit`` and ``full``.

    Seven and eleven digits lack their check digit, 8 and 14 have it. Twelve and thirteen can be
    read both ways: the vector's `name` decides ("check digit of …": it lacks), and without one
    twelve lack it and thirteen have it.
    """
    text = vector.get("input")
    if not isinstance(text, str):
        raise ValueError("ean: 'input' must be text")  # noqa: TRY004 (decoders' contract)
    name = vector.get("name")
    asked = name.startswith("check digit of") if isinstance(name, str) else len(text) == 12
    if is_digits(text) and len(text) + 1 in _CODE_LENGTHS and (asked or len(text) in (7, 11)):
        digit = check_digit(text)
        return {"kind": "ean", "valid": True, "check_digit": digit, "full": text + digit}
    if not valid(text):
        return {"kind": "ean", "valid": False}
    return {"kind": "ean", "valid": True, "check_digit": text[-1], "full": text}
