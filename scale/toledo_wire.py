"""The wire of a Mettler-Toledo 8217 scale: bytes in, events out. No port, no task, no clock.

The one rule: only `STX digits.digits[N] CR` is a weight. Everything else is a condition without a
weight, or nothing at all; the newest frame is the one that counts.

Facts from the Mettler-Toledo DIVA service manual 72191202 (8217 command and status tables): 9600
baud 7E1, one-letter requests without terminator (`T` ends with CR), answers `STX … CR`. The unit
is not on the wire. The lines carry even parity in bit 7, which an 8N1 port leaves in place.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import IntFlag
from typing import Any

WEIGH = b"W"
ZERO = b"Z"
TARE = b"T\r"
CLEAR_TARE = b"C"
SELF_TEST_RESULT = b"B"
ECHO_ON = b"E"
ECHO_OFF = b"F"

DECIMALS = {"kg": 3, "lb": 2}
"""How many decimals a scale working in this unit sends."""

_LONGEST = 32
_LESSONS = 3
_SEVEN_BITS = bytes(byte & 0x7F for byte in range(256))
# A status byte may have any value: bit 6 is only documented as set. CR would end the frame.
_FRAME = re.compile(rb"\x02(?:\?([^\r])|([^\x02\r]{0,%d}))\r" % _LONGEST)
_WEIGHT = re.compile(rb"\s*([0-9]+\.[0-9]+)(N?)")


class Flags(IntFlag):
    """The status byte's bits. Bits 6 (always 1) and 7 (parity) say nothing and are dropped."""

    MOTION = 1
    OVER = 2
    UNDER = 4
    OUTSIDE_ZERO = 8
    CENTER_ZERO = 16
    NET = 32


@dataclass(frozen=True, slots=True)
class Weighed:
    value: Decimal
    net: bool
    raw: bytes
    """The frame's text, without STX and CR."""


@dataclass(frozen=True, slots=True)
class Status:
    """A condition, and no weight. Also the answer to zero, tare and clear."""

    flags: Flags
    byte: int


@dataclass(frozen=True, slots=True)
class Echo:
    """The scale entered (True) or left (False) echo mode."""

    on: bool


@dataclass(frozen=True, slots=True)
class Echoed:
    """Bytes which came back in echo mode."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Malformed:
    """A frame whose text is none of the above."""

    raw: bytes


Event = Weighed | Status | Echo | Echoed | Malformed


class Codec:
    """Cuts what the scale sends into events. Bytes outside frames are noise and are dropped."""

    def __init__(self) -> None:
        self._kept = b""
        self._echo = False

    @property
    def inside(self) -> bool:
        """A frame has begun and has not ended."""
        return bool(self._kept)

    def reset(self) -> None:
        """Forget an unfinished frame and echo mode."""
        self._kept = b""
        self._echo = False

    def feed(self, data: bytes) -> list[Event]:
        text = self._kept + data.translate(_SEVEN_BITS)
        events: list[Event] = []
        done = 0
        for match in _FRAME.finditer(text):
            events += self._outside(text[done : match.start()])
            done = match.end()
            event = _event(match[1], match[2])
            if isinstance(event, Echo):
                self._echo = event.on
            events.append(event)
        self._kept, before = _unfinished(text[done:])
        events += self._outside(before)
        return events

    def _outside(self, data: bytes) -> list[Event]:
        return [Echoed(data)] if self._echo and data else []


def _unfinished(text: bytes) -> tuple[bytes, bytes]:
    """Split what follows the last frame into a frame that may still end, and what stands before."""
    start = text.rfind(2)
    if start >= 2 and text[start - 2 : start] == b"\x02?":
        start -= 2  # that byte is a status, not the start of a frame
    if start < 0 or len(text) - start > _LONGEST + 1:
        return b"", text
    tail = text[start:]
    if b"\r" in tail:
        return b"", text
    return tail, text[:start]


def _event(status: bytes | None, text: bytes) -> Event:
    if status is not None:
        return Status(Flags(status[0] & 0x3F), status[0])
    if match := _WEIGHT.fullmatch(text):
        return Weighed(Decimal(match[1].decode()), bool(match[2]), text)
    if text in (ECHO_ON, ECHO_OFF):
        return Echo(text == ECHO_ON)
    return Malformed(text)


class Shape:
    """Knows the shape, length and place of the point, that one scale's weights have.

    A lost character leaves a text that still reads as a weight, but in another shape. Kilograms
    come as ``WW.WWW``; a scale that differs from that, and any in pounds (``WW.WW`` or
    ``0WW.WW``), teaches its shape by as many weights of it in a row as `_LESSONS`. Once a shape has
    proved right it stays.
    """

    def __init__(self, unit: str) -> None:
        self._known = (6, 2) if unit == "kg" else None
        self._proved = False
        self._taught: tuple[int, int] | None = None
        self._lessons = 0

    def fits(self, weighed: Weighed) -> bool:
        shape = (len(weighed.raw) - weighed.net, weighed.raw.find(b"."))
        if shape == self._known:
            self._proved = True
        elif not self._proved:
            self._lessons = self._lessons + 1 if shape == self._taught else 1
            self._taught = shape
            if self._lessons == _LESSONS:
                self._known, self._proved = shape, True
        return shape == self._known


def decode(vector: Mapping[str, Any]) -> dict[str, Any]:
    """What an exchange means (`edged decode mettler-8217`).

    `request` and `response` (or `hex`) are hex; `response` is "" when the scale was silent. Without
    one, the request is a command that wants no answer. `config.unit` is what the scale was set to;
    without it the number of decimals tells: two are pounds. Raises ValueError for an unknown unit,
    and when there are no bytes.
    """
    unit = dict(vector.get("config") or {}).get("unit")
    unit = str(unit).lower() if unit is not None else None
    if unit not in (None, *DECIMALS):
        raise ValueError(f"unit {unit!r} is none of {', '.join(DECIMALS)}")
    request = bytes.fromhex(vector.get("request") or "")
    given = vector.get("response")
    if given is None:
        given = vector.get("hex")
    if given is None:
        if not request:
            raise ValueError("give the scale's bytes as response or hex")
        return {"kind": "command"}
    answer = bytes.fromhex(given)
    if not answer:
        return {"kind": "timeout"}
    codec = Codec()
    events = codec.feed(answer)
    if request[:1] == ECHO_ON:
        return _probed(request[1:], events, codec.inside)
    if not events:
        return {"kind": "incomplete"} if codec.inside else {"kind": "malformed"}
    fields = _fields(events[-1], unit)
    if request == SELF_TEST_RESULT and isinstance(events[-1], Status):
        fields |= _self_test(events[-1].byte)
    return fields | {"frames": len(events)}


def _probed(sent: bytes, events: list[Event], inside: bool) -> dict[str, Any]:
    echoed = b"".join(event.data for event in events if isinstance(event, Echoed))
    on = Echo(on=True) in events
    if (on and sent.startswith(echoed) and sent != echoed) or (inside and not events):
        return {"kind": "incomplete"}
    return {"kind": "probe", "match": on and sent == echoed}


def _fields(event: Event, unit: str | None) -> dict[str, Any]:
    match event:
        case Weighed(value, net, _):
            two = value.as_tuple().exponent == -DECIMALS["lb"]
            return {
                "kind": "weight",
                "value": str(value),
                "unit": unit or ("lb" if two else "kg"),
                "stable": True,
                "net": net,
            }
        case Status(flags, byte):
            return {
                "kind": "status",
                "value": None,
                "stable": Flags.MOTION not in flags,
                "motion": Flags.MOTION in flags,
                "over": Flags.OVER in flags,
                "under": Flags.UNDER in flags,
                "outside_zero": Flags.OUTSIDE_ZERO in flags,
                "center_zero": Flags.CENTER_ZERO in flags,
                "net": Flags.NET in flags,
                "raw": byte,
            }
        case Echo():
            return {"kind": "ack"}
        case _:
            return {"kind": "malformed"}


_FAULTS = {0x10: "rom", 0x08: "cpu-ram", 0x04: "ram", 0x02: "novram"}


def _self_test(byte: int) -> dict[str, Any]:
    """The same byte read as the result of a self-test, which the wire does not tell apart."""
    faults = [name for bit, name in _FAULTS.items() if byte & bit]
    new = bool(byte & 0x40)
    return {"self_test": {"new": new, "passed": new and not faults, "failed": faults}}
