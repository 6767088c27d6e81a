"""What a network camera answers over HTTP: one head, then pictures until the connection ends.

The one rule: the head is bounded and checked before a byte behind it is taken for a picture.
Requests are HTTP/1.0, so that no camera answers in chunks. No socket here: bytes in, bytes out.
"""

import re
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

from camera.jpeg import JpegSplitter

_HEAD_LIMIT = 16 * 1024
_STATUS = re.compile(rb"HTTP/\d\.\d (\d{3})\b")
_BOUNDARY = re.compile(r'boundary\s*=\s*("?)([^";,\s]+)\1', re.IGNORECASE)


class NotHttpError(ValueError):
    """Whatever answers there, it is no web server."""


@dataclass(frozen=True, slots=True)
class Head:
    """A status and the headers that matter, names in lower case."""

    status: int
    headers: dict[str, str]

    @property
    def kind(self) -> str:
        """The media type alone, in lower case."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower()

    @property
    def boundary(self) -> str:
        """Between the parts of a stream, without the dashes that some cameras count in; or ""."""
        found = _BOUNDARY.search(self.headers.get("content-type", ""))
        return found[2].strip("-") if found else ""

    @property
    def length(self) -> int | None:
        """What it announces, if that is a number that a picture can have."""
        value = self.headers.get("content-length", "")
        return int(value) if re.fullmatch("[0-9]{1,9}", value) else None


class Answer:
    """Takes an answer apart: `feed` gives what follows the head, `head` is None until it is in."""

    def __init__(self) -> None:
        self.head: Head | None = None
        self._data = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The bytes behind the head, as they come. Raises `NotHttpError`."""
        if self.head is not None:
            return data
        self._data += data
        found = re.search(rb"\r?\n\r?\n", self._data)
        if found is None:
            if len(self._data) > _HEAD_LIMIT or not b"HTTP/".startswith(self._data[:5]):
                raise NotHttpError("no HTTP answer")
            return b""
        self.head = _head(bytes(self._data[: found.start()]))
        body = bytes(self._data[found.end() :])
        self._data.clear()
        return body


def _head(text: bytes) -> Head:
    lines = text.splitlines()
    status = _STATUS.match(lines[0]) if lines else None
    if status is None:
        raise NotHttpError("no HTTP answer")
    pairs = (line.decode("latin-1").partition(":") for line in lines[1:])
    return Head(int(status[1]), {name.strip().lower(): value.strip() for name, _, value in pairs})


class MultipartJpeg:
    """The pictures of a ``multipart/x-mixed-replace`` body.

    A picture ends where its own markers say (the lengths that cameras announce are often wrong),
    and what a boundary cuts short is dropped. A stream whose boundary never comes still works.
    """

    def __init__(self, boundary: str) -> None:
        # One of three letters or fewer stands in picture data by chance.
        self._boundary = b"--" + boundary.encode("latin-1") if len(boundary) > 3 else b""
        self._tail = b""
        self._splitter = JpegSplitter()

    def feed(self, data: bytes) -> list[bytes]:
        if not self._boundary:
            return self._splitter.feed(data)
        *parts, last = (self._tail + data).split(self._boundary)
        pictures = []
        for part in parts:
            pictures += self._splitter.feed(part)
            self._splitter.reset()
        # Hold back only what may be the beginning of a boundary: a picture must not wait for it.
        keep = next(
            (n for n in range(len(self._boundary) - 1, 0, -1) if last.endswith(self._boundary[:n])),
            0,
        )
        self._tail = last[len(last) - keep :]
        return pictures + self._splitter.feed(last[: len(last) - keep])


def request(url: str) -> tuple[str, bytes]:
    """Where to connect (``socket://host:port``) and what to say there, for an ``http`` URL."""
    parts = split_url(url)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    lines = (f"GET {path} HTTP/1.0", f"Host: {parts.netloc}", "Accept: */*", "Connection: close")
    return f"socket://{host}:{parts.port or 80}", "\r\n".join((*lines, "", "")).encode("ascii")


def split_url(url: str) -> SplitResult:
    """Raises `ValueError` with a sentence when it is not a plain ``http://host[:port]/path``."""
    if not url.isascii() or not url.isprintable() or " " in url:
        raise ValueError("an address has no blanks and no accents: write them as %20, %C3%A9 …")
    parts = urlsplit(url)
    if parts.scheme != "http" or not parts.hostname:
        raise ValueError("write it as http://host:port/path")
    if parts.username is not None:
        raise ValueError("no user and no password in an address")
    if parts.port == 0:
        raise ValueError("port 0 is no port")
    return parts
