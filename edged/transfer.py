"""Members and products in, facts out, for a station without Odoo.

The one rule: files are taken all or not at all, and what leaves carries no badge, not even its
hash. The columns are described in `columns`; which kind of file it is is told by them.
"""

import csv
import json
import sqlite3
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from pathlib import Path
from statistics import median
from typing import Any, Literal, TextIO

from devices.ean import is_digits, valid
from durable.sqlite import checksum, snapshot, unreadable
from edged.cli import counted
from edged.columns import BADGE, PRIVATE, PRODUCTS, RULES, members
from edged.printable import Gap, gaps
from edged.tables import Columns, ImportRefused, Mistake, Table, named, parse, read
from mqtt.digest import catalogue_digest
from mqtt.identity import badge_hash
from mqtt.messages import Catalogue, Entry, Envelope, Product, Rule
from store.opening import FILE
from store.schema import MIGRATIONS, seq_of
from store.store import Store

_DEAR = 5000
"""Cents. Where half of all prices are above 50 €, they are in cents."""
_EVERY = (*(name for name in Envelope.model_fields if name != "data"), "state", "why")
_STATES = ("waiting", "stored", "done", "parked")


@dataclass(frozen=True, slots=True)
class Imported:
    """How many lines of each kind were taken; None: there was no such file."""

    members: int | None = None
    products: int | None = None
    rules: int | None = None
    gaps: tuple[Gap, ...] = ()
    """Weights that no label can be printed for, because the till would misread it."""
    doubts: tuple[Mistake, ...] = ()
    """What was taken and is perhaps not meant so."""


# --- in ----------------------------------------------------------------------------------------


def read_files(files: Sequence[Path], encoding: str | None = None) -> list[Table | ImportRefused]:
    """The cells of each file, or what is wrong with it, for `import_tables`.

    `encoding`: of the files that do not say theirs (`tables.read`).
    """

    def read_one(file: Path) -> Table | ImportRefused:
        try:
            return read(file, encoding, PRIVATE)
        except ImportRefused as refused:
            return refused

    return [read_one(file) for file in files]


async def import_tables(
    store: Store,
    tables: Sequence[Table | ImportRefused],
    badge_key: bytes,
    *,
    zone: tzinfo | None = None,
    weights: range = range(40, 15_001),
) -> Imported:
    """Take members, products and rules; each kind replaces what there was of it.

    `weights` are those of the scale, in grams, for which labels are tried. Times without a zone are
    in `zone` (None: this machine's). Raises `ImportRefused` with all the mistakes of all the files,
    and `StoreFull`.
    """
    entries: list[Entry] | None = None
    products: list[Product] | None = None
    rules: list[Rule] | None = None
    mistakes: list[Mistake] = []
    doubts: list[Mistake] = []
    badges, ids = _Seen("badge"), _Seen("id")
    for table in tables:
        try:
            if isinstance(table, ImportRefused):
                raise table
            kind = _kind(table)
            if kind == "members":
                entries = (entries or []) + _entries(table, badge_key, zone, badges, doubts)
            elif kind == "rules":
                rules = (rules or []) + _rules(table)
            else:
                products = (products or []) + _products(table, ids, doubts)
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
        () if catalogue is None else tuple(gaps(catalogue, weights)),
        tuple(doubts),
    )


def _kind(table: Table) -> Literal["members", "products", "rules"]:
    """Told by the columns. Raises `ImportRefused` when the first line names none."""

    def has(columns: Columns) -> int:
        return sum(named(name, columns) is not None for name in table.columns)

    if has({"badge": BADGE}):
        return "members"
    if has({"pattern": RULES["pattern"]}):
        return "rules"
    if has({**RULES, **members(None), **PRODUCTS}) > 1:  # one may be a value: "ean13"
        return "products"
    why = (
        "the first line must name the columns, separated by ; or , or tab: badge, id, first_name, "
        "verdict (members), id, name, price, barcode (products) or sequence, type, encoding, "
        "pattern (rules)"
    )
    raise ImportRefused([Mistake(table.file, table.header, "", why)])


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


def _entries(
    table: Table,
    badge_key: bytes,
    zone: tzinfo | None,
    badges: "_Seen",
    doubts: list[Mistake],
) -> list[Entry]:
    lines = parse(table, members(zone))
    badges.refuse_twice(table, lines)
    doubts += _doubtful_badges(table, [(line, str(cells["badge"])) for line, cells in lines])
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


def _doubtful_badges(table: Table, badges: list[tuple[int, str]]) -> list[Mistake]:
    numbers = [(line, badge) for line, badge in badges if is_digits(badge)]
    wrong = [line for line, badge in numbers if len(badge) == 13 and not valid(badge)]
    longest = max((len(badge) for _, badge in numbers), default=0)
    short = [line for line, badge in numbers if len(badge) < longest]
    doubts = []
    if wrong:
        why = (
            f"{counted(len(wrong), 'number')} of 13 digits, of which the last is not the check "
            "digit of a barcode: right if a reader gives it so, else a typing error"
        )
        doubts.append(Mistake(table.file, wrong[0], "badge", why))
    if short and not any(badge.startswith("0") for _, badge in numbers):
        why = (
            f"{counted(len(short), 'number')} shorter than the others, and none begins with 0: if "
            "the spreadsheet took leading zeros away, format the column as text"
        )
        doubts.append(Mistake(table.file, short[0], "badge", why))
    return doubts


def _products(table: Table, ids: "_Seen", doubts: list[Mistake]) -> list[Product]:
    lines = parse(table, PRODUCTS)
    ids.refuse_twice(table, lines)
    products = [
        Product.model_validate(
            {("price_cents_per_kg" if name == "price" else name): value for name, value in cells}
        )
        for cells in (line[1].items() for line in lines)
    ]
    prices = [product.price_cents_per_kg for product in products]
    if median(prices) >= _DEAR and not any(price % 100 for price in prices):
        why = "most are 50 € a kilogram or more and none has cents: write euros, as in 2,95"
        doubts.append(Mistake(table.file, lines[0][0], "price", why))
    return products


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
    # Those that every fact has stand there even when there is no fact.
    columns = list(dict.fromkeys([*_EVERY, *(name for row in flat for name in row)]))
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
