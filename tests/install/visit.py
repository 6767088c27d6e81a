"""What a newcomer types on an empty Debian, step by step with the time that each takes.

As root: python3 tests/install/visit.py NAME USER, in the checkout; `tools/debian` provides both.
Root installs while another program holds apt's locks for 20 s, as the upgrades after a boot do. An
ordinary user installs what `make install` asks for with root's help, as `sudo` would.

The one rule: it asserts what the documents promise, and stops at the first promise not kept.
"""

import fcntl
import os
import re
import signal
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

PATIENCE_S = 600
HELD_S = 20
LOCKS = ("/var/lib/apt/lists/lock", "/var/cache/apt/archives/lock", "/var/lib/dpkg/lock-frontend")


def main(name: str, user: str) -> None:
    visitor = Visitor(user)
    print(f"{name}, as {user}", flush=True)
    if user == "root":
        step("make install, while apt is busy for 20 s", visitor.installs_while_apt_is_busy)
    else:
        step("make install, with python3-venv by root", visitor.installs_with_help)
    step("edged --version", visitor.asks_the_version)
    step("make demo until it is ready, and its pages", visitor.sees_the_demo)
    step("Ctrl-C", visitor.ends_the_demo)


def step(what: str, do: Callable[[], str]) -> None:
    began = time.monotonic()
    result = do()
    print(f"  {what:45} {time.monotonic() - began:6.1f} s  {result}", flush=True)


class Visitor:
    def __init__(self, user: str) -> None:
        self._become = []
        if user != "root":
            self._become = ["runuser", "-u", user, "--", "env", f"HOME=/home/{user}"]

    def _start(self, *command: str) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [*self._become, *command],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True,
        )  # fmt: skip

    def _types(self, *command: str) -> tuple[int, str]:
        process = self._start(*command)
        said, _ = process.communicate(timeout=PATIENCE_S)
        return process.returncode, said

    def installs_while_apt_is_busy(self) -> str:
        locks = [Path(lock).open("w") for lock in LOCKS]  # noqa: SIM115 - the timer closes them
        for lock in locks:
            fcntl.lockf(lock, fcntl.LOCK_EX)
        threading.Timer(HELD_S, lambda: [lock.close() for lock in locks]).start()
        status, said = self._types("make", "install")
        assert status == 0, said
        assert "Waiting for apt, 300 s at most: " in said, said
        return ""

    def installs_with_help(self) -> str:
        status, said = self._types("make", "install")
        assert status != 0, said
        asked = re.search(r"sudo (apt-get install .*)", said)
        assert asked, said
        for command in ("apt-get -qq update", asked[1].replace("install", "-qq -y install")):
            subprocess.run(command.split(), check=True, capture_output=True)
        status, said = self._types("make", "install")
        assert status == 0, said
        return ""

    def asks_the_version(self) -> str:
        status, said = self._types(".venv/bin/edged", "--version")
        assert status == 0, said
        assert re.fullmatch(r"edged [0-9.]+\+g[0-9a-f]{7}\n", said), said
        return said.strip()

    def sees_the_demo(self) -> str:
        options = "DEMO=--no-browser --port 0 --bench-port 0"
        self._demo = self._start("make", "demo", options)
        killer = threading.Timer(PATIENCE_S, self._demo.kill)
        killer.start()
        assert self._demo.stdout is not None
        said, pages = "", list[str]()
        for line in self._demo.stdout:
            said += line
            pages += re.findall(r"^  \w+ +(http://\S+)", line)
            if line.startswith("Ctrl-C"):
                break
        killer.cancel()
        assert len(pages) == 5, said
        for page in pages:
            with urllib.request.urlopen(page, timeout=60) as answer:
                assert answer.status == 200, page
        return f"{len(pages)} pages: 200"

    def ends_the_demo(self) -> str:
        os.killpg(self._demo.pid, signal.SIGINT)  # as the terminal does
        said, _ = self._demo.communicate(timeout=60)
        assert "Traceback" not in said, said  # the status is make's own word for Ctrl-C
        left = [
            command
            for process in Path("/proc").glob("[0-9]*")
            if (command := (process / "cmdline").read_bytes().replace(b"\0", b" "))
            and b".venv" in command
        ]
        assert not left, left
        return "nothing runs any more"


if __name__ == "__main__":
    main(*sys.argv[1:])
