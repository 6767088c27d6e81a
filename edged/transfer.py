"""Members and products in, facts out, for a station without Odoo.

The one rule: files are taken all or not at all, and what leaves carries no badge, not even its
hash. The columns are described in `MEMBERS`, `PRODUCTS` and `RULES`; which kind of file it is is
told by its columns.
"""

import csv
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TextIO

from badge_reader.number import candidates
from devices.ean import is_digits, valid
from edged.tables import Column, ImportRefused, Mistake, Table, parse, read
from mqtt.digest import catalogue_digest
from mqtt.identity import badge_hash
from mqtt.messages import Catalogue, Entry, Product, Rule
from store.nomenclature import LabelRefused, label_code
from store.schema import snapshot
from store.store import FILE, Store

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
    if not is_digits(text) or int(text) == 0:
        raise ValueError(f"'{text}' is not a whole number above zero")
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
    numbers = candidates(text)
    if not numbers:
        raise ValueError(
            "not a badge number: 8 to 14 digits, of which 13 end with the right check digit; "
            "format the column as text if the spreadsheet changes it"
        )
    return numbers[0]


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
        except ValueError:
            raise ValueError(
                f"'{text}' is not a time, such as 2026-12-03 18:30 or 03/12/2026 18:30"
            ) from None
        if at.tzinfo is None:
            at = at.astimezone() if zone is None else at.replace(tzinfo=zone)
        return at.astimezone(UTC)

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


async def import_files(
    store: Store, files: Sequence[Path], badge_key: bytes, *, zone: tzinfo | None = None
) -> Imported:
    """Take members, products and rules; each kind replaces what there was of it.

    Times without a zone are in `zone` (None: this machine's). Raises `ImportRefused` with all the
    mistakes of all the files, and `StoreFull`.
    """
    entries: list[Entry] | None = None
    products: list[Product] | None = None
    rules: list[Rule] | None = None
    mistakes: list[Mistake] = []
    for file in files:
        try:
            table = read(file)
            if "badge" in table.columns:
                entries = (entries or []) + _entries(table, badge_key, zone)
            elif "pattern" in table.columns:
                rules = (rules or []) + _rules(table)
            else:
                products = (products or []) + _products(table)
        except ImportRefused as refused:
            mistakes += refused.mistakes
    if mistakes:
        raise ImportRefused(mistakes)
    unprintable = await _replace_catalogue(store, products, rules)
    if entries is not None:
        await store.directory.replace(entries, datetime.now(UTC))
    return Imported(
        None if entries is None else len(entries),
        None if products is None else len(products),
        None if rules is None else len(rules),
        unprintable,
    )


async def _replace_catalogue(
    store: Store, products: list[Product] | None, rules: list[Rule] | None
) -> tuple[tuple[Product, LabelRefused], ...]:
    if products is None and rules is None:
        return ()
    old = store.catalogue.current.get()
    kept = tuple(products) if products is not None else old.products if old else ()
    ruled = tuple(rules) if rules is not None else old.rules if old else ()
    conversion = old.upc_ean_conv if old else "always"
    catalogue = Catalogue(
        as_of=datetime.now(UTC),
        digest=catalogue_digest(kept, ruled, conversion),
        products=kept,
        rules=ruled,
        upc_ean_conv=conversion,
    )
    await store.catalogue.replace(catalogue)
    return tuple(_unprintable(catalogue))


def _unprintable(catalogue: Catalogue) -> list[tuple[Product, LabelRefused]]:
    found = []
    for product in catalogue.products:
        try:
            label_code(catalogue, product, grams=1000, cents=product.price_cents_per_kg)
        except LabelRefused as refused:
            found.append((product, refused))
    return found


def _entries(table: Table, badge_key: bytes, zone: tzinfo | None) -> list[Entry]:
    lines = parse(table, _members(zone))
    _refuse_twice(table, lines, "badge")
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


def _products(table: Table) -> list[Product]:
    lines = parse(table, PRODUCTS)
    _refuse_twice(table, lines, "id")
    return [
        Product.model_validate(
            {("price_cents_per_kg" if name == "price" else name): value for name, value in cells}
        )
        for cells in (line[1].items() for line in lines)
    ]


def _rules(table: Table) -> list[Rule]:
    return [Rule.model_validate(cells) for _, cells in parse(table, RULES)]


def _refuse_twice(table: Table, lines: list[tuple[int, dict[str, object]]], column: str) -> None:
    first: dict[object, int] = {}
    mistakes = []
    for line, cells in lines:
        before = first.setdefault(cells[column], line)
        if before != line:
            mistakes.append(
                Mistake(table.file, line, column, f"the same as in line {before}: remove one")
            )
    if mistakes:
        raise ImportRefused(mistakes)


# --- out ---------------------------------------------------------------------------------------


def export_facts(folder: Path, out: TextIO, form: Literal["csv", "jsonl"] = "jsonl") -> int:
    """Write every fact that the store in `folder` still keeps; returns how many.

    Works on a copy: the daemon may be running. CSV has a semicolon between columns, as a French
    spreadsheet expects, and one column for each value that some fact has (``data.who.id``).
    Raises `StoreError`.
    """
    copy = snapshot(folder / FILE)
    try:
        rows = [
            _exported(json.loads(body), _STATES[state], why)
            for body, state, why in copy.execute("SELECT body, state, why FROM outbox ORDER BY seq")
        ]
    finally:
        copy.close()
    if form == "jsonl":
        for row in rows:
            out.write(json.dumps(row, ensure_ascii=False) + "\n")
        return len(rows)
    flat = [_flat(row) for row in rows]
    columns = list(dict.fromkeys(name for row in flat for name in row))
    writer = csv.DictWriter(out, columns, delimiter=";", lineterminator="\n")
    writer.writeheader()
    writer.writerows(flat)
    return len(rows)


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
