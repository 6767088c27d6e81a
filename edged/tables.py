"""CSV files as spreadsheets write them, and everything that is wrong in them.

The one rule: all mistakes at once, each with its line, its column and what to do; a file with one
mistake gives nothing.

Taken: UTF-8 and UTF-16, with or without BOM, and what Windows, Mac, MS-DOS and Linux write with one
byte a letter (see `charset`); columns separated by comma, semicolon or tab, or as a first line
``sep=;`` says; the first line names the columns, in any order and case, in English, French or
Spanish.
"""

import codecs
import csv
import io
import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

from edged import charset
from mqtt.settings import nearest

T = TypeVar("T")

_Row = tuple[int, list[str]]
"""The line on which it begins, and its cells."""

_LINE_END = re.compile(r"\r\n|\r|\n")
_SEP = re.compile(r'"?sep=(.)"?[;,\t ]*', re.IGNORECASE)
"""The first line of files made for Excel, which reads it and does not show it."""
_DOS_END = b"\x1a"
_TWICE = re.compile(
    "\u00e2\u20ac.|[\u00c2-\u00c5][\u0080-\u00bf\u0152-\u0192\u02c6-\u02dc\u2013-\u2122]"
)
"""A letter of two UTF-8 bytes that was read as two letters of Windows: ``Ã©``."""
_LONG = re.compile(r"(?=[\w,]{6})(?=(?:[\w,]*\d){4})(\w\w)[\w,]*")
"""Six characters or more with four digits: what a badge number is, and a date is not."""
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
    also: tuple[str, ...] = ()
    """Its names in French and Spanish, as `bare` writes them."""
    note: str = ""
    """What to know before another column is renamed to it."""


@dataclass(frozen=True, slots=True)
class Table:
    """A file's lines, each with its number and its cells by column name."""

    file: Path
    columns: tuple[str, ...]
    lines: tuple[tuple[int, Mapping[str, str]], ...]
    header: int = 1
    """The line that names the columns."""


Columns = Mapping[str, Column[object]]


def bare(name: str) -> str:
    """A column's name as it is compared: ``N° de badge`` is ``ndebadge``."""
    letters = unicodedata.normalize("NFKD", name).casefold()
    return "".join(char for char in letters if char.isascii() and char.isalnum())


def named(name: str, columns: Columns) -> str | None:
    """The column that is meant by a name in the first line."""
    wanted = bare(name)
    return next(
        (known for known, column in columns.items() if wanted in (bare(known), *column.also)), None
    )


def read(file: Path, encoding: str | None = None, private: Container[str] = ()) -> Table:
    """The cells as text. Raises `ImportRefused`, also for a file that cannot be read.

    `encoding` (one of `charset.ENCODINGS`) is for a file that neither is UTF-8 nor says what it is;
    `private` are the bare names of columns whose cells no message repeats.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise ImportRefused([Mistake(file, 0, "", error.strerror or str(error))]) from error
    if content.startswith(_ZIP):
        why = "this is the spreadsheet itself: save it as CSV"
        raise ImportRefused([Mistake(file, 1, "", why)])
    text, one_byte = _decoded(file, content)
    rows = list(_rows(file, text))
    if not rows:
        raise ImportRefused([Mistake(file, 1, "", "the file is empty")])
    if one_byte:
        rows = _with_letters(file, rows, encoding, private)
    (line, header), *below = rows
    columns = tuple(name.strip().lower() for name in _to_the_last(header))
    table = Table(
        file,
        columns,
        tuple(
            (at, dict(zip(columns, (cell.strip() for cell in _to_the_last(cells)), strict=False)))
            for at, cells in below
        ),
        line,
    )
    mistakes = [
        Mistake(
            file,
            at,
            "",
            f"{len(cells)} values for {len(columns)} columns: put a value that holds the "
            "separator between double quotes",
        )
        for at, cells in ((at, _to_the_last(cells)) for at, cells in below)
        if len(cells) > len(columns)
    ]
    mistakes += [
        Mistake(file, at, shown(columns[n]) if n < len(columns) else "", why)
        for at, cells in rows
        for n, cell in enumerate(cells)
        if (why := _damage(cell))
    ]
    if mistakes:
        raise ImportRefused(sorted(mistakes, key=lambda mistake: mistake.line))
    return table


def parse(table: Table, columns: Columns) -> list[tuple[int, dict[str, object]]]:
    """Every line's values, with its number. Raises `ImportRefused`."""
    meant = {name: named(name, columns) for name in table.columns}
    names = [meant[name] for name in table.columns]
    mistakes = [
        Mistake(table.file, table.header, shown(name), _no_such(name, columns))
        for name, known in meant.items()
        if known is None
    ]
    mistakes += [
        Mistake(table.file, table.header, name, "this column is missing")
        for name, column in columns.items()
        if column.default is None and name not in names
    ]
    mistakes += [
        Mistake(table.file, table.header, name, "this column is there twice")
        for name in sorted({name for name in names if name and names.count(name) > 1})
    ]
    if not mistakes and not table.lines:
        # It would empty what the station has, which nobody does with a file.
        why = "there is no line below the columns' names"
        mistakes.append(Mistake(table.file, table.header, "", why))
    if mistakes:
        raise ImportRefused(mistakes)
    found = []
    for line, cells in table.lines:
        given = {meant[name]: text for name, text in cells.items()}
        values: dict[str, object] = {}
        for name, column in columns.items():
            try:
                values[name] = _value(column, given.get(name, ""))
            except ValueError as error:
                mistakes.append(Mistake(table.file, line, name, str(error)))
        found.append((line, values))
    if mistakes:
        raise ImportRefused(mistakes)
    return found


def shown(name: str) -> str:
    """A name or a value as a message tells it: it may be a badge number in a wrong place."""
    seen = "".join(char if char.isprintable() else "·" for char in name)
    return _LONG.sub(r"\1…", seen)


def _no_such(name: str, columns: Columns) -> str:
    advice = nearest(shown(name), columns)
    close = re.search("Did you mean '(.*)'", advice)
    note = columns[close[1]].note if close else ""
    return f"there is no such column.{advice}" + (f" That is {note}." if note else "")


def _value(column: Column[object], text: str) -> object:
    if text:
        return column.parse(text)
    if column.default is None:
        raise ValueError("a value is missing")
    return column.default


def _decoded(file: Path, content: bytes) -> tuple[str, bool]:
    """The text, and whether its letters are still to be found: each is one byte then."""
    declared = _declared(content)
    try:
        if declared.startswith("utf-16"):
            return content.decode(declared), False
        content = content.removesuffix(_DOS_END)
        return content.decode("utf-8-sig"), False
    except UnicodeDecodeError as error:
        if not declared:
            return content.decode("latin-1"), True
        line = 1 + content[: error.start].decode(declared, "ignore").count("\n")
        why = (
            f"the file says that it is {declared[:6].upper()}, and this line is not: save it again"
        )
        raise ImportRefused([Mistake(file, line, "", why)]) from None


def _declared(content: bytes) -> str:
    """The encoding that the file's first bytes tell, or ""."""
    if content.startswith(codecs.BOM_UTF8):
        return "utf-8"
    if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    # UTF-16 without its mark: every second byte of the beginning is zero.
    for n, name in enumerate(("utf-16-be", "utf-16-le")):
        zeros, others = content[n:8:2], content[1 - n : 8 : 2]
        if len(zeros) > 1 and not any(zeros) and all(others):
            return name
    return ""


def _with_letters(
    file: Path, rows: Sequence[_Row], encoding: str | None, private: Container[str]
) -> list[_Row]:
    """The rows, of which each character is one byte as yet, with the letters that are meant."""
    places = [
        (line, n, cell.encode("latin-1"))
        for line, cells in rows
        for n, cell in enumerate(cells)
        if not cell.isascii()
    ]
    other = [(line, n) for line, n, cell in places if not _is_utf8(cell)]
    if not other:
        encoding = "utf-8"  # what is none stands between the cells, and is nothing
    elif len(other) < len(places):
        line, n = other[0]
        why = (
            "this is not UTF-8 as other lines are: if two files were put together, save each of "
            "them as CSV UTF-8 before"
        )
        raise ImportRefused([Mistake(file, line, _name(rows, n), why)])
    if encoding is None:
        try:
            encoding = charset.decide([cell for _, _, cell in places])
        except charset.UnclearError as unclear:
            line, n, _ = places[unclear.cell]
            name = _name(rows, n)
            why = _unclear(unclear, tell=bare(name) not in private)
            raise ImportRefused([Mistake(file, line, name, why)]) from None
    return [
        (line, [cell.encode("latin-1").decode(encoding, "replace") for cell in cells])
        for line, cells in rows
    ]


def _name(rows: Sequence[_Row], n: int) -> str:
    """The name of a column before the letters are known."""
    header = rows[0][1]
    return shown(header[n].strip().lower()) if n < len(header) and header[n].isascii() else ""


def _is_utf8(cell: bytes) -> bool:
    try:
        cell.decode()
    except UnicodeDecodeError:
        return False
    return True


def _unclear(unclear: charset.UnclearError, *, tell: bool) -> str:
    readings = ", ".join(
        (f"'{word}' with " if tell else "") + f"--encoding {name} ({charset.ENCODINGS[name]})"
        for name, word in unclear.readings.items()
    )
    return (
        f"the file does not say how its letters are written: {readings}. Import again with the "
        "right one, or save the file as CSV UTF-8"
    )


def _damage(cell: str) -> str:
    """What is wrong with the characters themselves, and what to do about it; or ""."""
    if "\ufffd" in cell:
        return "a letter was lost here (\ufffd): type it again"
    for char in cell:
        kind = unicodedata.category(char)
        if (kind == "Cc" and char not in "\t\r\n") or (kind == "Cf" and char not in "\u200c\u200d"):
            return (
                f"there is a character that cannot be seen (U+{ord(char):04X}): type the value "
                "again, or save the file as CSV again"
            )
    twice = _TWICE.search(cell)
    if twice:
        return f"'{twice[0]}' was one letter, read wrongly before it was saved: type it again"
    return ""


def _to_the_last(cells: Sequence[str]) -> Sequence[str]:
    """Without the empty cells at the end: spreadsheets write columns that were once in use."""
    used = len(cells)
    while used and not cells[used - 1].strip():
        used -= 1
    return cells[:used]


def _rows(file: Path, text: str) -> Iterator[_Row]:
    """Lines that are not blank, with the number of the line on which each begins."""
    first = _LINE_END.split(text.lstrip(), maxsplit=1)[0]
    told = _SEP.fullmatch(first)
    delimiter = told[1] if told else max(";,\t", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    line = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                if not told:
                    yield line, cells
                told = None
            line = reader.line_num + 1
    except csv.Error as error:
        why = f"{error}: look for a double quote that is not closed"
        if "expected after" in str(error):
            why = 'inside a value between double quotes, a double quote is written twice: ""'
        raise ImportRefused([Mistake(file, line, "", why)]) from error
