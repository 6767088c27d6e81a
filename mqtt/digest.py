"""Digests by which a station and its bridge agree on what the station holds.

The one rule: both sides compute them here, over the fields named here and no others, so that a
bridge and a station of different ages, whose models differ by a field or a word, still agree.
"""

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from mqtt.messages import Entry, Product, Rule, iso_ms


def shard_digest(entries: Iterable[Entry | Mapping[str, Any]]) -> str:
    """SHA-256 of a directory shard, 64 hex digits. The order of `entries` does not count.

    Entries may be models or what was received, as JSON gives it: then words that this version does
    not know count as they stand.

    Canonical form: UTF-8 JSON without spaces, one array per entry, sorted by badge (then kind and
    id): ``[badge, kind, id, first name, verdict, next shift or null, language or null]``.
    """
    return _sha256(sorted((_row(entry) for entry in entries), key=_place))


def _row(entry: Entry | Mapping[str, Any]) -> list[object]:
    given = entry.model_dump(mode="json") if isinstance(entry, Entry) else entry
    who = given.get("who")
    kind, number = (who.get("kind"), who.get("id")) if isinstance(who, Mapping) else (who, None)
    return [
        given.get("badge"),
        kind,
        number,
        given.get("first_name"),
        given.get("verdict"),
        _time(given.get("next_shift")),
        given.get("language"),
    ]


def _place(row: list[object]) -> tuple[str, str, int]:
    badge, kind, number = row[:3]
    return str(badge), str(kind), number if isinstance(number, int) else 0


def _time(given: object) -> object:
    """A time in UTC with milliseconds; what is no time stays as it is."""
    if not isinstance(given, str):
        return given
    try:
        at = datetime.fromisoformat(given)
        return given if at.tzinfo is None else iso_ms(at)
    except (ValueError, OverflowError):
        return given


def catalogue_digest(
    products: Iterable[Product], rules: Iterable[Rule], upc_ean_conv: str = "always"
) -> str:
    """SHA-256 of a catalogue, 64 hex digits. The order of products does not count; that of rules
    with equal `sequence` does, as it does at the till.
    """
    rows: list[list[object]] = [["upc_ean_conv", upc_ean_conv]]
    rows += [
        [p.id, p.name, p.number, p.price_cents_per_kg, p.barcode, p.category, p.tare_g, p.details]
        for p in sorted(products, key=lambda p: p.id)
    ]
    rows += [
        [r.sequence, r.type, r.encoding, r.pattern] for r in sorted(rules, key=lambda r: r.sequence)
    ]
    return _sha256(rows)


def _sha256(rows: Iterable[list[object]]) -> str:
    text = json.dumps(list(rows), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
