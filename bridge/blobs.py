"""The binary parts of facts (photos), as files beside the inbox.

The one rule: a name is a fact's id and nothing else may become a path; a file is whole and on the
disk before it has its name, and is given out only when it is what its fact says.
"""

import contextlib
import hashlib
import re
import time
from collections.abc import Container
from pathlib import Path

from durable.files import write_whole

_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
UNCLAIMED_S = 7 * 86_400
"""A blob whose fact never came is kept this long."""


class Blobs:
    """Files of mode 0600 in `folder`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._folder = folder

    @staticmethod
    def valid(fact_id: str) -> bool:
        return _ID.fullmatch(fact_id) is not None

    def put(self, fact_id: str, content: bytes) -> None:
        """Write and fsync; the last one put under a name counts. Raises OSError."""
        write_whole(self._folder / fact_id, content)

    def get(self, fact_id: str, sha256: str, size: int) -> bytes | None:
        """The bytes, if they are there and the right ones."""
        if not self.valid(fact_id):
            return None
        try:
            content = (self._folder / fact_id).read_bytes()
        except FileNotFoundError:
            return None
        right = len(content) == size and hashlib.sha256(content).hexdigest() == sha256
        return content if right else None

    def drop(self, fact_id: str) -> None:
        if self.valid(fact_id):
            with contextlib.suppress(FileNotFoundError):
                (self._folder / fact_id).unlink()

    def prune(self, keep: Container[str]) -> None:
        """Remove old files whose fact is not among `keep`."""
        before = time.time() - UNCLAIMED_S
        for file in self._folder.iterdir():
            if file.name not in keep and file.stat().st_mtime < before:
                file.unlink(missing_ok=True)
