"""Which edged this is: the version and, in a git checkout, the commit: ``0.1.0+g1a2b3c4``.

The one rule: it reads files and never runs git, which may be missing, slow, or refuse to work in a
folder of another user. What it does not understand leaves the version alone.
"""

import hashlib
import re
import struct
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import edged

_HASH = re.compile(r"[0-9a-f]{40}")
_SHOWN = 7
_BESIDE = ("tests/", "bench/", "docs/")
"""Folders of which nothing runs at a station."""


def build_of(root: Path) -> str:
    """``0.1.0+g1a2b3c4`` for the folder that holds the packages, with ``-dirty`` where a file of
    the program is not as git has it in its index.
    """
    with suppress(OSError, ValueError, struct.error):
        git = _git_folder(root)
        commit = _commit(git)
        dirty = "-dirty" if any(_changed(root, git / "index")) else ""
        return f"{edged.__version__}+g{commit[:_SHOWN]}{dirty}"
    return edged.__version__


def _git_folder(root: Path) -> Path:
    """``.git``, or the folder that it points to in a worktree (gitrepository-layout(5))."""
    git = root / ".git"
    if git.is_file():
        git = root / git.read_text("utf-8").removeprefix("gitdir: ").strip()
    return git


def _commit(git: Path) -> str:
    """What HEAD stands on. Raises ValueError where that cannot be told."""
    head = (git / "HEAD").read_text("utf-8").strip()
    if not head.startswith("ref: "):
        return _hash(head)
    name = head.removeprefix("ref: ")
    common = git / "commondir"  # a worktree's branches are with those of its repository
    shared = git / common.read_text("utf-8").strip() if common.exists() else git
    if (shared / name).is_file():
        return _hash((shared / name).read_text("utf-8").strip())
    for line in (shared / "packed-refs").read_text("utf-8").splitlines():
        if line.endswith(f" {name}"):
            return _hash(line.split()[0])
    raise ValueError(f"no {name}")


def _hash(text: str) -> str:
    if not _HASH.fullmatch(text):
        raise ValueError("no commit")
    return text


def _changed(root: Path, index: Path) -> Iterator[bool]:
    """For each file of the program, whether it has another content (gitformat-index(5))."""
    data = index.read_bytes()
    mark, version, count = struct.unpack_from(">4sLL", data)
    if mark != b"DIRC" or version not in (2, 3):
        raise ValueError("another format")
    at = 12
    for _ in range(count):
        seconds, nanoseconds, size, blob, flags = struct.unpack_from(">8x2L20xL20sH", data, at)
        begin = at + (64 if flags & 0x4000 else 62)
        end = data.index(b"\0", begin)
        at += (end - at + 8) // 8 * 8
        name = data[begin:end].decode()
        if not name.startswith(_BESIDE) and not name.endswith(".md"):
            yield _differs(root / name, seconds * 10**9 + nanoseconds, size, blob)


def _differs(file: Path, changed_ns: int, size: int, blob: bytes) -> bool:
    try:
        now = file.stat()
    except FileNotFoundError:
        return True
    if now.st_size != size:
        return True
    if now.st_mtime_ns == changed_ns:
        return False
    content = file.read_bytes()  # touched or copied: git, too, then looks into the file
    return hashlib.sha1(b"blob %d\0" % size + content, usedforsecurity=False).digest() != blob


BUILD = build_of(Path(__file__).parents[1])
"""This program's, as it was started: `git pull` changes the files and not what runs."""
