"""`edged decode`: ESC/POS commands by name, and the IEEE 1284 identity of a USB printer.

The one rule: an argument that is missing or out of range is a `ValueError` which names it.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from printer import encode

_HRI = {"none": 0, "above": 1, "below": 2, "both": 3}
_CODE_PAGES = {"cp437": 0, "cp850": 2, "cp1252": 16, "cp858": 19}
_DRAWER_PINS = {0: 0, 1: 1, 2: 0, 5: 1}
_ECC = {"L": 48, "M": 49, "Q": 50, "H": 51}


class _Arguments:
    def __init__(self, given: Mapping[str, Any]) -> None:
        self._given = given

    def number(self, name: str, low: int, high: int, default: int | None = None) -> int:
        value = self._given.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise ValueError(f"{name}: a number from {low} to {high} expected, not {value!r}")
        return value

    def text(self, name: str, default: str | None = None) -> str:
        value = self._given.get(name, default)
        if not isinstance(value, str):
            raise ValueError(f"{name}: a text expected, not {value!r}")  # noqa: TRY004
        return value

    def bits(self, name: str) -> list[str]:
        rows = self._given.get(name)
        whole = isinstance(rows, list) and all(isinstance(row, str) for row in rows)
        if not whole or not rows or not re.fullmatch("[01]+", "".join(rows)):
            raise ValueError(f"{name}: a list of rows of 0 and 1 expected")
        if len(set(map(len, rows))) != 1 or not 0 < len(rows[0]) <= 8 * 0xFFFF:
            raise ValueError(f"{name}: rows of one length expected")
        return list(rows)

    def choice(self, name: str, of: Mapping[str, int], default: str | None = None) -> int:
        value = self.text(name, default)
        if value not in of:
            raise ValueError(f"{name}: one of {', '.join(of)} expected, not {value!r}")
        return of[value]


def _raster_headers(given: _Arguments) -> bytes:
    width = (given.number("width", 1, 0xFFFF) + 7) // 8
    rows = encode.slices(
        given.number("height", 1, 0xFFFF), given.number("max_rows", 1, 0xFFFF, 255)
    )
    return b"".join(encode.raster_header(width, count) for count in rows)


def _raster(given: _Arguments) -> bytes:
    """GS v 0 for `rows` of ``0`` and ``1`` (black), filled up to whole bytes with white."""
    rows = given.bits("rows")
    width = (len(rows[0]) + 7) // 8
    data = [int(row.ljust(8 * width, "0"), 2).to_bytes(width, "big") for row in rows]
    most = given.number("max_rows", 1, 0xFFFF, encode.SLICE)
    slices = [data[top : top + most] for top in range(0, len(data), most)]
    return b"".join(encode.raster_header(width, len(part)) + b"".join(part) for part in slices)


def _text(given: _Arguments) -> bytes:
    """ESC t, then the text: the euro sign is in code page 858, and in no older one."""
    page = given.choice("codepage", _CODE_PAGES, "cp858")
    try:
        return b"\x1bt" + bytes([page]) + given.text("text").encode(given.text("codepage", "cp858"))
    except UnicodeEncodeError as error:
        raise ValueError(f"text: {error.object[error.start]!r} is not in this code page") from None


def _barcode_setup(given: _Arguments) -> bytes:
    """GS h, GS w, GS H."""
    height = given.number("height", 1, 255)
    width = given.number("width", 2, 6)
    hri = given.choice("hri", _HRI, "none")
    return bytes([0x1D, 0x68, height, 0x1D, 0x77, width, 0x1D, 0x48, hri])


def _ean13(given: _Arguments) -> bytes:
    """GS k, function B (length first) or A (NUL at the end)."""
    given.choice("type", {"EAN13": 67}, "EAN13")
    digits = given.text("data")
    if not (digits.isascii() and digits.isdigit() and len(digits) in (12, 13)):
        raise ValueError(f"data: 12 or 13 digits expected, not {digits!r}")
    if given.choice("function", {"A": 0, "B": 1}, "B"):
        return b"\x1dk\x43" + bytes([len(digits)]) + digits.encode()
    return b"\x1dk\x02" + digits.encode() + b"\x00"


def _qr(given: _Arguments) -> bytes:
    """GS ( k with cn 49: model, module size, error correction, store, print."""
    data = given.text("data").encode()
    if not 1 <= len(data) <= 7089:
        raise ValueError("data: 1 to 7089 bytes expected")
    model = 48 + given.number("model", 1, 2, 2)
    size = given.number("size", 1, 16, 3)
    ecc = given.choice("ecc", _ECC, "L")
    parts = (
        bytes([65, model, 0]),
        bytes([67, size]),
        bytes([69, ecc]),
        bytes([80, 48]) + data,
        bytes([81, 48]),
    )
    return b"".join(
        b"\x1d(k" + (len(part) + 1).to_bytes(2, "little") + b"1" + part for part in parts
    )


def _drawer(given: _Arguments) -> bytes:
    """ESC p: which connector pin (2 or 5, or as on the wire 0 or 1), on and off in 2 ms."""
    pin = given.number("pin", 0, 5, 0)
    if pin not in _DRAWER_PINS:
        raise ValueError(f"pin: one of {', '.join(map(str, _DRAWER_PINS))} expected, not {pin}")
    times = given.number("t1", 0, 255, 25), given.number("t2", 0, 255, 250)
    return bytes([0x1B, 0x70, _DRAWER_PINS[pin], *times])


_COMMANDS: Mapping[str, Callable[[_Arguments], bytes]] = {
    "init": lambda _: encode.INIT,
    "raster": _raster,
    "raster_header_only": _raster_headers,
    "barcode_setup": _barcode_setup,
    "barcode": _ean13,
    "ean13": _ean13,
    "text": _text,
    "qr": _qr,
    "label_feed": lambda _: encode.LABEL_FEED,
    "asb": lambda given: encode.asb(given.number("mask", 0, 255)),
    "drawer": _drawer,
    "cut": lambda given: encode.cut(given.number("feed", 0, 255, 0)),
    "feed": lambda given: encode.feed(given.number("dots", 0, 0xFFFF)),
    "status": lambda given: encode.ask(given.number("n", 1, 4)),
}


def decode_print(vector: Mapping[str, Any]) -> dict[str, Any]:
    """The bytes of the command that `input` names (``{"cmd": "init"}``), or those of `hex`."""
    given = vector.get("input")
    if given is None:
        return {"kind": "bytes", "hex": _hex(bytes.fromhex(vector.get("hex") or ""))}
    if not isinstance(given, Mapping):
        raise ValueError("'input' must be an object with `cmd`")  # noqa: TRY004 (decoders' contract)
    arguments = _Arguments(given)
    command = arguments.text("cmd")
    if command not in _COMMANDS:
        raise ValueError(f"cmd: one of {', '.join(_COMMANDS)} expected, not {command!r}")
    return {"kind": "bytes", "hex": _hex(_COMMANDS[command](arguments))}


def _hex(data: bytes) -> str:
    return data.hex(" ").upper()


_NAMES = {
    "manufacturer": ("MFG", "MANUFACTURER"),
    "model": ("MDL", "MODEL"),
    "languages": ("CMD", "COMMAND SET"),
    "serial": ("SN", "SERN", "SERIALNUMBER"),
}
_RECEIPT = ("ESC/POS", "ESCPOS", "STAR")
_LABEL = ("ZPL", "EZPL", "EPL", "TSPL", "CPCL", "DPL", "SBPL", "FGL", "PT-CBP", "ESCLABEL")


def decode_ieee1284(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What a USB printer calls itself: the text in `input`, or its bytes in `hex`.

    LPIOC_GET_DEVICE_ID puts two bytes of length before the text; sysfs does not.
    """
    text = vector.get("input")
    if text is None:
        text = bytes.fromhex(vector.get("hex") or "").decode("latin-1")
    text = str(text)
    length = int.from_bytes(text[:2].encode("latin-1", "replace"), "big")
    if length in (len(text), len(text) - 2):
        text = text[2:]
    fields: dict[str, str] = {}
    for pair in text.strip("\0").split(";"):
        name, colon, value = pair.partition(":")
        if colon:
            fields.setdefault(name.strip().upper(), value.strip())
    found = {
        what: next((fields[name] for name in names if fields.get(name)), None)
        for what, names in _NAMES.items()
    }
    languages = [name.strip() for name in (found["languages"] or "").split(",") if name.strip()]
    return {"kind": "device_id", **found, "languages": languages, "class": _class_of(languages)}


def _class_of(languages: list[str]) -> str:
    """By the language, not by CLS, which says PRINTER for all of them."""
    known = [language.upper() for language in languages]
    if any(language.startswith(_LABEL) for language in known):
        return "label"
    if any(language.startswith(_RECEIPT) for language in known):
        return "receipt"
    return "unknown"
