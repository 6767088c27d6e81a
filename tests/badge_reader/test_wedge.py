"""The keyboard wedge: real python-evdev on a reader recorded from a real kernel (umockdev)."""

import asyncio
import errno
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from badge_reader.simulate import WedgeSimulator
from badge_reader.wedge import WedgeReader, WedgeSettings, find
from devices import Absent, Lost, Refused
from devices.registry import load_driver, load_simulator

BENCH = Path(__file__).parent.parent / "support" / "wedge_bench.py"


def reader(device: str) -> WedgeReader:
    return WedgeReader("entrance", WedgeSettings(port=device))


def on_the_bench(device: str, layout: str) -> list[dict[str, Any]]:
    """What the reader said: absent, plugged in, three scans, unplugged in the middle of a fourth;
    by vendor:product, plugged in again as another node in the middle of a scan, and one more."""
    wrapper = shutil.which("umockdev-wrapper")
    assert wrapper, "these tests need umockdev: apt-get install umockdev"
    ran = subprocess.run(
        [wrapper, sys.executable, str(BENCH), device, layout],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "0007812345" not in ran.stderr  # the log
    return [json.loads(line) for line in ran.stdout.splitlines()]


@pytest.mark.parametrize(("device", "layout"), [("/dev/input/event1", "us"), ("ffff:0035", "fr")])
def test_scans_come_out_of_a_recorded_reader(device: str, layout: str) -> None:
    said = on_the_bench(device, layout)
    states = [line["state"] for line in said if "state" in line]
    assert states[:3] == ["starting", "absent", "up"]
    unplugged = max(n for n, line in enumerate(said) if line.get("state") == "absent")
    before = [line["badge"] for line in said[:unplugged] if "badge" in line]
    after = [line["badge"] for line in said[unplugged:] if "badge" in line]
    assert before[:3] == ["0007812345", "no-end", "0007812345"]
    # Where this machine stood still for a moment, the half scan rested long enough to be one.
    assert before[3:] in ([], ["ha"])
    if ":" in device:
        assert after == ["0420001234004"]  # and nothing of the half scans in front of it
        assert states[-1] == "up"
    else:
        assert after == []
        assert states[-1] == "absent"


async def test_a_reader_that_is_not_there_is_absent(tmp_path: Path) -> None:
    for device in (str(tmp_path / "event0"), "dead:beef"):
        with pytest.raises(Absent, match=r"device\.unplugged"):
            await reader(device).run()
    assert find("dead:beef") is None


async def test_what_is_no_keyboard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path in ("/dev/null", str(tmp_path)):
        with pytest.raises(Refused, match=r"device\.port_invalid"):
            await reader(path).run()


async def test_plugged_returns_once_the_path_is_there(tmp_path: Path) -> None:
    path = tmp_path / "event0"
    waiting = asyncio.create_task(reader(str(path)).plugged())
    await asyncio.sleep(0.05)
    assert not waiting.done()
    path.touch()
    async with asyncio.timeout(10):
        await waiting


@pytest.mark.parametrize(
    ("number", "failure", "key"),
    [
        (errno.EACCES, Refused, "device.permission"),
        (errno.EBUSY, Refused, "device.busy"),
        (errno.ENODEV, Absent, "device.unplugged"),
        (errno.EIO, Lost, "device.unplugged"),
    ],
)
async def test_the_kernels_refusals_become_our_words(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    failure: type[Exception],
    key: str,
) -> None:
    """Root may open everything and umockdev grants every grab: only the error itself is ours."""
    import evdev

    def refuse(*_: object) -> None:
        raise OSError(number, "no")

    monkeypatch.setattr(evdev, "InputDevice", refuse)
    node = tmp_path / "event0"
    node.touch()
    later = time.time() + 60  # a node that is only just there may get its rights yet
    monkeypatch.setattr(time, "time", lambda: later)
    with pytest.raises(failure, match=key):
        await reader(str(node)).run()


async def test_without_the_library_the_reader_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "evdev", None)
    with pytest.raises(Refused, match=r"device\.missing_library library=evdev"):
        await reader("/dev/null").run()


def test_the_library_is_not_loaded_before_a_reader_is_opened() -> None:
    code = (
        "import sys, badge_reader.wedge, badge_reader.simulate; assert 'evdev' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=BENCH.parents[2])


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"port": "event0"},
        {"port": "08ff:"},
        {"port": "/dev/x", "layout": "qwerty"},
        {"port": "/dev/x", "idle_ms": 1},
    ],
)
def test_settings_are_checked(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        WedgeSettings.model_validate(wrong)


def test_the_driver_and_its_simulator_are_found_by_name() -> None:
    assert load_driver("badge_reader", "keyboard-wedge") is WedgeReader
    assert load_simulator("keyboard-wedge") is WedgeSimulator
