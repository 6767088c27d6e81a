"""Tries what a service may not do, from inside it, and prints what came of each attempt as JSON:
"done", or the name of the error (``EPERM``), or another word for a refusal.

Run by tests/vm/guest/test_sandbox.py in place of the service's program, as ``trespass.py FOLDER
[NAME…]``: FOLDER is the service's own, the names are those of the attempts (default: all).
"""

import ctypes
import errno
import json
import mmap
import os
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

libc = ctypes.CDLL(None, use_errno=True)
CLONE_NEWUSER = 0x10000000
PTRACE_TRACEME = 0
ADDR_NO_RANDOMIZE = 0x0040000
SYSLOG_READ_ALL = 3
ADJ_STATUS = 0x0010


def call(name: str, *arguments: object) -> str:
    """A function of the C library that returns -1 when it fails."""
    ctypes.set_errno(0)
    if getattr(libc, name)(*arguments) == -1:
        return errno.errorcode[ctypes.get_errno()]
    return "done"


def adjtimex(modes: int) -> str:
    timex = bytearray(512)  # struct timex of linux/timex.h and more; `modes` stands first
    struct.pack_into("I", timex, 0, modes)
    return call("adjtimex", ctypes.byref(ctypes.c_char.from_buffer(timex)))


def write(path: str) -> str:
    Path(path).write_text("edged was here")
    return "done"


def read(path: str) -> str:
    return "done" if Path(path).read_bytes() else "empty"


def open_device(path: str) -> str:
    os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
    return "done"


def open_socket(family: int, kind: int = socket.SOCK_DGRAM) -> str:
    socket.socket(family, kind).close()
    return "done"


def listen() -> str:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname()).close()
    return "done"


def become_root() -> str:
    told = subprocess.run(
        ["/usr/local/bin/suid-id", "-u"], check=False, capture_output=True, text=True
    )
    return "done" if told.stdout.strip() == "0" else "nothing happened"


def make_suid(folder: str) -> str:
    file = Path(folder) / "suid"
    file.touch()
    file.chmod(0o4755)
    return "done"


def write_and_execute() -> str:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()
    return "done"


def realtime() -> str:
    os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    return "done"


def priority() -> str:
    os.setpriority(os.PRIO_PROCESS, 0, 1)
    return "done"


def set_clock() -> str:
    time.clock_settime(time.CLOCK_REALTIME, time.time())
    return "done"


def make_folder(path: str) -> str:
    Path(path).mkdir()
    return "done"


def see_other_users() -> str:
    whole = Path("/proc/self/uid_map").read_text().split() == ["0", "0", str(2**32 - 1)]
    return "done" if whole else "not mapped"


def see_other_processes() -> str:
    return "done" if Path("/proc/1/status").exists() else "hidden"


def run_programs() -> str:
    subprocess.run([sys.executable, "-c", "0"], check=True)
    return "done"


def decode_a_picture() -> str:
    from support.cameras import decodes, picture  # it takes long, and few attempts need it

    return "done" if decodes(picture()) else "failed"


def attempts(folder: str) -> dict[str, Callable[[], str]]:
    return {
        # What no service may.
        "write to the system": lambda: write("/usr/edged-was-here"),
        "write to its own program": lambda: write("/opt/edged/edged-was-here"),
        "write to the configuration": lambda: write("/etc/edged/edged-was-here"),
        "read a home": lambda: read("/home/volunteer/note"),
        "read what others left in /tmp": lambda: read("/tmp/note"),
        "become root by a program": become_root,
        "make a program that changes the user": lambda: make_suid(folder),
        "mount": lambda: call("mount", b"none", b"/tmp", b"tmpfs", 0, None),
        "make a namespace": lambda: call("unshare", CLONE_NEWUSER),
        "trace a process": lambda: call("ptrace", PTRACE_TRACEME, 0, 0, 0),
        "open a packet socket": lambda: open_socket(socket.AF_PACKET, socket.SOCK_RAW),
        "open a netlink socket": lambda: open_socket(socket.AF_NETLINK),
        "set the clock": set_clock,
        "change how the clock is kept": lambda: adjtimex(ADJ_STATUS),
        "run in real time": realtime,
        "change its priority": priority,
        "change the personality": lambda: call("personality", ADDR_NO_RANDOMIZE),
        "change the host's name": lambda: call("sethostname", b"edged", 5),
        "change the kernel": lambda: write("/proc/sys/kernel/core_pattern"),
        "make a control group": lambda: make_folder("/sys/fs/cgroup/edged"),
        "read the kernel's log": lambda: call("klogctl", SYSLOG_READ_ALL, b" " * 99, 99),
        "load a module": lambda: call("syscall", 175, b"", 0, b""),
        "restart the machine": lambda: call("reboot", 0),
        "see other users": see_other_users,
        "see other processes": see_other_processes,
        "open a device of another kind": lambda: open_device("/dev/fuse"),
        "open the memory": lambda: open_device("/dev/mem"),
        # What one may and another may not.
        "ask whether the clock is right": lambda: adjtimex(0),
        "open a serial line": lambda: open_device("/dev/ttyS1"),
        "write and execute memory": write_and_execute,
        # What both need.
        "write to its own folder": lambda: write(f"{folder}/note"),
        "connect": listen,
        "speak to systemd": lambda: open_socket(socket.AF_UNIX),
        "run a program": run_programs,
        "decode a picture": decode_a_picture,
    }


def outcome(attempt: Callable[[], str]) -> str:
    try:
        return attempt()
    except OSError as error:
        return errno.errorcode[error.errno or 0]


if __name__ == "__main__":
    folder, *names = sys.argv[1:]
    known = attempts(folder)
    print(json.dumps({name: outcome(known[name]) for name in names or known}))
