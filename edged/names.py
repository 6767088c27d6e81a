"""Names of devices that stay: which of udev's links to write into a station's file.

The one rule: a name that another device may have tomorrow is never proposed, because labels would
come out of the wrong printer. A link by serial number (``by-id``) follows its device to any socket,
but two devices that tell the same identity share one link, and a replug decides whose it is. Such
devices have only their sockets (``by-path``) to be told apart by.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

BY_SOCKET = "Named after its USB socket: keep it in that socket."
SINGLE = "It has no serial number: once there is a second one like it, run `edged find` again."
NO_RULES = "This name may change: `sudo make service` installs the rules that give one that stays."


@dataclass(frozen=True, slots=True)
class Named:
    """A device node, the link to write down, what a person has to know of that link ("": nothing),
    and maker and model as the device tells them.
    """

    node: Path
    link: Path
    note: str = ""
    calls_itself: str = "USB"


@dataclass(frozen=True, slots=True)
class _Usb:
    """What a USB device tells of itself. `place` is its folder in /sys: one for each socket."""

    place: Path

    @property
    def serial(self) -> str:
        return self.tells("serial")[0]

    def tells(self, *names: str) -> tuple[str, ...]:
        return tuple(_line(self.place / name) for name in names)

    def differs(self, devices: Iterable["_Usb | None"], *names: str) -> bool:
        """Whether none of `devices` but this one tells the same under all of `names`."""
        return all(
            other is None or other.place == self.place or other.tells(*names) != self.tells(*names)
            for other in devices
        )


def named(root: Path, device_class: str, folder: Path, suffix: str = "") -> Iterator[Named]:
    """The devices that have a link in `folder`/by-id or /by-path which ends with `suffix`, but
    those that are neither on USB nor named by-id.

    `device_class` is what /sys/class calls them. Nothing is opened.
    """
    by_id, by_path = (_targets(folder / by, suffix) for by in ("by-id", "by-path"))
    known = {
        node: _usb(root / "sys/class" / device_class / node.name)
        for node in sorted(by_id.keys() | by_path.keys())
    }
    for node, usb in known.items():
        if usb is None:
            if node in by_id:
                yield Named(node, by_id[node], calls_itself=_words(by_id[node].name))
            continue
        # udev makes the name of the words, where a device tells them, and else of the numbers.
        alone = usb.differs(known.values(), "idVendor", "idProduct", "serial") and (
            usb.differs(known.values(), "manufacturer", "product", "serial")
        )
        if node in by_id and (alone or node not in by_path):
            note = "" if usb.serial else SINGLE
            yield Named(node, by_id[node], note, _words(by_id[node].name))
        elif node in by_path:
            calls_itself = " ".join(filter(None, usb.tells("manufacturer", "product")))
            yield Named(node, by_path[node], BY_SOCKET, calls_itself or "USB")


def printers(root: Path) -> Iterator[Named]:
    """USB printers, by the links that our own udev rules make (systemd/60-edged.rules)."""
    known = {
        node: _usb(root / "sys/class/usbmisc" / node.name)
        for node in _entries(root / "dev/usb")
        if node.name.startswith("lp")
    }
    links = [link for link in _entries(root / "dev/edged") if link.name.startswith("printer-")]
    for node, usb in known.items():
        mine = [link for link in links if link.resolve() == node.resolve()]
        by_socket = [link for link in mine if link.name.startswith("printer-at-")]
        by_serial = [link for link in mine if link not in by_socket]
        if by_serial and usb and usb.serial and usb.differs(known.values(), "serial"):
            yield Named(node, by_serial[0])
        elif by_socket:
            yield Named(node, by_socket[0], BY_SOCKET)
        else:
            yield Named(node, node, NO_RULES)


def _targets(folder: Path, suffix: str) -> dict[Path, Path]:
    """Device nodes and the first link to each. (Newer systems name a socket twice.)"""
    links = [link for link in _entries(folder) if link.name.endswith(suffix)]
    return {link.resolve(): link for link in reversed(links)}


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _usb(entry: Path) -> _Usb | None:
    """The USB device that `entry` of /sys/class belongs to: the nearest above it, never a hub."""
    device = (entry / "device").resolve()
    return next((_Usb(at) for at in (device, *device.parents) if (at / "idVendor").exists()), None)


def _line(file: Path) -> str:
    try:
        return file.read_text(errors="replace").strip()
    except OSError:
        return ""


def _words(name: str) -> str:
    """``usb-ACS_ACR1252_1.3-if00`` → ``ACS ACR1252 1.3``."""
    name = re.sub(r"^usb-|-event-kbd$|-video-index\d+$|-if\d+(-port\d+)?$", "", name)
    return re.sub(r"-if\d+(-port\d+)?$", "", name).replace("_", " ")
