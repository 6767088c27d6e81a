"""The binary parts of facts: a kept portrait is a file (0600) beside the database.

The one rule: the file and its name are on the disk before the fact's row is, and the row says
"done" on the disk before the file goes. A file without a row is what a crash left: it is removed
at the next start, and nobody was promised anything about it.
"""

import contextlib
from collections.abc import Container, Iterable
from pathlib import Path

from durable.errors import refusal
from durable.files import make_folder, write_whole


class Attachments:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, wanted: Container[str], *, keep: Path | None = None) -> None:
        """Make the folder; remove every file whose fact's id is not in `wanted`.

        `keep`: a damaged store was set aside under this path; what only it knew is set aside too.
        """
        make_folder(self._folder)
        for file in self._folder.iterdir():
            if file.suffix == ".jpg" and file.stem in wanted:
                continue
            if keep is None:
                file.unlink()
            else:
                aside = keep.with_name(f"{self._folder.name}{keep.suffix}")
                aside.mkdir(mode=0o700, exist_ok=True)
                file.rename(aside / file.name)

    def path(self, fact_id: str) -> Path:
        return self._folder / f"{fact_id}.jpg"

    def find(self, fact_id: str) -> Path | None:
        """The file, if it is still there."""
        path = self.path(fact_id)
        return path if path.exists() else None

    def write(self, fact_id: str, content: bytes) -> None:
        """Put `content` on the disk, fsync of file and folder included. Raises `StoreFull`."""
        try:
            write_whole(self.path(fact_id), content)
        except OSError as error:
            raise refusal(error) from error

    def remove(self, fact_ids: Iterable[str]) -> None:
        for fact_id in fact_ids:
            with contextlib.suppress(OSError):
                self.path(fact_id).unlink(missing_ok=True)
