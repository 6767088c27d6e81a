"""Run under `umockdev-wrapper`: a wedge recorded on a real kernel, unplugged and plugged at will.

    umockdev-wrapper python tests/support/wedge_bench.py DEVICE LAYOUT

Prints one JSON line for each badge and each state of the reader. It must be a program of its own:
the wrapper preloads a library under Python.
"""

import asyncio
import ctypes
import json
import os
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
sys.path.insert(0, str(ROOT))

from badge_reader.keystrokes import KeyEvent, press  # noqa: E402 (after the path)
from badge_reader.wedge import WedgeReader, WedgeSettings  # noqa: E402
from devices.keep import keep  # noqa: E402

CAPTURES = Path(__file__).parent.parent / "captures" / "wedge"


class Testbed:
    """umockdev's test bed, through its C interface."""

    def __init__(self) -> None:
        self._lib = ctypes.CDLL("libumockdev.so.0")
        self._lib.umockdev_testbed_new.restype = ctypes.c_void_p

    def plug(self, number: int) -> None:
        """The recorded reader, as the input device of that number: the kernel counts on.

        On a test bed of its own: one that a device was taken off takes no other.
        """
        self._number = number
        self._bed = ctypes.c_void_p(self._lib.umockdev_testbed_new())
        for name, load in (("badge.umockdev", "add_from_file"), ("badge.ioctl", "load_ioctl")):
            text = (CAPTURES / name).read_text()
            text = text.replace("event1", f"event{number}").replace("input2", f"input{number + 1}")
            text = text.replace("=13:65", f"=13:{64 + number}")
            text = text.replace("MINOR=65", f"MINOR={64 + number}")
            node = [self._node] if load == "load_ioctl" else []
            with _file(text) as path:
                self._do(load, *node, path)

    def unplug(self) -> None:
        """Also ends what is open, as the kernel does and umockdev does not: it plays on a pty."""
        parent = f"/sys/devices/virtual/input/input{self._number + 1}"
        for path in (f"{parent}/event{self._number}", parent):
            self._lib.umockdev_testbed_remove_device(self._bed, ctypes.c_char_p(path.encode()))
        masters = Path("/dev/ptmx").resolve()  # in a container it is a link to pts/ptmx
        for fd in Path("/proc/self/fd").iterdir():
            if fd.is_symlink() and fd.readlink() == masters:
                os.close(int(fd.name))

    def type(self, *scans: Iterable[KeyEvent]) -> None:
        """Scans half a second apart. Once a plugging: umockdev replays one script a device."""
        lines = [
            f"E: {at / 2:.6f} {type_:04x} {code:04x} {value:04d}\n"
            for at, events in enumerate(scans)
            for type_, code, value in events
        ]
        with _file("".join(lines)) as path:
            self._do("load_evemu_events", self._node, path)

    @property
    def _node(self) -> bytes:
        return f"/dev/input/event{self._number}".encode()

    def _do(self, name: str, *arguments: bytes) -> None:
        error = ctypes.c_void_p()
        pointers = [ctypes.c_char_p(argument) for argument in arguments]
        function = getattr(self._lib, f"umockdev_testbed_{name}")
        assert function(self._bed, *pointers, ctypes.byref(error)), name


@contextmanager
def _file(text: str) -> Iterator[bytes]:
    with tempfile.NamedTemporaryFile("w") as file:
        file.write(text)
        file.flush()
        yield file.name.encode()


def say(**what: str) -> None:
    print(json.dumps(what), flush=True)


async def run(device: str, layout: str) -> None:
    bed = Testbed()
    settings = WedgeSettings.model_validate({"port": device, "layout": layout})
    reader = WedgeReader("entrance", settings)
    states: list[str] = []
    badges: list[str] = []

    async def tell_states() -> None:
        async for health in reader.health.changes():
            states.append(health.state)
            say(state=health.state, key=health.key)

    async def tell_badges() -> None:
        async with reader.badges.listen() as read:
            async for badge in read:
                badges.append(badge.text)
                say(badge=badge.text)

    async def until_state(state: str) -> None:
        while not states or states[-1] != state:
            await asyncio.sleep(0.01)

    async def until_badges(count: int) -> None:
        while len(badges) < count:
            await asyncio.sleep(0.01)

    tasks = [asyncio.create_task(work) for work in (tell_states(), tell_badges(), keep(reader))]
    async with asyncio.timeout(30):
        await until_state("absent")
        bed.plug(1)
        await until_state("up")
        badge = press("0007812345", layout)
        half = press("half", layout, end=None)[:8]
        bed.type(badge, press("no-end", layout, end=None), badge + half)
        await until_badges(3)
        bed.unplug()
        await until_state("absent")
        if ":" in device:
            bed.plug(2)
            # It is opened in the middle of a scan: this is the rest.
            bed.type(press("1234", layout), press("0420001234004", layout))
            await until_badges(len(badges) + 1)
    for task in tasks:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


if __name__ == "__main__":
    asyncio.run(run(*sys.argv[1:]))
