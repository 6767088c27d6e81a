"""Members and products in, facts out, for a station without Odoo.

The one rule: files are taken all or not at all, and what leaves carries no badge, not even its
hash. The columns are described in `MEMBERS`, `PRODUCTS` and `RULES`; which kind of file it is is
told by its columns.
"""

import csv
import json
import re
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TextIO

from badge_reader.number import candidates
from devices.ean import is_digits, valid
from durable.sqlite import checksum, snapshot, unreadable
from edged.tables import Column, ImportRefused, Mistake, Table, parse, read
from mqtt.digest import catalogue_digest
from mqtt.identity import badge_hash
from mqtt.messages import Catalogue, Entry, Product, Rule
from store.nomenclature import LabelRefused, label_code
from store.opening import FILE
from store.schema import MIGRATIONS, seq_of
from store.store import Store

_LARGEST = 2**31 - 1
"""No record of Odoo has a higher number."""
_BADGE = re.compile(r"[0-9A-Za-z-]+")
_LANGUAGE = re.compile(r"[a-z]{2}")
_PRICE = re.compile(r"\d{1,6}(?:[.,]\d{1,2})?")
_FRENCH_TIME = re.compile(r"(\d{1,2})/(\d{1,2})/(\d{4})(?:[ T]+(\d{1,2})[:h](\d{2}))?")
_STATES = ("waiting", "stored", "done", "parked")


@dataclass(frozen=True, slots=True)
class Imported:
    """How many lines of each kind were taken; None: there was no such file."""

    members: int | None = None
    products: int | None = None
    rules: int | None = None
    unprintable: tuple[tuple[Product, LabelRefused], ...] = ()
    """Products that no label can be printed for, and why: the till's rules would misread it."""


# --- what a cell may hold --------------------------------------------------------------------


def _number(text: str) -> int:
    if not is_digits(text) or len(text) > 10 or not 0 < int(text) <= _LARGEST:
        raise ValueError(f"'{text[:20]}' is not a whole number from 1 to {_LARGEST}")
    return int(text)


def _grams(text: str) -> int:
    if not is_digits(text) or len(text) > 5:
        raise ValueError(f"'{text}' is not a number of whole grams, such as 12")
    return int(text)


def _cents(text: str) -> int:
    """The price of a kilogram: ``2,95``, ``2.95``, ``2,95 €``."""
    bare = re.sub(r"[\s€]|EUR", "", text)
    if not _PRICE.fullmatch(bare) or not bare.isascii():
        raise ValueError(f"'{text}' is not a price of a kilogram, such as 2,95")
    cents = int(Decimal(bare.replace(",", ".")).scaleb(2))
    if cents == 0:
        raise ValueError("the price is zero")
    return cents


def _badge(text: str) -> str:
    """As readers give it; a leading zero that a spreadsheet took is put back."""
    numbers = candidates(text)
    if not numbers or not all(_BADGE.fullmatch(number) for number in (text, *numbers)):
        raise ValueError(
            "not a badge number: 8 to 14 digits, of which 13 end with the right check digit, or "
            "letters and digits; format the column as text if the spreadsheet changes it"
        )
    return max(numbers, key=len)


def _barcode(text: str) -> str:
    """Thirteen digits; a spreadsheet that took the leading zero is put right."""
    if len(text) == 12 and valid(text):
        return "0" + text
    if len(text) != 13 or not is_digits(text):
        raise ValueError(
            f"'{text}' is not 13 digits; format the column as text if the spreadsheet changes it"
        )
    if not valid(text):
        raise ValueError(f"'{text}' has a wrong check digit (the last one)")
    return text


def _one_of(*words: str) -> "Column[object]":
    def parse_word(text: str) -> str:
        if text.lower() not in words:
            raise ValueError(f"'{text}' is none of {', '.join(words)}")
        return text.lower()

    return Column(parse_word)


def _language(text: str) -> str:
    if not _LANGUAGE.fullmatch(text.lower()):
        raise ValueError(f"'{text}' is not a language, such as fr")
    return text.lower()


def _time(zone: tzinfo | None) -> "Column[object]":
    def parse_time(text: str) -> datetime:
        french = _FRENCH_TIME.fullmatch(text)
        try:
            if french:
                day, month, year, hour, minute = (int(part or 0) for part in french.groups())
                at = datetime(year, month, day, hour, minute)  # noqa: DTZ001 - zone comes below
            else:
                at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                at = at.astimezone() if zone is None else at.replace(tzinfo=zone)
            return at.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ValueError(
                f"'{text}' is not a time, such as 2026-12-03 18:30 or 03/12/2026 18:30"
            ) from None

    return Column(parse_time, default="")


def _pattern(text: str) -> str:
    try:
        re.compile(re.sub(r"\{N*D*\}", "", text))
    except re.error:
        raise ValueError(f"'{text}' is not a pattern, such as 21.....{{NNDDD}}") from None
    return text


def _members(zone: tzinfo | None) -> Mapping[str, Column[object]]:
    return {
        "badge": Column(_badge),
        "id": Column(_number),
        "kind": Column(_one_of("member", "employee").parse, default="member"),
        "first_name": Column(str),
        "verdict": _one_of("ok", "warn", "stop"),
        "next_shift": _time(zone),
        "language": Column(_language, default=""),
    }


PRODUCTS: Mapping[str, Column[object]] = {
    "id": Column(_number),
    "number": Column(str, default=""),
    "name": Column(str),
    "price": Column(_cents),
    "barcode": Column(_barcode),
    "category": Column(str, default=""),
    "tare_g": Column(_grams, default=0),
    "details": Column(str, default=""),
}

RULES: Mapping[str, Column[object]] = {
    "sequence": Column(_number),
    "type": Column(str),
    "encoding": _one_of("ean13", "ean8", "upca", "any"),
    "pattern": Column(_pattern),
}


# --- in ----------------------------------------------------------------------------------------


def read_files(files: Sequence[Path]) -> list[Table | ImportRefused]:
    """The cells of each file, or what is wrong with it, for `import_tables`."""

    def read_one(file: Path) -> Table | ImportRefused:
        try:
            return read(file)
        except ImportRefused as refused:
            return refused

    return [read_one(file) for file in files]


async def import_tables(
    store: Store,
    tables: Sequence[Table | ImportRefused],
    badge_key: bytes,
    *,
    zone: tzinfo | None = None,
) -> Imported:
    """Take members, products and rules; each kind replaces what there was of it.

    Times without a zone are in `zone` (None: this machine's). Raises `ImportRefused` with all the
    mistakes of all the files, and `StoreFull`.
    """
    entries: list[Entry] | None = None
    products: list[Product] | None = None
    rules: list[Rule] | None = None
    mistakes: list[Mistake] = []
    badges, ids = _Seen("badge"), _Seen("id")
    for table in tables:
        try:
            if isinstance(table, ImportRefused):
                raise table
            if "badge" in table.columns:
                entries = (entries or []) + _entries(table, badge_key, zone, badges)
            elif "pattern" in table.columns:
                rules = (rules or []) + _rules(table)
            else:
                products = (products or []) + _products(table, ids)
        except ImportRefused as refused:
            mistakes += refused.mistakes
    if mistakes:
        raise ImportRefused(mistakes)
    catalogue = _catalogue(store, products, rules)
    await store.replace(entries, catalogue, as_of=datetime.now(UTC))
    return Imported(
        None if entries is None else len(entries),
        None if products is None else len(products),
        None if rules is None else len(rules),
        () if catalogue is None else tuple(_unprintable(catalogue)),
    )


def _catalogue(
    store: Store, products: list[Product] | None, rules: list[Rule] | None
) -> Catalogue | None:
    if products is None and rules is None:
        return None
    old = store.catalogue.current.get()
    kept = tuple(products) if products is not None else old.products if old else ()
    ruled = tuple(rules) if rules is not None else old.rules if old else ()
    conversion = old.upc_ean_conv if old else "always"
    return Catalogue(
        as_of=datetime.now(UTC),
        digest=catalogue_digest(kept, ruled, conversion),
        products=kept,
        rules=ruled,
        upc_ean_conv=conversion,
    )


def _unprintable(catalogue: Catalogue) -> list[tuple[Product, LabelRefused]]:
    found = []
    for product in catalogue.products:
        try:
            label_code(catalogue, product, grams=1000, cents=product.price_cents_per_kg)
        except LabelRefused as refused:
            found.append((product, refused))
    return found


def _entries(table: Table, badge_key: bytes, zone: tzinfo | None, badges: "_Seen") -> list[Entry]:
    lines = parse(table, _members(zone))
    badges.refuse_twice(table, lines)
    return [
        Entry.model_validate(
            {
                "badge": badge_hash(badge_key, str(cells["badge"])),
                "who": {"kind": cells["kind"], "id": cells["id"]},
                "first_name": cells["first_name"],
                "verdict": cells["verdict"],
                "next_shift": cells["next_shift"] or None,
                "language": cells["language"] or None,
            }
        )
        for _, cells in lines
    ]


def _products(table: Table, ids: "_Seen") -> list[Product]:
    lines = parse(table, PRODUCTS)
    ids.refuse_twice(table, lines)
    return [
        Product.model_validate(
            {("price_cents_per_kg" if name == "price" else name): value for name, value in cells}
        )
        for cells in (line[1].items() for line in lines)
    ]


def _rules(table: Table) -> list[Rule]:
    return [Rule.model_validate(cells) for _, cells in parse(table, RULES)]


class _Seen:
    """The values of a column that may be there once, in all files together."""

    def __init__(self, column: str) -> None:
        self._column = column
        self._first: dict[object, tuple[Path, int]] = {}

    def refuse_twice(self, table: Table, lines: list[tuple[int, dict[str, object]]]) -> None:
        mistakes = []
        for line, cells in lines:
            value = cells[self._column]
            if value not in self._first:
                self._first[value] = (table.file, line)
                continue
            file, before = self._first[value]
            where = f"line {before}" if file == table.file else f"{file}, line {before}"
            mistakes.append(
                Mistake(table.file, line, self._column, f"the same as in {where}: remove one")
            )
        if mistakes:
            raise ImportRefused(mistakes)


# --- out ---------------------------------------------------------------------------------------


def kept_facts(folder: Path) -> list[dict[str, Any]]:
    """Every fact that the store in `folder` still keeps, with what became of it.

    Works on a copy: the daemon may be running. Raises `StoreError`.
    """
    copy = snapshot(folder / FILE, MIGRATIONS)
    try:
        rows = copy.execute("SELECT n, kind, body, sum, state, why FROM outbox ORDER BY n")
        return [_fact_of(*row) for row in rows]
    except sqlite3.Error as error:
        raise unreadable(folder / FILE, error) from error
    finally:
        copy.close()


def write_facts(
    facts: Sequence[dict[str, Any]], out: TextIO, form: Literal["csv", "jsonl"]
) -> None:
    """One JSON a line; or CSV with a semicolon between columns, as a French spreadsheet expects,
    and one column for each value that some fact has (``data.who.id``).
    """
    if form == "jsonl":
        for fact in facts:
            out.write(json.dumps(fact, ensure_ascii=False) + "\n")
        return
    flat = [_flat(fact) for fact in facts]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(out, columns, delimiter=";", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)


def _fact_of(
    n: int, kind: str, body: bytes, checked: bytes, state: int, why: str
) -> dict[str, Any]:
    """A fact that the disk has changed is a line with its number and nothing else of it."""
    if checksum(body) != checked:
        return {"seq": seq_of(n), "kind": kind, "state": "damaged", "why": "", "data": {}}
    return _exported(json.loads(body), _STATES[state] if 0 <= state < len(_STATES) else "", why)


def _exported(fact: dict[str, Any], state: str, why: str) -> dict[str, Any]:
    data = {name: value for name, value in fact.pop("data").items() if name != "badge"}
    return fact | {"state": state, "why": why, "data": data}


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[prefix + name] = value
    return flat
