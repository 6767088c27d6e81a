"""Files that released versions of the program wrote, as dumps: ``released/version-N.sql`` in the
folder of the tests that open them.
"""

import sqlite3
from contextlib import closing
from pathlib import Path


def dumps(beside: str) -> list[Path]:
    """Those in the folder of the test file `beside`, oldest first."""
    return sorted((Path(beside).parent / "released").iterdir(), key=version)


def version(dump: Path) -> int:
    return int(dump.stem.removeprefix("version-"))


def restore(dump: Path, file: Path) -> None:
    """Make that file again."""
    with closing(sqlite3.connect(file)) as connection:
        connection.execute("PRAGMA journal_mode = WAL").close()
        connection.executescript(dump.read_text("utf-8"))
