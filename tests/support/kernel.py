"""Devices that Debian's kernel simulates, for the tests that run inside the virtual machine.

Each is a context manager; leaving it unplugs the device and takes it apart.
"""

import fcntl
import os
import struct
import subprocess
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self, TypeVar

T = TypeVar("T")

_GADGETS = Path("/sys/kernel/config/usb_gadget")
_CONTROLLERS = Path("/sys/class/udc")
_PORTS = 4
_MODULES = {"acm": "usb_f_acm", "gser": "usb_f_serial", "printer": "usb_f_printer"}
"""Functions as configfs has them, and the kernel's modules that play them."""


def modprobe(*arguments: str) -> None:
    subprocess.run(["modprobe", *arguments], check=True)


def wait_for(probe: Callable[[], T | None], seconds: float = 30) -> T:
    """Call `probe` until what it returns is true, and return that."""
    end = time.monotonic() + seconds
    while not (found := probe()):
        assert time.monotonic() < end, f"nothing after {seconds} s"
        time.sleep(0.02)
    return found


class Gadget:
    """A USB device with one function, at the far end of a cable inside the kernel (dummy_hcd).

    `unplug` and `plug` pull and push the cable: the machine's drivers see just that.
    """

    def __init__(
        self,
        function: str,
        *,
        ids: tuple[int, int],
        names: tuple[str, str, str],
        attributes: Mapping[str, bytes] | None = None,
    ) -> None:
        """`function` as configfs has it (``acm.0``), `names`: maker, model, serial number."""
        self._function = function
        self._ids = ids
        self._names = names
        self._attributes = attributes or {}
        self._root = _GADGETS / f"edged-{os.getpid()}-{id(self):x}"
        self._controller = ""

    @property
    def node(self) -> Path:
        """The function's folder, where the kernel tells its device number."""
        return self._root / "functions" / self._function

    def __enter__(self) -> Self:
        modprobe("configfs")
        if not os.path.ismount("/sys/kernel/config"):
            subprocess.run(
                ["mount", "-t", "configfs", "configfs", "/sys/kernel/config"], check=True
            )
        modprobe("libcomposite")
        modprobe(_MODULES[self._function.partition(".")[0]])
        modprobe("dummy_hcd", f"num={_PORTS}")
        strings, config = self._root / "strings/0x409", self._root / "configs/c.1"
        for folder in (self._root, strings, config, self.node):
            folder.mkdir()
        for key, number in zip(("idVendor", "idProduct"), self._ids, strict=True):
            (self._root / key).write_text(f"0x{number:04x}")
        keys = ("manufacturer", "product", "serialnumber")
        for key, text in zip(keys, self._names, strict=True):
            (strings / key).write_text(text)
        for key, value in self._attributes.items():
            (self.node / key).write_bytes(value)
        (config / self._function).symlink_to(self.node)
        taken = {other.read_text().strip() for other in _GADGETS.glob("*/UDC")}
        self._controller = next(
            one.name for one in sorted(_CONTROLLERS.iterdir()) if one.name not in taken
        )
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()
        config = self._root / "configs/c.1"
        (config / self._function).unlink()
        for folder in (config, self.node, self._root / "strings/0x409", self._root):
            folder.rmdir()

    def plug(self) -> None:
        (self._root / "UDC").write_text(self._controller)
        state = _CONTROLLERS / self._controller / "state"
        wait_for(lambda: state.read_text() == "configured\n")

    def unplug(self) -> None:
        if (self._root / "UDC").read_text().strip():
            (self._root / "UDC").write_text("\n")


def usb_printer(ieee1284: str, serial: str = "VM0001") -> Gadget:
    """A printer at ``/dev/usb/lp*``; its paper comes out of ``/dev/g_printer0``."""
    return Gadget(
        "printer.0",
        ids=(0x04B8, 0x0E15),
        names=("EPSON", "TM-T20", serial),
        attributes={"pnp_string": ieee1284.encode(), "q_len": b"10"},
    )


def usb_serial(serial: str = "VM0002") -> Gadget:
    """A serial adapter at ``/dev/ttyACM*``; its other end is ``/dev/ttyGS*``."""
    return Gadget("acm.0", ids=(0x0525, 0xA4A7), names=("edged", "Serial", serial))


def usb_adapter(serial: str = "VM0003") -> Gadget:
    """A serial adapter at ``/dev/ttyUSB*``: one whose chip wants nothing but bytes
    (usb-serial-simple), under the numbers of a GPS receiver.
    """
    return Gadget("gser.0", ids=(0x09D7, 0x0100), names=("edged", "Adapter", serial))


class LoopbackCamera:
    """A camera that films what the test shows it (v4l2loopback)."""

    _S_FMT = 0xC0D05605

    def __init__(self, size: tuple[int, int] = (640, 480), fourcc: bytes = b"MJPG") -> None:
        self.path = "/dev/video42"
        self._size = size
        self._fourcc = fourcc
        self._fd = -1

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def plug(self) -> None:
        modprobe("v4l2loopback", "exclusive_caps=1", "video_nr=42", "card_label=edged camera")
        wait_for(lambda: Path(self.path).exists())
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)
        width, height = self._size
        pixels = struct.pack("=II4s4I", width, height, self._fourcc, 1, 0, width * height * 2, 8)
        # Byte for byte what a C program would pass: nothing of the driver under test.
        fcntl.ioctl(self._fd, self._S_FMT, bytearray(struct.pack("=I4x200s", 2, pixels)))
        self.show(b"\0")  # only then does the node call itself a camera

    def unplug(self) -> None:
        """The node goes once nobody has it open."""
        if self._fd < 0:
            return
        os.close(self._fd)
        self._fd = -1
        wait_for(
            lambda: subprocess.run(["modprobe", "-r", "v4l2loopback"], check=False).returncode == 0
        )

    def show(self, jpeg: bytes) -> None:
        os.write(self._fd, jpeg)


class Vivid:
    """The kernel's test picture: it has no MJPG, but its cable can be pulled while it streams."""

    path = "/dev/video43"

    def __enter__(self) -> Self:
        modprobe("vivid", "n_devs=1", "node_types=0x1", "vid_cap_nr=43")
        wait_for(lambda: Path(self.path).exists())
        return self

    def __exit__(self, *_: object) -> None:
        wait_for(lambda: subprocess.run(["modprobe", "-r", "vivid"], check=False).returncode == 0)

    def pull(self) -> None:
        subprocess.run(["v4l2-ctl", "-d", self.path, "-c", "disconnect=1"], check=True)
