"""systemd's units in the virtual machine: what they do, and other words for a while."""

import json
import subprocess
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

STATUS = "http://127.0.0.1:8080/status.json"


def systemctl(*words: str) -> str:
    """Run it and return what it prints. Raises where it fails."""
    done = subprocess.run(["systemctl", *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


def shows(unit: str, key: str) -> str:
    """One property of a unit, such as ``ActiveState``."""
    return systemctl("show", "--value", "-p", key, unit)


@contextmanager
def changed(unit: str, words: str) -> Iterator[None]:
    """The unit, stopped, with `words` as a drop-in of its [Service]; stopped again afterwards."""
    folder = Path(f"/run/systemd/system/{unit}.d")
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / "test.conf"
    systemctl("stop", unit)
    file.write_text(f"[Service]\n{words}\n")
    systemctl("daemon-reload")
    subprocess.run(["systemctl", "reset-failed", unit], check=False, capture_output=True)
    try:
        yield
    finally:
        systemctl("stop", unit)
        file.unlink()
        systemctl("daemon-reload")


def states() -> dict[str, str]:
    """The running station's devices and their states; of none while it does not answer."""
    try:
        with urllib.request.urlopen(STATUS, timeout=30) as answer:
            told = json.load(answer)
    except OSError:
        return {}
    return {device["name"]: device["state"] for device in told["devices"]}
