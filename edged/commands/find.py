"""`edged find`: what is plugged in, as configuration to paste.

The one rule: it only looks. No device is opened, so that it can run beside a working station.
"""

import argparse
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from edged.cli import OK
from edged.names import named, printers

OR_A_KEYBOARD = "A real keyboard looks the same: a grabbed one can no longer type."
OR_A_READER = "If it is a badge reader: [badge_reader.…] with driver rdm6300 or serial-scanner."
NO_ESCPOS = "It does not say that it speaks ESC/POS: `edged try printer` tells."


@dataclass(frozen=True, slots=True)
class Found:
    """One device and the table that would hold it. `note` says what the file cannot know, in one
    line or more.
    """

    family: str
    path: str
    what: str
    settings: dict[str, str]
    note: str = ""

    def toml(self, name: str) -> str:
        lines = [f"# {self.what}"]
        lines += [f"# {line}" for line in self.note.splitlines()]
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


def _plain(path: Path, root: Path) -> str:
    return "/" + str(path.relative_to(root))


def _keyboards(root: Path) -> Iterator[Found]:
    for one in named(root, "input", root / "dev/input", "-event-kbd"):
        path = _plain(one.link, root)
        yield Found(
            "badge_reader",
            path,
            f"{one.calls_itself}: types like a keyboard",
            {"driver": "keyboard-wedge", "port": path, "layout": "us"},
            _notes(OR_A_KEYBOARD, one.note),
        )


def _serial_lines(root: Path) -> Iterator[Found]:
    for one in named(root, "tty", root / "dev/serial"):
        path = _plain(one.link, root)
        yield Found(
            "scale",
            path,
            f"{one.calls_itself}: a serial line",
            {"driver": "mettler-8217", "port": path},
            _notes(OR_A_READER, one.note),
        )


def _printers(root: Path) -> Iterator[Found]:
    for one in printers(root):
        identity = root / "sys/class/usbmisc" / one.node.name / "device/ieee1284_id"
        text = identity.read_text(errors="replace").strip() if identity.is_file() else ""
        path = _plain(one.link, root)
        yield Found(
            "printer",
            path,
            _model(text) or "a USB printer",
            {"driver": "escpos", "port": path},
            _notes("" if "ESC/POS" in text.upper() else NO_ESCPOS, one.note),
        )


def _notes(*notes: str) -> str:
    return "\n".join(filter(None, notes))


def _model(ieee1284: str) -> str:
    """Maker and model out of ``MFG:EPSON;CMD:ESC/POS;MDL:TM-T20III;``."""
    fields = dict(part.split(":", 1) for part in ieee1284.split(";") if ":" in part)
    maker = fields.get("MFG") or fields.get("MANUFACTURER") or ""
    model = fields.get("MDL") or fields.get("MODEL") or ""
    return f"{maker} {model}".strip()


def _cameras(root: Path) -> Iterator[Found]:
    for one in named(root, "video4linux", root / "dev/v4l", "-video-index0"):
        path = _plain(one.link, root)
        yield Found(
            "camera",
            path,
            f"{one.calls_itself}: a camera",
            {"driver": "v4l2", "port": path},
            one.note,
        )
