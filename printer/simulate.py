"""An ESC/POS printer with paper, a cover and a cutter, which keeps what it printed as pictures.

The one rule: it shares no code with the driver, so that an error in one is not hidden by the same
error in the other. Facts from Epson's command reference and TM-L90 and TM-U220 manuals.

Bytes are taken apart as they come; real-time commands (DLE EOT) are answered at once, the others
wait until there is paper and the cover is shut. Inside a picture's bytes DLE EOT is data, as on
most printers; set `hasty` for those which answer it there as well.
"""

import math
import time
from collections import deque
from collections.abc import Callable, Generator
from io import BytesIO
from pathlib import Path
from typing import Generic, NamedTuple, TypeVar

_DLE, _ESC, _GS = 0x10, 0x1B, 0x1D
_LINE = 30
"""Dots that one line of text feeds."""
_TO_THE_TEAR_BAR = 5.0
"""Millimetres fed after a picture with which a label counts as torn off."""
_MEMORY = 1 << 20
"""Bytes that wait at most; a real printer says busy, this one loses what comes on top."""

# Bytes that follow each command of two bytes; any other takes none.
_ESC_ARGUMENTS = dict.fromkeys(b" !%-3=EGJMRSTVadrt{", 1) | dict.fromkeys(b"$\\c", 2)
_ESC_ARGUMENTS |= {ord("p"): 3, ord("W"): 8}
_GS_ARGUMENTS = dict.fromkeys(b"!BHIabfhrw", 1) | dict.fromkeys(b"$LPW\\", 2)

T = TypeVar("T")


class _Command(NamedTuple):
    code: bytes
    """``ESC J``, ``GS v`` …, or one byte outside any command."""
    arguments: bytes = b""
    data: bytes = b""
    """A picture's bytes."""


class _Part(Generic[T]):
    """Something a person moves. The printer notices."""

    def __init__(self, initial: T) -> None:
        self._initial = initial

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, printer: "EscposSimulator", owner: type) -> T:
        moved: T = printer.__dict__.get(self._name, self._initial)
        return moved

    def __set__(self, printer: "EscposSimulator", value: T) -> None:
        printer.__dict__[self._name] = value
        printer.look()


class EscposSimulator:
    """Move the world through the attributes; find the labels in `printed` and in `folder`."""

    paper_mm = _Part(math.inf)
    """Paper left on the roll; it runs out in the middle of a label if need be."""
    near_end = _Part(False)
    cover_open = _Part(False)
    cutter_jammed = _Part(False)
    hot = _Part(False)
    broken = _Part(False)

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.silent = False
        self.hasty = False
        """Answers DLE EOT even where those bytes are part of a picture."""
        self.knows_gs_r = True
        self.dpi = 203
        self.speed = 0.0
        """Millimetres a second, 0 for at once. It moves on when bytes come or `look` is called."""
        self.folder = ""
        """Where the newest `keep` labels lie as PNG files; "" for nowhere."""
        self.keep = 50
        self.printed: list[bytes] = []
        """The newest `keep` labels as PNG, black on white."""
        self.count = 0
        """Labels since it was switched on."""
        self.garbled = 0
        """Bytes that came out as text: this driver never sends any."""
        self._clock = clock
        self._send: Callable[[bytes], None] = lambda _: None
        self._said = bytearray()
        self._parser = self._parse()
        next(self._parser)
        self._waiting: deque[_Command] = deque()
        self._busy_until = 0.0
        self._done_rows = 0
        self._label: list[bytes] = []
        self._fed = 0.0
        self._asb = False
        self._told = b""

    @property
    def printing(self) -> bool:
        """Something waits for the head, or for paper."""
        return bool(self._waiting)

    def attach(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def feed(self, data: bytes) -> bytes:
        if not self._waiting:
            self._busy_until = max(self._busy_until, self._clock())
        for byte in data:
            command = self._parser.send(byte)
            if command and self._room(command):
                self._waiting.append(command)
        return self._work()

    def look(self) -> None:
        """Go on, if something was in the way or time has passed, and tell what has changed."""
        said = self._work()
        if said:
            self._send(said)

    def _room(self, command: _Command) -> bool:
        return sum(len(waiting.data) + 8 for waiting in self._waiting) + len(command.data) < _MEMORY

    # Taking bytes apart

    def _parse(self) -> Generator[_Command | None, int, None]:
        command: _Command | None = None
        while True:
            byte = yield command
            command = None
            if byte == _DLE:
                yield from self._real_time()
            elif byte == _ESC:
                code = yield None
                arguments = yield from _take(_ESC_ARGUMENTS.get(code, 0))
                command = _Command(bytes([_ESC, code]), arguments)
            elif byte == _GS:
                command = yield from self._parse_gs()
            elif byte:
                command = _Command(bytes([byte]))

    def _real_time(self) -> Generator[None, int, None]:
        if (yield None) == 0x04:
            self._answer((yield None))

    def _parse_gs(self) -> Generator[None, int, _Command]:
        code = yield None
        name = bytes([_GS, code])
        if code == ord("v"):
            arguments = yield from _take(6)
            width, rows = _words(arguments[2:])
            data = yield from self._picture(width * rows)
            return _Command(name, arguments, data)
        if code == ord("V"):
            how = yield from _take(1)
            return _Command(name, how + (yield from _take(1 if how[0] >= 65 else 0)))
        if code == ord("("):
            arguments = yield from _take(3)
            yield from _take(*_words(arguments[1:]))
            return _Command(name, arguments)
        if code == ord("k"):
            (kind,) = yield from _take(1)
            if kind >= 65:
                (length,) = yield from _take(1)
                yield from _take(length)
            else:
                while (yield None):
                    pass
            return _Command(name)
        return _Command(name, (yield from _take(_GS_ARGUMENTS.get(code, 0))))

    def _picture(self, count: int) -> Generator[None, int, bytes]:
        data = bytearray()
        while len(data) < count:
            data.append((yield None))
            if self.hasty and data[-3:-1] == b"\x10\x04":
                self._answer(data[-1])
        return bytes(data)

    # Speaking

    @property
    def _out(self) -> bool:
        return self.paper_mm <= 0

    @property
    def _stopped(self) -> bool:
        return self._out or self.cover_open or self.cutter_jammed or self.hot or self.broken

    def _answer(self, question: int) -> None:
        faulty = self.cutter_jammed or self.hot or self.broken
        bits = {
            1: 0x08 * self._stopped,
            2: 0x04 * self.cover_open | 0x20 * self._out | 0x40 * faulty,
            3: 0x08 * self.cutter_jammed | 0x20 * self.broken | 0x40 * self.hot,
            4: 0x0C * self.near_end | 0x60 * self._out,
        }
        if question in bits:
            self._said.append(0x12 | bits[question])

    @property
    def _frame(self) -> bytes:
        return bytes(
            (
                0x10 | 0x08 * self._stopped | 0x20 * self.cover_open,
                0x08 * self.cutter_jammed | 0x20 * self.broken | 0x40 * self.hot,
                0x03 * self.near_end | 0x0C * self._out,
                0x0F,
            )
        )

    # Printing

    def _work(self) -> bytes:
        while self._waiting and self._ready() and self._do(self._waiting[0]):
            self._waiting.popleft()
        if self._asb and self._told != self._frame:
            self._told = self._frame
            self._said += self._told
        said = b"" if self.silent else bytes(self._said)
        self._said.clear()
        return said

    def _ready(self) -> bool:
        return not self._stopped and self._clock() >= self._busy_until

    def _do(self, command: _Command) -> bool:
        """False when it could not be finished now."""
        match command.code:
            case b"\x1bJ":
                self._feed(command.arguments[0])
            case b"\x1bd":
                self._feed(command.arguments[0] * _LINE)
            case b"\n":
                self._feed(_LINE)
            case b"\x1b@":
                self._asb = False
            case b"\x1da":
                self._asb, self._told = bool(command.arguments[0]), b""
            case b"\x1dr" if self.knows_gs_r and command.arguments[0] in b"\x011":
                self._said.append(0x03 * self.near_end)
            case b"\x1dv":
                return self._print(command)
            case b"\x1dV" | b"\x1d\x0c":
                self._end_label()
            case code if len(code) == 1 and code >= b" ":
                self.garbled += 1
        return True

    def _print(self, picture: _Command) -> bool:
        width, rows = _words(picture.arguments[2:])
        while self._done_rows < rows:
            if not self._ready():
                return False
            start = self._done_rows * width
            self._label.append(picture.data[start : start + width])
            self._done_rows += 1
            self._fed = 0.0
            self._roll(1)
        self._done_rows = 0
        return True

    def _feed(self, dots: int) -> None:
        self._roll(dots)
        self._fed += dots * 25.4 / self.dpi
        if self._fed >= _TO_THE_TEAR_BAR:
            self._end_label()

    def _roll(self, dots: int) -> None:
        length = dots * 25.4 / self.dpi
        self.__dict__["_paper_mm"] = self.paper_mm - length
        if self.speed:
            self._busy_until += length / self.speed

    def _end_label(self) -> None:
        if not self._label:
            return
        self.count += 1
        self.printed = [*self.printed, _png(self._label)][-self.keep :]
        self._label = []
        if self.folder:
            folder = Path(self.folder)
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"label-{self.count:06}.png").write_bytes(self.printed[-1])
            labels = sorted(folder.glob("label-*.png"), key=lambda file: file.stat().st_mtime_ns)
            for old in labels[: -self.keep]:
                old.unlink()


def _take(count: int) -> Generator[None, int, bytes]:
    data = bytearray()
    while len(data) < count:
        data.append((yield None))
    return bytes(data)


def _words(data: bytes) -> list[int]:
    return [int.from_bytes(data[i : i + 2], "little") for i in range(0, len(data), 2)]


def _png(rows: list[bytes]) -> bytes:
    from PIL import Image

    width = max(map(len, rows))
    dots = b"".join(row.ljust(width, b"\0") for row in rows)
    picture = Image.frombytes("1", (width * 8, len(rows)), dots)
    file = BytesIO()
    picture.point(lambda dot: 0 if dot else 255, "1").save(file, "PNG")
    return file.getvalue()
