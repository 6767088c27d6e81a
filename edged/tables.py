"""CSV files as spreadsheets write them, and everything that is wrong in them.

The one rule: all mistakes at once, each with its line, its column and what to do; a file with one
mistake gives nothing.

Taken: UTF-8 (with or without BOM), UTF-16 with BOM, Windows-1252; columns separated by comma,
semicolon or tab; the first line names the columns, in any order and case.
"""

import csv
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from mqtt.settings import nearest

T = TypeVar("T")

_ZIP = b"PK\x03\x04"
"""How a file of Excel or LibreOffice begins."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """``members.csv, line 3, verdict: …``. Line 0: the file as a whole."""

    file: Path
    line: int
    column: str
    message: str

    def __str__(self) -> str:
        line = f", line {self.line}" if self.line else ""
        column = f", {self.column}" if self.column else ""
        return f"{self.file}{line}{column}: {self.message}"


class ImportRefused(Exception):
    """Nothing was imported. `mistakes` lists every reason."""

    def __init__(self, mistakes: Sequence[Mistake]) -> None:
        super().__init__("\n".join(str(mistake) for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Column(Generic[T]):
    """How one column is read. `parse` raises ValueError with what to do."""

    parse: Callable[[str], T]
    default: T | None = None
    """What an empty cell, or a missing column, stands for; None: there must be a value."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's lines, each with its number and its cells by column name."""

    file: Path
    columns: tuple[str, ...]
    lines: tuple[tuple[int, Mapping[str, str]], ...]


def read(file: Path) -> Table:
    """The cells as text. Raises `ImportRefused`, also for a file that cannot be read."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImportRefused([Mistake(file, 0, "", error.strerror or str(error))]) from error
    if content.startswith(_ZIP):
        why = "this is the spreadsheet itself: save it as CSV"
        raise ImportRefused([Mistake(file, 1, "", why)])
    try:
        text = _decoded(content)
    except UnicodeError:
        raise ImportRefused([Mistake(file, 1, "", "save the file as UTF-8")]) from None
    rows = _rows(file, text)
    try:
        line, header = next(rows)
    except StopIteration:
        raise ImportRefused([Mistake(file, 1, "", "the file is empty")]) from None
    columns = tuple(name.strip().lower() for name in _to_the_last(header))
    mistakes: list[Mistake] = []
    lines = []
    for line, all_cells in rows:
        cells = _to_the_last(all_cells)
        if len(cells) > len(columns):
            mistakes.append(
                Mistake(
                    file,
                    line,
                    "",
                    f"{len(cells)} values for {len(columns)} columns: put a value that holds the "
                    "separator between double quotes",
                )
            )
        lines.append((line, dict(zip(columns, (cell.strip() for cell in cells), strict=False))))
    if mistakes:
        raise ImportRefused(mistakes)
    return Table(file, columns, tuple(lines))


def parse(
    table: Table, columns: Mapping[str, Column[object]]
) -> list[tuple[int, dict[str, object]]]:
    """Every line's values, with its number. Raises `ImportRefused`."""
    mistakes = [
        Mistake(table.file, 1, name, f"there is no such column.{nearest(name, columns)}")
        for name in table.columns
        if name not in columns
    ]
    mistakes += [
        Mistake(table.file, 1, name, "this column is missing")
        for name, column in columns.items()
        if column.default is None and name not in table.columns
    ]
    mistakes += [
        Mistake(table.file, 1, name, "this column is there twice")
        for name in sorted({name for name in table.columns if table.columns.count(name) > 1})
    ]
    if not mistakes and not table.lines:
        # It would empty what the station has, which nobody does with a file.
        mistakes.append(Mistake(table.file, 1, "", "there is no line below the columns' names"))
    if mistakes:
        raise ImportRefused(mistakes)
    found = []
    for line, cells in table.lines:
        values: dict[str, object] = {}
        for name, column in columns.items():
            text = cells.get(name, "")
            try:
                values[name] = _value(column, text)
            except ValueError as error:
                mistakes.append(Mistake(table.file, line, name, str(error)))
        found.append((line, values))
    if mistakes:
        raise ImportRefused(mistakes)
    return found


def _value(column: Column[object], text: str) -> object:
    if text:
        return column.parse(text)
    if column.default is None:
        raise ValueError("a value is missing")
    return column.default


def _decoded(content: bytes) -> str:
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16")
    if b"\0" in content:  # UTF-16 that does not say so, or no text at all
        raise UnicodeError
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return content.decode("cp1252")


def _to_the_last(cells: Sequence[str]) -> Sequence[str]:
    """Without the empty cells at the end: spreadsheets write columns that were once in use."""
    used = len(cells)
    while used and not cells[used - 1].strip():
        used -= 1
    return cells[:used]


def _rows(file: Path, text: str) -> Iterator[tuple[int, list[str]]]:
    """Lines that are not blank, with the number of the line on which each begins."""
    header = text.lstrip().partition("\n")[0]
    delimiter = max(";,\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield line, cells
            line = reader.line_num + 1
    except csv.Error as error:
        message = f"{error}: look for a double quote that is not closed"
        raise ImportRefused([Mistake(file, line, "", message)]) from error
