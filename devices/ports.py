"""One way to open whatever a device hangs on, named by a path or an URL.

The one rule: opening, reading and writing either work or raise one of the three device errors, in
bounded time and memory. A driver never sees an errno and never blocks the loop.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, urlsplit

from devices.errors import Refused
from devices.local_port import Flow, Line, open_path, opened

__all__ = ["Flow", "Line", "Port", "check_port", "node", "open_port", "plugged"]

_LOOK_EVERY = 0.1
_TRY_AGAIN = 2.0
_USB_ID = re.compile(r"[0-9A-Fa-f]{4}:[0-9A-Fa-f]{4}")
"""Names a keyboard, which its driver looks for by itself."""


class Port(Protocol):
    """Bytes both ways. After an error every further call raises the same error."""

    async def read(self, limit: int = 4096) -> bytes:
        """At least one byte, at most `limit`. Raises `Lost` when the device went away."""

    async def later(self, seconds: float) -> bytes:
        """What has come when so many seconds are over; b"" when nothing has.

        For answers whose time is known: on a line of 9600 baud each byte would wake the loop.
        """

    async def repeat(
        self, request: bytes, answer: bytes, every: float, again: Callable[[], bool]
    ) -> bytes:
        """Ask anew every so many seconds while exactly `answer` has come, and `again()` is true.

        What came to the last request instead: b"" when nothing did. What had come before the first
        is forgotten. Nothing wakes the caller as long as nothing changes. `request` is a few bytes
        at most. Raises `Lost`, and what `again` raises.
        """

    async def write(self, data: bytes) -> None:
        """Returns once the system took all of it. Raises `Lost`: gone, or took nothing for 5 s."""

    def discard(self) -> None:
        """Forget what came in so far: before a request, so that a late answer cannot match it."""


@asynccontextmanager
async def open_port(
    url: str, line: Line | None = None, *, timeout: float = 5.0
) -> AsyncIterator[Port]:
    """``async with open_port("/dev/serial/by-id/…", Line(9600, 7, "E")) as port``.

    `url` is one of

    - a path: a serial line, set to `line`; or any character device, as it is (``/dev/usb/lp0``);
    - ``socket://host:port``: raw TCP;
    - ``rfc2217://host:port``: a serial line on the network, set to `line`;
    - ``sim://NAME?key=value``: the simulator of that name, with those attributes set, on a pty of
      its own (``via=tcp``: on a TCP port).

    Raises `Absent` (no such path), `Unreachable` (nobody listens), `Refused`
    (``device.permission``, ``device.busy``, ``device.port_invalid``) or `Lost` (anything else;
    ``device.sandboxed``: the unit forbids it; ``device.silent``: it took longer than `timeout`).
    """
    line = line or Line()
    parts = _split(url)
    if parts.scheme == "":
        with opened(await open_path(url, line, timeout=timeout), url) as local:
            yield local
    elif parts.scheme == "sim":
        from devices.simulated import simulated

        async with simulated(url) as real, open_port(real, line, timeout=timeout) as port:
            yield port
    elif parts.scheme == "rfc2217":
        from devices.tcp_port import open_rfc2217

        async with open_rfc2217(url, line, timeout=timeout) as remote:
            yield remote
    else:
        from devices.tcp_port import open_socket

        host, number = _address(parts)
        async with open_socket(host, number, timeout=timeout) as tcp:
            yield tcp


async def plugged(url: str) -> None:
    """Return within 0.25 s of the path being there; on the network, when another try is due.

    A stat ten times a second costs less than a udev monitor and works for every kind of node.
    On the network only a connection tells, and many a device serves one, and rests after it: one
    that is opened must be the one that is used. `open_port` raises `Unreachable` there, and
    `devices.keep` chooses the waits.
    """
    parts = _split(url)
    if parts.scheme == "sim":
        return
    if parts.scheme == "":
        while not Path(url).exists():  # noqa: ASYNC110 (nobody tells us that a path appeared)
            await asyncio.sleep(_LOOK_EVERY)
        return
    await asyncio.sleep(_TRY_AGAIN)


def node(url: str) -> object:
    """What stands at a path now; another value after it was plugged in anew or got other rights.

    None where there is nothing, or no path.
    """
    if not url.startswith("/"):
        return None
    try:
        found = Path(url).stat()
    except OSError:
        return None
    return found.st_dev, found.st_ino, found.st_rdev, found.st_ctime_ns


def _split(url: str) -> SplitResult:
    """Raises `Refused` for anything `open_port` does not know, without opening it."""
    if url.startswith("/"):
        return SplitResult("", "", url, "", "")
    try:
        parts = urlsplit(url)
        if parts.scheme in ("socket", "rfc2217"):
            _address(parts)
    except ValueError:
        parts = SplitResult("", "", url, "", "")
    if parts.scheme not in ("socket", "rfc2217", "sim"):
        raise Refused("device.port_invalid", path=url)
    return parts


def check_port(url: str) -> None:
    """Raises ValueError, with a sentence, for what cannot be a port; opens nothing."""
    if url.startswith("/") or _USB_ID.fullmatch(url):
        return
    if not url.startswith(("socket:", "rfc2217:", "sim:")):
        raise ValueError("is no path such as /dev/serial/by-id/… and no socket://host:port")
    try:
        parts = urlsplit(url)
        if parts.scheme in ("socket", "rfc2217"):
            _address(parts)
    except ValueError:
        raise ValueError("must name a machine and its port, as in socket://host:9100") from None


def _address(parts: SplitResult) -> tuple[str, int]:
    if not parts.hostname or not parts.port:
        raise ValueError("no host or no port")
    return parts.hostname, parts.port
