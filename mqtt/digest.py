"""Digests by which a station and its bridge agree on what the station holds.

The one rule: both sides compute them here, over the fields named here and no others, so that a
bridge and a station of different ages, whose models differ by a field, still agree.
"""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from mqtt.messages import Entry, Product, Rule, iso_ms


def shard_digest(entries: Iterable[Entry]) -> str:
    """SHA-256 of a directory shard, 64 hex digits. The order of `entries` does not count.

    Canonical form: UTF-8 JSON without spaces, one array per entry, sorted by badge (then kind and
    id): ``[badge, kind, id, first name, verdict, next shift or null, language or null]``.
    """
    return _sha256(
        [
            entry.badge,
            entry.who.kind,
            entry.who.id,
            entry.first_name,
            entry.verdict,
            _time(entry.next_shift),
            entry.language,
        ]
        for entry in sorted(entries, key=lambda e: (e.badge, e.who.kind, e.who.id))
    )


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


def _time(at: datetime | None) -> str | None:
    return None if at is None else iso_ms(at.astimezone(UTC))


def _sha256(rows: Iterable[list[object]]) -> str:
    text = json.dumps(list(rows), ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
