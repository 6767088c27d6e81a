"""`edged find`: what is plugged in, as configuration to paste.

The one rule: it only looks. No device is opened, so that it can run beside a working station.
"""

import argparse
import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from edged.cli import OK


@dataclass(frozen=True, slots=True)
class Found:
    """One device and the table that would hold it. `note` says what the file cannot know."""

    family: str
    path: str
    what: str
    settings: dict[str, str]
    note: str = ""

    def toml(self, name: str) -> str:
        lines = [f"# {self.what}"]
        if self.note:
            lines.append(f"# {self.note}")
        lines.append(f"[{self.family}.{name}]")
        lines += [f"{key} = {json.dumps(value)}" for key, value in self.settings.items()]
        return "\n".join(lines)


def main(options: argparse.Namespace) -> int:
    found = list(find())
    if options.json:
        print(json.dumps([asdict(one) for one in found], ensure_ascii=False, indent=2))
        return OK
    if not found:
        print(
            "Nothing found that edged knows: no serial line, keyboard reader, USB printer or "
            "camera.\nIs it plugged in, and switched on? Network printers and cameras are not "
            'looked for: write their address, as in port = "socket://192.168.1.50:9100".'
        )
        return OK
    names: dict[str, int] = {}
    for one in found:
        names[one.family] = names.get(one.family, 0) + 1
        print(one.toml(f"{one.family.replace('_', '-')}-{names[one.family]}"), end="\n\n")
    return OK


def find(root: Path = Path("/")) -> Iterator[Found]:
    """Everything under `root`/dev that a driver of ours could hold, with names that stay."""
    yield from _keyboards(root)
    yield from _serial_lines(root)
    yield from _printers(root)
    yield from _cameras(root)


def _links(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


def _plain(path: Path, root: Path) -> str:
    return "/" + str(path.relative_to(root))


def _words(name: str) -> str:
    """``usb-ACS_ACR1252_1.3-if00`` → ``ACS ACR1252 1.3``."""
    name = re.sub(r"^usb-|-event-kbd$|-video-index\d+$|-if\d+(-port\d+)?$", "", name)
    return re.sub(r"-if\d+(-port\d+)?$", "", name).replace("_", " ")


def _keyboards(root: Path) -> Iterator[Found]:
    for link in _links(root / "dev/input/by-id"):
        if link.name.endswith("-event-kbd"):
            path = _plain(link, root)
            yield Found(
                "badge_reader",
                path,
                f"{_words(link.name)}: types like a keyboard",
                {"driver": "keyboard-wedge", "port": path, "layout": "us"},
                "A real keyboard looks the same: a grabbed one can no longer type.",
            )


def _serial_lines(root: Path) -> Iterator[Found]:
    for link in _links(root / "dev/serial/by-id"):
        path = _plain(link, root)
        yield Found(
            "scale",
            path,
            f"{_words(link.name)}: a serial line",
            {"driver": "mettler-8217", "port": path},
            "If it is a badge reader: [badge_reader.…] with driver rdm6300 or serial-scanner.",
        )


def _printers(root: Path) -> Iterator[Found]:
    for node in _links(root / "dev/usb"):
        if not node.name.startswith("lp"):
            continue
        identity = root / "sys/class/usbmisc" / node.name / "device/ieee1284_id"
        text = identity.read_text(errors="replace").strip() if identity.is_file() else ""
        path = _plain(_stable(node, root / "dev/edged"), root)
        speaks = "ESC/POS" in text.upper()
        yield Found(
            "printer",
            path,
            _model(text) or "a USB printer",
            {"driver": "escpos", "port": path},
            "" if speaks else "It does not say that it speaks ESC/POS: `edged try printer` tells.",
        )


def _stable(node: Path, names: Path) -> Path:
    """The name that our udev rule gave to a device, by its serial number, or the device's own."""
    return next((link for link in _links(names) if link.resolve() == node.resolve()), node)


def _model(ieee1284: str) -> str:
    """Maker and model out of ``MFG:EPSON;CMD:ESC/POS;MDL:TM-T20III;``."""
    fields = dict(part.split(":", 1) for part in ieee1284.split(";") if ":" in part)
    maker = fields.get("MFG") or fields.get("MANUFACTURER") or ""
    model = fields.get("MDL") or fields.get("MODEL") or ""
    return f"{maker} {model}".strip()


def _cameras(root: Path) -> Iterator[Found]:
    for link in _links(root / "dev/v4l/by-id"):
        if link.name.endswith("-video-index0"):
            path = _plain(link, root)
            yield Found(
                "camera", path, f"{_words(link.name)}: a camera", {"driver": "v4l2", "port": path}
            )
