"""A port on a file descriptor (serial line, /dev/usb/lp0, /dev/hidraw0, TCP), on the event loop.

The one rule: a device that floods costs its siblings nothing. At most 4 KiB are taken per turn of
the loop, and nothing more once 64 KiB wait unread.
"""

import asyncio
import errno
import os
import termios
from collections.abc import Callable
from contextlib import suppress

from devices.errors import DeviceError, Lost

CHUNK = 4096
FULL = 65536

WRITE_TIMEOUT = 5.0
"""Seconds after which a device that takes nothing of a write counts as silent."""

_EMPTY_READ_PAUSE = 0.1


class Inbox:
    """Bytes that came and were not read yet, and the failure that ended them.

    `resume` is called when there is room again after `add` said that there was none.
    """

    def __init__(self, resume: Callable[[], None]) -> None:
        self._resume = resume
        self._bytes = bytearray()
        self._failure: DeviceError | None = None
        self._news = asyncio.Event()
        self._full = False

    def add(self, data: bytes) -> bool:
        """Take bytes; False once no more should come."""
        self._bytes += data
        self._news.set()
        self._full = len(self._bytes) >= FULL
        return not self._full

    def fail(self, failure: DeviceError) -> None:
        """What came before is still read; then every call raises `failure`."""
        self._failure = self._failure or failure
        self._news.set()

    @property
    def failed(self) -> bool:
        return self._failure is not None

    def check(self) -> None:
        if self._failure:
            raise self._failure

    def clear(self) -> None:
        self._bytes.clear()
        self._made_room()

    async def take(self, limit: int) -> bytes:
        if self._bytes:
            # A reader that always finds something must still let the others run.
            await asyncio.sleep(0)
        while not self._bytes:
            self.check()
            self._news.clear()
            await self._news.wait()
        data = bytes(self._bytes[:limit])
        del self._bytes[:limit]
        self._made_room()
        return data

    def now(self) -> bytes:
        """All that came, without waiting."""
        if not self._bytes:
            self.check()
        data = bytes(self._bytes)
        self.clear()
        return data

    def _made_room(self) -> None:
        if self._full and len(self._bytes) < FULL // 2:
            self._full = False
            self._resume()


class FdPort:
    """Owns `fd`, which must not block. `close` gives it back; nothing works after it.

    `ends`: a read of nothing means that the other side is gone (terminals, sockets). USB printers
    send empty packets, so there it means nothing; only `gone` (the path has vanished) does.
    """

    def __init__(
        self,
        fd: int,
        *,
        ends: bool,
        gone: Callable[[], bool] = lambda: False,
    ) -> None:
        self._fd = fd
        self._ends = ends
        self._gone = gone
        self._tty = os.isatty(fd)
        self._loop = asyncio.get_running_loop()
        self._inbox = Inbox(self._listen)
        self._writing = asyncio.Lock()
        self._pause: asyncio.TimerHandle | None = None
        self._closed = False
        self._deaf = False
        self._listen()

    async def read(self, limit: int = CHUNK) -> bytes:
        if self._deaf:
            self._deaf = False
            self._listen()
        return await self._inbox.take(limit)

    async def later(self, seconds: float) -> bytes:
        # What comes meanwhile waits in the kernel, byte after byte, and wakes nobody.
        self._loop.remove_reader(self._fd)
        self._deaf = True
        await asyncio.sleep(seconds)
        if not self._inbox.failed:
            self._readable()
        return self._inbox.now()

    async def repeat(
        self, request: bytes, answer: bytes, every: float, again: Callable[[], bool]
    ) -> bytes:
        # Callbacks and no task: many times a second, what surrounds a task costs the most.
        ended: asyncio.Future[bytes] = self._loop.create_future()
        timer: asyncio.TimerHandle

        def look() -> None:
            nonlocal timer
            if ended.done():  # cancelled in this very turn of the loop
                return
            try:
                self._inbox.check()
                heard = self._received() or self._inbox.now()
                if heard == answer and again() and self._wrote(request):
                    timer = self._loop.call_later(every, look)
                else:
                    ended.set_result(heard)
            except Exception as error:  # noqa: BLE001 (raised below)
                ended.set_exception(error)

        self.discard()
        self._loop.remove_reader(self._fd)
        self._deaf = True
        await self.write(request)
        timer = self._loop.call_later(every, look)
        try:
            return await ended
        finally:
            timer.cancel()

    async def write(self, data: bytes) -> None:
        async with self._writing:
            rest = memoryview(data)
            while rest:
                self._inbox.check()
                try:
                    rest = rest[os.write(self._fd, rest[:CHUNK]) :]
                except (BlockingIOError, InterruptedError):
                    await self._room()
                except OSError as error:
                    self._fail(error)

    def discard(self) -> None:
        """Forget what has come, also what only the kernel holds yet."""
        self._inbox.clear()
        if self._tty:
            with suppress(termios.error):
                termios.tcflush(self._fd, termios.TCIFLUSH)
            return
        with suppress(OSError):
            for _ in range(FULL // CHUNK):
                if not os.read(self._fd, CHUNK):
                    return

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._inbox.fail(Lost("device.unplugged"))
        if self._pause:
            self._pause.cancel()
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        if self._tty:
            # Closing a terminal waits up to 30 s for bytes that nobody takes any more.
            with suppress(termios.error):
                termios.tcflush(self._fd, termios.TCOFLUSH)
        os.close(self._fd)

    def _listen(self) -> None:
        self._pause = None
        if self._inbox.failed or self._deaf:
            return
        self._loop.add_reader(self._fd, self._readable)

    def _readable(self) -> None:
        data = self._received()
        if data and not self._inbox.add(data):
            self._loop.remove_reader(self._fd)

    def _received(self) -> bytes:
        """What the kernel holds; b"" when that is nothing, or when it ended: the inbox knows."""
        try:
            data = os.read(self._fd, CHUNK)
        except (BlockingIOError, InterruptedError):
            return b""
        except OSError as error:
            self._fail(error)
            return b""
        if not data:
            if self._ends or self._gone():
                self._fail(OSError(errno.ENODEV, "end"))
            else:
                self._loop.remove_reader(self._fd)
                self._pause = self._loop.call_later(_EMPTY_READ_PAUSE, self._listen)
        return data

    def _wrote(self, request: bytes) -> bool:
        """Whether there was room at once for a request so short that it is never cut."""
        try:
            os.write(self._fd, request)
        except (BlockingIOError, InterruptedError):
            return False
        except OSError as error:
            self._fail(error)
            self._inbox.check()
        return True

    def _fail(self, error: OSError) -> None:
        self._loop.remove_reader(self._fd)
        late = error.errno == errno.ETIMEDOUT
        self._inbox.fail(Lost("device.silent" if late else "device.unplugged"))

    async def _room(self) -> None:
        room = asyncio.Event()
        self._loop.add_writer(self._fd, room.set)
        try:
            async with asyncio.timeout(WRITE_TIMEOUT):
                await room.wait()
        except TimeoutError:
            raise Lost("device.silent") from None
        finally:
            if not self._closed:
                self._loop.remove_writer(self._fd)
