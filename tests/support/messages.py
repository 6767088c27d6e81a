"""Messages as they look on the wire, whole and right."""

from typing import Any

AT = "2026-11-21T17:13:22.041Z"
BADGE: dict[str, Any] = {
    "device": "reader",
    "badge": "0123456789abcdef" * 2,
    "who": None,
    "shown": "unknown",
    "directory_as_of": AT,
}
LABEL: dict[str, Any] = {
    "action": "print",
    "label": "01938f3c-0000-7000-8000-000000000001",
    "device": "printer",
    "scale": "scale",
    "product": 7,
    "barcode": "2100070012345",
    "net_g": 1234,
    "tare_g": 0,
    "price_cents_per_kg": 350,
    "price_cents": None,
    "mode": "indicative",
}
ENVELOPE: dict[str, Any] = {
    "v": 1,
    "id": "01938f3c-7a10-7c3e-8000-3f2d1c0b9a87",
    "epoch": "k7f3q",
    "seq": 1234,
    "at": AT,
    "clock": "synced",
    "boot": "9c1e2f00-0000-4000-8000-000000000000",
    "up": 81234567,
}
"""Without `kind` and `data`."""
ENTRY: dict[str, Any] = {
    "badge": BADGE["badge"],
    "who": {"kind": "member", "id": 42},
    "first_name": "Zoë",
    "verdict": "ok",
    "next_shift": AT,
    "language": "fr_FR",
}
