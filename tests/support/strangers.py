"""A distribution that is not ours, with the drivers of `support.strange_drivers`.

::

    async with running("run", "-c", file, **installed(tmp_path)) as daemon:

The one rule: it is found as what pip installs is, by its entry points, in a process of its own.
"""

import inspect
import os
import shutil
from pathlib import Path

from support import strange_drivers
from support.strace import environment

from badge_reader import BadgeReader
from camera import Camera
from printer import Printer
from scale import Scale

_FAMILIES = {"scale": Scale, "badge_reader": BadgeReader, "printer": Printer, "camera": Camera}
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
    shutil.copy(strange_drivers.__file__, folder / "strangers.py")
    (folder / "strangers_exit.py").write_text("raise SystemExit('imported by mistake')\n")
    ours = environment()["PYTHONPATH"]
    return {"PYTHONPATH": f"{ours}{os.pathsep}{folder}"}


def _points() -> list[str]:
    lines = []
    for family, kind in _FAMILIES.items():
        lines.append(f"[edged.{family}]")
        for name, found in inspect.getmembers(strange_drivers, inspect.isclass):
            if issubclass(found, kind) and found.__module__ == strange_drivers.__name__:
                lines.append(f"{name} = strangers:{name}")
        if family == "scale":
            lines += ["makes_none = strangers:makes_none", "OtherFamily = strangers:OtherFamily"]
            lines += ["ExitsAtImport = strangers_exit:Scale", "Absentee = strangers:Absentee"]
    return lines
