"""Whole JPEG pictures out of a stream of bytes, with no port and no decoder.

The one rule: a picture is handed out only when all its markers from SOI to EOI were walked, so that
what is cut short, run together or torn by noise is dropped and never shown. Headers are walked by
their lengths: a thumbnail inside a header ends nothing.

Marker codes and the tables below are those of ITU-T T.81 (annexes B and K.3).
"""

import re
from dataclasses import dataclass

LIMIT = 16 * 1024 * 1024
"""No picture is larger: whatever claims to be is noise."""

_SOI, _EOI, _SOS, _DQT, _DHT, _DRI, _TEM = 0xD8, 0xD9, 0xDA, 0xDB, 0xC4, 0xDD, 0x01
_BASELINE = {0xC0, 0xC1}
_FRAMES = {0xC0, 0xC1, 0xC2, 0xC3, *range(0xC5, 0xC8), *range(0xC9, 0xCC), *range(0xCD, 0xD0)}
_START = b"\xff\xd8\xff"
# Within a scan FF 00 is a byte of data, FF D0-D7 restarts it and FF FF fills: only others end it.
_RESTART = re.compile(rb"\xff([\xd0-\xd7])")
_END_OF_SCAN = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")

_DC_VALUES = bytes(range(12))
_AC_LUMA = bytes.fromhex(
    "01020300041105122131410613516107227114328191A1082342B1C11552D1F02433627282090A161718191A25"
    "262728292A3435363738393A434445464748494A535455565758595A636465666768696A737475767778797A83"
    "8485868788898A92939495969798999AA2A3A4A5A6A7A8A9AAB2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CAD2D3"
    "D4D5D6D7D8D9DAE1E2E3E4E5E6E7E8E9EAF1F2F3F4F5F6F7F8F9FA"
)
_AC_CHROMA = bytes.fromhex(
    "000102031104052131061241510761711322328108144291A1B1C109233352F0156272D10A162434E125F11718"
    "191A262728292A35363738393A434445464748494A535455565758595A636465666768696A737475767778797A"
    "82838485868788898A92939495969798999AA2A3A4A5A6A7A8A9AAB2B3B4B5B6B7B8B9BAC2C3C4C5C6C7C8C9CA"
    "D2D3D4D5D6D7D8D9DAE2E3E4E5E6E7E8E9EAF2F3F4F5F6F7F8F9FA"
)
_TABLES = b"".join(
    bytes([kind]) + bytes.fromhex(counts) + values
    for kind, counts, values in (
        (0x00, "00010501010101010100000000000000", _DC_VALUES),
        (0x10, "0002010303020403050504040000017D", _AC_LUMA),
        (0x01, "00030101010101010101010000000000", _DC_VALUES),
        (0x11, "00020102040403040705040400010277", _AC_CHROMA),
    )
)
STANDARD_HUFFMAN = b"\xff\xc4" + (len(_TABLES) + 2).to_bytes(2, "big") + _TABLES
"""The Huffman tables that many USB cameras leave out of their pictures to save room."""


class BrokenJpegError(ValueError):
    """These bytes are not one picture."""


def _units(size: tuple[int, int], sampling: bytes) -> int:
    """How many coded units a picture has, by the sampling factors of its components (A.2)."""
    across, down = max(factor >> 4 for factor in sampling), max(factor & 15 for factor in sampling)
    _must(across and down)
    if len(sampling) == 1:
        across = down = 1
    return -(-size[0] // (8 * across)) * -(-size[1] // (8 * down))


def _must(fact: object) -> None:
    if not fact:
        raise BrokenJpegError("its headers do not add up")


class _Walk:
    """Walks one picture from its SOI at offset 0 of a growing buffer; no byte is seen twice."""

    def __init__(self) -> None:
        self._at = 2
        self._in_scan = False
        self._has_tables = False
        self._scan_at = 0
        self._quantizers: set[int] = set()
        self._wanted: set[int] = set()
        self.size = (0, 0)
        self.plain = True
        """One scan from the first line to the last."""
        self.scan_end = 0
        self._units = 0
        """Smallest coded units of the picture (MCU)."""
        self._restart_every = 0

    def end(self, data: bytearray) -> int | None:
        """The offset just after EOI; None while more bytes are needed. Raises `BrokenJpegError`."""
        while True:
            if self._in_scan:
                found = _END_OF_SCAN.search(data, self._at)
                if found is None:
                    self._at = max(self._at, len(data) - 1)  # an FF may be its last byte
                    return None
                self._at, self._in_scan = found.start(), False
                self.scan_end = self._at
            if len(data) < self._at + 2:
                return None
            if data[self._at] != 0xFF:
                raise BrokenJpegError("no marker where one must be")
            code = data[self._at + 1]
            if code == 0xFF:
                self._at += 1
            elif code == _EOI:
                _must(self._scan_at and all(self.size) and self._wanted <= self._quantizers)
                return self._at + 2
            elif code == _TEM:
                self._at += 2
            elif code == _SOI or code < 0xC0 or 0xD0 <= code <= 0xD7:
                raise BrokenJpegError("a marker where it cannot be")
            elif not self._segment(data, code):
                return None

    def _segment(self, data: bytearray, code: int) -> bool:
        """Step over one header; False while it is not all there."""
        body = self._at + 4
        length = int.from_bytes(data[self._at + 2 : body], "big") if len(data) >= body else 2
        if length < 2:
            raise BrokenJpegError("a header shorter than its own length")
        if len(data) < max(body, self._at + 2 + length):
            return False
        self._header(code, bytes(data[body : self._at + 2 + length]))
        self._at += 2 + length
        return True

    def _header(self, code: int, body: bytes) -> None:
        """What a header says must add up: else it is the front of one run into the next."""
        if code in _FRAMES:
            _must(self.size == (0, 0) and len(body) >= 6 and len(body) == 6 + 3 * body[5])
            self.size = (int.from_bytes(body[3:5], "big"), int.from_bytes(body[1:3], "big"))
            self._wanted = set(body[8::3])
            self.plain = self.plain and code in _BASELINE
            self._units = _units(self.size, body[7::3])
        elif code == _DQT:
            while body:
                precision, number = body[0] >> 4, body[0] & 15
                size = 1 + 64 * (precision + 1)
                _must(precision <= 1 and number <= 3 and len(body) >= size)
                self._quantizers.add(number)
                body = body[size:]
        elif code == _DHT:
            while body:
                size = 17 + sum(body[1:17])
                _must(body[0] & 0xEC == 0 and 17 < size <= len(body))
                self._has_tables = True
                body = body[size:]
        elif code == _DRI:
            self._restart_every = int.from_bytes(body, "big")
        elif code == _SOS:
            _must(len(body) >= 6 and len(body) == 4 + 2 * body[0])
            self.plain = self.plain and not self._scan_at
            self._scan_at = self._scan_at or self._at
            self._in_scan = True

    def restarts_well(self, data: bytes) -> bool | None:
        """Whether the scan holds every restart mark that it must, in their order; None when it has
        to have none. For a `plain` picture.
        """
        if not self._restart_every:
            return None
        found = [mark[0] & 7 for mark in _RESTART.findall(data[self._scan_at : self.scan_end])]
        count = max(0, -(-self._units // self._restart_every) - 1)
        return found == [number % 8 for number in range(count)]

    def picture(self, data: bytearray, end: int) -> bytes:
        """The picture, with the standard tables where the camera left them out."""
        if self._has_tables:
            return bytes(data[:end])
        return bytes(data[: self._scan_at] + STANDARD_HUFFMAN + data[self._scan_at : end])


class JpegSplitter:
    """Bytes in, whole pictures out; whatever lies between them is skipped."""

    def __init__(self, limit: int = LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()
        self._walk = _Walk()

    def feed(self, data: bytes) -> list[bytes]:
        self._data += data
        pictures = []
        while self._to_start():
            try:
                end = self._walk.end(self._data)
            except BrokenJpegError:
                self._skip(2)
                continue
            if end is None and len(self._data) <= self._limit:
                break
            if end is not None and end <= self._limit:
                pictures.append(self._walk.picture(self._data, end))
            self._skip(end or len(self._data))
        return pictures

    def reset(self) -> None:
        """What has begun will not be continued: forget it."""
        self._skip(len(self._data))

    def _to_start(self) -> bool:
        """Drop what stands before the next SOI; True when one is there."""
        at = self._data.find(_START)
        if at > 0:
            self._skip(at)
        elif at < 0:
            # Keep the beginning of a SOI at the very end.
            keep = next((n for n in (2, 1) if self._data.endswith(_START[:n])), 0)
            self._skip(len(self._data) - keep)
        return at >= 0

    def _skip(self, count: int) -> None:
        if count:
            del self._data[:count]
            self._walk = _Walk()


def only_picture(data: bytes, limit: int = LIMIT) -> bytes:
    """The picture in a buffer that begins with one; padding after it is cut off.

    Raises `BrokenJpegError` (a `ValueError`) when it is not whole.
    """
    buffer = bytearray(data[:limit])
    while buffer.startswith(_START[:2] * 2):  # some cameras begin twice
        del buffer[:2]
    walk, end = _walked(buffer)
    return walk.picture(buffer, end)


@dataclass(frozen=True, slots=True)
class Scan:
    """The only scan of a picture: where it ends, and whether its restart marks are all there (None:
    it has none).
    """

    end: int
    restarts_well: bool | None


def only_scan(jpeg: bytes) -> Scan | None:
    """None for a picture in several scans. Raises `BrokenJpegError`."""
    walk = _walked(bytearray(jpeg))[0]
    return Scan(walk.scan_end, walk.restarts_well(jpeg)) if walk.plain else None


def size_of(jpeg: bytes) -> tuple[int, int]:
    """Width and height in pixels, from the headers. Raises `BrokenJpegError`."""
    return _walked(bytearray(jpeg))[0].size


def _walked(buffer: bytearray) -> tuple[_Walk, int]:
    """The walk over the picture that begins here, and where it ends."""
    if not buffer.startswith(_START):
        raise BrokenJpegError("does not begin as a picture")
    walk = _Walk()
    end = walk.end(buffer)
    if end is None:
        raise BrokenJpegError("cut short")
    return walk, end
