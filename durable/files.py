"""Files that must survive a power cut, and the lock on a folder.

The one rule: a file appears under its name whole and for good, or not at all. Its bytes are on the
disk (fsync) before it gets the name, and the name is (fsync of the folder) before anybody is told.
"""

import contextlib
import fcntl
import os
from pathlib import Path

from durable.errors import StoreBusy

LOCK = "lock"
_IN_MEMORY = ("RUNTIME_DIRECTORY", "XDG_RUNTIME_DIR")
"""Variables that name a folder in memory, best first (systemd.exec(5))."""


def write_whole(path: Path, content: bytes) -> None:
    """Put `content` under `path` (mode 0600) in place of what was there. Raises OSError; then what
    was there before still is.
    """
    draft = path.with_name(f"{path.name}.part")
    try:
        fd = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        with os.fdopen(fd, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def memory_folder() -> str | None:
    """A folder in memory that this process may write to: a service's own, a user's, or everybody's
    (make a private one in it). None: the system's folder for temporary files must do.
    """
    named = [os.environ.get(name, "").split(":")[0] for name in _IN_MEMORY]
    for place in (*named, "/dev/shm"):  # noqa: S108 - mkdtemp makes a folder in it ours alone
        if place and os.access(place, os.W_OK):
            return place
    return None


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_folder(folder: Path, mode: int = 0o700) -> None:
    """Make `folder` and what is missing above it; leave one that is there. Raises OSError.

    Their names are made durable, because no file outlives the name of its folder.
    """
    if folder.is_dir():
        return
    make_folder(folder.parent, 0o777)
    folder.mkdir(mode, exist_ok=True)
    sync_folder(folder.parent)


def lock_folder(folder: Path) -> int:
    """Hold `folder` (made if missing, 0700) until the returned descriptor is closed.

    An flock: it goes with the process, however the process goes. Raises `StoreBusy` when another
    process holds it, and OSError.
    """
    make_folder(folder)
    flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC
    return _hold(os.open(folder / LOCK, flags, 0o600), folder)


def lock_read_only(folder: Path) -> int | None:
    """The same where nothing can be written; None when nobody ever locked this folder."""
    try:
        fd = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    return _hold(fd, folder)


def _hold(fd: int, folder: Path) -> int:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        raise StoreBusy("store.busy", path=str(folder)) from None
    except BaseException:
        os.close(fd)
        raise
    return fd
