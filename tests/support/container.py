"""A machine of its own for the units: this one's files under a systemd that really runs.

systemd-nspawn boots them in a second. What is changed in there stays in memory and ends with it,
and it has no network but its loopback. The kernel is this machine's, so there are no devices.
"""

import asyncio
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support.root import needs_root

ROOT = Path(__file__).parents[2]
HERE = Path("/mnt/edged")
"""Where this checkout is in there: a folder in /tmp would be hidden."""

needs_container = [
    needs_root,
    pytest.mark.skipif(not shutil.which("systemd-nspawn"), reason="no systemd-nspawn here"),
]

_UNITS = {
    "guest.target": "[Unit]\nRequires=basic.target dbus.socket guest.service\n",
    "guest.service": """
[Unit]
After=basic.target dbus.socket
[Service]
Type=oneshot
StandardOutput=append:/run/guest/told
StandardError=inherit
ExecStart=-/bin/sh -c '/bin/bash -eu /run/guest/script; echo $? >/run/guest/status'
ExecStopPost=/bin/systemctl poweroff --force --force
""",
}


@contextmanager
def _files() -> Iterator[Path]:
    """A folder on which nspawn can start: it refuses / itself."""
    place = Path(tempfile.mkdtemp(prefix="machine-"))
    subprocess.run(["mount", "--bind", "/", place], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)
        place.rmdir()  # never with what is in it: that could be this machine


async def in_container(script: str, folder: Path, *, within: float = 120) -> tuple[int, str]:
    """Run a script of bash as root of the container: its exit status and all that it printed.

    `folder` is a new folder for what goes in and out; the script finds it at /run/guest.
    """
    (folder / "script").write_text(script, "utf-8")
    binds = [f"--bind={folder}:/run/guest", f"--bind-ro={ROOT}:{HERE}"]
    for name, text in _UNITS.items():
        (folder / name).write_text(text, "utf-8")
        binds.append(f"--bind-ro={folder / name}:/run/systemd/system/{name}")
    with _files() as place, (folder / "console").open("wb") as console:
        process = await asyncio.create_subprocess_exec(
            "systemd-nspawn", "--quiet", "--boot", f"--directory={place}", "--volatile=overlay",
            "--kill-signal=SIGKILL", "--register=no", "--keep-unit", "--machine=edged",
            "--private-network", *binds, "systemd.unit=guest.target",
            stdin=asyncio.subprocess.DEVNULL, stdout=console, stderr=console,
            env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "1"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(within):
                await process.wait()
        finally:
            if process.returncode is None:
                process.terminate()  # which is SIGKILL for all that runs in there
                await process.wait()
    told = (folder / "told").read_text("utf-8", "replace") if (folder / "told").exists() else ""
    assert (folder / "status").exists(), (folder / "console").read_text("utf-8", "replace") + told
    return int((folder / "status").read_text()), told
