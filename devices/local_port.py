"""Opens what the kernel shows as a path: serial lines, USB printers, hidraw.

The one rule: a port is ours alone or not at all. Two programs on one line would each read half of
every answer.
"""

import errno
import fcntl
import os
import stat
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import serial

from devices.errors import Absent, DeviceError, Lost, Refused
from devices.fd_port import FdPort
from devices.thread import in_thread

_PTY_MAJORS = range(136, 144)

_SETTLING = 30.0
"""Seconds after a node appeared during which its rights (udev) and a program that probes every new
serial line (ModemManager) are expected to change by themselves."""

_ABSENT = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ENODEV,
    errno.ENXIO,
    errno.ECONNREFUSED,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ENETUNREACH,
    errno.ENETDOWN,
    errno.ETIMEDOUT,
}


Flow = Literal["none", "rtscts", "xonxoff"]
"""How a device makes the sender wait: not at all, by a wire, or by a byte."""


@dataclass(frozen=True, slots=True)
class Line:
    """How a serial line is set. `dtr`, `rts`: None leaves them as the kernel does (raised)."""

    baud: int = 9600
    bits: int = 8
    parity: Literal["N", "E", "O"] = "N"
    stop: float = 1
    flow: Flow = "none"
    dtr: bool | None = None
    rts: bool | None = None

    @property
    def settings(self) -> dict[str, Any]:
        """As pyserial calls them."""
        return {
            "baudrate": self.baud,
            "bytesize": self.bits,
            "parity": self.parity,
            "stopbits": self.stop,
            "rtscts": self.flow == "rtscts",
            "xonxoff": self.flow == "xonxoff",
        }


def why_not_open(error: OSError, path: str, *, age: float | None = None) -> DeviceError:
    """The word for an `OSError` of an open or a connect. `age`: seconds since the node appeared."""
    if error.errno in _ABSENT:
        return Absent("device.unplugged", path=path)
    if error.errno == errno.EPERM:
        # The node's own rights would say EACCES: it is the unit's DeviceAllow or IPAddressDeny. No
        # group helps, and it may be allowed later, so it is tried again.
        return Lost("device.sandboxed", path=path)
    key = {
        errno.EACCES: "device.permission",
        errno.EBUSY: "device.busy",
        errno.EAGAIN: "device.busy",
        errno.EINVAL: "device.port_invalid",
        errno.ENOTTY: "device.port_invalid",
        errno.EISDIR: "device.port_invalid",
    }.get(error.errno or 0)
    if key is None:
        return Lost("device.unplugged", path=path)
    if key != "device.port_invalid" and age is not None and 0 <= age < _SETTLING:
        return Lost(key, path=path)
    return Refused(key, path=path)


@contextmanager
def opened(fd: int, path: str) -> Iterator[FdPort]:
    """The port on an fd from `open_path`, closed when the block ends."""
    try:
        port = FdPort(fd, ends=os.isatty(fd), gone=lambda: not Path(path).exists())
    except PermissionError as error:  # epoll's word for what cannot be waited on: /dev/null
        os.close(fd)
        raise Refused("device.port_invalid", path=path) from error
    try:
        yield port
    finally:
        if os.isatty(fd) and not _is_pty(fd):
            with suppress(OSError):
                fcntl.ioctl(fd, termios.TIOCNXCL)
        port.close()


async def open_path(path: str, line: Line, *, timeout: float) -> int:
    """An fd that is configured, locked and does not block. Raises `DeviceError`."""
    try:
        return await in_thread(
            lambda: _open(path, line), timeout=timeout, undo=os.close, name=f"open {path}"
        )
    except TimeoutError:
        raise Lost("device.silent", path=path) from None


def _open(path: str, line: Line) -> int:
    try:
        fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        raise why_not_open(error, path, age=age_of(path)) from error
    try:
        _only_a_device(fd, path)
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.isatty(fd):
            _configure(fd, line, path)
            if not _is_pty(fd):
                # Keeps out programs that know nothing of flock. Not on a pty, where the mark
                # outlives a killed process and would lock its successor out.
                fcntl.ioctl(fd, termios.TIOCEXCL)
            termios.tcflush(fd, termios.TCIFLUSH)
    except OSError as error:
        os.close(fd)
        raise why_not_open(error, path, age=age_of(path)) from error
    except BaseException:
        os.close(fd)
        raise
    return fd


def _only_a_device(fd: int, path: str) -> None:
    if not stat.S_ISCHR(os.fstat(fd).st_mode):
        raise Refused("device.port_invalid", path=path)


def _configure(fd: int, line: Line, path: str) -> None:
    try:
        port = _Configurator(
            # Sets VMIN to 1. With 0 a read of nothing would look like a terminal hung up.
            inter_byte_timeout=0,
            **line.settings,
        )
        port.apply(fd, line)
        if line.parity != "N":
            _drop_bad_characters(fd)
    except (ValueError, termios.error) as error:
        # ValueError: a speed, size or parity that pyserial or the driver does not know.
        raise Refused("device.port_invalid", path=path) from error


class _Configurator(serial.Serial):
    """pyserial's knowledge of terminals, applied to an fd that we opened and keep."""

    def apply(self, fd: int, line: Line) -> None:
        self.fd = fd
        try:
            self._reconfigure_port(force_update=True)
            for wanted, bit in ((line.dtr, termios.TIOCM_DTR), (line.rts, termios.TIOCM_RTS)):
                if wanted is not None:
                    _set_modem_line(fd, bit, on=wanted)
        finally:
            self.fd = None

    def _reconfigure_port(self, force_update: bool = False) -> None:
        try:
            super()._reconfigure_port(force_update)  # type: ignore[misc]  # pyserial has it, its stubs do not
        except termios.error as error:
            # Ptys have no byte size and no parity: asking for 7E1 a second time changes nothing
            # that a pty knows, which glibc reports as EINVAL although it is harmless.
            if error.args[0] != errno.EINVAL or self.fd is None or not _is_pty(self.fd):
                raise


def _drop_bad_characters(fd: int) -> None:
    """Have the kernel check parity, which pyserial leaves off (termios(3), INPCK and IGNPAR).

    A digit that the line has changed is then missing, and a frame without it is no weight; else it
    would be another digit.
    """
    attributes = termios.tcgetattr(fd)
    attributes[0] = attributes[0] & ~termios.PARMRK | termios.INPCK | termios.IGNPAR
    termios.tcsetattr(fd, termios.TCSANOW, attributes)


def _set_modem_line(fd: int, bit: int, *, on: bool) -> None:
    try:
        fcntl.ioctl(fd, termios.TIOCMBIS if on else termios.TIOCMBIC, bit.to_bytes(4, "little"))
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTTY):  # a pty has none
            raise


def _is_pty(fd: int) -> bool:
    return os.major(os.fstat(fd).st_rdev) in _PTY_MAJORS


def age_of(path: str) -> float | None:
    """Seconds since the node was made or its rights changed; None where nobody changes them."""
    try:
        node = Path(path).stat()
    except OSError:
        return None
    return None if os.major(node.st_rdev) in _PTY_MAJORS else time.time() - node.st_ctime
