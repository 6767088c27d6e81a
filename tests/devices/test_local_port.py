"""Serial lines and other nodes: settings, exclusive use, rights, empty reads."""

import asyncio
import errno
import fcntl
import os
import socket
import struct
import termios
import threading
import time
from pathlib import Path

import pytest
import serial
import serial.rfc2217
from support.echo import Echo, fds, read_exactly, until

from devices import Absent, Lost, Refused, local_port
from devices.fd_port import FdPort
from devices.local_port import why_not_open
from devices.ports import Line, open_port
from devices.simulate import PtyHost


async def test_a_line_at_7e1_opens_again_and_again_on_a_pty(tmp_path):
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        for _ in range(3):
            async with open_port(str(host.path), Line(9600, 7, "E")) as port:
                await port.write(b"w")
                assert await port.read() == b"W"


async def test_einval_from_anything_but_a_pty_is_an_invalid_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(local_port, "_is_pty", lambda _fd: False)
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        async with open_port(str(host.path), Line(9600, 7, "N")):
            pass
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(str(host.path), Line(9600, 7, "N")):
                pass


@pytest.mark.parametrize("line", [Line(bits=9), Line(stop=3), Line(baud=-1)])
async def test_settings_that_no_line_has_are_refused(tmp_path, line):
    before = fds()
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(str(host.path), line):
                pass
    assert fds() == before


async def test_a_second_program_is_refused(tmp_path):
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        async with open_port(str(host.path)):
            with pytest.raises(Refused, match=r"device\.busy"):
                async with open_port(str(host.path)):
                    pass
            with pytest.raises(serial.SerialException):
                serial.Serial(str(host.path), exclusive=True)
        async with open_port(str(host.path)):
            pass


async def test_a_real_line_is_marked_exclusive_while_it_is_open(tmp_path, monkeypatch):
    """TIOCEXCL keeps programs out that know nothing of flock (root excepted: so read the mark)."""
    tiocgexcl = 0x80045440

    def exclusive(fd: int) -> int:
        return struct.unpack("i", fcntl.ioctl(fd, tiocgexcl, bytes(4)))[0]

    monkeypatch.setattr(local_port, "_is_pty", lambda _fd: False)
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        watching = os.open(host.path, os.O_RDWR | os.O_NOCTTY)
        try:
            async with open_port(str(host.path)):
                assert exclusive(watching) == 1
            assert exclusive(watching) == 0
        finally:
            os.close(watching)


async def test_a_file_is_not_a_device(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path):
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(str(path)):
                pass


async def test_without_rights_a_person_is_asked(tmp_path):
    master, slave = os.openpty()
    Path(os.ttyname(slave)).chmod(0)
    user = os.geteuid()
    if user == 0:  # to root nothing is forbidden
        os.seteuid(65534)
    try:
        with pytest.raises(Refused, match=r"device\.permission path=/dev/pts/"):
            async with open_port(os.ttyname(slave)):
                pass
    finally:
        os.seteuid(user)
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize(
    ("number", "age", "kind", "key"),
    [
        (errno.EACCES, None, Refused, "device.permission"),
        (errno.EACCES, 3600.0, Refused, "device.permission"),
        (errno.EACCES, 0.2, Lost, "device.permission"),  # udev has not given the rights yet
        (errno.EBUSY, 2.0, Lost, "device.busy"),  # ModemManager probes every new line
        (errno.EBUSY, -5.0, Refused, "device.busy"),  # the clock was set back
        (errno.EINVAL, 0.2, Refused, "device.port_invalid"),
        (errno.ENXIO, None, Absent, "device.unplugged"),
        (errno.EIO, None, Lost, "device.unplugged"),
    ],
)
def test_the_word_for_each_failure(number, age, kind, key):
    failure = why_not_open(OSError(number, "x"), "/dev/x", age=age)
    assert type(failure) is kind
    assert failure.key == key
    assert failure.params == {"path": "/dev/x"}


async def test_an_open_that_hangs_gives_up_and_is_closed_when_it_ends(tmp_path, monkeypatch):
    release = threading.Event()
    real = local_port._configure

    def hang(fd: int, line: Line, path: str) -> None:
        release.wait(20)
        real(fd, line, path)

    async with PtyHost(tmp_path / "scale", Echo()) as host:
        before = fds()
        monkeypatch.setattr(local_port, "_configure", hang)
        with pytest.raises(Lost, match=r"device\.silent"):
            async with open_port(str(host.path), timeout=0.1):
                pass
        release.set()
        await until(lambda: fds() == before)


async def test_what_cannot_be_waited_on_is_no_device():
    before = fds()
    for path in ("/dev/null", "/dev/zero"):
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(path):
                pass
    assert fds() == before


async def test_empty_reads_of_a_usb_printer_are_no_end_and_do_not_spin():
    """usblp hands on empty packets as empty reads; a socket shut down reads like that for ever."""
    ours, theirs = socket.socketpair()
    vanished = False
    ours.setblocking(False)
    port = FdPort(ours.detach(), ends=False, gone=lambda: vanished)
    try:
        theirs.shutdown(socket.SHUT_WR)
        start = time.process_time()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.5):
                await port.read()
        assert time.process_time() - start < 0.1
        await port.write(b"label")
        assert theirs.recv(10) == b"label"
        vanished = True
        with pytest.raises(Lost, match=r"device\.unplugged"):
            await asyncio.wait_for(port.read(), 10)
    finally:
        port.close()
        theirs.close()


def test_the_kernel_has_the_settings_we_asked_for(tmp_path):
    master, slave = os.openpty()
    try:
        fd = local_port._open(os.ttyname(slave), Line(19200))
        speed = termios.tcgetattr(fd)[4]
        os.close(fd)
        assert speed == termios.B19200
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("flow", ["none", "rtscts", "xonxoff"])
def test_the_kernel_waits_as_the_device_asks(flow):
    master, slave = os.openpty()
    try:
        fd = local_port._open(os.ttyname(slave), Line(flow=flow))
        of_bytes, _, of_wires, *_ = termios.tcgetattr(fd)
        os.close(fd)
        assert bool(of_bytes & termios.IXON) == (flow == "xonxoff")
        assert bool(of_wires & termios.CRTSCTS) == (flow == "rtscts")
    finally:
        os.close(master)
        os.close(slave)


async def test_a_device_says_xoff_and_xon():
    master, slave = os.openpty()
    os.set_blocking(master, False)
    try:
        async with open_port(os.ttyname(slave), Line(flow="xonxoff")) as port:
            os.write(master, b"\x13wait")
            assert await read_exactly(port, 4) == b"wait"  # the kernel has seen what came before
            writing = asyncio.create_task(port.write(b"label"))
            await asyncio.sleep(0.2)
            with pytest.raises(BlockingIOError):
                os.read(master, 100)
            os.write(master, b"\x11ok")
            await writing
            assert os.read(master, 100) == b"label"
            assert await port.read() == b"ok"
    finally:
        os.close(master)
        os.close(slave)


@pytest.mark.parametrize("parity", ["E", "O"])
def test_a_character_with_wrong_parity_is_dropped_not_taken_for_another(parity):
    """The kernel is told to: a pty has no parity, the virtual machine's lines have (tests/vm)."""
    master, slave = os.openpty()
    try:
        fd = local_port._open(os.ttyname(slave), Line(9600, bits=7, parity=parity))
        flags = termios.tcgetattr(fd)[0]
        os.close(fd)
        assert flags & termios.INPCK
        assert flags & termios.IGNPAR
        assert not flags & termios.PARMRK
    finally:
        os.close(master)
        os.close(slave)
