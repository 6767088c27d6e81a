"""A store on a disk that takes nothing: opened as a copy in memory, to answer and not to record.

The one rule: nobody is told "recorded" before it is on the real disk. A sheltered store refuses
every fact and says why; it answers badges, prices and the status page, which need no disk.
"""

import os
import shutil
import sqlite3
import tempfile
from hashlib import sha256
from pathlib import Path

from durable.errors import StoreError, StoreFull, refusal
from durable.files import LOCK, memory_folder
from durable.reserve import SIZE
from store.opening import FILE, LOG


def shelter(folder: Path) -> Path:
    """Copy the store's file and its logs to a folder in memory. Raises OSError."""
    place = Path(memory_folder() or tempfile.gettempdir())
    ours = f"edged-store-{sha256(str(folder.absolute()).encode()).hexdigest()[:12]}-"
    for left in place.glob(f"{ours}*"):  # by a station that was killed
        shutil.rmtree(left, ignore_errors=True)
    made = Path(tempfile.mkdtemp(prefix=ours, dir=place))
    for name in (FILE, f"{FILE}-wal", LOG):
        if (folder / name).exists():
            shutil.copyfile(folder / name, made / name)
    return made


def takes_facts(folder: Path) -> bool:
    """Whether the disk has room again and lets us write, by writing; and whether what stands under
    the names of our files is files that can be opened.
    """
    probe = folder / "probe"
    try:
        disk = os.statvfs(folder)
        if disk.f_bavail * disk.f_frsize < 2 * SIZE:
            return False
        fd = os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            os.posix_fallocate(fd, 0, 4096)
            os.fsync(fd)
        finally:
            os.close(fd)
            probe.unlink(missing_ok=True)
        for name in (LOCK, FILE, f"{FILE}-wal", f"{FILE}-shm"):
            if os.path.lexists(folder / name):
                os.close(os.open(folder / name, os.O_RDWR | os.O_CLOEXEC))
    except OSError:
        return False
    return True


def why_refused(error: OSError | sqlite3.Error, folder: Path) -> Exception:
    """What is wrong with the disk: SQLite calls it an I/O error when there is no room for its
    shared memory, so the disk itself is asked.
    """
    if isinstance(error, PermissionError):
        return StoreError("store.permission", path=str(folder))
    refused = refusal(error, path=str(folder))
    if isinstance(refused, StoreFull) and refused.key == "store.unwritable":
        try:
            disk = os.statvfs(folder)
        except OSError:
            return refused
        if disk.f_flag & os.ST_RDONLY:
            return StoreFull("store.read_only", path=str(folder))
        if disk.f_bavail * disk.f_frsize < SIZE:
            return StoreFull("store.full", path=str(folder))
    return refused
