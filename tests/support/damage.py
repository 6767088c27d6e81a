"""What a failing card does to a SQLite file, and what somebody changes behind a station's back."""

import sqlite3
from contextlib import closing
from pathlib import Path

PAGE = 4096
_INTERIOR = (2, 5)
"""First bytes of the pages of an index, or of a table, that only lead to others."""


def change(path: Path, sql: str, *values: object) -> int:
    """Change rows; how many were changed."""
    with closing(sqlite3.connect(path)) as connection:
        changed = connection.execute(sql, values).rowcount
        connection.commit()
    return changed


def change_fact(path: Path, old: str, new: str) -> None:
    """Change a word of the one fact in which it stands."""
    sql = (
        "UPDATE outbox SET body = CAST(replace(CAST(body AS TEXT), ?, ?) AS BLOB)"
        " WHERE instr(CAST(body AS TEXT), ?)"
    )
    assert change(path, sql, old, new, old) == 1


def damage(path: Path, at: int = 0, length: int = PAGE) -> None:
    """Overwrite a part of the file, and nothing behind its end."""
    length = min(length, path.stat().st_size - at)
    assert length > 0
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * length)


def spoil(path: Path, table: str) -> None:
    """Damage the first page of a table."""
    damage(path, at=root_of(path, table))


def flip(path: Path, at: int, bits: int = 1) -> None:
    """Flip bits of one byte."""
    content = bytearray(path.read_bytes())
    content[at] ^= bits
    path.write_bytes(content)


def root_of(path: Path, table: str) -> int:
    """Where the first page of a table begins."""
    with closing(sqlite3.connect(path)) as connection:
        sql = "SELECT rootpage FROM sqlite_master WHERE name = ?"
        (page,) = connection.execute(sql, (table,)).fetchone()
    return (int(page) - 1) * PAGE


def pages_of(path: Path, table: str) -> list[int]:
    """Where the pages begin that hold a table's rows, in their order. SQLite's own `dbstat` is not
    compiled in everywhere (https://www.sqlite.org/fileformat2.html, 1.6).
    """
    root, content = root_of(path, table), path.read_bytes()

    def below(start: int) -> list[int]:
        if content[start] not in _INTERIOR:
            return [start]
        cells = int.from_bytes(content[start + 3 : start + 5], "big")
        pointers = range(start + 12, start + 12 + 2 * cells, 2)
        places = [start + int.from_bytes(content[at : at + 2], "big") for at in pointers]
        children = [int.from_bytes(content[at : at + 4], "big") for at in (*places, start + 8)]
        return [leaf for child in children for leaf in below((child - 1) * PAGE)]

    return below(root)
