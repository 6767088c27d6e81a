"""A distribution that is not ours, with the drivers of the files `strange_….py`.

::

    async with running("run", "-c", file, **installed(tmp_path)) as daemon:

The one rule: it is found as what pip installs is, by its entry points, in a process of its own.
"""

import os
import re
import shutil
from pathlib import Path

from support.strace import environment

_HERE = Path(__file__).parent
_MODULES = {
    "strangers": "strange_drivers.py",
    "strange_words": "strange_words.py",
    "strange_loops": "strange_loops.py",
    "strange_tasks": "strange_tasks.py",
}
_FAMILIES = {
    "scale": ("Base", "Scale"),
    "badge_reader": ("ReaderBase", "BadgeReader"),
    "printer": ("Printer",),
    "camera": ("Camera",),
}
"""By the classes that its drivers are derived from."""
_SCALES = [
    "makes_none = strangers:makes_none",
    "OtherFamily = strangers:OtherFamily",
    "ExitsAtImport = strangers_exit:Scale",
    "Absentee = strangers:Absentee",
]
_OTHERS = """
[edged.protocol]
decodes-nothing = strangers:decodes_nothing
exits-decoding = strangers:exits_decoding
fails-decoding = strangers:fails_decoding
[edged.simulator]
broken = strangers:BrokenSimulator
exiting = strangers:ExitingSimulator
"""


def installed(folder: Path) -> dict[str, str]:
    """Install it there; the variables of a process that finds it."""
    info = folder / "strangers-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: strangers\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("\n".join(_points()) + _OTHERS)
    for module, source in _MODULES.items():
        shutil.copy(_HERE / source, folder / f"{module}.py")
    (folder / "strangers_exit.py").write_text("raise SystemExit('imported by mistake')\n")
    ours = environment()["PYTHONPATH"]
    return {"PYTHONPATH": f"{ours}{os.pathsep}{folder}"}


def _points() -> list[str]:
    lines = []
    for family, bases in _FAMILIES.items():
        lines.append(f"[edged.{family}]")
        for module, source in _MODULES.items():
            classes = re.findall(
                r"^class (\w+)\((\w+)\)", (_HERE / source).read_text(), re.MULTILINE
            )
            lines += [f"{name} = {module}:{name}" for name, base in classes if base in bases]
        if family == "scale":
            lines += _SCALES
    return lines
