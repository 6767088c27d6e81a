"""What a process asked of the disk, as strace saw it.

A child under strace says where it is by writing words to /dev/null (`say`), which the trace shows
between its calls: what was synced between "asked" and "promised" is then a fact, not a belief.
"""

import os
import re
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
SYNCS = ("fsync", "fdatasync")
NAMES = (
    *("rename", "renameat", "renameat2", "link", "linkat"),
    *("unlink", "unlinkat", "mkdir", "mkdirat"),
)
MARKS = ("read", "write")

_LINE = re.compile(r"(?P<pid>\d+) +(?P<call>.*)")
_UNFINISHED = " <unfinished ...>"
_RESUMED = re.compile(r"<\.\.\. \w+ resumed>(?P<rest>.*)")
_CALL = re.compile(r"(?P<name>\w+)\((?P<arguments>.*)\) += (?P<result>-?\d+)")
_FD = re.compile(r"\d+<(?P<path>[^>]*)>")
_STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


def say(word: str) -> None:
    """In the child: a mark in the trace."""
    fd = os.open(os.devnull, os.O_WRONLY)
    os.write(fd, f"say {word}".encode())
    os.close(fd)


@dataclass(frozen=True, slots=True)
class Call:
    """A call that has returned without an error; `paths` are what it was about, and `text` the
    bytes that it read or wrote, as strace writes them.
    """

    name: str
    paths: tuple[str, ...]
    text: str = ""

    @property
    def what(self) -> str:
        """``sync edged.sqlite-wal``, ``rename a.part a``: the last parts of the paths."""
        verb = "sync" if self.name in SYNCS else re.sub(r"at2?$", "", self.name)
        return " ".join((verb, *(Path(path).name for path in self.paths)))


def strace(output: Path, *options: str) -> list[str]:
    """The command line before the program's own."""
    # The question mark: not every kind of machine has each of them.
    calls = ",".join(f"?{name}" for name in SYNCS + NAMES + MARKS)
    return ["strace", "-f", "-y", "-s", "200", "-e", f"trace={calls}", "-o", str(output), *options]


def environment() -> dict[str, str]:
    """For children that import this tree's rooms and the tests' support."""
    return os.environ | {"PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'tests'}"}


def traced(script: Path, *arguments: str | Path, output: Path) -> list[Call]:
    """Run a script of ours to its end."""
    command = [*strace(output), sys.executable, str(script), *map(str, arguments)]
    subprocess.run(command, check=True, env=environment(), timeout=55)
    return called(output)


def called(output: Path) -> list[Call]:
    """In the order in which the calls returned."""
    found = []
    begun: dict[str, str] = {}
    for line in output.read_text(errors="replace").splitlines():
        split = _LINE.fullmatch(line)
        if split is None:
            continue  # not written to its end yet
        pid, text = split["pid"], split["call"]
        if text.endswith(_UNFINISHED):
            begun[pid] = text.removesuffix(_UNFINISHED)
            continue
        if resumed := _RESUMED.match(text):
            text = begun.pop(pid, "") + resumed["rest"]
        call = _CALL.match(text)
        if call is not None and int(call["result"]) >= 0:
            found.append(_call(call["name"], call["arguments"]))
    return found


def _call(name: str, arguments: str) -> Call:
    strings = _STRING.findall(arguments)
    if name in SYNCS + MARKS:
        fd = _FD.match(arguments)
        return Call(name, (fd["path"],) if fd else (), "".join(strings[:1]))
    return Call(name, tuple(strings))


def between(trace: list[Call], begin: str, end: str) -> list[str]:
    """What was synced, renamed and removed between two words of the child, in order."""
    said = {
        call.text.removeprefix("say "): place
        for place, call in enumerate(trace)
        if call.name == "write" and call.paths == (os.devnull,)
    }
    return durable(trace[said[begin] : said[end]])


def durable(trace: list[Call]) -> list[str]:
    """Those calls that a power cut makes a difference to."""
    return [call.what for call in trace if call.name not in MARKS]


def injected(*faults: str) -> list[str]:
    """strace's command line to tamper with calls, as ``fsync:error=EIO:when=1`` (strace(1))."""
    return strace(
        Path(os.devnull), *(part for fault in faults for part in ("-e", f"inject={fault}"))
    )


def forbidden(path: Path) -> list[str]:
    """The same, to answer EPERM to who opens this path, as a unit's DeviceAllow does."""
    # A grandchild (-D), so that who kills our child kills the program; and one that ends when it is
    # told (-I 2), which it would not while it writes to a file.
    return [
        *("strace", "-D", "-I", "2", "-f", "-P", str(path), "-o", os.devnull),
        *("-e", "trace=openat", "-e", "inject=openat:error=EPERM"),
    ]


def allowed_again(pid: int) -> None:
    """End the strace that holds this process."""
    status = Path(f"/proc/{pid}/status").read_text()
    tracer = re.search(r"^TracerPid:\s+([1-9]\d*)$", status, re.MULTILINE)
    assert tracer, "nothing traces it"
    os.kill(int(tracer[1]), signal.SIGTERM)
