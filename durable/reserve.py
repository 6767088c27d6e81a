"""Four megabytes that are kept free by being occupied.

The one rule: when the disk is full they are given back, so that acknowledgements and the journal
can still be written; and no fact is taken until they could be put back.
"""

import contextlib
import os
from pathlib import Path

SIZE = 4 << 20


class Reserve:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.held = False
        """Whether it is in place."""

    def hold(self) -> bool:
        """Whether there is room for facts: the reserve is in place, or could be put back."""
        if not self.held:
            self.held = self._fill()
        return self.held

    def release(self) -> None:
        """Give the space back: the disk is full."""
        self.held = False
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)

    def _fill(self) -> bool:
        try:
            if self._path.exists() and self._path.stat().st_size == SIZE:
                return True
            disk = os.statvfs(self._path.parent)
            if disk.f_bavail * disk.f_frsize < 2 * SIZE:
                return False
            fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, SIZE)
            finally:
                os.close(fd)
        except OSError:
            self.release()
            return False
        return True
