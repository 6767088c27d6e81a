"""One card, many numbers: how the same UID looks as hex, as decimals, or as printed on the card.

The one rule: the bytes are the identity, in the order the reader sent them; everything else is a
presentation of them, and several UIDs may share one (the 24-bit ones drop a byte or two).
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

_LENGTHS = (4, 5, 7, 10)
"""Bytes in the UIDs there are: 4, 7, 10 (ISO 14443) and 5 (EM4100)."""

_HEX = re.compile("[0-9A-Fa-f]{2}([ :-]?[0-9A-Fa-f]{2})*")


def dec10(uid: bytes) -> str:
    """The low four bytes as ten digits ("8H10D"), as printed on most EM4100 cards."""
    return f"{int.from_bytes(uid[-4:], 'big'):010d}"


def dec13(uid: bytes) -> str:
    """All five bytes of an EM4100 card as thirteen digits ("10H13D")."""
    return f"{int.from_bytes(uid, 'big'):013d}"


def hex8(uid: bytes) -> str:
    return uid[-4:].hex().upper()


def hex10(uid: bytes) -> str:
    return uid.hex().upper()


def wiegand24(uid: bytes) -> str:
    """The low three bytes as ``119,13561``: facility, number."""
    return f"{uid[-3]:03d},{int.from_bytes(uid[-2:], 'big'):05d}"


def wiegand24_plain(uid: bytes) -> str:
    """The same without the comma: ``11913561``."""
    return wiegand24(uid).replace(",", "")


PRESENTATIONS: dict[str, Callable[[bytes], str]] = {
    "dec10": dec10,
    "dec13": dec13,
    "hex8": hex8,
    "hex10": hex10,
    "wiegand24": wiegand24,
    "wiegand24-plain": wiegand24_plain,
}
"""What a reader's `uid` setting may say."""


def presentations(uid: bytes) -> dict[str, str]:
    """Every usual presentation under its usual name; decimals only for four and five bytes."""
    found = {"hex": uid.hex().upper(), "hex_reversed": uid[::-1].hex().upper()}
    if len(uid) == 5:
        found["10H13D"] = dec13(uid)
    if len(uid) in (4, 5):
        found["8H10D"] = dec10(uid)
        found["6H3D5D"] = wiegand24(uid)
        found["6H8D"] = wiegand24_plain(uid)
        found["dec"] = str(int.from_bytes(uid, "big"))
        found["dec_reversed"] = str(int.from_bytes(uid, "little"))
    if len(uid) == 4:
        found["8H10D_reversed"] = dec10(uid[::-1])
    return found


def candidates(text: str) -> list[str]:
    """The UIDs, as hex in both orders, that a number typed from a card may stand for."""
    typed = text.strip()
    if typed.isascii() and typed.isdigit() and len(typed) <= 13:
        value = int(typed)
        if value >= 1 << 40:
            return []
        uid = value.to_bytes(4 if value < 1 << 32 and len(typed) <= 10 else 5, "big")
    elif _HEX.fullmatch(typed):
        uid = bytes.fromhex(typed.replace(":", "").replace("-", ""))
    else:
        return []
    if len(uid) not in _LENGTHS:
        return []
    return list(dict.fromkeys([uid.hex().upper(), uid[::-1].hex().upper()]))


def low24(text: str) -> str | None:
    """The low three bytes that ``119,13561`` or ``11913561`` stands for, as hex."""
    match = re.fullmatch("([0-9]{1,3}),([0-9]{1,5})|([0-9]{3})([0-9]{5})", text.strip())
    if not match:
        return None
    facility, number = int(match[1] or match[3]), int(match[2] or match[4])
    return f"{facility:02X}{number:04X}" if facility < 256 and number < 65536 else None


def decode(vector: Mapping[str, Any]) -> dict[str, Any]:
    """`hex`: a UID's presentations. `input`: what a number read off a card may stand for, or the
    two numbers that stand on it (``0007812345 119,13561``).

    Raises ValueError when there is neither, or no UID of that length.
    """
    if "input" in vector:
        return _typed(str(vector["input"]))
    if not vector.get("hex"):
        raise ValueError("give a UID as hex or a card's number as input")
    uid = bytes.fromhex(vector["hex"])
    if len(uid) not in _LENGTHS:
        raise ValueError(f"a UID has 4, 5, 7 or 10 bytes, not {len(uid)}")
    return {"kind": "card", **presentations(uid)}


def _typed(text: str) -> dict[str, Any]:
    words = [text] if candidates(text) else text.split()
    # Of two, one stands for the low 24 bits: the one with the comma, or else that of eight digits.
    words.sort(key=lambda word: ("," not in word, len(word) != 8))
    meant = {"low24": low24(words[0]), "candidates": candidates(words[-1])} if words else {}
    found = {name: value for name, value in meant.items() if value}
    whole = 0 < len(words) <= len(found)
    return {"kind": "card", **found} if whole else {"kind": "malformed"}
