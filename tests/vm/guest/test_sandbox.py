"""What each line of a unit's sandbox refuses, tried from inside the service; and what it must not
refuse.
"""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest
from support.kernel import wait_for
from support.units import changed, shows, systemctl

GONE = {"ENOENT", "EACCES"}
FORBIDDEN = {
    "write to the system": {"EROFS"},
    "write to its own program": {"EROFS"},
    "write to the configuration": {"EROFS", "EACCES"},
    "read a home": GONE,
    "read what others left in /tmp": GONE,
    "become root by a program": {"nothing happened", "EACCES"},
    "make a program that changes the user": {"EPERM"},
    "mount": {"EPERM"},
    "make a namespace": {"EPERM"},
    "trace a process": {"EPERM"},
    "open a packet socket": {"EAFNOSUPPORT"},
    "open a netlink socket": {"EAFNOSUPPORT"},
    "set the clock": {"EPERM"},
    "change how the clock is kept": {"EPERM"},
    "run in real time": {"EPERM"},
    "change its priority": {"EPERM"},
    "change the personality": {"EPERM"},
    "change the host's name": {"EPERM"},
    "change the kernel": {"EROFS", "EACCES", "ENOENT"},
    "make a control group": {"EROFS", "EACCES"},
    "read the kernel's log": {"EPERM"},
    "load a module": {"EPERM"},
    "restart the machine": {"EPERM"},
    "see other users": {"not mapped"},
    "see other processes": {"hidden"},
    "open a device of another kind": {"EPERM", "ENOENT"},
    "open the memory": {"EPERM", "EACCES", "ENOENT"},
}
NEEDED = (
    "write to its own folder",
    "connect",
    "speak to systemd",
    "run a program",
    "decode a picture",
)
ONLY_A_STATION = ("ask whether the clock is right", "open a serial line")
FOLDERS = {"edged": "/var/lib/edged", "edged-bridge": "/var/lib/edged-bridge"}
PROGRAM = """Type=oneshot
Restart=no
WatchdogSec=0
NotifyAccess=none
Environment=PYTHONPATH=/opt/edged/tests:/opt/edged PYTHONDONTWRITEBYTECODE=1
ExecStart=
ExecStart=/opt/edged/.venv/bin/python /opt/edged/tests/support/trespass.py {folder} {names}
StandardOutput=truncate:/run/trespass.json
"""


@pytest.fixture(scope="module", autouse=True)
def temptations() -> Iterator[None]:
    """Files and devices which nothing but the sandbox protects."""
    home = Path("/home/volunteer")
    home.mkdir(parents=True, exist_ok=True)
    for note in (home / "note", Path("/tmp/note")):
        note.write_text("for all to read")
        note.chmod(0o644)
    for folder in ("/usr", "/opt/edged"):
        Path(folder).chmod(0o777)
    suid = Path("/usr/local/bin/suid-id")
    shutil.copy("/usr/bin/id", suid)
    suid.chmod(0o4755)
    subprocess.run(["modprobe", "fuse"], check=True)
    wait_for(lambda: Path("/dev/fuse").exists())
    for device in ("/dev/fuse", "/dev/mem", "/dev/ttyS1"):
        Path(device).chmod(0o666)
    yield
    suid.unlink()


def inside(unit: str, words: str = "", names: Sequence[str] = ()) -> dict[str, str]:
    """What came of the attempts of these names (none: of all), with `words` added to the unit's
    [Service].
    """
    quoted = " ".join(json.dumps(name) for name in names)
    program = PROGRAM.format(folder=FOLDERS[unit], names=quoted)
    with changed(f"{unit}.service", program + words):
        systemctl("start", unit)
        found: dict[str, str] = json.loads(Path("/run/trespass.json").read_text())
    return found


@pytest.mark.parametrize("unit", FOLDERS)
def test_what_is_forbidden_is_refused_and_what_is_needed_is_not(unit: str) -> None:
    found = inside(unit)
    print(json.dumps(found, indent=1))
    assert {name: found[name] for name in FORBIDDEN if found[name] not in FORBIDDEN[name]} == {}
    assert {name: found[name] for name in NEEDED} == dict.fromkeys(NEEDED, "done")
    station = {name: found[name] for name in ONLY_A_STATION}
    assert (set(station.values()) == {"done"}) == (unit == "edged")
    assert "done" not in station.values() or unit == "edged"
    assert found["write and execute memory"] == ("EPERM" if unit == "edged-bridge" else "done")


LOOSE = """ProtectSystem=no
ProtectHome=no
PrivateTmp=no
PrivateUsers=no
ProtectProc=default
RestrictSUIDSGID=no
RestrictNamespaces=no
RestrictAddressFamilies=
RestrictAddressFamilies=AF_UNIX AF_INET AF_NETLINK
LockPersonality=no
SystemCallFilter=
DevicePolicy=auto
DeviceAllow=
"""
POSSIBLE = (
    "write to the system",
    "write to its own program",
    "read a home",
    "read what others left in /tmp",
    "see other users",
    "see other processes",
    "make a program that changes the user",
    "make a namespace",
    "open a netlink socket",
    "change the personality",
    "trace a process",
    "change its priority",
    "open a device of another kind",
)
"""What nothing but those lines keeps an ordinary user from. The other attempts are refused by
several things at once: no capability, the filter of calls, a line of their own.
"""


def test_without_these_lines_it_would_be_done() -> None:
    """Else the refusals above would say nothing about the unit."""
    assert inside("edged", LOOSE, POSSIBLE) == dict.fromkeys(POSSIBLE, "done")


def test_shared_memory_is_not_left_behind() -> None:
    left = Path("/dev/shm/edged-left")
    program = python("import time", f"open({str(left)!r}, 'x')", REST)
    with changed("edged.service", CALM + program):
        systemctl("start", "edged")
        wait_for(left.exists)
    wait_for(lambda: not left.exists())


# --- limits ------------------------------------------------------------------------------------


@pytest.mark.parametrize("unit", FOLDERS)
def test_who_takes_too_much_memory_is_ended_and_started_again(unit: str) -> None:
    limit = 64 << 20  # so that the emulated machine need not fill its whole memory
    assert int(shows(unit, "MemoryMax")) > limit
    words = f"{CALM}Restart=always\nRestartSec=1\nMemoryMax={limit}\n{python(*HOG)}"
    with changed(f"{unit}.service", words):
        systemctl("start", unit)
        wait_for(lambda: int(shows(unit, "NRestarts")) >= 2, 120)
        assert "killed by the OOM killer" in journal(unit)
        assert os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") > limit


def test_a_neighbour_that_takes_too_much_memory_does_not_end_the_station() -> None:
    """The private broker and the bridge of a one-machine shop live in the station's unit."""
    hog = "\n".join(HOG)
    program = python(
        "import subprocess, sys, time",
        f"print(subprocess.call([sys.executable, '-c', {hog!r}]), flush=True)",
        REST,
    )
    told = Path("/run/told")
    words = f"{CALM}MemoryMax=64M\nStandardOutput=truncate:{told}\n{program}"
    with changed("edged.service", words):
        systemctl("start", "edged")
        wait_for(lambda: told.exists() and told.read_text() == "-9\n", 120)
        assert shows("edged", "ActiveState") == "active"
        assert shows("edged", "NRestarts") == "0"


@pytest.mark.parametrize("unit", FOLDERS)
def test_a_service_has_no_more_threads_than_its_limit(unit: str) -> None:
    program = python(
        "import threading, time",
        "for n in range(500): threading.Thread(target=time.sleep, args=(2,)).start()",
    )
    with changed(f"{unit}.service", f"{CALM}Type=oneshot\n{program}"):
        assert subprocess.run(["systemctl", "start", unit], check=False).returncode != 0
        assert "can't start new thread" in journal(unit)


CALM = "Type=exec\nRestart=no\nWatchdogSec=0\nNotifyAccess=none\n"
HOG = ("taken = []", "while True: taken.append(b'x' * (1 << 20))")
REST = "time.sleep(600)"


def python(*lines: str) -> str:
    """Words of a unit that runs this program in place of its own."""
    file = Path("/usr/local/lib/edged-test.py")
    file.write_text("\n".join(lines) + "\n")
    file.chmod(0o644)
    return f"ExecStart=\nExecStart=/opt/edged/.venv/bin/python {file}"


def journal(unit: str) -> str:
    done = subprocess.run(
        ["journalctl", "-b", "-o", "cat", "-n", "100", "-u", unit],
        check=True, capture_output=True, text=True,
    )  # fmt: skip
    return done.stdout
