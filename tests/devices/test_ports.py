"""Ports on real ptys, sockets and an RFC 2217 server."""

import asyncio
import errno
import fcntl
import os
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import serial
import serial.rfc2217
from support.echo import Echo, until

from devices import Absent, Lost, Refused, local_port
from devices.fd_port import FdPort
from devices.local_port import why_not_open
from devices.ports import Line, Port, open_port, plugged
from devices.simulate import PtyHost, TcpHost


async def read_exactly(port: Port, count: int) -> bytes:
    data = b""
    while len(data) < count:
        data += await port.read(count - len(data))
    return data


async def met(port: Port) -> None:
    """The device knows of us: a TCP host hears of a connection later than who connects."""
    await port.write(b"x")
    assert await port.read() == b"X"


def fds() -> set[str]:
    return {f"{fd.name} {target(fd)}" for fd in Path("/proc/self/fd").iterdir()}


def target(fd: Path) -> str:
    with suppress(OSError):
        return str(fd.readlink())
    return ""


@pytest.fixture(params=["pty", "tcp"])
async def echo(request: pytest.FixtureRequest, tmp_path: Path):
    """(url, simulator, unplug, plug) of a device on each kind of real port."""
    simulator = Echo()
    if request.param == "pty":
        async with PtyHost(tmp_path / "by-id" / "echo", simulator) as pty:

            async def unplug() -> None:
                pty.unplug()

            async def plug() -> None:
                pty.plug()

            yield str(pty.path), simulator, unplug, plug
    else:
        async with TcpHost(simulator) as tcp:
            yield f"socket://127.0.0.1:{tcp.port}", simulator, tcp.unplug, tcp.plug


async def test_bytes_go_both_ways(echo):
    url, simulator, _, _ = echo
    async with open_port(url) as port:
        await port.write(b"weigh\r")
        assert await read_exactly(port, 6) == b"WEIGH\r"
        await until(lambda: simulator.heard == b"weigh\r")
        simulator.say(b"unasked")
        assert await read_exactly(port, 7) == b"UNASKED".lower()


async def test_read_gives_at_most_what_was_asked_for_and_loses_nothing(echo):
    url, _, _, _ = echo
    async with open_port(url) as port:
        await port.write(b"abcdef")
        got = []
        while sum(map(len, got)) < 6:
            got.append(await port.read(2))
        assert b"".join(got) == b"ABCDEF"
        assert all(1 <= len(part) <= 2 for part in got)


async def test_a_read_waits_and_can_be_cancelled_without_losing_bytes(echo):
    url, simulator, _, _ = echo
    async with open_port(url) as port:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await port.read()
        simulator.say(b"later")
        assert await read_exactly(port, 5) == b"later"


async def test_unplugging_is_lost_at_once_and_stays_so(echo):
    url, _, unplug, _ = echo
    async with open_port(url) as port:
        reading = asyncio.create_task(port.read())
        await asyncio.sleep(0.05)
        await unplug()
        with pytest.raises(Lost, match=r"device\.unplugged"):
            await asyncio.wait_for(reading, 10)
        with pytest.raises(Lost, match=r"device\.unplugged"):
            await port.read()
        with pytest.raises(Lost, match=r"device\.unplugged"):
            await port.write(b"x")


async def test_what_came_before_the_unplugging_is_still_read(echo):
    url, simulator, unplug, _ = echo
    async with open_port(url) as port:
        await met(port)
        simulator.say(b"last words")
        assert await port.read(1) == b"l"
        await unplug()
        assert await read_exactly(port, 9) == b"ast words"
        with pytest.raises(Lost):
            await port.read()


async def test_unplugged_is_absent_and_plugged_sees_it_come_back(echo):
    url, _, unplug, plug = echo
    await unplug()
    with pytest.raises(Absent, match=r"device\.unplugged"):
        async with open_port(url):
            pass
    waiting = asyncio.create_task(plugged(url))
    await asyncio.sleep(0.3)
    assert not waiting.done()
    await plug()
    await asyncio.wait_for(waiting, 10)
    async with open_port(url) as port:
        await port.write(b"again")
        assert await read_exactly(port, 5) == b"AGAIN"


async def test_a_path_is_seen_within_a_quarter_of_a_second(tmp_path):
    seen = []
    for turn in range(5):
        path = tmp_path / f"ttyUSB{turn}"
        waiting = asyncio.create_task(plugged(str(path)))
        await asyncio.sleep(0.03 * turn)
        path.touch()
        start = time.monotonic()
        await waiting
        seen.append(time.monotonic() - start)
    # The best of five: a busy machine may delay any single one.
    assert min(seen) < 0.25


async def test_waiting_for_a_device_costs_next_to_no_cpu(tmp_path):
    waiting = asyncio.create_task(plugged(str(tmp_path / "never")))
    start = time.process_time()
    await asyncio.sleep(1.0)
    waiting.cancel()
    assert time.process_time() - start < 0.05


async def test_discard_forgets_what_came(echo):
    url, simulator, _, _ = echo
    async with open_port(url) as port:
        await met(port)
        simulator.say(b"a late answer")
        assert await port.read(1) == b"a"
        port.discard()
        await port.write(b"new")
        assert await read_exactly(port, 3) == b"NEW"


async def test_discarding_what_is_just_being_announced_is_no_unplugging(echo):
    """The loop knows already that there are bytes; the discard runs before they are read."""
    url, simulator, _, _ = echo
    async with open_port(url) as port:
        await met(port)
        for _ in range(5):
            simulator.say(b"late")
            time.sleep(0.02)
            await asyncio.sleep(0)
            port.discard()
            await asyncio.sleep(0.01)
            port.discard()
            await met(port)


async def test_a_flood_is_held_back_bounded_and_not_lost(tmp_path):
    """On TCP nothing may be lost; while nobody reads, the sender is held back."""
    sent = 0

    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        block = bytes(range(256)) * 64
        try:
            for _ in range(1024):
                writer.write(block)
                await writer.drain()
                sent += len(block)
        finally:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    number = server.sockets[0].getsockname()[1]
    async with server, open_port(f"socket://127.0.0.1:{number}") as port:
        await asyncio.sleep(0.3)
        held = sent
        await asyncio.sleep(0.2)
        assert sent == held  # 16 MiB want to come; the kernel's buffers are full
        assert held < 16 << 20
        received = bytearray()
        while len(received) < 16 << 20:
            chunk = await port.read(100_000)
            assert len(chunk) <= 65536 + 4096
            received += chunk
        assert received == bytes(range(256)) * 64 * 1024


async def test_reading_a_flood_lets_the_other_tasks_run(tmp_path):
    simulator = Echo()
    async with PtyHost(tmp_path / "echo", simulator) as host:
        turns = reads = 0

        async def sibling() -> None:
            nonlocal turns
            while True:
                turns += 1
                await asyncio.sleep(0)

        async with open_port(str(host.path)) as port:
            other = asyncio.create_task(sibling())
            while reads < 200:
                simulator.say(b"x" * 1000)
                await port.read(100)
                reads += 1
            other.cancel()
        assert turns >= reads / 2


async def test_a_device_that_takes_nothing_is_silent(tmp_path, monkeypatch):
    monkeypatch.setattr("devices.fd_port.WRITE_TIMEOUT", 0.2)
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        async with open_port(f"socket://127.0.0.1:{deaf.getsockname()[1]}") as port:
            with pytest.raises(Lost, match=r"device\.silent"):
                await port.write(bytes(32 << 20))


async def test_two_writers_never_mix(echo):
    url, simulator, _, _ = echo
    async with open_port(url) as port:

        async def drink() -> None:
            while True:
                await port.read()

        drinking = asyncio.create_task(drink())
        await asyncio.gather(port.write(b"a" * 20_000), port.write(b"b" * 20_000))
        await until(lambda: len(simulator.heard) == 40_000)
        drinking.cancel()
        assert simulator.heard in (b"a" * 20_000 + b"b" * 20_000, b"b" * 20_000 + b"a" * 20_000)


async def test_a_line_at_7e1_opens_again_and_again_on_a_pty(tmp_path):
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        for _ in range(3):
            async with open_port(str(host.path), Line(9600, 7, "E")) as port:
                await port.write(b"w")
                assert await port.read() == b"W"


async def test_einval_from_anything_but_a_pty_is_an_invalid_setting(tmp_path, monkeypatch):
    monkeypatch.setattr(local_port, "_is_pty", lambda _fd: False)
    async with PtyHost(tmp_path / "scale", Echo()) as host:
        async with open_port(str(host.path), Line(9600, 7, "E")):
            pass
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(str(host.path), Line(9600, 7, "E")):
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


@pytest.mark.parametrize(
    "url",
    ["ttyUSB0", "COM3", "", "http://x:1", "socket://host", "socket://host:port", "socket://:9100"],
)
async def test_an_url_that_leads_nowhere_is_refused(url):
    with pytest.raises(Refused, match=r"device\.port_invalid"):
        async with open_port(url):
            pass
    with pytest.raises(Refused, match=r"device\.port_invalid"):
        await plugged(url)


async def test_a_file_is_not_a_device(tmp_path):
    (tmp_path / "file").touch()
    for path in (tmp_path / "file", tmp_path):
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(str(path)):
                pass


async def test_a_name_that_no_server_knows_is_absent():
    with pytest.raises(Absent):
        async with open_port("socket://printer.invalid:9100"):
            pass


async def test_without_rights_a_person_is_asked(tmp_path):
    if os.geteuid() != 0:
        pytest.fail("run the tests as root, or drop this one: rights cannot be taken away")
    master, slave = os.openpty()
    os.seteuid(65534)
    try:
        with pytest.raises(Refused, match=r"device\.permission path=/dev/pts/"):
            async with open_port(os.ttyname(slave)):
                pass
    finally:
        os.seteuid(0)
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


async def test_nothing_is_left_open(echo):
    url, _, _, _ = echo
    before, tasks, threads = fds(), asyncio.all_tasks(), threading.active_count()
    for _ in range(3):
        async with open_port(url) as port:
            await port.write(b"x")
            await port.read()
    await until(lambda: len(fds()) <= len(before) + (2 if url.startswith("socket") else 0))
    await until(lambda: threading.active_count() == threads)
    assert asyncio.all_tasks() == tasks


class Rfc2217Server:
    """A serial line on the network: pyserial's own server side, on a line that echoes."""

    def __init__(self) -> None:
        self.line = serial.serial_for_url("loop://", timeout=0.05)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"rfc2217://127.0.0.1:{self._listener.getsockname()[1]}"
        self._threads: list[threading.Thread] = []
        self._connection: socket.socket | None = None

    def __enter__(self) -> "Rfc2217Server":
        self._start(self._serve)
        return self

    def __exit__(self, *_: object) -> None:
        self.die()
        for thread in self._threads:
            thread.join(5)

    def die(self) -> None:
        for sock in (self._listener, self._connection):
            if sock:
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
                sock.close()
        self.line.close()

    def write(self, data: bytes) -> None:
        """What the PortManager itself says to the client."""
        assert self._connection
        self._connection.sendall(data)

    def _start(self, body: Callable[[], None]) -> None:
        def quietly() -> None:
            with suppress(OSError, serial.SerialException):
                body()

        self._threads.append(threading.Thread(target=quietly, daemon=True))
        self._threads[-1].start()

    def _serve(self) -> None:
        self._connection, _ = self._listener.accept()
        manager = serial.rfc2217.PortManager(self.line, self)
        self._start(lambda: self._up(manager))
        while data := self._connection.recv(1024):
            self.line.write(b"".join(manager.filter(data)))

    def _up(self, manager: serial.rfc2217.PortManager) -> None:
        while True:
            if data := self.line.read(self.line.in_waiting or 1):
                self.write(b"".join(manager.escape(data)))


old_pyserial = pytest.mark.filterwarnings("ignore:set(Daemon|Name)")


@old_pyserial
async def test_a_serial_line_on_the_network():
    threads, before = threading.active_count(), fds()
    with Rfc2217Server() as server:
        async with open_port(server.url, Line(2400, 7, "E", dtr=True, rts=False)) as port:
            assert (server.line.baudrate, server.line.bytesize) == (2400, 7)
            assert server.line.parity == "E"
            everything = bytes(range(256))  # also telnet's own escape, 0xFF
            await port.write(everything)
            assert await read_exactly(port, 256) == everything
        await until(lambda: not any("RFC 2217" in t.name for t in threading.enumerate()))
    with pytest.raises(Absent):
        async with open_port(server.url):
            pass
    await until(lambda: threading.active_count() == threads)
    await until(lambda: fds() == before)


@old_pyserial
async def test_a_network_line_whose_server_dies_is_lost():
    with Rfc2217Server() as server:
        async with open_port(server.url) as port:
            await port.write(b"x")
            assert await port.read() == b"x"
            reading = asyncio.create_task(port.read())
            await asyncio.sleep(0.05)
            server.die()
            with pytest.raises(Lost, match=r"device\.unplugged"):
                await asyncio.wait_for(reading, 10)


@old_pyserial
async def test_a_port_that_speaks_no_rfc2217_is_refused():
    async with TcpHost(Echo()) as host:
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            async with open_port(f"rfc2217://127.0.0.1:{host.port}"):
                pass


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
