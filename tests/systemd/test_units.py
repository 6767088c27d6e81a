"""What the units allow and forbid, where the program depends on it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

UNITS = Path(__file__).parents[2] / "systemd"

HOLD_THE_CLOCK = {"@clock", "@privileged", "adjtimex", "clock_adjtime"}
"""Names under which systemd knows the calls that ask (and set) the clock: `systemd-analyze
syscall-filter`."""


def values(unit: str, key: str) -> list[str]:
    lines = (UNITS / unit).read_text("utf-8").splitlines()
    return [line.partition("=")[2] for line in lines if line.startswith(f"{key}=")]


def test_the_station_may_ask_whether_its_clock_is_right() -> None:
    """Else the kernel's answer is EPERM, every fact is `unsynced`, and none is ever dated."""
    assert values("edged.service", "ProtectClock") == []
    allowed = False
    for words in values("edged.service", "SystemCallFilter"):
        if HOLD_THE_CLOCK & set(words.removeprefix("~").split()):
            allowed = not words.startswith("~")
    assert allowed
    # What makes that harmless.
    assert values("edged.service", "CapabilityBoundingSet") == [""]
    assert values("edged.service", "AmbientCapabilities") == [""]


@pytest.mark.parametrize("unit", ["edged.service", "edged-bridge.service"])
def test_a_mistake_in_the_file_is_not_tried_again(unit: str) -> None:
    from edged.cli import MISUSED

    assert str(MISUSED) in values(unit, "RestartPreventExitStatus")[0].split()


@pytest.mark.parametrize("user", ["edged", "edged-bridge"])
def test_a_services_home_is_the_folder_that_it_keeps_its_files_in(user: str) -> None:
    """Root that finds it missing knows by that whose it is (`durable.owner`)."""
    words = [line.split() for line in (UNITS / "edged-sysusers.conf").read_text().splitlines()]
    (home,) = [line[-1] for line in words if line[:2] == ["u", user]]
    assert f"d {home} 0700 {user} {user} -" in (UNITS / "edged-tmpfiles.conf").read_text()
    assert f"/var/lib/{values(f'{user}.service', 'StateDirectory')[0]}" == home


@pytest.mark.parametrize("unit", ["edged.service", "edged-bridge.service", "edged-kiosk.service"])
def test_a_service_that_is_more_exposed_is_not_let_through(tmp_path: Path, unit: str) -> None:
    """By the tool that CI runs; the exposure itself is the tool's own affair."""
    shutil.copytree(UNITS, tmp_path / "systemd")
    file = tmp_path / "systemd" / unit
    lines = file.read_text("utf-8").splitlines()
    kept = [line for line in lines if not re.match(r"(Protect|Private|Restrict|Cap|NoNew)", line)]
    file.write_text("\n".join(kept) + "\n")
    done = subprocess.run(
        [UNITS.parent / "tools/units"], cwd=tmp_path, check=False, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "more exposed" in done.stderr
    assert f"for {unit}" in done.stdout


def test_each_driver_that_brings_a_device_class_is_loaded_before_the_unit_starts() -> None:
    """systemd leaves out of DeviceAllow= what the kernel does not know at that moment. In the
    virtual machine (tests/vm) the same is tried with devices; the list is compared here.
    """
    modules = {
        "char-ttyUSB": "usbserial",
        "char-ttyACM": "cdc_acm",
        "char-hidraw": "hid",
        "char-usb": "usbcore",
        "char-lp": "lp",
        "char-video4linux": "videodev",
        "char-media": "mc",
    }
    built_in = {"char-ttyS", "char-ttyAMA", "char-input", "char-dma_heap", "char-gpiochip"}
    allowed = {value.split()[0] for value in values("edged.service", "DeviceAllow")}
    assert allowed == modules.keys() | built_in
    for key in ("Wants", "After"):
        wanted = {unit for value in values("edged.service", key) for unit in value.split()}
        assert {f"modprobe@{module}.service" for module in modules.values()} <= wanted
